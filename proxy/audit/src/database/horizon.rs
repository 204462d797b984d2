//! The time by which rows are old: the gate's clock, as far as steady time bears it out.
//!
//! A clock that jumps ahead deletes nothing: the believed time goes on at the pace of the monotonic clock, and a jump
//! is believed once it has held for a day of running. That is kept in the database, so that a restart makes no
//! difference. Time during which the gate did not run is such a jump too: then rows stay a little longer.

use std::time::Duration;

use sqlx::AnyPool;

/// How far the clock may be ahead of the believed time: clocks are corrected all the time, and a gate is restarted.
const TOLERANCE: i64 = 60 * 60 * 1_000;
/// How long a clock must have been ahead by more, while the gate ran, to be believed; milliseconds.
const BELIEVED_AFTER: i64 = 24 * 60 * 60 * 1_000;
/// Rows that are asked what time it was, where nothing is kept of that yet.
const WITNESSES: i64 = 21;

/// Milliseconds, all of them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Horizon {
    believed: i64,
    /// How long the clock has been ahead.
    ahead: i64,
    /// When this was so.
    steady: i64,
}

impl Horizon {
    /// The time that the previous process believed; for a file without it, the time of most of the newest rows.
    pub(super) async fn read(pool: &AnyPool, wall: i64, steady: Duration) -> Result<Self, sqlx::Error> {
        let kept = sqlx::query_as::<_, (i64, i64)>("select time, ahead from believed where only = 1");
        let (believed, ahead) = match kept.fetch_optional(pool).await? {
            Some(kept) => kept,
            None => (witnessed(pool).await?.unwrap_or(wall), 0),
        };
        Ok(Self { believed, ahead, steady: milliseconds(steady) })
    }

    /// The time that is believed now.
    pub(super) fn look(&mut self, wall: i64, steady: Duration) -> i64 {
        let steady = milliseconds(steady);
        let passed = steady.saturating_sub(self.steady).max(0);
        let expected = self.believed.saturating_add(passed);
        self.ahead = match wall.saturating_sub(expected) > TOLERANCE {
            true => self.ahead.saturating_add(passed),
            false => 0,
        };
        self.believed = match self.ahead {
            0 if wall.saturating_sub(expected) <= TOLERANCE => wall,
            BELIEVED_AFTER.. => wall,
            _ => expected,
        };
        self.steady = steady;
        self.believed
    }

    pub(super) async fn keep(&self, pool: &AnyPool) -> Result<(), sqlx::Error> {
        let row = "insert into believed (only, time, ahead) values (1, $1, $2) \
                   on conflict (only) do update set time = excluded.time, ahead = excluded.ahead";
        sqlx::query(row).bind(self.believed).bind(self.ahead).execute(pool).await.map(drop)
    }
}

/// The time of most of the newest rows; `None` without rows.
async fn witnessed(pool: &AnyPool) -> Result<Option<i64>, sqlx::Error> {
    let newest = sqlx::query_scalar::<_, i64>("select time from audit order by position desc limit $1");
    let mut times = newest.bind(WITNESSES).fetch_all(pool).await?;
    times.sort_unstable();
    Ok(times.get(times.len() / 2).copied())
}

fn milliseconds(time: Duration) -> i64 {
    i64::try_from(time.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 60 * 60 * 1_000;
    const YEAR: i64 = 365 * 24 * HOUR;
    const NOW: i64 = 1_800_000_000_000;

    fn after(hours: u64) -> Duration {
        Duration::from_secs(hours * 3_600)
    }

    fn horizon() -> Horizon {
        Horizon { believed: NOW, ahead: 0, steady: 0 }
    }

    #[test]
    fn a606_time_goes_on_with_the_clock() {
        let mut horizon = horizon();
        assert_eq!(horizon.look(NOW + HOUR, after(1)), NOW + HOUR);
        assert_eq!(horizon.look(NOW + 2 * HOUR + 60_000, after(2)), NOW + 2 * HOUR + 60_000, "set right");
        assert_eq!(horizon.look(NOW, after(3)), NOW, "a clock that is behind deletes less");
    }

    #[test]
    fn a606_a_clock_a_year_ahead_is_not_believed_for_a_day() {
        let mut horizon = horizon();
        for hour in 1..24 {
            let hours = i64::try_from(hour).unwrap() * HOUR;
            assert_eq!(horizon.look(NOW + YEAR + hours, after(hour)), NOW + hours, "{hour}");
        }
        assert_eq!(horizon.look(NOW + YEAR + 24 * HOUR, after(24)), NOW + YEAR + 24 * HOUR, "it has held");
    }

    #[test]
    fn a606_a_clock_that_was_ahead_and_is_right_again_leaves_nothing() {
        let mut horizon = horizon();
        horizon.look(NOW + YEAR, after(20));
        assert_eq!(horizon.look(NOW + 21 * HOUR, after(21)), NOW + 21 * HOUR);
        assert_eq!(horizon.look(NOW + YEAR, after(30)), NOW + 30 * HOUR, "the day begins anew");
    }

    #[test]
    fn a606_days_without_the_gate_are_believed_after_a_day_with_it() {
        let mut horizon = Horizon { believed: NOW, ahead: 0, steady: 0 };
        let wall = |started: i64| NOW + started * 24 * HOUR;
        for day in 1..=3 {
            // Eight hours a day: each start reads the kept time, and its monotonic clock begins anew.
            horizon.steady = 0;
            horizon.look(wall(day), after(0));
            horizon.look(wall(day) + 8 * HOUR, after(8));
        }
        assert_eq!(horizon.believed, wall(3) + 8 * HOUR);
    }
}
