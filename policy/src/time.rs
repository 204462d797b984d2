//! Sums of times that saturate: jiff has them, as fallible for units of a calendar, which a [`Duration`] has not.

use std::time::Duration;

use jiff::Timestamp;

/// `time`, and `by` later; at most the last moment that there is.
#[must_use]
pub fn later(time: Timestamp, by: Duration) -> Timestamp {
    time.saturating_add(by).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sum_ends_at_the_last_moment() {
        let now = Timestamp::from_second(1_000).unwrap();
        assert_eq!(later(now, Duration::from_secs(60)), Timestamp::from_second(1_060).unwrap());
        assert_eq!(later(now, Duration::MAX), Timestamp::MAX);
        assert_eq!(later(Timestamp::MAX, Duration::from_nanos(1)), Timestamp::MAX);
    }
}
