//! Grants: content reachable from a permitted subject. A grant names its root and is worth what the root's permit is
//! worth now; it is never a yes of its own (A023).
//!
//! ```compile_fail,E0451
//! use pullgate_policy::grant::Grant;
//! fn forge(other: Grant) -> Grant {
//!     Grant { ..other }
//! }
//! ```
//! A claim is read from a store by [`GrantClaim::open`] only, which demands its seal:
//! ```compile_fail,E0277
//! let forged: pullgate_policy::grant::GrantClaim = serde_json::from_str("{}").unwrap();
//! ```

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::limits;
use crate::oci::{Digest, Document, Manifest, Repository, media_type};
use crate::policy::Revisions;
use crate::seal::{AsRecord, Record, Seal, Sealed};
use crate::verdict::{Ground, Permit, Subject};

/// Leave to serve one piece of content under a root that is permitted now.
#[derive(Debug, Clone)]
#[must_use]
pub struct Grant {
    claim: GrantRecord,
    permit: Permit,
}

/// A grant as it is stored: it proves nothing until [`GrantClaim::confirm`] sees the root's permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantClaim(GrantRecord);

/// The sealed encoding of a claim. It is a type apart from the claim, so that a claim cannot be deserialized from
/// unsealed text.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct GrantRecord {
    repository: Repository,
    digest: Digest,
    media_type: String,
    size: u64,
    role: Role,
    root: Digest,
    /// How many indexes lie above, the root among them.
    depth: usize,
}

/// What the content is to its parent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// Config or layer of a manifest: for the blob route only.
    Blob,
    /// Child of an index: for the manifest route only (A134).
    Child,
}

impl Role {
    /// The role's name in the store.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Blob => "blob",
            Self::Child => "child",
        }
    }
}

impl Grant {
    /// The grants of a document that itself lies below `above` indexes. None comes from an index that nests deeper than
    /// `index_depth` (A128).
    pub(crate) fn derive(permit: &Permit, document: &Document, above: usize) -> Vec<Self> {
        let (role, depth) = match document.manifest() {
            Manifest::Image(_) => (Role::Blob, above),
            Manifest::Index(_) => (Role::Child, above + 1),
        };
        if depth > limits::INDEX_DEPTH || grants_nothing(permit) {
            return Vec::new();
        }
        let of = |descriptor: &crate::oci::Descriptor| {
            Some(Self {
                claim: GrantRecord {
                    repository: permit.subject().repository.clone(),
                    digest: descriptor.digest?,
                    media_type: descriptor.media_type.clone(),
                    size: descriptor.size,
                    role,
                    root: permit.subject().digest,
                    depth,
                },
                permit: permit.clone(),
            })
        };
        document
            .manifest()
            .content()
            .filter_map(of)
            .filter(|grant| !leaves_out(permit, &grant.claim.digest))
            .collect()
    }

    /// How many indexes lie above, the root among them.
    pub(crate) fn depth(&self) -> usize {
        self.claim.depth
    }

    /// Tells whether it is for an index that nests deeper than `index_depth`: then it opens nothing (A128).
    #[must_use]
    pub fn nests_too_deep(&self) -> bool {
        let is_index =
            matches!(self.claim.media_type.as_str(), media_type::OCI_INDEX | media_type::DOCKER_LIST);
        is_index && self.claim.depth >= limits::INDEX_DEPTH
    }

    /// What it is for.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.claim.digest
    }

    /// The repository in which it counts.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.claim.repository
    }

    /// The size that the parent names, bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.claim.size
    }

    /// The media type that the parent names.
    #[must_use]
    pub fn media_type(&self) -> &str {
        &self.claim.media_type
    }

    /// What the content is to its parent.
    #[must_use]
    pub fn role(&self) -> Role {
        self.claim.role
    }

    /// The permit of the root.
    pub fn permit(&self) -> &Permit {
        &self.permit
    }
}

impl GrantClaim {
    /// Opens a stored grant; `None` when its seal does not hold or it is about something else.
    #[must_use]
    pub fn open(seal: &Seal, sealed: &Sealed, repository: &Repository, digest: &Digest) -> Option<Self> {
        let record: GrantRecord = seal.open(sealed)?;
        (record.repository == *repository && record.digest == *digest).then_some(Self(record))
    }

    /// The root, whose permit must be found or decided before this is worth anything.
    #[must_use]
    pub fn root(&self) -> Subject {
        Subject { repository: self.0.repository.clone(), digest: self.0.root }
    }

    /// What the content is to its parent.
    #[must_use]
    pub fn role(&self) -> Role {
        self.0.role
    }

    /// Makes a grant of it, if `permit` is the root's and counts now.
    #[must_use]
    pub fn confirm(self, permit: Permit, revisions: Revisions, now: Timestamp) -> Option<Grant> {
        let is_roots = *permit.subject() == self.root() && permit.counts(revisions, now);
        let holds = is_roots && !grants_nothing(&permit) && !leaves_out(&permit, &self.0.digest);
        holds.then_some(Grant { claim: self.0, permit })
    }
}

/// Whether the permit grants none of its children, not even under grants that were sealed before it.
fn grants_nothing(permit: &Permit) -> bool {
    match permit.ground() {
        Ground::EachChild => true,
        Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked | Ground::WarnOnly(_) => false,
    }
}

/// Whether the permitted index lists this digest as an attestation manifest, to which no attestation refers (A153).
fn leaves_out(permit: &Permit, digest: &Digest) -> bool {
    permit.met().iter().any(|met| met.attesting.contains(digest))
}

impl Record for GrantRecord {
    const PURPOSE: &'static str = "grant/1";
}

impl AsRecord for Grant {
    type Record = GrantRecord;

    fn as_record(&self) -> GrantRecord {
        self.claim.clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::content::Intact;
    use crate::decide::tests::fixture::*;
    use crate::verdict::Permitted;

    /// The only grant of `document`, which lies below `above` indexes.
    fn only_grant(document: &Intact<Document>, above: usize) -> Grant {
        let set = policy_set(vec![signed_by(&["a"], 1)]);
        let permit = permit(decided(&set, &evidence(vec![signature(by_key("a"))], vec![])));
        let mut grants = Grant::derive(&permit, document.value(), above);
        assert_eq!(grants.len(), 1);
        grants.remove(0)
    }

    #[test]
    fn a_role_has_one_name_in_the_store_and_in_records() {
        for (role, name) in [(Role::Blob, "blob"), (Role::Child, "child")] {
            assert_eq!(role.as_str(), name);
            assert_eq!(serde_json::to_value(role).unwrap(), name);
        }
    }

    #[test]
    fn an_index_below_three_indexes_nests_too_deep_and_an_image_there_does_not() {
        for media_type in [media_type::OCI_INDEX, media_type::DOCKER_LIST] {
            assert!(!only_grant(&index_of(media_type), 1).nests_too_deep(), "{media_type}");
            assert!(only_grant(&index_of(media_type), 2).nests_too_deep(), "{media_type}");
        }
        assert!(!only_grant(&index_of(media_type::OCI_MANIFEST), 2).nests_too_deep());
    }

    #[test]
    fn a128_a_grant_holds_for_the_digest_size_and_type_that_its_parent_lists() {
        let document = index_of(media_type::OCI_MANIFEST);
        let mut grant = only_grant(&document, 0);
        grant.claim.digest = document.digest();
        grant.claim.size = document.value().bytes().len() as u64;
        grant.claim.media_type = document.value().media_type().to_owned();
        let holds = |grant: &Grant| Permitted::under_grant(grant.clone(), document.clone()).is_ok();
        assert!(holds(&grant));
        let lies: [fn(&mut GrantRecord); 4] = [
            |claim| claim.digest = Digest::of(b"another"),
            |claim| claim.size += 1,
            |claim| claim.media_type = media_type::DOCKER_MANIFEST.to_owned(),
            |claim| claim.depth = limits::INDEX_DEPTH,
        ];
        for (n, lie) in lies.into_iter().enumerate() {
            let mut other = grant.clone();
            lie(&mut other.claim);
            assert!(!holds(&other), "{n}");
        }
    }
}
