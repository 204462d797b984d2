//! Goes through what was found, piece by piece. One bad piece never spoils a good one, and each that does not count
//! leaves exactly one reason.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};

use jiff::{SignedDuration, Timestamp};
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{
    AttestationFacts, Evidence, Logged, Rejected, SignatureFacts, Source, VerifiedAttestation,
    VerifiedSignature, Vouchers,
};
use pullgate_policy::identity::Principal;
use pullgate_policy::limits;

use crate::claim::{Claim, SIGN};
use crate::fault::{Fault, most_telling};
use crate::found::{Item, Request};
use crate::material::{Signed, Signer};
use crate::{bundle, keyed, keyless, legacy};

/// Says what each piece of evidence is worth.
///
/// It never panics outward: a panic while one piece is looked at rejects that piece with `internal`. The caller adds
/// to [`Evidence::unread`] the layouts that it could not ask.
#[must_use]
pub fn verify_all(request: &Request<'_>) -> Evidence {
    let mut evidence = Evidence::none(request.subject, request.collected);
    let intact = request.artifact.is(&request.subject);
    for (position, found) in request.found.iter().enumerate() {
        let worth = if position >= limits::SIGNATURES_MAX {
            Err(Code::EvidenceLimit.into())
        } else if intact {
            guarded(|| worth(request, &found.item))
        } else {
            Err(Fault::new(Code::Internal, "the manifest is not the subject"))
        };
        match worth {
            Ok(facts) => {
                for fact in facts {
                    // The signature counts without a log entry; whether it has one nobody can say (A342).
                    if fact.proof.logged == Logged::No(Code::TrustStale) {
                        let detail = "the trust table of its log was never had".to_owned();
                        evidence.rejected.push(Rejected {
                            source: found.source,
                            code: Code::TrustStale,
                            detail,
                        });
                    }
                    add(&mut evidence, request, found.source, fact);
                }
            }
            Err(Fault { code, detail }) => {
                evidence.rejected.push(Rejected { source: found.source, code, detail });
            }
        }
    }
    evidence
}

/// What a registry holds can be made to crash a verifier; it must not be able to crash the gate.
fn guarded(work: impl FnOnce() -> Result<Vec<Fact>, Fault>) -> Result<Vec<Fact>, Fault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(Fault::new(Code::Internal, "a fault while it was verified")))
}

/// Who signed and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) principal: Principal,
    pub(crate) logged: Logged,
    pub(crate) time: Option<Timestamp>,
    pub(crate) vouchers: Vouchers,
}

struct Fact {
    proof: Proof,
    claim: Claim,
    annotations: BTreeMap<String, String>,
}

fn worth(request: &Request<'_>, item: &Item) -> Result<Vec<Fact>, Fault> {
    let signed = match item {
        Item::SimpleSigning { payload, annotations } => vec![legacy::simple_signing(payload, annotations)?],
        Item::Dsse { envelope, annotations } => legacy::dsse(envelope, annotations, &request.artifact)?,
        Item::Bundle { json } => vec![bundle::read(json, &request.artifact)?],
        Item::Unread { code, detail } => return Err(Fault::new(*code, detail.as_str())),
    };
    let mut facts: Vec<Fact> = Vec::new();
    let mut faults = Vec::new();
    for one in &signed {
        match facts_of(request, one) {
            // The same proof of the same words twice, as a doubled signature gives, is one fact.
            Ok(more) => more.into_iter().for_each(|fact| {
                if !facts.iter().any(|known| known.proof == fact.proof) {
                    facts.push(fact);
                }
            }),
            Err(fault) => faults.push(fault),
        }
    }
    if facts.is_empty() {
        return Err(most_telling(faults).unwrap_or_else(|| Code::UnknownAuthority.into()));
    }
    Ok(facts)
}

fn facts_of(request: &Request<'_>, signed: &Signed) -> Result<Vec<Fact>, Fault> {
    let proofs = match &signed.signer {
        Signer::Certificate(leaf) => keyless::proofs(request, signed, leaf)?,
        Signer::Key => keyed::proofs(request, signed)?,
    };
    // Only a signature that holds has a say about what it signs; then it must be the subject (A202, A211).
    let annotations = signed.claim.about(&request.subject, &request.artifact)?;
    let proofs: Vec<Proof> =
        proofs.into_iter().filter(|proof| !is_in_future(proof.time, request.now)).collect();
    if proofs.is_empty() {
        return Err(Code::TimeInFuture.into());
    }
    let fact = |proof| Fact { proof, claim: signed.claim.clone(), annotations: annotations.clone() };
    Ok(proofs.into_iter().map(fact).collect())
}

/// What a proven time must not be: the gate's clock or the log's is wrong, and either way nothing is known.
fn is_in_future(time: Option<Timestamp>, now: Timestamp) -> bool {
    time.is_some_and(|time| time > latest(now))
}

/// The latest time that is none of the future: clocks differ.
pub(crate) fn latest(now: Timestamp) -> Timestamp {
    let skew = SignedDuration::try_from(limits::CLOCK_SKEW).unwrap_or_default();
    now.checked_add(skew).unwrap_or(Timestamp::MAX)
}

fn add(evidence: &mut Evidence, request: &Request<'_>, source: Source, fact: Fact) {
    let Fact { proof: Proof { principal, logged, time, vouchers }, claim, annotations } = fact;
    let (subject, trusted_time) = (request.subject, time);
    match claim {
        Claim::Statement(statement) if statement.predicate_type != SIGN => {
            let facts = AttestationFacts {
                subject,
                principal,
                logged,
                trusted_time,
                vouchers,
                predicate_type: statement.predicate_type,
                statement: statement.whole,
                annotations,
                source,
            };
            evidence.attestations.push(attestation(facts));
        }
        Claim::Statement(_) | Claim::Manifest => {
            let claimed_reference = None;
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
        Claim::Payload(payload) => {
            let claimed_reference = Some(payload.claimed_reference);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_rejects_one_piece_and_goes_no_further() {
        let worth = guarded(|| panic!("provoked"));
        assert_eq!(worth.err().map(|fault| fault.code), Some(Code::Internal));
    }
}
