//! Verification, off the async threads: bytes, trust and time go in, evidence comes out, nothing is asked (A314).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::identity::Authority;
use pullgate_policy::oci::Document;
use pullgate_policy::verdict::Subject;

use super::collect::Collected;
use crate::app::App;
use crate::live::Live;
use crate::refusal::Refusal;

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
    let authorities: Vec<Authority> =
        live.policy().authorities_for(&subject.repository).into_iter().cloned().collect();
    let (keys, trust) = (Arc::clone(&live.config().policy.keys), Arc::clone(&live.config().policy.trust));
    let manifest = document.value().bytes().clone();
    let (digest, found, at) = (subject.digest, Arc::clone(&collected.found), collected.at);
    let now = app.clock.now();
    let verified = tokio::task::spawn_blocking(move || {
        let authorities: Vec<&Authority> = authorities.iter().collect();
        pullgate_verify::verify_all(&pullgate_verify::Request {
            subject: digest,
            manifest: &manifest,
            found: &found,
            authorities: &authorities,
            keys: &keys,
            trust: &trust,
            now,
            collected: at,
        })
    })
    .await;
    let mut evidence = verified.map_err(|_panic| Refusal::undecided(Code::Internal))?;
    evidence.rejected.extend(collected.rejected.iter().cloned());
    evidence.unread.extend(collected.unread.iter().copied());
    Ok(evidence)
}
