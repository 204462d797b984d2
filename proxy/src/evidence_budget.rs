//! The byte budget of verdicts under way: in total, for one upstream and for one repository. It is a hard cap, and a slow
//! upstream cannot take the budget of another (A547, A142, A175, A602).
//!
//! An upstream may hold half of the remainder, so that some is always left for one more; a repository three quarters of the
//! remainder of its upstream. A verdict waits for its first share while it holds nothing; a later share is granted at
//! once or refused. There is no deadlock: only a verdict that holds nothing waits.

use std::collections::BTreeMap;
use std::fmt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use pullgate_policy::limits::EVIDENCE_BYTES;
use pullgate_policy::oci::{Registry, Repository};
use tokio::sync::Notify;

use crate::effort;

/// The bytes that may be held.
#[derive(Clone, Default)]
pub struct EvidenceBudget(Arc<Shared>);

#[derive(Default)]
struct Shared {
    room: Mutex<Room>,
    freed: Notify,
}

/// What is held, by whom.
#[derive(Default)]
struct Room {
    all: u64,
    of: BTreeMap<Registry, OfOne>,
}

#[derive(Default)]
struct OfOne {
    all: u64,
    of: BTreeMap<Repository, u64>,
}

/// Bytes that one verdict may hold, until this is dropped.
pub struct Reservation {
    shared: Arc<Shared>,
    repository: Repository,
    bytes: u64,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are held already")]
pub struct Full;

/// How long a verdict waits for its first share.
const PATIENCE: Duration = Duration::from_secs(10);

impl EvidenceBudget {
    /// Waits for `verdict_bytes`, what most verdicts need, for a verdict about `repository`.
    ///
    /// # Errors
    /// [`Full`] after a while.
    pub async fn begin(&self, repository: &Repository) -> Result<Reservation, Full> {
        let _queued = effort::queued();
        let mut held = self.nothing(repository);
        let first = async {
            loop {
                let mut freed = pin!(self.0.freed.notified());
                // Enabled before the try, so that a release meanwhile is not missed.
                freed.as_mut().enable();
                if held.grow(limits::VERDICT_BYTES).is_ok() {
                    return;
                }
                freed.await;
            }
        };
        tokio::time::timeout(PATIENCE, first).await.map_err(|_elapsed| Full)?;
        Ok(held)
    }

    /// Room for nothing yet, about `repository`.
    #[must_use]
    pub fn nothing(&self, repository: &Repository) -> Reservation {
        Reservation { shared: Arc::clone(&self.0), repository: repository.clone(), bytes: 0 }
    }

    /// How many bytes are held about the upstream that holds most.
    #[must_use]
    pub fn held_by_fullest(&self) -> u64 {
        self.0.lock().of.values().map(|one| one.all).max().unwrap_or(0)
    }

    /// How many bytes are held.
    #[must_use]
    pub fn held(&self) -> u64 {
        self.0.lock().all
    }
}

impl Reservation {
    /// Grows it to `bytes` in total.
    ///
    /// # Errors
    /// [`Full`] at once, when there is no room.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        let Some(more) = bytes.checked_sub(self.bytes).filter(|more| *more > 0) else { return Ok(()) };
        self.shared.lock().take(&self.repository, more)?;
        self.bytes = bytes;
        Ok(())
    }

    /// Grows it by `more` bytes.
    ///
    /// # Errors
    /// [`Full`] at once, when there is no room.
    pub fn grow_by(&mut self, more: u64) -> Result<(), Full> {
        self.grow(self.bytes.saturating_add(more))
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        if self.bytes > 0 {
            self.shared.lock().give(&self.repository, self.bytes);
            self.shared.freed.notify_waiters();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Room> {
        self.room.lock()
    }
}

impl Room {
    fn take(&mut self, repository: &Repository, more: u64) -> Result<(), Full> {
        let of_one = self.of.get(repository.registry());
        let upstream = of_one.map_or(0, |one| one.all);
        let own = of_one.and_then(|one| one.of.get(repository)).copied().unwrap_or(0);
        // Of what other upstreams leave half, and of that, what other repositories leave three quarters.
        let most = limits::IN_FLIGHT_BYTES.saturating_sub(self.all - upstream) / 2;
        let most_of_one = most.saturating_sub(upstream - own) / 4 * 3;
        if upstream.saturating_add(more) > most || own.saturating_add(more) > most_of_one {
            return Err(Full);
        }
        let of_one = self.of.entry(repository.registry().clone()).or_default();
        self.all += more;
        of_one.all += more;
        *of_one.of.entry(repository.clone()).or_default() += more;
        Ok(())
    }

    fn give(&mut self, repository: &Repository, bytes: u64) {
        self.all = self.all.saturating_sub(bytes);
        let Some(of_one) = self.of.get_mut(repository.registry()) else { return };
        of_one.all = of_one.all.saturating_sub(bytes);
        if let Some(own) = of_one.of.get_mut(repository) {
            *own = own.saturating_sub(bytes);
            if *own == 0 {
                of_one.of.remove(repository);
            }
        }
        if of_one.all == 0 {
            self.of.remove(repository.registry());
        }
    }
}

impl fmt::Debug for EvidenceBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EvidenceBudget").field("held", &self.held()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Reservation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reservation").field("bytes", &self.bytes).finish_non_exhaustive()
    }
}

const _: () = assert!(
    limits::IN_FLIGHT_BYTES_OF_REPOSITORY > EVIDENCE_BYTES + limits::VERDICT_BYTES,
    "all evidence of one subject has room where nothing else is in work"
);

#[cfg(test)]
mod tests;
