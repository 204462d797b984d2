//! Verifies the evidence that was found, piece by piece. One bad piece never spoils a good one, and each that does not
//! count leaves exactly one reason.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Logged, Rejected, Vouchers};
use pullgate_policy::identity::{Authority, By, Principal};
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_policy::time::later;

use crate::artifact::SharedArtifact;
use crate::budget::{self, Budget, Cost};
use crate::claim::Claim;
use crate::fault::{PieceFault, most_telling};
use crate::found::{Item, Request};
use crate::material::{Piece, Says, Signed, Signer, Weight};
use crate::reading::{Keep, Reading};
use crate::{bundle, certificate, keyed, keyless, legacy};

mod carried;
mod facts;

/// Says what each piece of evidence is worth, in one go.
///
/// It never panics outward: a panic while one piece is looked at rejects that piece with `internal`. The caller adds
/// to [`Evidence::unread`] the layouts that it could not ask.
#[must_use]
pub fn verify_all(request: &Request<'_>) -> Evidence {
    let mut verification = Verification::new(request);
    while verification.go_on(request) == Progress::More {}
    verification.finish(request)
}

/// The same in turns, so that others have theirs between (A604). One request from its beginning to its end.
#[derive(Debug)]
pub struct Verification {
    artifact: SharedArtifact,
    /// Whether the manifest is the subject.
    intact: bool,
    /// The pieces still to be verified, the next one last.
    order: Vec<usize>,
    /// Pieces by signers that the policy does not name: verified after all others (A624).
    strangers: Vec<usize>,
    worth: BTreeMap<usize, Result<Vec<Fact>, PieceFault>>,
    budget: Budget,
}

/// The rest of a verification's budget: where the same evidence is tried for several subjects, they share one budget
/// (A604).
#[derive(Debug, Clone, Default)]
pub struct Rest(Budget);

/// How far a verification is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Progress {
    /// Every piece was looked at.
    Done,
    /// There is more to do.
    More,
}

/// Which pieces are looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Round {
    /// Pieces that may be by a signer whom the policy names.
    Named,
    /// All.
    All,
}

impl Verification {
    /// A verification at its beginning.
    #[must_use]
    pub fn new(request: &Request<'_>) -> Self {
        Self::within(request, Rest::default())
    }

    /// The same, within the budget that another verification left.
    #[must_use]
    pub fn within(request: &Request<'_>, Rest(budget): Rest) -> Self {
        let artifact = request.artifact.kept();
        let mut order = budget::order(request.found);
        order.reverse();
        Self {
            intact: artifact.artifact().is(&request.subject),
            artifact,
            order,
            strangers: Vec::new(),
            worth: BTreeMap::new(),
            budget,
        }
    }

    /// Looks at some pieces: as many as are done in one turn.
    pub fn go_on(&mut self, request: &Request<'_>) -> Progress {
        loop {
            let (at, round) = match (self.order.pop(), self.strangers.pop()) {
                (Some(at), stranger) => {
                    self.strangers.extend(stranger);
                    (at, Round::Named)
                }
                (None, Some(at)) => (at, Round::All),
                (None, None) => return Progress::Done,
            };
            let worth = self.worth(request, at, round);
            match worth {
                Some(worth) => {
                    self.worth.insert(at, worth);
                }
                // Looked at from the end: the first of them goes in front.
                None => self.strangers.insert(0, at),
            }
            if self.budget.pauses() {
                return Progress::More;
            }
        }
    }

    /// The cost so far: at most `hashed_bytes`, `parsed_bytes` and `signature_checks`.
    #[must_use]
    pub fn cost(&self) -> Cost {
        self.budget.spent()
    }

    /// The facts of the piece at `at`, or its fault; `None` for a stranger's, whose turn comes later.
    fn worth(
        &mut self,
        request: &Request<'_>,
        at: usize,
        round: Round,
    ) -> Option<Result<Vec<Fact>, PieceFault>> {
        let found = request.found.get(at)?;
        if at >= limits::SIGNATURES_MAX {
            return Some(Err(Code::EvidenceLimit.into()));
        }
        if !self.intact {
            return Some(Err(PieceFault::new(Code::Internal, "the manifest is not the subject")));
        }
        let (artifact, budget) = (&self.artifact, &mut self.budget);
        let worth = || match &found.item {
            Item::Carried(carried) => carried::worth(request, artifact, carried, (budget, round)),
            Item::Bundle { .. }
            | Item::Dsse { .. }
            | Item::Envelope { .. }
            | Item::SimpleSigning { .. }
            | Item::Unread { .. } => worth(request, artifact, &found.item, (budget, round)),
        };
        guarded(worth).transpose()
    }

    /// The rest of the budget, for another verification.
    #[must_use]
    pub fn rest(&self) -> Rest {
        Rest(self.budget.rest())
    }

    /// The evidence. A piece that was not reached is `evidence-limit`.
    #[must_use]
    pub fn finish(mut self, request: &Request<'_>) -> Evidence {
        let mut evidence = Evidence::none(request.subject, request.collected);
        for (at, found) in request.found.iter().enumerate() {
            match self.worth.remove(&at).unwrap_or_else(|| Err(Code::EvidenceLimit.into())) {
                Ok(facts) => {
                    for fact in facts {
                        // The signature counts without a log entry; whether it has one cannot be verified (A342).
                        if fact.proof.logged == Logged::No(Code::TrustStale) {
                            let detail = "the trust table of its log was never had".to_owned();
                            evidence.rejected.push(Rejected {
                                source: found.source,
                                code: Code::TrustStale,
                                detail,
                            });
                        }
                        facts::add(&mut evidence, found.source, fact);
                    }
                }
                Err(PieceFault { code, detail }) => {
                    evidence.rejected.push(Rejected { source: found.source, code, detail });
                }
            }
        }
        evidence
    }
}

/// Content of a registry may be crafted to crash a verifier; it must not crash the gate.
fn guarded<T>(work: impl FnOnce() -> Result<T, PieceFault>) -> Result<T, PieceFault> {
    catch_unwind(AssertUnwindSafe(work))
        .unwrap_or_else(|_| Err(PieceFault::new(Code::Internal, "a fault while it was verified")))
}

/// Who signed and what vouches for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Proof {
    pub(crate) principal: Principal,
    pub(crate) logged: Logged,
    pub(crate) time: Option<Timestamp>,
    /// The first moment at which it counts no longer, where there is one.
    pub(crate) ends: Option<Timestamp>,
    pub(crate) vouchers: Vouchers,
}

/// A proof, with the claim that it proves about a digest.
#[derive(Debug)]
struct Fact {
    subject: Digest,
    proof: Proof,
    claim: Arc<Claim>,
    annotations: BTreeMap<String, String>,
}

/// The facts of one piece; `None` for a stranger's, whose turn comes later.
fn worth(
    request: &Request<'_>,
    artifact: &SharedArtifact,
    item: &Item,
    (budget, round): (&mut Budget, Round),
) -> Result<Option<Vec<Fact>>, PieceFault> {
    budget.take(Cost::reading(item.length()))?;
    let mut piece = match item {
        Item::SimpleSigning { payload, annotations } => legacy::simple_signing(payload, annotations)?,
        Item::Dsse { envelope, annotations } => legacy::dsse(envelope, annotations, artifact)?,
        Item::Bundle { json } => bundle::read(json, artifact)?,
        Item::Envelope { form, bytes } => {
            return facts::of_notation(request, artifact, (*form, bytes), (budget, round));
        }
        Item::Unread { code, detail } => return Err(PieceFault::new(*code, detail.as_str())),
        // One level only: an attestation manifest has no attestation manifest of its own.
        Item::Carried(_) => return Err(Code::Unsupported.into()),
    };
    if round == Round::Named && piece.signed.iter().all(|signed| is_a_strangers(request, signed)) {
        return Ok(None);
    }
    weigh(&mut piece, budget)?;
    let (mut facts, mut faults, mut reading) = (Vec::new(), Vec::new(), Reading::new(&piece.says));
    for (n, signed) in piece.signed.iter().enumerate() {
        let proofs = budget
            .take(budget::of_signature(request, signed, n == 0))
            .and_then(|()| facts_of(request, artifact, signed, (&mut reading, budget)));
        match proofs {
            // The same proof of the same words twice, as a doubled signature gives, is one fact.
            Ok(more) => more.into_iter().for_each(|fact: Fact| {
                if !facts.iter().any(|known: &Fact| known.proof == fact.proof) {
                    facts.push(fact);
                }
            }),
            Err(fault) => faults.push(fault),
        }
    }
    if facts.is_empty() {
        return Err(most_telling(faults).unwrap_or_else(|| Code::UnknownAuthority.into()));
    }
    Ok(Some(facts))
}

/// Whether the name in a certificate is no authority's of the policy. Nothing of it is verified yet, so this decides
/// the order only.
fn is_a_strangers(request: &Request<'_>, signed: &Signed) -> bool {
    let Signer::Certificate(leaf) = &signed.signer else { return false };
    let named = |authority: &&Authority| match &authority.by {
        By::Identity { .. } => {
            let identity = certificate::identity(leaf, &authority.trust);
            identity.is_ok_and(|identity| authority.recognises(&Principal::Identity(identity)).is_ok())
        }
        By::Certificate { roots, .. } => {
            let holder = certificate::holder::certified(leaf, (&authority.trust, *roots), None);
            holder.is_ok_and(|holder| authority.recognises(&Principal::Certificate(holder)).is_ok())
        }
        By::Keys(keys) => certificate::key(leaf).is_ok_and(|key| keys.contains(&key.id())),
        By::Subjects { .. } => false,
    };
    !request.authorities.iter().any(named)
}

/// Finds out whether the library can read a statement, where it will be asked to: it does so before it looks at a signature.
fn weigh(piece: &mut Piece, budget: &mut Budget) -> Result<(), PieceFault> {
    let Says::Statement(payload) = &piece.says else { return Ok(()) };
    let asked = |signed: &Signed| match &signed.signer {
        Signer::Certificate(_) => true,
        Signer::Key => signed.bundle.entries.as_ref().is_ok_and(|entries| !entries.is_empty()),
    };
    if payload.length() <= limits::OFF_THREAD_BYTES as u64 || !piece.signed.iter().any(asked) {
        return Ok(());
    }
    // It copies what it is given (A602).
    if payload.length() > limits::LIBRARY_BYTES {
        piece.signed.iter_mut().for_each(|signed| signed.weight = Weight::Heavy);
        return Ok(());
    }
    budget.take(Cost::reading(payload.length()))?;
    let bytes = payload.bytes().cloned().unwrap_or_default();
    let weight = Weight::of(&bytes)?;
    piece.signed.iter_mut().for_each(|signed| signed.weight = weight);
    Ok(())
}

fn facts_of(
    request: &Request<'_>,
    artifact: &SharedArtifact,
    signed: &Signed,
    (reading, budget): (&mut Reading<'_>, &mut Budget),
) -> Result<Vec<Fact>, PieceFault> {
    let proofs = match &signed.signer {
        Signer::Certificate(leaf) => keyless::proofs(request, signed, leaf)?,
        Signer::Key => keyed::proofs(request, signed)?,
    };
    let by_name = |proof: &Proof| {
        request.authorities.iter().any(|authority| authority.recognises(&proof.principal).is_ok())
    };
    let keep = if proofs.iter().any(by_name) { Keep::Predicate } else { Keep::Nothing };
    // Only the bytes under a valid signature are read, and they must be about the subject (A202, A211).
    let claim = reading.claim(keep, budget)?;
    let annotations = claim.about(&request.subject, artifact)?;
    let proofs = past(proofs, request.now)?;
    let fact = |proof| Fact {
        subject: request.subject,
        proof,
        claim: Arc::clone(&claim),
        annotations: annotations.clone(),
    };
    Ok(proofs.into_iter().map(fact).collect())
}

/// The proofs whose time is none of the future.
fn past(proofs: Vec<Proof>, now: Timestamp) -> Result<Vec<Proof>, PieceFault> {
    let proofs: Vec<Proof> = proofs.into_iter().filter(|proof| !is_in_future(proof.time, now)).collect();
    if proofs.is_empty() { Err(Code::TimeInFuture.into()) } else { Ok(proofs) }
}

/// Whether a proven time is in the future: the gate's clock or the log's is wrong, and the time proves nothing.
fn is_in_future(time: Option<Timestamp>, now: Timestamp) -> bool {
    time.is_some_and(|time| time > latest(now))
}

/// The latest time that does not count as future: clocks differ.
pub(crate) fn latest(now: Timestamp) -> Timestamp {
    later(now, limits::CLOCK_SKEW)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_panic_rejects_one_piece_and_goes_no_further() {
        let worth = guarded::<()>(|| panic!("provoked"));
        assert_eq!(worth.err().map(|fault| fault.code), Some(Code::Internal));
    }
}
