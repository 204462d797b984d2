//! Series about trust roots, by the names of their tables.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::Metrics;

/// How a trust root is, in seconds from now.
#[derive(Clone, Copy, Debug)]
pub struct TrustGauges {
    /// Since it was last confirmed to be current.
    pub age: Option<f64>,
    /// Until its metadata expires.
    pub expires: Option<f64>,
    /// Until it is refreshed.
    pub next_refresh: Option<f64>,
    /// Whether it counts: it is neither stale nor was it never fetched.
    pub usable: bool,
}

type Seconds = Family<TrustLabels, Gauge<f64, AtomicU64>>;

#[derive(Default)]
pub(super) struct TrustSeries {
    age: Seconds,
    expires: Seconds,
    next: Seconds,
    unusable: Family<TrustLabels, Gauge>,
    refreshes: Family<RefreshLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct TrustLabels {
    trust: String,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RefreshLabels {
    trust: String,
    result: &'static str,
}

impl TrustSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let mut seconds = |name, help, series: &Seconds| {
            registry.register_with_unit(name, help, Unit::Seconds, series.clone());
        };
        seconds("trust_root_age", "Time since a trust root was last known to be current", &self.age);
        seconds("trust_root_expires", "Time until the metadata of a trust root expires", &self.expires);
        seconds("trust_root_next_refresh", "Time until a trust root is refreshed", &self.next);
        registry.register(
            "trust_root_unusable",
            "Whether a trust root is stale or was never fetched",
            self.unusable.clone(),
        );
        registry.register("trust_refresh", "Refreshes of trust roots", self.refreshes.clone());
    }
}

impl Metrics {
    /// Says how a trust root is; `trust` is a name of the policy file.
    pub fn trust(&self, trust: &str, gauges: TrustGauges) {
        let labels = TrustLabels { trust: self.0.trusts.bounded(trust) };
        let series = &self.0.families.trust;
        let TrustGauges { age, expires, next_refresh, usable } = gauges;
        for (family, seconds) in
            [(&series.age, age), (&series.expires, expires), (&series.next, next_refresh)]
        {
            if let Some(seconds) = seconds {
                family.get_or_create(&labels).set(seconds);
            }
        }
        series.unusable.get_or_create(&labels).set(i64::from(!usable));
    }

    /// Counts a refresh; `trust` is a name of the policy file, `result` is `ok` or the code of the failure.
    pub fn trust_refresh(&self, trust: &str, result: &'static str) {
        let trust = self.0.trusts.bounded(trust);
        self.0.families.trust.refreshes.get_or_create(&RefreshLabels { trust, result }).inc();
    }
}
