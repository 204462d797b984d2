//! How long a pull waits for this machine: its disk, its database, a verdict. A test gives its own, for its machine may
//! be busy with other things.

use std::time::Duration;

use crate::limits::VERDICT_DEADLINE;

use crate::{audit, store};

/// How long each of them is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Waits {
    /// For the store.
    pub store: store::Waits,
    /// For the pull log.
    pub audit: audit::Waits,
    /// For a verdict: its client's wait, not its work's.
    pub verdict: Duration,
}

impl Default for Waits {
    /// Those of a running gate.
    fn default() -> Self {
        Self { store: store::Waits::default(), audit: audit::Waits::default(), verdict: VERDICT_DEADLINE }
    }
}

impl Waits {
    /// The same for each.
    #[must_use]
    pub const fn all(wait: Duration) -> Self {
        Self { store: store::Waits::all(wait), audit: audit::Waits::all(wait), verdict: wait }
    }
}
