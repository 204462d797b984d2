//! The key under which what proved a name is remembered: never the password or token itself.

use aws_lc_rs::{error, hmac, rand};

/// A random key of this process.
pub(super) struct Secret(hmac::Key);

impl Secret {
    /// # Errors
    /// No randomness can be had: a key that can be guessed would give away what proved a name.
    pub(super) fn random() -> Result<Self, error::Unspecified> {
        let mut random = [0; 32];
        rand::fill(&mut random)?;
        Ok(Self(hmac::Key::new(hmac::HMAC_SHA256, &random)))
    }

    /// The keyed hash of several parts, each with its length before it.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }
}
