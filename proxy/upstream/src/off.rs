//! Long work on answers, off the threads that serve (A611): one piece at a time for each upstream, so that a costly
//! upstream delays itself only.

use std::sync::Arc;

use pullgate_policy::limits;
use tokio::sync::Semaphore;

use crate::fault::Fault;

/// The thread of one upstream.
#[derive(Debug, Clone)]
pub(super) struct Off(Arc<Semaphore>);

impl Default for Off {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(1)))
    }
}

impl Off {
    /// Runs work over `bytes` bytes: on this thread where they are few.
    ///
    /// # Errors
    /// [`Fault::Internal`], when it panicked.
    pub(super) async fn over<T: Send + 'static>(
        &self,
        bytes: usize,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Fault> {
        if bytes <= limits::OFF_THREAD_BYTES {
            return Ok(work());
        }
        let place = Arc::clone(&self.0).acquire_owned().await.map_err(|_closed| Fault::Internal)?;
        let done = tokio::task::spawn_blocking(move || {
            let _place = place;
            work()
        });
        done.await.map_err(|_panic| Fault::Internal)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a611_what_is_small_is_done_at_once_and_what_is_larger_by_one_byte_elsewhere() {
        let (off, here) = (Off::default(), std::thread::current().id());
        let at = |bytes| off.over(bytes, || std::thread::current().id());
        assert_eq!(at(limits::OFF_THREAD_BYTES).await, Ok(here));
        assert!(at(limits::OFF_THREAD_BYTES + 1).await.is_ok_and(|there| there != here));
        assert_eq!(off.over(usize::MAX, || panic!("on purpose")).await, Err::<(), _>(Fault::Internal));
        assert_eq!(off.over(usize::MAX, || 7).await, Ok(7));
    }
}
