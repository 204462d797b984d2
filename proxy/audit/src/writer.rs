//! The one thread that writes the log. A thread, because a pipe without a reader must delay neither pulls nor the end of the
//! process.

use std::io;
use std::mem;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use crate::chain::Chain;
use crate::database::{Row, RowJob};
use crate::fault::Unwritable;
use crate::log::Log;
use crate::record::Record;
use crate::status::{Counts, Status};
use pullgate_config::OnFailure;

/// Jobs that are taken together, and brought to the disk by one call.
const BATCH: usize = 128;
/// How long the first of them waits for others where no pull waits for it: a thread that is woken for each record costs
/// the pull more than the record does.
const GATHER: Duration = Duration::from_millis(1);

/// Where the outcome for a record is sent.
type Answer = oneshot::Sender<Result<(), Unwritable>>;

/// What the thread is told.
pub(super) enum Job {
    Flush(oneshot::Sender<()>),
    Wake,
    Write(Box<Record>, Option<Answer>),
}

pub(super) struct Writer {
    pub(super) log: Log,
    pub(super) rows: mpsc::Sender<RowJob>,
    pub(super) on_failure: OnFailure,
    pub(super) standing: Arc<Status>,
    /// The number of the last record, where records are numbered.
    pub(super) sequence: Option<u64>,
    /// The gate, which each of them names.
    pub(super) gate: Arc<str>,
    /// The end of their chain.
    pub(super) chain: Option<Chain>,
    /// Whether a row that is not handed on can be made good from its line.
    pub(super) rows_from: RowsFrom,
}

/// Where a row comes from that was not handed on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum RowsFrom {
    /// From its line.
    Lines,
    /// From nowhere.
    Nowhere,
}

impl Writer {
    /// Starts the thread; it ends with the last handle.
    pub(super) fn start(self, name: &str, queue: mpsc::Receiver<Job>) -> io::Result<()> {
        thread::Builder::new().name(name.to_owned()).spawn(move || self.run(queue)).map(drop)
    }

    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = Batch::default();
            if matches!(first, Job::Write(_, None)) {
                thread::sleep(GATHER);
            }
            self.take(first, &mut batch);
            while batch.jobs < BATCH
                && let Ok(next) = queue.try_recv()
            {
                self.take(next, &mut batch);
            }
            self.end(batch);
        }
    }

    fn take(&mut self, job: Job, batch: &mut Batch) {
        batch.jobs += 1;
        match job {
            Job::Flush(done) => batch.flushed.push(done),
            Job::Wake => {}
            Job::Write(record, answer) => self.append(*record, answer, batch),
        }
    }

    fn append(&mut self, mut record: Record, answer: Option<Answer>, batch: &mut Batch) {
        let Counts { lost, unnumbered } = self.standing.tell();
        record.lost = lost;
        if let Some(sequence) = &mut self.sequence {
            *sequence = sequence.saturating_add(unnumbered).saturating_add(1);
            record.sequence = *sequence;
        }
        self.gate.as_ref().clone_into(&mut record.gate);
        if let Some(chain) = &self.chain {
            chain.bind(&mut record);
        }
        let (sequence, lost) = (record.sequence, record.lost);
        let entry = Entry { lost, row: Row::new(record), answer };
        if let Some(chain) = &mut self.chain {
            chain.advance(sequence, entry.row.line());
        }
        batch.lines.push_str(entry.row.line());
        batch.lines.push('\n');
        batch.entries.push(entry);
    }

    /// Appends all lines at once; where that fails, one after the other, so that those that fit are kept.
    fn write(&mut self, batch: &mut Batch) -> Vec<Entry> {
        let entries = mem::take(&mut batch.entries);
        if self.log.append(&batch.lines).is_ok() {
            return entries;
        }
        let mut written = Vec::with_capacity(entries.len());
        for entry in entries {
            match self.log.append(&format!("{}\n", entry.row.line())) {
                Ok(()) => written.push(entry),
                Err(error) => self.lose_all(&error, vec![entry]),
            }
        }
        written
    }

    /// Nothing is answered before its line is on the disk, where pulls wait for that.
    fn end(&mut self, mut batch: Batch) {
        if self.standing.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        let written = match self.look() {
            Ok(()) if batch.entries.is_empty() => Vec::new(),
            Ok(()) => self.write(&mut batch),
            Err(error) => {
                self.lose_all(&error, mem::take(&mut batch.entries));
                Vec::new()
            }
        };
        let kept = match self.on_failure {
            OnFailure::Count => Ok(()),
            OnFailure::Refuse if written.is_empty() => Ok(()),
            OnFailure::Refuse => self.log.sync(),
        };
        match kept {
            Ok(()) if written.is_empty() => {}
            Ok(()) => self.standing.log_works(),
            Err(_) => {}
        }
        for entry in written {
            match &kept {
                Ok(()) => {
                    tell(entry.answer, Ok(()));
                    self.hand_on(entry.row);
                }
                Err(error) => self.lose(error, entry),
            }
        }
        for done in batch.flushed {
            let _ = done.send(());
        }
    }

    /// Lines that would go to a file without a name are not written.
    fn look(&mut self) -> io::Result<()> {
        match self.log.look() {
            Ok(None) => Ok(()),
            Ok(Some(happened)) => {
                self.standing.log_happened(happened);
                self.standing.log_works();
                Ok(())
            }
            Err(error) => {
                self.standing.log_fails(&error.to_string());
                Err(error)
            }
        }
    }

    fn lose_all(&self, error: &io::Error, entries: Vec<Entry>) {
        for entry in entries {
            // The lost count that this record reported is restored.
            self.standing.untold(entry.lost);
            self.lose(error, entry);
        }
    }

    /// A record that the log does not take is still a row, unless its pull is refused because of that.
    fn lose(&self, error: &io::Error, entry: Entry) {
        self.standing.lose_numbered(1);
        self.standing.log_fails(&error.to_string());
        match self.on_failure {
            OnFailure::Count => self.hand_on(entry.row),
            OnFailure::Refuse => self.standing.lose_rows(1),
        }
        tell(entry.answer, Err(Unwritable));
    }

    /// A database that is behind must not hold up the log. Once one row is left to its line, all are until those lines
    /// were read: a row that came in between would hide the gap.
    fn hand_on(&self, row: Row) {
        if self.standing.is_behind() {
            if self.standing.database_is_failing() {
                self.standing.lose_rows(1);
            }
            return;
        }
        if self.rows.try_send(RowJob::Keep(Box::new(row))).is_err() {
            match self.rows_from {
                RowsFrom::Lines => self.standing.fall_behind(),
                RowsFrom::Nowhere => self.standing.lose_rows(1),
            }
        }
    }

    fn reopen(&mut self) {
        if let Err(error) = self.log.reopen() {
            tracing::error!(%error, "the pull log cannot be opened anew; the old file is written on");
        }
    }
}

/// What was taken together.
#[derive(Default)]
struct Batch {
    jobs: usize,
    /// The lines of all entries, each with its end.
    lines: String,
    entries: Vec<Entry>,
    flushed: Vec<oneshot::Sender<()>>,
}

/// A record on its way.
struct Entry {
    row: Row,
    /// Lost records that it reports.
    lost: u64,
    answer: Option<Answer>,
}

fn tell(answer: Option<Answer>, result: Result<(), Unwritable>) {
    if let Some(answer) = answer {
        // A pull that no longer waits has been refused.
        let _ = answer.send(result);
    }
}
