//! The activity of one connection: whether it waits for a request, and when bytes last moved.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::Instant;

/// The pulse of one connection.
pub(super) struct Pulse {
    begun: Instant,
    /// Milliseconds from `begun` on.
    moved: AtomicU64,
    works: AtomicBool,
    asked: AtomicBool,
    ends: AtomicBool,
    first: Notify,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectionPhase {
    /// The client's, to send a head.
    Awaits,
    /// The gate's, to answer.
    Works,
}

impl Pulse {
    pub(super) fn new() -> Self {
        Self {
            begun: Instant::now(),
            moved: AtomicU64::new(0),
            works: AtomicBool::new(false),
            asked: AtomicBool::new(false),
            ends: AtomicBool::new(false),
            first: Notify::new(),
        }
    }

    /// A head is waited for. An incomplete head does not count as activity: a client that sends it byte by byte is silent.
    pub(super) fn awaits(&self) {
        self.works.store(false, Ordering::Relaxed);
        self.moved();
    }

    /// A request has come.
    pub(super) fn works(&self) {
        self.works.store(true, Ordering::Relaxed);
        self.moved();
        self.asked.store(true, Ordering::Release);
        self.first.notify_one();
    }

    /// The client took something.
    pub(super) fn moved(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Relaxed);
    }

    pub(super) fn stage(&self) -> ConnectionPhase {
        if self.works.load(Ordering::Relaxed) { ConnectionPhase::Works } else { ConnectionPhase::Awaits }
    }

    /// How long nothing has moved.
    pub(super) fn still(&self, now: Instant) -> Duration {
        let moved = Duration::from_millis(self.moved.load(Ordering::Relaxed));
        now.saturating_duration_since(self.begun).saturating_sub(moved)
    }

    /// The next answer is the last.
    pub(super) fn end(&self) {
        self.ends.store(true, Ordering::Relaxed);
    }

    pub(super) fn ends(&self) -> bool {
        self.ends.load(Ordering::Relaxed)
    }

    /// Until the first request has come.
    pub(super) async fn asked(&self) {
        if !self.asked.load(Ordering::Acquire) {
            self.first.notified().await;
        }
    }
}
