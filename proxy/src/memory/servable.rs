//! Evidence that passed, the owners of its blobs, and evidence that did not pass.

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits;
use bytes::Bytes;
use jiff::Timestamp;
use moka::future::Cache;
use moka::policy::EvictionPolicy;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::servable::{NotServable, ServableEvidence};
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::Revisions;
use pullgate_policy::verdict::{Denial, Subject};

use super::{Aging, ContentKey, Memory, VerdictKey, small, weight};

/// The memory of evidence. Only blobs that fit into one piece of a response are kept in memory: a larger one is read
/// from the disk for each request.
pub(super) struct Evidence {
    passing: Cache<ContentKey, (Timestamp, Arc<ServableEvidence>)>,
    owners: Cache<ContentKey, Arc<Vec<Digest>>>,
    copies: Cache<ContentKey, Intact<Bytes>>,
    unpassed: Cache<VerdictKey, Aging<Arc<Unservable>>>,
}

/// Why a manifest does not leave as evidence.
#[derive(Debug, Clone)]
pub enum Unservable {
    /// Its subject, or a part of it, is blocked.
    Blocked(Box<Denial>),
    /// It is judged like any other.
    Not {
        /// Why.
        why: NotServable,
        /// What else that rests on, where it holds for longer than a denial.
        rests_on: Option<RestsOn>,
    },
}

/// What a no rests on besides the evidence itself, which does not change: its subjects that existed.
#[derive(Debug, Clone, Default)]
pub struct RestsOn {
    /// Subjects that the evidence names.
    pub named: Vec<Digest>,
    /// Those of them that were tried and are there.
    pub here: BTreeSet<Digest>,
    /// Those that were tried and are not.
    pub absent: BTreeSet<Digest>,
}

impl RestsOn {
    /// How many subjects were tried.
    #[must_use]
    pub fn tried(&self) -> usize {
        self.here.len() + self.absent.len()
    }

    /// The bytes that its lists take, about.
    #[must_use]
    pub fn held(&self) -> usize {
        size_of::<Digest>() * (self.named.len() + 2 * self.tried())
    }
}

impl Evidence {
    pub(super) fn new() -> Self {
        Self {
            passing: small(|key: &ContentKey, (_, passing): &(Timestamp, Arc<ServableEvidence>)| {
                weight::of_passing::<ContentKey>(&key.0, passing)
            })
            .time_to_live(pullgate_config::limits::PERMIT_TTL_MAX)
            .build(),
            owners: small(|key: &ContentKey, owners: &Arc<Vec<Digest>>| {
                weight::of_entry::<ContentKey, Arc<Vec<Digest>>>(&key.0, size_of_val(owners.as_slice()))
            })
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(pullgate_config::limits::PERMIT_TTL_MAX)
            .build(),
            copies: Cache::builder()
                .weigher(|key: &ContentKey, copy: &Intact<Bytes>| {
                    weight::of_entry::<ContentKey, Intact<Bytes>>(&key.0, copy.value().len())
                })
                .max_capacity(limits::PASSING_BYTES)
                .time_to_idle(pullgate_config::limits::PERMIT_TTL)
                .build(),
            // By age, as denials: a flood of new ones must not keep the newest from being remembered.
            unpassed: small(|key, unpassed: &Aging<Arc<Unservable>>| {
                weight::of_unpassing(key, &unpassed.value)
            })
            .eviction_policy(EvictionPolicy::lru())
            .time_to_live(pullgate_config::limits::PERMIT_TTL)
            .build(),
        }
    }

    #[cfg(test)]
    pub(super) async fn settle(&self) {
        self.copies.run_pending_tasks().await;
    }
}

impl Memory {
    /// Evidence that passed in this repository, and when that was found.
    pub async fn passing(
        &self,
        repository: &Repository,
        manifest: Digest,
    ) -> Option<(Timestamp, Arc<ServableEvidence>)> {
        self.evidence.passing.get(&(repository.clone(), manifest)).await
    }

    /// Remembers evidence that passed.
    pub async fn keep_passing(&self, repository: &Repository, passing: &Arc<ServableEvidence>) {
        let found = (self.lives.clock.now(), Arc::clone(passing));
        self.evidence.passing.insert((repository.clone(), passing.manifest()), found).await;
        self.keep_passing_blobs(repository, passing).await;
    }

    /// The manifests of evidence that have a blob in this repository, the last that was asked for first.
    pub async fn passing_with_blob(&self, repository: &Repository, blob: Digest) -> Arc<Vec<Digest>> {
        self.evidence.owners.get(&(repository.clone(), blob)).await.unwrap_or_default()
    }

    /// Remembers the owners of its blobs: for a blob with many owners, the last few that were asked for.
    pub async fn keep_passing_blobs(&self, repository: &Repository, passing: &ServableEvidence) {
        let manifest = passing.manifest();
        for blob in passing.blobs() {
            let key = (repository.clone(), blob.digest);
            let before = self.evidence.owners.get(&key).await.unwrap_or_default();
            if before.first() == Some(&manifest) {
                continue;
            }
            let others = before.iter().copied().filter(|other| *other != manifest);
            let owners = std::iter::once(manifest)
                .chain(others)
                .take(pullgate_store::limits::EVIDENCE_OF_BLOB)
                .collect();
            self.evidence.owners.insert(key, Arc::new(owners)).await;
        }
    }

    /// A copy of a small blob of evidence.
    pub async fn evidence_blob(&self, repository: &Repository, sha256: Digest) -> Option<Intact<Bytes>> {
        self.evidence.copies.get(&(repository.clone(), sha256)).await
    }

    /// Remembers it.
    pub async fn keep_evidence_blob(&self, repository: &Repository, copy: &Intact<Bytes>) {
        if copy.value().len() <= pullgate_store::limits::STREAM_CHUNK_BYTES {
            self.evidence.copies.insert((repository.clone(), copy.digest()), copy.clone()).await;
        }
    }

    /// Bytes of evidence that passed and is remembered.
    #[must_use]
    pub fn passing_bytes(&self) -> u64 {
        self.evidence.copies.weighted_size()
    }

    /// Why a manifest did not leave as evidence within the last `deny_ttl`.
    pub async fn unpassed(&self, subject: &Subject, revisions: Revisions) -> Option<Arc<Unservable>> {
        self.lives.of(self.evidence.unpassed.get(&(subject.clone(), revisions)).await?)
    }

    /// The same a while ago, and what that rests on: it holds as long as that is the same.
    pub async fn unpassed_before(&self, subject: &Subject, revisions: Revisions) -> Option<Arc<Unservable>> {
        self.evidence.unpassed.get(&(subject.clone(), revisions)).await.map(|aging| aging.value)
    }

    /// Remembers it for `deny_ttl`.
    pub async fn keep_unpassed(&self, subject: &Subject, revisions: Revisions, unpassing: Arc<Unservable>) {
        let unpassing = self.lives.for_ttl(unpassing, &self.lives.deny_ttl);
        self.evidence.unpassed.insert((subject.clone(), revisions), unpassing).await;
    }
}
