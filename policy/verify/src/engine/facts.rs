//! From proofs to the facts that a verdict rests on.

use std::sync::Arc;

use pullgate_policy::evidence::notation::Form;
use pullgate_policy::evidence::{
    AttestationFacts, Evidence, SignatureFacts, Source, VerifiedAttestation, VerifiedSignature,
};

use super::{Fact, Proof, Round};
use crate::artifact::SharedArtifact;
use crate::budget::Budget;
use crate::claim::{Claim, SIGN};
use crate::fault::PieceFault;
use crate::found::Request;
use crate::notation::{self, Strangers};

/// The facts of a signature of Notation's: it signs the manifest, and its annotations are the user's.
pub(super) fn of_notation(
    request: &Request<'_>,
    artifact: &SharedArtifact,
    envelope: (Form, &[u8]),
    (budget, round): (&mut Budget, Round),
) -> Result<Option<Vec<Fact>>, PieceFault> {
    let strangers = match round {
        Round::Named => Strangers::Later,
        Round::All => Strangers::Now,
    };
    let Some((proofs, annotations)) = notation::worth(request, artifact, envelope, (budget, strangers))?
    else {
        return Ok(None);
    };
    let (subject, claim) = (request.subject, Arc::new(Claim::Manifest));
    let fact = |proof| Fact { subject, proof, claim: Arc::clone(&claim), annotations: annotations.clone() };
    Ok(Some(super::past(proofs, request.now)?.into_iter().map(fact).collect()))
}

/// Adds what a piece proves.
pub(super) fn add(evidence: &mut Evidence, source: Source, fact: Fact) {
    let Fact { subject, proof, claim, annotations } = fact;
    let Proof { principal, logged, time: trusted_time, ends, vouchers } = proof;
    match claim.as_ref() {
        Claim::Statement(statement) if statement.predicate_type != SIGN => {
            let facts = AttestationFacts {
                subject,
                principal,
                logged,
                trusted_time,
                vouchers,
                predicate_type: statement.predicate_type.clone(),
                statement: Arc::clone(&statement.whole),
                predicate: statement.predicate,
                annotations,
                source,
            };
            evidence.attestations.push(attestation(facts));
        }
        signed @ (Claim::Statement(_) | Claim::Manifest | Claim::Payload(_)) => {
            let claimed_reference = match signed {
                Claim::Payload(payload) => Some(payload.claimed_reference.clone()),
                Claim::Statement(_) | Claim::Manifest => None,
            };
            let facts = SignatureFacts {
                subject,
                principal,
                logged,
                trusted_time,
                ends,
                vouchers,
                annotations,
                claimed_reference,
                source,
            };
            evidence.signatures.push(signature(facts));
        }
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where signatures become facts: the cryptography was checked"
)]
fn signature(facts: SignatureFacts) -> VerifiedSignature {
    VerifiedSignature::assert_verified(facts)
}

#[expect(
    clippy::disallowed_methods,
    reason = "the one place where attestations become facts: the cryptography was checked"
)]
fn attestation(facts: AttestationFacts) -> VerifiedAttestation {
    VerifiedAttestation::assert_verified(facts)
}
