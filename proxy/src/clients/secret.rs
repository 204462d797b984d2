//! The key under which what proved a name is remembered: never the password or token itself.

use aws_lc_rs::hmac;

use crate::audit::DecisionId;

/// A random key of this process.
pub(super) struct Secret(hmac::Key);

impl Secret {
    pub(super) fn random() -> Self {
        let random = [DecisionId::random(), DecisionId::random()].map(|id| id.as_str().to_owned()).concat();
        Self(hmac::Key::new(hmac::HMAC_SHA256, random.as_bytes()))
    }

    /// The keyed hash of several parts, each told from the next by its length.
    pub(super) fn hash(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }
}
