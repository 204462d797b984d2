//! The fill of every bounded resource: each by one name, with its use and its limit.

use std::fmt;
use std::sync::OnceLock;

use prometheus_client::encoding::EncodeLabelSet;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::Registry;

/// One room, and how full it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Its name: `memory_`, `cpu_`, `places_`, `disk_` or `rows_`, then its content, and its owner unless that is the
    /// process.
    pub name: &'static str,
    /// Bytes, threads, places or rows that are taken. Where there is such a room for each of several, of the fullest.
    pub used: u64,
    /// How many there are.
    pub limit: u64,
}

#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
struct RoomLabels {
    room: &'static str,
}

/// The series, set when they are asked for.
#[derive(Default)]
pub(super) struct RoomSeries {
    used: Family<RoomLabels, Gauge>,
    limit: Family<RoomLabels, Gauge>,
    look: OnceLock<Look>,
}

/// Looks into every room.
pub type Look = Box<dyn Fn() -> Vec<Room> + Send + Sync>;

impl RoomSeries {
    pub(super) fn register(&self, registry: &mut Registry) {
        let used = "Bytes, threads, places or rows of a room that are taken";
        registry.register("room_used", used, self.used.clone());
        registry.register("room_limit", "How many of them there are", self.limit.clone());
    }

    pub(super) fn look_by(&self, look: Look) {
        // The first gate of these counters: there is one in a process.
        let _ = self.look.set(look);
    }

    pub(super) fn look(&self) {
        let gauge = |value: u64| i64::try_from(value).unwrap_or(i64::MAX);
        for Room { name, used, limit } in self.look.get().map(|look| look()).unwrap_or_default() {
            self.used.get_or_create(&RoomLabels { room: name }).set(gauge(used));
            self.limit.get_or_create(&RoomLabels { room: name }).set(gauge(limit));
        }
    }
}

impl fmt::Debug for RoomSeries {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RoomSeries")
    }
}
