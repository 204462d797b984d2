//! The pull log as a table, for questions that come later. It is never dropped silently: what it does not take is counted,
//! and made good from the lines where those are in a file; a corrupt file is moved aside and kept.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use crate::fault::StartError;
use crate::hash::{self, Hash};
use crate::note::Head;
use crate::status::Status;
use pullgate_store::clock::Clock;
use pullgate_store::sqlite::{OpenFault, Sqlite, Strange};

mod carry_over;
mod catch_up;
mod file;
mod horizon;
mod import;
mod insert;
mod left;
mod retention;
mod rows;

pub use self::import::{ImportError, Imported, import};
pub(super) use self::retention::Bounds;
pub(super) use self::rows::Row;

use self::catch_up::Source;
use self::file::{Found, Opened};
use self::retention::{Done, Retention};
use self::rows::Known;

/// `full`: a record that was acknowledged survives the loss of power, at one sync for a batch.
const PRAGMAS: &str = "pragma journal_mode = wal; pragma synchronous = full; \
    pragma trusted_schema = off;";
/// How long a lock of another program is waited for. No pull waits for a row.
const LOCK_WAIT: Duration = Duration::from_secs(2);
/// How long a connection is waited for.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Rows of one transaction.
const ROWS: usize = 1_000;
/// How long the first of them waits for others.
const GATHER: Duration = Duration::from_millis(20);
/// How often the file is looked after when nothing comes.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// How long nothing is tried after the file could not be opened.
const REST: Duration = Duration::from_secs(30);
/// How long rows are not made good after one could not be written.
const PAUSE: Duration = Duration::from_secs(1);

/// What the task is told.
#[derive(Debug)]
pub(super) enum RowJob {
    Flush(oneshot::Sender<()>),
    Keep(Box<Row>),
}

/// What a database is kept by.
pub(super) struct Keeping {
    pub(super) bounds: Arc<Bounds>,
    pub(super) clock: Clock,
    pub(super) pulls: Arc<Status>,
    pub(super) strangers: Arc<Status>,
    /// The file of the lines, from which rows are made good, if there is one.
    pub(super) lines: Option<PathBuf>,
}

pub(super) struct Database {
    sqlite: Sqlite,
    pulls: Arc<Status>,
    strangers: Arc<Status>,
    retention: Retention,
    opened: Option<Opened>,
    tried: Instant,
    lines: Option<PathBuf>,
    /// The number of the newest row.
    kept: u64,
    /// The hash of the line of the newest row, when it was opened.
    head: Hash,
    /// The number of the newest row that was put into the file that is open.
    put: u64,
    /// The last row of a transaction that failed, and may have been committed all the same: its number and its id.
    doubtful: Option<(u64, String)>,
    known: Known,
    source: Source,
    /// When a row could not be written last.
    failed: Option<Instant>,
}

/// What came together.
#[derive(Default)]
struct Batch {
    flushed: Vec<oneshot::Sender<()>>,
    pulls: Vec<Row>,
    strangers: Vec<Row>,
}

impl Database {
    /// Opens or makes the file.
    ///
    /// # Errors
    /// [`StartError::Newer`].
    pub(super) async fn open(file: &Path, keeping: Keeping) -> Result<Self, StartError> {
        let Keeping { bounds, clock, pulls, strangers, lines } = keeping;
        let sqlite = sqlite(file);
        let retention = Retention::new(bounds, clock, Arc::clone(&pulls));
        let tried = Instant::now();
        let mut database = Self {
            sqlite,
            pulls,
            strangers,
            retention,
            opened: None,
            tried,
            lines,
            kept: 0,
            head: Hash::default(),
            put: 0,
            doubtful: None,
            known: Known::default(),
            source: Source::Queue,
            failed: None,
        };
        match database.connect().await {
            Err(OpenFault::Newer(version)) => Err(StartError::Newer { path: file.to_owned(), version }),
            Ok(()) | Err(OpenFault::Unusable(_)) => Ok(database),
        }
    }

    /// The number of the newest row, and the hash of its line.
    pub(super) fn newest(&self) -> Head {
        Head { sequence: self.kept, hash: self.head }
    }

    /// Keeps rows until every handle is gone.
    pub(super) async fn run(
        mut self,
        mut pulls: mpsc::Receiver<RowJob>,
        mut strangers: mpsc::Receiver<RowJob>,
    ) {
        let (mut jobs, mut of_strangers) = (Vec::with_capacity(ROWS), Vec::new());
        let (mut wait, mut strangers_ended) = (Duration::ZERO, false);
        loop {
            tokio::select! {
                biased;
                received = pulls.recv_many(&mut jobs, ROWS) => if received == 0 { return },
                received = strangers.recv_many(&mut of_strangers, ROWS), if !strangers_ended => {
                    strangers_ended = received == 0;
                }
                () = tokio::time::sleep(wait) => {}
            }
            if !jobs.is_empty() && jobs.len() < ROWS {
                // One transaction for what comes together costs less than one for each.
                tokio::time::sleep(GATHER).await;
            }
            gather(&mut pulls, &mut jobs);
            gather(&mut strangers, &mut of_strangers);
            let mut batch = Batch::default();
            batch.pulls = batch.take(&mut jobs);
            batch.strangers = batch.take(&mut of_strangers);
            wait = match self.work(&batch).await {
                Done::All if self.pulls.database_is_failing() => PAUSE,
                Done::All => LOOK_EVERY,
                Done::Part => Duration::ZERO,
            };
            for done in batch.flushed {
                let _ = done.send(());
            }
        }
    }

    async fn work(&mut self, batch: &Batch) -> Done {
        self.look_after().await;
        if !batch.pulls.is_empty() || !batch.strangers.is_empty() {
            self.keep(batch).await;
        } else if self.pulls.database_is_failing() && self.lines.is_none() {
            self.probe().await;
        }
        let carried = self.carry_over().await;
        let mut made = self.make_good().await;
        while !batch.flushed.is_empty() && made == Done::Part {
            made = self.make_good().await;
        }
        let retained = match &self.opened {
            Some(opened) if !self.pulls.database_is_failing() => self.retention.look(&opened.pool).await,
            Some(_) | None => Ok(Done::All),
        };
        if let Some(opened) = &mut self.opened {
            opened.note(&self.sqlite.file).await;
        }
        match retained {
            Ok(Done::All) if carried == Done::All => made,
            Ok(Done::All | Done::Part) => Done::Part,
            Err(error) => {
                tracing::warn!(%error, "audit records that are too old or too many are not deleted");
                made
            }
        }
    }

    async fn connect(&mut self) -> Result<(), OpenFault> {
        self.tried = Instant::now();
        self.retention.begin();
        let opened = self.reopened().await;
        match opened {
            Ok((opened, newest)) => {
                (self.opened, self.put, self.doubtful) = (Some(opened), 0, None);
                (self.kept, self.head) = (newest.sequence, newest.hash);
                self.known.forget();
                Ok(())
            }
            Err(fault) => {
                self.fails(Some(fault.to_string()));
                Err(fault)
            }
        }
    }

    async fn reopened(&self) -> Result<(Opened, Head), OpenFault> {
        self.sqlite.prepare().await?;
        let pool = self.sqlite.pool(1, ACQUIRE)?;
        let unusable = |error: sqlx::Error| OpenFault::Unusable(error.to_string());
        // The newest of them tell with which number records go on.
        carry_over::step(&pool).await.map_err(unusable)?;
        let newest = rows::newest(&pool).await.map_err(unusable)?;
        let none = Head { sequence: 0, hash: Hash::default() };
        let head = newest
            .map_or(none, |row| Head { sequence: row.sequence, hash: hash::hash(row.line().as_bytes()) });
        Ok((Opened::new(&self.sqlite.file, pool).await, head))
    }

    /// Opens what was not open, and notices that the file under the name is another one, or was written over (A606).
    async fn look_after(&mut self) {
        match self.opened.as_mut().map(|opened| opened.look(&self.sqlite.file)) {
            Some(Found::There) => {}
            Some(found @ (Found::Gone | Found::Overwritten)) => self.vanished(found).await,
            None if self.tried.elapsed() >= REST => {
                // It says what is wrong, if anything still is.
                let _ = self.connect().await;
            }
            None => {}
        }
    }

    async fn vanished(&mut self, found: Found) {
        let Some(opened) = self.opened.take() else { return };
        let (rows, kept) = (opened.rows_before(found).await, self.kept);
        opened.leave(&self.sqlite.file, found).await;
        let connected = self.connect().await;
        let there = match (&connected, &self.opened) {
            (Ok(()), Some(opened)) if self.is_own(opened, kept).await => {
                rows::count(&opened.pool).await.unwrap_or_default()
            }
            (Ok(()) | Err(_), _) => {
                // The numbers of another gate say nothing of the lines of this one.
                self.kept = 0;
                0
            }
        };
        self.pulls.database_vanished(rows.saturating_sub(there));
        self.go_on_from_lines();
    }

    /// Whether what is there now is an older copy of what was: its newest row has a line, and no number that was not
    /// given yet.
    async fn is_own(&self, opened: &Opened, kept: u64) -> bool {
        let Ok(Some(newest)) = rows::newest(&opened.pool).await else { return true };
        match &self.lines {
            Some(path) if newest.sequence <= kept => {
                let path = path.clone();
                let line = tokio::task::spawn_blocking(move || catch_up::line_of(&path, newest.sequence));
                // One that is no longer in the log says neither.
                line.await.ok().flatten().is_none_or(|line| line.id == newest.id)
            }
            Some(_) | None => newest.sequence <= kept,
        }
    }

    async fn keep(&mut self, batch: &Batch) {
        let pulls = match self.source {
            Source::Queue => batch.pulls.as_slice(),
            Source::Lines(_) => &[],
        };
        if self.pulls.database_is_failing() {
            self.pulls.lose_rows((batch.pulls.len() - pulls.len()) as u64);
        }
        if pulls.is_empty() && batch.strangers.is_empty() {
            return;
        }
        match self.insert(pulls, &batch.strangers).await {
            Ok(()) => {
                self.works(pulls);
                self.look_again(batch).await;
            }
            Err(why) => {
                self.pulls.lose_rows(pulls.len() as u64);
                self.strangers.lose_rows(batch.strangers.len() as u64);
                self.fails(why);
            }
        }
    }

    /// What was written to a file that vanished meanwhile is written once more.
    async fn look_again(&mut self, batch: &Batch) {
        if self.opened.as_mut().is_none_or(|opened| opened.is_there(&self.sqlite.file)) {
            return;
        }
        self.vanished(Found::Gone).await;
        let pulls = if self.lines.is_some() { &[] } else { batch.pulls.as_slice() };
        if let Err(why) = self.insert(pulls, &batch.strangers).await {
            self.fails(why);
        }
    }

    fn works(&mut self, rows: &[Row]) {
        self.put = rows.iter().map(|row| row.sequence).max().unwrap_or_default().max(self.put);
        self.kept = self.put.max(self.kept);
        self.failed = None;
        self.pulls.database_works();
    }

    fn fails(&mut self, news: Option<String>) {
        if let Some(why) = news {
            self.pulls.database_fails(&why);
        }
        self.failed = Some(Instant::now());
        self.go_on_from_lines();
    }

    fn go_on_from_lines(&mut self) {
        if self.lines.is_some() {
            self.pulls.fall_behind();
            self.source = Source::Lines(None);
        }
    }

    /// Nobody may pull meanwhile: the gate finds out by itself that it is over.
    async fn probe(&mut self) {
        let Some(opened) = &self.opened else { return };
        match rows::probe(&opened.pool).await {
            Ok(()) => self.works(&[]),
            Err(error) => self.fails(Some(error.to_string())),
        }
    }
}

fn sqlite(file: &Path) -> Sqlite {
    Sqlite {
        file: file.to_owned(),
        pragmas: PRAGMAS,
        lock_wait: LOCK_WAIT,
        schema: &[
            ("audit", include_str!("migrations/0001_audit.sql")),
            ("refused", include_str!("migrations/0002_refused.sql")),
            ("what", include_str!("migrations/0003_what.sql")),
        ],
        strange: Strange::StaysThere,
    }
}

fn gather(queue: &mut mpsc::Receiver<RowJob>, jobs: &mut Vec<RowJob>) {
    while jobs.len() < ROWS
        && let Ok(job) = queue.try_recv()
    {
        jobs.push(job);
    }
}

impl Batch {
    /// The rows of jobs; who waits for them is told later.
    fn take(&mut self, jobs: &mut Vec<RowJob>) -> Vec<Row> {
        let mut rows = Vec::with_capacity(jobs.len());
        for job in jobs.drain(..) {
            match job {
                RowJob::Flush(done) => self.flushed.push(done),
                RowJob::Keep(row) => rows.push(*row),
            }
        }
        rows
    }
}
