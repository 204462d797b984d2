//! The memory before the store: permits, denials, tags, grants, passing evidence.

use std::hash::Hash;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use crate::limits;
use jiff::Timestamp;
use moka::future::{Cache, CacheBuilder};
use moka::ops::compute::Op;
use moka::policy::EvictionPolicy;
use pullgate_policy::content::Intact;
use pullgate_policy::oci::{Digest, Document, Repository, Tag};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Sealed;
use pullgate_policy::time::later;
use pullgate_policy::verdict::{Denial, Permit, Permitted, Subject};

use crate::accept::Accept;
use crate::audit::DecisionId;
use crate::clock::Clock;
use crate::store::GrantRank;

use self::servable::Evidence;

pub use self::children::Child;
pub use self::denied::{Denied, Pieces};
pub use self::servable::{RestsOn, Unservable};

/// The memory of a gate. Every cache is bounded in bytes (A602); an evicted entry is found in the store or decided
/// again.
pub struct Memory {
    permits: Cache<VerdictKey, Arc<Permit>>,
    denials: Cache<VerdictKey, Aging<Arc<Denial>>>,
    denied: Cache<VerdictKey, Arc<Denied>>,
    tags: Cache<TagKey, Aging<Digest>>,
    grants: Cache<ContentKey, Arc<Grants>>,
    granted: Cache<Granted, u64>,
    documents: Cache<ContentKey, Intact<Document>>,
    manifests: Cache<Digest, bool>,
    verdict_ids: Cache<VerdictKey, DecisionId>,
    other_names: Cache<Digest, Digest>,
    evidence: Evidence,
    children: Cache<ContentKey, Aging<Child>>,
    children_asked: Cache<Repository, Arc<AtomicUsize>>,
    lives: Lives,
}

/// Subject and revisions of a verdict.
type VerdictKey = (Subject, Revisions);
/// A tag, as clients ask for it who accept the same types.
type TagKey = (Repository, Tag, Accept);
/// Content in a repository.
type ContentKey = (Repository, Digest);

/// How long changeable entries count, by the gate's clock: the caches have a clock of their own.
struct Lives {
    clock: Clock,
    /// Milliseconds.
    deny_ttl: AtomicU64,
    /// Milliseconds.
    tag_ttl: AtomicU64,
}

/// What counts for a while.
#[derive(Clone)]
struct Aging<T> {
    value: T,
    until: Timestamp,
}

/// Grants given by one document: its digest, the permit's subject, the number of indexes above, the revisions.
type Granted = (Digest, Subject, usize, Revisions);

/// The grants of one digest in one repository: those of proven roots first, the newest of each first.
#[derive(Debug, Default)]
struct Grants {
    sealed: Arc<Vec<Sealed>>,
    handed: Vec<Handed>,
}

/// When a grant was handed to the store.
#[derive(Debug, Clone, Copy)]
struct Handed {
    at: Instant,
    standing: GrantRank,
    /// The writes that the store had lost by then.
    lost: u64,
}

/// Whether a grant is to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum GrantMemory {
    /// The store was handed it a moment ago, and has lost nothing since.
    Known,
    /// It is new, or the store may have lost it.
    New,
}

/// How long grants stay in memory; the store has them too.
const GRANTS_IDLE: Duration = Duration::from_secs(600);
/// The age at which a grant that is still served is written again: the store returns the newest first.
const GRANTS_WRITTEN_AGAIN: Duration = Duration::from_secs(600);
/// The interval in which the grants of a document are not refreshed again. It must be below [`GRANTS_IDLE`].
const GRANTED_LATELY: Duration = Duration::from_secs(60);

impl Memory {
    /// An empty memory.
    #[must_use]
    pub fn new(deny_ttl: Duration, tag_ttl: Duration, clock: Clock) -> Self {
        Self {
            permits: Cache::builder()
                .weigher(|key, permit: &Arc<Permit>| weight::of_permit(key, permit))
                .max_capacity(limits::PERMITS_BYTES)
                .time_to_live(pullgate_config::limits::PERMIT_TTL_MAX)
                .build(),
            // By age, not by use: a flood of new names must not keep the newest denial from being remembered (A059).
            denials: Cache::builder()
                .weigher(|key, denial: &Aging<Arc<Denial>>| weight::of_denial(key, &denial.value))
                .max_capacity(weight::DENIALS)
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(pullgate_config::limits::DENY_TTL_MAX)
                .build(),
            tags: small(|key: &TagKey, _| {
                weight::of_entry::<TagKey, Aging<Digest>>(&key.0, key.1.as_str().len())
            })
            .time_to_live(pullgate_config::limits::TAG_TTL_MAX)
            .build(),
            denied: small(|key, denied: &Arc<Denied>| weight::of_denied(key, denied))
                .time_to_live(pullgate_config::limits::PERMIT_TTL)
                .build(),
            manifests: small(|_, _| weight::of_plain::<Digest, bool>()).build(),
            verdict_ids: small(|key: &VerdictKey, id: &DecisionId| {
                weight::of_entry::<VerdictKey, DecisionId>(&key.0.repository, id.as_str().len())
            })
            .time_to_live(pullgate_config::limits::PERMIT_TTL_MAX)
            .build(),
            grants: Cache::builder()
                .weigher(|key: &ContentKey, grants: &Arc<Grants>| {
                    weight::of_grants::<ContentKey>(&key.0, grants)
                })
                .max_capacity(limits::GRANTS_BYTES)
                .time_to_idle(GRANTS_IDLE)
                .build(),
            granted: small(|key: &Granted, _| weight::of_entry::<Granted, u64>(&key.1.repository, 0))
                .time_to_live(GRANTED_LATELY)
                .build(),
            documents: Cache::builder()
                .weigher(|_, document: &Intact<Document>| weight::of_document(document))
                .max_capacity(limits::DOCUMENTS_BYTES)
                .build(),
            children_asked: small(|key, _| weight::of_entry::<Repository, Arc<AtomicUsize>>(key, 0))
                .time_to_live(pullgate_config::limits::DENY_TTL_MAX)
                .build(),
            children: small(|key: &ContentKey, _| weight::of_entry::<ContentKey, Aging<Child>>(&key.0, 0))
                .eviction_policy(EvictionPolicy::lru())
                .time_to_live(pullgate_config::limits::DENY_TTL_MAX)
                .build(),
            other_names: small(|_, _| weight::of_plain::<Digest, Digest>()).build(),
            evidence: Evidence::new(),
            lives: Lives {
                clock,
                deny_ttl: AtomicU64::new(millis(deny_ttl)),
                tag_ttl: AtomicU64::new(millis(tag_ttl)),
            },
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
        self.lives.of(self.denials.get(&(subject.clone(), revisions)).await?)
    }

    /// Remembers a denial for `deny_ttl`.
    pub async fn keep_denial(&self, subject: &Subject, revisions: Revisions, denial: &Denial) {
        let denial = self.lives.for_ttl(Arc::new(denial.clone()), &self.lives.deny_ttl);
        self.denials.insert((subject.clone(), revisions), denial).await;
    }

    /// A denial, and the evidence that it rests on.
    pub async fn denied(&self, subject: &Subject, revisions: Revisions) -> Option<Arc<Denied>> {
        self.denied.get(&(subject.clone(), revisions)).await
    }

    /// Remembers it.
    pub async fn keep_denied(&self, subject: &Subject, revisions: Revisions, denied: Denied) {
        self.denied.insert((subject.clone(), revisions), Arc::new(denied)).await;
    }

    /// Forgets every denial.
    pub fn forget_denials(&self) {
        self.denials.invalidate_all();
    }

    /// Sets how long denials and tags are remembered; a changed time forgets the present ones.
    pub fn live_for(&self, deny_ttl: Duration, tag_ttl: Duration) {
        if self.lives.deny_ttl.swap(millis(deny_ttl), Ordering::Relaxed) != millis(deny_ttl) {
            self.denials.invalidate_all();
            self.children.invalidate_all();
        }
        if self.lives.tag_ttl.swap(millis(tag_ttl), Ordering::Relaxed) != millis(tag_ttl) {
            self.tags.invalidate_all();
        }
    }

    /// The digest of a tag, if it was resolved within `tag_ttl` for a client that accepts the same types (A038).
    pub async fn tag(&self, repository: &Repository, tag: &Tag, accept: Accept) -> Option<Digest> {
        self.lives.of(self.tags.get(&(repository.clone(), tag.clone(), accept)).await?)
    }

    /// Remembers a tag.
    pub async fn keep_tag(&self, repository: &Repository, tag: &Tag, accept: Accept, digest: Digest) {
        let digest = self.lives.for_ttl(digest, &self.lives.tag_ttl);
        self.tags.insert((repository.clone(), tag.clone(), accept), digest).await;
    }

    /// Sealed grants for one digest in one repository.
    pub async fn grants(&self, repository: &Repository, digest: Digest) -> Option<Arc<Vec<Sealed>>> {
        self.grants.get(&(repository.clone(), digest)).await.map(|grants| Arc::clone(&grants.sealed))
    }

    /// Adds a sealed grant, and tells whether it is to be written too; at most `GRANTS_PER_DIGEST` stay, the newest,
    /// and no number of roots that were let through takes the place of one that was proven (A616). `lost` is the
    /// store's count of lost writes: a lost grant must be written again, or a restart would lose a permitted pull.
    pub async fn keep_grant(
        &self,
        repository: &Repository,
        digest: Digest,
        (sealed, standing): (&Sealed, GrantRank),
        lost: u64,
    ) -> GrantMemory {
        let mut memory = GrantMemory::New;
        // One step for each digest: two answers at once must not drop each other's grant.
        let entry = self.grants.entry((repository.clone(), digest));
        entry
            .and_compute_with(|entry| {
                let grants = entry.map(moka::Entry::into_value);
                let next = match grants.as_deref() {
                    Some(grants) if grants.is_handed(sealed, standing, lost) => {
                        memory = GrantMemory::Known;
                        Op::Nop
                    }
                    grants => Op::Put(Arc::new(Grants::with(grants, sealed, standing, lost))),
                };
                std::future::ready(next)
            })
            .await;
        memory
    }

    /// Whether the grants of this were kept a moment ago, and the store has lost nothing since.
    pub async fn granted_lately(&self, permitted: &Permitted<Document>, lost: u64) -> bool {
        self.granted.get(&granted(permitted)).await == Some(lost)
    }

    /// Remembers that they were.
    pub async fn keep_granted(&self, permitted: &Permitted<Document>, lost: u64) {
        self.granted.insert(granted(permitted), lost).await;
    }

    /// A document that was hashed and parsed before. This is no leave to serve it.
    pub async fn document(&self, repository: &Repository, digest: &Digest) -> Option<Intact<Document>> {
        self.documents.get(&(repository.clone(), *digest)).await
    }

    /// Remembers a document.
    pub async fn keep_document(&self, repository: &Repository, document: &Intact<Document>) {
        self.documents.insert((repository.clone(), document.digest()), document.clone()).await;
    }

    /// The digest of the same bytes by the other algorithm.
    pub async fn other_name(&self, digest: Digest) -> Option<Digest> {
        self.other_names.get(&digest).await
    }

    /// Remembers it.
    pub async fn keep_other_name(&self, digest: Digest, name: Digest) {
        self.other_names.insert(digest, name).await;
    }

    /// Bytes of documents that are remembered, as they are counted.
    #[must_use]
    pub fn documents_bytes(&self) -> u64 {
        self.documents.weighted_size()
    }

    /// Whether bytes that the gate keeps are a manifest, as far as memory knows.
    pub async fn is_manifest(&self, digest: Digest) -> Option<bool> {
        self.manifests.get(&digest).await
    }

    /// Remembers whether they are one.
    pub async fn keep_is_manifest(&self, digest: Digest, is_one: bool) {
        self.manifests.insert(digest, is_one).await;
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX)
}

impl Lives {
    fn for_ttl<T>(&self, value: T, ttl: &AtomicU64) -> Aging<T> {
        let ttl = Duration::from_millis(ttl.load(Ordering::Relaxed));
        Aging { value, until: later(self.clock.now(), ttl) }
    }

    fn of<T>(&self, aging: Aging<T>) -> Option<T> {
        (self.clock.now() < aging.until).then_some(aging.value)
    }
}

impl Grants {
    fn is_handed(&self, sealed: &Sealed, standing: GrantRank, lost: u64) -> bool {
        self.find(sealed).is_some_and(|handed| {
            handed.lost == lost && handed.standing >= standing && handed.at.elapsed() < GRANTS_WRITTEN_AGAIN
        })
    }

    fn find(&self, sealed: &Sealed) -> Option<&Handed> {
        let mut all = self.sealed.iter().zip(&self.handed);
        all.find(|(grant, _)| grant.body == sealed.body).map(|(_, handed)| handed)
    }

    fn with(before: Option<&Self>, sealed: &Sealed, standing: GrantRank, lost: u64) -> Self {
        let known = before.and_then(|before| before.find(sealed));
        let standing = known.map_or(standing, |known| known.standing.max(standing));
        let older = before.into_iter().flat_map(|before| before.sealed.iter().zip(&before.handed));
        let newest = (sealed, &Handed { at: Instant::now(), standing, lost });
        let mut all: Vec<_> =
            std::iter::once(newest).chain(older.filter(|(grant, _)| grant.body != sealed.body)).collect();
        // The removed grant is never the newest, which is asked for next.
        if all.len() > GRANTS_PER_DIGEST {
            let weakest = all.iter().rposition(|(_, handed)| handed.standing == GrantRank::LetThrough);
            all.remove(weakest.filter(|at| *at > 0).unwrap_or(all.len() - 1));
        }
        all.sort_by_key(|(_, handed)| std::cmp::Reverse(handed.standing));
        let (sealed, handed): (Vec<_>, Vec<_>) =
            all.into_iter().map(|(grant, handed)| (grant.clone(), *handed)).unzip();
        Self { sealed: Arc::new(sealed), handed }
    }
}

/// One of the eleven small ones.
fn small<K, V>(weigher: impl Fn(&K, &V) -> u32 + Send + Sync + 'static) -> CacheBuilder<K, V, Cache<K, V>>
where
    K: Hash + Eq + Send + Sync + 'static,
    V: Clone + Send + Sync + 'static,
{
    Cache::builder().weigher(weigher).max_capacity(limits::NAMES_BYTES)
}

fn granted(permitted: &Permitted<Document>) -> Granted {
    let permit = permitted.permit();
    (permitted.digest(), permit.subject().clone(), permitted.depth(), permit.revisions())
}

/// Grants remembered for one digest in one repository.
pub const GRANTS_PER_DIGEST: usize = 64;

impl std::fmt::Debug for Memory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Memory")
    }
}

mod children;
mod denied;
mod servable;
#[cfg(test)]
mod tests;
pub(crate) mod weight;
