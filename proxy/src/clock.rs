//! The gate's clock: it never goes back while the process lives, and never before the release (A418, A541).

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use jiff::Timestamp;

/// The day of the release, in milliseconds: no honest clock is before it.
const RELEASED_MS: i64 = 1_793_491_200_000;

/// A clock. Clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// Milliseconds of a test's clock; the host's where it is negative.
    set_ms: AtomicI64,
    latest_ms: AtomicI64,
}

/// Whether a time can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plausible {
    /// It is before the release of this program.
    No,
    /// It may be right.
    Yes,
}

impl Clock {
    /// The host's clock.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(Inner { set_ms: AtomicI64::new(-1), latest_ms: AtomicI64::new(i64::MIN) }))
    }

    /// A clock that stands at `time` until it is advanced: for tests.
    #[must_use]
    pub fn fixed(time: Timestamp) -> Self {
        Self(Arc::new(Inner { set_ms: AtomicI64::new(time.as_millisecond()), latest_ms: AtomicI64::new(i64::MIN) }))
    }

    /// Moves a fixed clock on.
    pub fn advance(&self, by: Duration) {
        let by = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        self.0.set_ms.fetch_add(by, Ordering::SeqCst);
    }

    /// The time; at least what it was before.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        let now = self.raw_ms();
        let before = self.0.latest_ms.fetch_max(now, Ordering::SeqCst);
        Timestamp::from_millisecond(now.max(before)).unwrap_or(Timestamp::MAX)
    }

    /// Whether the time can be believed.
    #[must_use]
    pub fn plausible(&self) -> Plausible {
        let fixed = self.0.set_ms.load(Ordering::SeqCst) >= 0;
        if fixed || self.raw_ms() >= RELEASED_MS { Plausible::Yes } else { Plausible::No }
    }

    fn raw_ms(&self) -> i64 {
        match self.0.set_ms.load(Ordering::SeqCst) {
            set if set >= 0 => set,
            _ => Timestamp::now().as_millisecond(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a541_a_clock_that_is_set_back_stands_still() {
        let clock = Clock::fixed(Timestamp::from_second(1_000).unwrap());
        let first = clock.now();
        clock.0.set_ms.store(0, Ordering::SeqCst);
        assert_eq!(clock.now(), first);
        clock.advance(Duration::from_secs(2_000));
        assert_eq!(clock.now(), Timestamp::from_second(2_000).unwrap());
    }
}
