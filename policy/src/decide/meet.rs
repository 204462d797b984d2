//! Whether evidence meets requirements.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::sync::LazyLock;

use jiff::Timestamp;
use serde_json::{Map, Value};

use super::holders::Holders;
use super::signers::{Seen, Who};
use super::unmet::{Near, Skipped, Unmet};
use super::{matching, unmet};
use crate::code::Code;
use crate::evidence::{AttestationFacts, Evidence, Logged, Predicate, Source};
use crate::expression::{About, Image};
use crate::identity::{Authority, Name, Principal, Transparency, Uses};
use crate::limits;
use crate::oci::{Digest, Document};
use crate::policy::{Asks, ClaimedReference, Policy, PolicySet, Requirement, Rule};
use crate::provenance::Provenance;
use crate::text;
use crate::time::later;
use crate::verdict::Met;

mod children;
mod every;
mod ripe;

use every::contradicted;
use ripe::{any, ripe_at};

/// What is judged, and when.
type When<'a> = (&'a Image, Timestamp);

/// What was met, and the first moment at which it no longer is.
type AllMet = (Vec<Met>, Timestamp);

/// Tells how `evidence` meets every requirement, or why which ones are not met. A policy without requirements is not met.
pub(super) fn all(
    set: &PolicySet,
    policy: &Policy,
    (evidence, document): (&Evidence, &Document),
    when: When<'_>,
) -> Result<AllMet, Vec<Unmet>> {
    let Rule::Requirements(requirements) = &policy.rule else { return Err(Vec::new()) };
    let mut met = Vec::new();
    let mut unmet = Vec::new();
    let mut until = Timestamp::MAX;
    for requirement in requirements {
        match any(set, requirement, (evidence, document), when) {
            Ok((how, expiry)) => {
                until = until.min(expiry);
                met.push(how);
            }
            Err(why) => unmet.push(why),
        }
    }
    if unmet.is_empty() && !met.is_empty() { Ok((met, until)) } else { Err(unmet) }
}

/// One piece of evidence as a requirement sees it.
struct Piece<'a> {
    principal: &'a Principal,
    logged: Logged,
    time: Option<Timestamp>,
    ends: Option<Timestamp>,
    annotations: &'a BTreeMap<String, String>,
    claimed: Option<&'a str>,
    attested: Option<&'a AttestationFacts>,
    source: Source,
}

impl Piece<'_> {
    fn seen(&self, counted: Result<Vec<Name>, Code>) -> Seen {
        Seen {
            by: Who::of(self.principal, self.logged),
            layout: self.source.layout,
            attests: self.attested.map(|facts| text::escape(&facts.predicate_type)),
            counted,
        }
    }
}

/// How what is known about `subject` meets a requirement; and where age alone is missing, when it will.
fn one(
    set: &PolicySet,
    requirement: &Requirement,
    about: (&Evidence, &Digest),
    when: When<'_>,
) -> Result<(Met, Timestamp), Unmet> {
    attempt(set, requirement, about, when).map_err(|unmet| {
        let ripe_at = ripe_at(set, requirement, about, when);
        unmet.ripe(ripe_at)
    })
}

fn attempt(
    set: &PolicySet,
    requirement: &Requirement,
    (evidence, subject): (&Evidence, &Digest),
    when: When<'_>,
) -> Result<(Met, Timestamp), Unmet> {
    let (mut pieces, mut skipped) = pieces(requirement, evidence, subject);
    // What lasts longest first, then the newest: a permit ends as late as it may, whatever the order of the evidence.
    pieces.sort_by_key(|piece| {
        (Reverse(lasts(requirement, piece)), Reverse(piece.time), piece.principal, piece.source)
    });
    let authorities: Vec<&Authority> =
        requirement.any_of.iter().filter_map(|name| set.authorities.get(name)).collect();
    let mut edges: Vec<(Name, usize, usize)> = Vec::new();
    let mut holders = Holders::default();
    let mut seen = Vec::new();
    if let Some(code) = contradicted(requirement, &authorities, (&pieces, evidence), (subject, when.0)) {
        skipped.push(Skipped { near: Near::Requirement, code });
        return Err(unmet::unmet(requirement, evidence, 0, &skipped));
    }
    for (position, piece) in pieces.iter().enumerate() {
        let named = match worth(requirement, &authorities, piece, when) {
            Ok(named) => named,
            Err(why) => {
                seen.push(piece.seen(Err(why.code)));
                skipped.push(why);
                continue;
            }
        };
        seen.push(piece.seen(Ok(named.iter().map(|authority| authority.name.clone()).collect())));
        let holder = holders.add(piece.principal);
        // It may be by whom two others are by, who were two signers so far.
        for (_, signer, _) in &mut edges {
            *signer = holders.of(*signer);
        }
        let (signer, known) = (holders.of(holder), edges.len());
        for authority in named {
            if !edges.iter().any(|(name, other, _)| *name == authority.name && *other == signer) {
                edges.push((authority.name.clone(), signer, position));
            }
        }
        if edges.len() == known {
            continue; // an older signature by the same signer changes nothing
        }
        let pairs = matching::maximum(&edges);
        // A threshold of zero would be met by nobody's signature: it is never met (A234).
        if requirement.threshold > 0 && pairs.len() >= requirement.threshold {
            let chosen: Vec<_> = pairs
                .iter()
                .filter_map(|(name, at)| pieces.get(*at).map(|piece| (name.clone(), piece)))
                .collect();
            return Ok((met(requirement, &chosen, when.0), expiry(requirement, &chosen)));
        }
    }
    let unmet = unmet::unmet(requirement, evidence, matching::maximum(&edges).len(), &skipped);
    Err(Unmet { seen, ..unmet })
}

fn met(requirement: &Requirement, chosen: &[(Name, &Piece<'_>)], image: &Image) -> Met {
    let claimed = chosen.iter().filter_map(|(_, piece)| piece.claimed);
    Met {
        location: requirement.location.clone(),
        authorities: chosen.iter().map(|(name, _)| name.clone()).collect(),
        identities: chosen.iter().map(|(_, piece)| piece.principal.to_string()).collect(),
        evidence: chosen.iter().map(|(_, piece)| piece.source.blob).collect(),
        claimed: claimed.filter(|claimed| !image.is_named_by(claimed)).map(text::escape).collect(),
        attesting: Vec::new(),
    }
}

/// The first moment at which one of what was chosen is too old, or has come to its end.
fn expiry(requirement: &Requirement, chosen: &[(Name, &Piece<'_>)]) -> Timestamp {
    chosen.iter().map(|(_, piece)| lasts(requirement, piece)).min().unwrap_or(Timestamp::MIN)
}

/// The first moment at which a piece is too old for a requirement, or has come to its end (A679).
fn lasts(requirement: &Requirement, piece: &Piece<'_>) -> Timestamp {
    let young = match requirement.max_age {
        None => Timestamp::MAX,
        Some(age) => piece.time.map_or(Timestamp::MIN, |time| later(time, age)),
    };
    young.min(piece.ends.unwrap_or(Timestamp::MAX))
}

/// The pieces of the kind that is asked for, and why the others are not.
fn pieces<'a>(
    requirement: &Requirement,
    evidence: &'a Evidence,
    subject: &Digest,
) -> (Vec<Piece<'a>>, Vec<Skipped>) {
    let (mut pieces, mut skipped) = (Vec::new(), Vec::new());
    match &requirement.asks {
        Asks::Signature => {
            for facts in evidence.signatures.iter().map(|signature| signature.facts()) {
                if facts.subject != *subject {
                    skipped.push(Skipped { near: Near::Broken, code: Code::SubjectMismatch });
                    continue;
                }
                pieces.push(Piece {
                    principal: &facts.principal,
                    logged: facts.logged,
                    time: facts.trusted_time,
                    ends: facts.ends,
                    annotations: &facts.annotations,
                    claimed: facts.claimed_reference.as_deref(),
                    attested: None,
                    source: facts.source,
                });
            }
            // Whoever attests to a failed test has not signed the image (A214).
            skipped.extend(
                evidence.attestations.iter().map(|_| Skipped { near: Near::Kind, code: Code::NotASignature }),
            );
        }
        Asks::Attestation(types) => {
            for facts in evidence.attestations.iter().map(|attestation| attestation.facts()) {
                if facts.subject != *subject {
                    skipped.push(Skipped { near: Near::Broken, code: Code::SubjectMismatch });
                } else if !types.iter().any(|one| one.is(&facts.predicate_type)) {
                    // The signed statement decides, exactly: no prefix, no hint of the envelope (A212, A213).
                    skipped.push(Skipped { near: Near::Kind, code: Code::PredicateType });
                } else if !is_object(facts) {
                    skipped.push(Skipped { near: Near::Broken, code: Code::PredicateInvalid });
                } else {
                    pieces.push(Piece {
                        principal: &facts.principal,
                        logged: facts.logged,
                        time: facts.trusted_time,
                        ends: None,
                        annotations: &facts.annotations,
                        claimed: None,
                        attested: Some(facts),
                        source: facts.source,
                    });
                }
            }
        }
    }
    (pieces, skipped)
}

/// The authorities for which a piece counts, never empty; else the most telling reason why it counts for none.
fn worth<'a>(
    requirement: &Requirement,
    authorities: &[&'a Authority],
    piece: &Piece<'_>,
    (image, now): When<'_>,
) -> Result<Vec<&'a Authority>, Skipped> {
    let mut named = Vec::new();
    let mut nearest = Skipped { near: Near::Stranger, code: Code::UnknownAuthority };
    for authority in authorities {
        match counts_for(authority, &requirement.asks, (piece.principal, piece.logged)) {
            Ok(()) => named.push(*authority),
            Err(Code::UnknownAuthority) => {}
            Err(code) => nearest = nearest.min(Skipped { near: Near::Authority, code }),
        }
    }
    if named.is_empty() {
        return Err(nearest);
    }
    let claimed = || claims(requirement, piece, image);
    match acceptable(requirement, piece, now)
        .and_then(|()| claimed())
        .and_then(|()| says(requirement, piece, image))
    {
        Ok(()) => Ok(named),
        Err(code) => Err(Skipped { near: Near::Requirement, code }),
    }
}

/// Whether what this one signed counts as the authority's, as evidence of the kind that is asked for.
pub(super) fn counts_for(
    authority: &Authority,
    asks: &Asks,
    (principal, logged): (&Principal, Logged),
) -> Result<(), Code> {
    authority.recognises(principal)?;
    match (authority.uses, asks) {
        (Uses::Both, _)
        | (Uses::Signatures, Asks::Signature)
        | (Uses::Attestations, Asks::Attestation(_)) => {}
        (Uses::Signatures, Asks::Attestation(_)) | (Uses::Attestations, Asks::Signature) => {
            return Err(Code::AuthorityUse);
        }
    }
    match (authority.transparency, logged) {
        (Transparency::Required, Logged::No(code)) => Err(code),
        (Transparency::Required, Logged::Yes) | (Transparency::Optional | Transparency::None, _) => Ok(()),
    }
}

fn acceptable(requirement: &Requirement, piece: &Piece<'_>, now: Timestamp) -> Result<(), Code> {
    if requirement.annotations.iter().any(|(key, value)| piece.annotations.get(key) != Some(value)) {
        return Err(Code::AnnotationMissing);
    }
    // Whether age is asked for or not: a clock that vouches for the future vouches for nothing (A219).
    if piece.time.is_some_and(|time| time > later(now, limits::CLOCK_SKEW)) {
        return Err(Code::TimeInFuture);
    }
    if piece.ends.is_some_and(|ends| ends <= now) {
        return Err(Code::SignatureExpired);
    }
    match (requirement.max_age, piece.time) {
        (None, _) => {}
        (Some(_), None) => return Err(Code::AgeUnknown),
        (Some(age), Some(time)) if now < later(time, age) => {}
        (Some(_), Some(_)) => return Err(Code::AttestationTooOld),
    }
    match (requirement.min_age, piece.time) {
        (None, _) => Ok(()),
        (Some(_), None) => Err(Code::AgeUnknown),
        (Some(age), Some(time)) if later(time, age) <= now => Ok(()),
        (Some(_), Some(_)) => Err(Code::TooYoung),
    }
}

/// Whether the repository that a payload names is the one that is judged, where that is asked.
fn claims(requirement: &Requirement, piece: &Piece<'_>, image: &Image) -> Result<(), Code> {
    match requirement.claimed_reference {
        ClaimedReference::Reported => Ok(()),
        ClaimedReference::Required if piece.claimed.is_some_and(|claimed| image.is_named_by(claimed)) => {
            Ok(())
        }
        ClaimedReference::Required => Err(Code::ClaimedReferenceMismatch),
    }
}

fn is_object(facts: &AttestationFacts) -> bool {
    match facts.predicate {
        Predicate::Kept => predicate(facts).is_object(),
        Predicate::Left => true,
    }
}

/// The predicate. One that is absent or null is as one that is empty (in-toto attestation framework, "Statement").
fn predicate(facts: &AttestationFacts) -> &Value {
    static EMPTY: LazyLock<Value> = LazyLock::new(|| Value::Object(Map::new()));
    facts.statement.get("predicate").filter(|predicate| !predicate.is_null()).unwrap_or(&EMPTY)
}

/// Whether an attestation says what `slsa` and `where` ask for.
fn says(requirement: &Requirement, piece: &Piece<'_>, image: &Image) -> Result<(), Code> {
    if requirement.slsa.is_none() && requirement.condition.is_none() {
        return Ok(());
    }
    // Of a signature neither is asked: a policy that does so does not load.
    let facts = piece.attested.ok_or(Code::NotASignature)?;
    match facts.predicate {
        Predicate::Kept => {}
        Predicate::Left => return Err(Code::WhereTooLarge),
    }
    let predicate = predicate(facts);
    let provenance = Provenance::read(&facts.predicate_type, predicate, &facts.principal)?;
    if let Some(slsa) = &requirement.slsa {
        slsa.met_by(provenance.as_ref().ok_or(Code::PredicateType)?, &facts.principal)?;
    }
    match &requirement.condition {
        None => Ok(()),
        Some(condition) => condition.holds(&About {
            statement: &facts.statement,
            predicate,
            provenance: provenance.as_ref(),
            principal: &facts.principal,
            image,
        }),
    }
}
