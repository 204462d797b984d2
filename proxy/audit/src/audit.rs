//! The log as a gate holds it: what is written, by whom, and how it is.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::{AUDIT_QUEUE, AUDIT_REFUSALS_QUEUE};
use pullgate_config::{AuditLog, OnFailure};
use tokio::sync::mpsc;

use pullgate_store::Condition;
use pullgate_store::clock::Clock;

use crate::chain::Chain;
use crate::counters::Counters;
use crate::database::{Bounds, Database, Keeping};
use crate::fault::{StartError, Unwritable};
use crate::key::{LogKey, host};
use crate::lines::End;
use crate::log::{Log, Rotation};
use crate::queues::{Queue, Queues};
use crate::record::Record;
use crate::status::{Status, Whose};
use crate::tally::{Budget, Tally};
use crate::waits::Waits;
use crate::writer::{RowsFrom, Writer};

mod start;

use self::start::Start;

/// What the pull log takes from the gate around it.
#[derive(Debug, Clone)]
pub struct Around {
    /// How long a record, and what is queued, is waited for.
    pub waits: Waits,
    /// The gate's clock.
    pub clock: Clock,
    /// What is counted.
    pub counters: Counters,
}

/// What a refusal is to the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// The request was refused before any upstream was asked: whoever reaches the port can send such by the thousand (A606).
    Unasked,
    /// A policy governs the repository, or nothing is known of it that would make it a stranger's.
    Governed,
}

/// The pull log of a gate.
pub struct Audit(Mode);

enum Mode {
    Kept(Mutex<Vec<Record>>),
    Written(Written),
}

struct Written {
    queues: Arc<Queues>,
    bounds: Arc<Bounds>,
    /// The key by which heads are signed, if there is one.
    key: Option<Arc<LogKey>>,
    database: PathBuf,
}

impl Audit {
    /// Opens the log and its database, and starts what writes them. A corrupt database is moved aside and kept; without a
    /// database that can be used the log goes on in lines alone, loudly. What a kill lost is counted, and rows that are
    /// missing are made good from their lines.
    ///
    /// # Errors
    /// [`StartError`].
    pub async fn start(
        settings: pullgate_config::Audit,
        database: &Path,
        around: Around,
    ) -> Result<Self, StartError> {
        let pullgate_config::Audit { log: target, retain, retain_max, on_failure, gate, key_file } = settings;
        let Around { waits, clock, counters } = around;
        let bounds = Arc::new(Bounds::new(retain, retain_max));
        let pulls = Arc::new(Status::new(Whose::Pulls, counters.clone()));
        let strangers = Arc::new(Status::new(Whose::Strangers, counters));
        let gate: Arc<str> = gate.unwrap_or_else(host).into();
        let key_file = key_file.unwrap_or_else(|| database.with_file_name(LogKey::FILE));
        let key = start::log_key(&key_file, &gate)?;
        let (log, end) = open(target.clone(), Rotation::PULLS)?;
        let refused = refusals(&target, &strangers);
        let keeping = Keeping {
            bounds: Arc::clone(&bounds),
            clock: clock.clone(),
            pulls: Arc::clone(&pulls),
            strangers: Arc::clone(&strangers),
            lines: log.file(),
        };
        let rows = Database::open(database, keeping).await?;
        let start = Start { end, newest: rows.newest(), lines: log.file().is_some() };
        let chain = Some(Chain::new(start.behind(&rows, key.as_deref(), database).await, key.clone()));
        let (taken, sequence) = start.count(on_failure, &database.with_file_name("audit.taken"), &pulls);
        let (strangers_rows, strangers_row_jobs) = mpsc::channel(AUDIT_REFUSALS_QUEUE);
        let (pull_rows, pull_row_jobs) = mpsc::channel(AUDIT_QUEUE);
        tokio::spawn(rows.run(pull_row_jobs, strangers_row_jobs));
        let rows_from = if log.file().is_some() { RowsFrom::Lines } else { RowsFrom::Nowhere };
        let writer = Writer {
            log,
            rows: pull_rows,
            on_failure,
            standing: pulls,
            sequence: Some(sequence),
            rows_from,
            chain,
            gate: Arc::clone(&gate),
        };
        let pulls = queue(writer, "audit", AUDIT_QUEUE, Budget::GOVERNED)?;
        let writer = Writer {
            log: refused,
            rows: strangers_rows,
            on_failure: OnFailure::Count,
            standing: strangers,
            sequence: None,
            rows_from: RowsFrom::Nowhere,
            chain: None,
            gate,
        };
        let strangers = queue(writer, "audit-refused", AUDIT_REFUSALS_QUEUE, Budget::STRANGERS)?;
        let queues = Arc::new(Queues {
            pulls,
            strangers,
            missing: Tally::new(Budget::MISSING),
            on_failure,
            waits,
            clock,
            taken,
            unsigned: AtomicU64::new(0),
        });
        tokio::spawn(Queues::look_after(Arc::downgrade(&queues)));
        let database = database.to_owned();
        Ok(Self(Mode::Written(Written { queues, bounds, key, database })))
    }

    /// Signs the head that was found, or that the log begins, and writes the first record behind it: before a gate serves.
    pub async fn begin(&self, record: Record) {
        if let Mode::Written(Written { queues, .. }) = &self.0 {
            queues.sign_anyway().await;
        }
        // A start is no pull: one that cannot be recorded is counted by the log itself.
        let _ = self.write(record).await;
    }

    /// Puts the public key beside the database, once the first record is kept: where the key lies there was a log already.
    /// It holds nothing of the gate but the log.
    pub fn publish_key(&self) -> impl Future<Output = ()> + use<> {
        let parts = match &self.0 {
            Mode::Written(Written { queues, key: Some(key), database, .. }) => {
                Some((Arc::clone(queues), Arc::clone(key), database.clone()))
            }
            Mode::Kept(_) | Mode::Written(_) => None,
        };
        async move {
            let Some((queues, key, database)) = parts else { return };
            flushed(&queues).await;
            if let Err(error) = key.public().publish(&database) {
                tracing::warn!(%error, "the public key of the log cannot be put beside its database");
            }
        }
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
            Mode::Kept(records) => records.lock().clone(),
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
            Mode::Kept(records) => keep(records, record),
            Mode::Written(written) => written.queues.write(record).await,
        }
    }

    /// Writes the record of a refusal. It never takes the room of records of what is served (A606): where there are too
    /// many they are summed up.
    ///
    /// # Errors
    /// [`Unwritable`], under [`OnFailure::Refuse`] only, and never of what a stranger causes.
    pub async fn write_refusal(&self, refused: Refused, record: Record) -> Result<(), Unwritable> {
        match (&self.0, refused) {
            (Mode::Kept(records), Refused::Unasked | Refused::Governed) => keep(records, record),
            (Mode::Written(written), Refused::Governed) => written.queues.denied(record).await,
            (Mode::Written(written), Refused::Unasked) => {
                written.queues.refused(record);
                Ok(())
            }
        }
    }

    /// Puts other bounds on the rows.
    pub fn retain(&self, retain: Duration, retain_max: Option<u64>) {
        match &self.0 {
            Mode::Kept(_) => {}
            Mode::Written(written) => written.bounds.set(retain, retain_max),
        }
    }

    /// Opens the log files anew: after somebody else has moved them.
    pub fn reopen(&self) {
        match &self.0 {
            Mode::Kept(_) => {}
            Mode::Written(Written { queues, .. }) => {
                for queue in [&queues.pulls, &queues.strangers] {
                    queue.standing.reopen.store(true, Ordering::Release);
                }
                queues.wake();
            }
        }
    }

    /// How the log is: for `/readyz`.
    #[must_use]
    pub fn health(&self) -> Condition {
        match &self.0 {
            Mode::Kept(_) => Condition::Good,
            Mode::Written(Written { queues, .. }) => match queues.pulls.standing.condition(queues.on_failure)
            {
                // That of strangers is a mark at most: nobody's pull rests on it.
                Condition::Good => queues.strangers.standing.condition(OnFailure::Count),
                worse => worse,
            },
        }
    }

    /// Whether rows stay as long as `retain` says: for `/readyz`.
    #[must_use]
    pub fn retention(&self) -> Condition {
        match &self.0 {
            Mode::Kept(_) => Condition::Good,
            Mode::Written(written) => written.queues.pulls.standing.retention(),
        }
    }

    /// Writes the last record and signs the head, then waits for both.
    pub async fn end(&self, record: Record) {
        // Counted where it cannot be kept.
        let _ = self.write(record).await;
        if let Mode::Written(Written { queues, .. }) = &self.0 {
            queues.sign().await;
        }
        self.flush().await;
    }

    /// Waits until what was queued before is written or lost.
    pub async fn flush(&self) {
        match &self.0 {
            Mode::Kept(_) => {}
            Mode::Written(Written { queues, .. }) => flushed(queues).await,
        }
    }
}

async fn flushed(queues: &Queues) {
    if tokio::time::timeout(queues.waits.flush, queues.flush()).await.is_err() {
        tracing::error!("the pull log takes nothing: what is queued may be lost");
    }
}

/// Where the lines of strangers go: to a file beside, whose rotation is its own; where lines are not kept in a file, to the
/// same place.
fn of_strangers(target: &AuditLog) -> AuditLog {
    match target {
        AuditLog::File(path) if std::fs::metadata(path).is_ok_and(|file| file.is_file()) => {
            let mut name = path.as_os_str().to_owned();
            name.push(".refused");
            AuditLog::File(name.into())
        }
        AuditLog::File(path) => AuditLog::File(path.clone()),
        AuditLog::Stdout => AuditLog::Stdout,
    }
}

fn open(target: AuditLog, rotation: Rotation) -> Result<(Log, End), StartError> {
    let path = match &target {
        AuditLog::File(path) => path.clone(),
        AuditLog::Stdout => PathBuf::from("standard output"),
    };
    Log::open(target, rotation).map_err(|source| StartError::Log { path, source })
}

/// The log of strangers. Without it their records are rows alone: no reason not to start.
fn refusals(target: &AuditLog, standing: &Status) -> Log {
    match Log::open(of_strangers(target), Rotation::STRANGERS) {
        Ok((log, end)) => {
            standing.lose_numbered(end.torn);
            log
        }
        Err(error) => {
            tracing::warn!(%error, "the log of requests that are refused unasked cannot be opened: their records are rows alone");
            Log::nowhere()
        }
    }
}

fn queue(writer: Writer, name: &str, room: usize, budget: Budget) -> Result<Queue, StartError> {
    let (rows, standing) = (writer.rows.clone(), Arc::clone(&writer.standing));
    let (jobs, queue) = mpsc::channel(room);
    writer.start(name, queue).map_err(StartError::Thread)?;
    Ok(Queue { jobs, rows, standing, tally: Tally::new(budget) })
}

fn keep(records: &Mutex<Vec<Record>>, record: Record) -> Result<(), Unwritable> {
    let mut records = records.lock();
    if records.len() >= AUDIT_QUEUE {
        return Err(Unwritable);
    }
    records.push(record);
    Ok(())
}

impl fmt::Debug for Audit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Audit")
    }
}

#[cfg(test)]
mod tests;
