//! The pull log: one JSON line and one row for each answer about a manifest and each refused blob. Fields are documented in
//! `proxy/README.md`; their schema is `proxy/schema/audit.schema.json`.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::metrics::Metrics;

mod database;
mod record;
mod writer;

pub use record::{Client, Kind, Reason, Record, Word};

use writer::Writer;

/// Names one answer: 128 random bits in hex (A528).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DecisionId(String);

impl DecisionId {
    /// A new one.
    #[must_use]
    pub fn random() -> Self {
        let mut bytes = [0; 16];
        // Without randomness ids repeat and nothing else breaks: they are names, not secrets.
        let _ = aws_lc_rs::rand::fill(&mut bytes);
        Self(hex::encode(bytes))
    }

    /// The first 12 digits, which people are shown.
    #[must_use]
    pub fn short(&self) -> &str {
        self.0.get(..12).unwrap_or(&self.0)
    }

    /// All of it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// How the pull log is kept.
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the lines go.
    pub log: LogTarget,
    /// How long rows stay.
    pub retain: Duration,
    /// What a log that cannot be written does to pulls.
    pub on_failure: OnFailure,
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
    /// Pulls are undecided.
    Refuse,
}

/// The log cannot be opened.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be opened for writing", path.display())]
pub struct StartError {
    /// The file.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// The record could not be written, and pulls wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record cannot be written")]
pub struct Unwritable;

/// What the writing task is told.
enum Job {
    Flush(oneshot::Sender<()>),
    Reopen,
    Write(Box<Record>, Option<oneshot::Sender<bool>>),
}

/// The pull log of a gate.
pub struct Audit {
    jobs: mpsc::Sender<Job>,
    on_failure: OnFailure,
    lost: Arc<AtomicU64>,
    metrics: Metrics,
}

/// How long a pull waits for its record where it must be written first.
const WAIT: Duration = Duration::from_secs(2);

impl Audit {
    /// Opens the log and its database, and starts the one task that writes both.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(settings: Settings, database: &Path, metrics: Metrics) -> Result<Self, StartError> {
        let lost = Arc::new(AtomicU64::new(0));
        let database = database::Database::open(database, settings.retain).await;
        let writer = Writer::open(settings.log, database, Arc::clone(&lost), metrics.clone())?;
        let (jobs, queue) = mpsc::channel(pullgate_policy::limits::AUDIT_QUEUE);
        tokio::spawn(writer.run(queue));
        Ok(Self { jobs, on_failure: settings.on_failure, lost, metrics })
    }

    /// Writes a record: at once and waited for where pulls depend on it, else in its turn.
    ///
    /// # Errors
    /// [`Unwritable`], under [`OnFailure::Refuse`] only.
    pub async fn write(&self, record: Record) -> Result<(), Unwritable> {
        match self.on_failure {
            OnFailure::Count => {
                if self.jobs.try_send(Job::Write(Box::new(record), None)).is_err() {
                    self.lost.fetch_add(1, Ordering::Relaxed);
                    self.metrics.audit_lost(1);
                }
                Ok(())
            }
            OnFailure::Refuse => {
                let (done, written) = oneshot::channel();
                let job = Job::Write(Box::new(record), Some(done));
                let written = async {
                    self.jobs.send(job).await.map_err(|_| Unwritable)?;
                    written.await.map_err(|_| Unwritable)
                };
                match tokio::time::timeout(WAIT, written).await {
                    Ok(Ok(true)) => Ok(()),
                    Ok(Ok(false) | Err(Unwritable)) | Err(_) => Err(Unwritable),
                }
            }
        }
    }

    /// Opens the log file anew: after somebody else has moved it.
    pub fn reopen(&self) {
        // A queue that is full has other troubles, and the next SIGHUP comes.
        let _ = self.jobs.try_send(Job::Reopen);
    }

    /// Waits until what was queued before is written.
    pub async fn flush(&self) {
        let (done, flushed) = oneshot::channel();
        if self.jobs.send(Job::Flush(done)).await.is_ok() {
            let _ = tokio::time::timeout(Duration::from_secs(5), flushed).await;
        }
    }
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

#[cfg(test)]
mod tests;
