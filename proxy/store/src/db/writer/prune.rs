//! How much `cache.db` keeps: by count and by bytes, not by age, so that a clock that jumps costs no rows.
//!
//! Unproven rows have a small share and are dropped first: denied requests with any number of names and documents push
//! out no permit and no grant (A607, A608).

use std::cmp::Reverse;

use sqlx::{AssertSqlSafe, Row as _};

use super::super::Transaction;
use crate::limits::{
    DATABASE_BYTES, DATABASE_MARGIN, DATABASE_ROWS, DATABASE_UNPROVEN_ROWS, ROWS_PRUNED_AT_ONCE,
    UNPROVEN_ROWS_LEAST,
};

/// What rows may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// Rows of one table.
    pub rows: i64,
    /// Those among them on which nothing rests.
    pub unproven: i64,
    /// Bytes of all.
    pub bytes: u64,
}

impl Bounds {
    /// Those of a running gate, on a disk that has so much room for the database.
    #[must_use]
    pub fn within(room: u64) -> Self {
        Self { rows: DATABASE_ROWS, unproven: DATABASE_UNPROVEN_ROWS, bytes: DATABASE_BYTES.min(room) }
    }
}

/// Whether a step has done all there was to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::db) enum Pruned {
    /// It has.
    All,
    /// There is more.
    Part,
}

/// Rows that are worth the same.
#[derive(Debug, Clone, Copy)]
struct Kind {
    table: &'static str,
    /// The column and its value that tell them from other rows of the table.
    worth: Option<(&'static str, i64)>,
    /// The column by which the oldest go first.
    age: &'static str,
}

const fn kind(table: &'static str, worth: Option<(&'static str, i64)>, age: &'static str) -> Kind {
    Kind { table, worth, age }
}

/// Nothing rests on them.
const UNPROVEN: [Kind; 3] = [
    kind("presence", Some(("granted", 0)), "seen"),
    kind("records", Some(("worth", 0)), "stored"),
    kind("tags", Some(("granted", 0)), "seen"),
];
/// They were let through as they were.
const LET_THROUGH: [Kind; 2] =
    [kind("grants", Some(("proven", 0)), "stored"), kind("records", Some(("worth", 1)), "stored")];
/// What is left.
const PROVEN: [Kind; 6] = [
    kind("children", None, "stored"),
    kind("evidence_blobs", None, "stored"),
    kind("grants", Some(("proven", 1)), "stored"),
    kind("presence", Some(("granted", 1)), "seen"),
    kind("records", Some(("worth", 2)), "stored"),
    kind("tags", Some(("granted", 1)), "seen"),
];

/// What a step has done.
#[derive(Debug, Clone, Copy)]
pub(super) struct Step {
    pub(super) pruned: Pruned,
    /// Bytes that rows take now.
    pub(super) bytes: u64,
    /// When the youngest grant among those that were dropped was given, milliseconds: a pull under way may rest on it.
    pub(super) youngest_grant: Option<i64>,
}

/// Drops one step of the rows over these bounds.
pub(super) async fn prune(transaction: &mut Transaction<'_>, bounds: Bounds) -> Result<Step, sqlx::Error> {
    let mut counted = Vec::new();
    for (order, kinds) in [UNPROVEN.as_slice(), &LET_THROUGH, &PROVEN].into_iter().enumerate() {
        for kind in kinds {
            counted.push((order, *kind, kind.count(transaction).await?));
        }
    }
    let full = bounds.bytes.saturating_sub(bounds.bytes / DATABASE_MARGIN);
    let mut over = too_many(&counted, bounds);
    if over.is_empty() && used(transaction).await? > full {
        over.extend(next(&counted));
    }
    let (mut dropped, mut left, mut youngest_grant) = (0, false, None);
    for (kind, most) in over {
        left |= most > ROWS_PRUNED_AT_ONCE;
        let most = most.min(ROWS_PRUNED_AT_ONCE);
        if kind.table == "grants" {
            youngest_grant = kind.youngest(transaction, most).await?.max(youngest_grant);
        }
        dropped += kind.drop_oldest(transaction, most).await?;
    }
    let bytes = used(transaction).await?;
    let pruned = if left || (dropped > 0 && bytes > full) { Pruned::Part } else { Pruned::All };
    Ok(Step { pruned, bytes, youngest_grant })
}

type Counted = (usize, Kind, i64);

/// The rows over the bounds: unproven ones by their own bound, the others where their table is full.
fn too_many(counted: &[Counted], bounds: Bounds) -> Vec<(Kind, i64)> {
    let unproven = counted.iter().filter(|(order, ..)| *order == 0);
    let mut over: Vec<_> =
        unproven.map(|(_, kind, count)| (*kind, count.saturating_sub(bounds.unproven))).collect();
    for table in ["children", "evidence_blobs", "grants", "presence", "records", "tags"] {
        let of_it: Vec<_> = counted.iter().filter(|(_, kind, _)| kind.table == table).collect();
        let all: i64 = of_it.iter().map(|(.., count)| count).sum();
        if let Some((_, kind, count)) = of_it.into_iter().find(|(.., count)| *count > 0) {
            over.push((*kind, all.saturating_sub(bounds.rows).min(*count)));
        }
    }
    over.retain(|(_, over)| *over > 0);
    over
}

/// The rows to drop next for want of room: of the kinds that are worth least, the one with the most rows. Some unproven
/// rows stay, since pulls under way use them.
fn next(counted: &[Counted]) -> Option<(Kind, i64)> {
    let spare = |(order, kind, count): &Counted| {
        let least = if *order == 0 { UNPROVEN_ROWS_LEAST } else { 0 };
        (*order, *kind, count.saturating_sub(least))
    };
    let spare = counted.iter().map(spare).filter(|(.., count)| *count > 0);
    spare.min_by_key(|(order, _, count)| (*order, Reverse(*count))).map(|(_, kind, count)| (kind, count))
}

impl Kind {
    async fn count(self, transaction: &mut Transaction<'_>) -> Result<i64, sqlx::Error> {
        // Safe: the text is made of what stands here.
        let sql = AssertSqlSafe(format!("select count(*) from {}{}", self.table, self.condition()));
        sqlx::query(sql).fetch_one(&mut **transaction).await?.try_get(0)
    }

    /// When the youngest of the `most` oldest rows was written.
    async fn youngest(
        self,
        transaction: &mut Transaction<'_>,
        most: i64,
    ) -> Result<Option<i64>, sqlx::Error> {
        // Safe: as above.
        let sql = AssertSqlSafe(format!("select max({}) from ({})", self.age, self.oldest(self.age)));
        sqlx::query(sql).bind(most).fetch_one(&mut **transaction).await?.try_get(0)
    }

    /// Drops the `most` oldest rows; returns how many there were.
    async fn drop_oldest(self, transaction: &mut Transaction<'_>, most: i64) -> Result<u64, sqlx::Error> {
        let table = self.table;
        // Safe: as above.
        let delete = AssertSqlSafe(format!("delete from {table} where rowid in ({})", self.oldest("rowid")));
        let done = sqlx::query(delete).bind(most).execute(&mut **transaction).await?;
        tracing::debug!(table, rows = done.rows_affected(), "the oldest rows made room");
        Ok(done.rows_affected())
    }

    fn oldest(self, column: &str) -> String {
        format!("select {column} from {}{} order by {} limit $1", self.table, self.condition(), self.age)
    }

    fn condition(self) -> String {
        self.worth.map(|(column, value)| format!(" where {column} = {value}")).unwrap_or_default()
    }
}

/// Bytes of pages in use; those that are free are used before the file grows.
async fn used(transaction: &mut Transaction<'_>) -> Result<u64, sqlx::Error> {
    let mut numbers = [0_u64; 3];
    let questions = ["pragma page_count", "pragma freelist_count", "pragma page_size"];
    for (number, question) in numbers.iter_mut().zip(questions) {
        let row = sqlx::query(question).fetch_one(&mut **transaction).await?;
        *number = row.try_get::<i64, _>(0)?.unsigned_abs();
    }
    let [pages, free, size] = numbers;
    Ok(pages.saturating_sub(free).saturating_mul(size))
}
