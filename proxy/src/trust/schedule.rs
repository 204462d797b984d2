//! When a trust root is refreshed next.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::time::later;

/// The longest time between two refreshes: how soon a root that was withdrawn is noticed.
pub(super) const LONGEST: Duration = Duration::from_secs(6 * 3_600);
/// The shortest time between two refreshes that succeeded.
const SHORTEST: Duration = Duration::from_secs(10 * 60);
/// The wait after the first refresh that failed; after each further one it is twice as long.
const FIRST_RETRY: Duration = Duration::from_secs(60);
/// The longest wait after one that failed.
const LAST_RETRY: Duration = Duration::from_secs(3_600);

/// After a success: well before the metadata expires, and not at the same second as everybody else.
pub(super) fn after_success(now: Timestamp, expires: Timestamp) -> Timestamp {
    later(now, jittered(pause(now, expires)))
}

/// As above without jitter: what a command can report about a running gate.
pub(super) fn planned(refreshed: Timestamp, expires: Timestamp) -> Timestamp {
    later(refreshed, pause(refreshed, expires))
}

/// After `times` failures in a row.
pub(super) fn after_failure(now: Timestamp, times: u32) -> Timestamp {
    let doubled = FIRST_RETRY.saturating_mul(1 << times.saturating_sub(1).min(16));
    later(now, jittered(doubled.min(LAST_RETRY)))
}

fn pause(now: Timestamp, expires: Timestamp) -> Duration {
    let left = Duration::try_from(expires.duration_since(now)).unwrap_or_default();
    (left / 2).clamp(SHORTEST, LONGEST)
}

/// Up to a tenth more or less.
fn jittered(pause: Duration) -> Duration {
    let random = RandomState::new().hash_one(pause) % 1_001;
    pause.mul_f64(0.9 + 0.2 * (random as f64 / 1_000.0))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn wait(next: Timestamp) -> i64 {
        next.duration_since(at(0)).as_secs()
    }

    #[test]
    fn a_success_is_repeated_before_the_metadata_expires_and_within_six_hours() {
        for (expires, about) in [(7 * 86_400, 21_600), (14_400, 7_200), (60, 600), (-60, 600)] {
            for _ in 0..50 {
                let wait = wait(after_success(at(0), at(expires)));
                assert!((about * 9 / 10..=about * 11 / 10).contains(&wait), "{expires}: {wait}");
            }
            assert_eq!(planned(at(0), at(expires)), at(about));
        }
    }

    #[test]
    fn a_failure_is_repeated_soon_and_then_less_and_less_often() {
        for (times, about) in [(1, 60), (2, 120), (3, 240), (7, 3_600), (1_000_000, 3_600)] {
            for _ in 0..50 {
                let wait = wait(after_failure(at(0), times));
                assert!((about * 9 / 10..=about * 11 / 10).contains(&wait), "{times}: {wait}");
            }
        }
        let waits: std::collections::BTreeSet<_> = (0..50).map(|_| after_failure(at(0), 9)).collect();
        assert!(waits.len() > 1, "gates that lost one mirror do not come back at once");
    }
}
