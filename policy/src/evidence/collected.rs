//! Where evidence about a subject was found, as it is kept: so that another policy is decided from it without asking
//! the upstream again. The bytes lie in the store by digest and are verified anew each time.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::Layout;
use crate::code::Code;
use crate::oci::Digest;
use crate::seal::{AsRecord, Record, Seal, Sealed};
use crate::verdict::Subject;

/// What one collection found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CollectedEvidence {
    /// What it is about. The same digest in another repository has its own (A155).
    pub subject: Subject,
    /// When the upstream was asked: ages and permits count from here (A543).
    pub collected: Timestamp,
    /// The manifests that carry evidence, by layout.
    pub manifests: Vec<(Layout, Digest)>,
    /// The layouts that could not be asked.
    pub unread: Vec<(Layout, Code)>,
    /// Whether a policy that checks permitted the subject by it: what `last_permit` needs (A148).
    pub outcome: KeptOutcome,
}

/// The outcome of the evidence when it was collected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum KeptOutcome {
    /// A policy that checks permitted the subject.
    Permitted,
    /// None did.
    NotPermitted,
}

impl CollectedEvidence {
    /// Brings a kept collection back; `None` when its seal does not hold or it is about something else.
    #[must_use]
    pub fn open(seal: &Seal, sealed: &Sealed, subject: &Subject) -> Option<Self> {
        let kept: Self = seal.open(sealed)?;
        (kept.subject == *subject).then_some(kept)
    }
}

impl Record for CollectedEvidence {
    const PURPOSE: &'static str = "evidence/1";
}

impl AsRecord for CollectedEvidence {
    type Record = Self;

    fn as_record(&self) -> Self {
        self.clone()
    }
}
