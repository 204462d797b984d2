//! Records as rows: into the table, and what the table says of itself.

use sqlx::{AnyPool, Row as _};

use crate::facts::Facts;
use crate::record::Record;
use pullgate_store::sqlite;

mod known;
mod put;

pub(super) use self::known::Known;
pub(super) use self::put::put;

/// Milliseconds of a day.
pub(super) const DAY: i64 = 24 * 60 * 60 * 1_000;

/// Requests that one record stands for, at most: what others wrote is summed up here too, and the sum is a number still.
const COUNT: i64 = 1 << 32;

/// A record, as it lies in the table.
#[derive(Debug)]
pub(crate) struct Row {
    /// Its number; 0 where it has none.
    pub(super) sequence: u64,
    pub(super) id: String,
    time: i64,
    story: String,
    /// Requests that it stands for.
    count: i64,
    facts: Facts,
    line: String,
}

impl Row {
    pub(crate) fn new(record: Record) -> Self {
        let (record, line) = record.written();
        Self::of(record, line)
    }

    /// The row of a record that stands in the log; none of any other text.
    pub(super) fn from_line(line: String) -> Option<Self> {
        let record = serde_json::from_str(&line).ok()?;
        Some(Self::of(record, line))
    }

    fn of(mut record: Record, line: String) -> Self {
        let facts = Facts::of(&mut record);
        Self {
            sequence: record.sequence,
            id: record.id,
            time: record.time.as_millisecond(),
            story: record.story,
            count: i64::try_from(record.count).unwrap_or(COUNT).clamp(1, COUNT),
            facts,
            line,
        }
    }

    fn day(&self) -> i64 {
        self.time.div_euclid(DAY)
    }

    /// The record as a line, without its end.
    pub(crate) fn line(&self) -> &str {
        &self.line
    }
}

/// Keeps rows, those of pulls and those of strangers, all or none.
pub(super) async fn insert(
    pool: &AnyPool,
    pulls: &[Row],
    strangers: &[Row],
    known: &mut Known,
) -> Result<(), sqlx::Error> {
    let inserted = sqlite::transact(pool, async |open| {
        if !pulls.is_empty() {
            let newest = "select coalesce(max(position), 0) from audit";
            let newest: i64 = sqlx::query_scalar(newest).fetch_one(&mut **open).await?;
            let rows: Vec<(i64, &Row)> = (newest.saturating_add(1)..).zip(pulls).collect();
            put(open, &rows, known).await?;
        }
        for row in strangers {
            let sql = "insert into refused (id, time, repository, record) values ($1, $2, $3, $4)";
            let query =
                sqlx::query(sql).bind(row.id.as_str()).bind(row.time).bind(row.facts.repository.as_str());
            query.bind(row.line.as_str()).execute(&mut **open).await?;
        }
        Ok(())
    })
    .await;
    if inserted.is_err() {
        // What was put with them may not be there.
        known.forget();
    }
    inserted
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
    let line = sqlx::query_scalar::<_, String>("select record from audit order by position desc limit 1");
    Ok(line.fetch_optional(pool).await?.and_then(Row::from_line))
}

/// How many rows there are: rows go from the oldest on, so what lies between the first and the last is there.
pub(super) async fn count(pool: &AnyPool) -> Result<u64, sqlx::Error> {
    // Two questions: one for both ends would read the whole table.
    let ends =
        "select coalesce((select max(position) from audit) - (select min(position) from audit) + 1, 0)";
    let rows: i64 = sqlx::query_scalar(ends).fetch_one(pool).await?;
    Ok(rows.unsigned_abs())
}

/// The oldest rows of the schema before this one, newest first, with their places.
pub(super) async fn before(pool: &AnyPool, most: i64) -> Result<Vec<(i64, Row)>, sqlx::Error> {
    let sql = "select rowid, record, id, time from audit_before order by rowid desc limit $1";
    let found = sqlx::query(sql).bind(most).fetch_all(pool).await?;
    let mut rows = Vec::with_capacity(found.len());
    for row in found {
        let (position, line): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let (id, time): (String, i64) = (row.try_get(2)?, row.try_get(3)?);
        // What is no record by this release stays what it is, and is found by its id and its time.
        let unread = |line: String| Row {
            sequence: 0,
            id,
            time,
            story: String::new(),
            count: 1,
            facts: Facts::default(),
            line,
        };
        rows.push((position, Row::from_line(line.clone()).unwrap_or_else(|| unread(line))));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_row_of_a_line_is_the_row_of_its_record() {
        use crate::id::DecisionId;
        use crate::record::{Client, Kind, Reason, Signer, Word};
        let time = "2026-11-30T23:59:59.999Z".parse().unwrap();
        let mut record = Record::new(Kind::Manifest, &DecisionId::random(), time, Word::Deny);
        record.repository = "registry.test/org/app".to_owned();
        record.client = Some(Client {
            address: "[::ffff:10.0.0.1]:50000".to_owned(),
            forwarded: None,
            names: vec!["a".to_owned(), "b".to_owned()],
            user_agent: "agent".to_owned(),
        });
        record.reasons =
            vec![Reason { code: "no-signature".to_owned(), location: None, text: String::new() }];
        let by = "ci".to_owned();
        record.signers = vec![Signer {
            by,
            layout: String::new(),
            attests: None,
            authorities: vec![],
            code: None,
            identity: None,
            logged: false,
        }];
        let row = Row::new(record);
        let again = Row::from_line(row.line.clone()).unwrap();
        assert_eq!((&row.facts, row.time, row.day()), (&again.facts, again.time, 20_787));
        let facts = &row.facts;
        assert_eq!(
            (facts.client.as_str(), facts.names.as_str(), facts.signers.as_str()),
            ("10.0.0.1", "a\nb", "ci")
        );
        assert_eq!((facts.verdict.as_ref(), facts.code.as_str()), ("deny", "no-signature"));
        let other = Facts { agent: String::new(), names: "a\nb\u{0}agent".to_owned(), ..facts.clone() };
        assert_ne!(facts.name(), other.name());
    }
}
