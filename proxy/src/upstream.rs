//! Upstream registries: everything that comes from one is untrusted, bounded and timed; a credential goes to its own
//! upstream or nowhere.

use std::collections::BTreeSet;
use std::fmt;

use bytes::Bytes;
use futures_util::stream::BoxStream;
use futures_util::{StreamExt as _, stream};
use http::header::{ACCEPT, CONTENT_TYPE, HeaderName, HeaderValue, LINK};
use http::{HeaderMap, Method, StatusCode};
use http_body_util::BodyExt as _;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::oci::{Digest, Reference, Registry, Repository, Tag, media_type};
use pullgate_policy::{limits, strict_json};
use serde_json::{Value, json};

mod auth;
mod client;
mod fault;
mod settings;

pub use fault::{Fault, SetupFault};
pub use settings::Settings;

use auth::{Challenge, Tokens};
use client::{Answer, Client, read, single};

const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");

/// One upstream registry.
pub struct Upstream {
    client: Client,
    tokens: Tokens,
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
    /// The bytes.
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

/// Whether a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// It ends here.
    No,
    /// There is another page.
    Yes,
}

/// A page of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPage {
    /// The tags that are inside the grammar.
    pub tags: Vec<Tag>,
    /// Whether there are more.
    pub more: More,
}

/// What the referrers API says.
#[derive(Debug, Clone)]
pub enum Referrers {
    /// A list.
    Api {
        /// Its descriptors, each once.
        descriptors: Vec<ReferrerDescriptor>,
        /// Whether it went on beyond the limits.
        more: More,
    },
    /// The registry has no such API, which is normal.
    NoApi,
}

/// A descriptor of a referrer: parsed, and written anew from its parts (A037).
#[derive(Debug, Clone)]
pub struct ReferrerDescriptor {
    /// The digest.
    pub digest: Digest,
    /// The artifact type, a hint.
    pub artifact_type: Option<String>,
    media_type: String,
    size: u64,
    annotations: Value,
}

impl ReferrerDescriptor {
    fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let annotations = value.get("annotations").filter(|annotations| {
            annotations.as_object().is_some_and(|map| {
                map.values().all(|value| value.as_str().is_some_and(|text| text.len() <= limits::ANNOTATION_BYTES))
            })
        });
        Some(Self {
            digest: text("digest")?.parse().ok()?,
            artifact_type: text("artifactType"),
            media_type: text("mediaType").filter(|name| media_type::MANIFESTS.contains(&name.as_str()))?,
            size: value.get("size")?.as_u64()?,
            annotations: annotations.cloned().unwrap_or_else(|| json!({})),
        })
    }

    /// The descriptor, without `urls` and `data`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = json!({ "mediaType": self.media_type, "digest": self.digest, "size": self.size });
        if let Some(artifact_type) = &self.artifact_type {
            value["artifactType"] = json!(artifact_type);
        }
        if self.annotations.as_object().is_some_and(|map| !map.is_empty()) {
            value["annotations"] = self.annotations.clone();
        }
        value
    }
}

impl Upstream {
    /// Builds its client.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn new(settings: Settings) -> Result<Self, SetupFault> {
        let registry = settings.registry.clone();
        let client = Client::new(settings).map_err(|why| SetupFault { registry, why })?;
        Ok(Self { client, tokens: Tokens::default() })
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.client.settings().registry
    }

    /// One manifest, by one request. Its digest is not believed: the caller hashes.
    ///
    /// # Errors
    /// [`Fault`]; [`Fault::Integrity`] where the announced digest is not that of the bytes (A101).
    pub async fn manifest(
        &self,
        repository: &Repository,
        reference: &Reference,
        accept: &[String],
    ) -> Result<FetchedManifest, Fault> {
        let mut headers = HeaderMap::new();
        if let Ok(value) = HeaderValue::try_from(accept.join(", ")) {
            headers.insert(ACCEPT, value);
        }
        let path = format!("/v2/{}/manifests/{reference}", repository.path());
        let answer = self.ask(&Method::GET, repository, &path, &headers).await?;
        found(&answer)?;
        let content_type = content_type(answer.headers())?;
        let claimed = single(answer.headers(), &DIGEST)?.map(str::to_owned);
        let body = read(answer, limits::MANIFEST_BYTES).await?;
        if let Some(claimed) = claimed {
            let claimed: Digest = claimed.parse().map_err(|_| Fault::Protocol)?;
            if claimed.recompute(&body) != claimed {
                return Err(Fault::Integrity);
            }
        }
        Ok(FetchedManifest { body: Untrusted::new(body), content_type })
    }

    /// A blob, always whole: a client's range is never passed on (A027).
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn blob(&self, repository: &Repository, digest: &Digest) -> Result<BlobBody, Fault> {
        let answer = self.ask(&Method::GET, repository, &blob_path(repository, digest), &HeaderMap::new()).await?;
        found(&answer)?;
        client::plain(answer.headers())?;
        let length = client::length(answer.headers())?;
        let stream = stream::unfold(Some(answer.into_body()), |body| async {
            let mut body = body?;
            loop {
                match body.frame().await? {
                    Ok(frame) => match frame.into_data() {
                        Ok(data) => return Some((Ok(data), Some(body))),
                        Err(_) => continue,
                    },
                    Err(_) => return Some((Err(Fault::Integrity), None)),
                }
            }
        });
        Ok(BlobBody { length, stream: stream.boxed() })
    }

    /// Whether the repository has the blob.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn blob_exists(&self, repository: &Repository, digest: &Digest) -> Result<Presence, Fault> {
        let answer = self.ask(&Method::HEAD, repository, &blob_path(repository, digest), &HeaderMap::new()).await?;
        match found(&answer) {
            Ok(()) => Ok(Presence::Here(client::length(answer.headers())?)),
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
        let answer = self.ask(&Method::GET, repository, &blob_path(repository, digest), &HeaderMap::new()).await?;
        found(&answer)?;
        let body = read(answer, most).await?;
        Untrusted::new(body).check(digest).map_err(|_| Fault::Integrity)
    }

    /// A page of tags.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn tags(&self, repository: &Repository, n: Option<u32>, last: Option<&str>) -> Result<TagPage, Fault> {
        let mut query = Vec::new();
        if let Some(n) = n {
            query.push(format!("n={n}"));
        }
        if let Some(last) = last {
            query.push(format!("last={}", utf8_percent_encode(last, NON_ALPHANUMERIC)));
        }
        let mark = if query.is_empty() { "" } else { "?" };
        let path = format!("/v2/{}/tags/list{mark}{}", repository.path(), query.join("&"));
        let answer = self.ask(&Method::GET, repository, &path, &HeaderMap::new()).await?;
        found(&answer)?;
        let more = if answer.headers().contains_key(LINK) { More::Yes } else { More::No };
        let body = read(answer, limits::MANIFEST_BYTES).await?;
        let value = strict_json::parse(&body).map_err(|_| Fault::Protocol)?;
        let listed = match value.get("tags") {
            Some(Value::Array(tags)) => tags.as_slice(),
            Some(Value::Null) => &[],
            Some(_) | None => return Err(Fault::Protocol),
        };
        let tags = listed.iter().filter_map(|tag| tag.as_str()?.parse().ok()).collect();
        Ok(TagPage { tags, more })
    }

    /// The referrers of a digest, all pages up to `referrers_pages`.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn referrers(&self, repository: &Repository, subject: &Digest) -> Result<Referrers, Fault> {
        let first = format!("/v2/{}/referrers/{subject}", repository.path());
        let mut path = first.clone();
        let (mut asked, mut seen, mut descriptors) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        for page in 0..limits::REFERRERS_PAGES {
            // A page that was read already, or one of another path, is no next page (A144).
            if !asked.insert(path.clone()) {
                return Ok(Referrers::Api { descriptors, more: More::Yes });
            }
            let answer = self.ask(&Method::GET, repository, &path, &HeaderMap::new()).await?;
            let status = answer.status();
            if page == 0 && no_api(status) {
                return Ok(Referrers::NoApi);
            }
            found(&answer)?;
            let next = next_page(answer.headers(), &first);
            let listed = match read(answer, limits::MANIFEST_BYTES).await {
                Ok(body) => strict_json::parse(&body).ok(),
                Err(Fault::TooLarge) => return Ok(Referrers::Api { descriptors, more: More::Yes }),
                Err(fault) => return Err(fault),
            };
            let Some(Value::Array(listed)) = listed.and_then(|mut value| Some(value.get_mut("manifests")?.take()))
            else {
                return if page == 0 { Ok(Referrers::NoApi) } else { Ok(Referrers::Api { descriptors, more: More::Yes }) };
            };
            let new = listed.iter().filter_map(ReferrerDescriptor::read).filter(|one| seen.insert(one.digest));
            descriptors.extend(new.collect::<Vec<_>>());
            match next {
                Some(next) => path = next,
                None => return Ok(Referrers::Api { descriptors, more: More::No }),
            }
        }
        Ok(Referrers::Api { descriptors, more: More::Yes })
    }

    /// Sends a request with what credentials it needs: at most one challenge is met (A169).
    async fn ask(
        &self,
        method: &Method,
        repository: &Repository,
        path: &str,
        headers: &HeaderMap,
    ) -> Result<Answer, Fault> {
        let known = self.tokens.find(repository);
        let answer = self.client.send(method, path, headers, known.as_ref()).await?;
        if answer.status() != StatusCode::UNAUTHORIZED {
            return Ok(answer);
        }
        let challenge = Challenge::parse(answer.headers())?;
        drop(answer);
        let authorization = auth::meet(&self.client, &self.tokens, repository, &challenge).await?;
        let answer = self.client.send(method, path, headers, Some(&authorization)).await?;
        if answer.status() == StatusCode::UNAUTHORIZED { Err(Fault::Unauthorized) } else { Ok(answer) }
    }
}

fn blob_path(repository: &Repository, digest: &Digest) -> String {
    format!("/v2/{}/blobs/{digest}", repository.path())
}

fn found(answer: &Answer) -> Result<(), Fault> {
    match answer.status().as_u16() {
        200 => Ok(()),
        404 => Err(Fault::NotFound),
        401 | 403 => Err(Fault::Unauthorized),
        429 | 500..=599 => Err(Fault::Status(answer.status().as_u16())),
        _ => Err(Fault::Protocol),
    }
}

fn no_api(status: StatusCode) -> bool {
    matches!(status.as_u16(), 400 | 404 | 405 | 501)
}

fn content_type(headers: &HeaderMap) -> Result<Option<String>, Fault> {
    let name = single(headers, &CONTENT_TYPE)?;
    Ok(name.map(|name| name.split(';').next().unwrap_or_default().trim().to_owned()))
}

/// The next page of the same list: a relative link, or an absolute one, whose path is the list's own (A144).
fn next_page(headers: &HeaderMap, list: &str) -> Option<String> {
    let text = headers.get(LINK)?.to_str().ok()?;
    let (target, parameters) = text.strip_prefix('<')?.split_once('>')?;
    if !parameters.contains("rel=\"next\"") && !parameters.contains("rel=next") {
        return None;
    }
    let path = match target.strip_prefix("https://").or_else(|| target.strip_prefix("http://")) {
        Some(rest) => rest.find('/').and_then(|at| rest.get(at..))?,
        None => target,
    };
    let query = match path.split_once('?') {
        Some((before, query)) if before == list => query,
        Some(_) | None => return None,
    };
    let plain = query.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#');
    (plain && query.len() <= limits::QUERY_VALUE_BYTES).then(|| format!("{list}?{query}"))
}

impl fmt::Debug for Upstream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Upstream").field("registry", self.registry()).finish_non_exhaustive()
    }
}

impl fmt::Debug for BlobBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobBody").field("length", &self.length).finish_non_exhaustive()
    }
}
