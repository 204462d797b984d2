//! Conditions on every attestation (`every`): the only key of a policy under which more evidence can deny.

use super::{Piece, counts_for, is_object, says};
use crate::code::Code;
use crate::decide::unmet;
use crate::evidence::{Evidence, Logged};
use crate::expression::Image;
use crate::identity::{Authority, Principal};
use crate::oci::Digest;
use crate::policy::{Asks, Every, Requirement};

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
    if unmet::too_much(evidence) {
        return Some(Code::EvidenceLimit);
    }
    // An unread layout may hold an attestation that denies: the verdict is undecided then.
    if let Some(unread) = evidence.unread.first() {
        return Some(unread.code);
    }
    let theirs = |principal: &Principal, logged: Logged| {
        let mut named = authorities.iter();
        named.any(|authority| counts_for(authority, &requirement.asks, (principal, logged)).is_ok())
    };
    // While its trust table is stale, the signer cannot be verified (A342).
    if evidence.rejected.iter().any(|one| one.code == Code::TrustStale) {
        return Some(Code::TrustStale);
    }
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
