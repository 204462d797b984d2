//! `cache.db`: sealed records, grants, tags, presence. Disposable: a loss costs work only.
//!
//! A read that fails is [`Unknown`], never an absence (A603); a write that fails is a loss, counted and, of a grant, noted:
//! neither is ever an error that a caller could turn into an answer (A503). No hot pull comes here: memory stands before it.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use crate::limits::GRANTS_SEARCHED;
use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::seal::Sealed;
use sqlx::any::AnyRow;
use sqlx::{Any, Row};
use tokio::sync::oneshot;

mod availability;
mod counts;
mod keeper;
mod marked;
mod open;
mod owners;
mod rows;
#[cfg(test)]
mod tests;
mod writer;

pub use self::availability::{Availability, Grants};
use self::counts::Counts;
pub use self::counts::StoreSeries;
use self::keeper::{Keeper, Open};
pub use self::rows::{GrantRank, GrantRow, RecordKey, RecordKind, TagKey, TagSeen, Worth};
pub use self::writer::Bounds;
use self::writer::{Pruned, Write};
use crate::documents::Fill;
use crate::limits::{GRANTS_READ, PRUNE_PAUSE};
use crate::unknown::{Known, Unknown};
use crate::waits::Waits;

/// The database, or its absence.
#[derive(Debug)]
pub struct Database {
    keeper: Arc<Keeper>,
}

/// Whether the rows were sealed under this key.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SealKey {
    /// They were sealed with another.
    Another,
    /// It is, or there are none.
    Own,
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

impl Database {
    /// Opens or makes `cache.db` in `folder`. A corrupt one is moved aside, loudly; one that cannot be used at all leaves
    /// the gate without memory, loudly, and is tried again.
    ///
    /// # Errors
    /// [`DatabaseError::Newer`].
    pub async fn open(folder: &Path, waits: Waits) -> Result<Self, DatabaseError> {
        Ok(Self { keeper: Keeper::start(folder, waits).await? })
    }

    /// Whether anything is remembered.
    #[must_use]
    pub fn availability(&self) -> Availability {
        self.keeper.availability()
    }

    /// Whether a grant that is not found here may have been lost.
    #[must_use]
    pub fn grants(&self) -> Grants {
        if self.keeper.loss.is_recent() { Grants::MayBeLost } else { Grants::AllThere }
    }

    /// Reads that failed.
    #[must_use]
    pub fn reads_failed(&self) -> u64 {
        self.keeper.counts.reads_failed.load(Ordering::Relaxed)
    }

    /// Writes that were lost.
    #[must_use]
    pub fn writes_lost(&self) -> u64 {
        self.keeper.counts.writes_lost.get()
    }

    /// The live counters.
    #[must_use]
    pub fn series(&self) -> StoreSeries {
        let counts = &self.keeper.counts;
        StoreSeries { writes_lost: counts.writes_lost.clone(), files_lost: counts.files_lost.clone() }
    }

    /// Notes the fingerprint of the seal key. A different one than before is a loss: no stored record can be opened any
    /// more, and the note stays as long as the rows do (A618).
    pub async fn sealed_by(&self, fingerprint: &str) -> SealKey {
        let Some(open) = self.keeper.open() else { return SealKey::Own };
        let query = sqlx::query("select value from standing where name = 'seal'");
        let value = |row: &AnyRow| Ok(Some(row.try_get::<String, _>("value")?));
        match self
            .read(&open, query.fetch_all(&open.pool), value, self.keeper.waits.known)
            .await
            .map(|mut rows| rows.pop())
        {
            Ok(Some(before)) if before == fingerprint => return SealKey::Own,
            Ok(Some(_)) => {
                self.keeper.loss.mark("the seal key is another one");
                return SealKey::Another;
            }
            Ok(None) | Err(Unknown { .. }) => {}
        }
        self.write(Write::Seal(fingerprint.to_owned()));
        SealKey::Own
    }

    /// A sealed record, as stored: it counts only once its seal is checked.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn find(&self, key: &RecordKey) -> Known<Option<Sealed>> {
        let Some(open) = self.readable()? else { return Ok(None) };
        let query = sqlx::query(
            "select body, mac from records where kind = $1 and repository = $2 and key = $3 and revisions = $4",
        )
        .bind(key.kind.as_str())
        .bind(key.repository.to_string())
        .bind(key.key.to_string())
        .bind(key.revisions.clone());
        Ok(self.read(&open, query.fetch_all(&open.pool), sealed, self.keeper.waits.read).await?.pop())
    }

    /// Keeps a sealed record in place of an older one under its key.
    pub fn keep(
        &self,
        (key, worth): (RecordKey, Worth),
        sealed: Sealed,
        collected: Timestamp,
        now: Timestamp,
    ) {
        let (collected, stored) = (collected.as_millisecond(), now.as_millisecond());
        self.write(Write::Record { key, worth, sealed, collected, stored });
    }

    /// Drops a record.
    pub fn forget(&self, key: RecordKey) {
        self.write(Write::Forget(key));
    }

    /// Grants that name `child`, at most `GRANTS_READ` after the first `passed` of them: first those whose root has a permit
    /// under `revisions`, then those whose root was proven once, of each the newest first (A616).
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn grants_for(
        &self,
        repository: &Repository,
        child: &Digest,
        revisions: &str,
        passed: usize,
    ) -> Known<Vec<Sealed>> {
        let Some(open) = self.readable()? else { return Ok(Vec::new()) };
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
        let found = self.read(&open, query.fetch_all(&open.pool), sealed, self.keeper.waits.known).await?;
        if found.is_empty() && open.is_overwritten().await {
            // Another process wrote the file: a missing row proves nothing.
            return Err(Unknown::read());
        }
        Ok(found)
    }

    /// Children of indexes that were granted in this repository, at most `most`: those that were never read first, then
    /// the newest. By an index of that order: no other row of the repository is looked at.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn children_of(&self, repository: &Repository, most: usize) -> Known<Vec<Digest>> {
        let Some(open) = self.readable()? else { return Ok(Vec::new()) };
        let query = sqlx::query(
            "select child from children where repository = $1 order by tried, stored desc limit $2",
        )
        .bind(repository.to_string())
        .bind(rows(most));
        let child = |row: &AnyRow| Ok(row.try_get::<String, _>("child")?.parse().ok());
        self.read(&open, query.fetch_all(&open.pool), child, self.keeper.waits.known).await
    }

    /// Remembers that a child was asked for and is not there, so that others come to be read.
    pub fn keep_tried(&self, repository: Repository, child: Digest) {
        self.write(Write::Tried { repository, child });
    }

    /// Keeps grants, in place of older ones for the same child and root.
    pub fn keep_grants(&self, rows: Vec<GrantRow>, now: Timestamp) {
        if !rows.is_empty() {
            self.write(Write::Grants { rows, stored: now.as_millisecond() });
        }
    }

    /// Waits a while until all earlier writes are on the disk: a client whose manifest was answered finds its grants
    /// after a kill. Late writes may be lost, which is noted.
    pub async fn written(&self) {
        let Some(open) = self.keeper.open() else { return };
        if self.keeper.counts.failing.load(Ordering::Relaxed) || !open.writer.is_behind() {
            return;
        }
        if tokio::time::timeout(self.keeper.waits.grants_written, open.writer.flush()).await.is_err() {
            self.keeper.loss.mark("grants could not be written in time");
        }
    }

    /// The digest that a tag last had.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn tag(&self, key: &TagKey) -> Known<Option<TagSeen>> {
        let Some(open) = self.readable()? else { return Ok(None) };
        let query =
            sqlx::query("select digest, seen from tags where repository = $1 and tag = $2 and accept = $3")
                .bind(key.repository.to_string())
                .bind(key.tag.to_string())
                .bind(key.accept.clone());
        Ok(self.read(&open, query.fetch_all(&open.pool), rows::tag_seen, self.keeper.waits.read).await?.pop())
    }

    /// Keeps the digest of a tag and returns the one before, if it can be read in time.
    pub async fn keep_tag(&self, key: TagKey, digest: Digest, seen: Timestamp) -> Option<Digest> {
        let (reply, before) = oneshot::channel();
        self.write(Write::Tag { key, digest, seen: seen.as_millisecond(), reply });
        tokio::time::timeout(self.keeper.waits.read, before).await.ok()?.ok()?
    }

    /// When the repository's own upstream last answered for a blob: a blob kept for another repository is nothing to it
    /// before that (A026).
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn presence(&self, repository: &Repository, digest: &Digest) -> Known<Option<Timestamp>> {
        let Some(open) = self.readable()? else { return Ok(None) };
        let query = sqlx::query("select seen from presence where repository = $1 and digest = $2")
            .bind(repository.to_string())
            .bind(digest.to_string());
        let seen = |row: &AnyRow| Ok(Timestamp::from_millisecond(row.try_get("seen")?).ok());
        Ok(self.read(&open, query.fetch_all(&open.pool), seen, self.keeper.waits.read).await?.pop())
    }

    /// Remembers that the repository's own upstream answered 200 for a blob.
    pub fn keep_presence(
        &self,
        repository: Repository,
        digest: Digest,
        media_type: Option<&'static str>,
        seen: Timestamp,
    ) {
        self.write(Write::Presence { repository, digest, media_type, seen: seen.as_millisecond() });
    }

    /// The media type of a document, by the repository's own upstream.
    ///
    /// # Errors
    /// [`Unknown`].
    pub async fn media_type(&self, repository: &Repository, digest: &Digest) -> Known<Option<String>> {
        let Some(open) = self.readable()? else { return Ok(None) };
        let query = sqlx::query("select media_type from presence where repository = $1 and digest = $2")
            .bind(repository.to_string())
            .bind(digest.to_string());
        let media_type = |row: &AnyRow| row.try_get::<Option<String>, _>("media_type");
        Ok(self.read(&open, query.fetch_all(&open.pool), media_type, self.keeper.waits.read).await?.pop())
    }

    /// Drops rows until they are within their bounds, in steps, so that other writes come between them: unproven rows
    /// first, then those that were let through unchecked, the oldest of each first.
    pub async fn prune(&self, bounds: Bounds) {
        self.keeper.counts.bytes_most.store(bounds.bytes, Ordering::Relaxed);
        loop {
            let (reply, pruned) = oneshot::channel();
            self.write(Write::Prune { bounds, reply });
            match pruned.await {
                Ok(Pruned::Part) => tokio::time::sleep(PRUNE_PAUSE).await,
                Ok(Pruned::All) | Err(_) => return,
            }
        }
    }

    /// How many bytes rows take, and may take, as they were counted last.
    #[must_use]
    pub fn fill(&self) -> Fill {
        let counts = &self.keeper.counts;
        Fill { used: counts.bytes.load(Ordering::Relaxed), most: counts.bytes_most.load(Ordering::Relaxed) }
    }

    /// Waits until all queued writes are done or lost.
    pub async fn flush(&self) {
        if let Some(open) = self.keeper.open() {
            let _ = tokio::time::timeout(self.keeper.waits.flush, open.writer.flush()).await;
        }
    }

    /// Writes the queue and closes the file.
    pub async fn close(&self) {
        self.keeper.close().await;
    }

    /// The database; `Ok(None)` where there never was one; unknown where it cannot be used.
    fn readable(&self) -> Known<Option<Arc<Open>>> {
        match self.keeper.open() {
            Some(open) => Ok(Some(open)),
            None if self.keeper.is_first() => Ok(None),
            None => {
                self.keeper.counts.reads_failed.fetch_add(1, Ordering::Relaxed);
                Err(Unknown::read())
            }
        }
    }

    fn write(&self, write: Write) {
        match self.keeper.open() {
            Some(open) => open.writer.enqueue(write),
            None => {
                self.keeper.counts.lose(1);
                if write.is_grant() {
                    self.keeper.loss.mark("there is no database");
                }
            }
        }
    }

    /// Reads rows, each as `parse` takes it. One that cannot be read is unknown, and so is all that stands beside it. Own
    /// writes that still wait are let go first, so that a grant is found by the blob request that comes right after its
    /// manifest.
    async fn read<T>(
        &self,
        open: &Open,
        rows: impl Future<Output = Result<Vec<AnyRow>, sqlx::Error>>,
        parse: impl Fn(&AnyRow) -> Result<Option<T>, sqlx::Error>,
        wait: Duration,
    ) -> Known<Vec<T>> {
        let mut written = true;
        if open.writer.is_behind() {
            written = tokio::time::timeout(self.keeper.waits.read, open.writer.flush()).await.is_ok();
        }
        let read = match tokio::time::timeout(wait, rows).await {
            Ok(Ok(rows)) => rows.iter().map(parse).collect::<Result<Vec<_>, _>>(),
            Ok(Err(error)) => Err(error),
            Err(_elapsed) => Err(sqlx::Error::PoolTimedOut),
        };
        let counts = &self.keeper.counts;
        match read {
            Ok(rows) => {
                counts.unreadable.store(false, Ordering::Relaxed);
                let rows: Vec<T> = rows.into_iter().flatten().collect();
                // The missing row may still be in the queue.
                if rows.is_empty() && !written { Err(Unknown::read()) } else { Ok(rows) }
            }
            Err(error) => {
                counts.reads_failed.fetch_add(1, Ordering::Relaxed);
                counts.note(&error);
                // A short wait that was not enough is asked anew by the next one; no alarm.
                if !matches!(error, sqlx::Error::PoolTimedOut) || wait >= self.keeper.waits.known {
                    counts.unreadable.store(true, Ordering::Relaxed);
                }
                Err(Unknown::read())
            }
        }
    }
}

fn rows(count: usize) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

fn sealed(row: &AnyRow) -> Result<Option<Sealed>, sqlx::Error> {
    Ok(Some(Sealed { body: row.try_get("body")?, mac: row.try_get("mac")? }))
}

type Transaction<'a> = sqlx::Transaction<'a, Any>;
