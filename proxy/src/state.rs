//! The store of a running gate: records, documents and blobs. Queued writes can be read at once.

use std::time::Duration;

use crate::limits;
use bytes::Bytes;
use jiff::Timestamp;
use moka::future::Cache;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::collected::{CollectedEvidence, KeptOutcome};
use pullgate_policy::evidence::servable::ServableEvidence;
use pullgate_policy::oci::{Digest, Repository, Tag};
use pullgate_policy::policy::Revisions;
use pullgate_policy::seal::Sealed;
use pullgate_policy::time::later;
use pullgate_policy::verdict::{Ground, Permit, Subject};

use crate::accept::Accept;
use crate::clock::Clock;
use crate::memory::weight;
use crate::store::{Blobs, GrantRow, Grants, Known, RecordKey, RecordKind, Store, TagKey, Worth};
use crate::upstream::Fault;

/// The store of a running gate.
#[derive(Debug)]
pub struct State {
    store: Store,
    blobs: Blobs<Fault>,
    clock: Clock,
    /// What each repository's own upstream gave, and as which type of document, as far as memory knows.
    present: Cache<ContentKey, Type>,
}

/// Content in a repository.
type ContentKey = (Repository, Digest);
/// Its media type, where it is a document.
type Type = Option<&'static str>;

impl State {
    /// Opens the blobs beside the records.
    pub async fn new(store: Store, blobs_max: u64, clock: Clock) -> Self {
        let blobs = Blobs::new(store.folder(), blobs_max).await;
        let present = Cache::builder()
            .weigher(|key: &ContentKey, _| weight::of_entry::<ContentKey, Type>(&key.0, 0))
            .max_capacity(limits::PRESENCE_BYTES)
            .build();
        Self { store, blobs, clock, present }
    }

    /// The store itself.
    #[must_use]
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// The blobs.
    #[must_use]
    pub fn blobs(&self) -> &Blobs<Fault> {
        &self.blobs
    }

    /// The gate's own copy of a manifest or a piece of evidence, hashed as it is read (A506), where this repository's
    /// own upstream once gave it. This is the only such check: the same digest in another repository does not count
    /// (A026, A605, A619).
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn document(&self, repository: &Repository, digest: &Digest) -> Known<Option<Intact<Bytes>>> {
        if !self.present(repository, digest).await? {
            return Ok(None);
        }
        self.store.documents().find(*digest).await
    }

    /// Keeps a manifest or a piece of evidence that this repository's own upstream gave.
    pub async fn keep_document(&self, repository: &Repository, document: &Intact<Bytes>) {
        self.store.documents().keep(document).await;
        self.keep_present(repository, &document.digest()).await;
    }

    /// The copy of a digest from any repository. It must not be served on this ground.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn lies_here(&self, digest: &Digest) -> Known<Option<Intact<Bytes>>> {
        self.store.documents().find(*digest).await
    }

    /// Something that is permitted rests on these documents (A607).
    pub fn rest_on(&self, documents: Vec<Digest>) {
        self.store.documents().rest_on(documents);
    }

    /// The evidence of a permit lies in this repository under these digests: that it does is kept as long (A607).
    pub fn keep_evidence_present(&self, repository: Repository, digests: Vec<Digest>) {
        self.store.database().rest_on(repository, digests);
    }

    /// Whether this repository's own upstream once gave this content (A026).
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn present(&self, repository: &Repository, digest: &Digest) -> Known<bool> {
        if self.known_present(repository, digest).await {
            return Ok(true);
        }
        let key = (repository.clone(), *digest);
        let known = self.store.database().presence(repository, digest).await?.is_some();
        if known {
            self.present.insert(key, None).await;
        }
        Ok(known)
    }

    /// The same as far as memory knows.
    pub async fn known_present(&self, repository: &Repository, digest: &Digest) -> bool {
        self.present.get(&(repository.clone(), *digest)).await.is_some()
    }

    /// Remembers that this repository's own upstream gave this content.
    pub async fn keep_present(&self, repository: &Repository, digest: &Digest) {
        let key = (repository.clone(), *digest);
        if self.present.get(&key).await.is_none() {
            self.present.insert(key, None).await;
            self.store.database().keep_presence(repository.clone(), *digest, None, self.clock.now());
        }
    }

    /// The media type of a document by this repository's upstream, if known: the same after a restart (A610).
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn document_type(&self, repository: &Repository, digest: &Digest) -> Known<Option<String>> {
        match self.present.get(&(repository.clone(), *digest)).await.flatten() {
            Some(media_type) => Ok(Some(media_type.to_owned())),
            None => self.store.database().media_type(repository, digest).await,
        }
    }

    /// Remembers what this repository's upstream called a document.
    pub async fn keep_type(&self, repository: &Repository, digest: &Digest, media_type: &'static str) {
        let key = (repository.clone(), *digest);
        if self.present.get(&key).await.flatten() != Some(media_type) {
            self.present.insert(key, Some(media_type)).await;
            let now = self.clock.now();
            self.store.database().keep_presence(repository.clone(), *digest, Some(media_type), now);
        }
    }

    /// The sealed permit of a subject under these revisions.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn permit(&self, subject: &Subject, revisions: Revisions) -> Known<Option<Sealed>> {
        self.store.database().find(&permit_key(subject, revisions)).await
    }

    /// Keeps a sealed permit.
    pub fn keep_permit(&self, permit: &Permit, sealed: Sealed) {
        let (now, key) = (self.clock.now(), permit_key(permit.subject(), permit.revisions()));
        let worth = match permit.ground() {
            Ground::Satisfied => Worth::Proven,
            Ground::EachChild | Ground::Exempt { .. } | Ground::Unchecked | Ground::WarnOnly(_) => {
                Worth::LetThrough
            }
        };
        self.store.database().keep((key, worth), sealed, now, now);
    }

    /// Drops the permit of a subject under these revisions.
    pub fn forget_permit(&self, subject: &Subject, revisions: Revisions) {
        self.store.database().forget(permit_key(subject, revisions));
    }

    /// The sealed record of the evidence about a subject.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn evidence(&self, subject: &Subject) -> Known<Option<Sealed>> {
        self.store.database().find(&evidence_key(subject)).await
    }

    /// Keeps the sealed record of the evidence.
    pub fn keep_evidence(&self, kept: &CollectedEvidence, sealed: Sealed) {
        let worth = match kept.outcome {
            KeptOutcome::Permitted => Worth::Proven,
            KeptOutcome::NotPermitted => Worth::Nothing,
        };
        let key = evidence_key(&kept.subject);
        self.store.database().keep((key, worth), sealed, kept.collected, self.clock.now());
    }

    /// Sealed grants for a digest in a repository after the first `passed` of them: first those whose root has a permit
    /// under these revisions, then those whose root was proven once.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn grants(
        &self,
        repository: &Repository,
        digest: &Digest,
        revisions: Revisions,
        passed: usize,
    ) -> Known<Vec<Sealed>> {
        self.store.database().grants_for(repository, digest, &both(revisions), passed).await
    }

    /// The manifests of evidence that passed with this blob: a hint, which the caller checks again.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn owners(&self, repository: &Repository, blob: &Digest) -> Known<Vec<Digest>> {
        self.store.database().owners(repository, blob).await
    }

    /// Keeps which passing evidence holds which blobs, and waits a moment until it is written: a kill must not lose the
    /// blobs of an answered manifest.
    pub async fn keep_owner(&self, repository: &Repository, passing: &ServableEvidence) {
        let blobs = passing.blobs().iter().map(|blob| blob.digest).collect();
        let now = self.clock.now();
        self.store.database().keep_owner(repository.clone(), passing.manifest(), blobs, now);
        self.store.database().written().await;
    }

    /// Whether a grant that is not found may have been lost (A603).
    #[must_use]
    pub fn grants_are(&self) -> Grants {
        self.store.database().grants()
    }

    /// The newest children that an index of this repository was granted.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn granted_children(&self, repository: &Repository, most: usize) -> Known<Vec<Digest>> {
        self.store.database().children_of(repository, most).await
    }

    /// Remembers that a child is not there.
    pub fn keep_tried(&self, repository: &Repository, child: Digest) {
        self.store.database().keep_tried(repository.clone(), child);
    }

    /// Keeps sealed grants, and waits a moment until they are written: a kill must not lose the grants of an answered
    /// manifest.
    pub async fn keep_grants(&self, grants: Vec<GrantRow>) {
        if !grants.is_empty() {
            self.store.database().keep_grants(grants, self.clock.now());
            self.store.database().written().await;
        }
    }

    /// The last digest seen of a tag, if it was seen within `age`.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        accept: Accept,
        age: Duration,
    ) -> Known<Option<Digest>> {
        let (seen, now) =
            (self.store.database().tag(&tag_key(repository, tag, accept)).await?, self.clock.now());
        let counts = |seen: Timestamp| seen <= now && now < later(seen, age);
        Ok(seen.filter(|seen| counts(seen.seen)).map(|seen| seen.digest))
    }

    /// The same for whatever types it was asked by: the digest that was seen last.
    ///
    /// # Errors
    /// [`Unknown`](crate::store::Unknown).
    pub async fn tag_of_anybody(
        &self,
        repository: &Repository,
        tag: &Tag,
        age: Duration,
    ) -> Known<Option<Digest>> {
        let (seen, now) = (self.store.database().tag_of_anybody(repository, tag).await?, self.clock.now());
        let counts = |seen: Timestamp| seen <= now && now < later(seen, age);
        Ok(seen.filter(|seen| counts(seen.seen)).map(|seen| seen.digest))
    }

    /// Keeps the digest of a tag, and returns the one before.
    pub async fn keep_tag(
        &self,
        repository: &Repository,
        tag: &Tag,
        accept: Accept,
        digest: Digest,
    ) -> Option<Digest> {
        self.store.database().keep_tag(tag_key(repository, tag, accept), digest, self.clock.now()).await
    }
}

fn permit_key(subject: &Subject, revisions: Revisions) -> RecordKey {
    RecordKey {
        kind: RecordKind::Permit,
        repository: subject.repository.clone(),
        key: subject.digest,
        revisions: both(revisions),
    }
}

fn both(revisions: Revisions) -> String {
    format!("{} {}", revisions.policy, revisions.trust)
}

fn evidence_key(subject: &Subject) -> RecordKey {
    RecordKey {
        kind: RecordKind::Evidence,
        repository: subject.repository.clone(),
        key: subject.digest,
        revisions: String::new(),
    }
}

fn tag_key(repository: &Repository, tag: &Tag, accept: Accept) -> TagKey {
    TagKey { repository: repository.clone(), tag: tag.clone(), accept: accept.key() }
}
