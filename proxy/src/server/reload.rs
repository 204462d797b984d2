//! A changed configuration: all of it or nothing of it (A411).

mod at_start;
mod folders;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use folders::Folders;
use pullgate_config::{Config, Diagnostics, Loaded};
use pullgate_policy::policy::named;
use tokio::signal::unix::Signal;
use tokio::sync::Notify;

use crate::app::App;
use crate::audit::{Record, Word};
use crate::health::Condition;
use crate::live::Live;
use crate::metrics::ReloadResult;

/// How often files are read anyway: some file systems report nothing, and a key may come late.
const POLL: Duration = Duration::from_secs(60);
/// The component under which `/readyz` reports a failed reload.
const COMPONENT: &str = "configuration";
/// The component under which it reports settings that wait for a restart.
const RESTART: &str = "restart";

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
        // Reported once: the record of a refusal may lie beside the files, be a file event itself, and cause the next
        // look.
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
                // A refused configuration is not in force, so the next look must not compare with it.
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
    let waiting = at_start::waiting(&app.started, new);
    let changes = changes(old, new);
    match Live::after(Some(before.as_ref()), loaded.config) {
        Ok(live) => {
            let config = live.config();
            app.audit.retain(config.audit.retain, config.audit.retain_max);
            app.memory.live_for(config.cache.deny_ttl, config.cache.tag_ttl);
            app.store.blobs().keep_at_most(config.cache.blobs_max).await;
            let policy = live.revisions().policy;
            app.metrics.policy(live.policy());
            super::keep_policy(app, config);
            app.replace(&live);
            // A table that is new, or follows from another root now, may have a copy from before.
            super::trust_refresh::recall(app).await;
            app.metrics.reload(ReloadResult::Applied);
            app.health.set(COMPONENT, Condition::Good);
            let (component, condition) = super::shadow::condition(config);
            app.health.set(component, condition);
            wait_for_restart(app, &waiting);
            tracing::info!(%policy, changes = changes.join("; "), "the configuration was reloaded");
            let said = if changes.is_empty() { vec![policy.to_string()] } else { changes };
            tell(app, Word::Permit, &said).await;
            ReloadResult::Applied
        }
        Err(fault) => failed(app, &fault.to_string()).await,
    }
}

/// Reports changed settings that are read at the start only: in the log, and in `/readyz` until the restart.
fn wait_for_restart(app: &App, waiting: &[&str]) {
    let condition = if waiting.is_empty() {
        Condition::Good
    } else {
        let keys = waiting.join(", ");
        tracing::warn!(keys, "changed settings that need a restart; the rest is in force");
        Condition::Degraded(format!("changed, in force after a restart: {keys}"))
    };
    app.health.set(RESTART, condition);
}

/// The differences, policy by policy and table by table.
fn changes(old: &Config, new: &Config) -> Vec<String> {
    let mut changes = old.policy.set.changes_to(&new.policy.set);
    let tables = |config: &Config| -> BTreeMap<String, String> {
        let upstreams =
            config.upstreams.iter().map(|(name, table)| (format!("upstream {name}"), format!("{table:?}")));
        let trust =
            config.policy.sources.iter().map(|one| (format!("trust {}", one.name), format!("{one:?}")));
        let parts = [
            ("clients", format!("{:?}", config.clients)),
            ("listen", format!("{:?}", config.listen)),
            ("cache", format!("{:?}", config.cache)),
            ("audit", format!("{:?}", config.audit)),
        ];
        upstreams.chain(trust).chain(parts.map(|(name, text)| (name.to_owned(), text))).collect()
    };
    changes.extend(named::changes(&tables(old), &tables(new)));
    changes
}

/// Keeps the configuration in force, and logs why.
async fn failed(app: &App, why: &str) -> ReloadResult {
    app.metrics.reload(ReloadResult::Refused);
    app.health.set(COMPONENT, Condition::Degraded(format!("the last reload was refused: {why}")));
    tracing::error!(why, "the configuration was not reloaded; the old one stays in force");
    tell(app, Word::Refused, &[why.to_owned()]).await;
    ReloadResult::Refused
}

async fn tell(app: &App, result: Word, why: &[String]) {
    let record = Record::reload(app.live().revisions(), app.clock.now(), result, why);
    // A reload is no pull: the audit log itself counts a record that it cannot write.
    let _ = app.audit.write(record).await;
}

/// Logs the warnings of a configuration.
pub fn warn(warnings: &Diagnostics) {
    for warning in warnings.iter() {
        tracing::warn!(code = warning.code.as_str(), "{}", warning.message);
    }
}
