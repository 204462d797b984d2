//! How the log is: what was lost, and what cannot be written now.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::counters::{AuditFile, Counters};
use crate::log::Happened;
use pullgate_config::OnFailure;
use pullgate_store::Condition;

/// The kind of records that go to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// Those of pulls.
    Pulls,
    /// Those of requests that were refused before any upstream was asked (A606).
    Strangers,
}

/// Shared by the handle and by what writes.
#[derive(Debug)]
pub(super) struct Status {
    whose: Whose,
    counts: Mutex<Counts>,
    /// The log file is to be opened anew.
    pub(super) reopen: AtomicBool,
    /// Rows are missing that stand in the log: none is handed on until they are made good.
    behind: AtomicBool,
    log: Mutex<Option<String>>,
    database: Mutex<Option<String>>,
    /// Since when there are rows, where `retain_max` lets them stay for less than `retain`.
    short: Mutex<Option<String>>,
    counters: Counters,
}

/// Lost records.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Counts {
    /// Losses that no later record has reported yet.
    pub(super) lost: u64,
    /// Those that have no number yet.
    pub(super) unnumbered: u64,
}

impl Status {
    pub(super) fn new(whose: Whose, counters: Counters) -> Self {
        Self {
            whose,
            counts: Mutex::default(),
            reopen: AtomicBool::new(false),
            behind: AtomicBool::new(false),
            log: Mutex::default(),
            database: Mutex::default(),
            short: Mutex::default(),
            counters,
        }
    }

    /// Counts records that are not in the log and never reached its writer.
    pub(super) fn lose(&self, records: u64) {
        let mut counts = self.counts();
        // At once, so that the record after a gap in the numbers reports it.
        counts.unnumbered = counts.unnumbered.saturating_add(records);
        counts.lost = counts.lost.saturating_add(records);
        drop(counts);
        self.count(records);
    }

    /// Counts records that are not in the log.
    pub(super) fn lose_numbered(&self, records: u64) {
        self.untold(records);
        self.count(records);
    }

    fn count(&self, records: u64) {
        let counter = match self.whose {
            Whose::Pulls => &self.counters.lost,
            Whose::Strangers => &self.counters.refusals_lost,
        };
        counter.inc_by(records);
    }

    /// Lost records that no record has reported yet.
    #[cfg(test)]
    pub(super) fn lost(&self) -> u64 {
        self.counts().lost
    }

    /// The losses that the next record reports, and its number.
    pub(super) fn tell(&self) -> Counts {
        mem::take(&mut *self.counts())
    }

    /// The record that reported this many losses is lost itself.
    pub(super) fn untold(&self, records: u64) {
        let mut counts = self.counts();
        counts.lost = counts.lost.saturating_add(records);
    }

    fn counts(&self) -> MutexGuard<'_, Counts> {
        self.counts.lock()
    }

    /// Counts records that are not in the database.
    pub(super) fn lose_rows(&self, records: u64) {
        let counter = match self.whose {
            Whose::Pulls => &self.counters.rows_lost,
            Whose::Strangers => &self.counters.refusals_lost,
        };
        counter.inc_by(records);
    }

    /// Counts rows that were made good from lines.
    pub(super) fn made_good(&self, records: u64) {
        self.counters.rows_made_good.inc_by(records);
    }

    pub(super) fn is_behind(&self) -> bool {
        self.behind.load(Ordering::SeqCst)
    }

    pub(super) fn fall_behind(&self) {
        self.behind.store(true, Ordering::SeqCst);
    }

    /// Who writes lines looks here after each; who clears it reads the lines once more after that.
    pub(super) fn is_up_again(&self) {
        self.behind.store(false, Ordering::SeqCst);
    }

    /// Reports a change of the log file by another process.
    pub(super) fn log_happened(&self, happened: Happened) {
        match happened {
            Happened::Moved => tracing::info!("the log file has another name now; a new one was begun"),
            Happened::Cut => tracing::info!("the log file was cut by somebody else"),
            Happened::Removed => {
                self.counters.file_lost(AuditFile::Log);
                tracing::error!("the log file was removed with its lines; a new one was begun");
            }
        }
    }

    /// Reports that the database's file is not the one that was opened, or not as it was left.
    pub(super) fn database_vanished(&self, rows: u64) {
        self.counters.file_lost(AuditFile::Database);
        self.counters.rows_lost.inc_by(rows);
        tracing::error!(
            rows,
            "audit.db was removed, moved, replaced or written over by somebody else; what is there now is gone on with"
        );
    }

    /// Says once that the log cannot be written.
    pub(super) fn log_fails(&self, why: &str) {
        if change(&self.log, Some(why)) {
            tracing::error!(why, whose = ?self.whose, "the pull log cannot be written");
        }
    }

    /// Says once that it can be again.
    pub(super) fn log_works(&self) {
        if change(&self.log, None) {
            tracing::info!(whose = ?self.whose, "the pull log can be written again");
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

    /// Whether the database could not be written when it was last tried.
    pub(super) fn database_is_failing(&self) -> bool {
        held(&self.database).is_some()
    }

    /// Says once that rows go before their time, and from when on there are some.
    pub(super) fn rows_go_early(&self, since: &str) {
        if change(&self.short, Some(since)) {
            tracing::warn!(since, "`audit.retain_max` is reached: rows go before `audit.retain` is over");
        }
    }

    /// Rows stay for their time.
    pub(super) fn rows_stay(&self) {
        let _ = change(&self.short, None);
    }

    /// Whether rows stay for their time: a mark of its own.
    pub(super) fn retention(&self) -> Condition {
        match held(&self.short) {
            Some(since) => Condition::Degraded(format!(
                "`audit.retain_max` is reached before `audit.retain`: there are rows since {since} only"
            )),
            None => Condition::Good,
        }
    }

    /// A log that only counts is a mark; one that refuses pulls, and a state folder that cannot be written, is red (A503,
    /// A512). That of strangers never is.
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
            (None, None, OnFailure::Count | OnFailure::Refuse) if self.is_behind() => Condition::Degraded(
                "rows are missing in audit.db; they are being made good from the log".to_owned(),
            ),
            (None, None, OnFailure::Count | OnFailure::Refuse) => Condition::Good,
        }
    }
}

fn held(place: &Mutex<Option<String>>) -> Option<String> {
    place.lock().clone()
}

/// Whether working became failing, or the other way round.
fn change(place: &Mutex<Option<String>>, now: Option<&str>) -> bool {
    let mut place = place.lock();
    let turned = place.is_some() != now.is_some();
    *place = now.map(str::to_owned);
    turned
}
