//! The ways of a record to what writes it: one for pulls, one for what strangers cause. Neither takes the other's room.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::limits::AUDIT_QUEUE;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::{mpsc, oneshot};

use crate::database::RowJob;
use crate::fault::Unwritable;
use crate::id::DecisionId;
use crate::record::{Kind, Record, Word};
use crate::status::Status;
use crate::taken::Taken;
use crate::tally::Tally;
use crate::waits::Waits;
use crate::writer::Job;
use pullgate_config::OnFailure;
use pullgate_store::clock::Clock;

/// How often the writers look after their files, whether anything is to be written or not.
const LOOK_EVERY: Duration = Duration::from_secs(5);
/// Looks from one summing up to the next: a minute.
const LOOKS_OF_A_SUM: u32 = 12;
/// Looks from one signed head to the next: five minutes.
const LOOKS_OF_A_HEAD: u32 = 60;

pub(super) struct Queues {
    pub(super) pulls: Queue,
    pub(super) strangers: Queue,
    /// What does not exist upstream, of this minute; its records are among those of pulls.
    pub(super) missing: Tally,
    pub(super) on_failure: OnFailure,
    pub(super) waits: Waits,
    pub(super) clock: Clock,
    /// Records since the head was signed.
    pub(super) unsigned: AtomicU64,
    /// Records of pulls that were taken; none where each is waited for.
    pub(super) taken: Option<Taken>,
}

/// One way.
pub(super) struct Queue {
    pub(super) jobs: mpsc::Sender<Job>,
    pub(super) rows: mpsc::Sender<RowJob>,
    pub(super) standing: Arc<Status>,
    /// Refusals of this minute.
    pub(super) tally: Tally,
}

impl Queues {
    /// Looks after the files and sums up, as long as the log is in use.
    pub(super) async fn look_after(queues: Weak<Self>) {
        let mut looks = 0_u32;
        loop {
            tokio::time::sleep(LOOK_EVERY).await;
            let Some(queues) = queues.upgrade() else { return };
            queues.wake();
            looks = looks.saturating_add(1);
            if looks.is_multiple_of(LOOKS_OF_A_SUM) {
                queues.sum_up().await;
            }
            if looks.is_multiple_of(LOOKS_OF_A_HEAD) {
                queues.sign().await;
            }
        }
    }

    /// A record that must be kept.
    pub(super) async fn write(&self, record: Record) -> Result<(), Unwritable> {
        if record.kind != Kind::Checkpoint {
            self.unsigned.fetch_add(1, Ordering::Relaxed);
        }
        let record = Box::new(record);
        match self.on_failure {
            OnFailure::Count => {
                self.take();
                if self.pulls.jobs.try_send(Job::Write(record, None)).is_err() {
                    self.pulls.standing.lose(1);
                }
                Ok(())
            }
            OnFailure::Refuse => {
                let (done, written) = oneshot::channel();
                let written = async {
                    self.pulls.jobs.send(Job::Write(record, Some(done))).await.map_err(|_| Unwritable)?;
                    written.await.map_err(|_| Unwritable)?
                };
                // What times out may still be written: it is not counted as lost, the pull is refused.
                tokio::time::timeout(self.waits.record, written).await.unwrap_or(Err(Unwritable))
            }
        }
    }

    /// A refusal under a policy: a record of its own up to its budget, as long as what is served has room left.
    pub(super) async fn denied(&self, record: Record) -> Result<(), Unwritable> {
        let tally = match record.verdict {
            Word::Missing => &self.missing,
            Word::Deny | Word::Permit | Word::Refused | Word::Undecided => &self.pulls.tally,
        };
        let Some(record) = tally.take(record) else { return Ok(()) };
        if self.pulls.jobs.capacity() > AUDIT_QUEUE / 2 {
            return self.write(record).await;
        }
        match self.on_failure {
            OnFailure::Count => {
                self.take();
                self.pulls.standing.lose(1);
                Ok(())
            }
            OnFailure::Refuse => Err(Unwritable),
        }
    }

    /// A refusal before any upstream was asked. Nobody waits for it, and what finds no room is counted.
    pub(super) fn refused(&self, record: Record) {
        let Some(record) = self.strangers.tally.take(record) else { return };
        if let Err(TrySendError::Full(Job::Write(record, _)) | TrySendError::Closed(Job::Write(record, _))) =
            self.strangers.jobs.try_send(Job::Write(Box::new(record), None))
        {
            self.strangers.tally.put_back(*record);
        }
    }

    /// Has the head signed, where there is anything new.
    pub(super) async fn sign(&self) {
        if self.unsigned.swap(0, Ordering::Relaxed) > 0 {
            self.sign_anyway().await;
        }
    }

    /// Has the head signed.
    pub(super) async fn sign_anyway(&self) {
        let record = Record::new(Kind::Checkpoint, &DecisionId::random(), self.clock.now(), Word::Permit);
        // Counted where it cannot be kept; the next one signs for it too.
        let _ = self.write(record).await;
    }

    /// Has the writers look after their files.
    pub(super) fn wake(&self) {
        for queue in [&self.pulls, &self.strangers] {
            // Only wakes the writer; one whose queue is full is awake.
            let _ = queue.jobs.try_send(Job::Wake);
        }
    }

    /// Writes what was queued before, and what was summed up.
    pub(super) async fn flush(&self) {
        self.sum_up().await;
        self.pulls.flush().await;
        self.strangers.flush().await;
    }

    /// Tells of what was summed up.
    async fn sum_up(&self) {
        let now = self.clock.now();
        for record in self.pulls.tally.drain(now).into_iter().chain(self.missing.drain(now)) {
            // Counted where it cannot be kept.
            let _ = self.write(record).await;
        }
        for record in self.strangers.tally.drain(now) {
            let job = Job::Write(Box::new(record), None);
            if tokio::time::timeout(self.waits.record, self.strangers.jobs.send(job)).await.is_err() {
                self.strangers.standing.lose(1);
            }
        }
    }

    fn take(&self) {
        if let Some(taken) = &self.taken {
            taken.one();
        }
    }
}

impl Queue {
    /// The log first: it hands its rows on before it answers.
    pub(super) async fn flush(&self) {
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
