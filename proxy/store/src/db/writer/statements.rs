//! The statements that write: one row or many, each in the transaction of its batch.

use pullgate_policy::grant::Role;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::seal::Sealed;
use sqlx::{AssertSqlSafe, Row as _};

use super::super::{GrantRow, RecordKey, RecordKind, TagKey, Transaction, Worth};
use crate::sqlite;

pub(super) async fn record(
    transaction: &mut Transaction<'_>,
    (key, worth): (&RecordKey, Worth),
    sealed: Sealed,
    collected: i64,
    stored: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into records (kind, repository, key, revisions, body, mac, collected, stored, worth) \
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (kind, repository, key, revisions) do update set \
         body = excluded.body, mac = excluded.mac, collected = excluded.collected, stored = excluded.stored, \
         worth = excluded.worth",
    )
    .bind(key.kind.as_str())
    .bind(key.repository.to_string())
    .bind(key.key.to_string())
    .bind(key.revisions.clone())
    .bind(sealed.body)
    .bind(sealed.mac)
    .bind(collected)
    .bind(stored)
    .bind(worth.as_row())
    .execute(&mut **transaction)
    .await?;
    match key.kind {
        RecordKind::Permit => is_granted(transaction, &key.repository, &key.key).await,
        RecordKind::Evidence => Ok(()),
    }
}

/// That it lies there, and under which tags, is worth as much as what permits it: it goes last (A607).
pub(super) async fn is_granted(
    transaction: &mut Transaction<'_>,
    repository: &Repository,
    digest: &Digest,
) -> Result<(), sqlx::Error> {
    for update in [
        "update presence set granted = 1 where repository = $1 and digest = $2 and granted = 0",
        "update tags set granted = 1 where repository = $1 and digest = $2 and granted = 0",
    ] {
        let query = sqlx::query(update).bind(repository.to_string()).bind(digest.to_string());
        query.execute(&mut **transaction).await?;
    }
    Ok(())
}

pub(super) async fn forget(transaction: &mut Transaction<'_>, key: &RecordKey) -> Result<(), sqlx::Error> {
    sqlx::query("delete from records where kind = $1 and repository = $2 and key = $3 and revisions = $4")
        .bind(key.kind.as_str())
        .bind(key.repository.to_string())
        .bind(key.key.to_string())
        .bind(key.revisions.clone())
        .execute(&mut **transaction)
        .await
        .map(drop)
}

pub(super) async fn grants(
    transaction: &mut Transaction<'_>,
    rows: &[GrantRow],
    stored: i64,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into grants (repository, child, root, role, body, mac, proven, stored) values {} \
         on conflict (repository, child, root) do update set \
         role = excluded.role, body = excluded.body, mac = excluded.mac, stored = excluded.stored, \
         proven = case when excluded.proven > grants.proven then excluded.proven else grants.proven end",
        sqlite::placeholders(rows.len(), 8)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in rows {
        query = query
            .bind(row.repository.to_string())
            .bind(row.child.to_string())
            .bind(row.root.to_string())
            .bind(row.role.as_str())
            .bind(row.sealed.body.clone())
            .bind(row.sealed.mac.clone())
            .bind(row.standing.as_row())
            .bind(stored);
    }
    query.execute(&mut **transaction).await?;
    for row in rows {
        is_granted(transaction, &row.repository, &row.child).await?;
    }
    let children: Vec<_> = rows.iter().filter(|row| row.role == Role::Child).collect();
    if children.is_empty() { Ok(()) } else { to_read(transaction, &children, stored).await }
}

/// The children of indexes have a table of their own, in the order in which they are read for a blob without a grant.
async fn to_read(
    transaction: &mut Transaction<'_>,
    children: &[&GrantRow],
    stored: i64,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into children (repository, child, tried, stored) values {} \
         on conflict (repository, child) do update set stored = excluded.stored",
        sqlite::placeholders(children.len(), 4)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for row in children {
        query = query.bind(row.repository.to_string()).bind(row.child.to_string()).bind(0_i64).bind(stored);
    }
    query.execute(&mut **transaction).await.map(drop)
}

pub(super) async fn owner(
    transaction: &mut Transaction<'_>,
    repository: &Repository,
    (manifest, blobs): (&Digest, &[Digest]),
    stored: i64,
) -> Result<(), sqlx::Error> {
    let sql = format!(
        "insert into evidence_blobs (repository, blob, manifest, stored) values {} \
         on conflict (repository, blob, manifest) do update set stored = excluded.stored",
        sqlite::placeholders(blobs.len(), 4)
    );
    // Safe: the text is made of numbers only.
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for blob in blobs {
        query =
            query.bind(repository.to_string()).bind(blob.to_string()).bind(manifest.to_string()).bind(stored);
    }
    query.execute(&mut **transaction).await.map(drop)
}

pub(super) async fn seal(transaction: &mut Transaction<'_>, fingerprint: String) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into standing (name, value) values ('seal', $1) \
         on conflict (name) do update set value = excluded.value",
    )
    .bind(fingerprint)
    .execute(&mut **transaction)
    .await
    .map(drop)
}

pub(super) async fn tag(
    transaction: &mut Transaction<'_>,
    key: &TagKey,
    digest: &Digest,
    seen: i64,
) -> Result<Option<Digest>, sqlx::Error> {
    let (repository, name) = (key.repository.to_string(), key.tag.to_string());
    let before = sqlx::query("select digest from tags where repository = $1 and tag = $2 and accept = $3")
        .bind(repository.clone())
        .bind(name.clone())
        .bind(key.accept.clone())
        .fetch_optional(&mut **transaction)
        .await?;
    sqlx::query(
        "insert into tags (repository, tag, accept, digest, seen, granted) values ($1, $2, $3, $4, $5, \
         coalesce((select p.granted from presence p where p.repository = $1 and p.digest = $4), 0)) \
         on conflict (repository, tag, accept) do update set \
         digest = excluded.digest, seen = excluded.seen, granted = excluded.granted",
    )
    .bind(repository)
    .bind(name)
    .bind(key.accept.clone())
    .bind(digest.to_string())
    .bind(seen)
    .execute(&mut **transaction)
    .await?;
    Ok(before.and_then(|row| row.try_get::<String, _>("digest").ok()).and_then(|text| text.parse().ok()))
}

pub(super) async fn presence(
    transaction: &mut Transaction<'_>,
    repository: &Repository,
    digest: &Digest,
    (media_type, seen): (Option<&'static str>, i64),
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "insert into presence (repository, digest, seen, media_type, granted) values ($1, $2, $3, $4, \
         case when exists (select 1 from grants g where g.repository = $1 and g.child = $2) then 1 else 0 end) \
         on conflict (repository, digest) do update set seen = excluded.seen, \
         media_type = coalesce(excluded.media_type, presence.media_type)",
    )
    .bind(repository.to_string())
    .bind(digest.to_string())
    .bind(seen)
    .bind(media_type.map(str::to_owned))
    .execute(&mut **transaction)
    .await?;
    tried(transaction, repository, digest).await
}

pub(super) async fn tried(
    transaction: &mut Transaction<'_>,
    repository: &Repository,
    child: &Digest,
) -> Result<(), sqlx::Error> {
    sqlx::query("update children set tried = 1 where repository = $1 and child = $2")
        .bind(repository.to_string())
        .bind(child.to_string())
        .execute(&mut **transaction)
        .await
        .map(drop)
}
