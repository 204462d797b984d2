//! Finds out whether a manifest leaves as evidence: every blob of it is fetched and read here first (A031), and something in
//! it is verified about a subject of the same repository, by an authority of the policy that governs both (A601).

use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::passing::{EvidenceOnly, NotPassing, Passing};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, Reference, Repository};
use pullgate_policy::verdict::{Subject, Undecided};

use super::carried::{self, Carried};
use super::{Collected, FETCHED_AT_ONCE, pieces};
use crate::accept::Accept;
use crate::app::App;
use crate::in_flight::Held;
use crate::live::Live;
use crate::pull::{question, resolve, scope, verify};
use crate::refusal::Refusal;
use crate::workers::{self, Died, Work};

/// What came of the look.
#[derive(Debug)]
pub enum Looked {
    /// It is judged like any other manifest.
    Not(NotPassing),
    /// It leaves.
    Passes(Arc<Passing>),
}

/// The manifest as evidence that passes, if it is that and nothing else.
///
/// # Errors
/// Undecided, when a blob or the subject could not be asked for, or the trust table is stale: whether it passes is then not
/// known. A denial, where the policy blocks a part of it or what it is about.
pub async fn look(
    app: &App,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Looked, Refusal> {
    if let Some(passing) = remembered(app, live, subject).await {
        app.memory.keep_passing_blobs(&subject.repository, &passing).await;
        return Ok(Looked::Passes(passing));
    }
    if EvidenceOnly::needs(document.value()).is_none() {
        return Ok(Looked::Not(NotPassing::Other));
    }
    let mut held = app.in_flight.begin(&subject.repository).await.map_err(overload)?;
    let only = match read(app, live, subject, document, &mut held).await? {
        Ok(only) => only,
        Err(not) => return Ok(Looked::Not(not)),
    };
    // Read where nobody waits for an answer (A611).
    let (work, reading) = (work_over(&subject.repository, &only), only.clone());
    let carried = app.workers.run(work, move || carried::read(&reading)).await;
    let carried = carried.map_err(|Died| Refusal::undecided(Code::Internal))?;
    for named in carried.named() {
        scope::not_blocked(live, named)?;
    }
    let passing = match Passing::well_formed(only.clone(), live.policy(), &subject.repository) {
        Ok(passing) => passing,
        Err(by_form) => match verified(app, live, &subject.repository, (only, carried), held).await? {
            Ok(passing) => passing,
            Err(NotPassing::Unverified) => return Ok(Looked::Not(by_form)),
            Err(not) => return Ok(Looked::Not(not)),
        },
    };
    let passing = Arc::new(passing);
    app.memory.keep_passing(&subject.repository, &passing).await;
    Ok(Looked::Passes(passing))
}

/// The gate's own copy of a blob of evidence that leaves here under the policy that is in force now; none where nothing that
/// left has it.
///
/// # Errors
/// As [`look`].
pub async fn blob(
    app: &App,
    live: &Live,
    repository: &Repository,
    digest: Digest,
) -> Result<Option<Bytes>, Refusal> {
    let Some(manifest) = app.memory.passing_with_blob(repository, digest).await else { return Ok(None) };
    scope::not_blocked(live, &manifest)?;
    let subject = Subject { repository: repository.clone(), digest: manifest };
    let passing = match remembered(app, live, &subject).await {
        Some(passing) => passing,
        None => {
            let Some(document) = resolve::held(app, repository, &manifest).await? else { return Ok(None) };
            match look(app, live, &subject, &document).await? {
                Looked::Passes(passing) => passing,
                Looked::Not(_) => return Ok(None),
            }
        }
    };
    Ok(passing.blobs().iter().find(|copy| copy.digest() == digest).map(|copy| copy.value().clone()))
}

/// What passed before, under the same policy, keys, trust and blocks.
async fn remembered(app: &App, live: &Live, subject: &Subject) -> Option<Arc<Passing>> {
    let passing = app.memory.passing(&subject.repository, subject.digest).await?;
    passing.counts(&subject.repository, live.revisions()).then_some(passing)
}

fn overload<T>(_full: T) -> Refusal {
    Refusal::undecided(Code::Overload)
}

/// Work that reads the pieces, one after the other.
fn work_over<'a>(repository: &'a Repository, only: &EvidenceOnly) -> Work<'a> {
    work_of(repository, only.blobs().iter().map(|blob| blob.value().len()).max())
}

fn work_of(repository: &Repository, largest: Option<usize>) -> Work<'_> {
    Work { repository, memory: workers::memory_of_reading(largest.unwrap_or(0) as u64) }
}

async fn read(
    app: &App,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
    held: &mut Held,
) -> Result<Result<EvidenceOnly, NotPassing>, Refusal> {
    held.grow(document.value().manifest().content().map(|part| part.size).sum()).map_err(overload)?;
    let mut parts = Vec::new();
    for descriptor in document.value().manifest().content() {
        let Some(digest) = descriptor.digest else { return Ok(Err(NotPassing::Other)) };
        scope::not_blocked(live, &digest)?;
        parts.push((digest, descriptor.size));
    }
    let blob = |(digest, size)| pieces::blob(app, live, &subject.repository, digest, size);
    // Side by side: one after the other, hundreds of them would take the whole deadline (A612).
    let mut fetched = stream::iter(parts.into_iter().map(blob)).buffered(FETCHED_AT_ONCE);
    let mut blobs = Vec::new();
    while let Some(blob) = fetched.next().await {
        match blob {
            Ok(bytes) => blobs.push(bytes),
            Err(refusal @ Refusal::Undecided(_)) => return Err(refusal),
            Err(_) => return Ok(Err(NotPassing::Other)),
        }
    }
    let work = work_of(&subject.repository, blobs.iter().map(|blob| blob.value().len()).max());
    let document = document.clone();
    let checked = app.workers.run(work, move || EvidenceOnly::check(document, blobs)).await;
    checked.map_err(|Died| Refusal::undecided(Code::Internal))
}

/// The evidence as one that passes because something in it holds, about one of the subjects that it names.
async fn verified(
    app: &App,
    live: &Live,
    repository: &Repository,
    (only, carried): (EvidenceOnly, Carried),
    held: Held,
) -> Result<Result<Passing, NotPassing>, Refusal> {
    let held = Arc::new(held);
    let mut undecided = None;
    for digest in candidates(app, repository, &carried).await {
        let (about, document) = match subject_of(app, live, repository, digest).await {
            Ok(Some(found)) => found,
            Ok(None) => continue,
            Err(refusal @ Refusal::Undecided(_)) => {
                undecided = Some(refusal);
                continue;
            }
            Err(_) => continue,
        };
        if let Some(document) = &document
            && let Some(denial) = decide::blocked(live.policy(), &about, document.value())
        {
            return Err(Refusal::Denied(Box::new(denial)));
        }
        let collected = Collected {
            at: app.clock.now(),
            manifests: Vec::new(),
            found: Arc::new(carried.about(&digest)),
            rejected: Vec::new(),
            unread: Vec::new(),
            held: Arc::clone(&held),
        };
        let evidence = verify::about(app, live, &about, document.as_ref(), &collected).await?;
        match Passing::verified(only.clone(), live.policy(), &about, &evidence) {
            Ok(passing) => return Ok(Ok(passing)),
            // A trust table that is too old says neither yes nor no (A342).
            Err(_) if evidence.rejected.iter().any(|one| one.code == Code::TrustStale) => {
                undecided = Some(Refusal::Undecided(Undecided::new(Code::TrustStale)));
            }
            Err(NotPassing::Unverified) => {}
            Err(not) => return Ok(Err(not)),
        }
    }
    undecided.map_or(Ok(Err(NotPassing::Unverified)), Err)
}

/// The subjects to be tried, at most `evidence_subjects`: those first whose manifests are here, which cost no request.
async fn candidates(app: &App, repository: &Repository, carried: &Carried) -> Vec<Digest> {
    let (mut here, mut elsewhere) = (Vec::new(), Vec::new());
    for digest in carried.named().iter().copied() {
        // Where the store cannot say, its turn comes later.
        if app.store.present(repository, &digest).await == Ok(true) {
            here.push(digest);
        } else {
            elsewhere.push(digest);
        }
    }
    here.into_iter().chain(elsewhere).take(limits::EVIDENCE_SUBJECTS).collect()
}

/// The subject, which must be in the same repository: signatures by the same people about something else are no reason
/// to let anything leave here. In the separate evidence repository there are no subjects, and the digest stands for itself.
async fn subject_of(
    app: &App,
    live: &Live,
    repository: &Repository,
    digest: Digest,
) -> Result<Option<(Subject, Option<Intact<Document>>)>, Refusal> {
    let of = |digest| Subject { repository: repository.clone(), digest };
    let store = match resolve::held(app, repository, &digest).await {
        Ok(Some(document)) => return Ok(Some((of(document.digest()), Some(document)))),
        Ok(None) => Ok(()),
        Err(unknown) => Err(unknown),
    };
    if live.keeps_evidence(repository) {
        return Ok(Some((of(digest), None)));
    }
    let _place = question(app, repository)?;
    let fetched = resolve::fetch(app, live, repository, &Reference::Digest(digest), Accept::default()).await;
    match fetched.map_err(|refusal| refusal.after(store)) {
        Ok(document) => Ok(Some((of(document.digest()), Some(document)))),
        Err(Refusal::Missing(_)) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
