//! Detects another process that wrote into `cache.db` in place: in this process only the writer does.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Mutex;

use crate::sqlite::Mark;

/// The file as the writer left it.
#[derive(Debug)]
pub(super) struct Marked {
    file: PathBuf,
    left: Mutex<Option<Mark>>,
    overwritten: AtomicBool,
}

impl Marked {
    pub(super) fn new(file: &Path) -> Self {
        let left = Mutex::new(Mark::of(file));
        Self { file: file.to_owned(), left, overwritten: AtomicBool::new(false) }
    }

    /// Writes, unless the file differs from how the previous write left it: rows must not be added to another process's
    /// file.
    pub(super) async fn write<T>(&self, work: impl Future<Output = T>) -> Option<T> {
        let mut left = self.left.lock().await;
        if self.compare(*left).await {
            return None;
        }
        let done = work.await;
        *left = self.on_disk(Mark::of).await;
        Some(done)
    }

    /// Whether another process has written.
    pub(super) async fn is_overwritten(&self) -> bool {
        match self.left.try_lock() {
            Ok(left) => self.compare(*left).await,
            // The writer has just looked.
            Err(_writing) => self.overwritten.load(Ordering::Relaxed),
        }
    }

    async fn compare(&self, left: Option<Mark>) -> bool {
        if !self.overwritten.load(Ordering::Relaxed)
            && let Some(left) = left
            && self.on_disk(move |file| left.is_of_another(file)).await
        {
            self.overwritten.store(true, Ordering::Relaxed);
        }
        self.overwritten.load(Ordering::Relaxed)
    }

    /// Off the async threads: a file system may hang.
    async fn on_disk<T: Default + Send + 'static>(
        &self,
        look: impl FnOnce(&Path) -> T + Send + 'static,
    ) -> T {
        let file = self.file.clone();
        tokio::task::spawn_blocking(move || look(&file)).await.unwrap_or_default()
    }
}
