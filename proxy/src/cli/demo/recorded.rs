//! The recorded images: what real tools pushed, byte for byte (`pack.py` makes `recorded.json` from the test fixtures).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use bytes::Bytes;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::oci::name::NameInvalid;
use pullgate_policy::oci::{Digest, Document, Registry, Repository, Tag};
use serde::Deserialize;

const RECORDED: &str = include_str!("recorded.json");
/// The name under which the policy knows the demo's registry; no name server does (RFC 2606).
pub(super) const REGISTRY: &str = "demo.example";

/// The content of the demo's registry.
#[derive(Debug)]
pub(super) struct Recorded {
    manifests: BTreeMap<(Repository, Digest), Intact<Document>>,
    tags: BTreeMap<(Repository, Tag), Digest>,
    blobs: BTreeMap<Digest, Bytes>,
}

/// The recording in this program is damaged.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum RecordedFault {
    /// A blob is not base64.
    #[error("a recorded blob is not base64")]
    Base64(#[from] base64::DecodeError),
    /// A blob is absent, or its bytes are others.
    #[error("the recorded blob {0} is not what its name says")]
    Blob(Digest),
    /// The file itself.
    #[error("the recording cannot be read")]
    Json(#[from] serde_json::Error),
    /// A name outside the grammar.
    #[error("a recorded name is malformed")]
    Name(#[from] NameInvalid),
}

#[derive(Deserialize)]
struct File {
    manifests: Vec<Entry>,
    blobs: BTreeMap<Digest, Packed>,
}

#[derive(Deserialize)]
struct Entry {
    repository: String,
    tag: Option<Tag>,
    digest: Digest,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Packed {
    Base64(String),
    Text(String),
}

impl Recorded {
    /// Unpacks the recording that is part of this program, and checks every byte of it.
    pub(super) fn unpack() -> Result<Self, RecordedFault> {
        let file: File = serde_json::from_str(RECORDED)?;
        let mut recorded = Self { manifests: BTreeMap::new(), tags: BTreeMap::new(), blobs: BTreeMap::new() };
        for (digest, packed) in file.blobs {
            let bytes = match packed {
                Packed::Base64(text) => Bytes::from(BASE64_STANDARD.decode(text)?),
                Packed::Text(text) => Bytes::from(text),
            };
            let intact = Untrusted::new(bytes).check(&digest).map_err(|_| RecordedFault::Blob(digest))?;
            recorded.blobs.insert(digest, intact.value().clone());
        }
        for Entry { repository, tag, digest } in file.manifests {
            let repository = repository_named(&repository)?;
            let bytes = recorded.blobs.get(&digest).cloned().ok_or(RecordedFault::Blob(digest))?;
            let document =
                Untrusted::new(bytes).hash().parse(None).map_err(|_| RecordedFault::Blob(digest))?;
            if let Some(tag) = tag {
                recorded.tags.insert((repository.clone(), tag), digest);
            }
            recorded.manifests.insert((repository, digest), document);
        }
        Ok(recorded)
    }

    /// The digest behind a tag.
    pub(super) fn tag(&self, repository: &Repository, tag: &Tag) -> Option<Digest> {
        self.tags.get(&(repository.clone(), tag.clone())).copied()
    }

    /// The tags of a repository, in order.
    pub(super) fn tags(&self, repository: &Repository) -> impl Iterator<Item = &Tag> {
        self.tags.keys().filter(move |(owner, _)| owner == repository).map(|(_, tag)| tag)
    }

    /// A manifest of a repository.
    pub(super) fn manifest(&self, repository: &Repository, digest: &Digest) -> Option<&Intact<Document>> {
        self.manifests.get(&(repository.clone(), *digest))
    }

    /// The manifests of a repository that refer to `subject`.
    pub(super) fn referrers(&self, repository: &Repository, subject: &Digest) -> Vec<&Intact<Document>> {
        let refers = |document: &Intact<Document>| {
            document.value().manifest().subject().and_then(|named| named.digest) == Some(*subject)
        };
        let own = self.manifests.iter().filter(|((owner, _), _)| owner == repository);
        own.map(|(_, document)| document).filter(|document| refers(document)).collect()
    }

    /// A blob that a manifest of the repository lists.
    pub(super) fn blob(&self, repository: &Repository, digest: &Digest) -> Option<&Bytes> {
        let listed =
            self.manifests.iter().filter(|((owner, _), _)| owner == repository).any(|(_, document)| {
                document.value().manifest().content().any(|descriptor| descriptor.digest == Some(*digest))
            });
        if listed { self.blobs.get(digest) } else { None }
    }
}

/// A repository of the demo's registry, by its path there.
pub(super) fn repository_named(path: &str) -> Result<Repository, NameInvalid> {
    let registry: Registry = REGISTRY.parse()?;
    Repository::new(registry, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_recording_is_whole() {
        let recorded = Recorded::unpack().unwrap();
        for ((repository, digest), document) in &recorded.manifests {
            for descriptor in document.value().manifest().content() {
                let digest = descriptor.digest.unwrap();
                let here = recorded.blob(repository, &digest).is_some();
                assert!(
                    here || recorded.manifest(repository, &digest).is_some(),
                    "{repository} lacks {digest}"
                );
            }
            assert_eq!(document.digest(), *digest);
        }
    }

    #[test]
    fn a_repository_has_its_own_blobs_only() {
        let recorded = Recorded::unpack().unwrap();
        let (signed, other) =
            (repository_named("shop/key").unwrap(), repository_named("shop/unsigned").unwrap());
        let digest = recorded.tag(&signed, &"v1".parse().unwrap()).unwrap();
        let document = recorded.manifest(&signed, &digest).unwrap();
        let blob = document.value().manifest().content().next().unwrap().digest.unwrap();
        assert!(recorded.blob(&signed, &blob).is_some());
        assert!(recorded.blob(&other, &blob).is_none());
        assert!(recorded.manifest(&other, &digest).is_none());
    }
}
