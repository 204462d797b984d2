//! Rows of pulls, what repeats in them, and their count by day: in one transaction, a statement for many.

use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};

use sqlx::{Any, AssertSqlSafe, Transaction};

use super::Row;
use super::known::Known;
use crate::facts::{COLUMNS as FACTS, Facts, Name};
use pullgate_store::sqlite;

/// Rows of one statement: SQLite looks each parameter up by its name among all of them.
const ROWS_OF_A_STATEMENT: usize = 20;
/// Columns of a row.
const COLUMNS: usize = 6;
/// Columns of a day's count.
const DAY_COLUMNS: usize = 7;
/// Digits of an id that people are shown.
const SHORT: usize = 12;

/// The outcome for facts in one day.
#[derive(Debug, Clone, Copy)]
struct Sum {
    count: i64,
    time: (i64, i64),
    position: (i64, i64),
}

/// Puts rows at their places.
pub(in crate::database) async fn put(
    open: &mut Transaction<'_, Any>,
    rows: &[(i64, &Row)],
    known: &mut Known,
) -> Result<(), sqlx::Error> {
    let mut names: HashMap<(i64, &Facts), (Name, Cow<'_, Facts>)> = HashMap::new();
    let mut sums: BTreeMap<(i64, Name), Sum> = BTreeMap::new();
    let mut named: Vec<(i64, &Row, Name)> = Vec::with_capacity(rows.len());
    for (position, row) in rows {
        let told_apart = || {
            let facts = known.told_apart(row.day(), &row.facts);
            (facts.name(), facts)
        };
        let name = names.entry((row.day(), &row.facts)).or_insert_with(told_apart).0;
        let one = Sum { count: row.count, time: (row.time, row.time), position: (*position, *position) };
        sums.entry((row.day(), name)).and_modify(|sum| sum.add(one)).or_insert(one);
        named.push((*position, row, name));
    }
    for ((day, _), (name, facts)) in &names {
        if !known.has((*day, *name)) {
            put_facts(open, facts, *name, *day).await?;
            known.add((*day, *name));
        }
    }
    let sums: Vec<_> = sums.into_iter().collect();
    for sums in sums.chunks(ROWS_OF_A_STATEMENT) {
        put_sums(open, sums).await?;
    }
    for rows in named.chunks(ROWS_OF_A_STATEMENT) {
        put_rows(open, rows).await?;
    }
    Ok(())
}

impl Sum {
    fn add(&mut self, other: Self) {
        self.count = self.count.saturating_add(other.count);
        self.time = (self.time.0.min(other.time.0), self.time.1.max(other.time.1));
        self.position = (self.position.0.min(other.position.0), self.position.1.max(other.position.1));
    }
}

async fn put_facts(
    open: &mut Transaction<'_, Any>,
    facts: &Facts,
    name: Name,
    day: i64,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into what (what, last_day, gate, kind, repository, reference, digest, root, client, names, agent, policy, \
         verdict, ground, code, signers) values {} on conflict (what) do update set last_day = excluded.last_day \
         where excluded.last_day > last_day",
        sqlite::placeholders(1, FACTS + 2)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql)).bind(name.to_vec()).bind(day);
    for column in facts.columns() {
        query = query.bind(column);
    }
    query.execute(&mut **open).await.map(drop)
}

async fn put_sums(open: &mut Transaction<'_, Any>, sums: &[((i64, Name), Sum)]) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into days (day, what, count, first, last, first_position, last_position) values {} \
         on conflict (day, what) do update set count = days.count + excluded.count, \
         first = case when excluded.first < days.first then excluded.first else days.first end, \
         last = case when excluded.last > days.last then excluded.last else days.last end, \
         first_position = case when excluded.first_position < days.first_position \
         then excluded.first_position else days.first_position end, \
         last_position = case when excluded.last_position > days.last_position \
         then excluded.last_position else days.last_position end",
        sqlite::placeholders(sums.len(), DAY_COLUMNS)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for ((day, name), Sum { count, time, position }) in sums {
        query = query
            .bind(*day)
            .bind(name.to_vec())
            .bind(*count)
            .bind(time.0)
            .bind(time.1)
            .bind(position.0)
            .bind(position.1);
    }
    query.execute(&mut **open).await.map(drop)
}

async fn put_rows(open: &mut Transaction<'_, Any>, rows: &[(i64, &Row, Name)]) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into audit (position, time, id, story, what, record) values {}",
        sqlite::placeholders(rows.len(), COLUMNS)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for (position, row, name) in rows {
        query = query
            .bind(*position)
            .bind(row.time)
            .bind(row.id.as_str())
            .bind(row.story.as_str())
            .bind(name.to_vec())
            .bind(row.line.as_str());
    }
    query.execute(&mut **open).await?;
    let shown = rows.iter().filter(|(_, row, _)| row.facts.is_shown());
    for (position, row, _) in shown {
        let sql = "insert into shown (short, position) values ($1, $2) on conflict do nothing";
        let short = row.id.get(..SHORT).unwrap_or(&row.id);
        sqlx::query(sql).bind(short).bind(*position).execute(&mut **open).await?;
    }
    Ok(())
}
