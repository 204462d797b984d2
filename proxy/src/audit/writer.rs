//! The one thread that writes the log. A thread, because a pipe that nobody reads must hold up neither pulls nor the end
//! of the process.

use std::io;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::database::{Row, RowJob};
use super::log::Log;
use super::standing::Standing;
use super::{OnFailure, Record, Unwritable};

/// Jobs that are taken together, and brought to the disk by one call.
const BATCH: usize = 128;

/// Who is told what became of a record.
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
    pub(super) standing: Arc<Standing>,
}

impl Writer {
    /// Starts the thread; it ends with the last handle.
    pub(super) fn start(self, queue: mpsc::Receiver<Job>) -> io::Result<()> {
        thread::Builder::new().name("audit".to_owned()).spawn(move || self.run(queue)).map(drop)
    }

    fn run(mut self, mut queue: mpsc::Receiver<Job>) {
        while let Some(first) = queue.blocking_recv() {
            let mut batch = Batch::default();
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
        if self.standing.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        record.lost = self.standing.lost();
        let line = record.line();
        let row = Row::new(&record, line);
        match self.log.append(row.line()) {
            Ok(()) => {
                self.standing.told(record.lost);
                batch.written.push((row, answer));
            }
            Err(error) => self.lose(&error, row, answer),
        }
    }

    /// Nothing is answered before its line is on the disk, where pulls wait for that.
    fn end(&mut self, batch: Batch) {
        if self.standing.reopen.swap(false, Ordering::AcqRel) {
            self.reopen();
        }
        let kept = match self.on_failure {
            OnFailure::Count => Ok(()),
            OnFailure::Refuse if batch.written.is_empty() => Ok(()),
            OnFailure::Refuse => self.log.sync(),
        };
        match kept {
            Ok(()) if batch.written.is_empty() => {}
            Ok(()) => self.standing.log_works(),
            Err(_) => {}
        }
        for (row, answer) in batch.written {
            match &kept {
                Ok(()) => {
                    tell(answer, Ok(()));
                    self.hand_on(row);
                }
                Err(error) => self.lose(error, row, answer),
            }
        }
        for done in batch.flushed {
            let _ = done.send(());
        }
    }

    /// What the log does not take is still a row, unless its pull is refused for it.
    fn lose(&self, error: &io::Error, row: Row, answer: Option<Answer>) {
        self.standing.lose(1);
        self.standing.log_fails(&error.to_string());
        match self.on_failure {
            OnFailure::Count => self.hand_on(row),
            OnFailure::Refuse => self.standing.lose_rows(1),
        }
        tell(answer, Err(Unwritable));
    }

    /// A database that is behind must not hold up the log.
    fn hand_on(&self, row: Row) {
        if self.rows.try_send(RowJob::Keep(Box::new(row))).is_err() {
            self.standing.lose_rows(1);
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
    written: Vec<(Row, Option<Answer>)>,
    flushed: Vec<oneshot::Sender<()>>,
}

fn tell(answer: Option<Answer>, result: Result<(), Unwritable>) {
    if let Some(answer) = answer {
        // A pull that no longer waits has been refused.
        let _ = answer.send(result);
    }
}
