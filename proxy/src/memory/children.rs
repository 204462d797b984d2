//! Children of indexes that were read on behalf of a blob.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::limits;
use pullgate_policy::oci::{Digest, Repository};

use super::Memory;

/// What came of a child that was read on behalf of a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Child {
    /// The upstream has none, or none that can be read.
    Absent,
    /// It could not be had. This is no answer to anybody: it only says in which order they are read.
    Failed,
    /// What it grants is kept.
    Read,
}

impl Memory {
    /// What came of a child within the last `deny_ttl` (A615).
    pub async fn child(&self, repository: &Repository, child: Digest) -> Option<Child> {
        self.lives.of(self.children.get(&(repository.clone(), child)).await?)
    }

    /// Whether another child of this repository may be asked for: so many within `deny_ttl`, by whatever questions.
    pub async fn may_ask_for_child(&self, repository: &Repository) -> bool {
        let asked = self.children_asked.get_with_by_ref(repository, async { Arc::default() }).await;
        asked.fetch_add(1, Ordering::Relaxed) < limits::CHILDREN_READ_FOR_BLOB
    }

    /// Remembers what came of a child.
    pub async fn keep_child(&self, repository: &Repository, child: Digest, what: Child) {
        let what = self.lives.for_ttl(what, &self.lives.deny_ttl);
        self.children.insert((repository.clone(), child), what).await;
    }
}
