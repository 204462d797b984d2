//! How long a pull waits for the disk and the database under the store.

use std::time::Duration;

use crate::limits;

/// How long each of them is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// A read of the database that can be redone at the cost of work, and a lock on it.
    pub read: Duration,
    /// A read of it whose missing row would mean a *no*.
    pub known: Duration,
    /// Grants to be written, before their manifest is answered.
    pub grants_written: Duration,
    /// The connection by which the store writes.
    pub write: Duration,
    /// The queue of writes, at a shutdown.
    pub flush: Duration,
}

impl Default for Waits {
    /// Those of a running gate.
    fn default() -> Self {
        Self {
            read: limits::READ_WAIT,
            known: limits::KNOWN_WAIT,
            grants_written: limits::GRANTS_WAIT,
            write: limits::WRITE_WAIT,
            flush: limits::FLUSH_WAIT,
        }
    }
}

impl Waits {
    /// The same for each.
    #[must_use]
    pub const fn all(wait: Duration) -> Self {
        Self { read: wait, known: wait, grants_written: wait, write: wait, flush: wait }
    }
}
