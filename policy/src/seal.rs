//! The seal on stored records: HMAC-SHA-256 under a secret that is kept outside the store (A504).
//!
//! A record without its seal is worth nothing, so storage can lose a verdict but not invent one. Only what implements
//! the private trait below can be sealed; an [`crate::verdict::Undecided`] cannot:
//!
//! ```compile_fail,E0277
//! use pullgate_policy::{seal::Seal, verdict::Undecided, code::Code};
//! let seal = Seal::new(&[0; 32]);
//! let _ = seal.seal(&Undecided::new(Code::Deadline));
//! ```

use aws_lc_rs::{constant_time, hmac};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::oci::Digest;

mod cursor;

pub use cursor::Cursor;

/// The secret under which records are sealed.
pub struct Seal(hmac::Key);

/// A record as it is stored.
#[derive(Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The record, in a versioned JSON encoding.
    pub body: String,
    /// HMAC-SHA-256 over purpose and body.
    pub mac: Vec<u8>,
}

/// What may be sealed. Private to this crate: a record type is a promise about what storage may hold.
pub(crate) trait Record: Serialize + DeserializeOwned {
    /// Separates kinds of records and versions of their encoding.
    const PURPOSE: &'static str;
}

/// A value that can be turned into a sealed record.
#[expect(private_bounds, reason = "the bound is what keeps the set of records closed")]
pub trait Storable: AsRecord {}

impl<T: AsRecord> Storable for T {}

pub(crate) trait AsRecord {
    type Record: Record;
    fn as_record(&self) -> Self::Record;
}

impl Seal {
    /// A seal under 32 secret bytes.
    #[must_use]
    pub fn new(secret: &[u8; 32]) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret))
    }

    /// A fingerprint that tells secrets apart and reveals neither: SHA-256 over the 32 secret bytes and a label used
    /// for nothing else.
    #[must_use]
    pub fn fingerprint(secret: &[u8; 32]) -> String {
        Digest::of(&[b"pullgate seal key/1".as_slice(), secret].concat()).hex()
    }

    /// Seals a record.
    #[must_use]
    pub fn seal<T: Storable>(&self, value: &T) -> Sealed {
        let record = value.as_record();
        let body = serde_json::to_string(&record).unwrap_or_default();
        let mac = self.mac(<T::Record as Record>::PURPOSE, &body);
        Sealed { body, mac }
    }

    /// Opens a record; `None` when the seal or the encoding does not hold.
    pub(crate) fn open<R: Record>(&self, sealed: &Sealed) -> Option<R> {
        let expected = self.mac(R::PURPOSE, &sealed.body);
        constant_time::verify_slices_are_equal(&expected, &sealed.mac).ok()?;
        serde_json::from_str(&sealed.body).ok()
    }

    fn mac(&self, purpose: &str, body: &str) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.0);
        context.update(&(purpose.len() as u64).to_be_bytes());
        context.update(purpose.as_bytes());
        context.update(body.as_bytes());
        context.sign().as_ref().to_vec()
    }
}

impl std::fmt::Debug for Seal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Seal")
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sealed").field("body", &self.body).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
