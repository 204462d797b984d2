//! Blobs: served under a grant whose root is permitted now, or as the gate's own copy of evidence; never otherwise.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::decide::shape_denial;
use pullgate_policy::grant::{Grant, Role};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Repository};

use super::{children, collect, order, other_name, recall, resolve, scope};
use crate::live::Live;
use crate::metrics::CacheResult;
use crate::pull::handles::Handles;
use crate::refusal::{Missing, Refusal};
use crate::store::{BlobFault, Grants, Reader};
use crate::upstream::{Fault, Presence, Upstream, blob_from, resumed};

/// A blob that may leave.
#[derive(Debug)]
pub enum Blob {
    /// The gate's own verified copy of a piece of evidence.
    Evidence(bytes::Bytes),
    /// Content under a grant, with its length in bytes.
    Granted(Box<Reader<Fault>>),
    /// The length of such content, in bytes, where no more was asked for.
    Sized(u64),
}

/// A blob that may leave, and what its leave rests on.
#[derive(Debug)]
pub struct Leaving {
    /// The blob.
    pub blob: Blob,
    /// The root whose permit counts for it; `None` for evidence.
    pub root: Option<Digest>,
}

/// The part of a blob that is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Asks {
    /// Its bytes.
    Bytes,
    /// Whether it is there, and how long it is (HEAD): the grant says it, and no transfer begins.
    Size,
}

/// Finds a blob and the right to serve it, under the policy that is in force when it is found (A412).
///
/// # Errors
/// [`Refusal`], with the load of the configuration that it came from.
pub async fn blob(
    app: &Arc<Handles>,
    repository: &Repository,
    digest: Digest,
    asks: Asks,
) -> Result<Leaving, (Refusal, Arc<Live>)> {
    for _ in 0..super::DECIDED_AGAIN_MAX {
        let live = app.live();
        let found = under(app, &live, (repository, digest), asks).await;
        if app.live().revisions() == live.revisions() {
            return found.map_err(|refusal| (refusal, live));
        }
    }
    Err((Refusal::undecided(Code::Overload), app.live()))
}

async fn under(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    (repository, digest): (&Repository, Digest),
    asks: Asks,
) -> Result<Leaving, Refusal> {
    let leave = order::leave(app, live, repository, Some(&digest)).await?;
    // A manifest's bytes never leave by this door: old containerd tries it after a 403 (A024, A134).
    if is_manifest(app, repository, digest).await? {
        return Err(Refusal::Missing(Missing::Blob));
    }
    // Grants come first: the same bytes may lie in evidence that no longer passes, and that must not deny them.
    let granted = recall::grant(app, live, &leave, digest, Role::Blob).await;
    let passed = match granted {
        Ok(Some(grant)) => return granted_blob(app, live, &grant, asks).await,
        Ok(None) | Err(_) => Box::pin(collect::servable::blob(app, live, repository, digest)).await,
    };
    if let Ok(Some(copy)) = passed {
        // It may be evidence and a manifest at once, and be named by SHA-512.
        return match digest {
            Digest::Sha512(_) if is_manifest(app, repository, copy.sha256).await? => {
                Err(Refusal::Missing(Missing::Blob))
            }
            Digest::Sha256(_) | Digest::Sha512(_) => {
                Ok(Leaving { blob: Blob::Evidence(copy.bytes), root: None })
            }
        };
    }
    let grant = match granted? {
        Some(grant) => Some(grant),
        None => children::grant(app, live, &leave, digest).await?,
    };
    match (grant, passed) {
        (Some(grant), _) => granted_blob(app, live, &grant, asks).await,
        (None, Err(refusal)) => Err(refusal),
        (None, Ok(_)) => Err(ungranted(app, live, repository, &digest).await),
    }
}

async fn granted_blob(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    grant: &Grant,
    asks: Asks,
) -> Result<Leaving, Refusal> {
    known_by_sha256(app, live, grant).await?;
    other_name::not_blocked(app, live, grant).await?;
    let blob = match asks {
        Asks::Bytes => open(app, live, grant).await?,
        Asks::Size => size(app, live, grant).await?,
    };
    Ok(Leaving { blob, root: Some(grant.permit().subject().digest) })
}

/// Costs the upstream a HEAD at most, and nothing where the repository's own upstream has had the blob (A026).
async fn size(app: &Arc<Handles>, live: &Live, grant: &Grant) -> Result<Blob, Refusal> {
    let (repository, digest) = (grant.repository(), grant.digest());
    let had = app.store.present(repository, &digest).await;
    if had == Ok(true) {
        return Ok(Blob::Sized(grant.size()));
    }
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    match presence(app, upstream, repository, digest).await? {
        // What else it says of the length is checked of the bytes (A104): registries answer a HEAD in many ways.
        Presence::Here(_) => Ok(Blob::Sized(grant.size())),
        Presence::Absent => Err(Refusal::Missing(Missing::Blob).after(had.map(drop))),
    }
}

/// Blocks and manifests are known by SHA-256 (A013). A SHA-512 blob that is small enough to be a manifest is read and
/// hashed by SHA-256 first, so that a list of layers by SHA-512 does not bypass the two checks above (A134).
async fn known_by_sha256(app: &Handles, live: &Live, grant: &Grant) -> Result<(), Refusal> {
    let (repository, digest) = (grant.repository(), grant.digest());
    if matches!(digest, Digest::Sha256(_)) || grant.size() > limits::MANIFEST_BYTES {
        return Ok(());
    }
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    let _place = app.question(repository)?;
    let read = upstream.small_blob(repository, &digest, grant.size()).await;
    let read =
        app.counted(upstream, "blob", read).map_err(|fault| Refusal::upstream(&fault, Missing::Blob))?;
    scope::not_blocked(live, &read.digest())?;
    match resolve::parsed(app, repository, read).await {
        Some(_) => Err(Refusal::Missing(Missing::Blob)),
        None => Ok(()),
    }
}

/// Whether it is a manifest of this repository: manifests of other repositories are not revealed (A619). Where the
/// store cannot say whose a digest is, a stored manifest is undecided, and any other blob goes on to its grant. Bytes
/// do not change: whether they are one is remembered, and not read for each blob (A611).
async fn is_manifest(app: &Handles, repository: &Repository, digest: Digest) -> Result<bool, Refusal> {
    match app.memory.is_manifest(digest).await {
        Some(true) => return Ok(app.store.present(repository, &digest).await?),
        Some(false) => return Ok(false),
        None => {}
    }
    match app.store.document(repository, &digest).await {
        Ok(Some(bytes)) => {
            let is_one = resolve::parsed(app, repository, bytes).await.is_some();
            app.memory.keep_is_manifest(digest, is_one).await;
            Ok(is_one)
        }
        Ok(None) => Ok(false),
        Err(unknown) => {
            let Ok(Some(bytes)) = app.store.lies_here(&digest).await else { return Ok(false) };
            match resolve::parsed(app, repository, bytes).await {
                Some(_) => Err(unknown.into()),
                None => Ok(false),
            }
        }
    }
}

/// 404 where the upstream has no such blob in this repository, 403 where it has: with or without a copy in the cache
/// (A025). Where its grant may have been lost lately it is undecided, and the next pull of the manifest mends it
/// (A603).
async fn ungranted(app: &Handles, live: &Live, repository: &Repository, digest: &Digest) -> Refusal {
    app.metrics.cache("grants", CacheResult::Miss);
    let denied = || Refusal::Denied(Box::new(shape_denial(Code::NotGranted)));
    let Some(upstream) = live.upstream(repository) else { return denied() };
    let _place = match app.question(repository) {
        Ok(place) => place,
        Err(refusal) => return refusal,
    };
    match app.counted(upstream, "presence", upstream.blob_seems_here(repository, digest).await) {
        Ok(Presence::Absent) => Refusal::Missing(Missing::Blob),
        Ok(Presence::Here(_)) => match app.store.grants_are() {
            Grants::AllThere => denied(),
            Grants::MayBeLost => Refusal::undecided(Code::Storage),
        },
        // Not knowing is not a denial; the answer gives nothing away either.
        Err(fault) => Refusal::upstream(&fault, Missing::Blob),
    }
}

/// The blob that is granted, from the cache or the upstream.
pub(super) async fn open(app: &Arc<Handles>, live: &Live, grant: &Grant) -> Result<Blob, Refusal> {
    let (repository, digest) = (grant.repository(), grant.digest());
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    if let Some(reader) = app.store.blobs().open(grant).await {
        // A copy counts here only once this repository's own upstream has had the blob (A026).
        let present = app.store.present(repository, &digest).await;
        if present == Ok(true) {
            app.metrics.cache("blobs", CacheResult::Hit);
            return Ok(Blob::Granted(Box::new(reader)));
        }
        app.metrics.cache("blobs", CacheResult::Miss);
        return match presence(app, upstream, repository, digest).await? {
            Presence::Here(_) => Ok(Blob::Granted(Box::new(reader))),
            Presence::Absent => Err(Refusal::Missing(Missing::Blob).after(present.map(drop))),
        };
    }
    app.metrics.cache("blobs", CacheResult::Miss);
    let source = {
        let (app, upstream, repository) = (Arc::clone(app), Arc::clone(upstream), repository.clone());
        let size = grant.size();
        move |from| async move {
            let body = match from {
                0 => upstream.blob(&repository, &digest).await,
                from => blob_from(&upstream, &repository, &digest, (from, size)).await,
            };
            let body = app.counted(&upstream, "blob", body)?;
            // Before the blob is kept, so that a request that finds it need not ask the upstream.
            app.store.keep_present(&repository, &digest).await;
            let body = match from {
                0 => resumed(&upstream, &repository, &digest, (body, size)),
                _ => body,
            };
            Ok((body.length, body.stream))
        }
    };
    let fetched = app.store.blobs().fetch(grant, source).await;
    let reader = fetched.map_err(|fault| blob_fault(&fault))?;
    Ok(Blob::Granted(Box::new(reader)))
}

/// Whether this repository's own upstream has the blob, asked once for all concurrent requests.
async fn presence(
    app: &Arc<Handles>,
    upstream: &Arc<Upstream>,
    repository: &Repository,
    digest: Digest,
) -> Result<Presence, Refusal> {
    let work = {
        let (app, upstream, repository) = (Arc::clone(app), Arc::clone(upstream), repository.clone());
        || async move {
            let _place = app.question(&repository)?;
            let found = upstream.blob_exists(&repository, &digest).await;
            let found = app.counted(&upstream, "presence", found);
            if let Ok(Presence::Here(_)) = found {
                app.store.keep_present(&repository, &digest).await;
            }
            found.map_err(|fault| Refusal::upstream(&fault, Missing::Blob))
        }
    };
    let lost = |_lost| Err(Refusal::undecided(Code::Internal));
    app.presences.join((repository.clone(), digest), work).await.unwrap_or_else(lost)
}

/// The refusal for a transfer that failed before its first byte.
fn blob_fault(fault: &BlobFault<Fault>) -> Refusal {
    let code = match fault {
        BlobFault::Upstream(fault) => return Refusal::upstream(fault, Missing::Blob),
        BlobFault::Corrupt | BlobFault::Long | BlobFault::Short | BlobFault::Size { .. } => {
            Code::UpstreamIntegrity
        }
        BlobFault::Stalled => Code::UpstreamTimeout,
        BlobFault::Ended => Code::Internal,
        BlobFault::Storage(_) => Code::Storage,
        BlobFault::Unknown => Code::UpstreamProtocol,
    };
    Refusal::undecided(code)
}
