//! Judges answered pulls by the policy of `audit.shadow`, one at a time and on the fair share of its repository: the
//! same replay as `pullgate policy diff`, from kept content. It has no way back into an answer.

use std::collections::{BTreeSet, HashMap};
use std::hash::{BuildHasher as _, RandomState};
use std::sync::{Arc, Weak};

use pullgate_config::{Config, Shadow};
use pullgate_policy::verdict::Ground;
use tokio::sync::mpsc::Receiver;
use tokio::time::{Instant, sleep_until};

use crate::app::App;
use crate::audit::{Client, Refused};
use crate::health::Condition;
use crate::http::record;
use crate::limits::{SHADOW_AFTER, SHADOW_BYTES, SHADOW_CLIENTS, SHADOW_REMEMBERED, SHADOW_REMEMBERED_FOR};
use crate::live::Live;
use crate::memory::weight;
use crate::metrics::Said;
use crate::pull::replay::{self, Content, Replayed};
use crate::shadow::Answered;

/// The component under which `/readyz` reports a policy that cannot be tried.
const COMPONENT: &str = "shadow";

/// The verdict on a manifest of late, and the clients whose pulls were recorded with it.
struct Lately {
    at: Instant,
    verdict: Replayed,
    /// Bytes that the verdict takes.
    bytes: usize,
    /// Clients, by a hash of their address and names.
    recorded: BTreeSet<u64>,
}

/// What was said lately, of some manifests.
#[derive(Default)]
struct Remembered {
    lately: HashMap<Content, Lately>,
    bytes: usize,
    clients: RandomState,
}

/// The policy that is tried under one load of the configuration, and its verdicts.
struct Trial {
    of: Arc<Live>,
    by: Arc<Live>,
    remembered: Remembered,
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
                Some(Self { of: Arc::clone(live), by, remembered: Remembered::default() })
            }
            Some(Shadow::Broken(_)) | None => None,
        }
    }

    async fn judge(&mut self, app: &App, one: Answered) {
        let Answered { content, was, mut record, .. } = one;
        if !self.remembered.knows(&content) {
            let verdict = replay::judge(&app.pull, &self.by, &content).await;
            self.remembered.keep(content.clone(), verdict);
        }
        let Some(verdict) = self.remembered.verdict(&content) else { return };
        let would_be = said(verdict);
        app.metrics.shadow(was, would_be);
        if was == would_be {
            return;
        }
        record::would_be(&mut record, &self.by, verdict);
        if !self.remembered.is_new(&content, record.client.as_ref()) {
            return;
        }
        // No pull waits for it; the log counts a record that is lost. A record about a refusal gets no more room than the
        // refusal itself (A606).
        let _ = match was {
            Said::Deny => app.audit.write_refusal(Refused::Governed, record).await,
            Said::Permit | Said::Skipped | Said::Unknown | Said::Warn => app.audit.write(record).await,
        };
    }
}

impl Remembered {
    fn knows(&self, content: &Content) -> bool {
        self.lately.get(content).is_some_and(Lately::counts)
    }

    fn verdict(&self, content: &Content) -> Option<&Replayed> {
        self.lately.get(content).map(|lately| &lately.verdict)
    }

    fn keep(&mut self, content: Content, verdict: Replayed) {
        let bytes = bytes_of(&verdict);
        self.put(content, Lately { at: Instant::now(), verdict, bytes, recorded: BTreeSet::new() });
    }

    /// Remembers what was said. Where there is no room those that no longer count go, then all.
    fn put(&mut self, content: Content, said: Lately) {
        if self.is_full(said.bytes) {
            self.lately.retain(|_, lately| lately.counts());
            self.bytes = self.lately.values().map(|lately| lately.bytes).sum();
        }
        if self.is_full(said.bytes) {
            self.lately.clear();
            self.bytes = 0;
        }
        self.bytes = self.bytes.saturating_add(said.bytes);
        if let Some(before) = self.lately.insert(content, said) {
            self.bytes = self.bytes.saturating_sub(before.bytes);
        }
    }

    fn is_full(&self, more: usize) -> bool {
        self.lately.len() >= SHADOW_REMEMBERED || self.bytes.saturating_add(more) > SHADOW_BYTES
    }

    /// Whether the pull of this client is the first that is recorded with the verdict, and one of so many.
    fn is_new(&mut self, content: &Content, client: Option<&Client>) -> bool {
        let client = self.clients.hash_one(who(client));
        let Some(lately) = self.lately.get_mut(content) else { return false };
        lately.recorded.len() < SHADOW_CLIENTS && lately.recorded.insert(client)
    }
}

impl Lately {
    fn counts(&self) -> bool {
        Instant::now() < self.at + SHADOW_REMEMBERED_FOR
    }
}

/// Bytes of a verdict, of its texts above all: an image can have many signers with long names.
fn bytes_of(verdict: &Replayed) -> usize {
    match verdict {
        Replayed::Deny(denial) => weight::of_texts(denial),
        Replayed::Permit(permit) => match permit.ground() {
            Ground::WarnOnly(denial) => weight::of_texts(denial),
            Ground::EachChild | Ground::Exempt { .. } | Ground::Satisfied | Ground::Unchecked => {
                permit.met().iter().flat_map(|met| &met.identities).map(String::len).sum()
            }
        },
        Replayed::Unknown(_) => 0,
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
fn who(client: Option<&Client>) -> Option<(&str, &[String])> {
    let client = client?;
    let address = client.address.rsplit_once(':').map_or(client.address.as_str(), |(address, _)| address);
    Some((address, client.names.as_slice()))
}

#[cfg(test)]
mod tests {
    use pullgate_policy::decide::unmatched;
    use pullgate_policy::oci::Digest;

    use super::*;

    fn content(n: usize) -> Content {
        let repository = "r.io/app".parse().unwrap();
        Content { repository, digest: Digest::of(&n.to_be_bytes()), root: None }
    }

    fn said(bytes: usize) -> Lately {
        let verdict = Replayed::Deny(Box::new(unmatched()));
        Lately { at: Instant::now(), verdict, bytes, recorded: BTreeSet::new() }
    }

    #[test]
    fn over_the_limit_of_manifests_or_bytes_what_was_said_is_forgotten() {
        let mut remembered = Remembered::default();
        (0..SHADOW_REMEMBERED).for_each(|n| remembered.put(content(n), said(1)));
        assert!(remembered.knows(&content(0)) && remembered.lately.len() == SHADOW_REMEMBERED);
        remembered.put(content(SHADOW_REMEMBERED), said(1));
        assert!(!remembered.knows(&content(0)) && remembered.lately.len() == 1);
        let mut remembered = Remembered::default();
        (0..2).for_each(|n| remembered.put(content(n), said(SHADOW_BYTES / 2)));
        assert!(remembered.knows(&content(0)) && remembered.bytes == SHADOW_BYTES);
        remembered.put(content(2), said(1));
        assert!(!remembered.knows(&content(0)) && remembered.knows(&content(2)));
        remembered.keep(content(2), Replayed::Deny(Box::new(unmatched())));
        assert!(remembered.bytes > size_of::<Replayed>() && remembered.lately.len() == 1);
    }

    #[test]
    fn a606_of_one_manifest_the_pulls_of_so_many_clients_are_recorded() {
        let mut remembered = Remembered::default();
        remembered.put(content(0), said(1));
        let client = |n: usize| Client {
            address: format!("10.0.{}.{}:1", n / 256, n % 256),
            forwarded: None,
            names: Vec::new(),
            user_agent: String::new(),
        };
        assert!((0..SHADOW_CLIENTS).all(|n| remembered.is_new(&content(0), Some(&client(n)))));
        assert!(!remembered.is_new(&content(0), Some(&client(0))), "once");
        assert!(!remembered.is_new(&content(0), Some(&client(SHADOW_CLIENTS))), "one more");
    }
}
