//! The store of the gate: sealed records, bytes by digest, blobs. It can lose anything and invent nothing.
//!
//! Records are opaque here: [`pullgate_policy::seal`] made them and only it can open them (A504). Bytes are named by
//! their digest and hashed again before they count (A505, A506). So a hand that edits the folder can cost work, not trust.

use std::path::Path;

pub mod blobs;
pub mod db;
pub mod documents;
mod files;
pub mod folder;
pub mod limits;
mod loss;
pub(crate) mod sqlite;
pub mod unknown;
mod waits;

pub use blobs::{BlobBody, BlobFault, BlobSeries, Blobs, FlightKey, Reader};
pub use db::{
    Availability, Database, DatabaseError, GrantRow, Grants, RecordKey, RecordKind, SealKey, Standing,
    TagKey, TagSeen,
};
pub use documents::{Documents, Fill};
pub use folder::{FolderError, StateFolder};
pub use unknown::{Known, OrAnew, Unknown};
pub use waits::Waits;

use self::limits::{PRUNE_EVERY, ROWS_KEPT};

/// The state folder, held by this process, with what is in it. Blobs stand apart ([`Blobs`]): they know the upstream's
/// errors.
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
