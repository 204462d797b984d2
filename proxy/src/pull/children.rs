//! The children of indexes, read on behalf of a blob: a node that has the manifests already asks for blobs only, and
//! must not lose its pull.
//!
//! A stranger may request blobs that do not exist. Their cost is bounded (A615): one reader serves all requests of a
//! repository, it asks for no child twice, and it stops after a few failures.

use std::sync::Arc;

use crate::limits;
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::grant::{Grant, Role};
use pullgate_policy::oci::{Digest, Document, Reference, Repository};
use pullgate_policy::verdict::Permitted;

use super::order::Leave;
use super::{Content, recall, resolve, serve};
use crate::accept::Accept;
use crate::live::Live;
use crate::memory::Child;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::store::Known;

/// How reading the children ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// One lists the blob that was looked for.
    Found,
    /// All were read, as many as may be.
    Through,
}

/// The grant of a blob by a child that was not pulled yet: at most 32 are read before the gate refuses.
///
/// # Errors
/// [`Refusal`], where the blob may belong to a child that could not be judged or read: not knowing is not a no
/// (invariant 4).
pub(super) async fn grant(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    digest: Digest,
) -> Result<Option<Grant>, Refusal> {
    // A joined search looked for another blob, and may have begun before an index was served: then the search is
    // repeated. Each one that was found takes a child, so that there are not many more than children.
    for _ in 0..=limits::CHILDREN_READ_FOR_BLOB {
        let mut begun = false;
        let read = {
            let (handle, live, leave) = (Arc::clone(app), Arc::clone(live), leave.clone());
            let key = (leave.repository().clone(), live.revisions());
            let begun = &mut begun;
            let work = move || {
                *begun = true;
                async move { read(&handle, &live, &leave, digest).await }
            };
            app.children.join(key, work).await.unwrap_or_else(|_lost| Err(Refusal::undecided(Code::Internal)))
        };
        if let Some(grant) = recall::grant(app, live, leave, digest, Role::Blob).await? {
            return Ok(Some(grant));
        }
        if begun {
            return read.map(|_end| None);
        }
    }
    Err(Refusal::undecided(Code::Overload))
}

/// Reads children of this repository until one lists the blob.
async fn read(app: &Arc<Handles>, live: &Arc<Live>, leave: &Leave, digest: Digest) -> Result<End, Refusal> {
    let repository = leave.repository();
    let (mut failed, mut undecided) = (0, None);
    for child in unread(app, repository).await? {
        match read_one(app, live, leave, child, digest).await {
            Ok(Some(End::Found)) => return Ok(End::Found),
            Ok(Some(End::Through) | None) => {}
            Err(refusal @ Refusal::Undecided(_)) => {
                app.memory.keep_child(repository, child, Child::Failed).await;
                undecided = Some(refusal);
                failed += 1;
            }
            Err(_) => {
                app.memory.keep_child(repository, child, Child::Absent).await;
                app.store.keep_tried(repository, child);
            }
        }
        if failed == limits::CHILDREN_FAILED_FOR_BLOB {
            break;
        }
    }
    undecided.map_or(Ok(End::Through), Err)
}

/// The children that are to be read, those last that could not be had a moment ago: others must come to be read.
async fn unread(app: &Handles, repository: &Repository) -> Known<Vec<Digest>> {
    let (mut first, mut last) = (Vec::new(), Vec::new());
    for child in app.store.granted_children(repository, limits::CHILDREN_READ_FOR_BLOB).await? {
        match app.memory.child(repository, child).await {
            None => first.push(child),
            Some(Child::Failed) => last.push(child),
            Some(Child::Absent | Child::Read) => {}
        }
    }
    first.append(&mut last);
    Ok(first)
}

/// Reads one child and keeps its grants; `None` where the child is no longer granted.
async fn read_one(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    child: Digest,
    digest: Digest,
) -> Result<Option<End>, Refusal> {
    let repository = leave.repository();
    let grant = match recall::grant(app, live, leave, child, Role::Child).await {
        Ok(Some(grant)) => grant,
        Err(refusal @ Refusal::Undecided(_)) => return Err(refusal),
        // Its index may be permitted again at any time.
        Ok(None) | Err(_) => return Ok(None),
    };
    let document = match resolve::held(app, repository, &child).await {
        Ok(Some(document)) => document,
        Ok(None) => from_upstream(app, live, repository, child).await?,
        Err(unknown) => {
            let fetched = from_upstream(app, live, repository, child).await;
            fetched.map_err(|refusal| refusal.after(Err(unknown)))?
        }
    };
    let lists_it = document.value().manifest().content().any(|descriptor| descriptor.digest == Some(digest));
    let Ok(permitted) = Permitted::under_grant(grant, document) else { return Ok(None) };
    serve::remember(app, &Content::Permitted(Box::new(permitted))).await;
    app.memory.keep_child(repository, child, Child::Read).await;
    Ok(Some(if lists_it { End::Found } else { End::Through }))
}

async fn from_upstream(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    child: Digest,
) -> Result<Intact<Document>, Refusal> {
    // An unread child is not a no: the next ones are read in a while.
    if !app.memory.may_ask_for_child(repository).await {
        return Err(Refusal::undecided(Code::Overload));
    }
    let _place = app.question(repository)?;
    resolve::fetch(app, live, repository, &Reference::Digest(child), Accept::default()).await
}
