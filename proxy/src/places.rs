//! Places for verdicts in work: so many for each upstream, so that one whose evidence does not come takes none from the
//! others (A058, A175).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};

use pullgate_policy::limits;
use pullgate_policy::oci::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places of every upstream. There are as many as upstreams that were ever configured.
#[derive(Default)]
pub struct Places(Mutex<BTreeMap<Registry, Arc<OfOne>>>);

struct OfOne {
    queue: Arc<Semaphore>,
    work: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Place {
    _queue: OwnedSemaphorePermit,
    _work: OwnedSemaphorePermit,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many verdicts wait for a place")]
pub struct Full;

impl Places {
    /// Waits for a place among the verdicts about `registry`.
    ///
    /// # Errors
    /// [`Full`] at once, when `queue_max` of them wait.
    pub async fn take(&self, registry: &Registry) -> Result<Place, Full> {
        let of_one = self.of(registry);
        let queue = Arc::clone(&of_one.queue).try_acquire_owned().map_err(|_| Full)?;
        let work = Arc::clone(&of_one.work).acquire_owned().await.map_err(|_| Full)?;
        Ok(Place { _queue: queue, _work: work })
    }

    /// A place among the verdicts about `registry`, if one is free now.
    pub fn free(&self, registry: &Registry) -> Option<Place> {
        let of_one = self.of(registry);
        let queue = Arc::clone(&of_one.queue).try_acquire_owned().ok()?;
        let work = Arc::clone(&of_one.work).try_acquire_owned().ok()?;
        Some(Place { _queue: queue, _work: work })
    }

    /// How many verdicts about `registry` are in work or wait.
    #[must_use]
    pub fn taken(&self, registry: &Registry) -> usize {
        IN_ALL.saturating_sub(self.of(registry).queue.available_permits())
    }

    fn of(&self, registry: &Registry) -> Arc<OfOne> {
        let mut places = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let of_one = places.entry(registry.clone()).or_insert_with(|| {
            Arc::new(OfOne {
                queue: Arc::new(Semaphore::new(IN_ALL)),
                work: Arc::new(Semaphore::new(limits::VERDICTS_MAX)),
            })
        });
        Arc::clone(of_one)
    }
}

/// In work, and waiting.
const IN_ALL: usize = limits::QUEUE_MAX + limits::VERDICTS_MAX;

impl fmt::Debug for Places {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Places")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a058_over_the_limits_a_verdict_waits_and_then_is_refused_at_once() {
        let (places, registry) = (Arc::new(Places::default()), "one.example".parse::<Registry>().unwrap());
        let mut held = Vec::new();
        for _ in 0..limits::VERDICTS_MAX {
            held.push(places.take(&registry).await.unwrap());
        }
        let waiting: Vec<_> = (0..limits::QUEUE_MAX)
            .map(|_| {
                let (places, registry) = (Arc::clone(&places), registry.clone());
                tokio::spawn(async move { places.take(&registry).await.is_ok() })
            })
            .collect();
        while places.taken(&registry) < IN_ALL {
            tokio::task::yield_now().await;
        }
        assert_eq!(places.take(&registry).await.unwrap_err(), Full);
        // Another upstream's are untouched.
        assert!(places.take(&"other.example".parse().unwrap()).await.is_ok());
        drop(held);
        for waiter in waiting {
            assert!(waiter.await.unwrap());
        }
        assert_eq!(places.taken(&registry), 0);
    }
}
