//! From a reference to the document that it names now. The digest is computed from the bytes that came; no header, tag
//! or name stands in for it (invariant 1).

use std::time::Duration;

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, ManifestFault, Reference, Repository, Tag, media_type};

use super::collect::AskedLayouts;
use super::order::Leave;
use super::{Pull, prefetch};
use crate::accept::Accept;
use crate::compute_pool::Died;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::{Missing, Refusal};
use crate::store::{Known, OrAnew as _};
use crate::upstream::{Fault, FetchedManifest};

/// How long ago a tag was seen, at most, for the question whether it has changed.
const KNOWN_FOR: Duration = Duration::from_secs(30 * 24 * 3600);

/// A reference, resolved.
#[derive(Debug)]
pub struct Resolved {
    /// What it means.
    pub document: Intact<Document>,
    /// The digest that the tag had before, if it moved.
    pub moved_from: Option<Digest>,
    /// The answers of layouts that were asked meanwhile.
    pub(crate) asked: Option<AskedLayouts>,
}

/// Finds the document: in memory and store where the repository's upstream once gave it, else from the upstream.
///
/// # Errors
/// [`Refusal`]: missing, undecided, or a shape that no mode serves.
pub async fn manifest(app: &Handles, live: &Live, _leave: &Leave, pull: &Pull) -> Result<Resolved, Refusal> {
    let known = match &pull.reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => app.memory.tag(&pull.repository, tag, pull.accept).await,
    };
    let mut store = Ok(());
    if let Some(digest) = known {
        match held(app, &pull.repository, &digest).await {
            Ok(Some(document)) => return Ok(Resolved { document, moved_from: None, asked: None }),
            Ok(None) => {}
            Err(unknown) => store = Err(unknown),
        }
    }
    let _place = app.question(&pull.repository)?;
    if let Reference::Tag(tag) = &pull.reference
        && let Some(document) = unchanged(app, live, pull, tag).await?
    {
        note_tag(app, pull, tag, document.digest()).await;
        return Ok(Resolved { document, moved_from: None, asked: None });
    }
    let (document, asked) = match (prefetch::fetch(app, live, pull).await, &pull.reference) {
        (Ok(fetched), _) => fetched,
        (Err(refusal), Reference::Digest(_)) => return Err(refusal.after(store)),
        (Err(refusal), Reference::Tag(_)) => return Err(refusal),
    };
    let moved_from = match &pull.reference {
        Reference::Digest(_) => None,
        Reference::Tag(tag) => note_tag(app, pull, tag, document.digest()).await,
    };
    Ok(Resolved { document, moved_from, asked })
}

/// The stored document of a tag, where the upstream confirms by a HEAD that the tag is unchanged: nothing is fetched,
/// and registries with a quota do not count a pull. The bytes are those that were hashed here; an upstream that lies
/// about the tag could as well serve the old one.
async fn unchanged(
    app: &Handles,
    live: &Live,
    pull: &Pull,
    tag: &Tag,
) -> Result<Option<Intact<Document>>, Refusal> {
    // An unknown tag or document costs a GET.
    let before = app.store.tag(&pull.repository, tag, pull.accept, KNOWN_FOR).await.or_anew();
    let Some(before) = before else { return Ok(None) };
    let Some(document) = held(app, &pull.repository, &before).await.or_anew() else { return Ok(None) };
    let upstream = live.upstream(&pull.repository).ok_or(Refusal::undecided(Code::Internal))?;
    let now = upstream.tag_digest(&pull.repository, tag, &pull.accept.types()).await;
    match app.counted(upstream, "tag", now) {
        Ok(now) => Ok(Some(document).filter(|_| now == Some(before))),
        // To ask again would only double the wait.
        Err(fault @ (Fault::Unreachable | Fault::Timeout | Fault::Status(429))) => {
            Err(Refusal::upstream(&fault, Missing::Manifest))
        }
        // Registries differ in their answers to a HEAD: the GET decides.
        Err(_) => Ok(None),
    }
}

/// A document that this repository's upstream once gave and that is still intact in the store. The same digest from
/// another repository does not count: existence there is not existence here (A026).
///
/// # Errors
/// [`Unknown`](crate::store::Unknown).
pub async fn held(
    app: &Handles,
    repository: &Repository,
    digest: &Digest,
) -> Known<Option<Intact<Document>>> {
    if let Some(document) = remembered(app, repository, digest).await {
        return Ok(Some(document));
    }
    let Some(bytes) = app.store.document(repository, digest).await? else { return Ok(None) };
    // Where it names no type itself, it is what this repository's upstream called it (A610).
    let media_type = app.store.document_type(repository, digest).await?;
    let length = bytes.value().len();
    let read = app.compute_pool.over(repository, length, move || bytes.parse(media_type.as_deref()));
    let Ok(Ok(document)) = read.await else { return Ok(None) };
    app.memory.keep_document(repository, &document).await;
    Ok(Some(document))
}

/// The same, else the upstream's.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn by_digest(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
) -> Result<Intact<Document>, Refusal> {
    let store = match held(app, repository, &digest).await {
        Ok(Some(document)) => return Ok(document),
        Ok(None) => Ok(()),
        Err(unknown) => Err(unknown),
    };
    let fetched = fetch(app, live, repository, &Reference::Digest(digest), Accept::default()).await;
    fetched.map_err(|refusal| refusal.after(store))
}

/// Parses the gate's own copy of a document, off the threads that serve (A611).
pub(super) async fn parsed(
    app: &Handles,
    repository: &Repository,
    bytes: Intact<Bytes>,
) -> Option<Intact<Document>> {
    let length = bytes.value().len();
    app.compute_pool.over(repository, length, move || bytes.parse(None)).await.ok()?.ok()
}

/// The same without a look at the disk.
pub(super) async fn remembered(
    app: &Handles,
    repository: &Repository,
    digest: &Digest,
) -> Option<Intact<Document>> {
    let document = app.memory.document(repository, digest).await?;
    app.store.known_present(repository, &document.digest()).await.then_some(document)
}

/// Asks the upstream, once.
pub async fn fetch(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    reference: &Reference,
    accept: Accept,
) -> Result<Intact<Document>, Refusal> {
    look(app, live, repository, reference, accept).await.map_err(Refusal::from)
}

/// As [`fetch`], with the fault of a malformed document.
///
/// # Errors
/// [`Unresolved`].
pub(super) async fn look(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    reference: &Reference,
    accept: Accept,
) -> Result<Intact<Document>, Unresolved> {
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    let mut held = app.evidence_budget.nothing(repository);
    let mut room = |bytes| held.grow(bytes).is_ok();
    let fetched = upstream.manifest(repository, reference, &accept.types(), &mut room).await;
    let fetched = app.counted(upstream, "manifest", fetched);
    let fetched = fetched.map_err(|fault| match fault {
        Fault::TooLarge => Unresolved::Shape(ManifestFault::TooLarge, None),
        fault => Refusal::upstream(&fault, Missing::Manifest).into(),
    })?;
    let (length, reference) = (fetched.body.len(), reference.clone());
    let work = app.compute_pool.over(repository, length, move || read(fetched, &reference));
    let (bytes, document) = work.await.map_err(|Died| Refusal::undecided(Code::Internal))??;
    app.store.keep_document(repository, &bytes).await;
    app.store.keep_type(repository, &document.digest(), document.value().media_type()).await;
    app.memory.keep_document(repository, &document).await;
    Ok(document)
}

fn read(
    fetched: FetchedManifest,
    reference: &Reference,
) -> Result<(Intact<Bytes>, Intact<Document>), Unresolved> {
    let named = fetched.content_type.clone();
    // Under a generic type, the document's own `mediaType` counts.
    let content_type = named.as_deref().filter(|name| !says_nothing(name));
    let intact: Intact<Bytes> = match reference {
        Reference::Digest(digest) => {
            fetched.body.check(digest).map_err(|_| Refusal::undecided(Code::UpstreamIntegrity))?
        }
        Reference::Tag(_) => {
            // By tag, a login page with status 200 or an empty body is no manifest, and a fault of the upstream (A109).
            let intact = fetched.body.hash();
            let is_one = content_type.is_some_and(is_manifest_type) && !intact.value().is_empty();
            if !is_one && !calls_itself_a_manifest(intact.value()) {
                return Err(Refusal::undecided(Code::UpstreamProtocol).into());
            }
            intact
        }
    };
    let document = intact.clone().parse(content_type).map_err(|fault| {
        let named = (fault == ManifestFault::Unsupported).then(|| type_of(intact.value(), named));
        Unresolved::Shape(fault, named.flatten())
    })?;
    Ok((intact, document))
}

/// Whether a media type is generic and says nothing about the document.
fn says_nothing(name: &str) -> bool {
    matches!(
        name,
        "application/json" | "application/octet-stream" | "binary/octet-stream" | "text/html" | "text/json"
    )
}

/// Whether a document says that it is a manifest, of whatever kind. A page of HTML does not, nor does an error in JSON.
fn calls_itself_a_manifest(bytes: &Bytes) -> bool {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        schema_version: Option<serde::de::IgnoredAny>,
        media_type: Option<serde::de::IgnoredAny>,
    }
    let said = serde_json::from_slice::<Said>(bytes);
    said.is_ok_and(|said| said.schema_version.is_some() || said.media_type.is_some())
}

/// The type of a document that is not served: its own word, else the upstream's.
fn type_of(bytes: &Bytes, named: Option<String>) -> Option<String> {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Said {
        media_type: String,
    }
    serde_json::from_slice::<Said>(bytes).map(|said| said.media_type).ok().or(named)
}

/// Why there is no document.
#[derive(Debug)]
pub(super) enum Unresolved {
    /// It is here, and not to be read; the type that is not served.
    Shape(ManifestFault, Option<String>),
    /// Anything else.
    Refused(Refusal),
}

impl From<Refusal> for Unresolved {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Unresolved> for Refusal {
    fn from(unresolved: Unresolved) -> Self {
        match unresolved {
            Unresolved::Shape(fault, named) => shape(fault, named.as_deref()),
            Unresolved::Refused(refusal) => refusal,
        }
    }
}

/// The denial of a shape that is refused in every mode, warn mode too.
pub(super) fn shape(fault: ManifestFault, named: Option<&str>) -> Refusal {
    let code = match fault {
        ManifestFault::Ambiguous => Code::ManifestAmbiguous,
        ManifestFault::IndexTooLarge => Code::IndexTooLarge,
        ManifestFault::Crowded | ManifestFault::Invalid => Code::ManifestInvalid,
        ManifestFault::TooLarge => Code::ManifestTooLarge,
        ManifestFault::Unsupported => Code::ManifestUnsupported,
    };
    let denial = match named {
        Some(name) => decide::type_denial(code, name),
        None => decide::shape_denial(code),
    };
    Refusal::Denied(Box::new(denial))
}

fn is_manifest_type(name: &str) -> bool {
    media_type::MANIFESTS.contains(&name)
        || matches!(
            name,
            // Schema 1 in its three costumes: a manifest, and one that is refused by name (A112).
            "application/vnd.docker.distribution.manifest.v1+json"
                | "application/vnd.docker.distribution.manifest.v1+prettyjws"
                | "text/plain"
        )
}

async fn note_tag(app: &Handles, pull: &Pull, tag: &Tag, digest: Digest) -> Option<Digest> {
    app.memory.keep_tag(&pull.repository, tag, pull.accept, digest).await;
    let before = app.store.keep_tag(&pull.repository, tag, pull.accept, digest).await;
    before.filter(|before| *before != digest)
}

const _: () =
    assert!(limits::MANIFEST_BYTES <= limits::EVIDENCE_ITEM_BYTES, "every manifest fits the document store");
