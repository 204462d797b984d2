//! Trust roots that are refreshed: in the background, never while a pull waits (A349), and in force from the next pull.
//!
//! `pullgate_verify::refresh` verifies the fetched files; this module fetches them, keeps the last good copy, and
//! schedules the next refresh.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use pullgate_config::{Policies, TrustLocation, TrustRefresh, TrustSource};
use pullgate_policy::limits;
use pullgate_verify::TrustFault;
use pullgate_verify::refresh::{Kept, Refresh, RefreshFault, TargetName, refresh};
use tokio::runtime::Handle;

use crate::app::App;
use crate::audit::Word;
use crate::health::Condition;
use crate::record;

mod copies;
mod mirror;
mod roots;
mod schedule;
mod status;

pub use copies::{Copies, Keep};
pub(crate) use roots::News;
pub use roots::{Known, Roots};
pub use status::{Failed, Holds, State, Status};

use mirror::Mirror;
use roots::{Taken, Told};

/// How often the clock is looked at: a table that becomes stale and a copy that was put on the disk are noticed by then.
const TICK: Duration = Duration::from_secs(10);

/// Why a trust root was not brought up to date.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The thread that did it died.
    #[error("a fault in the gate")]
    Internal,
    /// It took too long, all files together.
    #[error("it took longer than {} seconds", limits::TUF_REFRESH.as_secs())]
    Late,
    /// The address of the repository.
    #[error("{0}")]
    Location(&'static str),
    /// What the repository offers was refused.
    #[error(transparent)]
    Refused(#[from] RefreshFault),
    /// What it offers is sound, and no trusted root (A347).
    #[error(transparent)]
    Unusable(#[from] TrustFault),
}

impl Failure {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Internal => "internal",
            Self::Late | Self::Location(_) => "trust-unreachable",
            Self::Refused(fault) => fault.code(),
            Self::Unusable(_) => "trust-root-invalid",
        }
    }
}

/// Brings one trust root up to date from `location`: what comes back is whole, and a trust table.
///
/// # Errors
/// [`Failure`]; then `kept` is still the best that there is.
pub async fn fetch(
    source: &TrustSource,
    location: &TrustLocation,
    kept: Option<Arc<Kept>>,
    now: Timestamp,
) -> Result<Kept, Failure> {
    let (mirror, source) = (Mirror::at(location).map_err(Failure::Location)?, source.clone());
    // Megabytes of JSON and hundreds of signatures: off the threads that pulls are served by.
    let runtime = Handle::current();
    let work = move || {
        let Some(TrustRefresh { anchor, .. }) = &source.refresh else { return Err(Failure::Internal) };
        let target = TargetName::TRUSTED_ROOT;
        let order = Refresh { anchor, kept: kept.as_deref(), repository: &mirror, target, now };
        let fetched = runtime.block_on(in_time(refresh(&order)))?;
        // Before anything is replaced: a repository may be sound and hold what cannot be used (A347).
        fetched.table(source.name.clone(), source.sct)?;
        Ok(fetched)
    };
    tokio::task::spawn_blocking(work).await.unwrap_or(Err(Failure::Internal))
}

async fn in_time<T>(work: impl Future<Output = Result<T, RefreshFault>>) -> Result<T, Failure> {
    Ok(tokio::time::timeout(limits::TUF_REFRESH, work).await.map_err(|_late| Failure::Late)??)
}

/// Reads what was kept of the last refreshes, and puts it under the configuration that is in force.
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

/// What can be told of every table by who does not run the gate.
#[must_use]
pub fn survey(policies: &Policies, copies: &Copies, now: Timestamp) -> Vec<Status> {
    let mut known = Known::default();
    for source in &policies.sources {
        let Some(how) = &source.refresh else { continue };
        match copies.read(&source.name, how) {
            Ok(Some(copy)) => drop(known.recalled(&source.name, how, copy)),
            Ok(None) => {}
            Err(fault) => known.disbelieved(&source.name, how, (fault.code(), fault.to_string()), now),
        }
    }
    status::of(policies, &known.set(&policies.trust, &policies.sources), &known, now)
}

/// Refreshes what is due, for ever.
pub async fn watch(app: Arc<App>) {
    loop {
        look(&app).await;
        tokio::time::sleep(TICK).await;
    }
}

/// One look: what lies on the disk, what is due, what has become stale.
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

/// Refreshes now what judging needs and does not have: for a command that judges once.
pub async fn fetch_missing(app: &Arc<App>) {
    let (live, now) = (app.live(), app.clock.now());
    let missing: Vec<String> = app
        .roots
        .statuses(&live, now)
        .into_iter()
        .filter(|status| matches!(status.state, State::Missing | State::Stale))
        .map(|status| status.name)
        .collect();
    let needed = needed(&live.config().policy);
    let wanted =
        |source: &&TrustSource| missing.contains(&pullgate_policy::text::escape(source.name.as_str()));
    join_all(needed.into_iter().filter(wanted).map(|source| bring_up_to_date(app, source))).await;
}

/// The tables that are refreshed and that an authority needs: nobody is asked about what is not used.
fn needed(policies: &Policies) -> Vec<&TrustSource> {
    let used = |source: &&TrustSource| {
        source.refresh.is_some() && status::used_by(policies, &source.name).next().is_some()
    };
    policies.sources.iter().filter(used).collect()
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
            if told == Told::Not {
                tracing::error!(trust = %name, code, why, "a trust root was not refreshed; the old one stays in force");
                audit(app, Word::Refused, format!("trust \"{name}\": {code}: {why}")).await;
            }
        }
    }
}

async fn audit(app: &App, result: Word, why: String) {
    // A refresh is no pull: one that cannot be recorded is counted by the audit log itself.
    let _ = app.audit.write(record::reload(app, result, &why)).await;
}

/// Tells machines how old each table is.
fn tell(app: &App) {
    let now = app.clock.now();
    for status in app.roots.statuses(&app.live(), now) {
        app.metrics.trust(&status, now);
    }
}

/// What `/readyz` says of the tables that authorities need.
#[must_use]
pub fn condition(app: &App) -> Condition {
    let statuses = app.roots.statuses(&app.live(), app.clock.now());
    let wrong: Vec<String> =
        statuses.iter().filter(|status| !status.used_by.is_empty()).filter_map(wrong).collect();
    if wrong.is_empty() { Condition::Good } else { Condition::Degraded(wrong.join("; ")) }
}

/// What `/readyz` says of each table, whether anything is wrong or not.
#[must_use]
pub fn facts(app: &App) -> serde_json::Value {
    let now = app.clock.now();
    let one = |status: Status| {
        serde_json::json!({
            "name": status.name,
            "state": status.state.word(),
            "age_seconds": status.age_seconds,
            "expires": status.expires,
            "next_refresh": status.next_refresh,
        })
    };
    app.roots.statuses(&app.live(), now).into_iter().map(one).collect()
}

fn wrong(status: &Status) -> Option<String> {
    let name = &status.name;
    let last = status.failed.as_ref().map(|failed| format!(", and its refresh failed ({})", failed.code));
    let last = last.unwrap_or_default();
    match status.state {
        State::Missing => Some(format!("trust root \"{name}\" was never fetched{last}")),
        State::Stale => Some(format!("trust root \"{name}\" is too old to be believed{last}")),
        State::Expired => Some(format!("trust root \"{name}\" has expired and still counts{last}")),
        State::Fresh | State::Pinned | State::Snapshot => status
            .failed
            .as_ref()
            .map(|failed| format!("the refresh of trust root \"{name}\" failed ({})", failed.code)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a345_a_refresh_has_its_time_and_not_a_millisecond_more() {
        let takes = |time| async move {
            tokio::time::sleep(time).await;
            Ok(())
        };
        let millisecond = Duration::from_millis(1);
        assert!(in_time(takes(limits::TUF_REFRESH - millisecond)).await.is_ok());
        let late = in_time(takes(limits::TUF_REFRESH + millisecond)).await.unwrap_err();
        assert_eq!(
            (late.code(), late.to_string().as_str()),
            ("trust-unreachable", "it took longer than 120 seconds")
        );
    }
}
