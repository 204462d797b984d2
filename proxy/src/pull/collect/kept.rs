//! Evidence that was collected before, read back from the gate's own copies: a changed policy is decided from it without
//! a storm of requests.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use pullgate_policy::evidence::Unread;
use pullgate_policy::evidence::kept::{Kept, KeptOutcome};
use pullgate_policy::verdict::Subject;

use super::{Carrier, Collected, Findings, is_about, pieces};
use crate::app::App;

/// Kept evidence about `subject` that is younger than `age`, if every piece of it is still there.
pub(crate) async fn find(app: &App, subject: &Subject, age: Duration, now: Timestamp) -> Option<Collected> {
    find_with_outcome(app, subject, age, now).await.map(|(collected, _)| collected)
}

/// The same, with what came of it then.
pub(crate) async fn find_with_outcome(
    app: &App,
    subject: &Subject,
    age: Duration,
    now: Timestamp,
) -> Option<(Collected, KeptOutcome)> {
    let sealed = app.store.evidence(subject).await?;
    let kept = Kept::open(&app.seal, &sealed, subject)?;
    let ends = kept.collected.checked_add(SignedDuration::try_from(age).ok()?).ok()?;
    // A record from the future is expired, or a clock that jumped would keep it for ever (A541).
    if now < kept.collected || ends <= now {
        return None;
    }
    let mut held = app.in_flight.begin(subject.repository.registry()).await.ok()?;
    let mut carriers = Vec::new();
    for (layout, digest) in kept.manifests.iter().copied() {
        let document = app.store.document(&digest).await?.parse(None).ok()?;
        if is_about(layout, document.value().manifest(), &subject.digest) {
            carriers.push(Carrier { layout, repository: subject.repository.clone(), document });
        }
    }
    let mut findings = Findings::default();
    let found = pieces::kept(app, &carriers, (&mut findings, &mut held)).await?;
    let unread = kept.unread.iter().map(|(layout, code)| Unread { layout: *layout, code: *code }).collect();
    let collected = Collected {
        at: kept.collected,
        manifests: kept.manifests,
        found: Arc::new(found),
        rejected: findings.rejected,
        unread,
        held: Arc::new(held),
    };
    Some((collected, kept.outcome))
}
