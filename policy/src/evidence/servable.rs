//! Evidence that is served without a verdict: because it is nothing but evidence (A030 to A034), and because something in
//! it was verified, or the policy does not ask for that (A601).
//!
//! Never by tag, media type alone or User-Agent. [`EvidenceOnly`] is what was fetched, hashed and strictly parsed here;
//! only what is [`Passed`] leaves, by a [`ServableEvidence`]. Only this module makes one:
//!
//! ```compile_fail,E0451
//! use pullgate_policy::{content::Intact, evidence::servable::Passed, oci::Document};
//! fn forge(content: Intact<Document>, other: Passed<Document>) -> Passed<Document> {
//!     Passed { content, ..other }
//! }
//! ```
//! ```compile_fail,E0451
//! use pullgate_policy::{evidence::servable::ServableEvidence, oci::Digest};
//! fn forge(manifest: Digest, other: ServableEvidence) -> ServableEvidence {
//!     ServableEvidence { manifest, ..other }
//! }
//! ```
//! To be nothing but evidence is not enough: it is verified, or the policy says that it need not be.
//! ```compile_fail,E0308
//! use pullgate_policy::evidence::servable::{EvidenceOnly, ServableEvidence};
//! fn forge(only: EvidenceOnly) -> ServableEvidence {
//!     only
//! }
//! ```

use bytes::Bytes;
use jiff::Timestamp;

use super::Evidence;
use crate::code::Code;
use crate::content::Intact;
use crate::decide::vouch;
use crate::identity::Name;
use crate::oci::{Digest, Document, Repository};
use crate::policy::{EvidencePasses, Governing, PolicySet, Revisions};
use crate::verdict::Subject;

mod archive;
mod config;
mod only;

pub use only::{EvidenceOnly, LayerKind};

/// That evidence may leave: in one repository, under the revisions by which that was found. It holds digests only, so
/// that it can be remembered however large the evidence is.
#[derive(Debug, Clone)]
#[must_use]
pub struct ServableEvidence {
    manifest: Digest,
    blobs: Vec<Named>,
    repository: Repository,
    revisions: Revisions,
    vouched: Option<Vouched>,
}

/// The manifest, or a blob, of evidence that passes.
#[derive(Debug, Clone)]
#[must_use]
pub struct Passed<T> {
    content: Intact<T>,
    vouched: Option<Vouched>,
}

/// A blob of evidence, as its manifest names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Named {
    /// By which digest.
    pub digest: Digest,
    /// The SHA-256 digest of the bytes.
    pub sha256: Digest,
    /// Bytes.
    pub size: u64,
}

/// One of the facts that were verified in a piece of evidence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who signed, by the name that the policy has for it.
    pub authority: Name,
    /// Who signed, as people read it.
    pub identity: String,
    /// The blob of the evidence that holds the fact.
    pub blob: Digest,
    /// The first moment at which it says so no longer, where that has an end.
    pub ends: Option<Timestamp>,
}

/// Why something does not leave as evidence: it is judged like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotServable {
    /// It is something else, or more.
    #[error("not evidence and nothing else")]
    Other,
    /// A runtime could unpack a layer, or start what the config names (A601).
    #[error("dressed as evidence, and a runtime could run it")]
    Runnable,
    /// Nothing in it was verified by an authority of the policy, and the policy does not do without.
    #[error("nothing in it was verified")]
    Unverified,
}

impl NotServable {
    /// The reason code for a manifest that looks like evidence; any other manifest is reported as an image.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Other => None,
            Self::Runnable => Some(Code::EvidenceRunnable),
            Self::Unverified => Some(Code::EvidenceUnverified),
        }
    }
}

impl ServableEvidence {
    /// Lets evidence leave if a fact about `about` was verified in its own blobs, by an authority that the policy of
    /// that repository names. Facts of `verified` from other manifests do not count.
    ///
    /// # Errors
    /// [`NotServable::Unverified`] without such a fact; [`NotServable::Runnable`] when another layer, which no
    /// signature vouches for, has a possible number in the place of a tar header's checksum: an attacker who can push
    /// may copy a true signature beside it (A601).
    pub fn verified(
        only: &EvidenceOnly,
        set: &PolicySet,
        about: &Subject,
        verified: &Evidence,
    ) -> Result<Self, NotServable> {
        let (manifest, content) = (only.document().digest(), only.document().value().manifest());
        let own = |blob: &Digest| content.content().any(|part| part.digest == Some(*blob));
        let vouched: Vec<_> = vouch::vouched(set, about, verified)
            .filter(|(source, ..)| source.manifest == manifest && own(&source.blob))
            .map(|(source, (authority, identity), ends)| Vouched {
                authority,
                identity,
                blob: source.blob,
                ends,
            })
            .collect();
        let is_vouched = |layer: &Digest| vouched.iter().any(|one| one.blob == *layer);
        if !vouched.is_empty() && !only.numbered().iter().all(is_vouched) {
            return Err(NotServable::Runnable);
        }
        // Of several the one that says so longest.
        let lasts = |one: &Vouched| one.ends.unwrap_or(Timestamp::MAX);
        let longest =
            vouched.into_iter().reduce(|one, other| if lasts(&other) > lasts(&one) { other } else { one });
        let vouched = Some(longest.ok_or(NotServable::Unverified)?);
        Ok(Self::of(only, about.repository.clone(), set.revisions, vouched))
    }

    /// Lets evidence by unknown signers leave, where the policy of the repository says `evidence = "well-formed"`.
    ///
    /// # Errors
    /// [`NotServable::Unverified`] where it does not; [`NotServable::Runnable`] where the place of a tar header's checksum
    /// holds what could be one, whatever the sum (A601).
    pub fn well_formed(
        only: &EvidenceOnly,
        set: &PolicySet,
        repository: &Repository,
    ) -> Result<Self, NotServable> {
        let Governing::Policy(policy, _) = set.governing(repository) else {
            return Err(NotServable::Unverified);
        };
        match policy.evidence {
            EvidencePasses::Verified => Err(NotServable::Unverified),
            EvidencePasses::WellFormed if !only.numbered().is_empty() => Err(NotServable::Runnable),
            EvidencePasses::WellFormed => Ok(Self::of(only, repository.clone(), set.revisions, None)),
        }
    }

    fn of(
        only: &EvidenceOnly,
        repository: Repository,
        revisions: Revisions,
        vouched: Option<Vouched>,
    ) -> Self {
        let named = |(digest, blob): (&Digest, &Intact<Bytes>)| Named {
            digest: *digest,
            sha256: blob.digest(),
            size: blob.value().len() as u64,
        };
        let (manifest, blobs) = (only.document().digest(), only.blobs().map(named).collect());
        Self { manifest, blobs, repository, revisions, vouched }
    }

    /// Tells whether it may leave in this repository under these revisions at this time: another policy, another trust root
    /// or another block asks anew, and so does the end of what vouched for it (A679).
    #[must_use]
    pub fn counts(&self, repository: &Repository, revisions: Revisions, now: Timestamp) -> bool {
        let ends = self.vouched.as_ref().and_then(|vouched| vouched.ends);
        self.repository == *repository && self.revisions == revisions && ends.is_none_or(|ends| now < ends)
    }

    /// What was verified; none where the policy does not ask for it.
    #[must_use]
    pub fn vouched(&self) -> Option<&Vouched> {
        self.vouched.as_ref()
    }

    /// The manifest's digest.
    #[must_use]
    pub fn manifest(&self) -> Digest {
        self.manifest
    }

    /// Config and layers.
    #[must_use]
    pub fn blobs(&self) -> &[Named] {
        &self.blobs
    }

    /// Config or a layer, by the digest that the manifest names it by.
    #[must_use]
    pub fn named(&self, digest: &Digest) -> Option<&Named> {
        self.blobs.iter().find(|blob| blob.digest == *digest)
    }

    /// Lets the manifest leave; `None` for another manifest.
    #[must_use]
    pub fn document(&self, document: Intact<Document>) -> Option<Passed<Document>> {
        let is_it = document.digest() == self.manifest;
        is_it.then(|| Passed { content: document, vouched: self.vouched.clone() })
    }

    /// Lets the manifest's blob `digest` leave; `None` for other bytes.
    #[must_use]
    pub fn blob(&self, digest: &Digest, bytes: Intact<Bytes>) -> Option<Passed<Bytes>> {
        let is_it = self.named(digest)?.sha256 == bytes.digest();
        is_it.then(|| Passed { content: bytes, vouched: self.vouched.clone() })
    }
}

impl<T> Passed<T> {
    /// The content.
    pub fn content(&self) -> &Intact<T> {
        &self.content
    }

    /// What was verified; none where the policy does not ask for it.
    #[must_use]
    pub fn vouched(&self) -> Option<&Vouched> {
        self.vouched.as_ref()
    }
}

#[cfg(test)]
mod tests;
