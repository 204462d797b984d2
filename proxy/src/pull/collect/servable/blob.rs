//! The blobs of evidence that passes: the gate's own copies, hashed as they are read, by the names that its manifest
//! has for them.

use std::sync::Arc;

use bytes::Bytes;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::servable::{Named, Passed, ServableEvidence};
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::verdict::Subject;
use pullgate_store::limits;

use super::super::pieces;
use super::subjects::fetched;
use super::{Looked, look, overload, remembered};
use crate::evidence_budget::Reservation;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::{resolve, scope};
use crate::refusal::Refusal;

/// A blob of evidence that leaves.
#[derive(Debug)]
pub struct OwnCopy {
    /// The SHA-256 digest of its bytes.
    pub sha256: Digest,
    /// Its bytes.
    pub bytes: Bytes,
}

/// A copy, and the room that it takes while it is in use.
struct Roomy {
    bytes: Bytes,
    _held: Reservation,
}

impl AsRef<[u8]> for Roomy {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

/// The gate's own copy of a blob of evidence that leaves here under the policy that is in force now; `None` where no
/// evidence that left has it.
///
/// # Errors
/// Undecided, where evidence with this blob could not be checked: it may leave. A denial, where that is blocked.
pub async fn blob(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    digest: Digest,
) -> Result<Option<OwnCopy>, Refusal> {
    let known = app.memory.passing_with_blob(repository, digest).await;
    let of_known = among(app, live, (repository, digest), &known).await;
    if let Ok(Some(_)) = of_known {
        return of_known;
    }
    // After a restart, or under another policy, the store knows of more.
    let stored = app.store.owners(repository, &digest).await?;
    let others: Vec<_> = stored.into_iter().filter(|manifest| !known.contains(manifest)).collect();
    match among(app, live, (repository, digest), &others).await {
        Ok(None) => of_known,
        of_others => of_others,
    }
}

/// The same, of what some of these manifests have.
async fn among(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    (repository, digest): (&Repository, Digest),
    manifests: &[Digest],
) -> Result<Option<OwnCopy>, Refusal> {
    let mut refused: Option<Refusal> = None;
    for manifest in manifests {
        match Box::pin(of(app, live, repository, *manifest, digest)).await {
            Ok(Some(copy)) => return Ok(Some(copy)),
            Ok(None) => {}
            // Of two refusals, an undecided one may change with the next try.
            Err(refusal @ Refusal::Undecided(_)) => refused = Some(refusal),
            Err(refusal) => refused = refused.or(Some(refusal)),
        }
    }
    refused.map_or(Ok(None), Err)
}

/// The same of one manifest.
async fn of(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    manifest: Digest,
    digest: Digest,
) -> Result<Option<OwnCopy>, Refusal> {
    scope::not_blocked(live, &manifest)?;
    let subject = Subject { repository: repository.clone(), digest: manifest };
    let Some(passing) = Box::pin(passing(app, live, &subject)).await? else { return Ok(None) };
    let Some(named) = passing.named(&digest) else { return Ok(None) };
    scope::not_blocked(live, &named.sha256)?;
    let (bytes, held) = read(app, live, repository, named).await?;
    let Some(passed) = passing.blob(&digest, bytes) else { return Ok(None) };
    let bytes = passed_bytes(&passed, held);
    Ok(Some(OwnCopy { sha256: named.sha256, bytes }))
}

async fn passing(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    subject: &Subject,
) -> Result<Option<Arc<ServableEvidence>>, Refusal> {
    if let Some(passing) = remembered(app, live, subject).await {
        return Ok(Some(passing));
    }
    let repository = &subject.repository;
    let document = match resolve::held(app, repository, &subject.digest).await {
        Ok(Some(document)) => Some(document),
        Ok(None) => fetched(app, live, repository, subject.digest, Ok(())).await?,
        Err(unknown) => fetched(app, live, repository, subject.digest, Err(unknown)).await?,
    };
    let Some(document) = document else { return Ok(None) };
    match look(app, live, subject, &document).await? {
        Looked::Passes(passing) => Ok(Some(passing)),
        Looked::Not(_) => Ok(None),
    }
}

/// From memory, the disk or the upstream. A blob over one piece of a response has room of its own for as long as it is
/// sent: a client may be slow (A602).
async fn read(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    named: &Named,
) -> Result<(Intact<Bytes>, Option<Reservation>), Refusal> {
    if let Some(bytes) = app.memory.evidence_blob(repository, named.sha256).await {
        return Ok((bytes, None));
    }
    let mut held = app.evidence_budget.nothing(repository);
    held.grow(named.size).map_err(overload)?;
    let bytes = match app.store.document(repository, &named.sha256).await {
        Ok(Some(bytes)) => bytes,
        Ok(None) | Err(_) => {
            let _place = app.question(repository)?;
            pieces::blob(app, live, repository, named.digest, named.size).await?
        }
    };
    app.memory.keep_evidence_blob(repository, &bytes).await;
    let is_small = bytes.value().len() <= limits::STREAM_CHUNK_BYTES;
    Ok((bytes, (!is_small).then_some(held)))
}

fn passed_bytes(passed: &Passed<Bytes>, held: Option<Reservation>) -> Bytes {
    let bytes = passed.content().value().clone();
    match held {
        Some(_held) => Bytes::from_owner(Roomy { bytes, _held }),
        None => bytes,
    }
}
