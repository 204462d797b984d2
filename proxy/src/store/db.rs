//! `cache.db`: sealed records, grants, tags, presence. Disposable: what is lost is work.
//!
//! A read that fails is an absence, a write that fails is a loss, each counted; neither is ever an error that a caller
//! could turn into an answer (A503). No hot pull comes here: memory stands before it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use jiff::Timestamp;
use prometheus_client::metrics::counter::Counter;
use pullgate_policy::grant::Role;
use pullgate_policy::limits::GRANTS_SEARCHED;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::seal::Sealed;
use sqlx::any::AnyRow;
use sqlx::{Any, AnyPool, Row};
use tokio::sync::oneshot;

mod open;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

use self::open::Opening;
pub use self::rows::{GrantRow, RecordKey, RecordKind, Standing, TagKey, TagSeen};
use self::writer::{Write, Writer};
use super::limits::GRANTS_READ;
use crate::waits::Waits;

/// The database, or its absence.
#[derive(Debug)]
pub struct Database {
    state: State,
    counts: Arc<Counts>,
    waits: Waits,
}

#[derive(Debug)]
enum State {
    Ready { pool: AnyPool, writer: Writer },
    Unavailable,
}

/// Whether anything is remembered: what `/readyz` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The last write failed: reads find what is there, what is decided now is lost and counted. It is tried again.
    Failing,
    /// Reads and writes reach the file.
    Ready,
    /// The file cannot be used: reads find nothing, writes are lost and counted.
    Unavailable,
}

/// Why the database must not be touched.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// A later release wrote it, with this migration.
    #[error(
        "cache.db has schema {0}, which is newer than this release knows: use the newer release or remove the file"
    )]
    Newer(i64),
}

/// What went wrong without anybody being told.
#[derive(Debug, Default)]
struct Counts {
    reads_failed: AtomicU64,
    writes_lost: Counter,
    failing: AtomicBool,
}

impl Counts {
    fn lose(&self, writes: u64) {
        self.writes_lost.inc_by(writes);
    }
}

impl Database {
    /// Opens or makes `cache.db` in `folder`. A corrupt one is moved aside, loudly; one that cannot be used at all leaves
    /// the gate without memory, loudly.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`].
    pub async fn open(folder: &Path, waits: Waits) -> Result<Self, DatabaseError> {
        let counts = Arc::new(Counts::default());
        let state = match open::open(&folder.join("cache.db"), waits).await? {
            Opening::Ready { readers, writer } => {
                State::Ready { pool: readers, writer: Writer::start(writer, Arc::clone(&counts)) }
            }
            Opening::Unavailable => State::Unavailable,
        };
        Ok(Self { state, counts, waits })
    }

    /// Whether anything is remembered.
    #[must_use]
    pub fn availability(&self) -> Availability {
        match self.state {
            State::Ready { .. } if self.counts.failing.load(Ordering::Relaxed) => Availability::Failing,
            State::Ready { .. } => Availability::Ready,
            State::Unavailable => Availability::Unavailable,
        }
    }

    /// Reads that failed and were taken for an absence.
    #[must_use]
    pub fn reads_failed(&self) -> u64 {
        self.counts.reads_failed.load(Ordering::Relaxed)
    }

    /// Writes that were lost.
    #[must_use]
    pub fn writes_lost(&self) -> u64 {
        self.counts.writes_lost.get()
    }

    /// The same, as it counts on.
    #[must_use]
    pub fn writes_lost_counter(&self) -> Counter {
        self.counts.writes_lost.clone()
    }

    /// A sealed record, as it lies there: only its seal can say what it is worth.
    pub async fn find(&self, key: &RecordKey) -> Option<Sealed> {
        let query = sqlx::query(
            "select body, mac from records where kind = $1 and repository = $2 and key = $3 and revisions = $4",
        )
        .bind(key.kind.as_str())
        .bind(key.repository.to_string())
        .bind(key.key.to_string())
        .bind(key.revisions.clone());
        self.read(query.fetch_all(self.pool()?), sealed).await.pop()
    }

    /// Keeps a sealed record in place of an older one under its key.
    pub fn keep(&self, key: RecordKey, sealed: Sealed, collected: Timestamp, now: Timestamp) {
        let (collected, stored) = (collected.as_millisecond(), now.as_millisecond());
        self.write(Write::Record { key, sealed, collected, stored });
    }

    /// Drops a record.
    pub fn forget(&self, key: RecordKey) {
        self.write(Write::Forget(key));
    }

    /// Grants that name `child`, at most `GRANTS_READ` after the first `passed` of them: first those whose root has a permit
    /// under `revisions`, then those whose root was proven once, of each the newest first (A616).
    pub async fn grants_for(
        &self,
        repository: &Repository,
        child: &Digest,
        revisions: &str,
        passed: usize,
    ) -> Vec<Sealed> {
        let Some(pool) = self.pool() else { return Vec::new() };
        let query = sqlx::query(
            "select g.body, g.mac from (select root, body, mac, proven, stored from grants \
             where repository = $1 and child = $2 order by proven desc, stored desc limit $3) g \
             left join records r on r.kind = 'permit' and r.repository = $1 and r.key = g.root and r.revisions = $4 \
             order by case when r.key is null then 1 else 0 end, g.proven desc, g.stored desc limit $5 offset $6",
        )
        .bind(repository.to_string())
        .bind(child.to_string())
        .bind(rows(GRANTS_SEARCHED))
        .bind(revisions.to_owned())
        .bind(rows(GRANTS_READ))
        .bind(rows(passed));
        self.read(query.fetch_all(pool), sealed).await
    }

    /// Children of indexes that were granted in this repository, at most `most`: those that were never read first, then
    /// the newest.
    pub async fn children_of(&self, repository: &Repository, most: usize) -> Vec<Digest> {
        let Some(pool) = self.pool() else { return Vec::new() };
        let query = sqlx::query(
            "select g.child, count(p.digest) as read, max(g.stored) as newest from grants g \
             left join presence p on p.repository = g.repository and p.digest = g.child \
             where g.repository = $1 and g.role = $2 group by g.child order by read, newest desc limit $3",
        )
        .bind(repository.to_string())
        .bind(Role::Child.as_str())
        .bind(rows(most));
        let child = |row: &AnyRow| Ok(row.try_get::<String, _>("child")?.parse().ok());
        self.read(query.fetch_all(pool), child).await
    }

    /// Keeps grants, in place of older ones for the same child and root.
    pub fn keep_grants(&self, rows: Vec<GrantRow>, now: Timestamp) {
        if !rows.is_empty() {
            self.write(Write::Grants { rows, stored: now.as_millisecond() });
        }
    }

    /// What a tag was last seen to be.
    pub async fn tag(&self, key: &TagKey) -> Option<TagSeen> {
        let query =
            sqlx::query("select digest, seen from tags where repository = $1 and tag = $2 and accept = $3")
                .bind(key.repository.to_string())
                .bind(key.tag.to_string())
                .bind(key.accept.clone());
        self.read(query.fetch_all(self.pool()?), rows::tag_seen).await.pop()
    }

    /// Keeps what a tag is now seen to be, and tells what it was before, if that can be known in time.
    pub async fn keep_tag(&self, key: TagKey, digest: Digest, seen: Timestamp) -> Option<Digest> {
        let (reply, before) = oneshot::channel();
        self.write(Write::Tag { key, digest, seen: seen.as_millisecond(), reply });
        tokio::time::timeout(self.waits.store_read, before).await.ok()?.ok()?
    }

    /// When the repository's own upstream last answered for a blob: a blob kept for another repository is nothing to it
    /// before that (A026).
    pub async fn presence(&self, repository: &Repository, digest: &Digest) -> Option<Timestamp> {
        let query = sqlx::query("select seen from presence where repository = $1 and digest = $2")
            .bind(repository.to_string())
            .bind(digest.to_string());
        let seen = |row: &AnyRow| Ok(Timestamp::from_millisecond(row.try_get("seen")?).ok());
        self.read(query.fetch_all(self.pool()?), seen).await.pop()
    }

    /// Remembers that the repository's own upstream answered 200 for a blob.
    pub fn keep_presence(&self, repository: Repository, digest: Digest, seen: Timestamp) {
        self.write(Write::Presence { repository, digest, seen: seen.as_millisecond() });
    }

    /// Drops the oldest rows of each table, so that at most `most` stay.
    pub fn prune(&self, most: i64) {
        self.write(Write::Prune(most));
    }

    /// Waits until what was queued before is written or lost.
    pub async fn flush(&self) {
        if let State::Ready { writer, .. } = &self.state {
            let _ = tokio::time::timeout(self.waits.flush, writer.flush()).await;
        }
    }

    /// Writes what is queued and closes the file.
    pub async fn close(&self) {
        self.flush().await;
        if let State::Ready { pool, writer } = &self.state {
            let _ = tokio::time::timeout(self.waits.flush, async {
                pool.close().await;
                writer.close().await;
            })
            .await;
        }
    }

    fn pool(&self) -> Option<&AnyPool> {
        match &self.state {
            State::Ready { pool, .. } => Some(pool),
            State::Unavailable => None,
        }
    }

    fn write(&self, write: Write) {
        match &self.state {
            State::Ready { writer, .. } => writer.enqueue(write),
            State::Unavailable => self.counts.lose(1),
        }
    }

    /// Reads rows, each as `parse` takes it; a row that cannot be read is absent. Own writes that still wait are let go
    /// first, so that a grant is found by the blob request that comes right after its manifest.
    async fn read<T>(
        &self,
        rows: impl Future<Output = Result<Vec<AnyRow>, sqlx::Error>>,
        parse: impl Fn(&AnyRow) -> Result<Option<T>, sqlx::Error>,
    ) -> Vec<T> {
        if let State::Ready { writer, .. } = &self.state
            && writer.is_behind()
        {
            let _ = tokio::time::timeout(self.waits.store_read, writer.flush()).await;
        }
        let Ok(Ok(rows)) = tokio::time::timeout(self.waits.store_read, rows).await else {
            self.counts.reads_failed.fetch_add(1, Ordering::Relaxed);
            return Vec::new();
        };
        let parsed: Vec<T> = rows.iter().filter_map(|row| parse(row).ok().flatten()).collect();
        let failed = (rows.len() - parsed.len()) as u64;
        self.counts.reads_failed.fetch_add(failed, Ordering::Relaxed);
        parsed
    }
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn sealed(row: &AnyRow) -> Result<Option<Sealed>, sqlx::Error> {
    Ok(Some(Sealed { body: row.try_get("body")?, mac: row.try_get("mac")? }))
}

type Transaction<'a> = sqlx::Transaction<'a, Any>;
