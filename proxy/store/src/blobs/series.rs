//! Metrics of the blob cache.

use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

/// The series of the blob cache. Clones are one.
#[derive(Clone, Debug, Default)]
pub struct BlobSeries {
    /// Bytes that are kept.
    pub kept: Gauge,
    /// Blobs that made room for others.
    pub evicted: Counter,
    /// Transfers that go on without a reader.
    pub unread: Gauge,
    /// Bytes of partial blobs, kept for clients that come back.
    pub partial: Gauge,
    /// Blobs that were found to be other bytes than their name says, and removed.
    pub rotten: Counter,
}

impl BlobSeries {
    /// Adds the series to those that are shown.
    pub fn register(&self, registry: &mut Registry) {
        registry.register_with_unit("blobs_kept", "Blobs that are kept", Unit::Bytes, self.kept.clone());
        registry.register("blobs_evicted", "Blobs that made room for others", self.evicted.clone());
        registry.register(
            "blobs_unread",
            "Transfers of blobs that go on without a reader",
            self.unread.clone(),
        );
        registry.register_with_unit(
            "blobs_partial",
            "Beginnings of blobs that lie here for who comes back",
            Unit::Bytes,
            self.partial.clone(),
        );
        registry.register(
            "blobs_rotten",
            "Kept blobs that had changed, and were removed",
            self.rotten.clone(),
        );
    }
}
