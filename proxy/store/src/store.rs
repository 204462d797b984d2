//! The state folder of a gate, with all that is in it but the blobs.

use std::path::Path;

use crate::db::{Database, DatabaseError};
use crate::documents::Documents;
use crate::folder::{FolderError, StateFolder};
use crate::limits::{PRUNE_EVERY, ROWS_KEPT};
use crate::waits::Waits;

/// The state folder, held by this process, with what is in it. Blobs stand apart ([`Blobs`](crate::Blobs)): they know the
/// upstream's errors.
#[derive(Debug)]
pub struct Store {
    folder: StateFolder,
    database: Database,
    documents: Documents,
}

/// Why there is no store at all. A store that cannot be written is none of these: it opens and forgets.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database was made by a later release.
    #[error(transparent)]
    Database(#[from] DatabaseError),
}

impl Store {
    /// Takes the folder for this process and opens what is in it.
    ///
    /// # Errors
    /// [`StoreError`]: another process holds the folder, it cannot be made, or a later release wrote the database.
    pub async fn open(path: &Path, waits: Waits) -> Result<Self, StoreError> {
        let folder = StateFolder::open(path)?;
        let database = Database::open(folder.path(), waits).await?;
        let documents = Documents::new(&folder);
        Ok(Self { folder, database, documents })
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &StateFolder {
        &self.folder
    }

    /// Permits, evidence, grants, tags, presence.
    #[must_use]
    pub fn database(&self) -> &Database {
        &self.database
    }

    /// Manifests and evidence by digest.
    #[must_use]
    pub fn documents(&self) -> &Documents {
        &self.documents
    }

    /// Keeps documents and rows within their limits, for ever.
    pub async fn prune(&self) {
        loop {
            self.documents.prune().await;
            self.database.prune(ROWS_KEPT);
            tokio::time::sleep(PRUNE_EVERY).await;
        }
    }

    /// Writes what is queued and closes the database.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
