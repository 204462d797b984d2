//! Finds out whether a manifest leaves as evidence: every blob of it is fetched and read here first (A031), and something in
//! it is verified about a subject of the same repository, by an authority of the policy that governs both (A601).
//!
//! One looks for all who ask. What came of it is remembered, a no as well: it costs the same a second time (A604).

use std::collections::BTreeSet;
use std::sync::Arc;

use futures_util::{StreamExt as _, stream};
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::servable::{EvidenceOnly, NotServable, ServableEvidence};
use pullgate_policy::oci::Document;
use pullgate_policy::time::later;
use pullgate_policy::verdict::Subject;

use super::carried::{self, Carried};
use super::{FETCHED_AT_ONCE, pieces};
use crate::compute_pool::{self, Died, Work};
use crate::effort;
use crate::evidence_budget::Reservation;
use crate::live::Live;
use crate::memory::{RestsOn, Unservable};
use crate::pull::handles::Handles;
use crate::pull::scope;
use crate::refusal::Refusal;

mod blob;
mod subjects;

pub use blob::blob;

/// What came of the look.
#[derive(Debug, Clone)]
pub enum Looked {
    /// It is judged like any other manifest.
    Not(Unpassed),
    /// It leaves.
    Passes(Arc<ServableEvidence>),
}

/// Why a manifest does not leave as evidence, and what it cost to find out.
#[derive(Debug, Clone, Copy)]
pub struct Unpassed {
    /// Why.
    pub why: NotServable,
    /// Digests that were fetched for it, at most.
    pub fetched: usize,
}

/// What was read of a manifest.
enum Read {
    /// A blob is not there: it may come.
    Incomplete,
    /// Nothing but evidence, and what it carries.
    Is(Box<(EvidenceOnly, Carried)>),
    /// It stays something else.
    Not(NotServable),
}

/// The manifest as evidence that passes, if it is that and nothing else.
///
/// # Errors
/// Undecided, when a blob or the subject could not be asked for, or the trust table is stale: whether it passes is then not
/// known. A denial, where the policy blocks a part of it or what it is about.
pub async fn look(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Looked, Refusal> {
    if EvidenceOnly::needs(document.value()).is_none() {
        return Ok(Looked::Not(Unpassed { why: NotServable::Other, fetched: 0 }));
    }
    if let Some(passing) = remembered(app, live, subject).await {
        app.memory.keep_passing_blobs(&subject.repository, &passing).await;
        return Ok(Looked::Passes(passing));
    }
    if let Some(unpassing) = app.memory.unpassed(subject, live.revisions()).await {
        return told(&unpassing, 0);
    }
    let key = (subject.clone(), live.revisions());
    let work = {
        let (app, live) = (Arc::clone(app), Arc::clone(live));
        let (subject, document) = (subject.clone(), document.clone());
        || async move {
            let looked = async {
                // Of what wears evidence nobody can say whether it waits for the upstream or for itself: as large as it
                // is, it was made (A612).
                let _own = effort::computing();
                Box::pin(anew(&app, &live, &subject, &document)).await
            };
            app.efforts.work_for(&subject, looked).await
        }
    };
    app.looks.join(key, work).await.unwrap_or_else(|_lost| Err(Refusal::undecided(Code::Internal)))
}

/// What passed before, under the same policy, keys, trust and blocks, for as long as a permit counts.
async fn remembered(app: &Handles, live: &Live, subject: &Subject) -> Option<Arc<ServableEvidence>> {
    let (found, passing) = app.memory.passing(&subject.repository, subject.digest).await?;
    let now = app.clock.now();
    let ends = later(found, live.policy().permit_ttl);
    // What was found in the future was found by a clock that was set back (A541).
    let is_young = found <= now && now < ends;
    (is_young && passing.counts(&subject.repository, live.revisions(), now)).then_some(passing)
}

/// The answer that was remembered.
fn told(unpassing: &Unservable, fetched: usize) -> Result<Looked, Refusal> {
    match unpassing {
        Unservable::Blocked(denial) => Err(Refusal::Denied(denial.clone())),
        Unservable::Not { why, .. } => Ok(Looked::Not(Unpassed { why: *why, fetched })),
    }
}

/// Looks, and remembers what came of it where that is known.
async fn anew(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Looked, Refusal> {
    let revisions = live.revisions();
    // The subjects may be others by now; the evidence is what it was, and is not read again.
    if let Some(before) = app.memory.unpassed_before(subject, revisions).await
        && let Unservable::Not { rests_on: Some(rests_on), .. } = before.as_ref()
        && subjects::are_still(app, live, &subject.repository, rests_on).await?
    {
        let fetched = rests_on.tried();
        app.memory.keep_unpassed(subject, revisions, Arc::clone(&before)).await;
        return told(&before, fetched);
    }
    let parts: BTreeSet<_> = document.value().manifest().content().map(|part| part.digest).collect();
    let unpassing = match app.stage("look", Box::pin(found(app, live, subject, document))).await {
        Ok(Ok(passing)) => {
            let passing = Arc::new(passing);
            app.memory.keep_passing(&subject.repository, &passing).await;
            app.store.keep_owner(&subject.repository, &passing).await;
            return Ok(Looked::Passes(passing));
        }
        Ok(Err(unpassing)) => unpassing,
        Err(Refusal::Denied(denial)) => Unservable::Blocked(denial),
        Err(refusal) => return Err(refusal),
    };
    let tried = match &unpassing {
        Unservable::Not { rests_on: Some(rests_on), .. } => rests_on.tried(),
        Unservable::Blocked(_) | Unservable::Not { rests_on: None, .. } => {
            pullgate_policy::limits::EVIDENCE_SUBJECTS
        }
    };
    let answer = told(&unpassing, parts.len() + tried);
    app.memory.keep_unpassed(subject, revisions, Arc::new(unpassing)).await;
    answer
}

/// What the evidence is, whether something in it holds, or the policy does without that.
async fn found(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Result<ServableEvidence, Unservable>, Refusal> {
    let lasting = |why| Unservable::Not { why, rests_on: Some(RestsOn::default()) };
    let mut held = app.evidence_budget.begin(&subject.repository).await.map_err(overload)?;
    let (only, carried) = match read(app, live, subject, document, &mut held).await? {
        Read::Is(is) => *is,
        Read::Incomplete => return Ok(Err(Unservable::Not { why: NotServable::Other, rests_on: None })),
        Read::Not(why) => return Ok(Err(lasting(why))),
    };
    for named in carried.named() {
        scope::not_blocked(live, named)?;
    }
    let by_form = match ServableEvidence::well_formed(&only, live.policy(), &subject.repository) {
        Ok(passing) => return Ok(Ok(passing)),
        Err(by_form) => by_form,
    };
    match subjects::verified(app, live, &subject.repository, (&only, &carried), held).await? {
        Ok(passing) => Ok(Ok(passing)),
        Err((NotServable::Unverified, rests_on)) => Ok(Err(Unservable::Not { why: by_form, rests_on })),
        Err((why, rests_on)) => Ok(Err(Unservable::Not { why, rests_on })),
    }
}

fn overload<T>(_full: T) -> Refusal {
    Refusal::undecided(Code::Overload)
}

async fn read(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
    held: &mut Reservation,
) -> Result<Read, Refusal> {
    held.grow(document.value().manifest().content().map(|part| part.size).sum()).map_err(overload)?;
    let (mut seen, mut parts) = (BTreeSet::new(), Vec::new());
    for descriptor in document.value().manifest().content() {
        let Some(digest) = descriptor.digest else { return Ok(Read::Not(NotServable::Other)) };
        scope::not_blocked(live, &digest)?;
        if seen.insert(digest) {
            parts.push((digest, descriptor.size));
        }
    }
    let blob = |(digest, size)| pieces::blob(app, live, &subject.repository, digest, size);
    // Side by side: one after the other, hundreds of them would take the whole deadline (A612).
    let mut fetched = stream::iter(parts.into_iter().map(blob)).buffered(FETCHED_AT_ONCE);
    let mut blobs = Vec::new();
    while let Some(blob) = fetched.next().await {
        match blob {
            // A block names bytes, whatever the manifest names them by (A609).
            Ok(bytes) => {
                scope::not_blocked(live, &bytes.digest())?;
                blobs.push(bytes);
            }
            Err(refusal @ Refusal::Undecided(_)) => return Err(refusal),
            Err(_) => return Ok(Read::Incomplete),
        }
    }
    let largest = blobs.iter().map(|blob| blob.value().len()).max().unwrap_or(0);
    let work = Work {
        repository: &subject.repository,
        memory: compute_pool::memory_of_reading(u64::try_from(largest).unwrap_or(u64::MAX)),
    };
    let document = document.clone();
    // Read where nobody waits for an answer (A611).
    let checked = app.compute_pool.run(work, move || match EvidenceOnly::check(document, blobs) {
        Ok(only) => {
            let carried = carried::read(&only);
            Read::Is(Box::new((only, carried)))
        }
        Err(not) => Read::Not(not),
    });
    checked.await.map_err(|Died| Refusal::undecided(Code::Internal))
}
