//! Every handle that a pull uses, named once: store and memory, limits, the clock, and the load of the configuration in
//! force.

use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use pullgate_policy::code::Code;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Seal;
use pullgate_policy::verdict::Subject;
use pullgate_upstream::single_flight::SingleFlight;
use tracing::Instrument as _;

use super::children::End;
use super::collect::servable::Looked;
use super::order::Counts;
use super::{JobKey, Judged, Pulled};
use crate::clock::Clock;
use crate::compute_pool::ComputePool;
use crate::effort::Efforts;
use crate::evidence_budget::EvidenceBudget;
use crate::live::Live;
use crate::memory::Memory;
use crate::metrics::Metrics;
use crate::refusal::Refusal;
use crate::slots::{QuerySlot, Slots};
use crate::state::State;
use crate::upstream::{Fault, Presence, Upstream};
use crate::waits::Waits;

/// The handles of pulls.
#[derive(Debug)]
pub struct Handles {
    live: ArcSwap<Live>,
    /// What is remembered on disk.
    pub store: State,
    /// What is remembered in memory.
    pub memory: Memory,
    /// The seal on what is stored.
    pub seal: Seal,
    /// Counters.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// Manifest requests under way.
    pub pulls: SingleFlight<JobKey, Result<Pulled, Refusal>>,
    /// Verdicts under way.
    pub verdicts: SingleFlight<(Subject, Revisions), Result<Judged, Refusal>>,
    /// Checks of possible evidence, under way.
    pub looks: SingleFlight<(Subject, Revisions), Result<Looked, Refusal>>,
    /// Questions whether an upstream has a blob, under way.
    pub presences: SingleFlight<(Repository, Digest), Result<Presence, Refusal>>,
    /// Blobs that are read for their other name, under way (A609).
    pub names: SingleFlight<(Repository, Digest), Result<Digest, Refusal>>,
    /// Children of indexes that are read on behalf of blobs, one reader for each repository (A615).
    pub children: SingleFlight<(Repository, Revisions), Result<End, Refusal>>,
    /// Bytes of evidence that verdicts hold.
    pub evidence_budget: EvidenceBudget,
    /// Slots for verdicts in work, and for questions to upstreams.
    pub slots: Slots,
    /// Threads that read, verify and decide.
    pub compute_pool: ComputePool,
    /// How long a pull waits.
    pub waits: Waits,
    /// What verdicts in work have computed so far.
    pub efforts: Efforts,
    /// How often each question was asked.
    pub asked: Counts,
}

/// The parts of the handles.
#[derive(Debug)]
pub struct Parts {
    /// The first load of the configuration.
    pub live: Live,
    /// What is remembered on disk.
    pub store: State,
    /// The seal on what is stored.
    pub seal: Seal,
    /// Counters.
    pub metrics: Metrics,
    /// The time.
    pub clock: Clock,
    /// How long a pull waits.
    pub waits: Waits,
}

impl Handles {
    /// Puts the handles together.
    #[must_use]
    pub fn new(parts: Parts) -> Arc<Self> {
        let Parts { live, store, seal, metrics, clock, waits } = parts;
        let cache = &live.config().cache;
        let memory = Memory::new(cache.deny_ttl, cache.tag_ttl, clock.clone());
        let handles = Arc::new(Self {
            live: ArcSwap::from_pointee(live),
            store,
            memory,
            seal,
            metrics,
            clock,
            pulls: SingleFlight::new(),
            verdicts: SingleFlight::new(),
            looks: SingleFlight::new(),
            presences: SingleFlight::new(),
            names: SingleFlight::new(),
            children: SingleFlight::new(),
            evidence_budget: EvidenceBudget::default(),
            slots: Slots::default(),
            compute_pool: ComputePool::of_this_machine(),
            waits,
            efforts: Efforts::default(),
            asked: Counts::default(),
        });
        let weak = Arc::downgrade(&handles);
        let look = move || weak.upgrade().map(|handles| handles.rooms()).unwrap_or_default();
        handles.metrics.look_into_rooms(Box::new(look));
        handles
    }

    /// The configuration of this moment; a pull takes it once.
    #[must_use]
    pub fn live(&self) -> Arc<Live> {
        self.live.load_full()
    }

    /// Puts another load of the configuration in force.
    pub(crate) fn put_in_force(&self, live: Live) {
        self.live.store(Arc::new(live));
    }

    /// A place among the questions to the repository's upstream (A059).
    pub(super) fn question(&self, repository: &Repository) -> Result<QuerySlot, Refusal> {
        self.slots.question(repository.registry()).map_err(|_full| Refusal::undecided(Code::Overload))
    }

    /// Counts a request to an upstream by its outcome.
    pub(super) fn counted<T>(
        &self,
        upstream: &Upstream,
        kind: &'static str,
        answer: Result<T, Fault>,
    ) -> Result<T, Fault> {
        let status = answer.as_ref().err().map_or("ok", Fault::code);
        self.metrics.upstream_request(upstream.registry().as_str(), kind, status);
        self.metrics.upstream_state(upstream);
        answer
    }

    /// Runs a stage under its own span and counts its time.
    pub(super) async fn stage<T>(&self, name: &'static str, work: impl Future<Output = T>) -> T {
        let started = Instant::now();
        let done = work.instrument(tracing::info_span!("stage", otel.name = name)).await;
        self.metrics.stage(name, started.elapsed());
        done
    }
}
