//! How long a pull waits for what is this machine's own: the disk and the database under it, and a verdict. A test gives its
//! own, for its machine may be busy with other things.

use std::time::Duration;

use crate::audit;
use crate::store::limits;

/// How long each of them is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For a read of the store's database whose absence costs work, and for a lock on it.
    pub store_read: Duration,
    /// For a read of it whose absence would be a *no*.
    pub store_known: Duration,
    /// For grants to be written, before their manifest is answered.
    pub grants_written: Duration,
    /// For the connection by which the store writes.
    pub store_write: Duration,
    /// For what is queued to be written, at a shutdown.
    pub flush: Duration,
    /// For a record of the pull log, where a pull waits for it.
    pub record: Duration,
    /// For a verdict: its client's wait, not its work's.
    pub verdict: Duration,
}

impl Default for Waits {
    /// Those of a running gate.
    fn default() -> Self {
        Self {
            store_read: limits::READ_WAIT,
            store_known: limits::KNOWN_WAIT,
            grants_written: limits::GRANTS_WAIT,
            store_write: limits::WRITE_WAIT,
            flush: limits::FLUSH_WAIT,
            record: audit::RECORD_WAIT,
            verdict: pullgate_policy::limits::VERDICT_DEADLINE,
        }
    }
}

impl Waits {
    /// The same for each.
    #[must_use]
    pub const fn all(wait: Duration) -> Self {
        Self {
            store_read: wait,
            store_known: wait,
            grants_written: wait,
            store_write: wait,
            flush: wait,
            record: wait,
            verdict: wait,
        }
    }
}

/// A clock of tokio's that a test has paused stands still while this lives, whatever is waited for: it goes on where
/// the test says so, and not, as it otherwise does, whenever nobody has anything to do but to wait for a socket.
#[cfg(test)]
pub(crate) struct Still(
    #[expect(dead_code, reason = "its end is what counts")] std::sync::mpsc::SyncSender<()>,
);

#[cfg(test)]
pub(crate) fn still() -> Still {
    let (ends, ended) = std::sync::mpsc::sync_channel(1);
    tokio::task::spawn_blocking(move || ended.recv());
    Still(ends)
}
