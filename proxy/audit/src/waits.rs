//! How long the pull log is waited for.

use std::time::Duration;

/// How long each of them is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// A record, where a pull waits for it. Over it: undecided.
    pub record: Duration,
    /// The queues, at a shutdown. Over it: the queues are lost.
    pub flush: Duration,
}

impl Default for Waits {
    /// Those of a running gate.
    fn default() -> Self {
        Self { record: Duration::from_secs(2), flush: Duration::from_secs(5) }
    }
}

impl Waits {
    /// The same for each.
    #[must_use]
    pub const fn all(wait: Duration) -> Self {
        Self { record: wait, flush: wait }
    }
}
