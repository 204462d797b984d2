//! Evidence that passed, and whose its blobs are.

use std::sync::Arc;

use pullgate_policy::evidence::passing::Passing;
use pullgate_policy::oci::{Digest, Repository};

use super::Memory;

impl Memory {
    /// Evidence that passed in this repository a while ago.
    pub async fn passing(&self, repository: &Repository, manifest: Digest) -> Option<Arc<Passing>> {
        self.passing.get(&(repository.clone(), manifest)).await
    }

    /// The manifest of the evidence that owns a blob in this repository.
    pub async fn passing_with_blob(&self, repository: &Repository, blob: Digest) -> Option<Digest> {
        self.passing_blobs.get(&(repository.clone(), blob)).await
    }

    /// Remembers evidence that passed.
    pub async fn keep_passing(&self, repository: &Repository, passing: &Arc<Passing>) {
        let manifest = passing.document().digest();
        self.passing.insert((repository.clone(), manifest), Arc::clone(passing)).await;
        self.keep_passing_blobs(repository, passing).await;
    }

    /// Remembers whose its blobs are: of a blob that several have, the last that was asked for.
    pub async fn keep_passing_blobs(&self, repository: &Repository, passing: &Passing) {
        let manifest = passing.document().digest();
        for blob in passing.blobs() {
            self.passing_blobs.insert((repository.clone(), blob.digest()), manifest).await;
        }
    }
}
