//! Metrics of the connections of the data port.

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// The series of the data port's connections. Clones are one.
#[derive(Clone, Debug)]
pub struct ConnectionSeries {
    /// Open ones.
    pub open: Gauge,
    /// Those of the client address that has most.
    pub of_one: Gauge,
    /// How many have a place at once.
    pub most: Gauge,
    closed: Family<ClosedLabels, Counter>,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct ClosedLabels {
    why: &'static str,
}

/// Why a connection was closed to make room.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClosedFor {
    /// Too many waited for a place.
    Queue,
    /// Its address had more than its share.
    Share,
    /// It was silent for longest.
    Silence,
}

impl ClosedFor {
    const ALL: [Self; 3] = [Self::Queue, Self::Share, Self::Silence];

    fn labels(self) -> ClosedLabels {
        let why = match self {
            Self::Queue => "queue",
            Self::Share => "share",
            Self::Silence => "silence",
        };
        ClosedLabels { why }
    }
}

impl ConnectionSeries {
    /// Counts a connection that was closed to make room.
    pub fn closed(&self, why: ClosedFor) {
        self.closed.get_or_create(&why.labels()).inc();
    }

    /// How many were closed for that.
    #[must_use]
    pub fn closed_for(&self, why: ClosedFor) -> u64 {
        self.closed.get_or_create(&why.labels()).get()
    }

    pub(super) fn register(&self, registry: &mut Registry) {
        registry.register("connections", "Open connections of the data port", self.open.clone());
        let of_one = "Open connections of the client address that has most";
        registry.register("connections_of_one", of_one, self.of_one.clone());
        registry.register("connections_limit", "Connections that have a place at once", self.most.clone());
        let closed = "Connections that were closed to make room";
        registry.register("connections_closed", closed, self.closed.clone());
    }
}

impl Default for ConnectionSeries {
    fn default() -> Self {
        let new = Self {
            open: Gauge::default(),
            of_one: Gauge::default(),
            most: Gauge::default(),
            closed: Family::default(),
        };
        // An alert on a series that is not there yet is silent.
        for why in ClosedFor::ALL {
            drop(new.closed.get_or_create(&why.labels()));
        }
        new
    }
}
