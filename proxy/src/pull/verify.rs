//! Verification, and what is decided by it, off the async threads: bytes, trust and time go in, evidence comes out, nothing
//! is asked (A314).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::identity::Authority;
use pullgate_policy::oci::{Digest, Document};
use pullgate_policy::policy::PolicySet;
use pullgate_policy::verdict::Subject;
use pullgate_verify::Artifact;

use super::collect::Collected;
use crate::app::App;
use crate::live::Live;
use crate::refusal::Refusal;
use crate::workers::Died;

/// Verifies what was collected about `subject` by the keys and trust tables that its policy names.
///
/// # Errors
/// Undecided, when the verifying thread died.
pub async fn evidence(
    app: &App,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
    collected: &Collected,
) -> Result<Evidence, Refusal> {
    about(app, live, subject, Some(document), collected).await
}

/// The same where the document of the subject may not be here: then nothing is verified that signs more than its digest.
///
/// # Errors
/// As [`evidence`].
pub(super) async fn about(
    app: &App,
    live: &Live,
    subject: &Subject,
    document: Option<&Intact<Document>>,
    collected: &Collected,
) -> Result<Evidence, Refusal> {
    let authorities: Vec<Authority> =
        live.policy().authorities_for(&subject.repository).into_iter().cloned().collect();
    let (keys, trust) = (Arc::clone(&live.config().policy.keys), Arc::clone(&live.config().policy.trust));
    let manifest = document.map(|document| document.value().bytes().clone());
    let (digest, found, at) = (subject.digest, Arc::clone(&collected.found), collected.at);
    let now = app.clock.now();
    let verified = app.workers.run(move || {
        let authorities: Vec<&Authority> = authorities.iter().collect();
        let artifact = match (&manifest, digest) {
            (Some(manifest), _) => Artifact::Bytes(manifest),
            (None, Digest::Sha256(known)) => Artifact::Sha256(known),
            (None, Digest::Sha512(_)) => Artifact::Bytes(&[]),
        };
        pullgate_verify::verify_all(&pullgate_verify::Request {
            subject: digest,
            artifact,
            found: &found,
            authorities: &authorities,
            keys: &keys,
            trust: &trust,
            now,
            collected: at,
        })
    });
    let mut evidence = verified.await.map_err(|Died| Refusal::undecided(Code::Internal))?;
    evidence.rejected.extend(collected.rejected.iter().cloned());
    evidence.unread.extend(collected.unread.iter().copied());
    Ok(evidence)
}

/// Decides by `evidence`, which comes back: a `where` of a policy may be long work.
///
/// # Errors
/// Undecided, when the deciding thread died.
pub(super) async fn decided<T: Send + 'static>(
    app: &App,
    live: &Arc<Live>,
    document: &Intact<Document>,
    evidence: Evidence,
    decide: impl FnOnce(&PolicySet, &Document, &Evidence) -> T + Send + 'static,
) -> Result<(T, Evidence), Refusal> {
    let (live, document) = (Arc::clone(live), document.clone());
    let work = move || (decide(live.policy(), document.value(), &evidence), evidence);
    app.workers.run(work).await.map_err(|Died| Refusal::undecided(Code::Internal))
}
