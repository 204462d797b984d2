//! Three facts about bytes, three types: from a socket ([`Untrusted`]), hash checked ([`Intact`]), and, in
//! [`crate::verdict`], permitted.
//!
//! ```compile_fail,E0451
//! use pullgate_policy::{content::Intact, oci::Digest};
//! let forged = Intact { value: (), digest: Digest::of(b"other bytes") };
//! ```

use bytes::Bytes;

use crate::oci::Digest;

/// A value from outside. Only [`Untrusted::check`] and [`Untrusted::hash`] open it.
#[derive(Debug, Clone)]
pub struct Untrusted<T>(T);

/// A value whose bytes hash to [`Intact::digest`], which we computed ourselves. The digest is always SHA-256 (A013).
#[derive(Debug, Clone)]
#[must_use]
pub struct Intact<T> {
    value: T,
    digest: Digest,
}

/// The bytes are not those of the digest they were asked for by.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("content does not hash to its digest")]
pub struct DigestMismatch;

impl Untrusted<Bytes> {
    /// Marks bytes as coming from outside.
    #[must_use]
    pub fn new(bytes: Bytes) -> Self {
        Self(bytes)
    }

    /// How many bytes there are: safe to know before they are checked.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Tells whether it is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Checks the bytes against the digest they were asked for by.
    ///
    /// # Errors
    /// [`DigestMismatch`]: the upstream sent other bytes (A101).
    pub fn check(self, expected: &Digest) -> Result<Intact<Bytes>, DigestMismatch> {
        if expected.recompute(&self.0) == *expected { Ok(self.hash()) } else { Err(DigestMismatch) }
    }

    /// Names the bytes by their own hash, for content that was asked for by tag.
    pub fn hash(self) -> Intact<Bytes> {
        Intact { digest: Digest::of(&self.0), value: self.0 }
    }
}

impl<T> Intact<T> {
    /// The SHA-256 digest of the bytes behind the value.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// The value.
    #[must_use]
    pub fn value(&self) -> &T {
        &self.value
    }

    /// Replaces the value by what `parse` reads from it; the digest stays that of the bytes.
    ///
    /// # Errors
    /// Whatever `parse` says.
    pub(crate) fn try_map<U, E>(self, parse: impl FnOnce(T) -> Result<U, E>) -> Result<Intact<U>, E> {
        Ok(Intact { value: parse(self.value)?, digest: self.digest })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a101_bytes_of_another_digest_are_not_intact() {
        let bytes = Bytes::from_static(b"one");
        assert!(Untrusted::new(bytes.clone()).check(&Digest::of(b"one")).is_ok());
        assert!(Untrusted::new(bytes.clone()).check(&Digest::of(b"two")).is_err());
        assert!(Untrusted::new(bytes).check(&Digest::sha512_of(b"two")).is_err());
    }

    #[test]
    fn a013_what_was_asked_for_by_sha512_is_known_by_sha256() {
        let intact = Untrusted::new(Bytes::from_static(b"one")).check(&Digest::sha512_of(b"one")).unwrap();
        assert_eq!(intact.digest(), Digest::of(b"one"));
    }

    #[test]
    fn bytes_asked_for_by_tag_are_named_by_their_own_hash_and_keep_it_when_parsed() {
        let untrusted = Untrusted::new(Bytes::from_static(b"one"));
        assert_eq!((untrusted.len(), untrusted.is_empty()), (3, false));
        assert!(Untrusted::new(Bytes::new()).is_empty());
        let intact = untrusted.hash();
        assert_eq!((intact.digest(), intact.value().as_ref()), (Digest::of(b"one"), &b"one"[..]));
        let parsed = intact.try_map(|bytes| Ok::<_, ()>(bytes.len())).unwrap();
        assert_eq!((parsed.digest(), *parsed.value()), (Digest::of(b"one"), 3));
        assert!(Untrusted::new(Bytes::new()).hash().try_map(|_| Err::<(), _>(())).is_err());
    }
}
