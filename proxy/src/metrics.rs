//! Counters for machines. Every label is from a closed set: never a repository, a digest or an identity (A526).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::encoding::text::encode;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use pullgate_policy::code::Code;

mod connections;
mod costs;
mod exemptions;
mod labels;
mod rooms;
mod shadow;
mod trust;
mod upstreams;

pub use self::connections::{ClosedFor, ConnectionSeries};
use self::costs::CostSeries;
use self::exemptions::ExemptionSeries;
use self::labels::Names;
use self::rooms::RoomSeries;
pub use self::rooms::{Look, Room};
pub use self::shadow::Said;
use self::shadow::ShadowLabels;
pub use self::trust::TrustGauges;
use self::trust::TrustSeries;
use self::upstreams::UpstreamSeries;
use crate::audit;
use crate::store::{BlobSeries, StoreSeries};
use crate::upstream::Upstream;

/// The counters of a gate. Clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    families: Families,
    /// Names of policies, upstreams and trust tables that have been seen.
    policies: Names,
    upstreams: Names,
    trusts: Names,
}

struct Families {
    verdicts: Family<VerdictLabels, Counter>,
    undecided: Family<CodeLabels, Counter>,
    refused: Family<CodeLabels, Counter>,
    shadows: Family<ShadowLabels, Counter>,
    stages: Family<StageLabels, Histogram>,
    requests: Family<RequestLabels, Counter>,
    caches: Family<CacheLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    trust: TrustSeries,
    upstreams: UpstreamSeries,
    enforcing: Gauge,
    exemptions: ExemptionSeries,
    blobs: Family<UpstreamLabels, Counter>,
    connections: ConnectionSeries,
    rooms: RoomSeries,
    costs: CostSeries,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct VerdictLabels {
    policy: String,
    verdict: &'static str,
    ground: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CodeLabels {
    code: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct StageLabels {
    stage: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RequestLabels {
    upstream: String,
    kind: &'static str,
    status: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct CacheLabels {
    cache: &'static str,
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: &'static str,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

/// Whether something was remembered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheResult {
    /// It was.
    Hit,
    /// It was not.
    Miss,
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ReloadResult {
    /// It is in force.
    Applied,
    /// The old configuration stays.
    Refused,
}

impl ReloadResult {
    const ALL: [Self; 2] = [Self::Applied, Self::Refused];

    fn labels(self) -> ReloadLabels {
        let result = match self {
            Self::Applied => "applied",
            Self::Refused => "refused",
        };
        ReloadLabels { result }
    }
}

impl Families {
    fn new() -> Self {
        let new = Self {
            verdicts: Family::default(),
            undecided: Family::default(),
            refused: Family::default(),
            shadows: Family::default(),
            stages: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 16))),
            requests: Family::default(),
            caches: Family::default(),
            reloads: Family::default(),
            trust: TrustSeries::default(),
            upstreams: UpstreamSeries::default(),
            enforcing: Gauge::default(),
            exemptions: ExemptionSeries::default(),
            blobs: Family::default(),
            connections: ConnectionSeries::default(),
            rooms: RoomSeries::default(),
            costs: CostSeries::default(),
        };
        // An alert on a series that is not there yet is silent.
        for result in ReloadResult::ALL {
            drop(new.reloads.get_or_create(&result.labels()));
        }
        new
    }

    fn register(&self, registry: &mut Registry) {
        registry.register("verdicts", "Manifest answers with a verdict", self.verdicts.clone());
        registry.register("undecided", "Answers without a verdict", self.undecided.clone());
        let refused = "Requests refused before their route was known";
        registry.register("requests_refused", refused, self.refused.clone());
        let shadows = "Pulls judged by the policy of audit.shadow as well";
        registry.register("shadow_verdicts", shadows, self.shadows.clone());
        registry.register_with_unit("stage", "Time in a stage of a pull", Unit::Seconds, self.stages.clone());
        registry.register("upstream_requests", "Requests to upstreams", self.requests.clone());
        registry.register("cache", "Look-ups in the caches", self.caches.clone());
        registry.register("reload", "Reloads of the configuration", self.reloads.clone());
        self.trust.register(registry);
        self.upstreams.register(registry);
        registry.register("enforcing_scopes", "Scopes of policies that enforce", self.enforcing.clone());
        self.exemptions.register(registry);
        self.rooms.register(registry);
        self.costs.register(registry);
        registry.register("blobs_served", "Blobs that were served", self.blobs.clone());
        self.connections.register(registry);
    }
}

impl Metrics {
    /// Counters at nothing.
    #[must_use]
    pub fn new() -> Self {
        Self::with(StoreSeries::default(), &BlobSeries::default(), &audit::Counters::default())
    }

    /// Counters at zero, beside those of the store, the blob cache and the pull log.
    #[must_use]
    pub fn with(store: StoreSeries, blobs: &BlobSeries, audit: &audit::Counters) -> Self {
        let families = Families::new();
        let mut registry = Registry::with_prefix("pullgate");
        families.register(&mut registry);
        registry.register("store_writes_lost", "Writes of the store that were lost", store.writes_lost);
        let files = "Times at which cache.db was found removed, moved, replaced or written over";
        registry.register("store_files_lost", files, store.files_lost);
        blobs.register(&mut registry);
        audit.register(&mut registry);
        let (policies, upstreams, trusts) = (Names::default(), Names::default(), Names::default());
        Self(Arc::new(Inner { registry, families, policies, upstreams, trusts }))
    }

    /// Counts a verdict; `policy` is a name of the policy file, empty where none governs.
    pub fn verdict(&self, policy: &str, verdict: &'static str, ground: &'static str) {
        let policy = self.0.policies.bounded(policy);
        self.0.families.verdicts.get_or_create(&VerdictLabels { policy, verdict, ground }).inc();
    }

    /// Counts an answer without a verdict.
    pub fn undecided(&self, code: Code) {
        self.0.families.undecided.get_or_create(&CodeLabels { code: code.as_str() }).inc();
    }

    /// Counts a request that was refused before its route was known; `code` is one of a closed set.
    pub fn request_refused(&self, code: &'static str) {
        self.0.families.refused.get_or_create(&CodeLabels { code }).inc();
    }

    /// Counts a pull by its verdict and that of the policy of `audit.shadow`.
    pub fn shadow(&self, was: Said, would_be: Said) {
        let labels = ShadowLabels { was: was.as_str(), would_be: would_be.as_str() };
        self.0.families.shadows.get_or_create(&labels).inc();
    }

    /// Counts the time of a stage.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.0.families.stages.get_or_create(&StageLabels { stage }).observe(time.as_secs_f64());
    }

    /// Counts the cost of verifying the evidence of one subject.
    pub fn verified(&self, cost: pullgate_verify::Cost) {
        self.0.families.costs.observe(cost);
    }

    /// Counts a request to an upstream of the configuration.
    pub fn upstream_request(&self, upstream: &str, kind: &'static str, status: &'static str) {
        let upstream = self.0.upstreams.bounded(upstream);
        self.0.families.requests.get_or_create(&RequestLabels { upstream, kind, status }).inc();
    }

    /// Says how an upstream of the configuration does.
    pub fn upstream_state(&self, upstream: &Upstream) {
        let labels = UpstreamLabels { upstream: self.0.upstreams.bounded(upstream.registry().as_str()) };
        self.0.families.upstreams.set(&labels, upstream.quota(), upstream.endpoints_resting());
    }

    /// Counts a look-up.
    pub fn cache(&self, cache: &'static str, result: CacheResult) {
        let result = match result {
            CacheResult::Hit => "hit",
            CacheResult::Miss => "miss",
        };
        self.0.families.caches.get_or_create(&CacheLabels { cache, result }).inc();
    }

    /// Counts a reload.
    pub fn reload(&self, result: ReloadResult) {
        self.0.families.reloads.get_or_create(&result.labels()).inc();
    }

    /// Says how many scopes are enforced.
    fn enforcing_scopes(&self, count: usize) {
        self.0.families.enforcing.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a blob; `upstream` is a registry of the configuration.
    pub fn blob_served(&self, upstream: &str) {
        let upstream = self.0.upstreams.bounded(upstream);
        self.0.families.blobs.get_or_create(&UpstreamLabels { upstream }).inc();
    }

    /// The series of the data port's connections.
    #[must_use]
    pub fn connections(&self) -> &ConnectionSeries {
        &self.0.families.connections
    }

    /// Registers the function that measures each bounded resource when the counters are read.
    pub fn look_into_rooms(&self, look: Look) {
        self.0.families.rooms.look_by(look);
    }

    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        self.0.families.rooms.look();
        let mut text = String::new();
        // Writing to a string does not fail; an answer without its end mark would show if it did.
        let _ = encode(&mut text, &self.0.registry);
        text
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

#[cfg(test)]
mod tests;
