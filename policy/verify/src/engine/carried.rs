//! Docker's layout: an attestation manifest that is signed. Its statements have no signature of their own: the signer
//! of the manifest attests to the layers that it lists by hash (A153).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;

use super::{Fact, Round};
use crate::artifact::{Artifact, SharedArtifact};
use crate::budget::Budget;
use crate::claim::{Claim, SIGN};
use crate::fault::PieceFault;
use crate::found::{Carried, Item, Request};
use crate::material::Says;
use crate::reading::{Keep, Reading};

/// The facts of one statement, one for each valid signature of its manifest.
pub(super) fn worth(
    request: &Request<'_>,
    artifact: &SharedArtifact,
    carried: &Carried,
    (budget, round): (&mut Budget, Round),
) -> Result<Option<Vec<Fact>>, PieceFault> {
    if !carried.is_listed() {
        return Err(PieceFault::new(
            Code::Unsupported,
            "the attestation manifest does not list the statement",
        ));
    }
    match carried.by.as_ref() {
        // Its holders sign and attest to nothing.
        Item::Envelope { .. } => {
            return Err(PieceFault::new(Code::AuthorityUse, "a signature of Notation's attests to nothing"));
        }
        Item::Bundle { .. }
        | Item::Carried(_)
        | Item::Dsse { .. }
        | Item::SimpleSigning { .. }
        | Item::Unread { .. } => {}
    }
    let about_manifest = Request { subject: carried.statement.manifest.digest, ..*request };
    let manifest = &carried.statement.manifest.artifact;
    let Some(signed) = super::worth(&about_manifest, manifest, &carried.by, (budget, round))? else {
        return Ok(None);
    };
    // An attestation about the manifest is not a signature of it (A214).
    let signed: Vec<Fact> = signed.into_iter().filter(|fact| is_signature(&fact.claim)).collect();
    if signed.is_empty() {
        return Err(PieceFault::new(Code::NotASignature, "of the attestation manifest"));
    }
    let by_name =
        |fact: &Fact| request.authorities.iter().any(|one| one.recognises(&fact.proof.principal).is_ok());
    let keep = if signed.iter().any(by_name) { Keep::Predicate } else { Keep::Nothing };
    let says = Says::Statement(carried.statement.artifact.clone());
    let claim = Reading::new(&says).claim(keep, budget)?;
    match claim.as_ref() {
        Claim::Statement(statement) if statement.predicate_type != SIGN => {}
        // An unsigned statement must not count as a signature (A214).
        Claim::Statement(_) | Claim::Payload(_) | Claim::Manifest => {
            return Err(PieceFault::new(Code::NotASignature, "a statement in an attestation manifest"));
        }
    }
    // More children cannot be attested to: each needs an attestation manifest of its own, and no more of these are
    // read.
    let children =
        carried.children.iter().take(limits::ATTESTATION_MANIFESTS).filter_map(|child| match child {
            Digest::Sha256(known) => Some((*child, Artifact::Sha256(*known).kept())),
            Digest::Sha512(_) => None,
        });
    let subjects = std::iter::once((request.subject, artifact.clone())).chain(children);
    let mut facts = Vec::new();
    for (subject, artifact) in subjects {
        let Ok(annotations) = claim.about(&subject, &artifact) else { continue };
        facts.extend(signed.iter().map(|fact| Fact {
            subject,
            proof: fact.proof.clone(),
            claim: Arc::clone(&claim),
            annotations: annotations.clone(),
        }));
    }
    if facts.is_empty() { Err(Code::SubjectMismatch.into()) } else { Ok(Some(facts)) }
}

fn is_signature(claim: &Claim) -> bool {
    match claim {
        Claim::Manifest | Claim::Payload(_) => true,
        Claim::Statement(statement) => statement.predicate_type == SIGN,
    }
}
