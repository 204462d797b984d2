//! Refreshes trust roots: in the background, never while a pull waits (A349), and in force from the next pull.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use pullgate_config::TrustSource;

use crate::app::App;
use crate::audit::{Record, Word};
use crate::health::Condition;
use crate::metrics::TrustGauges;
use crate::trust::{self, Novelty, Status, TableState, Taken, fetch, needed};

/// How often the clock is looked at: a table that becomes stale and a copy that was put on the disk are noticed by then.
const TICK: Duration = Duration::from_secs(10);

/// Refreshes the tables that are due, for ever.
pub async fn watch(app: Arc<App>) {
    loop {
        look(&app).await;
        tokio::time::sleep(TICK).await;
    }
}

/// One look: copies on the disk, tables that are due, tables that have become stale.
pub async fn look(app: &Arc<App>) {
    recall(app).await;
    let now = app.clock.now();
    let live = app.live();
    let due = |source: &&TrustSource| {
        let due = app.roots.lock().get(source).and_then(|root| root.due);
        due.is_none_or(|due| due <= now)
    };
    let needed = needed(&live.config().policy);
    join_all(needed.into_iter().filter(due).map(|source| bring_up_to_date(app, source))).await;
    app.restamp();
    tell(app);
}

/// Reads the kept results of the last refreshes, and puts them under the configuration in force.
pub async fn recall(app: &App) {
    let live = app.live();
    let sources = live.config().policy.sources.iter();
    for (source, refresh) in sources.filter_map(|source| Some((source, source.refresh.as_ref()?))) {
        let stamp = app.roots.copies.stamp(&source.name);
        let seen = app.roots.lock().get(source).and_then(|root| root.seen);
        if stamp.is_none() || stamp == seen {
            continue;
        }
        let (copies, name, how) = (app.roots.copies.clone(), source.name.clone(), refresh.clone());
        let read = tokio::task::spawn_blocking(move || copies.read(&name, &how)).await;
        let mut known = app.roots.lock();
        known.entry(&source.name, refresh).seen = stamp;
        match read {
            Ok(Ok(Some(copy))) => match known.recalled(&source.name, refresh, copy) {
                Taken::Yes => {
                    tracing::info!(trust = %source.name, "the kept copy of a trust root is in force")
                }
                Taken::No => {}
            },
            Ok(Ok(None)) => {}
            Ok(Err(fault)) => {
                tracing::error!(trust = %source.name, code = fault.code(), why = %fault, "the kept copy of a trust root is not believed");
            }
            Err(_died) => {
                tracing::error!(trust = %source.name, "the kept copy of a trust root cannot be read")
            }
        }
    }
    app.restamp();
}

/// Refreshes now what judging needs and does not have: for a command that judges once.
pub async fn fetch_missing(app: &Arc<App>) {
    let (live, now) = (app.live(), app.clock.now());
    let missing: Vec<String> = statuses(app, now)
        .into_iter()
        .filter(|status| matches!(status.state, TableState::Missing | TableState::Stale))
        .map(|status| status.name)
        .collect();
    let needed = needed(&live.config().policy);
    let wanted =
        |source: &&TrustSource| missing.contains(&pullgate_policy::text::escape(source.name.as_str()));
    join_all(needed.into_iter().filter(wanted).map(|source| bring_up_to_date(app, source))).await;
}

async fn bring_up_to_date(app: &Arc<App>, source: &TrustSource) {
    let Some(how) = &source.refresh else { return };
    let kept = app.roots.lock().get(source).and_then(|root| root.kept.clone());
    let before = kept.as_ref().map(|kept| kept.target().to_vec());
    let name = &source.name;
    match fetch(source, &how.location, kept, app.clock.now()).await {
        Ok(kept) => {
            let now = app.clock.now();
            let changed = before.as_deref() != Some(kept.target());
            let versions = kept.versions();
            if let Err(error) = app.roots.copies.write(name, &kept, now) {
                tracing::warn!(trust = %name, %error, "a trust root is in force and cannot be kept: a restart begins without it");
            }
            let seen = app.roots.copies.stamp(name);
            app.roots.lock().succeeded(name, how, (kept, seen), now);
            app.restamp();
            app.metrics.trust_refresh(name.as_str(), "ok");
            if changed {
                tracing::info!(trust = %name, root = versions.root, targets = versions.targets, "another trust root is in force");
                audit(
                    app,
                    Word::Permit,
                    format!("trust \"{name}\": root {}, targets {}", versions.root, versions.targets),
                )
                .await;
            }
        }
        Err(failure) => {
            let (code, why) = (failure.code(), pullgate_policy::text::escape(&failure.to_string()));
            let told = app.roots.lock().failed(name, how, (code, why.clone()), app.clock.now());
            app.metrics.trust_refresh(name.as_str(), code);
            if told == Novelty::Not {
                tracing::error!(trust = %name, code, why, "a trust root was not refreshed; the old one stays in force");
                audit(app, Word::Refused, format!("trust \"{name}\": {code}: {why}")).await;
            }
        }
    }
}

async fn audit(app: &App, result: Word, why: String) {
    let record = Record::reload(app.live().revisions(), app.clock.now(), result, &[why]);
    // A refresh is no pull: the audit log itself counts a record that it cannot write.
    let _ = app.audit.write(record).await;
}

/// Tells machines how old each table is.
fn tell(app: &App) {
    let now = app.clock.now();
    for status in statuses(app, now) {
        app.metrics.trust(&status.name, gauges(&status, now));
    }
}

fn gauges(status: &Status, now: Timestamp) -> TrustGauges {
    let until = |time: Timestamp| time.duration_since(now).as_secs_f64();
    TrustGauges {
        age: status.age().map(|age| age.as_secs_f64()),
        expires: status.expires.map(until),
        next_refresh: status.next_refresh.map(until),
        usable: status.state.counts(),
    }
}

/// The status of each table of the configuration in force.
fn statuses(app: &App, now: Timestamp) -> Vec<Status> {
    app.roots.statuses(&app.live().config().policy, now)
}

/// What `/readyz` says of the tables that authorities need.
pub(super) fn condition(app: &App) -> Condition {
    trust::condition(&statuses(app, app.clock.now()))
}

/// What `/readyz` says of each table, whether anything is wrong or not.
pub(super) fn facts(app: &App) -> serde_json::Value {
    trust::facts(statuses(app, app.clock.now()))
}
