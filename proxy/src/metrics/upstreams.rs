//! Metrics of upstreams: the last quota, and endpoints that do not answer.

use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

use super::UpstreamLabels;
use crate::upstream::Quota;

/// The series.
#[derive(Clone, Default)]
pub(super) struct UpstreamSeries {
    limit: Family<UpstreamLabels, Gauge>,
    remaining: Family<UpstreamLabels, Gauge>,
    resting: Family<UpstreamLabels, Gauge>,
}

impl UpstreamSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let limit = "Pulls that the upstream allows in a window, as it last reported";
        registry.register("upstream_quota_limit", limit, self.limit.clone());
        let remaining = "Pulls that are left in it, as it last reported";
        registry.register("upstream_quota_remaining", remaining, self.remaining.clone());
        let resting = "Endpoints that do not answer and are asked last";
        registry.register("upstream_endpoints_resting", resting, self.resting.clone());
    }

    pub(super) fn set(&self, labels: &UpstreamLabels, quota: Option<Quota>, resting: usize) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        if let Some(quota) = quota {
            self.limit.get_or_create(labels).set(gauge(quota.limit));
            self.remaining.get_or_create(labels).set(gauge(quota.remaining));
        }
        self.resting.get_or_create(labels).set(gauge(resting as u64));
    }
}
