//! Evidence that was collected before, read back from the gate's own copies: a changed policy is decided from it without
//! a storm of requests.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::evidence::collected::{CollectedEvidence, KeptOutcome};
use pullgate_policy::evidence::{Layout, Unread};
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::seal::Sealed;
use pullgate_policy::time::later;
use pullgate_policy::verdict::Subject;
use pullgate_verify::Found;

use super::{Carrier, Collected, Findings, attested, is_about, pieces};
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::resolve;
use crate::store::{Known, OrAnew as _};

/// Kept evidence about `subject` that is younger than `age`, if every piece of it is still there. Where the store
/// cannot say, it is collected anew.
pub(crate) async fn find(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    age: Duration,
    now: Timestamp,
) -> Option<Collected> {
    let found = find_with_outcome(app, live, subject, age, now).await.or_anew();
    found.map(|(collected, _)| collected)
}

/// The same, with what came of it then.
///
/// # Errors
/// [`Unknown`](crate::store::Unknown).
pub(crate) async fn find_with_outcome(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    age: Duration,
    now: Timestamp,
) -> Known<Option<(Collected, KeptOutcome)>> {
    let Some(sealed) = app.store.evidence(subject).await? else { return Ok(None) };
    match young(app, &sealed, subject, age, now) {
        Some(kept) => read(app, live, subject, kept).await,
        None => Ok(None),
    }
}

/// The same, however old it is: for who asks what would have been said of it.
///
/// # Errors
/// [`Unknown`](crate::store::Unknown).
pub(crate) async fn find_of_any_age(
    app: &Handles,
    live: &Live,
    subject: &Subject,
) -> Known<Option<Collected>> {
    let Some(sealed) = app.store.evidence(subject).await? else { return Ok(None) };
    match CollectedEvidence::open(&app.seal, &sealed, subject) {
        Some(kept) => Ok(read(app, live, subject, kept).await?.map(|(collected, _)| collected)),
        None => Ok(None),
    }
}

/// The pieces of a record, where every one of them is still there.
async fn read(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    kept: CollectedEvidence,
) -> Known<Option<(Collected, KeptOutcome)>> {
    let Ok(mut held) = app.evidence_budget.begin(&subject.repository).await else { return Ok(None) };
    let mut all = Vec::new();
    for (layout, digest) in kept.manifests.iter().copied() {
        let Some(repository) = repository_of(live, subject, layout) else { return Ok(None) };
        // It counts where it lay, and only as long as that is known (A605).
        let Some(bytes) = app.store.document(&repository, &digest).await? else { return Ok(None) };
        let Some(document) = resolve::parsed(app, &repository, bytes).await else { return Ok(None) };
        all.push(Carrier { layout, repository, document });
    }
    let about = |one: &&Carrier| is_about(one.layout, one.document.value().manifest(), &subject.digest);
    let carriers: Vec<_> = all.iter().filter(about).cloned().collect();
    let mut findings = Findings::default();
    let found = pieces::kept(app, live, (subject, &carriers), (&mut findings, &mut held)).await?;
    let Some(mut found) = found else { return Ok(None) };
    let attested = attested::kept(app, live, (subject, &all), &mut findings).await?;
    let Some((attested, more_held)) = attested else { return Ok(None) };
    found.extend(attested);
    let unread = kept.unread.iter().map(|(layout, code)| Unread { layout: *layout, code: *code }).collect();
    let collected = Collected {
        at: kept.collected,
        manifests: kept.manifests,
        found: Arc::new(found),
        rejected: findings.rejected,
        unread,
        held: std::iter::once(held).chain(more_held).map(Arc::new).collect(),
    };
    Ok(Some((collected, kept.outcome)))
}

/// The record, if it is one and young enough.
fn young(
    app: &Handles,
    sealed: &Sealed,
    subject: &Subject,
    age: Duration,
    now: Timestamp,
) -> Option<CollectedEvidence> {
    let kept = CollectedEvidence::open(&app.seal, sealed, subject)?;
    let ends = later(kept.collected, age);
    // A record from the future is expired, or a clock that jumped would keep it for ever (A541).
    (kept.collected <= now && now < ends).then_some(kept)
}

/// The pieces of what was collected, by the repository where they lie.
pub(crate) fn places(
    live: &Live,
    subject: &Subject,
    collected: &Collected,
) -> BTreeMap<Repository, Vec<Digest>> {
    let carried = collected.found.iter().flat_map(Found::sources).map(|source| (source.layout, source.blob));
    let mut places = BTreeMap::<_, Vec<_>>::new();
    for (layout, digest) in collected.manifests.iter().copied().chain(carried) {
        if let Some(repository) = repository_of(live, subject, layout) {
            places.entry(repository).or_default().push(digest);
        }
    }
    places
}

/// Where a layout lies.
pub(super) fn repository_of(live: &Live, subject: &Subject, layout: Layout) -> Option<Repository> {
    match layout {
        Layout::EvidenceRepository => live.evidence_repository(&subject.repository).cloned(),
        Layout::AttTag | Layout::BuildKit | Layout::FallbackTag | Layout::Referrers | Layout::SigTag => {
            Some(subject.repository.clone())
        }
    }
}
