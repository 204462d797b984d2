//! The roll-up, page by page.

use std::collections::VecDeque;

use jiff::Timestamp;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, AssertSqlSafe, Row as _};

use super::filter::{Conditions, Filter, Value};
use super::{ROWS, ReadError};
use crate::facts::{COLUMNS, Facts};

/// The columns of facts, in their order.
const FACTS: &str = "w.gate, w.kind, w.repository, w.reference, w.digest, w.root, w.client, w.names, w.agent, w.policy, \
    w.verdict, w.ground, w.code, w.signers";
/// Columns before them.
const BEFORE: usize = 6;

/// What came of the same facts in one day, UTC.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sum {
    /// Days since 1970.
    pub day: i64,
    /// Requests.
    pub count: u64,
    /// The first of them.
    pub first: Timestamp,
    /// The last of them.
    pub last: Timestamp,
    /// The place of the last record of them, for [`Reader::at`](super::Reader::at).
    pub position: i64,
    /// Who pulled what, by which policy, on what ground.
    pub facts: Facts,
}

/// How many requests there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Total {
    /// So many.
    Exactly(u64),
    /// At most so many: part of a day was asked for, or what the roll-up does not tell apart.
    AtMost(u64),
}

/// The roll-up, oldest day first.
#[derive(Debug)]
pub struct Sums {
    pool: AnyPool,
    filter: Filter,
    /// Where the last page ended.
    after: (i64, Vec<u8>),
    page: VecDeque<Sum>,
    ended: bool,
}

impl Sums {
    pub(super) fn new(pool: AnyPool, filter: Filter) -> Self {
        Self { pool, filter, after: (i64::MIN, Vec::new()), page: VecDeque::new(), ended: false }
    }

    /// The next one.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn next(&mut self) -> Result<Option<Sum>, ReadError> {
        while self.page.is_empty() && !self.ended {
            self.turn().await?;
        }
        Ok(self.page.pop_front())
    }

    async fn turn(&mut self) -> Result<(), ReadError> {
        let (day, what) = &self.after;
        let mut conditions =
            Conditions { sql: String::new(), values: vec![Value::Number(*day), Value::Number(ROWS)] };
        self.filter.days(&mut conditions);
        self.filter.facts(&mut conditions);
        let sql = format!(
            "select d.day, d.what, d.count, d.first, d.last, d.last_position, {FACTS} from days d join what w on w.what = d.what \
             where (d.day > $1 or (d.day = $1 and d.what > x'{}')){} order by d.day, d.what limit $2",
            hex::encode(what),
            conditions.sql
        );
        let found = bound(sql, &conditions).fetch_all(&self.pool).await?;
        self.ended = found.len() < usize::try_from(ROWS).unwrap_or(usize::MAX);
        for row in &found {
            self.after = (row.try_get(0)?, row.try_get(1)?);
            let sum = sum(row)?;
            let of = (sum.last, "", "");
            let exact = Filter { since: None, until: None, story: None, id: None, ..self.filter.clone() };
            if exact.lets_through(of, &sum.facts) {
                self.page.push_back(sum);
            }
        }
        Ok(())
    }
}

/// A question with its values. Safe: its text stands in the source, but for numbers and hexadecimal digits.
pub(super) fn bound(
    sql: String,
    conditions: &Conditions,
) -> sqlx::query::Query<'static, Any, sqlx::any::AnyArguments> {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in &conditions.values {
        query = match value {
            Value::Number(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.clone()),
        };
    }
    query
}

fn sum(row: &AnyRow) -> Result<Sum, sqlx::Error> {
    let mut columns: [String; COLUMNS] = Default::default();
    for (n, column) in columns.iter_mut().enumerate() {
        *column = row.try_get(BEFORE + n)?;
    }
    Ok(Sum {
        day: row.try_get(0)?,
        count: row.try_get::<i64, _>(2)?.unsigned_abs(),
        first: time(row.try_get(3)?),
        last: time(row.try_get(4)?),
        position: row.try_get(5)?,
        facts: Facts::from_columns(columns),
    })
}

pub(super) fn time(milliseconds: i64) -> Timestamp {
    Timestamp::from_millisecond(milliseconds).unwrap_or_default()
}

pub(super) async fn total(pool: &AnyPool, filter: &Filter) -> Result<Total, ReadError> {
    let mut conditions = Conditions::default();
    filter.days(&mut conditions);
    filter.facts(&mut conditions);
    // Where no fact is asked for, the days alone know.
    let join = if conditions.sql.contains("w.") { "join what w on w.what = d.what" } else { "" };
    let sql = format!(
        "select cast(coalesce(sum(d.count), 0) as bigint) from days d {join} where 1 = 1{}",
        conditions.sql
    );
    let count: i64 = bound(sql, &conditions).fetch_one(pool).await?.try_get(0)?;
    let count = count.unsigned_abs();
    Ok(if filter.is_of_whole_days() { Total::Exactly(count) } else { Total::AtMost(count) })
}
