//! The gate's clock: it never goes back while the process lives, and never before the release (A418, A541).

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use pullgate_policy::time::later;

/// The day of the release: no honest clock is before it.
const RELEASED: Timestamp = Timestamp::constant(1_793_491_200, 0);

/// A clock. Clones are one clock.
#[derive(Debug, Clone)]
pub struct Clock(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    source: Source,
    /// The latest time that was given out, with its monotonic reading.
    latest: Mutex<Option<Reading>>,
}

#[derive(Debug)]
enum Source {
    /// The host's wall clock, and its steady clock since this start.
    Host(Instant),
    /// A test's clock.
    Set { reading: Mutex<Reading>, floor: Floor },
}

/// What both clocks say at one moment.
#[derive(Debug, Clone, Copy)]
struct Reading {
    wall: Timestamp,
    /// Since any start; it never goes back and no operator can set it.
    steady: Duration,
}

/// Whether times before the release are believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Floor {
    None,
    Release,
}

/// Whether a time can be believed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Plausible {
    /// The host has shown no time since the release of this program: nothing that is bound to time can be judged.
    No,
    /// It may be right.
    Yes,
}

impl Clock {
    /// The host's clock.
    #[must_use]
    pub fn system() -> Self {
        Self::with(Source::Host(Instant::now()))
    }

    /// A clock that stands at `time` until it is advanced: for tests. It is always plausible, for evidence that was
    /// recorded long ago.
    #[must_use]
    pub fn fixed(time: Timestamp) -> Self {
        Self::set_to(time, Floor::None)
    }

    /// A clock that a test sets, under the rules of the host's: a floor, and a time before it is not plausible.
    #[must_use]
    pub fn settable(time: Timestamp) -> Self {
        Self::set_to(time, Floor::Release)
    }

    /// Lets time pass on a test's clock. The host's is not moved.
    pub fn advance(&self, by: Duration) {
        self.change(|reading| Reading {
            wall: later(reading.wall, by),
            steady: reading.steady.saturating_add(by),
        });
    }

    /// Sets the wall clock of a test's clock, as an operator does: no time passes. The host's is not moved.
    pub fn set(&self, wall: Timestamp) {
        self.change(|reading| Reading { wall, ..reading });
    }

    /// The time; at least the latest time given out plus the monotonic time since: a lifetime ends even if the wall
    /// clock was set back (A541). Never before the release.
    #[must_use]
    pub fn now(&self) -> Timestamp {
        match self.floor() {
            Floor::None => self.told(),
            Floor::Release => self.told().max(RELEASED),
        }
    }

    /// The steady time since any start: it never jumps, whatever the wall clock does.
    #[must_use]
    pub fn steady(&self) -> Duration {
        self.read().steady
    }

    /// Whether the time can be believed. Once it was, it stays so while the process lives.
    #[must_use]
    pub fn plausible(&self) -> Plausible {
        match self.floor() {
            Floor::Release if self.told() < RELEASED => Plausible::No,
            Floor::None | Floor::Release => Plausible::Yes,
        }
    }

    fn with(source: Source) -> Self {
        Self(Arc::new(Inner { source, latest: Mutex::new(None) }))
    }

    fn set_to(wall: Timestamp, floor: Floor) -> Self {
        Self::with(Source::Set { reading: Mutex::new(Reading { wall, steady: Duration::ZERO }), floor })
    }

    fn change(&self, change: impl FnOnce(Reading) -> Reading) {
        match &self.0.source {
            Source::Host(_) => {}
            Source::Set { reading, .. } => {
                let mut reading = reading.lock();
                *reading = change(*reading);
            }
        }
    }

    fn floor(&self) -> Floor {
        match self.0.source {
            Source::Host(_) => Floor::Release,
            Source::Set { floor, .. } => floor,
        }
    }

    fn told(&self) -> Timestamp {
        // Read under the lock: two readings that overtake each other would let time go back.
        let mut latest = self.0.latest.lock();
        let read = self.read();
        let wall = match *latest {
            Some(before) => {
                let passed = read.steady.saturating_sub(before.steady);
                read.wall.max(later(before.wall, passed))
            }
            None => read.wall,
        };
        *latest = Some(Reading { wall, ..read });
        wall
    }

    fn read(&self) -> Reading {
        match &self.0.source {
            Source::Host(start) => Reading { wall: Timestamp::now(), steady: start.elapsed() },
            Source::Set { reading, .. } => *reading.lock(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3_600);

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    #[test]
    fn a541_a_clock_that_is_set_back_goes_on_from_where_it_was() {
        let clock = Clock::fixed(at(10_000));
        let before = clock.now();
        clock.set(at(0));
        assert_eq!(clock.now(), before);
        clock.advance(HOUR);
        assert_eq!(clock.now(), at(13_600), "time passes, so that lifetimes end");
    }

    #[test]
    fn a542_a_clock_that_jumped_forth_and_back_does_not_go_back() {
        let clock = Clock::fixed(at(10_000));
        clock.set(at(1_000_000));
        assert_eq!(clock.now(), at(1_000_000));
        clock.set(at(10_000));
        assert_eq!(clock.now(), at(1_000_000));
    }

    #[test]
    fn a418_a_time_before_the_release_is_not_plausible_until_the_clock_is_set() {
        let clock = Clock::settable(Timestamp::UNIX_EPOCH);
        assert_eq!((clock.plausible(), clock.now()), (Plausible::No, RELEASED));
        let right = RELEASED.saturating_add(HOUR).unwrap();
        clock.set(right);
        assert_eq!((clock.plausible(), clock.now()), (Plausible::Yes, right));
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(
            (clock.plausible(), clock.now()),
            (Plausible::Yes, right),
            "what was shown once stays shown"
        );
    }

    #[test]
    fn the_clocks_of_tests_stand_still_and_clones_are_one() {
        let clock = Clock::fixed(at(10_000));
        let clone = clock.clone();
        assert_eq!(clock.now(), clone.now());
        clone.advance(HOUR);
        assert_eq!(clock.now(), at(13_600));
        assert_eq!(Clock::fixed(at(0)).plausible(), Plausible::Yes);
    }

    #[test]
    fn the_clock_of_the_host_is_not_moved_and_does_not_go_back() {
        let clock = Clock::system();
        clock.set(at(0));
        clock.advance(HOUR);
        let mut before = clock.now();
        assert!(before < RELEASED.max(Timestamp::now()).saturating_add(HOUR).unwrap());
        for _ in 0..1_000 {
            let now = clock.now();
            assert!(now >= before);
            before = now;
        }
    }
}
