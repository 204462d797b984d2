//! What `on_undecided` allows when the upstream could not be asked. Never for a cause that an attacker or a fault of our
//! own can bring about at will: integrity, protocol, redirects, overload, storage, clock, stale trust, audit (A148).

use jiff::Timestamp;

use super::{Outcome, after, build, judge};
use crate::code::Code;
use crate::evidence::Evidence;
use crate::evidence::kept::KeptOutcome;
use crate::oci::Document;
use crate::policy::{Governing, OnUndecided, PolicySet};
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

/// What the policy that governs `subject` says of being undecided.
#[must_use]
pub fn setting(set: &PolicySet, subject: &crate::oci::Repository) -> OnUndecided {
    match set.governing(subject) {
        Governing::Policy(policy, _) => policy.on_undecided,
        Governing::Unmatched(_) => OnUndecided::Deny,
    }
}

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
    let young = now < after(evidence.collected, age);
    if outcome != KeptOutcome::Permitted || !young {
        return None;
    }
    match judge(set, subject, document, evidence, now) {
        Outcome::Decided(Verdict::Permit(permit)) => Some(permit),
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
    let allowed = setting(set, &subject.repository) == OnUndecided::InsecurePermit && applies(undecided);
    if !allowed || super::blocked(set, subject, document).is_some() {
        return None;
    }
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else { return None };
    let moment = after(now, std::time::Duration::from_secs(1));
    let why = (Ground::Unchecked, Vec::new());
    match build(set.revisions, subject, Some(policy.name.clone()), why, (now, moment)) {
        Verdict::Permit(permit) => Some(permit),
        Verdict::Deny(_) => None,
    }
}
