//! Single flight: one piece of work per key at a time, shared by all equal requests, which a leaving client does not
//! end (A057, A060).

use std::collections::HashMap;
use std::fmt;
use std::hash::Hash;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits;
use tokio::sync::watch;
use tokio::time::Instant;
use tracing::Instrument as _;

type Running<K, V> = Arc<Mutex<HashMap<K, Flying<V>>>>;

/// The age of work from which on a request that joins it does not share its failure.
const JOINED_LATE: Duration = Duration::from_secs(2);

/// Work under way.
#[derive(Clone)]
struct Flying<V> {
    result: watch::Receiver<Option<V>>,
    since: Instant,
}

/// Merges concurrent work by key.
pub struct SingleFlight<K, V> {
    running: Running<K, V>,
}

/// The work panicked, or was not done within `background_deadline`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the work ended without a result")]
pub struct Lost;

/// Removes the key however the work ends, so that the next request starts anew (A545). Waiters are woken after that:
/// work that they begin then is not confused with this.
struct Landing<K: Hash + Eq, V> {
    running: Running<K, V>,
    key: Option<K>,
    waiting: watch::Sender<Option<V>>,
}

impl<K: Hash + Eq, V> Landing<K, V> {
    fn clear(&mut self) {
        if let Some(key) = self.key.take() {
            self.running.lock().remove(&key);
        }
    }
}

impl<K: Hash + Eq, V> Drop for Landing<K, V> {
    fn drop(&mut self) {
        self.clear();
    }
}

impl<K, V> SingleFlight<K, V>
where
    K: Hash + Eq + Clone + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    /// Nothing is under way.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Joins the work for `key`, or begins it; where the joined work is lost, one of the waiters begins anew, once
    /// (A545). Dropping the returned future leaves the work running.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn join<F>(&self, key: K, work: impl FnOnce() -> F + Send) -> Result<V, Lost>
    where
        F: Future<Output = V> + Send + 'static,
    {
        self.join_unless(key, work, |_| false).await
    }

    /// As [`Self::join`]; but if the work fails, one of those who joined it late begins it anew, once: a failure from
    /// before their request must not become theirs.
    ///
    /// # Errors
    /// [`Lost`].
    pub async fn join_unless<F>(
        &self,
        key: K,
        work: impl FnOnce() -> F + Send,
        failed: impl Fn(&V) -> bool + Send,
    ) -> Result<V, Lost>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let (mut work, mut last) = (Some(work), Err(Lost));
        for _ in 0..2 {
            let mut flying = self.board(key.clone(), &mut work);
            let late = work.is_some() && flying.since.elapsed() >= JOINED_LATE;
            last = match flying.result.wait_for(Option::is_some).await {
                Ok(value) => value.clone().ok_or(Lost),
                Err(_) => Err(Lost),
            };
            let anew = match &last {
                Ok(value) => late && failed(value),
                Err(Lost) => work.is_some(),
            };
            if !anew {
                break;
            }
        }
        last
    }

    /// Where nothing is under way, `work` is taken.
    fn board<F>(&self, key: K, work: &mut Option<impl FnOnce() -> F>) -> Flying<V>
    where
        F: Future<Output = V> + Send + 'static,
    {
        let mut running = self.running.lock();
        if let Some(flying) = running.get(&key) {
            return flying.clone();
        }
        let (waiting, result) = watch::channel(None);
        let flying = Flying { result, since: Instant::now() };
        let Some(work) = work.take() else { return flying };
        running.insert(key.clone(), flying.clone());
        let mut landing = Landing { running: Arc::clone(&self.running), key: Some(key), waiting };
        let work = work();
        let flight = async move {
            let done = tokio::time::timeout(limits::BACKGROUND_DEADLINE, work).await;
            landing.clear();
            if let Ok(value) = done {
                landing.waiting.send_replace(Some(value));
            }
        };
        // The work keeps the trace of the request that began it.
        tokio::spawn(flight.in_current_span());
        flying
    }
}

impl<K, V> Default for SingleFlight<K, V> {
    fn default() -> Self {
        Self { running: Arc::default() }
    }
}

impl<K, V> fmt::Debug for SingleFlight<K, V> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SingleFlight")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[tokio::test(start_paused = true)]
    async fn a057_a_hundred_who_ask_cost_one() {
        let flight = Arc::new(SingleFlight::new());
        let count = Arc::new(AtomicUsize::new(0));
        let asks = (0..100).map(|_| {
            let (flight, count) = (Arc::clone(&flight), Arc::clone(&count));
            tokio::spawn(async move {
                let work = || async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    count.fetch_add(1, Ordering::SeqCst)
                };
                flight.join("key", work).await
            })
        });
        for ask in asks.collect::<Vec<_>>() {
            assert_eq!(ask.await.unwrap(), Ok(0));
        }
        assert_eq!(count.load(Ordering::SeqCst), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn a057_who_joins_late_does_not_inherit_a_failure_and_who_joins_at_once_does() {
        let bit = Duration::from_millis(100);
        for (joined_after, told, begun) in [(JOINED_LATE - bit, Err("down"), 1), (JOINED_LATE, Ok(2), 2)] {
            let (flight, count) = (Arc::new(SingleFlight::new()), Arc::new(AtomicUsize::new(0)));
            let ask = |flight: Arc<SingleFlight<&'static str, Result<usize, &'static str>>>| {
                let count = Arc::clone(&count);
                tokio::spawn(async move {
                    let work = || async move {
                        let n = count.fetch_add(1, Ordering::SeqCst) + 1;
                        tokio::time::sleep(JOINED_LATE * 4).await;
                        if n == 1 { Err("down") } else { Ok(n) }
                    };
                    flight.join_unless("key", work, Result::is_err).await
                })
            };
            let first = ask(Arc::clone(&flight));
            tokio::time::sleep(joined_after).await;
            let late: Vec<_> = (0..10).map(|_| ask(Arc::clone(&flight))).collect();
            assert_eq!(first.await.unwrap(), Ok(Err("down")));
            for one in late {
                assert_eq!(one.await.unwrap(), Ok(told));
            }
            assert_eq!(count.load(Ordering::SeqCst), begun);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a060_work_outlives_the_client_that_began_it() {
        let flight = SingleFlight::new();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let work = || async move {
            tokio::time::sleep(Duration::from_millis(20)).await;
            sender.send(()).ok();
        };
        let left = tokio::time::timeout(Duration::from_millis(1), flight.join("key", work)).await;
        assert!(left.is_err());
        receiver.await.unwrap();
    }

    #[tokio::test]
    async fn a545_a_panic_is_lost_and_the_next_one_starts_anew() {
        let flight: SingleFlight<&str, u8> = SingleFlight::new();
        assert_eq!(flight.join("key", || async { panic!("injected") }).await, Err(Lost));
        assert_eq!(flight.join("key", || async { 7 }).await, Ok(7));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn a545_who_hears_that_it_is_lost_finds_nothing_under_way() {
        for _ in 0..300 {
            let (flight, hold) = (Arc::new(SingleFlight::new()), Arc::new(tokio::sync::Semaphore::new(0)));
            let leader = {
                let (flight, hold) = (Arc::clone(&flight), Arc::clone(&hold));
                tokio::spawn(async move {
                    let work = || async move {
                        let _released = hold.acquire().await;
                        panic!("injected")
                    };
                    flight.join("key", work).await
                })
            };
            while flight.running.lock().is_empty() {
                tokio::task::yield_now().await;
            }
            let waits = {
                let flight = Arc::clone(&flight);
                tokio::spawn(async move { flight.join("key", || async { 7 }).await })
            };
            tokio::task::yield_now().await;
            hold.add_permits(1);
            assert_eq!(leader.await.unwrap(), Err(Lost));
            assert_eq!(waits.await.unwrap(), Ok(7));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn a545_of_those_who_wait_for_what_is_lost_one_begins_anew_and_once() {
        for (fails, told) in [(1, Ok(7)), (2, Err(Lost))] {
            let (flight, begun) = (Arc::new(SingleFlight::new()), Arc::new(AtomicUsize::new(0)));
            let work = |begun: Arc<AtomicUsize>| {
                move || async move {
                    let n = begun.fetch_add(1, Ordering::SeqCst);
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    assert!(n >= fails, "injected");
                    7
                }
            };
            let asks: Vec<_> = (0..10)
                .map(|_| {
                    let (flight, work) = (Arc::clone(&flight), work(Arc::clone(&begun)));
                    tokio::spawn(async move { flight.join("key", work).await })
                })
                .collect();
            let mut ends = Vec::new();
            for ask in asks {
                ends.push(ask.await.unwrap());
            }
            // The request that began work is not served by another's, and no request begins twice.
            let mut expected = vec![told; 10];
            expected[0] = Err(Lost);
            assert_eq!((ends, begun.load(Ordering::SeqCst)), (expected, 2));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn work_over_background_deadline_is_lost_and_the_next_one_starts_anew() {
        let flight: SingleFlight<&str, u8> = SingleFlight::new();
        let lasting = |time: Duration| {
            move || async move {
                tokio::time::sleep(time).await;
                7
            }
        };
        let (limit, bit) = (limits::BACKGROUND_DEADLINE, Duration::from_millis(1));
        assert_eq!(flight.join("key", lasting(limit - bit)).await, Ok(7));
        assert_eq!(flight.join("key", lasting(limit + bit)).await, Err(Lost));
        assert_eq!(flight.join("key", lasting(bit)).await, Ok(7));
    }
}
