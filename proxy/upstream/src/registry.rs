//! One upstream registry: its requests and credentials.

use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

use crate::limits;
use bytes::Bytes;
use futures_util::stream::BoxStream;
use http::header::{ACCEPT, CONTENT_RANGE, HeaderName, HeaderValue, RANGE};
use http::{HeaderMap, Method, StatusCode};
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::limits::MANIFEST_BYTES;
use pullgate_policy::oci::{Digest, Reference, Registry, Repository, Tag};
use tokio::time::Instant;

use crate::access::Access;
use crate::answer::{Answer, Responder, Room};
use crate::client::{Ask, Client};
use crate::fault::{Fault, SetupFault};
use crate::off::Off;
use crate::patience::For;
use crate::quota::Quota;
use crate::rest::Kind;
use crate::settings::Settings;

const CONTENT_DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// One upstream registry.
pub struct Upstream {
    registry: Registry,
    pub(crate) client: Arc<Client>,
    pub(crate) access: Access,
    pub(crate) off: Off,
}

/// A manifest as it came.
#[derive(Debug)]
pub struct FetchedManifest {
    /// The body, at most `manifest_bytes`.
    pub body: Untrusted<Bytes>,
    /// The media type, without parameters.
    pub content_type: Option<String>,
}

/// A blob as it comes.
pub struct BlobBody {
    /// The announced length, bytes.
    pub length: Option<u64>,
    /// The bytes; after a fault there are no more.
    pub stream: BoxStream<'static, Result<Bytes, Fault>>,
}

/// Whether a repository has a blob.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Presence {
    /// It has not.
    Absent,
    /// It has; with the announced length.
    Here(Option<u64>),
}

impl Upstream {
    /// Builds its client. Nothing is asked yet.
    ///
    /// # Errors
    /// [`SetupFault`] for certificates or credentials that cannot be used.
    #[expect(clippy::needless_pass_by_value, reason = "settings hold secrets: who built them keeps no copy")]
    pub fn new(settings: Settings) -> Result<Self, SetupFault> {
        let registry = settings.registry.clone();
        let fault = |why| SetupFault { registry: registry.clone(), why };
        let client = Arc::new(Client::new(&settings).map_err(fault)?);
        let access = Access::new(&settings, Arc::clone(&client)).map_err(fault)?;
        Ok(Self { registry, client, access, off: Off::default() })
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The rest of its quota, as it last reported it, if it has one.
    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.client.quota()
    }

    /// How many of several endpoints do not answer, and are asked last for a while.
    #[must_use]
    pub fn endpoints_resting(&self) -> usize {
        self.client.endpoints_resting()
    }

    /// One manifest, by one request, as far as there is room for it. Its digest is not believed: the caller hashes.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Integrity`] where the announced digest is not that of the bytes (A101).
    pub async fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accept: &[String],
        room: Room<'_>,
    ) -> Result<FetchedManifest, Fault> {
        let mut begun = None;
        match self.manifest_once(repository, reference, (accept, room), &mut begun).await {
            // The answer trickled: another connection may deliver it in time for the waiting clients.
            Err(Fault::Timeout) if begun.is_some_and(|begun| begun.elapsed() >= limits::ANSWER_TIME) => {
                self.manifest_once(repository, reference, (accept, room), &mut begun).await
            }
            answer => answer,
        }
    }

    async fn manifest_once(
        &self,
        repository: &Repository,
        reference: &Reference,
        (accept, room): (&[String], Room<'_>),
        begun: &mut Option<Instant>,
    ) -> Result<FetchedManifest, Fault> {
        let answer = self.ask_manifest(Method::GET, repository, reference, accept).await?;
        *begun = Some(Instant::now());
        let content_type = answer.content_type()?;
        let claimed = match answer.single(&CONTENT_DIGEST)? {
            Some(text) => Some(text.parse::<Digest>().map_err(|_| Fault::Protocol)?),
            None => None,
        };
        let body = answer.read_into(MANIFEST_BYTES, room).await?;
        if let Some(claimed) = claimed {
            let bytes = body.clone();
            if self.off.over(body.len(), move || claimed.recompute(&bytes)).await? != claimed {
                return Err(Fault::Integrity);
            }
        }
        Ok(FetchedManifest { body: Untrusted::new(body), content_type })
    }

    /// The digest of a tag, by a HEAD, which registries do not count as a pull. `None` if the answer has no digest. Use
    /// it only to confirm an unchanged tag: it proves nothing about bytes that are not here.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn tag_digest(
        &self,
        repository: &Repository,
        tag: &Tag,
        accept: &[String],
    ) -> Result<Option<Digest>, Fault> {
        let answer = self.ask_manifest(Method::HEAD, repository, tag, accept).await?;
        match answer.place {
            Responder::Home(_) => Ok(answer.single(&CONTENT_DIGEST)?.and_then(|text| text.parse().ok())),
            Responder::Elsewhere(_) => Ok(None),
        }
    }

    /// A blob, always whole: a client's range is never passed on (A027).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<BlobBody, Fault> {
        let answer = self.ask_blob((Method::GET, For::Blob), repository, digest, HeaderMap::new()).await?;
        let answer = self.found(repository, answer).await?;
        Ok(BlobBody { length: answer.length()?, stream: answer.stream()? })
    }

    /// Whether the repository has the blob, by a HEAD: for answers that refuse the blob in either case.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn blob_seems_here(&self, repository: &Repository, digest: &Digest) -> Result<Presence, Fault> {
        let answer =
            self.ask_blob((Method::HEAD, For::Question), repository, digest, HeaderMap::new()).await?;
        self.presence(repository, answer).await
    }

    /// Whether the repository has the blob. Registries answer a HEAD in many ways, and an address that is signed for a GET
    /// refuses it: only a GET, of one byte, says no.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn blob_exists(&self, repository: &Repository, digest: &Digest) -> Result<Presence, Fault> {
        let head = self.ask_blob((Method::HEAD, For::Question), repository, digest, HeaderMap::new()).await;
        if let Ok(answer) = head
            && answer.status() == StatusCode::OK
        {
            return Ok(Presence::Here(answer.length()?));
        }
        let first = HeaderMap::from_iter([(RANGE, HeaderValue::from_static("bytes=0-0"))]);
        let answer = self.ask_blob((Method::GET, For::Question), repository, digest, first).await?;
        match answer.status() {
            // An empty blob has no first byte.
            StatusCode::RANGE_NOT_SATISFIABLE => Ok(Presence::Here(Some(0))),
            StatusCode::PARTIAL_CONTENT => {
                let total = answer.single(&CONTENT_RANGE)?.and_then(|range| range.rsplit_once('/'));
                Ok(Presence::Here(total.and_then(|(_, total)| total.parse().ok())))
            }
            _ => self.presence(repository, answer).await,
        }
    }

    async fn presence(&self, repository: &Repository, answer: Answer) -> Result<Presence, Fault> {
        match self.found(repository, answer).await {
            Ok(answer) => Ok(Presence::Here(answer.length()?)),
            Err(Fault::NotFound) => Ok(Presence::Absent),
            Err(fault) => Err(fault),
        }
    }

    /// A small blob, hashed; cut at `most` bytes.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn small_blob(
        &self,
        repository: &Repository,
        digest: &Digest,
        most: u64,
    ) -> Result<Intact<Bytes>, Fault> {
        let answer =
            self.ask_blob((Method::GET, For::Question), repository, digest, HeaderMap::new()).await?;
        let body = answer.found().await?.read(most).await?;
        let digest = *digest;
        let checked = self.off.over(body.len(), move || Untrusted::new(body).check(&digest)).await?;
        checked.map_err(|_| Fault::Integrity)
    }

    /// Asks for a manifest, by tag or digest; a missing one is a fault.
    async fn ask_manifest(
        &self,
        method: Method,
        repository: &Repository,
        reference: &impl fmt::Display,
        accept: &[String],
    ) -> Result<Answer, Fault> {
        let path = format!("/v2/{}/manifests/{reference}", self.name_of(repository));
        let (headers, kind) = (accepting(accept), Kind::Manifest);
        let ask = Ask { method, waits: For::Question, path: &path, headers, kind, repository };
        self.found(repository, self.ask(&ask).await?).await
    }

    pub(crate) async fn ask_blob(
        &self,
        (method, waits): (Method, For),
        repository: &Repository,
        digest: &Digest,
        headers: HeaderMap,
    ) -> Result<Answer, Fault> {
        let path = format!("/v2/{}/blobs/{digest}", self.name_of(repository));
        self.ask(&Ask { method, waits, path: &path, headers, kind: Kind::Blob, repository }).await
    }

    /// The name of a repository at the upstream: behind a prefix, if it has one.
    pub(crate) fn name_of<'a>(&self, repository: &'a Repository) -> Cow<'a, str> {
        self.client.name_of(repository)
    }

    /// Its refused realms, redirects and certificates of late, one sentence for each, for the operator.
    #[must_use]
    pub fn refused(&self) -> Vec<String> {
        self.client.notices().sentences()
    }
}

fn accepting(types: &[String]) -> HeaderMap {
    let value = HeaderValue::try_from(types.join(", "));
    value.map(|value| HeaderMap::from_iter([(ACCEPT, value)])).unwrap_or_default()
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("registry", &self.registry).finish_non_exhaustive()
    }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobBody").field("length", &self.length).finish_non_exhaustive()
    }
}
