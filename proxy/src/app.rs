//! The composition root: every handle of a running gate, built once, named once.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Seal;
use pullgate_policy::verdict::Subject;

use crate::audit::Audit;
use crate::clock::Clock;
use crate::effort::Efforts;
use crate::health::Health;
use crate::in_flight::InFlight;
use crate::live::Live;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::places::Places;
use crate::pull::children::End;
use crate::pull::collect::passing::Looked;
use crate::pull::rooms;
use crate::pull::{JobKey, Judged, Pulled};
use crate::refusal::Refusal;
use crate::state::State;
use crate::trust::{Known, News, Roots};
use crate::upstream::Presence;
use crate::waits::Waits;
use crate::workers::Workers;
use pullgate_upstream::single_flight::SingleFlight;

/// A running gate.
#[derive(Debug)]
pub struct App {
    live: ArcSwap<Live>,
    /// What is remembered on disk.
    pub store: State,
    /// What is remembered in memory.
    pub memory: Memory,
    /// The seal on what is stored.
    pub seal: Seal,
    /// The pull log.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
    /// What is wrong, for `/readyz`.
    pub health: Health,
    /// The time.
    pub clock: Clock,
    /// Trust roots that are refreshed.
    pub roots: Roots,
    /// Manifest requests under way.
    pub pulls: SingleFlight<JobKey, Result<Pulled, Refusal>>,
    /// Verdicts under way.
    pub verdicts: SingleFlight<(Subject, Revisions), Result<Judged, Refusal>>,
    /// Looks at what may leave as evidence, under way.
    pub looks: SingleFlight<(Subject, Revisions), Result<Looked, Refusal>>,
    /// Questions whether an upstream has a blob, under way.
    pub presences: SingleFlight<(Repository, Digest), Result<Presence, Refusal>>,
    /// Blobs that are read for their other name, under way (A609).
    pub names: SingleFlight<(Repository, Digest), Result<Digest, Refusal>>,
    /// Children of indexes that are read on behalf of blobs, one reader for each repository (A615).
    pub children: SingleFlight<(Repository, Revisions), Result<End, Refusal>>,
    /// Bytes of evidence that verdicts hold.
    pub in_flight: InFlight,
    /// Places for verdicts in work, and for questions to upstreams.
    pub places: Places,
    /// Threads that read, verify and decide.
    pub workers: Workers,
    /// How long a pull waits.
    pub waits: Waits,
    /// What verdicts in work have computed so far.
    pub efforts: Efforts,
}

/// The handles that an [`App`] is built from.
#[derive(Debug)]
pub struct Parts {
    /// The first load of the configuration.
    pub live: Live,
    /// What is remembered on disk.
    pub store: State,
    /// The seal on what is stored.
    pub seal: Seal,
    /// The pull log.
    pub audit: Audit,
    /// Counters.
    pub metrics: Metrics,
    /// What is wrong.
    pub health: Health,
    /// The time.
    pub clock: Clock,
    /// Trust roots that are refreshed.
    pub roots: Roots,
    /// How long a pull waits.
    pub waits: Waits,
}

impl App {
    /// Puts the handles together.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { live, store, seal, audit, metrics, health, clock, roots, waits } = parts;
        let cache = &live.config().cache;
        let memory = Memory::new(cache.deny_ttl, cache.tag_ttl, clock.clone());
        let app = Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            store,
            memory,
            seal,
            audit,
            metrics,
            health,
            clock,
            roots,
            pulls: SingleFlight::new(),
            verdicts: SingleFlight::new(),
            looks: SingleFlight::new(),
            presences: SingleFlight::new(),
            names: SingleFlight::new(),
            children: SingleFlight::new(),
            in_flight: InFlight::default(),
            places: Places::default(),
            workers: Workers::of_this_machine(),
            waits,
            efforts: Efforts::default(),
        });
        let gate = Arc::downgrade(&app);
        let look = move || gate.upgrade().map(|app| rooms::of(&app)).unwrap_or_default();
        app.metrics.look_into_rooms(Box::new(look));
        app
    }

    /// The configuration of this moment; a pull takes it once.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts another load of the configuration in force, whole.
    pub fn replace(&self, live: &Live) {
        // Under one lock with `restamp`: of a reload and a refresh at once, neither takes the other back.
        let roots = self.roots.lock();
        self.live.store(Arc::new(over(&roots, live, self.clock.now())));
        drop(roots);
        // Denials are keyed by revision; what is forgotten here is only what nobody can ask for any more.
        self.memory.forget_denials();
    }

    /// Puts the trust roots of this moment under the configuration that is in force.
    pub fn restamp(&self) {
        let (mut roots, now) = (self.roots.lock(), self.clock.now());
        let before = self.live();
        // Staleness changes the revision of a table although nothing was fetched (A342).
        let same = before.config().policy.trust.revision_at(now) == before.revisions().trust;
        if roots.take_news() == News::None && same {
            return;
        }
        let after = over(&roots, &before, now);
        let changed = before.revisions() != after.revisions();
        self.live.store(Arc::new(after));
        drop(roots);
        if changed {
            self.memory.forget_denials();
        }
    }
}

/// The same load of the configuration, under the roots of this moment.
fn over(roots: &Known, live: &Live, now: Timestamp) -> Live {
    live.under(roots.over(live.loaded_trust(), &live.config().policy.sources), now)
}
