//! Evidence that is served without a verdict: because it is nothing but evidence (A030 to A034), and because something in
//! it was verified, or the policy does not ask for that (A601).
//!
//! Never by tag, media type alone or User-Agent. [`EvidenceOnly`] is what was fetched, hashed and strictly parsed here;
//! only [`Passing`] leaves. Only this module makes one:
//!
//! ```compile_fail,E0451
//! use pullgate_policy::evidence::passing::{EvidenceOnly, Passing};
//! fn forge(only: EvidenceOnly, other: Passing) -> Passing {
//!     Passing { only, ..other }
//! }
//! ```
//! To be nothing but evidence is not enough: it is verified, or the policy says that it need not be.
//! ```compile_fail,E0308
//! use pullgate_policy::evidence::passing::{EvidenceOnly, Passing};
//! fn forge(only: EvidenceOnly) -> Passing {
//!     only
//! }
//! ```

use bytes::Bytes;

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

/// Evidence that may leave: in one repository, under the revisions by which that was found.
#[derive(Debug, Clone)]
#[must_use]
pub struct Passing {
    only: EvidenceOnly,
    repository: Repository,
    revisions: Revisions,
    vouched: Option<Vouched>,
}

/// What was verified in a piece of evidence: one fact of perhaps several.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vouched {
    /// Who signed, by the name that the policy has for it.
    pub authority: Name,
    /// Who signed, as people read it.
    pub identity: String,
    /// Which blob of the evidence says so.
    pub blob: Digest,
}

/// Why something does not leave as evidence: it is judged like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotPassing {
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

impl NotPassing {
    /// What people are told of evidence; of what is none they are told as of any image.
    #[must_use]
    pub fn code(self) -> Option<Code> {
        match self {
            Self::Other => None,
            Self::Runnable => Some(Code::EvidenceRunnable),
            Self::Unverified => Some(Code::EvidenceUnverified),
        }
    }
}

impl Passing {
    /// Lets evidence leave in whose own blobs something was verified about `about`, by an authority that the policy of that
    /// repository names. `verified` may say more: only what is of this very manifest counts.
    ///
    /// # Errors
    /// [`NotPassing::Unverified`] when there is nothing of the kind; [`NotPassing::Runnable`] when a layer beside it, that
    /// nobody vouches for, has what could be a number in the place of a tar header's checksum: whoever can push there can
    /// copy a true signature beside it (A601).
    pub fn verified(
        only: EvidenceOnly,
        set: &PolicySet,
        about: &Subject,
        verified: &Evidence,
    ) -> Result<Self, NotPassing> {
        let (manifest, content) = (only.document().digest(), only.document().value().manifest());
        let own = |blob: &Digest| content.content().any(|part| part.digest == Some(*blob));
        let vouched: Vec<_> = vouch::vouched(set, about, verified)
            .filter(|(source, _)| source.manifest == manifest && own(&source.blob))
            .map(|(source, (authority, identity))| Vouched { authority, identity, blob: source.blob })
            .collect();
        let is_vouched = |layer: &Digest| vouched.iter().any(|one| one.blob == *layer);
        if !vouched.is_empty() && !only.numbered().iter().all(is_vouched) {
            return Err(NotPassing::Runnable);
        }
        let vouched = Some(vouched.into_iter().next().ok_or(NotPassing::Unverified)?);
        Ok(Self { only, repository: about.repository.clone(), revisions: set.revisions, vouched })
    }

    /// Lets evidence leave whose signers nobody knows, where the policy of the repository says `evidence = "well-formed"`.
    ///
    /// # Errors
    /// [`NotPassing::Unverified`] where it does not; [`NotPassing::Runnable`] where the place of a tar header's checksum
    /// holds what could be one, whatever the sum (A601).
    pub fn well_formed(
        only: EvidenceOnly,
        set: &PolicySet,
        repository: &Repository,
    ) -> Result<Self, NotPassing> {
        let Governing::Policy(policy, _) = set.governing(repository) else {
            return Err(NotPassing::Unverified);
        };
        match policy.evidence {
            EvidencePasses::Verified => Err(NotPassing::Unverified),
            EvidencePasses::WellFormed if !only.numbered().is_empty() => Err(NotPassing::Runnable),
            EvidencePasses::WellFormed => {
                let (repository, revisions) = (repository.clone(), set.revisions);
                Ok(Self { only, repository, revisions, vouched: None })
            }
        }
    }

    /// Tells whether it may leave in this repository under these revisions: another policy, another trust root or another
    /// block asks anew.
    #[must_use]
    pub fn counts(&self, repository: &Repository, revisions: Revisions) -> bool {
        self.repository == *repository && self.revisions == revisions
    }

    /// What was verified; none where the policy does not ask for it.
    #[must_use]
    pub fn vouched(&self) -> Option<&Vouched> {
        self.vouched.as_ref()
    }

    /// The manifest.
    pub fn document(&self) -> &Intact<Document> {
        self.only.document()
    }

    /// The gate's own copies of config and layers.
    pub fn blobs(&self) -> &[Intact<Bytes>] {
        self.only.blobs()
    }
}

#[cfg(test)]
mod tests;
