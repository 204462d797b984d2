//! From proofs to the facts that a verdict rests on.

use std::sync::Arc;

use pullgate_policy::evidence::{
    AttestationFacts, Evidence, SignatureFacts, Source, VerifiedAttestation, VerifiedSignature,
};

use super::{Fact, Proof};
use crate::claim::{Claim, SIGN};

/// Adds what a piece proves.
pub(super) fn add(evidence: &mut Evidence, source: Source, fact: Fact) {
    let Fact { subject, proof, claim, annotations } = fact;
    let Proof { principal, logged, time: trusted_time, vouchers } = proof;
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
