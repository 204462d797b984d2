//! Children of indexes that were read on behalf of a blob.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::limits;
use pullgate_policy::oci::{Digest, Repository};

use super::Memory;

/// The outcome for a child that was read on behalf of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The upstream has no such manifest, or an unreadable one.
    Absent,
    /// It could not be had. No client gets this as an answer: it only decides the order of reading.
    Failed,
    /// What it grants is kept.
    Read,
}

impl Memory {
    /// The outcome for a child within the last `deny_ttl` (A615).
    pub async fn child(&self, repository: &Repository, child: Digest) -> Option<Child> {
        self.lives.of(self.children.get(&(repository.clone(), child)).await?)
    }

    /// Whether another child of this repository may be asked for: their number within `deny_ttl` is limited, over all
    /// requests.
    pub async fn may_ask_for_child(&self, repository: &Repository) -> bool {
        let asked = self.children_asked.get_with_by_ref(repository, async { Arc::default() }).await;
        asked.fetch_add(1, Ordering::Relaxed) < limits::CHILDREN_READ_FOR_BLOB
    }

    /// Remembers the outcome for a child.
    pub async fn keep_child(&self, repository: &Repository, child: Digest, what: Child) {
        let what = self.lives.for_ttl(what, &self.lives.deny_ttl);
        self.children.insert((repository.clone(), child), what).await;
    }
}
