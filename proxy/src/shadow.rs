//! Pulls that wait to be judged by the policy of `audit.shadow` as well. An answer never waits for it: a pull that
//! finds no room in the queue is counted, and not judged.

use parking_lot::Mutex;

use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::audit::Record;
use crate::limits::SHADOW_QUEUE;
use crate::metrics::Said;
use crate::pull::replay::Content;

/// The queue.
#[derive(Debug)]
pub struct Shadow {
    queue: mpsc::Sender<Answered>,
    /// Until the worker begins.
    waiting: Mutex<Option<mpsc::Receiver<Answered>>>,
}

/// A pull that was answered.
#[derive(Debug)]
pub struct Answered {
    /// What was asked for.
    pub content: Content,
    /// What was said.
    pub was: Said,
    /// The record, still without the other policy's verdict.
    pub record: Record,
    /// When.
    pub at: Instant,
}

impl Default for Shadow {
    fn default() -> Self {
        let (queue, waiting) = mpsc::channel(SHADOW_QUEUE);
        Self { queue, waiting: Mutex::new(Some(waiting)) }
    }
}

impl Shadow {
    /// Queues a pull to be judged, if there is room.
    ///
    /// # Errors
    /// The verdict in force, where there is no room.
    pub fn judge(&self, answered: Answered) -> Result<(), Said> {
        let was = answered.was;
        self.queue.try_send(answered).map_err(|_full| was)
    }

    /// The queue, for the task that judges; once.
    pub fn take(&self) -> Option<mpsc::Receiver<Answered>> {
        self.waiting.lock().take()
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::audit::{DecisionId, Kind, Word};
    use pullgate_policy::oci::Digest;

    #[test]
    fn what_finds_no_place_is_not_waited_for() {
        let shadow = Shadow::default();
        let answered = || Answered {
            content: Content {
                repository: "r.io/app".parse().unwrap(),
                digest: Digest::of(b"manifest"),
                root: None,
            },
            was: Said::Permit,
            record: Record::new(Kind::Shadow, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Permit),
            at: Instant::now(),
        };
        for _ in 0..SHADOW_QUEUE {
            assert_eq!(shadow.judge(answered()), Ok(()));
        }
        assert_eq!(shadow.judge(answered()), Err(Said::Permit));
        assert!(shadow.take().is_some() && shadow.take().is_none());
    }
}
