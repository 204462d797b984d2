//! The pull log: one JSON line and one row for each answer about a manifest, each refused blob and each reload. Fields are
//! documented in `proxy/README.md`; their schema is `proxy/schema/audit.schema.json`.

use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pullgate_policy::limits::AUDIT_QUEUE;
use tokio::sync::{mpsc, oneshot};

use crate::admin::Condition;
use crate::metrics::Metrics;
use crate::waits::Waits;

mod database;
mod id;
mod log;
mod record;
mod standing;
#[cfg(test)]
mod tests;
mod writer;

pub use self::id::DecisionId;
pub use self::record::{Client, Kind, Reason, Record, Word};

use self::database::{Database, RowJob};
use self::log::Log;
use self::standing::Standing;
use self::writer::{Job, Writer};

/// How the pull log is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the lines go.
    pub log: LogTarget,
    /// How long rows stay.
    pub retain: Duration,
    /// What a log that cannot be written does to pulls.
    pub on_failure: OnFailure,
    /// How long a record, and what is queued, is waited for.
    pub waits: Waits,
}

/// Where the lines go.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LogTarget {
    /// To a file, rotated.
    File(PathBuf),
    /// To standard output.
    Stdout,
}

/// What a log that cannot be written does to pulls (A512).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnFailure {
    /// Lost records are counted, in a metric and in the next record.
    Count,
    /// Pulls are undecided. Each waits until its line is on the disk.
    Refuse,
}

/// Why the pull log does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log file cannot be opened.
    #[error("{} cannot be opened for writing", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// A later release wrote the database, with this migration.
    #[error(
        "{} has schema {version}, which is newer than this release knows: use the newer release or move the file", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its newest migration.
        version: i64,
    },
    /// The thread that writes cannot be had.
    #[error("the thread that writes the log cannot be started")]
    Thread(#[source] io::Error),
}

/// The record could not be written, and pulls wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record cannot be written")]
pub struct Unwritable;

/// The pull log of a gate.
pub struct Audit(Mode);

enum Mode {
    Kept(Mutex<Vec<Record>>),
    Written(Queues),
}

struct Queues {
    jobs: mpsc::Sender<Job>,
    rows: mpsc::Sender<RowJob>,
    on_failure: OnFailure,
    waits: Waits,
    standing: Arc<Standing>,
}

/// How long a pull waits for its record where it must be written first. Over it: undecided.
pub const RECORD_WAIT: Duration = Duration::from_secs(2);

impl Audit {
    /// Opens the log and its database, and starts what writes them. A corrupt database is moved aside and kept; without a
    /// database that can be used the log goes on in lines alone, loudly.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, database: &Path, metrics: Metrics) -> Result<Self, StartError> {
        let Settings { log, retain, on_failure, waits } = settings;
        let standing = Arc::new(Standing::new(metrics));
        let path = match &log {
            LogTarget::File(path) => path.clone(),
            LogTarget::Stdout => PathBuf::from("standard output"),
        };
        let (log, torn) = Log::open(log).map_err(|source| StartError::Log { path, source })?;
        if torn > 0 {
            tracing::warn!(
                "the last record of the pull log was cut off by an end without warning; it is counted as lost"
            );
            standing.lose(torn);
        }
        let database = Database::open(database, retain, Arc::clone(&standing)).await?;
        let (rows, rows_queue) = mpsc::channel(AUDIT_QUEUE);
        let (jobs, jobs_queue) = mpsc::channel(AUDIT_QUEUE);
        tokio::spawn(database.run(rows_queue));
        let writer = Writer { log, rows: rows.clone(), on_failure, standing: Arc::clone(&standing) };
        writer.start(jobs_queue).map_err(StartError::Thread)?;
        Ok(Self(Mode::Written(Queues { jobs, rows, on_failure, waits, standing })))
    }

    /// A log that keeps its records in memory: for tests.
    #[must_use]
    pub fn null() -> Self {
        Self(Mode::Kept(Mutex::default()))
    }

    /// The records that [`Audit::null`] has kept; none of any other log.
    #[must_use]
    pub fn kept(&self) -> Vec<Record> {
        match &self.0 {
            Mode::Kept(records) => records.lock().unwrap_or_else(PoisonError::into_inner).clone(),
            Mode::Written(_) => Vec::new(),
        }
    }

    /// Writes a record: at once and waited for where pulls depend on it, else in its turn.
    ///
    /// # Errors
    /// [`Unwritable`], under [`OnFailure::Refuse`] only. The record may have been written all the same: a record without
    /// content is a nuisance, content without a record is not to be.
    pub async fn write(&self, record: Record) -> Result<(), Unwritable> {
        match &self.0 {
            Mode::Kept(records) => {
                let mut records = records.lock().unwrap_or_else(PoisonError::into_inner);
                if records.len() >= AUDIT_QUEUE {
                    return Err(Unwritable);
                }
                records.push(record);
                Ok(())
            }
            Mode::Written(queues) => queues.write(record).await,
        }
    }

    /// Opens the log file anew: after somebody else has moved it.
    pub fn reopen(&self) {
        match &self.0 {
            Mode::Kept(_) => {}
            Mode::Written(queues) => {
                queues.standing.reopen.store(true, Ordering::Release);
                // Only wakes the writer; one whose queue is full is awake.
                let _ = queues.jobs.try_send(Job::Wake);
            }
        }
    }

    /// How the log is: for `/readyz`.
    #[must_use]
    pub fn health(&self) -> Condition {
        match &self.0 {
            Mode::Kept(_) => Condition::Good,
            Mode::Written(queues) => queues.standing.condition(queues.on_failure),
        }
    }

    /// Waits until what was queued before is written or lost.
    pub async fn flush(&self) {
        match &self.0 {
            Mode::Kept(_) => {}
            Mode::Written(queues) => {
                if tokio::time::timeout(queues.waits.flush, queues.flush()).await.is_err() {
                    tracing::error!("the pull log takes nothing: what is queued may be lost");
                }
            }
        }
    }
}

impl Queues {
    async fn write(&self, record: Record) -> Result<(), Unwritable> {
        let record = Box::new(record);
        match self.on_failure {
            OnFailure::Count => {
                if self.jobs.try_send(Job::Write(record, None)).is_err() {
                    self.standing.lose(1);
                }
                Ok(())
            }
            OnFailure::Refuse => {
                let (done, written) = oneshot::channel();
                let written = async {
                    self.jobs.send(Job::Write(record, Some(done))).await.map_err(|_| Unwritable)?;
                    written.await.map_err(|_| Unwritable)?
                };
                // What times out may still be written: it is not counted as lost, the pull is refused.
                tokio::time::timeout(self.waits.record, written).await.unwrap_or(Err(Unwritable))
            }
        }
    }

    /// The log first: it hands its rows on before it answers.
    async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
        let (done, flushed) = oneshot::channel();
        if self.rows.send(RowJob::Flush(done)).await.is_ok() {
            let _ = flushed.await;
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}
