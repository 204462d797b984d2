//! Verification and the decision by it, off the async threads: bytes, trust and time go in, evidence comes out, no
//! request is made (A314).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide::Outcome;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::identity::Authority;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, Repository};
use pullgate_policy::policy::PolicySet;
use pullgate_policy::verdict::{Ground, Subject, Verdict};
use pullgate_verify::{Artifact, Progress, Rest, Verification};

use super::collect::{self, Collected};
use super::order::Open;
use crate::compute_pool::{self, Died, Work};
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;

/// Verifies the evidence about `subject` by the keys and trust tables that its policy names.
///
/// # Errors
/// Undecided, when the verifying thread died.
pub async fn evidence(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
    collected: &Collected,
) -> Result<Evidence, Refusal> {
    Ok(about(app, live, subject, Some(document), (collected, Rest::default())).await?.0)
}

/// The same where the document of the subject may not be here: then nothing is verified that signs more than its
/// digest. It costs no more than `rest`, and tells what of that is left.
///
/// # Errors
/// As [`evidence`].
pub async fn about(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: Option<&Intact<Document>>,
    (collected, rest): (&Collected, Rest),
) -> Result<(Evidence, Rest), Refusal> {
    let authorities: Vec<Authority> =
        live.policy().authorities_for(&subject.repository).into_iter().cloned().collect();
    let authorities: Arc<[Authority]> = authorities.into();
    let (keys, trust) = (Arc::clone(&live.config().policy.keys), Arc::clone(&live.config().policy.trust));
    let manifest = document.map(|document| document.value().bytes().clone());
    let (digest, found, at) = (subject.digest, Arc::clone(&collected.found), collected.at);
    let (mut before, now) = (Err(rest), app.clock.now());
    let largest = found.iter().map(|found| found.item.length()).max().unwrap_or(0);
    let work = Work { repository: &subject.repository, memory: compute_pool::memory_of_verifying(largest) };
    // In turns, so that costly evidence delays its own pull only (A604).
    let (mut evidence, rest) = loop {
        let (manifest, found) = (manifest.clone(), Arc::clone(&found));
        let (authorities, keys, trust) = (Arc::clone(&authorities), Arc::clone(&keys), Arc::clone(&trust));
        let turn = app.compute_pool.run(work, move || {
            let authorities: Vec<&Authority> = authorities.iter().collect();
            let artifact = match (&manifest, digest) {
                (Some(manifest), _) => Artifact::Bytes(manifest),
                (None, Digest::Sha256(known)) => Artifact::Sha256(known),
                (None, Digest::Sha512(_)) => Artifact::Bytes(&[]),
            };
            let request = pullgate_verify::Request {
                subject: digest,
                artifact,
                found: &found,
                authorities: &authorities,
                keys: &keys,
                trust: &trust,
                now,
                collected: at,
            };
            let begin = |rest| Box::new(Verification::within(&request, rest));
            let mut verification = before.unwrap_or_else(begin);
            match verification.go_on(&request) {
                Progress::More => Err(verification),
                Progress::Done => {
                    let (cost, rest) = (verification.cost(), verification.rest());
                    Ok((cost, (verification.finish(&request), rest)))
                }
            }
        });
        match turn.await.map_err(|Died| Refusal::undecided(Code::Internal))? {
            Ok((cost, done)) => {
                app.metrics.verified(cost);
                break done;
            }
            Err(verification) => before = Ok(verification),
        }
    };
    evidence.rejected.extend(collected.rejected.iter().cloned());
    evidence.unread.extend(collected.unread.iter().copied());
    Ok((evidence, rest))
}

/// Whether the evidence about the subject itself does not satisfy its policy, or a requirement applies to each
/// attestation.
pub fn is_not_enough(policy: &PolicySet, repository: &Repository, outcome: &Outcome) -> bool {
    if policy.asks_of_each(repository) {
        return true;
    }
    match outcome {
        Outcome::Decided(Verdict::Deny(_)) => true,
        Outcome::Decided(Verdict::Permit(permit)) => matches!(permit.ground(), Ground::WarnOnly(_)),
        Outcome::Undecided(_) => false,
    }
}

/// Adds the evidence in signed attestation manifests, if there is any, to the evidence of the first step. It costs no
/// more than the budget that the first step left.
///
/// # Errors
/// Undecided, when there is no room for it, or the verifying thread died.
pub async fn further(
    app: &Handles,
    live: &Live,
    open: &Open,
    (collected, evidence, rest): (Collected, Evidence, Rest),
) -> Result<(Collected, Evidence), Refusal> {
    let Some(more) = collect::attested::further(app, live, open, &collected).await? else {
        return Ok((collected, evidence));
    };
    let (further, _) = about(app, live, open.subject(), Some(open.document()), (&more, rest)).await?;
    let evidence = Evidence {
        attestations: [evidence.attestations, further.attestations].concat(),
        rejected: [evidence.rejected, further.rejected].concat(),
        unread: [evidence.unread, further.unread].concat(),
        ..evidence
    };
    Ok((collected.with(more), evidence))
}

/// Decides by `evidence`, which comes back: a `where` of a policy may be long work.
///
/// # Errors
/// Undecided, when the deciding thread died.
pub(super) async fn decided<T: Send + 'static>(
    app: &Handles,
    live: &Arc<Live>,
    (repository, document): (&Repository, &Intact<Document>),
    evidence: Evidence,
    decide: impl FnOnce(&PolicySet, &Document, &Evidence) -> T + Send + 'static,
) -> Result<(T, Evidence), Refusal> {
    let (live, document) = (Arc::clone(live), document.clone());
    let work = move || (decide(live.policy(), document.value(), &evidence), evidence);
    // What an expression names of them is copied for it.
    let memory = 2 * limits::STATEMENTS_MEMORY as u64;
    app.compute_pool
        .run(Work { repository, memory }, work)
        .await
        .map_err(|Died| Refusal::undecided(Code::Internal))
}
