//! How many bytes of memory an entry takes, counted from lengths only: they are weighed by each pull that remembers (A602).

use std::mem::size_of;

use crate::limits;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::servable::ServableEvidence;
use pullgate_policy::oci::{Document, Repository};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Sealed;
use pullgate_policy::verdict::{Denial, Ground, Permit, Reason, Subject};

use super::{Denied, Grants, RestsOn, Unservable};

/// The approximate overhead of the cache for an entry: its place in the table and in the lists by age and use.
const ENTRY: usize = 320;
/// Room for all denials together.
pub(super) const DENIALS: u64 = DENIAL_LEAST * limits::NEGATIVE_ENTRIES;
/// The least that a denial counts as: its share of the room, so that there are never more than `NEGATIVE_ENTRIES`.
const DENIAL_LEAST: u64 = limits::DENIALS_BYTES / limits::NEGATIVE_ENTRIES;

/// An entry of these types, whose key has a repository and `text` bytes of other text.
pub(crate) fn of_entry<K, V>(repository: &Repository, text: usize) -> u32 {
    capped(ENTRY + size_of::<K>() + size_of::<V>() + of_repository(repository) + text)
}

/// An entry of these types that holds no text.
pub(super) fn of_plain<K, V>() -> u32 {
    capped(ENTRY + size_of::<K>() + size_of::<V>())
}

pub(super) fn of_permit(key: &(Subject, Revisions), permit: &Permit) -> u32 {
    let ground = match permit.ground() {
        Ground::Exempt { owner, .. } => owner.len(),
        Ground::WarnOnly(denial) => texts(denial),
        Ground::EachChild | Ground::Satisfied | Ground::Unchecked => 0,
    };
    let met = permit.met().iter().map(|met| {
        let texts = met.identities.iter().chain(&met.claimed).map(|text| size_of::<String>() + text.len());
        size_of_val(met)
            + size_of_val(met.authorities.as_slice())
            + size_of_val(met.evidence.as_slice())
            + size_of_val(met.attesting.as_slice())
            + texts.sum::<usize>()
    });
    // The repository is there twice: in the key and in the permit.
    let repositories = of_repository(&key.0.repository) * 2;
    capped(ENTRY + size_of_val(key) + size_of_val(permit) + repositories + ground + met.sum::<usize>())
}

pub(super) fn of_denial(key: &(Subject, Revisions), denial: &Denial) -> u32 {
    let repository = of_repository(&key.0.repository);
    let bytes = ENTRY + size_of_val(key) + size_of_val(denial) + repository + texts(denial);
    capped(bytes).max(u32::try_from(DENIAL_LEAST).unwrap_or(u32::MAX))
}

pub(super) fn of_denied(key: &(Subject, Revisions), denied: &Denied) -> u32 {
    let repository = of_repository(&key.0.repository);
    capped(
        ENTRY + size_of_val(key) + size_of_val(denied) + repository + texts(denied.denial()) + denied.held(),
    )
}

pub(super) fn of_grants<K>(repository: &Repository, grants: &Grants) -> u32 {
    let bodies = grants.sealed.iter().map(|one| one.body.len() + one.mac.len()).sum::<usize>();
    let each = size_of::<Sealed>() + size_of::<super::Handed>();
    let lists = size_of::<Grants>() + each * grants.sealed.len();
    capped(ENTRY + size_of::<K>() + of_repository(repository) + lists + bodies)
}

/// Its bytes, and about twice as many for the parsed form.
pub(super) fn of_document(document: &Intact<Document>) -> u32 {
    capped(document.value().bytes().len().saturating_mul(3))
}

/// The names of its blobs, and who signed.
pub(super) fn of_passing<K>(repository: &Repository, passing: &ServableEvidence) -> u32 {
    let vouched = passing.vouched().map_or(0, |vouched| vouched.identity.len());
    let blobs = size_of_val(passing.blobs()) + vouched;
    // The repository is there twice: in the key and in the value.
    capped(ENTRY + size_of::<K>() + size_of::<ServableEvidence>() + of_repository(repository) * 2 + blobs)
}

/// Its subjects, or the denial's texts.
pub(super) fn of_unpassing(key: &(Subject, Revisions), unpassing: &Unservable) -> u32 {
    let held = match unpassing {
        Unservable::Blocked(denial) => size_of_val(denial.as_ref()) + texts(denial),
        Unservable::Not { rests_on, .. } => rests_on.as_ref().map_or(0, RestsOn::held),
    };
    capped(ENTRY + size_of_val(key) + size_of_val(unpassing) + of_repository(&key.0.repository) + held)
}

/// A denial by itself.
pub(crate) fn of_texts(denial: &Denial) -> usize {
    size_of_val(denial) + texts(denial)
}

/// Names and locations are shared with the policy, and not counted.
fn texts(denial: &Denial) -> usize {
    let reasons = denial.reasons().chain(denial.skipped());
    let judged = denial.judged().map_or(0, |judged| judged.media_type.len());
    let signers = denial.signers().iter().map(|signer| {
        let names = size_of_val(signer.authorities.as_slice());
        let identity = signer.identity.as_ref().map_or(0, |named| {
            named.issuer.len() + named.name.len() + named.source.as_ref().map_or(0, String::len)
        });
        size_of_val(signer)
            + signer.by.len()
            + signer.layout.len()
            + signer.attests.as_ref().map_or(0, String::len)
            + names
            + identity
    });
    let failed = size_of_val(denial.failed()) + size_of_val(denial.met());
    let reasons = reasons.map(|reason| size_of::<Reason>() + reason.text.len());
    reasons.chain(signers).sum::<usize>() + judged + failed
}

fn of_repository(repository: &Repository) -> usize {
    repository.registry().as_str().len() + repository.path().len()
}

fn capped(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX)
}
