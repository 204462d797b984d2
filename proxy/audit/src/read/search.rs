//! Records, the newest first: the roll-up says where they can lie, and only there the table is read.

use std::collections::VecDeque;

use sqlx::any::AnyRow;
use sqlx::{AnyPool, Row as _};

use super::filter::{Conditions, DAY, Filter, Value};
use super::sums::{bound, time};
use super::{Found, ROWS, ReadError};
use crate::record::Record;

/// Places that one question looks at: between two of them, somebody may be told how far it is.
const STEP: i64 = 50_000;
/// Places between two ranges that are read rather than skipped: a question costs more.
const GAP: i64 = 200;
/// Places of one question.
const PLACES: usize = 200;
/// Digits of an id that people are shown.
const SHORT: usize = 12;

/// How far a search is: places that were looked at, and all that can hold something.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// Places that were looked at.
    pub done: u64,
    /// All of them.
    pub all: u64,
}

/// A search.
#[derive(Debug)]
pub struct Search {
    pool: AnyPool,
    filter: Filter,
    /// Places of a day that are still to be looked at, the newest first.
    ranges: VecDeque<(i64, i64)>,
    /// That day.
    day: i64,
    /// Days that are still to be asked for such places, the newest first.
    days: VecDeque<i64>,
    progress: Progress,
    pulls: VecDeque<Found>,
    strangers: VecDeque<Found>,
    /// Before which row of strangers it goes on; none where all were looked at.
    strangers_before: Option<i64>,
}

impl Search {
    pub(super) async fn new(pool: AnyPool, filter: Filter) -> Result<Self, ReadError> {
        let days = days(&pool, &filter).await?;
        let ends =
            "select coalesce((select max(position) from audit) - (select min(position) from audit) + 1, 0)";
        let all: i64 = sqlx::query_scalar(ends).fetch_one(&pool).await?;
        let all = all.unsigned_abs();
        Ok(Self {
            pool,
            filter,
            ranges: VecDeque::new(),
            day: 0,
            days,
            progress: Progress { done: 0, all },
            pulls: VecDeque::new(),
            strangers: VecDeque::new(),
            strangers_before: Some(i64::MAX),
        })
    }

    /// How far it is.
    #[must_use]
    pub fn progress(&self) -> Progress {
        self.progress
    }

    /// Looks one step on, and gives what was found up to there.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn step(&mut self) -> Result<Step, ReadError> {
        while self.strangers.is_empty() && self.strangers_before.is_some() {
            self.look_at_strangers().await?;
        }
        if self.pulls.is_empty() && self.is_going_on() {
            self.look_at_pulls().await?;
            if self.pulls.is_empty() && self.is_going_on() {
                return Ok(Step::Nothing);
            }
        }
        let newer = match (self.pulls.front(), self.strangers.front()) {
            (Some(pull), Some(stranger)) if stranger.time > pull.time => &mut self.strangers,
            (Some(_), _) => &mut self.pulls,
            (None, _) => &mut self.strangers,
        };
        Ok(newer.pop_front().map_or(Step::End, |found| Step::Found(Box::new(found))))
    }

    /// The next record.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn next(&mut self) -> Result<Option<Found>, ReadError> {
        loop {
            match self.step().await? {
                Step::Nothing => {}
                Step::Found(found) => return Ok(Some(*found)),
                Step::End => return Ok(None),
            }
        }
    }

    fn is_going_on(&self) -> bool {
        !self.ranges.is_empty() || !self.days.is_empty()
    }

    async fn look_at_pulls(&mut self) -> Result<(), ReadError> {
        if self.ranges.is_empty()
            && let Some(day) = self.days.pop_front()
        {
            self.day = day;
            self.ranges = ranges(&self.pool, &self.filter, day).await?;
        }
        let Some((first, last)) = self.ranges.pop_front() else { return Ok(()) };
        let last = last.min(self.filter.last_place());
        if last < first {
            return Ok(());
        }
        let from = last.saturating_sub(STEP - 1).max(first);
        let mut conditions = Conditions {
            sql: String::new(),
            values: vec![Value::Number(from), Value::Number(last), Value::Number(ROWS)],
        };
        // Where a clock was set, places of one day lie among those of another.
        conditions.and("a.time >= $", Value::Number(self.day.saturating_mul(DAY)));
        conditions.and("a.time < $", Value::Number(self.day.saturating_add(1).saturating_mul(DAY)));
        self.filter.rows(&mut conditions);
        self.filter.facts(&mut conditions);
        let join = if conditions.sql.contains("w.") { "join what w on w.what = a.what" } else { "" };
        let sql = format!(
            "select a.position, a.record, a.time from audit a {join} \
             where a.position between $1 and $2{} order by a.position desc limit $3",
            conditions.sql
        );
        let rows = bound(sql, &conditions).fetch_all(&self.pool).await?;
        let is_full = rows.len() >= usize::try_from(ROWS).unwrap_or(usize::MAX);
        let mut end = from;
        for row in &rows {
            let position: i64 = row.try_get(0)?;
            if is_full {
                end = position;
            }
            if let Some(found) = found(row, Some(position))?.filter(|found| self.filter.passes(found)) {
                self.pulls.push_back(found);
            }
        }
        self.progress.done = self.progress.done.saturating_add((last - end + 1).unsigned_abs());
        if end > first {
            self.ranges.push_front((first, end - 1));
        }
        Ok(())
    }

    async fn look_at_strangers(&mut self) -> Result<(), ReadError> {
        let Some(before) = self.strangers_before.take() else { return Ok(()) };
        let conditions =
            Conditions { sql: String::new(), values: vec![Value::Number(before), Value::Number(ROWS)] };
        let sql = "select rowid, record, time from refused where rowid < $1 order by rowid desc limit $2"
            .to_owned();
        for row in &bound(sql, &conditions).fetch_all(&self.pool).await? {
            self.strangers_before = Some(row.try_get(0)?);
            if let Some(found) = found(row, None)?.filter(|found| self.filter.passes(found)) {
                self.strangers.push_back(found);
            }
        }
        Ok(())
    }
}

/// What came of a step.
#[derive(Debug)]
pub enum Step {
    /// Nothing was found there; it goes on.
    Nothing,
    /// The next record.
    Found(Box<Found>),
    /// All was looked at.
    End,
}

/// The row with its columns `position`, `record`, `time`; none where what stands there is no record of this release.
fn found(row: &AnyRow, position: Option<i64>) -> Result<Option<Found>, ReadError> {
    let line: String = row.try_get(1)?;
    let time = time(row.try_get(2)?);
    let record = serde_json::from_str::<Record>(&line).ok();
    Ok(record.map(|record| Found { position, time, record, line }))
}

/// The days of which there is anything, as far as they are asked for, the newest first.
async fn days(pool: &AnyPool, filter: &Filter) -> Result<VecDeque<i64>, ReadError> {
    let mut conditions = Conditions::default();
    filter.days(&mut conditions);
    let sql = format!("select distinct d.day from days d where 1 = 1{} order by d.day desc", conditions.sql);
    let rows = bound(sql, &conditions).fetch_all(pool).await?;
    Ok(rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?)
}

/// Where it can lie in a day, the newest first: what is read of a log is no more than what is shown of it needs.
async fn ranges(pool: &AnyPool, filter: &Filter, day: i64) -> Result<VecDeque<(i64, i64)>, ReadError> {
    let mut conditions = Conditions { sql: String::new(), values: vec![Value::Number(day)] };
    filter.facts(&mut conditions);
    let join = if conditions.sql.contains("w.") { "join what w on w.what = d.what" } else { "" };
    let sql = format!(
        "select d.first_position, d.last_position from days d {join} where d.day = $1{} \
         order by d.last_position desc",
        conditions.sql
    );
    let mut ranges: VecDeque<(i64, i64)> = VecDeque::new();
    for row in bound(sql, &conditions).fetch_all(pool).await? {
        let (first, last): (i64, i64) = (row.try_get(0)?, row.try_get(1)?);
        match ranges.back_mut() {
            Some(newer) if last >= newer.0.saturating_sub(GAP) => newer.0 = newer.0.min(first),
            Some(_) | None => ranges.push_back((first, last)),
        }
    }
    // What went with `retain_max` is in the roll-up still.
    let oldest: i64 =
        sqlx::query_scalar("select coalesce(min(position), 0) from audit").fetch_one(pool).await?;
    ranges.retain_mut(|(first, last)| {
        *first = oldest.max(*first);
        first <= last
    });
    Ok(ranges)
}

pub(super) async fn before_first(pool: &AnyPool, filter: &Filter) -> Result<i64, ReadError> {
    let mut conditions = Conditions::default();
    Filter { until: None, ..filter.clone() }.days(&mut conditions);
    let sql = format!("select coalesce(min(d.first_position), 1) from days d where 1 = 1{}", conditions.sql);
    let first: i64 = bound(sql, &conditions).fetch_one(pool).await?.try_get(0)?;
    Ok(first.saturating_sub(1))
}

pub(super) async fn after(pool: &AnyPool, position: i64) -> Result<Vec<Found>, ReadError> {
    let conditions =
        Conditions { sql: String::new(), values: vec![Value::Number(position), Value::Number(ROWS)] };
    let sql =
        "select position, record, time from audit where position > $1 order by position limit $2".to_owned();
    let mut all = Vec::new();
    for row in &bound(sql, &conditions).fetch_all(pool).await? {
        all.extend(found(row, Some(row.try_get(0)?))?);
    }
    Ok(all)
}

/// Lines of rows after a place, oldest first.
pub(crate) async fn lines_after(pool: &AnyPool, position: i64) -> Result<Vec<(i64, String)>, sqlx::Error> {
    let sql = "select position, record from audit where position > $1 order by position limit $2";
    let lines = sqlx::query_as::<_, (i64, String)>(sql).bind(position).bind(ROWS);
    lines.fetch_all(pool).await
}

/// The records at these places.
pub(super) async fn at(pool: &AnyPool, positions: &[i64]) -> Result<Vec<Found>, ReadError> {
    let mut all = Vec::new();
    for some in positions.chunks(PLACES) {
        let places: Vec<String> = some.iter().map(i64::to_string).collect();
        let sql = format!(
            "select position, record, time from audit where position in ({}) order by position",
            places.join(", ")
        );
        for row in &bound(sql, &Conditions::default()).fetch_all(pool).await? {
            all.extend(found(row, Some(row.try_get(0)?))?);
        }
    }
    Ok(all)
}

/// What strangers caused, the newest first: the table has a bound of its own.
pub(super) async fn strangers(pool: &AnyPool, filter: Filter) -> Result<Vec<Found>, ReadError> {
    let mut search = Search {
        pool: pool.clone(),
        filter,
        ranges: VecDeque::new(),
        day: 0,
        days: VecDeque::new(),
        progress: Progress { done: 0, all: 0 },
        pulls: VecDeque::new(),
        strangers: VecDeque::new(),
        strangers_before: Some(i64::MAX),
    };
    while search.strangers_before.is_some() {
        search.look_at_strangers().await?;
    }
    Ok(search.strangers.into())
}

pub(super) async fn shown(pool: &AnyPool, id: &str) -> Result<Vec<Found>, ReadError> {
    let short: String = id.chars().take(SHORT).collect();
    let values = vec![Value::Text(short), Value::Number(ROWS)];
    let mut all = Vec::new();
    let sql = "select a.position, a.record, a.time from shown s join audit a on a.position = s.position \
        where s.short >= $1 and s.short < $1 || 'g' order by a.position desc limit $2"
        .to_owned();
    for row in &bound(sql, &Conditions { sql: String::new(), values: values.clone() }).fetch_all(pool).await?
    {
        all.extend(found(row, Some(row.try_get(0)?))?);
    }
    let sql = "select rowid, record, time from refused where id >= $1 and id < $1 || 'g' order by rowid desc limit $2".to_owned();
    for row in &bound(sql, &Conditions { sql: String::new(), values }).fetch_all(pool).await? {
        all.extend(found(row, None)?);
    }
    all.retain(|found| found.record.id.starts_with(id));
    Ok(all)
}
