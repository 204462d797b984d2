//! Judges answered pulls by the policy of `audit.shadow`, one at a time and on the fair share of its repository: the
//! same replay as `pullgate policy diff`, from kept content. It has no way back into an answer.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Weak};

use pullgate_config::{Config, Shadow};
use pullgate_policy::verdict::Ground;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::audit::Client;
use crate::health::Condition;
use crate::http::record;
use crate::limits::{SHADOW_AFTER, SHADOW_REMEMBERED, SHADOW_REMEMBERED_FOR};
use crate::live::Live;
use crate::metrics::Said;
use crate::pull::replay::{self, Content, Replayed};
use crate::shadow::Answered;

/// The component under which `/readyz` reports a policy that cannot be tried.
const COMPONENT: &str = "shadow";

/// The verdict on a manifest of late, and the clients whose pulls were recorded with it.
struct Lately {
    at: Instant,
    verdict: Replayed,
    recorded: BTreeSet<String>,
}

/// The policy that is tried under one load of the configuration, and its verdicts.
struct Trial {
    of: Arc<Live>,
    by: Arc<Live>,
    lately: HashMap<Content, Lately>,
}

/// Begins to judge answered pulls.
pub(super) fn begin(app: &Arc<App>) {
    let (component, condition) = condition(app.live().config());
    app.health.set(component, condition);
    if let Some(answered) = app.shadow.take() {
        tokio::spawn(work(Arc::downgrade(app), answered));
    }
}

/// Judges answered pulls until the gate ends.
async fn work(app: Weak<App>, mut answered: Receiver<Answered>) {
    let mut trial: Option<Trial> = None;
    while let Some(one) = answered.recv().await {
        // Behind the answer, which may not have left yet.
        sleep_until(one.at + SHADOW_AFTER).await;
        let Some(app) = app.upgrade() else { return };
        let live = app.live();
        if trial.as_ref().is_none_or(|trial| !Arc::ptr_eq(&trial.of, &live)) {
            trial = Trial::begin(&app, &live);
        }
        if let Some(trial) = &mut trial {
            trial.judge(&app, one).await;
        }
    }
}

/// Says what there is of a policy to try.
pub(super) fn condition(config: &Config) -> (&'static str, Condition) {
    let condition = match &config.shadow {
        Some(Shadow::Broken(why)) => {
            Condition::Degraded(format!("no pull is judged by the policy of `audit.shadow`: {why}"))
        }
        Some(Shadow::Policies(_)) | None => Condition::Good,
    };
    (COMPONENT, condition)
}

impl Trial {
    fn begin(app: &App, live: &Arc<Live>) -> Option<Self> {
        match &live.config().shadow {
            Some(Shadow::Policies(policies)) => {
                let by = Arc::new(app.apart(&live.judging_by(policies.as_ref().clone())));
                Some(Self { of: Arc::clone(live), by, lately: HashMap::new() })
            }
            Some(Shadow::Broken(_)) | None => None,
        }
    }

    async fn judge(&mut self, app: &App, one: Answered) {
        let Answered { content, was, mut record, .. } = one;
        let now = Instant::now();
        if self.lately.len() >= SHADOW_REMEMBERED {
            self.lately.retain(|_, lately| now < lately.at + SHADOW_REMEMBERED_FOR);
            if self.lately.len() >= SHADOW_REMEMBERED {
                self.lately.clear();
            }
        }
        let known = self.lately.get(&content).is_some_and(|lately| now < lately.at + SHADOW_REMEMBERED_FOR);
        if !known {
            let verdict = replay::judge(&app.pull, &self.by, &content).await;
            self.lately.insert(content.clone(), Lately { at: now, verdict, recorded: BTreeSet::new() });
        }
        let Some(lately) = self.lately.get_mut(&content) else { return };
        let would_be = said(&lately.verdict);
        app.metrics.shadow(was, would_be);
        if was == would_be || !lately.recorded.insert(who(record.client.as_ref())) {
            return;
        }
        record::would_be(&mut record, &self.by, &lately.verdict);
        // No pull waits for it; one that is lost is counted by the log.
        let _ = app.audit.write(record).await;
    }
}

fn said(verdict: &Replayed) -> Said {
    match verdict {
        Replayed::Deny(_) => Said::Deny,
        Replayed::Permit(permit) => match permit.ground() {
            Ground::WarnOnly(_) => Said::Warn,
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => Said::Permit,
        },
        Replayed::Unknown(_) => Said::Unknown,
    }
}

/// A client without its port.
fn who(client: Option<&Client>) -> String {
    let Some(client) = client else { return String::new() };
    let address = client.address.rsplit_once(':').map_or(client.address.as_str(), |(address, _)| address);
    format!("{address} {}", client.names.join(" "))
}
