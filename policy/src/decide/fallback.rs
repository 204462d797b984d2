//! What `on_undecided` allows when the upstream could not be asked. Never for a cause that an attacker or a fault of our
//! own can bring about at will: integrity, protocol, redirects, overload, storage, clock, stale trust, audit (A148).

use std::time::Duration;

use jiff::Timestamp;

use super::{Outcome, judge_within, permit, without_evidence};
use crate::code::Code;
use crate::evidence::Evidence;
use crate::evidence::collected::KeptOutcome;
use crate::oci::{Document, Repository};
use crate::policy::{Governing, OnUndecided, PolicySet};
use crate::time::later;
use crate::verdict::{Ground, Permit, Subject, Undecided, Verdict};

/// Tells whether `on_undecided` applies to this cause.
#[must_use]
pub fn applies(undecided: &Undecided) -> bool {
    matches!(
        undecided.code(),
        Code::Deadline
            | Code::EvidenceUnavailable
            | Code::UpstreamStatus
            | Code::UpstreamTimeout
            | Code::UpstreamUnauthorized
            | Code::UpstreamUnreachable
    )
}

/// What the policy that governs `repository` says of being undecided.
#[must_use]
pub fn setting(set: &PolicySet, repository: &Repository) -> OnUndecided {
    match set.governing(repository) {
        Governing::Policy(policy, _) => policy.on_undecided,
        Governing::Unmatched(_) => OnUndecided::Deny,
    }
}

/// How long a permit by one of these ways counts: for the answer at hand. Whoever stored it would not keep it.
const FOR_THIS_ANSWER: Duration = Duration::from_secs(1);

/// A permit for this answer by evidence that is kept, decided anew under the current policy. It must have permitted the
/// same digest before, and be at most as old as `last_permit` says. Block and deny win; nothing of it may be stored.
#[must_use]
pub fn last_permit(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    (evidence, outcome): (&Evidence, KeptOutcome),
    now: Timestamp,
) -> Option<Permit> {
    let OnUndecided::LastPermit(age) = setting(set, &subject.repository) else { return None };
    if outcome != KeptOutcome::Permitted {
        return None;
    }
    // Evidence that is older than that, or from the future, decides nothing (A541).
    match judge_within(set, subject, document, evidence, (now, age)) {
        Outcome::Decided(Verdict::Permit(permit)) => Some(permit.ending_by(later(now, FOR_THIS_ANSWER))),
        Outcome::Decided(Verdict::Deny(_)) | Outcome::Undecided(_) => None,
    }
}

/// An unchecked permit for this answer, where the policy says `insecure_permit` and nothing forbids the subject.
#[must_use]
pub fn insecure_permit(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    undecided: &Undecided,
    now: Timestamp,
) -> Option<Permit> {
    if setting(set, &subject.repository) != OnUndecided::InsecurePermit || !applies(undecided) {
        return None;
    }
    // A block or a foreign layer is known without evidence: that much was decided.
    if let Some(Verdict::Deny(_)) = without_evidence(set, subject, document, now) {
        return None;
    }
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else { return None };
    let why = (Ground::Unchecked, Vec::new());
    match permit(set.revisions, subject, Some(policy.name.clone()), why, (now, later(now, FOR_THIS_ANSWER))) {
        Verdict::Permit(permit) => Some(permit),
        Verdict::Deny(_) => None,
    }
}
