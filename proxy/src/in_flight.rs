//! Bytes of evidence that verdicts hold at once, over all of them and about one upstream: memory is bounded without luck, and
//! one upstream that is slow to give what it promised leaves half of it to the others (A547, A142, A175).
//!
//! Whoever begins waits for its first share, holding nothing; whoever holds one gets more at once or not at all. So nobody
//! waits for somebody who waits.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use pullgate_policy::limits;
use pullgate_policy::oci::Registry;
use tokio::sync::{AcquireError, OwnedSemaphorePermit, Semaphore};

/// The bytes that may be held.
pub struct InFlight {
    all: Arc<Semaphore>,
    of_one: Mutex<BTreeMap<Registry, Arc<Semaphore>>>,
}

/// Bytes that one verdict may hold, until this is dropped.
pub struct Held {
    from: [Arc<Semaphore>; 2],
    shares: [OwnedSemaphorePermit; 2],
}

/// There is no room.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many bytes are held already")]
pub struct Full;

/// What is counted: bytes are rounded up to it.
const UNIT: u64 = 64 * 1024;
/// How long a verdict waits for its first share.
const PATIENCE: Duration = Duration::from_secs(10);

impl Default for InFlight {
    fn default() -> Self {
        Self { all: room(limits::IN_FLIGHT_BYTES), of_one: Mutex::default() }
    }
}

impl InFlight {
    /// Waits for `verdict_bytes`, what most verdicts need, for a verdict about `registry`.
    ///
    /// # Errors
    /// [`Full`] after a while.
    pub async fn begin(&self, registry: &Registry) -> Result<Held, Full> {
        let from = [self.of(registry), Arc::clone(&self.all)];
        let first = |of: &Arc<Semaphore>| Arc::clone(of).acquire_many_owned(units(limits::VERDICT_BYTES));
        // Of the upstream first: who waits for its own holds nothing of the others'.
        let [one, all] = &from;
        let shares =
            async { Ok::<_, Full>([first(one).await.map_err(closed)?, first(all).await.map_err(closed)?]) };
        let shares = tokio::time::timeout(PATIENCE, shares).await.map_err(|_elapsed| Full)??;
        Ok(Held { from, shares })
    }

    fn of(&self, registry: &Registry) -> Arc<Semaphore> {
        let mut of_one = self.of_one.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = of_one.entry(registry.clone());
        Arc::clone(of_one.or_insert_with(|| room(limits::IN_FLIGHT_BYTES_OF_ONE)))
    }
}

impl Held {
    /// Makes it enough for `bytes` in all.
    ///
    /// # Errors
    /// [`Full`] at once, when there is no room.
    pub fn grow(&mut self, bytes: u64) -> Result<(), Full> {
        for (share, from) in self.shares.iter_mut().zip(&self.from) {
            let has = u32::try_from(share.num_permits()).unwrap_or(u32::MAX);
            let more = units(bytes).saturating_sub(has);
            if more > 0 {
                share.merge(Arc::clone(from).try_acquire_many_owned(more).map_err(|_| Full)?);
            }
        }
        Ok(())
    }
}

fn closed(_never: AcquireError) -> Full {
    Full
}

fn room(bytes: u64) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(usize::try_from(bytes / UNIT).unwrap_or(Semaphore::MAX_PERMITS)))
}

fn units(bytes: u64) -> u32 {
    u32::try_from(bytes.div_ceil(UNIT)).unwrap_or(u32::MAX)
}

impl fmt::Debug for InFlight {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("InFlight").field("free", &self.all.available_permits()).finish_non_exhaustive()
    }
}

impl fmt::Debug for Held {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Held").field("shares", &self.shares).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn registry(n: u64) -> Registry {
        format!("r{n}.example").parse().unwrap()
    }

    /// Everything about so many upstreams, as far as there is room.
    async fn fill(in_flight: &InFlight, upstreams: u64) -> Vec<Held> {
        let mut held = Vec::new();
        for n in 0..upstreams {
            for _ in 0..limits::IN_FLIGHT_BYTES_OF_ONE / limits::VERDICT_BYTES {
                held.push(in_flight.begin(&registry(n)).await.unwrap());
            }
        }
        held
    }

    #[tokio::test(start_paused = true)]
    async fn a547_over_the_limit_a_new_verdict_waits_and_an_old_one_is_told_at_once() {
        let in_flight = InFlight::default();
        let upstreams = limits::IN_FLIGHT_BYTES / limits::IN_FLIGHT_BYTES_OF_ONE;
        let mut held = fill(&in_flight, upstreams).await;
        let mut last = held.pop().unwrap();
        assert_eq!(in_flight.begin(&registry(upstreams)).await.unwrap_err(), Full);
        held.pop();
        let other = in_flight.begin(&registry(upstreams)).await.unwrap();
        assert_eq!(last.grow(limits::VERDICT_BYTES), Ok(()));
        assert_eq!(last.grow(limits::VERDICT_BYTES + 1), Err(Full));
        assert_eq!(in_flight.begin(&registry(upstreams)).await.unwrap_err(), Full);
        drop(other);
        assert_eq!(last.grow(limits::VERDICT_BYTES + 1), Ok(()));
        drop(last);
        assert!(in_flight.begin(&registry(upstreams)).await.is_ok());
    }

    #[tokio::test(start_paused = true)]
    async fn a175_verdicts_about_one_upstream_leave_room_for_those_about_another() {
        let in_flight = InFlight::default();
        let mut held = fill(&in_flight, 1).await;
        assert_eq!(in_flight.begin(&registry(0)).await.unwrap_err(), Full);
        assert_eq!(held[0].grow(limits::VERDICT_BYTES + 1), Err(Full));
        let mut other = in_flight.begin(&registry(1)).await.unwrap();
        assert_eq!(other.grow(limits::IN_FLIGHT_BYTES - limits::IN_FLIGHT_BYTES_OF_ONE), Ok(()));
        held.pop();
        assert!(in_flight.begin(&registry(0)).await.is_ok());
    }
}
