//! What must be true of every attestation: the one word of a policy by which evidence can harm.

use super::{Piece, counts_for, is_object, says};
use crate::code::Code;
use crate::decide::unmet;
use crate::evidence::{Evidence, Logged};
use crate::expression::Image;
use crate::identity::{Authority, Principal};
use crate::oci::Digest;
use crate::policy::{Asks, Every, Requirement};

/// Why what must be true of every attestation by the authorities is not: of one it is not, or not all of them are known.
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
    // What could not be asked may hold one that says no: it is undecided then.
    if let Some(unread) = evidence.unread.first() {
        return Some(unread.code);
    }
    let theirs = |principal: &Principal, logged: Logged| {
        let mut named = authorities.iter();
        named.any(|authority| counts_for(authority, &requirement.asks, (principal, logged)).is_ok())
    };
    // By whom it is nobody can say while its trust table is too old (A342).
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
