//! What signatures are about: bytes, or their digest alone.

use std::sync::{Arc, OnceLock};

use aws_lc_rs::digest::{self as hash, Algorithm};
use bytes::Bytes;
use pullgate_policy::content::Untrusted;
use pullgate_policy::oci::Digest;
use sha2::{Digest as _, Sha512};

/// What all evidence must be about.
#[derive(Debug, Clone, Copy)]
pub enum Artifact<'a> {
    /// The bytes: of a manifest, wherever something is pulled.
    Bytes(&'a [u8]),
    /// Only their SHA-256. A signature over another hash, or by a key that signs no digest, cannot be verified against
    /// it.
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

    pub(crate) fn kept(&self) -> SharedArtifact {
        match self {
            Self::Bytes(bytes) => SharedArtifact::of(Bytes::copy_from_slice(bytes)),
            Self::Sha256(known) => SharedArtifact::new(Content::Sha256(*known)),
        }
    }
}

/// An artifact that is kept, or another message that was signed. Clones share it, and it is hashed once for each algorithm,
/// however many signatures, keys and log entries are about it (A602, A604).
#[derive(Debug, Clone)]
pub(crate) struct SharedArtifact(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    content: Content,
    hashes: [OnceLock<hash::Digest>; 3],
    prehash: OnceLock<Sha512>,
    media_type: OnceLock<Option<&'static str>>,
}

#[derive(Debug)]
enum Content {
    Bytes(Bytes),
    Sha256([u8; 32]),
}

impl SharedArtifact {
    pub(crate) fn of(bytes: Bytes) -> Self {
        Self::new(Content::Bytes(bytes))
    }

    fn new(content: Content) -> Self {
        Self(Arc::new(Inner {
            content,
            hashes: Default::default(),
            prehash: OnceLock::new(),
            media_type: OnceLock::new(),
        }))
    }

    pub(crate) fn artifact(&self) -> Artifact<'_> {
        match &self.0.content {
            Content::Bytes(bytes) => Artifact::Bytes(bytes),
            Content::Sha256(known) => Artifact::Sha256(*known),
        }
    }

    /// The bytes, unless only their hash is known.
    pub(crate) fn bytes(&self) -> Option<&Bytes> {
        match &self.0.content {
            Content::Bytes(bytes) => Some(bytes),
            Content::Sha256(_) => None,
        }
    }

    /// How many bytes there are to be hashed.
    pub(crate) fn length(&self) -> u64 {
        self.bytes().map_or(0, |bytes| bytes.len() as u64)
    }

    /// Its hash; `None` for one that cannot be computed from the SHA-256 alone.
    pub(crate) fn hash(&self, algorithm: &'static Algorithm) -> Option<Vec<u8>> {
        self.digest(algorithm).map(|digest| digest.as_ref().to_vec())
    }

    /// As [`Self::hash`], in the form that signature checks take.
    pub(crate) fn digest(&self, algorithm: &'static Algorithm) -> Option<hash::Digest> {
        match &self.0.content {
            Content::Sha256(known) if *algorithm == hash::SHA256 => {
                hash::Digest::import_less_safe(known, &hash::SHA256).ok()
            }
            Content::Sha256(_) => None,
            Content::Bytes(bytes) => {
                let known = [&hash::SHA256, &hash::SHA384, &hash::SHA512];
                let place = known.iter().position(|known| *known == algorithm);
                let place = place.and_then(|place| self.0.hashes.get(place));
                let hashed = || hash::digest(algorithm, bytes);
                Some(place.map_or_else(hashed, |place| *place.get_or_init(hashed)))
            }
        }
    }

    /// The media type that it has as a manifest, by its own words, where its bytes are known and are one.
    pub(crate) fn media_type(&self) -> Option<&'static str> {
        let read = |bytes: &Bytes| Untrusted::new(bytes.clone()).hash().parse(None).ok();
        let of = || self.bytes().and_then(read).map(|document| document.value().media_type());
        *self.0.media_type.get_or_init(of)
    }

    /// The state of SHA-512 over it, unless only its SHA-256 is known.
    pub(crate) fn prehash(&self) -> Option<Sha512> {
        let bytes = self.bytes()?;
        Some(self.0.prehash.get_or_init(|| Sha512::new_with_prefix(bytes)).clone())
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
        assert_eq!(Artifact::Sha256(known()).kept().hash(&hash::SHA256), sha256);
        assert_eq!(Artifact::Bytes(b"abc").kept().hash(&hash::SHA256), sha256);
        // SHA-256 and SHA-512/256 are of one length.
        for other in [&hash::SHA512_256, &hash::SHA384, &hash::SHA512] {
            assert_eq!(Artifact::Sha256(known()).kept().hash(other), None, "{other:?}");
        }
    }
}
