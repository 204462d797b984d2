//! The verdict of a policy revision on a subject, and the proof that content may leave.
//!
//! ```compile_fail,E0451
//! use pullgate_policy::verdict::Permit;
//! fn forge(other: Permit) -> Permit {
//!     Permit { ..other }
//! }
//! ```
//! ```compile_fail,E0451
//! use pullgate_policy::verdict::{Basis, Permitted};
//! fn forge<T>(value: pullgate_policy::content::Intact<T>, basis: Basis) -> Permitted<T> {
//!     Permitted { value, basis }
//! }
//! ```
//! A permit is read from a store by [`Permit::recall`] only:
//! ```compile_fail,E0277
//! let forged: pullgate_policy::verdict::Permit = serde_json::from_str("{}").unwrap();
//! ```

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::content::Intact;
use crate::grant::Grant;
use crate::identity::Name;
use crate::oci::{Digest, Document, Repository};
use crate::policy::{Location, Revisions};
use crate::seal::{AsRecord, Record, Seal, Sealed};
use crate::time::later;

mod denial;
mod message;

pub use denial::{Denial, Failed, Judged, Named, Reason, Signer};

/// What is judged: a digest in a repository. The same digest elsewhere is another subject (A155).
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Subject {
    /// The repository.
    pub repository: Repository,
    /// The SHA-256 digest.
    pub digest: Digest,
}

/// What a policy revision says of a subject.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each pull, moved a few times: a box would cost more than it saves"
)]
pub enum Verdict {
    /// No.
    Deny(Denial),
    /// Yes.
    Permit(Permit),
}

/// A yes, about one subject, for a while, on a ground.
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Permit {
    subject: Subject,
    revisions: Revisions,
    policy: Option<Name>,
    ground: Ground,
    met: Vec<Met>,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

/// On what ground a permit stands.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Ground {
    /// An index each of whose children needs a permit of its own: this permit grants no child.
    EachChild,
    /// An exemption of the policy.
    Exempt {
        /// Who answers for it.
        owner: String,
        /// Where it stands.
        location: Location,
    },
    /// Every requirement was met.
    Satisfied,
    /// The policy asks for nothing here.
    Unchecked,
    /// It would have been denied, and the policy only warns.
    WarnOnly(Denial),
}

/// A requirement that was met.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Met {
    /// The requirement.
    pub location: Location,
    /// The authorities that met it.
    pub authorities: Vec<Name>,
    /// The identities that counted, in the same order, as people read them.
    pub identities: Vec<String>,
    /// The evidence that counted.
    pub evidence: Vec<Digest>,
    /// Other repositories that it names itself to be of, as people read them (A204).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub claimed: Vec<String>,
    /// Attestation manifests of an index, to which no attestation refers: the index's permit does not cover them
    /// (A153).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub attesting: Vec<Digest>,
}

/// No verdict could be reached. It has no way into a store and is never remembered (A544).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Undecided {
    code: Code,
}

/// An intact value that may be served, and why.
#[derive(Debug, Clone)]
#[must_use]
pub struct Permitted<T> {
    value: Intact<T>,
    basis: Basis,
}

/// Why content may be served.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each pull, moved a few times: a box would cost more than it saves"
)]
pub enum Basis {
    /// Its root has a permit now.
    Grant(Grant),
    /// It has a permit itself.
    Permit(Permit),
}

/// The permit is about something else.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the permit is about another digest")]
pub struct OtherSubject;

impl Ground {
    /// The ground's name in records and metrics.
    #[must_use]
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::EachChild => "each-child",
            Self::Exempt { .. } => "exempt",
            Self::Satisfied => "satisfied",
            Self::Unchecked => "unchecked",
            Self::WarnOnly(_) => "warn-only",
        }
    }
}

/// The parts of a permit, for [`crate::decide`] and [`Permit::recall`] only.
pub(crate) struct PermitParts {
    pub(crate) subject: Subject,
    pub(crate) revisions: Revisions,
    pub(crate) policy: Option<Name>,
    pub(crate) ground: Ground,
    pub(crate) met: Vec<Met>,
    pub(crate) valid_from: Timestamp,
    pub(crate) valid_until: Timestamp,
}

impl Permit {
    pub(crate) fn new(parts: PermitParts) -> Self {
        let PermitParts { subject, revisions, policy, ground, met, valid_from, valid_until } = parts;
        Self { subject, revisions, policy, ground, met, valid_from, valid_until }
    }

    /// What it is about.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The revisions it was given under.
    #[must_use]
    pub fn revisions(&self) -> Revisions {
        self.revisions
    }

    /// The policy that gave it, if one governs.
    #[must_use]
    pub fn policy(&self) -> Option<&Name> {
        self.policy.as_ref()
    }

    /// On what ground it stands.
    #[must_use]
    pub fn ground(&self) -> &Ground {
        &self.ground
    }

    /// The requirements that were met.
    #[must_use]
    pub fn met(&self) -> &[Met] {
        &self.met
    }

    /// The first moment at which it no longer counts.
    #[must_use]
    pub fn valid_until(&self) -> Timestamp {
        self.valid_until
    }

    /// Tells whether it counts at `now` under `revisions`. One from the future does not (A541).
    #[must_use]
    pub fn counts(&self, revisions: Revisions, now: Timestamp) -> bool {
        self.revisions == revisions && self.valid_from <= now && now < self.valid_until
    }

    /// The same permit, ending at `moment` if it would last longer.
    pub(crate) fn ending_by(self, moment: Timestamp) -> Self {
        Self { valid_until: self.valid_until.min(moment), ..self }
    }

    /// The same permit under a `permit_ttl` that may have become shorter since it was given: age counts from the collection
    /// of its evidence (A543). It never lasts longer than before.
    pub fn within(self, permit_ttl: Duration) -> Self {
        let end = later(self.valid_from, permit_ttl);
        self.ending_by(end)
    }

    /// Brings a stored permit back, if its seal holds, it is about this subject and it counts now.
    #[must_use]
    pub fn recall(
        seal: &Seal,
        sealed: &Sealed,
        subject: &Subject,
        revisions: Revisions,
        now: Timestamp,
    ) -> Option<Self> {
        let record: PermitRecord = seal.open(sealed)?;
        let permit = Self::new(PermitParts {
            subject: record.subject,
            revisions: record.revisions,
            policy: record.policy,
            ground: record.ground,
            met: record.met,
            valid_from: record.valid_from,
            valid_until: record.valid_until,
        });
        (permit.subject == *subject && permit.counts(revisions, now)).then_some(permit)
    }

    /// Joins a permit and the content it is about.
    ///
    /// # Errors
    /// [`OtherSubject`] when the content has another digest: the two proofs must be about the same bytes.
    pub fn apply<T>(self, value: Intact<T>) -> Result<Permitted<T>, OtherSubject> {
        if self.subject.digest == value.digest() {
            Ok(Permitted { value, basis: Basis::Permit(self) })
        } else {
            Err(OtherSubject)
        }
    }
}

impl Undecided {
    /// No verdict, because of `code`.
    #[must_use]
    pub fn new(code: Code) -> Self {
        Self { code }
    }

    /// Why.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }
}

impl<T> Permitted<T> {
    /// The content.
    #[must_use]
    pub fn value(&self) -> &T {
        self.value.value()
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> Digest {
        self.value.digest()
    }

    /// Why it may be served.
    #[must_use]
    pub fn basis(&self) -> &Basis {
        &self.basis
    }

    /// The permit on which it rests in the end: its own, or its root's.
    pub fn permit(&self) -> &Permit {
        match &self.basis {
            Basis::Grant(grant) => grant.permit(),
            Basis::Permit(permit) => permit,
        }
    }
}

impl Permitted<Document> {
    /// Joins a grant and the document it is about: the very digest, size and type that the parent lists (A128).
    ///
    /// # Errors
    /// [`OtherSubject`] when one of them differs, or the parent nests too deep to speak for an index.
    pub fn under_grant(grant: Grant, value: Intact<Document>) -> Result<Self, OtherSubject> {
        let size = grant.size() == value.value().bytes().len() as u64;
        // The media type is the grant's, not the upstream's latest `Content-Type` (A610).
        let value = match grant.media_type() == value.value().media_type() {
            true => value,
            false => value.listed_as(grant.media_type()).map_err(|_another| OtherSubject)?,
        };
        let listed = size && grant.media_type() == value.value().media_type();
        if listed && grant.digest() == value.digest() && !grant.nests_too_deep() {
            Ok(Self { value, basis: Basis::Grant(grant) })
        } else {
            Err(OtherSubject)
        }
    }

    /// Indexes above it through which it is permitted.
    #[must_use]
    pub fn depth(&self) -> usize {
        match &self.basis {
            Basis::Grant(grant) => grant.depth(),
            Basis::Permit(_) => 0,
        }
    }

    /// The grants that follow from serving this: children of an index, config and layers of an image. An index with an
    /// empty list grants nothing. Content of an unknown digest algorithm gets no grant (A132).
    #[must_use]
    pub fn grants(&self) -> Vec<Grant> {
        Grant::derive(self.permit(), self.value(), self.depth())
    }
}

#[derive(Serialize, Deserialize)]
pub(crate) struct PermitRecord {
    subject: Subject,
    revisions: Revisions,
    policy: Option<Name>,
    ground: Ground,
    met: Vec<Met>,
    valid_from: Timestamp,
    valid_until: Timestamp,
}

impl Record for PermitRecord {
    const PURPOSE: &'static str = "permit/1";
}

impl AsRecord for Permit {
    type Record = PermitRecord;

    fn as_record(&self) -> PermitRecord {
        PermitRecord {
            subject: self.subject.clone(),
            revisions: self.revisions,
            policy: self.policy.clone(),
            ground: self.ground.clone(),
            met: self.met.clone(),
            valid_from: self.valid_from,
            valid_until: self.valid_until,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_ground_has_its_name_in_records() {
        let location = Location { file: "policy.toml".into(), line: 1 };
        for (ground, name) in [
            (Ground::Exempt { owner: "team".to_owned(), location }, "exempt"),
            (Ground::EachChild, "each-child"),
            (Ground::Satisfied, "satisfied"),
            (Ground::Unchecked, "unchecked"),
            (Ground::WarnOnly(crate::decide::unmatched()), "warn-only"),
        ] {
            assert_eq!(ground.as_str(), name);
        }
    }
}
