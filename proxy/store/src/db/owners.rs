//! Evidence: the rows that a permit rests on, which are dropped last, and the manifests that hold a blob. The latter
//! are a hint and never a yes: the caller fetches, hashes, reads and verifies the manifest itself.

use crate::limits::EVIDENCE_OF_BLOB;
use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Repository, Tag};
use sqlx::Row as _;
use sqlx::any::AnyRow;

use super::writer::Write;
use super::{Database, TagSeen, rows};
use crate::unknown::Known;

impl Database {
    /// The digest that a tag last had, for any `Accept`.
    ///
    /// # Errors
    /// [`Unknown`](crate::unknown::Unknown).
    pub async fn tag_of_anybody(&self, repository: &Repository, tag: &Tag) -> Known<Option<TagSeen>> {
        let Some(open) = self.readable()? else { return Ok(None) };
        let query = sqlx::query(
            "select digest, seen from tags where repository = $1 and tag = $2 order by seen desc limit 1",
        )
        .bind(repository.to_string())
        .bind(tag.to_string());
        Ok(self.read(&open, query.fetch_all(&open.pool), rows::tag_seen, self.keeper.waits.read).await?.pop())
    }

    /// The manifests of evidence that passed with this blob, the newest first, at most `EVIDENCE_OF_BLOB`.
    ///
    /// # Errors
    /// [`Unknown`](crate::Unknown).
    pub async fn owners(&self, repository: &Repository, blob: &Digest) -> Known<Vec<Digest>> {
        let Some(open) = self.readable()? else { return Ok(Vec::new()) };
        let query = sqlx::query(
            "select manifest from evidence_blobs where repository = $1 and blob = $2 \
             order by stored desc limit $3",
        )
        .bind(repository.to_string())
        .bind(blob.to_string())
        .bind(rows(EVIDENCE_OF_BLOB));
        let manifest = |row: &AnyRow| Ok(row.try_get::<String, _>("manifest")?.parse().ok());
        self.read(&open, query.fetch_all(&open.pool), manifest, self.keeper.waits.known).await
    }

    /// A permit rests on what lies under these digests in this repository (A607).
    pub fn rest_on(&self, repository: Repository, digests: Vec<Digest>) {
        self.write(Write::RestOn { repository, digests });
    }

    /// Keeps that a manifest of evidence passed with these blobs.
    pub fn keep_owner(&self, repository: Repository, manifest: Digest, blobs: Vec<Digest>, now: Timestamp) {
        self.write(Write::Owner { repository, manifest, blobs, stored: now.as_millisecond() });
    }
}
