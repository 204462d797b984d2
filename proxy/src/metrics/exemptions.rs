//! When each exemption of the policy ends, by its line in the policy file.

use std::sync::atomic::AtomicU64;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};
use pullgate_policy::policy::PolicySet;
use pullgate_policy::text;

use super::Metrics;

/// Exemptions with a series of their own, those that end first. The rest is `other`, with the end of the first of them.
const SERIES_MAX: usize = 512;
/// The label of the rest.
const OTHER: &str = "other";

#[derive(Default)]
pub(super) struct ExemptionSeries(Family<ExemptionLabels, Gauge<f64, AtomicU64>>);

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ExemptionLabels {
    exemption: String,
}

impl ExemptionSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let help = "When an exemption ends, in seconds since 1970";
        registry.register_with_unit("exemption_end_timestamp", help, Unit::Seconds, self.0.clone());
    }
}

impl Metrics {
    /// Says what the policy that is in force from now on enforces, and when its exemptions end.
    pub fn policy(&self, policy: &PolicySet) {
        self.enforcing_scopes(policy.enforcing_scopes());
        let mut ends: Vec<(i64, String)> = policy
            .exemptions
            .iter()
            .map(|one| (one.until.as_second(), text::escape(&one.location.to_string())))
            .collect();
        ends.sort_unstable();
        let series = &self.0.families.exemptions.0;
        // Those of the policy before are gone.
        series.clear();
        for (at, (end, exemption)) in ends.into_iter().enumerate() {
            let exemption = if at < SERIES_MAX { exemption } else { OTHER.to_owned() };
            if at > SERIES_MAX {
                break;
            }
            #[expect(clippy::cast_precision_loss, reason = "seconds of the calendar fit an f64 exactly")]
            series.get_or_create(&ExemptionLabels { exemption }).set(end as f64);
        }
    }
}
