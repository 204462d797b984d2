//! What verifying costs, in units that every machine shares: how full the budget of each verdict was (A604).

use std::fmt;

use prometheus_client::metrics::histogram::{Histogram, exponential_buckets};
use prometheus_client::registry::{Registry, Unit};
use pullgate_verify::Cost;

/// The series of what verifying costs. Clones are one.
#[derive(Clone)]
pub(super) struct CostSeries {
    hashed: Histogram,
    parsed: Histogram,
    checks: Histogram,
}

impl CostSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let hashed = "Bytes that were hashed for the evidence of one subject, of hashed_bytes";
        registry.register_with_unit("verify_hashed", hashed, Unit::Bytes, self.hashed.clone());
        let parsed = "Bytes that were read as JSON for the evidence of one subject, of parsed_bytes";
        registry.register_with_unit("verify_parsed", parsed, Unit::Bytes, self.parsed.clone());
        let checks = "Signatures that were checked for the evidence of one subject, of signature_checks";
        registry.register("verify_signature_checks", checks, self.checks.clone());
    }

    #[expect(clippy::cast_precision_loss, reason = "no budget comes near to where whole numbers end")]
    pub(super) fn observe(&self, cost: Cost) {
        self.hashed.observe(cost.hashed as f64);
        self.parsed.observe(cost.parsed as f64);
        self.checks.observe(cost.checks as f64);
    }
}

impl Default for CostSeries {
    fn default() -> Self {
        // From 4 KiB to 1 GiB, and from one to 16,384.
        let bytes = || Histogram::new(exponential_buckets(4096.0, 8.0, 7));
        Self { hashed: bytes(), parsed: bytes(), checks: Histogram::new(exponential_buckets(1.0, 4.0, 8)) }
    }
}

impl fmt::Debug for CostSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CostSeries").finish_non_exhaustive()
    }
}
