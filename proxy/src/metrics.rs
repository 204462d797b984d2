//! Counters for machines (design §9). Every label is from a closed set: never a repository, a digest or an identity (A526).

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::Registry;
use pullgate_policy::code::Code;

/// The counters of a gate. Clones are one.
#[derive(Clone)]
pub struct Metrics(Arc<Inner>);

struct Inner {
    registry: Registry,
    verdicts: Family<VerdictLabels, Counter>,
    undecided: Family<CodeLabels, Counter>,
    stages: Family<StageLabels, Histogram>,
    requests: Family<RequestLabels, Counter>,
    caches: Family<CacheLabels, Counter>,
    reloads: Family<ReloadLabels, Counter>,
    audit_lost: Counter,
    enforcing: Gauge,
    blobs: Family<UpstreamLabels, Counter>,
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
    result: CacheResult,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ReloadLabels {
    result: ReloadResult,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct UpstreamLabels {
    upstream: String,
}

/// Whether something was remembered.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum CacheResult {
    /// It was.
    Hit,
    /// It was not.
    Miss,
}

/// What came of a reload.
#[derive(Clone, Copy, Debug, Hash, PartialEq, Eq, EncodeLabelValue)]
pub enum ReloadResult {
    /// It is in force.
    Applied,
    /// The old configuration stays.
    Refused,
}

impl Metrics {
    /// Counters at nothing.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("pullgate");
        let inner = Inner {
            verdicts: Family::default(),
            undecided: Family::default(),
            stages: Family::new_with_constructor(|| Histogram::new(exponential_buckets(0.0005, 2.0, 16))),
            requests: Family::default(),
            caches: Family::default(),
            reloads: Family::default(),
            audit_lost: Counter::default(),
            enforcing: Gauge::default(),
            blobs: Family::default(),
            registry: Registry::default(),
        };
        registry.register("verdicts", "Manifest answers with a verdict", inner.verdicts.clone());
        registry.register("undecided", "Manifest answers without a verdict", inner.undecided.clone());
        registry.register("stage_seconds", "Time in a stage of a pull", inner.stages.clone());
        registry.register("upstream_requests", "Requests to upstreams", inner.requests.clone());
        registry.register("cache", "Look-ups in what is remembered", inner.caches.clone());
        registry.register("reload", "Reloads of the configuration", inner.reloads.clone());
        registry.register("audit_lost", "Audit records that could not be written", inner.audit_lost.clone());
        registry.register("enforcing_scopes", "Scopes of policies that enforce", inner.enforcing.clone());
        registry.register("blobs_served", "Blobs that were served", inner.blobs.clone());
        Self(Arc::new(Inner { registry, ..inner }))
    }

    /// Counts a verdict; `policy` is a name of the policy file.
    pub fn verdict(&self, policy: &str, verdict: &'static str, ground: &'static str) {
        self.0.verdicts.get_or_create(&VerdictLabels { policy: policy.to_owned(), verdict, ground }).inc();
    }

    /// Counts an answer without a verdict.
    pub fn undecided(&self, code: Code) {
        self.0.undecided.get_or_create(&CodeLabels { code: code.as_str() }).inc();
    }

    /// Counts the time of a stage.
    pub fn stage(&self, stage: &'static str, time: Duration) {
        self.0.stages.get_or_create(&StageLabels { stage }).observe(time.as_secs_f64());
    }

    /// Counts a request to an upstream of the configuration.
    pub fn upstream_request(&self, upstream: &str, kind: &'static str, status: &'static str) {
        self.0.requests.get_or_create(&RequestLabels { upstream: upstream.to_owned(), kind, status }).inc();
    }

    /// Counts a look-up.
    pub fn cache(&self, cache: &'static str, result: CacheResult) {
        self.0.caches.get_or_create(&CacheLabels { cache, result }).inc();
    }

    /// Counts a reload.
    pub fn reload(&self, result: ReloadResult) {
        self.0.reloads.get_or_create(&ReloadLabels { result }).inc();
    }

    /// Counts a record that could not be written.
    pub fn audit_lost(&self) {
        self.0.audit_lost.inc();
    }

    /// Says how many scopes are enforced.
    pub fn enforcing_scopes(&self, count: usize) {
        self.0.enforcing.set(i64::try_from(count).unwrap_or(i64::MAX));
    }

    /// Counts a blob; `upstream` is a registry of the configuration.
    pub fn blob_served(&self, upstream: &str) {
        self.0.blobs.get_or_create(&UpstreamLabels { upstream: upstream.to_owned() }).inc();
    }

    /// All of them as OpenMetrics text.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut text = String::new();
        // Writing to a string does not fail; an empty answer would show if it did.
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
mod tests {
    use super::*;

    #[test]
    fn names_and_labels_are_those_of_the_documentation() {
        let metrics = Metrics::new();
        metrics.verdict("production", "permit", "satisfied");
        metrics.undecided(Code::Deadline);
        metrics.stage("resolve", Duration::from_millis(3));
        metrics.audit_lost();
        let text = metrics.encode();
        assert!(text.contains("pullgate_verdicts_total{policy=\"production\",verdict=\"permit\",ground=\"satisfied\"} 1"));
        assert!(text.contains("pullgate_undecided_total{code=\"deadline\"} 1"), "{text}");
        assert!(text.contains("pullgate_stage_seconds_count{stage=\"resolve\"} 1"));
        assert!(text.contains("pullgate_audit_lost_total 1"));
    }
}
