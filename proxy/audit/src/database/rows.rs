//! Records as rows: into the table, and what the table says of itself.

use std::borrow::Cow;

use jiff::Timestamp;
use serde::Deserialize;
use sqlx::{Any, AnyPool, AssertSqlSafe, Transaction};

use crate::record::Record;
use pullgate_store::sqlite;

/// Rows of one statement: SQLite looks each parameter up by its name among all of them.
const ROWS_OF_A_STATEMENT: usize = 20;
/// Columns of a row.
const COLUMNS: usize = 7;

/// A record, as it lies in the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its number; 0 where it has none.
    pub(super) sequence: u64,
    pub(super) id: String,
    time: i64,
    kind: Cow<'static, str>,
    verdict: Cow<'static, str>,
    repository: String,
    digest: Option<String>,
    line: String,
}

/// What of a line stands in columns.
#[derive(Deserialize)]
struct LineColumns {
    time: Timestamp,
    #[serde(default)]
    sequence: u64,
    id: String,
    kind: String,
    verdict: String,
    #[serde(default)]
    repository: String,
    digest: Option<String>,
}

impl Row {
    pub(crate) fn new(record: Record) -> Self {
        let (record, line) = record.written();
        Self {
            sequence: record.sequence,
            id: record.id,
            time: record.time.as_millisecond(),
            kind: Cow::Borrowed(record.kind.as_str()),
            verdict: Cow::Borrowed(record.verdict.as_str()),
            repository: record.repository,
            digest: record.digest,
            line,
        }
    }

    /// The row of a record that stands in the log; none of any other text.
    pub(super) fn from_line(line: String) -> Option<Self> {
        let told: LineColumns = serde_json::from_str(&line).ok()?;
        Some(Self {
            sequence: told.sequence,
            id: told.id,
            time: told.time.as_millisecond(),
            kind: Cow::Owned(told.kind),
            verdict: Cow::Owned(told.verdict),
            repository: told.repository,
            digest: told.digest,
            line,
        })
    }

    /// The record as a line, without its end.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

/// Keeps rows, those of pulls and those of strangers, all or none.
pub(super) async fn insert(pool: &AnyPool, pulls: &[Row], strangers: &[Row]) -> Result<(), sqlx::Error> {
    sqlite::transact(pool, async |open| {
        for rows in pulls.chunks(ROWS_OF_A_STATEMENT) {
            insert_some(open, rows).await?;
        }
        for row in strangers {
            let sql = "insert into refused (id, time, repository, record) values ($1, $2, $3, $4)";
            let query = sqlx::query(sql).bind(row.id.as_str()).bind(row.time).bind(row.repository.as_str());
            query.bind(row.line.as_str()).execute(&mut **open).await?;
        }
        Ok(())
    })
    .await
}

async fn insert_some(open: &mut Transaction<'_, Any>, rows: &[Row]) -> Result<(), sqlx::Error> {
    // An id that is there already is the same record: after a failure whose effect is not known, or read from its line.
    let sql = format!(
        "insert into audit (id, time, kind, verdict, repository, digest, record) values {} on conflict (id) do nothing",
        sqlite::placeholders(rows.len(), COLUMNS)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in rows {
        query = query
            .bind(row.id.as_str())
            .bind(row.time)
            .bind(&*row.kind)
            .bind(&*row.verdict)
            .bind(row.repository.as_str())
            .bind(row.digest.as_deref())
            .bind(row.line.as_str());
    }
    query.execute(&mut **open).await.map(drop)
}

/// A write of nothing that anybody reads.
pub(super) async fn probe(pool: &AnyPool) -> Result<(), sqlx::Error> {
    sqlite::transact(pool, async |open| {
        let row = "insert into refused (id, time, repository, record) values ('probe', 0, '', '')";
        sqlx::query(row).execute(&mut **open).await?;
        sqlx::query("delete from refused where id = 'probe' and time = 0")
            .execute(&mut **open)
            .await
            .map(drop)
    })
    .await
}

/// The newest row, where there is one that is a record.
pub(super) async fn newest(pool: &AnyPool) -> Result<Option<Row>, sqlx::Error> {
    let line = sqlx::query_scalar::<_, String>("select record from audit order by rowid desc limit 1");
    Ok(line.fetch_optional(pool).await?.and_then(Row::from_line))
}

/// How many rows there are: rows go from the oldest on, so what lies between the first and the last is there.
pub(super) async fn count(pool: &AnyPool) -> Result<u64, sqlx::Error> {
    let ends = "select coalesce(max(rowid) - min(rowid) + 1, 0) from audit";
    let rows: i64 = sqlx::query_scalar(ends).fetch_one(pool).await?;
    Ok(rows.unsigned_abs())
}
