//! Concurrency limits of each upstream: verdicts under way, and requests that come before a verdict. An upstream that
//! does not answer exhausts its own limit only (A058, A059, A175).

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use parking_lot::Mutex;

use crate::limits;
use pullgate_policy::oci::Registry;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::effort;

/// The slots of every upstream. There are as many as upstreams that were ever configured.
#[derive(Default)]
pub struct Slots(Mutex<BTreeMap<Registry, Arc<OfOne>>>);

struct OfOne {
    queue: Arc<Semaphore>,
    work: Arc<Semaphore>,
    questions: Arc<Semaphore>,
}

/// A place, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Slot {
    _queue: OwnedSemaphorePermit,
    _work: OwnedSemaphorePermit,
}

/// The place of a question to an upstream, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct QuerySlot {
    _slot: OwnedSemaphorePermit,
}

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("too many wait for this upstream already")]
pub struct Full;

impl Slots {
    /// Waits for a place among the verdicts about `registry`.
    ///
    /// # Errors
    /// [`Full`] at once, when `queue_max` of them wait.
    pub async fn take(&self, registry: &Registry) -> Result<Slot, Full> {
        let _queued = effort::queued();
        let of_one = self.of(registry);
        let queue = Arc::clone(&of_one.queue).try_acquire_owned().map_err(|_| Full)?;
        let work = Arc::clone(&of_one.work).acquire_owned().await.map_err(|_| Full)?;
        Ok(Slot { _queue: queue, _work: work })
    }

    /// A place among the verdicts about `registry`, if one is free now.
    pub fn free(&self, registry: &Registry) -> Option<Slot> {
        let of_one = self.of(registry);
        let queue = Arc::clone(&of_one.queue).try_acquire_owned().ok()?;
        let work = Arc::clone(&of_one.work).try_acquire_owned().ok()?;
        Some(Slot { _queue: queue, _work: work })
    }

    /// A place among the questions to `registry`. It never waits: a leaving client does not end its question, so a slow
    /// upstream would pile up questions in vain.
    ///
    /// # Errors
    /// [`Full`] at once, when `questions_max` of them are under way.
    pub fn question(&self, registry: &Registry) -> Result<QuerySlot, Full> {
        let place = Arc::clone(&self.of(registry).questions).try_acquire_owned().map_err(|_| Full)?;
        Ok(QuerySlot { _slot: place })
    }

    /// How many questions to `registry` are under way.
    #[must_use]
    pub fn asked(&self, registry: &Registry) -> usize {
        limits::QUESTIONS_MAX.saturating_sub(self.of(registry).questions.available_permits())
    }

    /// How many verdicts about `registry` are in work or wait.
    #[must_use]
    pub fn taken(&self, registry: &Registry) -> usize {
        IN_ALL.saturating_sub(self.of(registry).queue.available_permits())
    }

    /// How many verdicts are in work or wait, and how many questions are under way, of the upstream that has most of each.
    #[must_use]
    pub fn fullest(&self) -> (usize, usize) {
        let slots = self.0.lock();
        let most = |taken: fn(&OfOne) -> usize| slots.values().map(|one| taken(one)).max().unwrap_or(0);
        (
            most(|one| IN_ALL.saturating_sub(one.queue.available_permits())),
            most(|one| limits::QUESTIONS_MAX.saturating_sub(one.questions.available_permits())),
        )
    }

    fn of(&self, registry: &Registry) -> Arc<OfOne> {
        let mut slots = self.0.lock();
        let of_one = slots.entry(registry.clone()).or_insert_with(|| {
            Arc::new(OfOne {
                queue: Arc::new(Semaphore::new(IN_ALL)),
                work: Arc::new(Semaphore::new(limits::VERDICTS_MAX)),
                questions: Arc::new(Semaphore::new(limits::QUESTIONS_MAX)),
            })
        });
        Arc::clone(of_one)
    }
}

/// In work, and waiting.
const IN_ALL: usize = limits::QUEUE_MAX + limits::VERDICTS_MAX;

const _: () =
    assert!(IN_ALL <= limits::QUESTIONS_MAX, "who is given a place for a verdict may ask for its manifest");

impl fmt::Debug for Slots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Slots")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a059_over_the_limit_a_question_is_refused_at_once_and_another_upstream_is_asked() {
        let (slots, registry) = (Slots::default(), "one.example".parse::<Registry>().unwrap());
        let held: Vec<_> = (0..limits::QUESTIONS_MAX).map(|_| slots.question(&registry).unwrap()).collect();
        assert_eq!(slots.asked(&registry), limits::QUESTIONS_MAX);
        assert_eq!(slots.question(&registry).unwrap_err(), Full);
        assert!(slots.question(&"other.example".parse().unwrap()).is_ok());
        drop(held);
        assert!(slots.question(&registry).is_ok());
        assert_eq!(slots.asked(&registry), 0);
    }

    #[tokio::test]
    async fn a058_over_the_limits_a_verdict_waits_and_then_is_refused_at_once() {
        let (slots, registry) = (Arc::new(Slots::default()), "one.example".parse::<Registry>().unwrap());
        let mut held = Vec::new();
        for _ in 0..limits::VERDICTS_MAX {
            held.push(slots.take(&registry).await.unwrap());
        }
        let waiting: Vec<_> = (0..limits::QUEUE_MAX)
            .map(|_| {
                let (slots, registry) = (Arc::clone(&slots), registry.clone());
                tokio::spawn(async move { slots.take(&registry).await.is_ok() })
            })
            .collect();
        while slots.taken(&registry) < IN_ALL {
            tokio::task::yield_now().await;
        }
        assert_eq!(slots.take(&registry).await.unwrap_err(), Full);
        // Another upstream's are untouched.
        assert!(slots.take(&"other.example".parse().unwrap()).await.is_ok());
        drop(held);
        for waiter in waiting {
            assert!(waiter.await.unwrap());
        }
        assert_eq!(slots.taken(&registry), 0);
    }
}
