//! How the log is: what was lost, and what cannot be written now.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};

use super::OnFailure;
use crate::admin::Condition;
use crate::metrics::Metrics;

/// Shared by the handle and by what writes.
#[derive(Debug)]
pub(super) struct Standing {
    /// Records that no later record has told of yet.
    lost: AtomicU64,
    /// The log file is to be opened anew.
    pub(super) reopen: AtomicBool,
    log: Mutex<Option<String>>,
    database: Mutex<Option<String>>,
    metrics: Metrics,
}

impl Standing {
    pub(super) fn new(metrics: Metrics) -> Self {
        Self {
            lost: AtomicU64::new(0),
            reopen: AtomicBool::new(false),
            log: Mutex::default(),
            database: Mutex::default(),
            metrics,
        }
    }

    /// Counts records that are not in the log.
    pub(super) fn lose(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::AcqRel);
        self.metrics.audit_lost(records);
    }

    pub(super) fn lost(&self) -> u64 {
        self.lost.load(Ordering::Acquire)
    }

    /// A record has told of this many.
    pub(super) fn told(&self, records: u64) {
        self.lost.fetch_sub(records, Ordering::AcqRel);
    }

    /// The record that told of this many is lost itself.
    pub(super) fn untold(&self, records: u64) {
        self.lost.fetch_add(records, Ordering::AcqRel);
    }

    /// Counts records that are not in the database.
    pub(super) fn lose_rows(&self, records: u64) {
        self.metrics.audit_rows_lost(records);
    }

    /// Says once that the log cannot be written.
    pub(super) fn log_fails(&self, why: &str) {
        if change(&self.log, Some(why)) {
            tracing::error!(why, "the pull log cannot be written");
        }
    }

    /// Says once that it can be again.
    pub(super) fn log_works(&self) {
        if change(&self.log, None) {
            tracing::info!("the pull log can be written again");
        }
    }

    /// Says once that the database cannot be written.
    pub(super) fn database_fails(&self, why: &str) {
        if change(&self.database, Some(why)) {
            tracing::error!(why, "audit.db cannot be written; the pull log goes on in lines alone");
        }
    }

    /// Says once that it can be again.
    pub(super) fn database_works(&self) {
        if change(&self.database, None) {
            tracing::info!("audit.db can be written again");
        }
    }

    /// A log that only counts is a mark; one that refuses pulls, and a state folder that cannot be written, is red (A503,
    /// A512).
    pub(super) fn condition(&self, on_failure: OnFailure) -> Condition {
        let log = held(&self.log).map(|why| format!("the pull log cannot be written: {why}"));
        let database = held(&self.database).map(|why| format!("audit.db cannot be written: {why}"));
        match (log, database, on_failure) {
            (Some(log), None, OnFailure::Refuse) => Condition::Unready(log),
            (Some(log), None, OnFailure::Count) => Condition::Degraded(log),
            (None, Some(database), OnFailure::Count | OnFailure::Refuse) => Condition::Unready(database),
            (Some(log), Some(database), OnFailure::Count | OnFailure::Refuse) => {
                Condition::Unready(format!("{log}; {database}"))
            }
            (None, None, OnFailure::Count | OnFailure::Refuse) => Condition::Good,
        }
    }
}

fn held(place: &Mutex<Option<String>>) -> Option<String> {
    place.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// Whether working became failing, or the other way round.
fn change(place: &Mutex<Option<String>>, now: Option<&str>) -> bool {
    let mut place = place.lock().unwrap_or_else(PoisonError::into_inner);
    let turned = place.is_some() != now.is_some();
    *place = now.map(str::to_owned);
    turned
}
