//! The pull log as pages read it: on connections of their own, beside the gate that writes it.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::audit::read::{ReadError, Reader};

/// The database, and who reads it.
#[derive(Debug, Clone)]
pub(super) struct Log {
    file: Arc<PathBuf>,
    open: Arc<Mutex<Option<Reader>>>,
}

impl Log {
    pub(super) fn new(state: &Path) -> Self {
        Self { file: Arc::new(state.join("audit.db")), open: Arc::default() }
    }

    /// Its reader; opened when the first page is asked for.
    pub(super) async fn reader(&self) -> Result<Reader, ReadError> {
        let held = self.open.lock().clone();
        if let Some(reader) = held {
            // The file may be another one since.
            match reader.newest().await {
                Ok(_) => return Ok(reader),
                Err(_) => *self.open.lock() = None,
            }
        }
        let reader = Reader::open(&self.file).await?;
        *self.open.lock() = Some(reader.clone());
        Ok(reader)
    }
}
