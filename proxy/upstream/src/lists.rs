//! Lists of an upstream: tags and referrers. They are parsed strictly, and written anew for clients (A037).

use std::collections::{BTreeMap, BTreeSet};

use crate::limits;
use http::{HeaderMap, Method};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pullgate_policy::limits::{ANNOTATION_BYTES, MANIFEST_BYTES};
use pullgate_policy::oci::{Digest, Repository, Tag, media_type};
use pullgate_policy::strict_json::{self, JsonFault};
use serde_json::{Map, Value};

use crate::answer::Room;
use crate::answer::{Answer, Responder};
use crate::client::Ask;
use crate::fault::Fault;
use crate::link::Next;
use crate::patience::For;
use crate::registry::Upstream;
use crate::rest::Kind;

/// The memory that a list of referrers takes, as a multiple of its length.
const LIST_TIMES: u64 = 6;

/// Whether a list goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum More {
    /// It ends here.
    No,
    /// It goes on, or may.
    Yes,
}

/// Where a page begins.
#[derive(Debug, Clone, Copy)]
pub enum PageStart<'a> {
    /// At the first tag.
    Beginning,
    /// After this tag.
    After(&'a str),
    /// At the query of the upstream's own link.
    Cursor(&'a str),
}

/// A page of tags.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TagPage {
    /// The tags that are inside the grammar.
    pub tags: Vec<Tag>,
    /// Whether there are more.
    pub more: More,
    /// The query by which the upstream goes on: its own words.
    pub cursor: Option<String>,
}

impl TagPage {
    /// A registry that knows no pages sends every tag, whatever was asked for (docker-registry before 3): the page is
    /// cut here. `last` itself on a page behind `last` gives it away.
    fn cut(mut self, n: Option<u32>, last: Option<&str>) -> Self {
        let most = n.map_or(usize::MAX, |n| usize::try_from(n).unwrap_or(usize::MAX));
        let whole = last.filter(|last| self.tags.iter().any(|tag| tag.as_str() == *last));
        if whole.is_none() && self.tags.len() <= most {
            return self;
        }
        self.cursor = None;
        self.tags.sort_by(|one, other| one.as_str().cmp(other.as_str()));
        if let Some(last) = whole {
            self.tags.retain(|tag| tag.as_str() > last);
        }
        if self.tags.len() > most {
            self.tags.truncate(most);
            self.more = More::Yes;
        }
        self
    }
}

/// The answer of the referrers API.
#[derive(Debug, Clone)]
pub enum Referrers {
    /// A list.
    Api {
        /// Its descriptors, each once.
        descriptors: Vec<ReferrerDescriptor>,
        /// Whether it went on beyond the limits, or to where the gate does not go.
        more: More,
    },
    /// The registry has no such API, which is normal.
    NoApi,
}

/// A descriptor of a referrer. Its words are hints: the manifest itself is fetched and read (A145).
#[derive(Debug, Clone, PartialEq)]
pub struct ReferrerDescriptor {
    /// The digest.
    pub digest: Digest,
    /// The artifact type, a hint.
    pub artifact_type: Option<String>,
    media_type: String,
    /// Bytes.
    pub size: u64,
    annotations: Map<String, Value>,
}

impl ReferrerDescriptor {
    /// Reads one entry of a list; `None` where it is not the descriptor of a manifest.
    #[must_use]
    pub fn read(value: &Value) -> Option<Self> {
        let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
        let short = |value: &Value| value.as_str().is_some_and(|text| text.len() <= ANNOTATION_BYTES);
        let annotations =
            value.get("annotations").and_then(Value::as_object).filter(|map| map.values().all(short));
        Some(Self {
            digest: text("digest")?.parse().ok()?,
            artifact_type: text("artifactType"),
            media_type: text("mediaType").filter(|name| media_type::MANIFESTS.contains(&name.as_str()))?,
            size: value.get("size")?.as_u64()?,
            annotations: annotations.cloned().unwrap_or_default(),
        })
    }

    /// Its annotations that are texts: hints too.
    #[must_use]
    pub fn annotations(&self) -> BTreeMap<String, String> {
        let text = |(key, value): (&String, &Value)| Some((key.clone(), value.as_str()?.to_owned()));
        self.annotations.iter().filter_map(text).collect()
    }

    /// The descriptor, written from its parts: without `urls` and `data`.
    #[must_use]
    pub fn to_json(&self) -> Value {
        let mut value = Map::new();
        value.insert("mediaType".to_owned(), self.media_type.clone().into());
        value.insert("digest".to_owned(), self.digest.to_string().into());
        value.insert("size".to_owned(), self.size.into());
        if let Some(artifact_type) = &self.artifact_type {
            value.insert("artifactType".to_owned(), artifact_type.clone().into());
        }
        if !self.annotations.is_empty() {
            value.insert("annotations".to_owned(), self.annotations.clone().into());
        }
        value.into()
    }
}

impl Upstream {
    /// A page of tags.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn tags(
        &self,
        repository: &Repository,
        n: Option<u32>,
        from: PageStart<'_>,
    ) -> Result<TagPage, Fault> {
        let list = format!("/v2/{}/tags/list", self.name_of(repository));
        // `n=0` is not passed on: registries differ in its meaning.
        let count = n.filter(|n| *n > 0).map(|n| format!("n={n}"));
        let (query, last) = match from {
            PageStart::Beginning => (count.into_iter().collect(), None),
            PageStart::After(last) => {
                let from = format!("last={}", utf8_percent_encode(last, NON_ALPHANUMERIC));
                (count.into_iter().chain([from]).collect(), Some(last))
            }
            PageStart::Cursor(query) => (vec![query.to_owned()], None),
        };
        let query: Vec<String> = query;
        let path = if query.is_empty() { list.clone() } else { format!("{list}?{}", query.join("&")) };
        let answer = self.found(repository, self.get(repository, &path).await?).await?;
        // Clients get a link that leads through the gate, with these words sealed in it.
        let (more, cursor) = match next(&answer, &list) {
            Next::None => (More::No, None),
            Next::Page(page) => (More::Yes, page.split_once('?').map(|(_, query)| query.to_owned())),
            Next::Refused => (More::Yes, None),
        };
        let body = answer.read(MANIFEST_BYTES).await?;
        let length = body.len();
        let last = last.map(str::to_owned);
        let read =
            move || read_tags(&body).map(|tags| TagPage { tags, more, cursor }.cut(n, last.as_deref()));
        let page = self.off.over(length, read).await??;
        // It would end here in silence.
        let is_stuck = page.more == More::Yes && page.tags.is_empty() && page.cursor.is_none();
        if is_stuck && n != Some(0) { Err(Fault::Protocol) } else { Ok(page) }
    }

    /// The referrers of a digest, all pages up to `referrers_pages`.
    ///
    /// # Errors
    /// [`Fault`] where the upstream could not be asked; a registry that has no such API is no fault (A146).
    pub async fn referrers(
        &self,
        repository: &Repository,
        subject: &Digest,
        room: Room<'_>,
    ) -> Result<Referrers, Fault> {
        let list = format!("/v2/{}/referrers/{subject}", self.name_of(repository));
        let (mut asked, mut seen, mut descriptors) = (BTreeSet::new(), BTreeSet::new(), Vec::new());
        let (mut path, mut bytes) = (list.clone(), 0_usize);
        // A page that was asked for before leads round in a circle (A144).
        while asked.len() < limits::REFERRERS_PAGES && asked.insert(path.clone()) {
            match self.referrers_page(repository, &path, &list).await? {
                ReferrersPage::Absent if asked.len() == 1 => return Ok(Referrers::NoApi),
                ReferrersPage::Absent | ReferrersPage::TooLarge => break,
                ReferrersPage::Here(listed, length, next) => {
                    bytes = bytes.saturating_add(length);
                    if bytes > limits::REFERRERS_BYTES {
                        break;
                    }
                    if !room((bytes as u64).saturating_mul(LIST_TIMES)) {
                        return Err(Fault::Overload);
                    }
                    descriptors.extend(listed.into_iter().filter(|one| seen.insert(one.digest)));
                    match next {
                        Next::None => return Ok(Referrers::Api { descriptors, more: More::No }),
                        Next::Page(next) => path = next,
                        Next::Refused => break,
                    }
                }
            }
        }
        // The pages so far count, marked as incomplete.
        Ok(Referrers::Api { descriptors, more: More::Yes })
    }

    async fn referrers_page(
        &self,
        repository: &Repository,
        path: &str,
        list: &str,
    ) -> Result<ReferrersPage, Fault> {
        let answer = match self.get(repository, path).await {
            // Registries without the API answer in many ways. An attacker who withholds the list gains nothing by them:
            // a 404 would do.
            Err(Fault::RedirectRefused | Fault::Status(501)) => return Ok(ReferrersPage::Absent),
            answer => answer?,
        };
        let answer = match answer.status().as_u16() {
            200 | 401 | 403 => answer.found().await?,
            _ => return Ok(ReferrersPage::Absent),
        };
        let next = next(&answer, list);
        let body = match answer.read(MANIFEST_BYTES).await {
            Err(Fault::TooLarge) => return Ok(ReferrersPage::TooLarge),
            body => body?,
        };
        self.off.over(body.len(), move || read_referrers(&body, next)).await
    }

    async fn get(&self, repository: &Repository, path: &str) -> Result<Answer, Fault> {
        let headers = HeaderMap::new();
        self.ask(&Ask {
            method: Method::GET,
            waits: For::Question,
            path,
            headers,
            kind: Kind::List,
            repository,
        })
        .await
    }
}

fn read_tags(body: &[u8]) -> Result<Vec<Tag>, Fault> {
    let value = strict_json::parse(body).map_err(|_| Fault::Protocol)?;
    let listed = match value.get("tags") {
        Some(Value::Array(tags)) => tags.as_slice(),
        // Some registries write an empty list so.
        Some(Value::Null) => &[],
        Some(_) | None => return Err(Fault::Protocol),
    };
    Ok(listed.iter().filter_map(|tag| tag.as_str()?.parse().ok()).collect())
}

fn read_referrers(body: &[u8], next: Next) -> ReferrersPage {
    let value = match strict_json::parse(body) {
        Ok(value) => value,
        // The rest of the list is unread, and that must be reported (A602).
        Err(JsonFault::Values) => return ReferrersPage::TooLarge,
        Err(_) => return ReferrersPage::Absent,
    };
    match value.get("manifests").and_then(Value::as_array) {
        Some(listed) => {
            let read = listed.iter().filter_map(ReferrerDescriptor::read).collect();
            ReferrersPage::Here(read, body.len(), next)
        }
        None => ReferrersPage::Absent,
    }
}

/// One page of referrers.
enum ReferrersPage {
    /// No list: there is no such API.
    Absent,
    /// The descriptors, their length in bytes, and the next page.
    Here(Vec<ReferrerDescriptor>, usize, Next),
    /// Over `manifest_bytes`.
    TooLarge,
}

fn next(answer: &Answer, list: &str) -> Next {
    let home = match &answer.place {
        Responder::Home(home) => Some(home),
        Responder::Elsewhere(_) => None,
    };
    Next::of(answer.headers(), list, home)
}
