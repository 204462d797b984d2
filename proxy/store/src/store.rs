//! The state folder of a gate, with all that is in it but the blobs.

use std::path::Path;

use crate::copy::{self, CopyFault};
use crate::db::{Bounds, Database, DatabaseError};
use crate::documents::Documents;
use crate::folder::{FolderError, StateFolder};
use crate::limits::{DATABASE_DISK_SHARE, DATABASE_LOOK_EVERY, PRUNE_EVERY};
use crate::waits::Waits;

/// The file of the rows.
const DATABASE: &str = "cache.db";

/// The state folder, locked by this process, with its database and documents. Blobs stand apart
/// ([`Blobs`](crate::Blobs)): they know the upstream's errors.
#[derive(Debug)]
pub struct Store {
    folder: StateFolder,
    database: Database,
    documents: Documents,
}

/// Why there is no store at all. An unwritable store is not one of these: it opens and forgets.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// The folder cannot be had.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// The database was made by a later release.
    #[error(transparent)]
    Database(#[from] DatabaseError),
    /// The rows of another process cannot be read.
    #[error(transparent)]
    Copy(#[from] CopyFault),
}

impl Store {
    /// Locks the folder for this process and opens database and documents.
    ///
    /// # Errors
    /// [`StoreError`]: another process holds the folder, it cannot be made, or a later release wrote the database.
    pub async fn open(path: &Path, waits: Waits) -> Result<Self, StoreError> {
        let folder = StateFolder::open(path)?;
        let database = Database::open(folder.path(), waits).await?;
        let documents = Documents::new(&folder);
        Ok(Self { folder, database, documents })
    }

    /// A snapshot of `state`, whether or not a process holds it: rows are copied into `own`, documents are read in
    /// place, and writes go into `own`. Nothing in `state` is changed.
    ///
    /// # Errors
    /// [`StoreError`]: `own` cannot be had, the rows cannot be copied, or a later release wrote them.
    pub async fn beside(state: &Path, own: &Path, waits: Waits) -> Result<Self, StoreError> {
        let folder = StateFolder::open(own)?;
        copy::copy(&state.join(DATABASE), &folder.path().join(DATABASE), waits.known).await?;
        let database = Database::open(folder.path(), waits).await?;
        let documents = Documents::beside(&folder, state);
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
        tokio::join!(
            async {
                loop {
                    self.documents.prune().await;
                    tokio::time::sleep(PRUNE_EVERY).await;
                }
            },
            async {
                loop {
                    self.database.prune(Bounds::within(self.database_room().await)).await;
                    tokio::time::sleep(DATABASE_LOOK_EVERY).await;
                }
            }
        );
    }

    /// Bytes that a small disk has for the database: a part of the free space plus its present size.
    async fn database_room(&self) -> u64 {
        let folder = self.folder.path().to_owned();
        let look = move || {
            let stat = rustix::fs::statvfs(&folder).ok()?;
            let free = stat.f_bavail.saturating_mul(stat.f_frsize);
            let own = std::fs::symlink_metadata(folder.join("cache.db")).map(|file| file.len()).unwrap_or(0);
            Some(free.saturating_add(own) / DATABASE_DISK_SHARE)
        };
        // Where the disk does not tell, only the limit counts.
        tokio::task::spawn_blocking(look).await.ok().flatten().unwrap_or(u64::MAX)
    }

    /// Writes the queue and closes the database.
    pub async fn close(&self) {
        self.database.close().await;
    }
}
