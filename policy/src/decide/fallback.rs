//! What `on_undecided` allows when the upstream could not be asked. Never for a cause that an attacker or a fault of our
//! own can bring about at will: integrity, protocol, redirects, overload, storage, clock, stale trust, audit (A148).

use std::time::Duration;

use jiff::Timestamp;

use super::{Outcome, denial, judge_within, permit, without_evidence};
use crate::code::Code;
use crate::evidence::Evidence;
use crate::evidence::collected::KeptOutcome;
use crate::oci::{Document, Repository};
use crate::policy::{Governing, Mode, OnUndecided, PolicySet};
use crate::time::later;
use crate::verdict::{Ground, Permit, Reason, Subject, Undecided, Verdict};

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

/// Tells whether this setting bridges this cause. `last_permit` judges kept evidence anew, so it bridges every answer
/// that says nothing about the content: a maintenance page, a redirect to a login, an expired certificate.
#[must_use]
pub fn bridges(setting: OnUndecided, undecided: &Undecided) -> bool {
    match setting {
        OnUndecided::Deny => false,
        OnUndecided::InsecurePermit => applies(undecided),
        OnUndecided::LastPermit(_) => {
            applies(undecided)
                || matches!(
                    undecided.code(),
                    Code::RealmRefused
                        | Code::RedirectRefused
                        | Code::UpstreamEncoding
                        | Code::UpstreamProtocol
                        | Code::UpstreamTls
                )
        }
    }
}

/// `on_undecided` of the policy that governs `repository`.
#[must_use]
pub fn setting(set: &PolicySet, repository: &Repository) -> OnUndecided {
    match set.governing(repository) {
        Governing::Policy(policy, _) => policy.on_undecided,
        Governing::Unmatched(_) => OnUndecided::Deny,
    }
}

/// Tells whether the policy that governs `repository` only warns.
#[must_use]
pub fn warns(set: &PolicySet, repository: &Repository) -> bool {
    match set.governing(repository) {
        Governing::Policy(policy, _) => policy.mode == Mode::Warn,
        Governing::Unmatched(_) => false,
    }
}

/// How long a permit by one of these ways counts: for the answer at hand. A stored one would expire at once.
const FOR_THIS_ANSWER: Duration = Duration::from_secs(1);

/// A permit for this answer by kept evidence, decided anew under the current policy. The evidence must have permitted
/// the same digest before, and be at most as old as `last_permit` says. Block and deny win; the permit must not be
/// stored.
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

/// A permit with a warning for this answer, where the policy only warns: an image whose evidence is missing is served
/// like one that would be refused.
#[must_use]
pub fn warned(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    undecided: &Undecided,
    now: Timestamp,
) -> Option<Permit> {
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else { return None };
    let wants_evidence = applies(undecided) || undecided.code() == Code::TrustStale;
    if policy.mode != Mode::Warn || !wants_evidence {
        return None;
    }
    if let Some(Verdict::Deny(_)) = without_evidence(set, subject, document, now) {
        return None;
    }
    let text = format!("it could not be judged: {}", undecided.code().cause());
    let reason = Reason { code: undecided.code(), location: Some(policy.location.clone()), text };
    let why = (Ground::WarnOnly(denial(policy, vec![reason])), Vec::new());
    match permit(set.revisions, subject, Some(policy.name.clone()), why, (now, later(now, FOR_THIS_ANSWER))) {
        Verdict::Permit(permit) => Some(permit),
        Verdict::Deny(_) => None,
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
    // A block or a foreign layer denies without any evidence.
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
