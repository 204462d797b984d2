//! Work that computes, off the async threads: never more at once than leaves them a processor, or a flood of expensive
//! evidence would hold up pulls that are permitted already (A058).

use std::sync::Arc;
use std::thread::available_parallelism;

use tokio::sync::Semaphore;

/// Threads for computing.
#[derive(Debug)]
pub struct Workers(Arc<Semaphore>);

/// The work panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a worker died")]
pub struct Died;

impl Workers {
    /// One fewer than there are processors, and at least one.
    #[must_use]
    pub fn of_this_machine() -> Self {
        let processors = available_parallelism().map_or(1, usize::from);
        Self::new(processors.saturating_sub(1).max(1))
    }

    fn new(at_once: usize) -> Self {
        Self(Arc::new(Semaphore::new(at_once)))
    }

    /// Waits for a thread and runs the work on it. Work that has begun ends, whoever still waits for it.
    ///
    /// # Errors
    /// [`Died`], when it panicked.
    pub async fn run<T: Send + 'static>(&self, work: impl FnOnce() -> T + Send + 'static) -> Result<T, Died> {
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|_closed| Died)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_panic| Died)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::time::Duration;

    use super::*;

    #[tokio::test]
    async fn no_more_than_so_many_work_at_once_though_nobody_waits_for_them() {
        let workers = Arc::new(Workers::new(2));
        let (working, most) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
        let mut waiting = Vec::new();
        for at in 0..10 {
            let (workers, working, most) = (Arc::clone(&workers), Arc::clone(&working), Arc::clone(&most));
            let work = move || {
                most.fetch_max(working.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
                std::thread::sleep(Duration::from_millis(20));
                working.fetch_sub(1, Ordering::SeqCst);
            };
            let task = tokio::spawn(async move { workers.run(work).await });
            if at % 3 == 0 {
                // Leaves while it may be at work.
                tokio::time::sleep(Duration::from_millis(5)).await;
                task.abort();
            } else {
                waiting.push(task);
            }
        }
        for task in waiting {
            assert_eq!(task.await.unwrap(), Ok(()));
        }
        assert!(most.load(Ordering::SeqCst) <= 2);
    }

    #[tokio::test]
    async fn so_many_do_work_at_once() {
        let (workers, both) = (Workers::new(2), Arc::new(std::sync::Barrier::new(2)));
        let work = || {
            let both = Arc::clone(&both);
            move || drop(both.wait())
        };
        assert_eq!(tokio::join!(workers.run(work()), workers.run(work())), (Ok(()), Ok(())));
    }

    #[tokio::test]
    async fn a_panic_is_told_and_its_place_is_free_again() {
        let workers = Workers::new(1);
        assert_eq!(workers.run(|| panic!("on purpose")).await, Err::<(), _>(Died));
        assert_eq!(workers.run(|| 7).await, Ok(7));
    }
}
