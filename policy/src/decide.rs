//! The one pure function that decides.
//!
//! Evidence can only help: every requirement is met by what is there, none by what is absent (A122). The order of
//! evidence never matters. What the caller does not know is not here: see [`judge`].

use std::collections::{BTreeMap, BTreeSet};

use jiff::{SignedDuration, Timestamp};

use crate::code::Code;
use crate::evidence::{Evidence, Logged, Rejected, Source};
use crate::identity::{Authority, Name, Principal, PrincipalKey, Transparency, Uses};
use crate::limits;
use crate::oci::{Document, manifest::Foreign};
use crate::policy::{
    Asks, ForeignLayers, Governing, Mode, Policy, PolicySet, Requirement, Revisions, Rule, Unmatched,
};
use crate::text;
use crate::verdict::{Denial, Ground, Met, Permit, PermitParts, Reason, Subject, Undecided, Verdict};

pub mod fallback;
mod matching;

/// Says what `set` says of `subject` before any evidence is looked at: a block, an exemption, no scope, or a policy
/// that asks for nothing. None means that evidence must be collected.
#[must_use]
pub fn without_evidence(set: &PolicySet, subject: &Subject, document: &Document, now: Timestamp) -> Option<Verdict> {
    let governing = set.governing(&subject.repository);
    let policy = match governing {
        Governing::Policy(policy, _) => Some(policy),
        Governing::Unmatched(_) => None,
    };
    if let Some(denial) = blocked(set, subject, document) {
        return Some(Verdict::Deny(denial));
    }
    if let Some(exemption) = set.exemption(&subject.repository, &subject.digest, now) {
        let ground = Ground::Exempt { owner: text::escape(&exemption.owner), location: exemption.location.clone() };
        let until = exemption.until.min(after(now, set.permit_ttl));
        return Some(permit(set, subject, policy, ground, now, until));
    }
    let until = after(now, set.permit_ttl);
    match governing {
        Governing::Unmatched(Unmatched::Deny) => Some(Verdict::Deny(unmatched())),
        Governing::Unmatched(Unmatched::Permit) => Some(permit(set, subject, None, Ground::Unchecked, now, until)),
        Governing::Unmatched(Unmatched::Warn) => {
            Some(permit(set, subject, None, Ground::WarnOnly(unmatched()), now, until))
        }
        Governing::Policy(policy, _) => match &policy.rule {
            Rule::InsecurePermitAnything => Some(permit(set, subject, Some(policy), Ground::Unchecked, now, until)),
            Rule::Requirements(_) => None,
        },
    }
}

/// The denial of a repository that no scope matches (A062).
#[must_use]
pub fn unmatched() -> Denial {
    Denial::new(None, Reason { code: Code::ScopeUnmatched, location: None, text: "no scope matches".to_owned() }, Vec::new())
}

/// The denial of a blocked subject, or of an image with a blocked part: nobody could pull it whole.
#[must_use]
pub fn blocked(set: &PolicySet, subject: &Subject, document: &Document) -> Option<Denial> {
    let parts = document.manifest().content().filter_map(|descriptor| descriptor.digest);
    let is_index = matches!(document.manifest(), crate::oci::Manifest::Index(_));
    std::iter::once(subject.digest)
        .chain(parts.filter(|_| !is_index))
        .find_map(|digest| set.block(&digest))
        .map(|block| block_denial(block))
}

/// The denial that a block stands for.
#[must_use]
pub fn block_denial(block: &crate::policy::Block) -> Denial {
    let text = format!("blocked: {}", text::escape(&block.reason));
    Denial::new(None, Reason { code: Code::Blocked, location: Some(block.location.clone()), text }, Vec::new())
}

/// The denial of a shape that no mode serves.
#[must_use]
pub fn shape_denial(code: Code) -> Denial {
    Denial::new(None, Reason { code, location: None, text: code.cause().to_owned() }, Vec::new())
}

/// What came of judging.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// A verdict.
    Decided(Verdict),
    /// None: a layout that might hold what is missing could not be asked.
    Undecided(Undecided),
}

/// Decides about `subject` by `evidence` at `now`.
///
/// A denial stands only when every layout could be asked; else it is undecided (A146). A permit stands whatever else
/// failed, since more evidence cannot unmeet a requirement (A147).
#[must_use]
pub fn judge(set: &PolicySet, subject: &Subject, document: &Document, evidence: &Evidence, now: Timestamp) -> Outcome {
    if let Some(verdict) = without_evidence(set, subject, document, now) {
        return Outcome::Decided(verdict);
    }
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else {
        return Outcome::Decided(Verdict::Deny(unmatched()));
    };
    match requirements(set, policy, subject, document, evidence, now) {
        Ok((met, until)) => {
            let until = until.min(after(evidence.collected, set.permit_ttl));
            let verdict = permit_from(set, subject, policy, (Ground::Satisfied, met), evidence.collected, until);
            Outcome::Decided(verdict)
        }
        Err(reasons) => match evidence.unread.first() {
            Some(_) if policy.mode == Mode::Enforce && !too_much(evidence) => {
                Outcome::Undecided(Undecided::new(Code::EvidenceUnavailable))
            }
            Some(_) | None => Outcome::Decided(refuse(set, policy, subject, reasons, evidence)),
        },
    }
}

fn refuse(set: &PolicySet, policy: &Policy, subject: &Subject, reasons: Vec<Reason>, evidence: &Evidence) -> Verdict {
    let mut reasons = reasons.into_iter();
    let nothing = || Reason { code: Code::NoEvidence, location: Some(policy.location.clone()), text: String::new() };
    let first = reasons.next().unwrap_or_else(nothing);
    let denial = Denial::new(Some(policy.name.clone()), first, reasons.collect());
    match policy.mode {
        Mode::Enforce => Verdict::Deny(denial),
        Mode::Warn => {
            let until = after(evidence.collected, set.permit_ttl);
            let ground = Ground::WarnOnly(denial);
            permit_from(set, subject, policy, (ground, Vec::new()), evidence.collected, until)
        }
    }
}

type AllMet = (Vec<Met>, Timestamp);

fn requirements(
    set: &PolicySet,
    policy: &Policy,
    subject: &Subject,
    document: &Document,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<AllMet, Vec<Reason>> {
    let Rule::Requirements(requirements) = &policy.rule else { return Err(Vec::new()) };
    let mut met = Vec::new();
    let mut reasons = Vec::new();
    let mut until = Timestamp::MAX;
    let foreign = document.manifest().content().any(|descriptor| descriptor.foreign == Foreign::Urls);
    if foreign && policy.foreign_layers == ForeignLayers::Deny {
        let text = "a layer would be fetched from elsewhere".to_owned();
        reasons.push(Reason { code: Code::ForeignLayer, location: Some(policy.location.clone()), text });
    }
    // Evidence about anything else is none, whoever collected it (invariant 3).
    if evidence.subject == subject.digest {
        for requirement in requirements {
            match meet(set, requirement, subject, evidence, now) {
                Ok((one, expiry)) => {
                    until = until.min(expiry);
                    met.push(one);
                }
                Err(reason) => reasons.push(reason),
            }
        }
    }
    if reasons.is_empty() && !met.is_empty() { Ok((met, until)) } else { Err(reasons) }
}

/// One piece of evidence as a requirement sees it.
struct Piece<'a> {
    principal: &'a Principal,
    logged: Logged,
    time: Option<Timestamp>,
    annotations: &'a BTreeMap<String, String>,
    source: Source,
}

fn meet(
    set: &PolicySet,
    requirement: &Requirement,
    subject: &Subject,
    evidence: &Evidence,
    now: Timestamp,
) -> Result<(Met, Timestamp), Reason> {
    let mut skipped = Vec::new();
    let mut pieces = pieces(requirement, subject, evidence, &mut skipped);
    pieces.retain(|piece| match acceptable(requirement, piece, now) {
        Ok(()) => true,
        Err(code) => {
            skipped.push(code);
            false
        }
    });
    // The newest first: a permit then ends as late as it may, whatever the order of the evidence.
    pieces.sort_by_key(|piece| (std::cmp::Reverse(piece.time), piece.principal.key(), piece.source));
    let mut edges: Vec<(Name, PrincipalKey, usize)> = Vec::new();
    let authorities: Vec<&Authority> = requirement.any_of.iter().filter_map(|name| set.authorities.get(name)).collect();
    for (position, piece) in pieces.iter().enumerate() {
        for authority in &authorities {
            match counts_for(authority, requirement, piece) {
                Ok(()) => edges.push((authority.name.clone(), piece.principal.key(), position)),
                Err(code) => skipped.push(code),
            }
        }
        let pairs = matching::maximum(&edges);
        if requirement.threshold > 0 && pairs.len() >= requirement.threshold {
            let chosen: Vec<&Piece<'_>> = pairs.iter().filter_map(|(_, position)| pieces.get(*position)).collect();
            let met = Met {
                location: requirement.location.clone(),
                authorities: pairs.iter().map(|(name, _)| name.clone()).collect(),
                identities: chosen.iter().map(|piece| piece.principal.to_string()).collect(),
                evidence: chosen.iter().map(|piece| piece.source.blob).collect(),
            };
            return Ok((met, expiry(requirement, &chosen)));
        }
    }
    Err(unmet(requirement, evidence, &matching::maximum(&edges), &skipped))
}

fn pieces<'a>(
    requirement: &Requirement,
    subject: &Subject,
    evidence: &'a Evidence,
    skipped: &mut Vec<Code>,
) -> Vec<Piece<'a>> {
    let mut pieces = Vec::new();
    match &requirement.asks {
        Asks::Signature => {
            for facts in evidence.signatures.iter().map(|signature| signature.facts()) {
                if facts.subject == subject.digest {
                    pieces.push(Piece {
                        principal: &facts.principal,
                        logged: facts.logged,
                        time: facts.trusted_time,
                        annotations: &facts.annotations,
                        source: facts.source,
                    });
                }
            }
            skipped.extend(evidence.attestations.iter().map(|_| Code::NotASignature));
        }
        Asks::Attestation(types) => {
            for facts in evidence.attestations.iter().map(|attestation| attestation.facts()) {
                if facts.subject != subject.digest {
                    continue;
                }
                // The signed statement decides, exactly: no prefix, no hint of the envelope (A212, A213).
                if !types.contains(&facts.predicate_type) {
                    skipped.push(Code::PredicateType);
                } else if !facts.statement.get("predicate").is_some_and(serde_json::Value::is_object) {
                    skipped.push(Code::PredicateInvalid);
                } else {
                    pieces.push(Piece {
                        principal: &facts.principal,
                        logged: facts.logged,
                        time: facts.trusted_time,
                        annotations: &facts.annotations,
                        source: facts.source,
                    });
                }
            }
        }
    }
    pieces
}

fn acceptable(requirement: &Requirement, piece: &Piece<'_>, now: Timestamp) -> Result<(), Code> {
    if requirement.annotations.iter().any(|(key, value)| piece.annotations.get(key) != Some(value)) {
        return Err(Code::AnnotationMissing);
    }
    if piece.time.is_some_and(|time| time > after(now, limits::CLOCK_SKEW)) {
        return Err(Code::TimeInFuture);
    }
    match (requirement.max_age, piece.time) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Code::AgeUnknown),
        (Some(age), Some(time)) if now < after(time, age) => Ok(()),
        (Some(_), Some(_)) => Err(Code::AttestationTooOld),
    }
}

fn counts_for(authority: &Authority, requirement: &Requirement, piece: &Piece<'_>) -> Result<(), Code> {
    match (authority.uses, &requirement.asks) {
        (Uses::Both, _) | (Uses::Signatures, Asks::Signature) | (Uses::Attestations, Asks::Attestation(_)) => {}
        (Uses::Signatures, Asks::Attestation(_)) | (Uses::Attestations, Asks::Signature) => {
            return Err(Code::AuthorityUse);
        }
    }
    authority.recognises(piece.principal)?;
    match (authority.transparency, piece.logged) {
        (Transparency::Required, Logged::No(code)) => Err(code),
        (Transparency::Required, Logged::Yes) | (Transparency::Optional | Transparency::None, _) => Ok(()),
    }
}

fn expiry(requirement: &Requirement, chosen: &[&Piece<'_>]) -> Timestamp {
    let Some(age) = requirement.max_age else { return Timestamp::MAX };
    chosen.iter().filter_map(|piece| piece.time).map(|time| after(time, age)).min().unwrap_or(Timestamp::MIN)
}

/// Says in one line what is missing, most useful words first.
fn unmet(
    requirement: &Requirement,
    evidence: &Evidence,
    pairs: &[(Name, usize)],
    skipped: &[Code],
) -> Reason {
    let who = requirement.any_of.iter().map(|name| format!("\"{}\"", text::escape(name.as_str()))).collect::<Vec<_>>();
    let who = who.join(" or ");
    let (missing, what) = match &requirement.asks {
        Asks::Signature => (Code::NoSignature, "signature".to_owned()),
        Asks::Attestation(types) => {
            let first = types.first().map(String::as_str).unwrap_or_default();
            (Code::AttestationMissing, format!("attestation {}", text::escape(first)))
        }
    };
    let counted = count(skipped, evidence.rejected.iter());
    let code = match counted.first() {
        _ if !pairs.is_empty() => Code::Threshold,
        _ if too_much(evidence) => Code::EvidenceLimit,
        None => Code::NoEvidence,
        Some((one, _)) if skipped.contains(one) => *one,
        Some(_) => missing,
    };
    let found = counted.iter().take(3).map(|(code, n)| format!("{n} {code}")).collect::<Vec<_>>().join(", ");
    let text = match (code, found.is_empty()) {
        (Code::Threshold, _) => {
            format!("only {} of {} signed by {who}", pairs.len(), requirement.threshold)
        }
        (_, true) => format!("no {what} by {who}"),
        (_, false) => format!("no {what} by {who} ({found})"),
    };
    Reason { code, location: Some(requirement.location.clone()), text }
}

/// Codes of what did not count, the most frequent first; in the order of the table where equal.
fn count<'a>(skipped: &[Code], rejected: impl Iterator<Item = &'a Rejected>) -> Vec<(Code, usize)> {
    let mut counts: BTreeMap<Code, usize> = BTreeMap::new();
    let distinct: BTreeSet<_> = rejected.map(|one| (one.source, one.code)).collect();
    for code in skipped.iter().copied().chain(distinct.into_iter().map(|(_, code)| code)) {
        *counts.entry(code).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(code, n)| (std::cmp::Reverse(*n), *code));
    counts
}

/// Too much evidence is a denial, not a failure: who causes a failure must not profit from it (A141).
fn too_much(evidence: &Evidence) -> bool {
    evidence.rejected.iter().any(|one| one.code == Code::EvidenceLimit)
}

fn after(time: Timestamp, duration: std::time::Duration) -> Timestamp {
    SignedDuration::try_from(duration).ok().and_then(|duration| time.checked_add(duration).ok()).unwrap_or(Timestamp::MAX)
}

fn permit(
    set: &PolicySet,
    subject: &Subject,
    policy: Option<&Policy>,
    ground: Ground,
    from: Timestamp,
    until: Timestamp,
) -> Verdict {
    let policy = policy.map(|policy| policy.name.clone());
    build(set.revisions, subject, policy, (ground, Vec::new()), (from, until))
}

fn permit_from(
    set: &PolicySet,
    subject: &Subject,
    policy: &Policy,
    why: (Ground, Vec<Met>),
    from: Timestamp,
    until: Timestamp,
) -> Verdict {
    build(set.revisions, subject, Some(policy.name.clone()), why, (from, until))
}

fn build(
    revisions: Revisions,
    subject: &Subject,
    policy: Option<Name>,
    (ground, met): (Ground, Vec<Met>),
    (valid_from, valid_until): (Timestamp, Timestamp),
) -> Verdict {
    let subject = subject.clone();
    Verdict::Permit(Permit::new(PermitParts { subject, revisions, policy, ground, met, valid_from, valid_until }))
}

#[cfg(test)]
mod tests;
