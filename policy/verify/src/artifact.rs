//! What signatures are about: bytes, or their digest alone.

use aws_lc_rs::digest::{self as hash, Algorithm};
use pullgate_policy::oci::Digest;

/// What all evidence must be about.
#[derive(Debug, Clone, Copy)]
pub enum Artifact<'a> {
    /// The bytes: of a manifest, wherever something is pulled.
    Bytes(&'a [u8]),
    /// Nothing but their SHA-256. What is signed by another hash, or by a key that signs no digest, cannot be verified so.
    Sha256([u8; 32]),
}

impl Artifact<'_> {
    /// Whether it is what `digest` names.
    pub(crate) fn is(&self, digest: &Digest) -> bool {
        match self {
            Self::Bytes(bytes) => digest.recompute(bytes) == *digest,
            Self::Sha256(known) => *digest == Digest::Sha256(*known),
        }
    }

    /// Its hash; none that cannot be known.
    pub(crate) fn hash(&self, algorithm: &'static Algorithm) -> Option<Vec<u8>> {
        match self {
            Self::Bytes(bytes) => Some(hash::digest(algorithm, bytes).as_ref().to_vec()),
            Self::Sha256(known) if *algorithm == hash::SHA256 => Some(known.to_vec()),
            Self::Sha256(_) => None,
        }
    }

    pub(crate) fn kept(&self) -> Kept {
        match self {
            Self::Bytes(bytes) => Kept::Bytes(bytes.to_vec()),
            Self::Sha256(known) => Kept::Sha256(*known),
        }
    }
}

/// An artifact that is kept, or another message that was signed.
#[derive(Debug, Clone)]
pub(crate) enum Kept {
    Bytes(Vec<u8>),
    Sha256([u8; 32]),
}

impl Kept {
    pub(crate) fn artifact(&self) -> Artifact<'_> {
        match self {
            Self::Bytes(bytes) => Artifact::Bytes(bytes),
            Self::Sha256(known) => Artifact::Sha256(*known),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// SHA-256 of "abc" (FIPS 180-2, B.1).
    const ABC: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn known() -> [u8; 32] {
        hex::decode(ABC).unwrap().try_into().unwrap()
    }

    #[test]
    fn bytes_and_a_known_hash_are_what_their_own_digest_names_and_nothing_else() {
        for artifact in [Artifact::Bytes(b"abc"), Artifact::Sha256(known())] {
            assert!(artifact.is(&Digest::of(b"abc")), "{artifact:?}");
            assert!(!artifact.is(&Digest::of(b"abd")), "{artifact:?}");
        }
        assert!(Artifact::Bytes(b"abc").is(&Digest::sha512_of(b"abc")));
        assert!(!Artifact::Sha256(known()).is(&Digest::sha512_of(b"abc")), "nobody can say");
    }

    #[test]
    fn a_known_hash_stands_for_no_hash_of_another_kind() {
        let sha256 = Some(hex::decode(ABC).unwrap());
        assert_eq!(Artifact::Sha256(known()).hash(&hash::SHA256), sha256);
        assert_eq!(Artifact::Bytes(b"abc").hash(&hash::SHA256), sha256);
        // SHA-256 and SHA-512/256 are of one length.
        for other in [&hash::SHA512_256, &hash::SHA384, &hash::SHA512] {
            assert_eq!(Artifact::Sha256(known()).hash(other), None, "{other:?}");
        }
    }
}
