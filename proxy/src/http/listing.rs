//! `tags/list` and `referrers`: passed through, from parsed values only (A037). Lists are limited by the policy's
//! scopes and not judged: a name is no content.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, LINK};
use http::{Method, Response};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use pullgate_policy::oci::{Digest, Tag, media_type};
use serde_json::{Value, json};

use super::answer::set;
use super::body::Body;
use crate::app::App;
use crate::live::Live;
use crate::pull::lists::{self, cursor};
use crate::refusal::Refusal;
use crate::route::{Namespace, Page, Target};
use crate::upstream::More;

/// Everything but what RFC 3986 calls unreserved, and the `:` of a namespace's port.
const QUERY: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Answers `tags/list`.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn tags(
    app: &App,
    live: &Live,
    target: &Target,
    page: &Page,
    method: &Method,
) -> Result<Response<Body>, Refusal> {
    let listed = lists::tags(&app.pull, live, &target.repository, page).await?;
    let tags: Vec<&str> = listed.tags.iter().map(Tag::as_str).collect();
    let body = json!({ "name": target.as_asked, "tags": tags });
    let mut response = list(&body, "application/json", target, method);
    if listed.more == More::Yes {
        let cursor = listed.cursor.as_deref();
        let cursor = cursor.and_then(|query| cursor::text(&app.pull.seal, &target.repository, query));
        if cursor.is_some() || !tags.is_empty() {
            let link = next(target, page, (tags.last().copied(), cursor.as_deref()));
            set(response.headers_mut(), LINK, &link);
        }
    }
    Ok(response)
}

/// The next page, in the client's own form of the path.
fn next(target: &Target, page: &Page, (last, cursor): (Option<&str>, Option<&str>)) -> String {
    let word = |key: &str, value: &str| format!("{key}={}", utf8_percent_encode(value, QUERY));
    let namespace = match target.namespace {
        Namespace::Query => Some(word("ns", target.repository.registry().as_str())),
        Namespace::Path => None,
    };
    let count = page.n.map(|n| format!("n={n}"));
    let words =
        [count, last.map(|last| word("last", last)), cursor.map(|text| word("cursor", text)), namespace];
    let query = words.into_iter().flatten().collect::<Vec<_>>().join("&");
    format!("</v2/{}/tags/list?{query}>; rel=\"next\"", target.as_asked)
}

/// Answers `referrers`: always an index, filtered by the gate itself. A 404 would send Docker engine to the upstream.
///
/// # Errors
/// [`Refusal`].
pub(super) async fn referrers(
    app: &App,
    live: &Live,
    target: &Target,
    (subject, artifact_type): (&Digest, Option<&str>),
    method: &Method,
) -> Result<Response<Body>, Refusal> {
    let manifests = lists::referrers(&app.pull, live, &target.repository, (subject, artifact_type)).await?;
    let body = json!({ "schemaVersion": 2, "mediaType": media_type::OCI_INDEX, "manifests": manifests });
    let mut response = list(&body, media_type::OCI_INDEX, target, method);
    if artifact_type.is_some() {
        set(response.headers_mut(), HeaderName::from_static("oci-filters-applied"), "artifactType");
    }
    Ok(response)
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
