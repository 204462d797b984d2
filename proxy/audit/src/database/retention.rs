//! How long rows stay, and how much room they take. Neither is one long delete, and no clock that jumps empties the table.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use crate::limits::AUDIT_REFUSALS_ROWS;
use jiff::Timestamp;
use sqlx::AnyPool;

use super::horizon::Horizon;
use super::rows::DAY;
use crate::status::Status;
use pullgate_store::clock::{Clock, Plausible};

/// How often rows are looked for that are too old.
const PRUNE_EVERY: Duration = Duration::from_secs(600);
/// Rows deleted at once, so that new ones do not wait behind a whole day's.
const PRUNED_AT_ONCE: i64 = 2_000;
/// The share of the rows of pulls that one step deletes at most where `retain_max` is reached, as a divisor.
const SHARE_AT_ONCE: i64 = 8;
/// The part of `retain_max` that is kept free for rows between two looks, as a divisor.
const MARGIN: u64 = 16;

/// `retain` and `retain_max`, which a reload may change.
#[derive(Debug)]
pub(crate) struct Bounds {
    milliseconds: AtomicU64,
    bytes: AtomicU64,
}

impl Bounds {
    pub(crate) fn new(retain: Duration, retain_max: Option<u64>) -> Self {
        let bounds = Self { milliseconds: AtomicU64::new(0), bytes: AtomicU64::new(0) };
        bounds.set(retain, retain_max);
        bounds
    }

    pub(crate) fn set(&self, retain: Duration, retain_max: Option<u64>) {
        let milliseconds = u64::try_from(retain.as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.store(milliseconds, Ordering::Relaxed);
        self.bytes.store(retain_max.unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// The time of the first row that stays, at this time.
    fn oldest(&self, now: i64) -> i64 {
        now.saturating_sub(i64::try_from(self.milliseconds.load(Ordering::Relaxed)).unwrap_or(i64::MAX))
    }

    /// Bytes in use from which on rows go.
    fn full(&self) -> u64 {
        let bytes = self.bytes.load(Ordering::Relaxed);
        bytes.saturating_sub(bytes / MARGIN)
    }
}

/// Whether a look has done all there was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Done {
    All,
    /// The next look goes on.
    Part,
}

#[derive(Debug)]
pub(super) struct Retention {
    bounds: Arc<Bounds>,
    clock: Clock,
    standing: Arc<Status>,
    horizon: Option<Horizon>,
    /// When rows were looked for that are too old, by the steady clock.
    pruned: Option<Duration>,
}

impl Retention {
    pub(super) fn new(bounds: Arc<Bounds>, clock: Clock, standing: Arc<Status>) -> Self {
        Self { bounds, clock, standing, horizon: None, pruned: None }
    }

    /// Another file was opened: its believed time is read from it.
    pub(super) fn begin(&mut self) {
        (self.horizon, self.pruned) = (None, None);
    }

    /// Deletes one step of the rows that are too old or too many.
    pub(super) async fn look(&mut self, pool: &AnyPool) -> Result<Done, sqlx::Error> {
        let sized = self.shrink(pool).await?;
        let now = self.clock.steady();
        if self.pruned.is_some_and(|last| now.saturating_sub(last) < PRUNE_EVERY) {
            return Ok(sized);
        }
        let aged = self.prune(pool).await;
        if !matches!(aged, Ok(Done::Part)) {
            self.pruned = Some(now);
        }
        match aged? {
            Done::All => Ok(sized),
            Done::Part => Ok(Done::Part),
        }
    }

    /// Deletes rows older than `retain`, by the believed time.
    async fn prune(&mut self, pool: &AnyPool) -> Result<Done, sqlx::Error> {
        if self.clock.plausible() == Plausible::No {
            return Ok(Done::All);
        }
        let now = self.believed(pool).await?;
        let oldest = self.bounds.oldest(now);
        let day = oldest.div_euclid(DAY);
        let mut deleted = 0;
        for (table, bound) in [
            // Rows lie in the order of time, except where a clock was set: the oldest places are looked at. The newest
            // stays, the head of an idle gate: behind it the chain goes on at the next start.
            (
                "delete from audit where position in (select position from \
                 (select position, time from audit order by position limit $2) where time < $1) \
                 and position < (select max(position) from audit)",
                oldest,
            ),
            (
                "delete from refused where rowid in (select rowid from refused where time < $1 order by rowid limit $2)",
                oldest,
            ),
            (
                "delete from days where (day, what) in (select day, what from days where day < $1 order by day limit $2)",
                day,
            ),
            ("delete from what where what in (select what from what where last_day < $1 limit $2)", day),
            (
                "delete from shown where (short, position) in (select short, position from shown \
                 where position < $1 limit $2)",
                first_position(pool).await?,
            ),
        ] {
            let done = sqlx::query(table).bind(bound).bind(PRUNED_AT_ONCE).execute(pool).await?;
            deleted = done.rows_affected().max(deleted);
        }
        let over = "delete from refused where rowid <= (select max(rowid) from refused) - $1";
        sqlx::query(over).bind(AUDIT_REFUSALS_ROWS).execute(pool).await?;
        if deleted > 0 {
            tracing::info!(deleted, before = shown(oldest), "audit records past their time were deleted");
        }
        let more = deleted >= PRUNED_AT_ONCE.unsigned_abs();
        Ok(if more { Done::Part } else { Done::All })
    }

    /// What does not fit into `retain_max`: what strangers caused first.
    async fn shrink(&mut self, pool: &AnyPool) -> Result<Done, sqlx::Error> {
        if used(pool).await? <= self.bounds.full() {
            self.look_at_the_oldest(pool, Fits::Yes).await?;
            return Ok(Done::All);
        }
        let of_strangers = "delete from refused where rowid < (select min(rowid) from refused) + $1";
        if sqlx::query(of_strangers).bind(PRUNED_AT_ONCE).execute(pool).await?.rows_affected() > 0 {
            return Ok(Done::Part);
        }
        let of_roll_up = shrink_roll_up(pool).await?;
        // A share of them at once: rows that are large are few, and the newest stay, the last of all whatever comes.
        let share = "select ((select max(position) from audit) - (select min(position) from audit)) / $1";
        let share = sqlx::query_scalar::<_, Option<i64>>(share).bind(SHARE_AT_ONCE).fetch_one(pool).await?;
        let step = share.unwrap_or_default().clamp(1, PRUNED_AT_ONCE);
        let of_pulls = "delete from audit where position < (select min(position) from audit) + $1 \
                        and position < (select max(position) from audit)";
        let of_pulls = sqlx::query(of_pulls).bind(step).execute(pool).await?.rows_affected();
        if of_pulls > 0 {
            self.look_at_the_oldest(pool, Fits::No).await?;
        }
        if of_pulls + of_roll_up > 0 {
            return Ok(Done::Part);
        }
        // Not even one row fits.
        Ok(Done::All)
    }

    /// Reports it as long as rows younger than `retain` were deleted.
    async fn look_at_the_oldest(&mut self, pool: &AnyPool, fits: Fits) -> Result<(), sqlx::Error> {
        if fits == Fits::Yes && self.standing.retention() == pullgate_store::Condition::Good {
            return Ok(());
        }
        let oldest = sqlx::query_scalar::<_, i64>("select time from audit order by position limit 1");
        let since = oldest.fetch_optional(pool).await?;
        let due = self.bounds.oldest(self.clock.now().as_millisecond());
        match since {
            Some(since) if since > due => self.standing.rows_go_early(&shown(since)),
            Some(_) => self.standing.rows_stay(),
            None if fits == Fits::No => self.standing.rows_go_early("now"),
            None => self.standing.rows_stay(),
        }
        Ok(())
    }

    /// The time by which rows are old, which is also kept for the next process.
    async fn believed(&mut self, pool: &AnyPool) -> Result<i64, sqlx::Error> {
        let (wall, steady) = (self.clock.now().as_millisecond(), self.clock.steady());
        let mut horizon = match self.horizon.take() {
            Some(horizon) => horizon,
            None => Horizon::read(pool, wall, steady).await?,
        };
        let believed = horizon.look(wall, steady);
        horizon.keep(pool).await?;
        self.horizon = Some(horizon);
        Ok(believed)
    }
}

/// Whether the rows fit into `retain_max`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Fits {
    No,
    Yes,
}

/// The place of the oldest row.
async fn first_position(pool: &AnyPool) -> Result<i64, sqlx::Error> {
    sqlx::query_scalar("select coalesce(min(position), 0) from audit").fetch_one(pool).await
}

/// Deletes a share of the roll-up of deleted rows, the oldest days first, and the facts that no day names any more: a
/// roll-up that only grew would leave no room for a row.
async fn shrink_roll_up(pool: &AnyPool) -> Result<u64, sqlx::Error> {
    let first = first_position(pool).await?;
    let gone = "select count(*) from days where last_position < $1";
    let gone = sqlx::query_scalar::<_, i64>(gone).bind(first).fetch_one(pool).await?;
    let step = gone.saturating_add(SHARE_AT_ONCE - 1) / SHARE_AT_ONCE;
    let of_days = "delete from days where (day, what) in \
                   (select day, what from days where last_position < $1 order by day limit $2)";
    let of_days = sqlx::query(of_days).bind(first).bind(step.min(PRUNED_AT_ONCE));
    let of_days = of_days.execute(pool).await?.rows_affected();
    if of_days > 0 {
        // The search for them reads the whole table, so it runs only where a day was deleted.
        let unnamed = "delete from what where what in (select what from what where not exists \
                       (select 1 from days where days.what = what.what) limit $1)";
        sqlx::query(unnamed).bind(PRUNED_AT_ONCE).execute(pool).await?;
    }
    let shown = "delete from shown where (short, position) in \
                 (select short, position from shown where position < $1 limit $2)";
    let shown = sqlx::query(shown).bind(first).bind(PRUNED_AT_ONCE).execute(pool).await?;
    Ok(of_days + shown.rows_affected())
}

/// Bytes of pages in use; those that are free are used before the file grows.
async fn used(pool: &AnyPool) -> Result<u64, sqlx::Error> {
    let mut numbers = [0_u64; 3];
    let questions = ["pragma page_count", "pragma freelist_count", "pragma page_size"];
    for (number, question) in numbers.iter_mut().zip(questions) {
        *number = sqlx::query_scalar::<_, i64>(question).fetch_one(pool).await?.unsigned_abs();
    }
    let [pages, free, size] = numbers;
    Ok(pages.saturating_sub(free).saturating_mul(size))
}

fn shown(time: i64) -> String {
    Timestamp::from_millisecond(time).map(|time| time.to_string()).unwrap_or_default()
}
