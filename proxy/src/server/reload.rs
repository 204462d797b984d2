//! A changed configuration: all of it or nothing of it (A411).

mod folders;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use folders::Folders;
use pullgate_config::{Diagnostics, Loaded};
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use crate::app::App;
use crate::audit::{Record, Word};
use crate::health::Condition;
use crate::live::Live;
use crate::metrics::ReloadResult;

/// How often files are read anyway: some file systems report nothing, and a key may come late.
const POLL: Duration = Duration::from_secs(60);
/// The component under which `/readyz` tells of a reload that failed.
const COMPONENT: &str = "configuration";

/// Reloads on SIGHUP, on file events and on a schedule, for ever.
pub async fn watch(app: Arc<App>, path: PathBuf, mut hang_up: Signal) {
    let changed = Arc::new(Notify::new());
    let mut watcher = Folders::new(Arc::clone(&changed), POLL);
    let mut in_force = app.live().config().fingerprint;
    let mut refused: Option<String> = None;
    // What changed before the first folder was followed is found by reading at once.
    changed.notify_one();
    loop {
        watcher.follow(&app.live().config().watched, &path);
        let forced = tokio::select! {
            signal = hang_up.recv() => {
                app.audit.reopen();
                signal.is_some()
            }
            () = changed.notified() => {
                watcher.rested(&app.live().config().watched, &path).await;
                false
            }
            () = tokio::time::sleep(POLL) => false,
        };
        let reading = path.clone();
        let now = app.clock.now();
        let Ok(loaded) = tokio::task::spawn_blocking(move || pullgate_config::load(&reading, now)).await
        else {
            continue;
        };
        let seen = match &loaded {
            Ok(loaded) => loaded.config.fingerprint.to_string(),
            Err(faults) => faults.to_string(),
        };
        // Told once: the record of a refusal may lie beside the files, be an event itself, and cause the next look.
        if !forced && refused.as_ref() == Some(&seen) {
            continue;
        }
        match loaded {
            Ok(loaded) if loaded.config.fingerprint == in_force && !forced => {
                app.health.set(COMPONENT, Condition::Good);
                refused = None;
            }
            Ok(loaded) => {
                let read = loaded.config.fingerprint;
                // What was refused is not in force, so the next look does not take it for what is.
                refused = match apply(&app, loaded).await {
                    ReloadResult::Applied => {
                        in_force = read;
                        None
                    }
                    ReloadResult::Refused => Some(seen),
                };
            }
            Err(faults) => {
                failed(&app, &faults.summary()).await;
                refused = Some(seen);
            }
        }
    }
}

/// Puts a load of the configuration in force, and tells whether it is.
pub async fn apply(app: &App, loaded: Loaded) -> ReloadResult {
    warn(&loaded.warnings);
    let before = app.live();
    let (old, new) = (before.config(), &loaded.config);
    if old.listen.address != new.listen.address
        || old.admin.address != new.admin.address
        || old.state != new.state
    {
        tracing::warn!("a changed `listen`, `admin` or `state` needs a restart; the rest is in force");
    }
    if old.audit.log != new.audit.log || old.audit.on_failure != new.audit.on_failure {
        tracing::warn!("a changed `audit.log` or `audit.on_failure` needs a restart; the rest is in force");
    }
    match Live::after(Some(before.as_ref()), loaded.config) {
        Ok(live) => {
            app.audit.retain(live.config().audit.retain, live.config().audit.retain_max);
            let policy = live.revisions().policy;
            app.metrics.enforcing_scopes(live.policy().enforcing_scopes());
            app.replace(&live);
            // A table that is new, or follows from another root now, may have a copy from before.
            super::trust_refresh::recall(app).await;
            app.metrics.reload(ReloadResult::Applied);
            app.health.set(COMPONENT, Condition::Good);
            tracing::info!(%policy, "the configuration was reloaded");
            tell(app, Word::Permit, &policy.to_string()).await;
            ReloadResult::Applied
        }
        Err(fault) => failed(app, &fault.to_string()).await,
    }
}

/// Keeps what is in force, and says why.
async fn failed(app: &App, why: &str) -> ReloadResult {
    app.metrics.reload(ReloadResult::Refused);
    app.health.set(COMPONENT, Condition::Degraded(format!("the last reload was refused: {why}")));
    tracing::error!(why, "the configuration was not reloaded; the old one stays in force");
    tell(app, Word::Refused, why).await;
    ReloadResult::Refused
}

async fn tell(app: &App, result: Word, why: &str) {
    let record = Record::reload(app.live().revisions(), app.clock.now(), result, why);
    // A reload is no pull: one that cannot be recorded is counted by the audit log itself.
    let _ = app.audit.write(record).await;
}

/// Logs what is weaker than it looks.
pub fn warn(warnings: &Diagnostics) {
    for warning in warnings.iter() {
        tracing::warn!(code = warning.code.as_str(), "{}", warning.message);
    }
}
