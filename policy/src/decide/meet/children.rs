//! An index in Docker's layout: each platform is attested to by an attestation manifest of its own (A153).

use std::collections::BTreeSet;

use jiff::Timestamp;

use super::{When, counts_for, one};
use crate::evidence::Evidence;
use crate::limits;
use crate::oci::{Digest, Document, Manifest};
use crate::policy::{Asks, PolicySet, Requirement};
use crate::verdict::Met;

/// How an index meets a requirement by attestations about its children: the permit carries every child, so every child
/// must be attested to. Attestation manifests are left out, and the permit does not carry them: they could be runnable
/// too. `None` for a signature, since the index is not signed.
pub(super) fn all(
    set: &PolicySet,
    requirement: &Requirement,
    (evidence, document): (&Evidence, &Document),
    when: When<'_>,
) -> Option<(Met, Timestamp)> {
    let (Asks::Attestation(_), Manifest::Index(index)) = (&requirement.asks, document.manifest()) else {
        return None;
    };
    // A child by a digest that is not computed gets no grant (A132).
    let children: BTreeSet<Digest> = index.manifests.iter().filter_map(|child| child.digest).collect();
    let manifests = attesting(set, requirement, evidence);
    let attested = children.iter().filter(|child| !manifests.contains(child));
    // No more attestation manifests are read, so more children cannot be attested to.
    if attested.clone().count() > limits::ATTESTATION_MANIFESTS {
        return None;
    }
    let mut whole: Option<(Met, Timestamp)> = None;
    for child in attested {
        let (met, until) = one(set, requirement, (evidence, child), when).ok()?;
        whole = Some(match whole {
            None => (met, until),
            Some((known, earlier)) => (joined(known, met), earlier.min(until)),
        });
    }
    let (met, until) = whole?;
    let attesting = children.iter().filter(|child| manifests.contains(child)).copied().collect();
    Some((Met { attesting, ..met }, until))
}

/// The attestation manifests that an authority of the requirement has signed.
fn attesting(set: &PolicySet, requirement: &Requirement, evidence: &Evidence) -> BTreeSet<Digest> {
    let facts = evidence.attestations.iter().map(|attestation| attestation.facts());
    let of_a_child = facts.filter(|facts| facts.subject != evidence.subject);
    let counts = of_a_child.filter(|facts| {
        let by = (&facts.principal, facts.logged);
        let named = requirement.any_of.iter().filter_map(|name| set.authorities.get(name));
        named.into_iter().any(|authority| counts_for(authority, &requirement.asks, by).is_ok())
    });
    counts.map(|facts| facts.source.manifest).collect()
}

/// The requirement as met for several children, with each pair of authority and identity once.
fn joined(mut known: Met, more: Met) -> Met {
    for (authority, identity) in more.authorities.into_iter().zip(more.identities) {
        let mut pairs = known.authorities.iter().zip(&known.identities);
        if !pairs.any(|(one, other)| *one == authority && *other == identity) {
            known.authorities.push(authority);
            known.identities.push(identity);
        }
    }
    known.evidence.extend(more.evidence);
    known.claimed.extend(more.claimed);
    known
}
