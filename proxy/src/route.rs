//! From a request line to a [`Route`]: pure, total, and the only place that reads paths and queries.
//!
//! A name is split at `/` first and decoded once, then it must be inside the grammar; nothing is normalised and served
//! (A005). What goes upstream is built from the parsed values alone (A007, A011).

use crate::limits;
use http::{Method, Uri};
use percent_encoding::percent_decode_str;
use pullgate_policy::oci::name::ReferenceInvalid;
use pullgate_policy::oci::{Digest, Reference, Registry, Repository};

/// The repository, in any registry, of which nothing is ever served: `pullgate doctor --probe` asks for it.
pub const CANARY: &str = "pullgate/canary";
/// How the gate says so, in the error and in the reason phrase.
pub const CANARY_REFUSED: &str = "the canary is always refused";

/// What a request is for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Route {
    /// `GET /v2/`: is this a registry?
    Base,
    /// A blob.
    Blob(Target, Digest),
    /// A manifest by tag or digest.
    Manifest(Target, Reference),
    /// The list of referrers of a digest.
    Referrers(Target, Digest, Option<String>),
    /// The list of tags.
    Tags(Target, Page),
}

impl Route {
    /// The repository that it is about, if it is about one.
    #[must_use]
    pub fn target(&self) -> Option<&Target> {
        match self {
            Self::Base => None,
            Self::Blob(target, _)
            | Self::Manifest(target, _)
            | Self::Referrers(target, _, _)
            | Self::Tags(target, _) => Some(target),
        }
    }
}

/// The repository that a request is about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// The canonical repository.
    pub repository: Repository,
    /// The name as the client wrote it, for `Link` headers.
    pub as_asked: String,
    /// Whether the client named the registry by `ns`.
    pub namespace: Namespace,
}

/// How the client named the registry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Namespace {
    /// By the path, or not at all.
    Path,
    /// By the query parameter `ns`.
    Query,
}

/// A page of a list.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Page {
    /// At most this many.
    pub n: Option<u32>,
    /// After this one.
    pub last: Option<String>,
    /// The upstream's own words for where the page begins, sealed by the gate: they win over `last`.
    pub cursor: Option<String>,
}

/// Why a request is refused at the edge, with no request upstream.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum RouteFault {
    /// The repository that is refused whatever a policy says, so that a node can be seen to ask the gate (A414).
    #[error("{CANARY_REFUSED}")]
    Canary,
    /// A digest outside the grammar.
    #[error("the digest is malformed")]
    DigestInvalid,
    /// A method or route that a mirror does not have.
    #[error("the gate serves pulls only")]
    MethodNotAllowed,
    /// A repository or namespace outside the grammar.
    #[error("the name is malformed")]
    NameInvalid,
    /// The request names no registry and there is no default.
    #[error("no registry is named")]
    NoRegistry,
    /// Not a path of the distribution specification.
    #[error("no such route")]
    NotFound,
    /// A query value that is over its limit or malformed.
    #[error("the query is malformed")]
    QueryInvalid,
    /// A registry without an `[upstream]` table (A001).
    #[error("the registry is not served here")]
    RegistryUnknown,
    /// A tag outside the grammar: a manifest that cannot exist.
    #[error("the tag is malformed")]
    TagInvalid,
}

/// The registries that may be asked for.
pub trait Registries {
    /// The registry of a name or alias, if it has an `[upstream]` table.
    fn find(&self, name: &str) -> Option<Registry>;
    /// The registry of requests without a registry.
    fn default(&self) -> Option<Registry>;
}

/// Reads a request line.
///
/// # Errors
/// [`RouteFault`].
pub fn parse(method: &Method, uri: &Uri, registries: &impl Registries) -> Result<Route, RouteFault> {
    if method != Method::GET && method != Method::HEAD {
        return Err(RouteFault::MethodNotAllowed);
    }
    let rest = match uri.path() {
        "/v2" | "/v2/" => return Ok(Route::Base),
        path => path.strip_prefix("/v2/").ok_or(RouteFault::NotFound)?,
    };
    if rest == "_catalog" {
        return Err(RouteFault::MethodNotAllowed);
    }
    let query = Query::parse(uri.query().unwrap_or_default())?;
    let parts: Vec<&str> = rest.split('/').collect();
    // The last marker counts, so a repository may itself contain `manifests` or `blobs` (A007).
    match parts.as_slice() {
        [name @ .., "blobs", "uploads", _] | [name @ .., "blobs", "uploads"] if !name.is_empty() => {
            Err(RouteFault::MethodNotAllowed)
        }
        [name @ .., "manifests", reference] => {
            let target = target(name, &query, registries)?;
            Ok(Route::Manifest(target, reference_of(reference)?))
        }
        [name @ .., "blobs", digest] => {
            Ok(Route::Blob(target(name, &query, registries)?, digest_of(digest)?))
        }
        [name @ .., "tags", "list"] => Ok(Route::Tags(target(name, &query, registries)?, query.page)),
        [name @ .., "referrers", digest] => {
            let target = target(name, &query, registries)?;
            Ok(Route::Referrers(target, digest_of(digest)?, query.artifact_type))
        }
        _ => Err(RouteFault::NotFound),
    }
}

fn decode(part: &str) -> Option<String> {
    percent_decode_str(part).decode_utf8().ok().map(Into::into)
}

fn digest_of(part: &str) -> Result<Digest, RouteFault> {
    decode(part).and_then(|text| text.parse().ok()).ok_or(RouteFault::DigestInvalid)
}

fn reference_of(part: &str) -> Result<Reference, RouteFault> {
    let text = decode(part).ok_or(RouteFault::TagInvalid)?;
    text.parse().map_err(|fault| match fault {
        ReferenceInvalid::Digest(_) => RouteFault::DigestInvalid,
        ReferenceInvalid::Tag(_) => RouteFault::TagInvalid,
    })
}

/// Finds the upstream: `ns`, else a first component that looks like a host, else the default.
fn target(name: &[&str], query: &Query, registries: &impl Registries) -> Result<Target, RouteFault> {
    let parts: Option<Vec<String>> = name.iter().map(|part| decode(part)).collect();
    let parts = parts.ok_or(RouteFault::NameInvalid)?;
    // A decoded component with a `/` in it would become two.
    if parts.is_empty() || parts.iter().any(|part| part.is_empty() || part.contains('/')) {
        return Err(RouteFault::NameInvalid);
    }
    let as_asked = parts.join("/");
    if is_canary(&as_asked, registries) {
        return Err(RouteFault::Canary);
    }
    let (first, below) = match parts.as_slice() {
        [first, below @ ..] if !below.is_empty() => (Some(first.as_str()), below.join("/")),
        _ => (None, String::new()),
    };
    let (registry, path, namespace) = match &query.namespace {
        Some(namespace) => {
            let wanted: Registry = namespace.parse().map_err(|_| RouteFault::NameInvalid)?;
            let named = registries.find(wanted.as_str()).ok_or(RouteFault::RegistryUnknown)?;
            match first.and_then(|first| registries.find(first)) {
                Some(in_path) if in_path == named => (named, below, Namespace::Query),
                // A project may be called like a registry: `ns` says where, the path is the whole name.
                Some(_) | None => (named, as_asked.clone(), Namespace::Query),
            }
        }
        None => match first {
            Some(first) if looks_like_a_host(first) || registries.find(first).is_some() => {
                // Grammar before the table: a malformed name is always 400 (A006).
                let wanted: Result<Registry, _> = first.parse();
                let found = registries.find(first);
                match (found, wanted) {
                    (Some(found), _) => (found, below, Namespace::Path),
                    (None, Ok(_)) => return Err(RouteFault::RegistryUnknown),
                    (None, Err(_)) => return Err(RouteFault::NameInvalid),
                }
            }
            Some(_) | None => {
                let registry = registries.default().ok_or(RouteFault::NoRegistry)?;
                (registry, as_asked.clone(), Namespace::Path)
            }
        },
    };
    let repository = Repository::new(registry, &path).map_err(|_| RouteFault::NameInvalid)?;
    Ok(Target { repository, as_asked, namespace })
}

/// Whether a name is the canary of some registry, whether that is served or not: a node asks with one that nobody has.
fn is_canary(name: &str, registries: &impl Registries) -> bool {
    let registry = match name.strip_suffix(CANARY) {
        Some("") => return true,
        Some(before) => before.strip_suffix('/'),
        None => None,
    };
    let is_registry = |first: &str| looks_like_a_host(first) || registries.find(first).is_some();
    // With `ns` too, a first component that names a registry is one.
    registry.is_some_and(|first| !first.contains('/') && is_registry(first))
}

/// The registry that a request names, served or not, as far as it can be read: for the record of one that is refused.
#[must_use]
pub fn registry_named(uri: &Uri) -> Option<Registry> {
    match Query::parse(uri.query().unwrap_or_default()).ok()?.namespace {
        Some(namespace) => namespace.parse().ok(),
        None => {
            let first = decode(uri.path().strip_prefix("/v2/")?.split('/').next()?)?;
            if looks_like_a_host(&first) { first.parse().ok() } else { None }
        }
    }
}

fn looks_like_a_host(component: &str) -> bool {
    component == "localhost" || component.contains(['.', ':'])
}

#[derive(Default)]
struct Query {
    namespace: Option<String>,
    artifact_type: Option<String>,
    page: Page,
}

impl Query {
    /// Keeps known parameters, once each; drops the rest (A004, A011).
    fn parse(text: &str) -> Result<Self, RouteFault> {
        let mut query = Self::default();
        for pair in text.split('&').filter(|pair| !pair.is_empty()) {
            let (key, value) = pair.split_once('=').unwrap_or((pair, ""));
            let most = if key == "cursor" {
                pullgate_upstream::limits::TARGET_BYTES
            } else {
                limits::QUERY_VALUE_BYTES
            };
            if value.len() > most {
                return Err(RouteFault::QueryInvalid);
            }
            let slot = match key {
                "last" | "cursor" if value.is_empty() => continue,
                "ns" => &mut query.namespace,
                "artifactType" => &mut query.artifact_type,
                "last" => &mut query.page.last,
                "cursor" => &mut query.page.cursor,
                // The count is a wish: an unreadable one is ignored.
                "n" => {
                    query.page.n = value.parse::<u64>().ok().map(|n| u32::try_from(n).unwrap_or(u32::MAX));
                    continue;
                }
                _ => continue,
            };
            let fault = if key == "ns" { RouteFault::NameInvalid } else { RouteFault::QueryInvalid };
            let value = decode(value)
                .filter(|value| !value.is_empty() && !value.chars().any(char::is_control))
                .ok_or(fault)?;
            if slot.replace(value).is_some() {
                return Err(fault);
            }
        }
        Ok(query)
    }
}

#[cfg(test)]
mod tests;
