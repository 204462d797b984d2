//! The pull log as a table, for questions that come later. It is never dropped silently: what it does not take is counted,
//! and a corrupt file is moved aside and kept.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use sqlx::{Any, AnyPool, AssertSqlSafe, Transaction};
use tokio::sync::{mpsc, oneshot};

use super::standing::Standing;
use super::{Record, StartError};
use crate::store::sqlite::{self, OpenFault, Sqlite, Strange};

/// `full`: a record that was acknowledged survives the loss of power, at one sync for a batch.
const PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = full; \
    pragma trusted_schema = off;";
/// How long a lock of somebody else is waited for: nobody waits for a row.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How long a connection is waited for.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Rows of one transaction.
const ROWS: usize = 1_000;
/// Rows of one statement: SQLite looks each parameter up by its name among all of them.
const ROWS_OF_A_STATEMENT: usize = 20;
/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// Columns of a row.
const COLUMNS: usize = 7;
/// How long nothing is tried after the file could not be opened.
const REST: Duration = Duration::from_secs(30);
/// How often rows are looked for that are too old.
const PRUNE_EVERY: Duration = Duration::from_secs(3_600);
/// Rows deleted at once, so that new ones do not wait behind a whole day's.
const PRUNED_AT_ONCE: i64 = 10_000;

/// What the task is told.
pub(super) enum RowJob {
    Flush(oneshot::Sender<()>),
    Keep(Box<Row>),
}

/// A record, as it lies in the table.
#[derive(Debug)]
pub(super) struct Row {
    id: String,
    time: i64,
    kind: &'static str,
    verdict: &'static str,
    repository: String,
    digest: Option<String>,
    line: String,
}

impl Row {
    pub(super) fn new(record: Record) -> Self {
        let (record, line) = record.written();
        Self {
            id: record.id,
            time: record.time.as_millisecond(),
            kind: record.kind.as_str(),
            verdict: record.verdict.as_str(),
            repository: record.repository,
            digest: record.digest,
            line,
        }
    }

    /// The record as a line, without its end.
    pub(super) fn line(&self) -> &str {
        &self.line
    }
}

pub(super) struct Database {
    sqlite: Sqlite,
    retain: Duration,
    standing: Arc<Standing>,
    pool: Option<AnyPool>,
    tried: Instant,
    pruned: Option<Instant>,
}

impl Database {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StartError::Newer`].
    pub(super) async fn open(
        file: &Path,
        retain: Duration,
        standing: Arc<Standing>,
    ) -> Result<Self, StartError> {
        let sqlite = Sqlite {
            file: file.to_owned(),
            pragmas: PRAGMAS,
            lock_wait: LOCK_WAIT,
            schema: &[("audit", include_str!("migrations/0001_audit.sql"))],
            strange: Strange::StaysThere,
        };
        let mut database = Self { sqlite, retain, standing, pool: None, tried: Instant::now(), pruned: None };
        match database.connect().await {
            Err(OpenFault::Newer(version)) => Err(StartError::Newer { path: file.to_owned(), version }),
            Ok(_) | Err(OpenFault::Unusable(_)) => Ok(database),
        }
    }

    /// Keeps rows until every handle is gone.
    pub(super) async fn run(mut self, mut queue: mpsc::Receiver<RowJob>) {
        let mut jobs = Vec::with_capacity(ROWS);
        while queue.recv_many(&mut jobs, ROWS).await > 0 {
            if jobs.len() < ROWS {
                // One transaction for what comes together costs less than one for each.
                tokio::time::sleep(GATHER).await;
                while jobs.len() < ROWS
                    && let Ok(job) = queue.try_recv()
                {
                    jobs.push(job);
                }
            }
            let mut flushed = Vec::new();
            let mut rows = Vec::with_capacity(jobs.len());
            for job in jobs.drain(..) {
                match job {
                    RowJob::Flush(done) => flushed.push(done),
                    RowJob::Keep(row) => rows.push(*row),
                }
            }
            self.keep(&rows).await;
            for done in flushed {
                let _ = done.send(());
            }
        }
    }

    async fn connect(&mut self) -> Result<AnyPool, OpenFault> {
        self.tried = Instant::now();
        let opened = self.sqlite.prepare().await.and_then(|_| self.sqlite.pool(1, ACQUIRE));
        match &opened {
            Ok(pool) => self.pool = Some(pool.clone()),
            Err(fault) => self.standing.database_fails(&fault.to_string()),
        }
        opened
    }

    async fn keep(&mut self, rows: &[Row]) {
        let Some(newest) = rows.iter().map(|row| row.time).max() else { return };
        if self.pool.is_none() && self.tried.elapsed() >= REST {
            // It has said what is wrong, if anything still is.
            let _ = self.connect().await;
        }
        match self.insert(rows).await {
            Ok(()) => {
                self.standing.database_works();
                self.prune(newest).await;
            }
            Err(why) => {
                self.standing.lose_rows(rows.len() as u64);
                if let Some(why) = why {
                    self.standing.database_fails(&why);
                }
            }
        }
    }

    /// Inserts rows; into a new file when the old one turns out to be corrupt. Fails with the reason where it is news.
    async fn insert(&mut self, rows: &[Row]) -> Result<(), Option<String>> {
        let Some(pool) = self.pool.clone() else { return Err(None) };
        let Err(error) = insert(&pool, rows).await else { return Ok(()) };
        if !sqlite::is_corrupt(&error) {
            return Err(Some(error.to_string()));
        }
        pool.close().await;
        self.pool = None;
        match self.connect().await {
            Ok(pool) => insert(&pool, rows).await.map_err(|error| Some(error.to_string())),
            Err(_told) => Err(None),
        }
    }

    /// Deletes what is older than `retain`, counted from the newest record: by no other clock than the records' own, and
    /// never while nothing new comes.
    async fn prune(&mut self, newest: i64) {
        let Some(pool) = &self.pool else { return };
        if self.pruned.is_some_and(|last| last.elapsed() < PRUNE_EVERY) {
            return;
        }
        let oldest = newest.saturating_sub(i64::try_from(self.retain.as_millis()).unwrap_or(i64::MAX));
        match prune(pool, oldest).await {
            // There may be more: the next rows look again.
            Ok(deleted) if deleted >= PRUNED_AT_ONCE.unsigned_abs() => {}
            Ok(_) => self.pruned = Some(Instant::now()),
            Err(error) => {
                self.pruned = Some(Instant::now());
                tracing::warn!(%error, "audit records that are too old are not deleted");
            }
        }
    }
}

async fn insert(pool: &AnyPool, rows: &[Row]) -> Result<(), sqlx::Error> {
    sqlite::transact(pool, async |open| {
        for rows in rows.chunks(ROWS_OF_A_STATEMENT) {
            insert_some(open, rows).await?;
        }
        Ok(())
    })
    .await
}

async fn insert_some(transaction: &mut Transaction<'_, Any>, rows: &[Row]) -> Result<(), sqlx::Error> {
    // An id that is there already is the same record: after a failure whose effect is not known.
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
            .bind(row.kind)
            .bind(row.verdict)
            .bind(row.repository.as_str())
            .bind(row.digest.as_deref())
            .bind(row.line.as_str());
    }
    query.execute(&mut **transaction).await.map(drop)
}

async fn prune(pool: &AnyPool, oldest: i64) -> Result<u64, sqlx::Error> {
    let old = sqlx::query(
        "delete from audit where id in (select id from audit where time < $1 order by time limit $2)",
    );
    let deleted = old.bind(oldest).bind(PRUNED_AT_ONCE).execute(pool).await?.rows_affected();
    if deleted > 0 {
        let before = Timestamp::from_millisecond(oldest).map(|time| time.to_string()).unwrap_or_default();
        tracing::info!(deleted, before, "audit records past their time were deleted");
    }
    Ok(deleted)
}
