//! Conditions on every attestation (`every`): the only key of a policy under which more evidence can deny.

use std::collections::BTreeSet;

use super::{Piece, counts_for, is_object, pieces, says};
use crate::code::Code;
use crate::decide::unmet::{self, Near, Skipped, Unmet};
use crate::evidence::{Evidence, Logged};
use crate::expression::Image;
use crate::identity::{Authority, Principal};
use crate::oci::{Digest, Document, Manifest};
use crate::policy::{Asks, Every, PolicySet, Requirement};

/// Holds what must be true of every attestation against all that a permit would carry: of an index its children too, by
/// whichever of them it is met.
///
/// # Errors
/// Why it is not true of one of them.
pub(super) fn of_all(
    set: &PolicySet,
    requirement: &Requirement,
    (evidence, document): (&Evidence, &Document),
    image: &Image,
) -> Result<(), Unmet> {
    match requirement.every {
        Every::One => return Ok(()),
        Every::Each => {}
    }
    let authorities: Vec<&Authority> =
        requirement.any_of.iter().filter_map(|name| set.authorities.get(name)).collect();
    let children: BTreeSet<Digest> = match document.manifest() {
        Manifest::Index(index) => index.manifests.iter().filter_map(|child| child.digest).collect(),
        Manifest::Image(_) => BTreeSet::new(),
    };
    let facts = evidence.attestations.iter().map(|attestation| attestation.facts().subject);
    let attested: BTreeSet<Digest> = facts.filter(|subject| children.contains(subject)).collect();
    for subject in std::iter::once(&evidence.subject).chain(&attested) {
        let (pieces, mut skipped) = pieces(requirement, evidence, subject);
        if let Some(code) = contradicted(requirement, &authorities, (&pieces, evidence), (subject, image)) {
            skipped.push(Skipped { near: Near::Requirement, code });
            return Err(unmet::unmet(requirement, evidence, 0, &skipped));
        }
    }
    Ok(())
}

/// Why a condition on every attestation by the authorities does not hold: one attestation fails it, or not all of them
/// are known.
pub(super) fn contradicted(
    requirement: &Requirement,
    authorities: &[&Authority],
    (pieces, evidence): (&[Piece<'_>], &Evidence),
    (subject, image): (&Digest, &Image),
) -> Option<Code> {
    match requirement.every {
        Every::One => return None,
        Every::Each => {}
    }
    if let Some(code) = not_read(evidence) {
        return Some(code);
    }
    // An unread layout may hold an attestation that denies: the verdict is undecided then.
    if let Some(unread) = evidence.unread.first() {
        return Some(unread.code);
    }
    let theirs = |principal: &Principal, logged: Logged| {
        let mut named = authorities.iter();
        named.any(|authority| counts_for(authority, &requirement.asks, (principal, logged)).is_ok())
    };
    // A predicate that is nothing says nothing that could be true.
    let is_asked = |written: &str| match &requirement.asks {
        Asks::Attestation(types) => types.iter().any(|one| one.is(written)),
        Asks::Signature => false,
    };
    let facts = evidence.attestations.iter().map(|attestation| attestation.facts());
    let mut about = facts.filter(|facts| facts.subject == *subject && is_asked(&facts.predicate_type));
    if about.any(|facts| !is_object(facts) && theirs(&facts.principal, facts.logged)) {
        return Some(Code::PredicateInvalid);
    }
    let mut counted = pieces.iter().filter(|piece| theirs(piece.principal, piece.logged));
    counted.find_map(|piece| says(requirement, piece, image).err())
}

/// Why something that is there was not read, if so: it may be the one that says no. By whom it is nobody can say while its
/// trust table is too old (A342).
fn not_read(evidence: &Evidence) -> Option<Code> {
    [Code::EvidenceLimit, Code::EvidenceTooLarge, Code::EvidenceIncomplete, Code::Internal, Code::TrustStale]
        .into_iter()
        .find(|code| evidence.rejected.iter().any(|one| one.code == *code))
}
