//! Bytes of evidence that verdicts hold at once, over all of them: memory is bounded without luck (A547, A142).
//!
//! Whoever begins waits for its first share, holding nothing; whoever holds one gets more at once or not at all. So nobody
//! waits for somebody who waits.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use pullgate_policy::limits;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The bytes that may be held.
pub struct InFlight(Arc<Semaphore>);

/// Bytes that one verdict may hold, until this is dropped.
pub struct Held {
    of: Arc<Semaphore>,
    share: OwnedSemaphorePermit,
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are held already")]
pub struct Full;

/// What is counted: bytes are rounded up to it.
const UNIT: u64 = 64 * 1024;
/// How long a verdict waits for its first share.
const PATIENCE: Duration = Duration::from_secs(10);

impl InFlight {
    /// Room for `bytes`.
    #[must_use]
    pub fn new(bytes: u64) -> Self {
        Self(Arc::new(Semaphore::new(usize::try_from(bytes / UNIT).unwrap_or(Semaphore::MAX_PERMITS))))
    }

    /// Waits for `verdict_bytes`, what most verdicts need.
    ///
    /// # Errors
    /// [`Full`] after a while.
    pub async fn begin(&self) -> Result<Held, Full> {
        let wanted = Arc::clone(&self.0).acquire_many_owned(units(limits::VERDICT_BYTES));
        let share = tokio::time::timeout(PATIENCE, wanted).await;
        let share = share.map_err(|_elapsed| Full)?.map_err(|_closed| Full)?;
        Ok(Held { of: Arc::clone(&self.0), share })
    }
}

impl Held {
    /// Makes it enough for `bytes` in all.
    ///
    /// # Errors
    /// [`Full`] at once, when there is no room.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        let has = u32::try_from(self.share.num_permits()).unwrap_or(u32::MAX);
        let more = units(bytes).saturating_sub(has);
        if more > 0 {
            self.share.merge(Arc::clone(&self.of).try_acquire_many_owned(more).map_err(|_| Full)?);
        }
        Ok(())
    }
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("free", &self.0.available_permits()).finish()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("share", &self.share.num_permits()).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a547_over_the_limit_a_new_verdict_waits_and_an_old_one_is_told_at_once() {
        let in_flight = InFlight::new(limits::VERDICT_BYTES * 2);
        let mut first = in_flight.begin().await.unwrap();
        let second = in_flight.begin().await.unwrap();
        assert_eq!(first.grow(limits::VERDICT_BYTES), Ok(()));
        assert_eq!(first.grow(limits::VERDICT_BYTES + 1), Err(Full));
        assert_eq!(in_flight.begin().await.unwrap_err(), Full);
        drop(second);
        assert_eq!(first.grow(limits::VERDICT_BYTES + 1), Ok(()));
        drop(first);
        assert!(in_flight.begin().await.is_ok());
    }
}
