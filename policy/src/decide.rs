//! The one pure function that decides.
//!
//! Evidence can only help: every requirement is met by what is there, none by what is absent (A122). The order of
//! evidence never matters. [`judge`] is the whole; [`without_evidence`] its part that costs no request.

use std::time::Duration;

use jiff::Timestamp;

use crate::code::Code;
use crate::evidence::Evidence;
use crate::evidence::servable::NotServable;
use crate::expression::Image;
use crate::identity::Name;
use crate::oci::{Digest, Document, Manifest, manifest::Foreign};
use crate::policy::{
    Block, ForeignLayers, Governing, IndexRule, Location, Mode, Policy, PolicySet, Revisions, Rule, Unmatched,
};
use crate::text;
use crate::time::later;
use crate::verdict::{Denial, Ground, Met, Permit, PermitParts, Reason, Subject, Undecided, Verdict};

pub mod fallback;
mod holders;
mod matching;
mod meet;
mod signers;
mod unmet;
pub(crate) mod vouch;

/// The verdict of `set` on `subject` before any evidence is read; `None` means that evidence must be collected.
///
/// The order is that of safety. A block wins over everything (A409). A repository that no scope matches under
/// `unmatched = "deny"` ends here, except for what an exemption names: an exemption for one digest must not let clients
/// probe the rest of the upstream (A062). An exemption replaces every requirement of the repository's policy.
#[must_use]
pub fn without_evidence(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    now: Timestamp,
) -> Option<Verdict> {
    if let Some(denial) = blocked(set, subject, document) {
        return Some(Verdict::Deny(denial));
    }
    let governing = set.governing(&subject.repository);
    let given = |policy: Option<&Policy>, ground: Ground, until: Timestamp| {
        let until = until.min(later(now, set.permit_ttl));
        Some(permit(
            set.revisions,
            subject,
            policy.map(|policy| policy.name.clone()),
            (ground, Vec::new()),
            (now, until),
        ))
    };
    let policy = match governing {
        Governing::Policy(policy, _) => Some(policy),
        Governing::Unmatched(_) => None,
    };
    if let Some(exemption) = set.exemption(&subject.repository, &subject.digest, now) {
        let ground =
            Ground::Exempt { owner: text::escape(&exemption.owner), location: exemption.location.clone() };
        return given(policy, ground, exemption.until);
    }
    match governing {
        Governing::Unmatched(Unmatched::Deny) => Some(Verdict::Deny(unmatched())),
        Governing::Unmatched(Unmatched::Permit) => given(None, Ground::Unchecked, Timestamp::MAX),
        Governing::Unmatched(Unmatched::Warn) => given(None, Ground::WarnOnly(unmatched()), Timestamp::MAX),
        Governing::Policy(policy, _) => match (&policy.rule, policy.mode, foreign(policy, document)) {
            (Rule::Deny(reason), Mode::Enforce, _) => Some(Verdict::Deny(refused_by_name(policy, reason))),
            (Rule::Deny(reason), Mode::Warn, _) => {
                given(Some(policy), Ground::WarnOnly(refused_by_name(policy, reason)), Timestamp::MAX)
            }
            // No evidence can mend it, so it costs no request and is never undecided. It also stands here for the
            // children of a permitted index, which are served under its grant (A130).
            (_, Mode::Enforce, Some(reason)) => Some(Verdict::Deny(denial(policy, vec![reason]))),
            (Rule::InsecurePermitAnything, Mode::Warn, Some(reason)) => {
                given(Some(policy), Ground::WarnOnly(denial(policy, vec![reason])), Timestamp::MAX)
            }
            (Rule::InsecurePermitAnything, _, None) => given(Some(policy), Ground::Unchecked, Timestamp::MAX),
            (Rule::Requirements(_), _, None) if each_child(policy, document) => {
                given(Some(policy), Ground::EachChild, Timestamp::MAX)
            }
            (Rule::Requirements(_), _, _) => None,
        },
    }
}

/// The denial of a policy that denies everything, before the subject is resolved; `None` where it only warns, or has
/// requirements.
#[must_use]
pub fn refused(policy: &Policy) -> Option<Denial> {
    match (&policy.rule, policy.mode) {
        (Rule::Deny(reason), Mode::Enforce) => Some(refused_by_name(policy, reason)),
        (Rule::Deny(_), Mode::Warn) | (Rule::InsecurePermitAnything | Rule::Requirements(_), _) => None,
    }
}

fn refused_by_name(policy: &Policy, reason: &str) -> Denial {
    let (text, location) = (format!("denied: {}", text::escape(reason)), Some(policy.location.clone()));
    denial(policy, vec![Reason { code: Code::PolicyDenies, location, text }])
}

/// Whether the document is an index whose children each need a permit of their own.
fn each_child(policy: &Policy, document: &Document) -> bool {
    match (policy.index, document.manifest()) {
        (IndexRule::EachChild, Manifest::Index(_)) => true,
        (IndexRule::EachChild, Manifest::Image(_)) | (IndexRule::Itself, _) => false,
    }
}

/// The denial of a repository that no scope matches (A062).
#[must_use]
pub fn unmatched() -> Denial {
    let text = "no scope matches this repository".to_owned();
    Denial::new(None, Reason { code: Code::ScopeUnmatched, location: None, text }, Vec::new())
}

/// The denial of a blocked subject, or of an image with a blocked part, which could not be pulled whole. An index is
/// not denied for a child: each child is judged when it is asked for.
#[must_use]
pub fn blocked(set: &PolicySet, subject: &Subject, document: &Document) -> Option<Denial> {
    let parts = match document.manifest() {
        Manifest::Image(_) => Some(document.manifest().content().filter_map(|descriptor| descriptor.digest)),
        Manifest::Index(_) => None,
    };
    let by_digest = std::iter::once(subject.digest)
        .chain(parts.into_iter().flatten())
        .find_map(|digest| set.block(&digest));
    // Subjects are known by SHA-256: a block that names the SHA-512 of the same bytes must hold too (A013).
    let by_bytes = || set.blocks.iter().find(|block| names_bytes_by_sha512(block, document));
    by_digest.or_else(by_bytes).map(block_denial)
}

fn names_bytes_by_sha512(block: &Block, document: &Document) -> bool {
    match block.digest {
        Digest::Sha512(_) => block.digest.recompute(document.bytes()) == block.digest,
        Digest::Sha256(_) => false,
    }
}

/// The denial that a block stands for.
#[must_use]
pub fn block_denial(block: &Block) -> Denial {
    let text = format!("blocked: {}", text::escape(&block.reason));
    Denial::new(
        None,
        Reason { code: Code::Blocked, location: Some(block.location.clone()), text },
        Vec::new(),
    )
}

/// The denial of a shape that no mode serves.
#[must_use]
pub fn shape_denial(code: Code) -> Denial {
    Denial::new(None, Reason { code, location: None, text: code.cause().to_owned() }, Vec::new())
}

/// The denial of a manifest of a type that is not served, with that type.
#[must_use]
pub fn type_denial(code: Code, media_type: &str) -> Denial {
    let text = format!("{} Its type is {}.", code.cause(), text::escape(media_type));
    Denial::new(None, Reason { code, location: None, text }, Vec::new())
}

fn foreign(policy: &Policy, document: &Document) -> Option<Reason> {
    let elsewhere = document.manifest().content().any(|descriptor| descriptor.foreign == Foreign::Urls);
    let reason = || Reason {
        code: Code::ForeignLayer,
        location: Some(policy.location.clone()),
        text: "a layer would be fetched from elsewhere".to_owned(),
    };
    match policy.foreign_layers {
        ForeignLayers::Deny => elsewhere.then(reason),
        ForeignLayers::Permit => None,
    }
}

/// What came of judging.
#[derive(Debug, Clone)]
#[expect(
    clippy::large_enum_variant,
    reason = "one for each pull, moved a few times: a box would cost more than it saves"
)]
pub enum Outcome {
    /// A verdict.
    Decided(Verdict),
    /// None: a layout that might hold what is missing could not be asked.
    Undecided(Undecided),
}

/// Decides about `subject` by `evidence` at `now`.
///
/// A denial stands only when every layout could be asked; else it is undecided (A146), in warn mode too: "no signature"
/// must not be reported, nor remembered, while a layout is unread. A permit stands whatever else failed, since more
/// evidence cannot unmeet a requirement (A147). Evidence older than `permit_ttl` decides nothing (A543).
#[must_use]
pub fn judge(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    evidence: &Evidence,
    now: Timestamp,
) -> Outcome {
    judge_within(set, subject, document, evidence, (now, set.permit_ttl))
}

/// [`judge`], with `lifetime` in place of `permit_ttl`: how long evidence counts from its collection.
fn judge_within(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    evidence: &Evidence,
    (now, lifetime): (Timestamp, Duration),
) -> Outcome {
    if let Some(verdict) = without_evidence(set, subject, document, now) {
        return Outcome::Decided(verdict);
    }
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else {
        return Outcome::Decided(Verdict::Deny(unmatched()));
    };
    // Evidence about another subject is ignored (invariant 3).
    let none = Evidence::none(subject.digest, evidence.collected);
    let evidence = if evidence.subject == subject.digest { evidence } else { &none };
    let limit = later(evidence.collected, lifetime);
    // Evidence with a collection time in the future would never age. A clock is wrong then, and `on_undecided` does not
    // cover that (A541).
    if now < evidence.collected {
        return Outcome::Undecided(Undecided::new(Code::ClockImplausible));
    }
    if limit <= now {
        return Outcome::Undecided(Undecided::new(Code::EvidenceUnavailable));
    }
    let permit = |ground, met, until: Timestamp| {
        let (name, revisions) = (Some(policy.name.clone()), set.revisions);
        let verdict = permit(revisions, subject, name, (ground, met), (evidence.collected, until.min(limit)));
        Outcome::Decided(verdict)
    };
    let met = meet::all(set, policy, (evidence, document), (&image(subject, document), now));
    let unmet = match (met, foreign(policy, document)) {
        (Ok((met, until)), None) => return permit(Ground::Satisfied, met, until),
        (Ok(_), Some(_)) => Vec::new(),
        (Err(unmet), _) => unmet,
    };
    if let Some(undecided) = unread(evidence) {
        return Outcome::Undecided(undecided);
    }
    let (signers, failed) = (signers::all(evidence, &unmet), signers::failed(evidence));
    let met = met_beside(policy, &unmet);
    // The latest of these times, where only age is missing.
    let ripe: Option<Vec<Timestamp>> = unmet.iter().map(|unmet| unmet.ripe_at).collect();
    let ripe_at = ripe.filter(|_| foreign(policy, document).is_none()).and_then(|all| all.into_iter().max());
    let (reasons, skipped): (Vec<_>, Vec<_>) =
        unmet.into_iter().map(|unmet| (*unmet.reason, unmet.skipped)).unzip();
    let reasons =
        unpassed(policy, evidence).into_iter().chain(foreign(policy, document)).chain(reasons).collect();
    let denial = denial(policy, reasons).with_skipped(skipped.into_iter().flatten().collect());
    let denial = denial.with_signers(signers, failed).with_met(met).with_ripe_at(ripe_at);
    match policy.mode {
        Mode::Enforce => Outcome::Decided(Verdict::Deny(denial)),
        Mode::Warn => permit(Ground::WarnOnly(denial), Vec::new(), Timestamp::MAX),
    }
}

/// Where the requirements stand that were met beside those that were not.
fn met_beside(policy: &Policy, unmet: &[unmet::Unmet]) -> Vec<Location> {
    let Rule::Requirements(requirements) = &policy.rule else { return Vec::new() };
    let is_unmet =
        |location: &Location| unmet.iter().any(|unmet| unmet.reason.location.as_ref() == Some(location));
    requirements.iter().map(|one| one.location.clone()).filter(|location| !is_unmet(location)).collect()
}

/// Why a manifest that looks like evidence was not served as evidence. It comes first: it is the reason that an
/// operator can act on.
fn unpassed(policy: &Policy, evidence: &Evidence) -> Option<Reason> {
    let not = evidence.unpassed?;
    let text = match not {
        NotServable::Other => return None,
        NotServable::Runnable => "dressed as evidence, and a runtime could unpack or start it too",
        NotServable::Unverified => {
            "no authority of the policy signed this evidence; evidence = \"well-formed\" would let it pass"
        }
    };
    Some(Reason { code: not.code()?, location: Some(policy.location.clone()), text: text.to_owned() })
}

/// What an expression may read about the image: only fields that are part of the verdict's key (A551).
fn image(subject: &Subject, document: &Document) -> Image {
    Image {
        registry: subject.repository.registry().to_string(),
        repository: subject.repository.path().to_owned(),
        digest: subject.digest.to_string(),
        media_type: document.media_type().to_owned(),
        artifact_type: document.manifest().artifact_type().unwrap_or_default().to_owned(),
    }
}

/// Why missing evidence may still exist, if it may: a layout could not be asked, or a trust table is stale.
fn unread(evidence: &Evidence) -> Option<Undecided> {
    // Too much evidence is a denial: an attacker who floods the registry must not profit from `on_undecided` (A141).
    if unmet::too_much(evidence) {
        return None;
    }
    let stale = evidence.rejected.iter().map(|one| one.code).filter(|code| *code == Code::TrustStale);
    let causes: Vec<_> =
        evidence.unread.iter().map(|one| one.code).chain(stale).map(Undecided::new).collect();
    // One cause to which `on_undecided` must not apply is enough for it not to apply (A148, A342).
    let grave = causes.iter().filter(|cause| !fallback::applies(cause)).min_by_key(|cause| cause.code());
    grave.cloned().or_else(|| causes.first().map(|_| Undecided::new(Code::EvidenceUnavailable)))
}

/// A denial by `policy`; never empty, so that a policy without requirements denies.
fn denial(policy: &Policy, reasons: Vec<Reason>) -> Denial {
    let mut reasons = reasons.into_iter();
    let first = reasons.next().unwrap_or_else(|| Reason {
        code: Code::NoEvidence,
        location: Some(policy.location.clone()),
        text: "the policy has no requirement that could be met".to_owned(),
    });
    Denial::new(Some(policy.name.clone()), first, reasons.collect())
}

fn permit(
    revisions: Revisions,
    subject: &Subject,
    policy: Option<Name>,
    (ground, met): (Ground, Vec<Met>),
    (valid_from, valid_until): (Timestamp, Timestamp),
) -> Verdict {
    let subject = subject.clone();
    Verdict::Permit(Permit::new(PermitParts {
        subject,
        revisions,
        policy,
        ground,
        met,
        valid_from,
        valid_until,
    }))
}

#[cfg(test)]
pub(crate) mod tests;
