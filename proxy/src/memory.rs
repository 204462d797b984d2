//! What is remembered in memory before the store is asked: permits, denials, tags, grants, passing evidence.

use std::sync::Arc;
use std::time::Duration;

use moka::future::Cache;
use pullgate_policy::evidence::passing::Passing;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Repository, Tag};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Sealed;
use pullgate_policy::verdict::{Denial, Permit, Subject};

use crate::audit::DecisionId;

/// The memory of a gate. Every cache is bounded in count; what it loses is found in the store or decided again.
pub struct Memory {
    permits: Cache<(Subject, Revisions), Arc<Permit>>,
    denials: Cache<(Subject, Revisions), Arc<Denial>>,
    tags: Cache<(Repository, Tag, String), Digest>,
    grants: Cache<(Repository, Digest), Arc<Vec<Sealed>>>,
    verdict_ids: Cache<(Subject, Revisions), DecisionId>,
    passing: Cache<(Repository, Digest), Arc<Passing>>,
    passing_blobs: Cache<(Repository, Digest), Digest>,
}

/// How long grants stay in memory; the store has them too.
const GRANTS_IDLE: Duration = Duration::from_secs(600);

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(deny_ttl: Duration, tag_ttl: Duration) -> Self {
        let bounded = || Cache::builder().max_capacity(limits::VERDICT_ENTRIES);
        Self {
            permits: Cache::builder()
                .max_capacity(limits::VERDICT_ENTRIES)
                .time_to_live(limits::PERMIT_TTL_MAX)
                .build(),
            denials: Cache::builder().max_capacity(limits::NEGATIVE_ENTRIES).time_to_live(deny_ttl).build(),
            tags: Cache::builder().max_capacity(limits::VERDICT_ENTRIES).time_to_live(tag_ttl).build(),
            verdict_ids: Cache::builder()
                .max_capacity(limits::VERDICT_ENTRIES)
                .time_to_live(limits::PERMIT_TTL_MAX)
                .build(),
            grants: bounded().time_to_idle(GRANTS_IDLE).build(),
            passing: Cache::builder()
                .weigher(|_, passing: &Arc<Passing>| weight(passing))
                .max_capacity(limits::PASSING_BYTES)
                .time_to_live(limits::PERMIT_TTL)
                .build(),
            passing_blobs: Cache::builder()
                .max_capacity(limits::NEGATIVE_ENTRIES)
                .time_to_live(limits::PERMIT_TTL)
                .build(),
        }
    }

    /// A remembered permit; the caller asks whether it still counts.
    pub async fn permit(&self, subject: &Subject, revisions: Revisions) -> Option<Arc<Permit>> {
        self.permits.get(&(subject.clone(), revisions)).await
    }

    /// Remembers a permit.
    pub async fn keep_permit(&self, permit: &Permit) {
        let key = (permit.subject().clone(), permit.revisions());
        self.permits.insert(key, Arc::new(permit.clone())).await;
    }

    /// The answer in which a permit was given, as far as memory goes.
    pub async fn verdict_id(&self, permit: &Permit) -> Option<DecisionId> {
        self.verdict_ids.get(&(permit.subject().clone(), permit.revisions())).await
    }

    /// Remembers in which answer a permit was given.
    pub async fn keep_verdict_id(&self, permit: &Permit, id: &DecisionId) {
        self.verdict_ids.insert((permit.subject().clone(), permit.revisions()), id.clone()).await;
    }

    /// A denial of the last `deny_ttl`.
    pub async fn denial(&self, subject: &Subject, revisions: Revisions) -> Option<Arc<Denial>> {
        self.denials.get(&(subject.clone(), revisions)).await
    }

    /// Remembers a denial for `deny_ttl`.
    pub async fn keep_denial(&self, subject: &Subject, revisions: Revisions, denial: &Denial) {
        self.denials.insert((subject.clone(), revisions), Arc::new(denial.clone())).await;
    }

    /// Forgets every denial.
    pub fn forget_denials(&self) {
        self.denials.invalidate_all();
    }

    /// The digest of a tag, if it was resolved within `tag_ttl` for a client that accepts the same types (A038).
    pub async fn tag(&self, repository: &Repository, tag: &Tag, accept: &str) -> Option<Digest> {
        self.tags.get(&(repository.clone(), tag.clone(), accept.to_owned())).await
    }

    /// Remembers a tag.
    pub async fn keep_tag(&self, repository: &Repository, tag: &Tag, accept: &str, digest: Digest) {
        self.tags.insert((repository.clone(), tag.clone(), accept.to_owned()), digest).await;
    }

    /// Sealed grants for one digest in one repository.
    pub async fn grants(&self, repository: &Repository, digest: Digest) -> Option<Arc<Vec<Sealed>>> {
        self.grants.get(&(repository.clone(), digest)).await
    }

    /// Adds a sealed grant; at most `GRANTS_PER_DIGEST` stay, the newest.
    pub async fn keep_grant(&self, repository: &Repository, digest: Digest, sealed: Sealed) {
        let key = (repository.clone(), digest);
        let mut grants =
            self.grants.get(&key).await.map(|grants| grants.as_ref().clone()).unwrap_or_default();
        if !grants.iter().any(|grant| grant.body == sealed.body) {
            grants.insert(0, sealed);
            grants.truncate(GRANTS_PER_DIGEST);
            self.grants.insert(key, Arc::new(grants)).await;
        }
    }

    /// Evidence that passed in this repository a while ago.
    pub async fn passing(&self, repository: &Repository, manifest: Digest) -> Option<Arc<Passing>> {
        self.passing.get(&(repository.clone(), manifest)).await
    }

    /// The evidence that owns a blob in this repository.
    pub async fn passing_with_blob(&self, repository: &Repository, blob: Digest) -> Option<Arc<Passing>> {
        let manifest = self.passing_blobs.get(&(repository.clone(), blob)).await?;
        self.passing(repository, manifest).await
    }

    /// Remembers evidence that passed.
    pub async fn keep_passing(&self, repository: &Repository, passing: &Arc<Passing>) {
        let manifest = passing.document().digest();
        self.passing.insert((repository.clone(), manifest), Arc::clone(passing)).await;
        for blob in passing.blobs() {
            self.passing_blobs.insert((repository.clone(), blob.digest()), manifest).await;
        }
    }
}

/// The bytes that a piece of evidence holds, its manifest and blobs.
fn weight(passing: &Passing) -> u32 {
    let blobs: usize = passing.blobs().iter().map(|blob| blob.value().len()).sum();
    u32::try_from(blobs + passing.document().value().bytes().len()).unwrap_or(u32::MAX)
}

/// Grants remembered for one digest in one repository.
pub const GRANTS_PER_DIGEST: usize = 64;

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}
