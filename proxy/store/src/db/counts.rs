//! What befell the database since it was opened.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use prometheus_client::metrics::counter::Counter;

use crate::sqlite;

/// The store's own counters.
#[derive(Debug, Clone, Default)]
pub struct StoreSeries {
    /// Writes that were lost.
    pub writes_lost: Counter,
    /// Times at which the file of the database was found removed, moved, replaced or written over.
    pub files_lost: Counter,
}

/// Failures that no caller gets to see.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) reads_failed: AtomicU64,
    pub(super) writes_lost: Counter,
    /// Times at which the file was found removed, moved, replaced or written over.
    pub(super) files_lost: Counter,
    /// Bytes of the file that rows take, as they were counted last.
    pub(super) bytes: AtomicU64,
    /// Bytes that they may take.
    pub(super) bytes_most: AtomicU64,
    /// The last write failed.
    pub(super) failing: AtomicBool,
    /// The last read failed.
    pub(super) unreadable: AtomicBool,
    /// A read or a write met a corrupt page.
    pub(super) corrupt: AtomicBool,
}

impl Counts {
    pub(super) fn lose(&self, writes: u64) {
        self.writes_lost.inc_by(writes);
    }

    pub(super) fn note(&self, error: &sqlx::Error) {
        if sqlite::is_corrupt(error) {
            self.corrupt.store(true, Ordering::Relaxed);
        }
    }
}
