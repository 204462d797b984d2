//! Who vouches for a subject, whatever the requirements ask for besides: by that, evidence may leave (A601).

use jiff::Timestamp;

use super::meet::counts_for;
use crate::evidence::{Evidence, Source};
use crate::identity::Name;
use crate::policy::{Asks, PolicySet};
use crate::verdict::Subject;

/// Every verified fact about `about` that counts for an authority of the policy that governs it, with the authority's name,
/// the signer's, and its end. An attestation of any type counts: an authority that the policy knows has signed it.
pub(crate) fn vouched<'a>(
    set: &'a PolicySet,
    about: &Subject,
    evidence: &'a Evidence,
) -> impl Iterator<Item = (Source, (Name, String), Option<Timestamp>)> + 'a {
    let (subject, authorities) = (about.digest, set.authorities_for(&about.repository));
    let signatures = evidence.signatures.iter().map(|one| one.facts()).map(|facts| {
        (facts.subject, (&facts.principal, facts.logged), (facts.source, facts.ends), Asks::Signature)
    });
    let attestations = evidence.attestations.iter().map(|one| one.facts()).map(|facts| {
        (facts.subject, (&facts.principal, facts.logged), (facts.source, None), Asks::Attestation(Vec::new()))
    });
    signatures.chain(attestations).filter(move |(named, ..)| *named == subject).filter_map(
        move |(_, signed, (source, ends), kind)| {
            let authority = authorities.iter().find(|one| counts_for(one, &kind, signed).is_ok())?;
            Some((source, (authority.name.clone(), signed.0.to_string()), ends))
        },
    )
}
