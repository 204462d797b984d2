//! `tags/list` and `referrers`: passed through, from parsed values only (A037). Scoped by the policy, not judged: a name
//! is no content.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use http::{Method, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pullgate_policy::oci::name::DigestTagSuffix;
use pullgate_policy::oci::{Digest, Manifest, Reference, Tag, media_type};
use serde_json::{Value, json};

use super::accept::Accept;
use super::{counted, question, resolve, scope, serve::set};
use crate::app::App;
use crate::body::Body;
use crate::live::Live;
use crate::refusal::{Missing, Refusal};
use crate::route::{Namespace, Page, Target};
use crate::upstream::{More, Referrers};

/// Everything but what RFC 3986 calls unreserved, and the `:` of a namespace's port.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Answers `tags/list`.
///
/// # Errors
/// [`Refusal`].
pub async fn tags(
    app: &App,
    live: &Live,
    target: &Target,
    page: &Page,
    method: &Method,
) -> Result<Response<Body>, Refusal> {
    scope::governed(live, &target.repository)?;
    let upstream =
        live.upstream(&target.repository).ok_or(Refusal::undecided(pullgate_policy::code::Code::Internal))?;
    let _place = question(app, &target.repository)?;
    let listed = upstream.tags(&target.repository, page.n, page.last.as_deref()).await;
    let listed = counted(app, upstream, "tags", listed);
    let listed = listed.map_err(|fault| Refusal::upstream(&fault, Missing::Name))?;
    let tags: Vec<&str> = listed.tags.iter().map(Tag::as_str).collect();
    let body = json!({ "name": target.as_asked, "tags": tags });
    let mut response = list(&body, "application/json", target, method);
    if listed.more == More::Yes
        && let Some(last) = tags.last()
    {
        set(response.headers_mut(), LINK, &next(target, page, last));
    }
    Ok(response)
}

/// The next page, in the client's own form of the path.
fn next(target: &Target, page: &Page, last: &str) -> String {
    let mut query = format!("last={}", utf8_percent_encode(last, QUERY));
    if let Some(n) = page.n {
        query = format!("n={n}&{query}");
    }
    if target.namespace == Namespace::Query {
        let namespace = target.repository.registry().to_string();
        query.push_str(&format!("&ns={}", utf8_percent_encode(&namespace, QUERY)));
    }
    format!("</v2/{}/tags/list?{query}>; rel=\"next\"", target.as_asked)
}

/// Answers `referrers`: the upstream's list merged with its fallback tag's, always an index, filtered by the gate itself.
/// A 404 would send Docker engine to the upstream.
///
/// # Errors
/// [`Refusal`].
pub async fn referrers(
    app: &App,
    live: &Live,
    target: &Target,
    (subject, artifact_type): (&Digest, Option<&str>),
    method: &Method,
) -> Result<Response<Body>, Refusal> {
    scope::governed(live, &target.repository)?;
    scope::not_blocked(live, subject)?;
    let repository = &target.repository;
    let upstream =
        live.upstream(repository).ok_or(Refusal::undecided(pullgate_policy::code::Code::Internal))?;
    let _place = question(app, repository)?;
    let mut listed: BTreeMap<Digest, Value> = BTreeMap::new();
    let mut held = app.in_flight.nothing(repository);
    let mut room = |bytes| held.grow(bytes).is_ok();
    let asked = upstream.referrers(repository, subject, &mut room).await;
    match counted(app, upstream, "referrers", asked) {
        Ok(Referrers::Api { descriptors, .. }) => {
            for one in descriptors {
                listed.insert(one.digest, one.to_json());
            }
        }
        Ok(Referrers::NoApi) | Err(crate::upstream::Fault::NotFound) => {}
        Err(fault) => return Err(Refusal::upstream(&fault, Missing::Manifest)),
    }
    let tag = Reference::Tag(Tag::for_digest(subject, DigestTagSuffix::None));
    match resolve::fetch(app, live, repository, &tag, Accept::only(media_type::OCI_INDEX)).await {
        Ok(document) => {
            if let Manifest::Index(index) = document.value().manifest() {
                for child in &index.manifests {
                    let Some(digest) = child.digest else { continue };
                    listed.entry(digest).or_insert_with(|| descriptor(child));
                }
            }
        }
        Err(Refusal::Missing(_) | Refusal::Denied(_)) => {}
        Err(refusal) => return Err(refusal),
    }
    let wanted = |value: &Value| artifact_type.is_none_or(|wanted| value["artifactType"] == *wanted);
    let manifests: Vec<Value> = listed.into_values().filter(wanted).collect();
    let body = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
    let mut response = list(&body, media_type::OCI_INDEX, target, method);
    if artifact_type.is_some() {
        set(response.headers_mut(), HeaderName::from_static("oci-filters-applied"), "artifactType");
    }
    Ok(response)
}

/// A descriptor from its parsed parts: no `urls`, no `data` (A037).
fn descriptor(child: &pullgate_policy::oci::Descriptor) -> Value {
    let mut value = serde_json::Map::new();
    value.insert("mediaType".to_owned(), json!(child.media_type));
    value.insert("digest".to_owned(), json!(child.digest));
    value.insert("size".to_owned(), json!(child.size));
    if let Some(artifact_type) = &child.artifact_type {
        value.insert("artifactType".to_owned(), json!(artifact_type));
    }
    if !child.annotations.is_empty() {
        value.insert("annotations".to_owned(), json!(child.annotations));
    }
    Value::Object(value)
}

fn list(body: &Value, content_type: &str, target: &Target, method: &Method) -> Response<Body> {
    let bytes = Bytes::from(body.to_string());
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, content_type);
    set(headers, http::header::CONTENT_LENGTH, &bytes.len().to_string());
    set(headers, HeaderName::from_static("oci-namespace"), target.repository.registry().as_str());
    if *method != Method::HEAD {
        *response.body_mut() = Body::full(bytes);
    }
    response
}
