//! The compute pool, off the async threads. It leaves them one processor: a flood of expensive evidence must not delay pulls
//! that are permitted already (A058).
//!
//! Upstreams take turns, and within each its repositories: expensive evidence delays its own repository only (A604).
//! The memory of concurrent work is bounded too (A602).

use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;

use parking_lot::Mutex;

use crate::limits;
use pullgate_policy::limits::{
    EVIDENCE_ITEM_BYTES, JSON_MEMORY, LIBRARY_BYTES, OFF_THREAD_BYTES, STATEMENT_MEMORY,
};
use pullgate_policy::oci::Repository;
use tokio::sync::oneshot;

use crate::effort::{self, Threads};

mod turns;

use turns::Turns;

/// Threads for computing.
#[derive(Clone)]
pub struct ComputePool(Arc<Shared>);

struct Shared {
    at_once: usize,
    state: Mutex<Busy>,
}

/// What runs, and what waits for its turn.
#[derive(Default)]
struct Busy {
    running: usize,
    memory: u64,
    waiting: Turns<Waiter>,
}

struct Waiter {
    memory: u64,
    go: oneshot::Sender<Thread>,
}

/// A thread, until it is dropped.
struct Thread(Option<(Arc<Shared>, u64)>);

/// The repository that work is for, and the memory that it takes at most.
#[derive(Debug, Clone, Copy)]
pub struct Work<'a> {
    /// Whose.
    pub repository: &'a Repository,
    /// Bytes of memory.
    pub memory: u64,
}

/// The work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker died")]
pub struct Died;

impl ComputePool {
    /// One fewer than there are processors, and at least one.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }

    fn new(at_once: usize) -> Self {
        Self(Arc::new(Shared { at_once, state: Mutex::default() }))
    }

    /// Waits for a turn and a thread, and runs the work on it. Work that has begun runs to its end, even if the caller
    /// leaves. Its time counts for the subject that the task works for (A612).
    ///
    /// # Errors
    /// [`Died`], when it panicked.
    pub async fn run<T: Send + 'static>(
        &self,
        of: Work<'_>,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Died> {
        let _computing = effort::computing();
        let (go, turn) = oneshot::channel();
        let memory = of.memory.min(limits::WORK_BYTES);
        self.0.lock().waiting.push(of.repository, Waiter { memory, go });
        self.0.begin();
        let place = turn.await.map_err(|_closed| Died)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_panic| Died)
    }

    /// Runs work over `bytes` bytes: on this thread where they are few, else as [`Self::run`] (A611).
    ///
    /// # Errors
    /// [`Died`].
    pub async fn over<T: Send + 'static>(
        &self,
        repository: &Repository,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Died> {
        if bytes <= OFF_THREAD_BYTES {
            return Ok(work());
        }
        self.run(Work { repository, memory: memory_of_reading(bytes as u64) }, work).await
    }

    /// The memory that running work takes at most, as declared, bytes.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.0.lock().memory
    }

    /// Whether one is free.
    #[must_use]
    pub fn threads(&self) -> Threads {
        let (busy, of) = self.busy();
        if busy < of { Threads::Free } else { Threads::Busy }
    }

    /// How many threads are busy, of how many.
    #[must_use]
    pub fn busy(&self) -> (usize, usize) {
        (self.0.lock().running, self.0.at_once)
    }
}

/// Bytes of memory that reading a JSON text of this length takes at most.
#[must_use]
pub fn memory_of_reading(bytes: u64) -> u64 {
    let values = bytes.saturating_mul(VALUES_TIMES).min(JSON_MEMORY as u64);
    bytes.saturating_add(values)
}

/// Bytes of memory that verifying a piece of evidence of this length takes at most: the payload is copied, encoded for
/// the signature, and handed to a library that copies and reads it once more.
#[must_use]
pub fn memory_of_verifying(bytes: u64) -> u64 {
    let values = bytes.saturating_mul(VALUES_TIMES).min(STATEMENT_MEMORY as u64);
    bytes.saturating_mul(copies(bytes)).saturating_add(values)
}

/// How much more a JSON text takes as values than as text: `{"a":0}` in a list.
const VALUES_TIMES: u64 = 100;
/// Copies of three quarters of a piece, its payload: as it is signed, and twice in the library, where that is asked.
const fn copies(bytes: u64) -> u64 {
    if bytes / 4 * 3 <= LIBRARY_BYTES { 3 } else { 1 }
}

impl Shared {
    fn lock(&self) -> parking_lot::MutexGuard<'_, Busy> {
        self.state.lock()
    }

    /// Gives free threads to the waiters in turn.
    fn begin(self: &Arc<Self>) {
        loop {
            let waiter = {
                let mut state = self.lock();
                let (running, memory) = (state.running, state.memory);
                let fits = |waiter: &Waiter| {
                    running == 0 || memory.saturating_add(waiter.memory) <= limits::WORK_BYTES
                };
                if running >= self.at_once {
                    return;
                }
                // The next waiter keeps its turn even if its memory does not fit yet: passed over, it could wait for
                // ever.
                let Some(waiter) = state.waiting.next_if(fits) else { return };
                state.running += 1;
                state.memory = state.memory.saturating_add(waiter.memory);
                waiter
            };
            let place = Thread(Some((Arc::clone(self), waiter.memory)));
            if let Err(mut unwanted) = waiter.go.send(place) {
                // Who waited has left.
                if let Some((shared, memory)) = unwanted.0.take() {
                    shared.end(memory);
                }
            }
        }
    }

    fn end(&self, memory: u64) {
        let mut state = self.lock();
        state.running = state.running.saturating_sub(1);
        state.memory = state.memory.saturating_sub(memory);
    }
}

impl Drop for Thread {
    fn drop(&mut self) {
        if let Some((shared, memory)) = self.0.take() {
            shared.end(memory);
            shared.begin();
        }
    }
}

impl fmt::Debug for ComputePool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ComputePool").field("at_once", &self.0.at_once).finish_non_exhaustive()
    }
}

/// Bytes of the largest envelope whose payload the library is given.
const LARGEST_FOR_LIBRARY: u64 = LIBRARY_BYTES / 3 * 4;
const _: () = assert!(
    LARGEST_FOR_LIBRARY * copies(LARGEST_FOR_LIBRARY) + STATEMENT_MEMORY as u64 <= limits::WORK_BYTES
        && EVIDENCE_ITEM_BYTES * copies(EVIDENCE_ITEM_BYTES) + STATEMENT_MEMORY as u64 <= limits::WORK_BYTES,
    "the largest piece of evidence can be verified"
);

#[cfg(test)]
mod tests;
