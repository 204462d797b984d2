//! What is found at a start, and behind what records go on.

use std::path::Path;
use std::sync::Arc;

use pullgate_config::OnFailure;

use crate::chain;
use crate::database::Database;
use crate::fault::StartError;
use crate::key::{KeyError, LogKey, PublicKey};
use crate::lines::End;
use crate::note::{Begins, Head};
use crate::status::Status;
use crate::taken::Taken;

/// What is found at a start.
pub(super) struct Start {
    pub(super) end: End,
    /// The newest row.
    pub(super) newest: Head,
    /// Whether lines are in a file.
    pub(super) lines: bool,
}

impl Start {
    /// Behind what the chain goes on: the last record that is known, where the newest head that this key signed leads to it.
    /// Nobody else's log is signed for: it begins anew then.
    pub(super) async fn behind(&self, rows: &Database, key: Option<&LogKey>, database: &Path) -> chain::End {
        let head = self.head();
        let Some(key) = key else {
            return head.map_or(chain::End::Begins(Begins::First), chain::End::Head);
        };
        // Under whatever name this gate had then.
        let before = PublicKey::read(database).into_iter().filter(|public| key.is_of(public));
        let own: Vec<PublicKey> = before.chain([key.public().clone()]).collect();
        match head {
            Some(head) if rows.lead_to(&head, &own).await => chain::End::Head(head),
            None if own.len() == 1 => chain::End::Begins(Begins::First),
            Some(_) | None => {
                tracing::warn!(
                    "the pull log is not as this gate left it: it begins anew, and says so; see `pullgate audit verify`"
                );
                chain::End::Begins(Begins::Anew)
            }
        }
    }

    /// The last record that is known.
    fn head(&self) -> Option<Head> {
        let line = Head { sequence: self.end.sequence, hash: self.end.hash };
        let last =
            if self.lines && line.sequence >= self.newest.sequence { line } else { self.newest.clone() };
        Some(last).filter(|head| head.sequence > 0)
    }

    /// Counts what the process before has lost, and tells from which number on records go.
    pub(super) fn count(
        self,
        on_failure: OnFailure,
        taken: &Path,
        standing: &Status,
    ) -> (Option<Taken>, u64) {
        let Self { end, newest: Head { sequence: newest, .. }, lines } = self;
        let (taken, before) = match on_failure {
            OnFailure::Count => {
                let (taken, before) = Taken::open(taken);
                (Some(taken), before)
            }
            // No answer has left before its line was on the disk.
            OnFailure::Refuse => (None, 0),
        };
        // A record whose line was cut off may be a row: it is missing in the log all the same.
        let last = if lines { end.last(newest, before) } else { newest };
        let unwritten = newest.max(before).saturating_sub(last);
        let lost = if lines { unwritten.max(end.torn) } else { 0 };
        if lost > 0 {
            tracing::warn!(
                lost,
                "the pull log ends before the last record that was taken: what is missing is counted as lost"
            );
            standing.lose(lost);
        }
        if !lines && unwritten > 0 {
            tracing::warn!(
                rows = unwritten,
                "an end without warning cost rows of audit.db; whether their lines left cannot be known here"
            );
            standing.lose_rows(unwritten);
        }
        if lines && end.sequence > newest {
            tracing::info!(rows = end.sequence - newest, "lines without a row are made good");
            standing.fall_behind();
        }
        let last = if lines { last } else { last.max(before) };
        if let Some(taken) = &taken {
            taken.go_on_from(last.saturating_add(lost));
        }
        (taken, last)
    }
}

/// The key of the log: beside the database, or where the configuration says. Without one that was given nothing starts; one
/// that cannot be made beside the database leaves heads unsigned.
pub(super) fn log_key(path: &Path, gate: &str) -> Result<Option<Arc<LogKey>>, StartError> {
    match LogKey::load_or_create(path, gate) {
        Ok(key) => Ok(Some(Arc::new(key))),
        Err(fault @ KeyError::NoKey(_)) => Err(StartError::Key(fault)),
        Err(fault) => {
            tracing::warn!(%fault, "heads of the pull log are not signed");
            Ok(None)
        }
    }
}
