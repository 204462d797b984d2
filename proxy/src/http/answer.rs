//! The answer that carries a manifest.

use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, WARNING};
use http::{HeaderMap, Method, Response};
use pullgate_policy::oci::Reference;

use super::body::Body;
use crate::pull::Pulled;
use crate::pull::serve::warning;
use crate::route::Target;

/// Answers with the very bytes that were judged. Every header is ours (A111, A523).
#[must_use]
pub(super) fn manifest(
    pulled: &Pulled,
    target: &Target,
    reference: &Reference,
    method: &Method,
) -> Response<Body> {
    let document = pulled.content.document();
    // A client that asked by sha512 checks the digest it asked for.
    let digest = match reference {
        Reference::Digest(digest) => *digest,
        Reference::Tag(_) => pulled.content.digest(),
    };
    let mut response = Response::new(Body::empty());
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, document.media_type());
    set(headers, CONTENT_LENGTH, &document.bytes().len().to_string());
    set(headers, HeaderName::from_static("docker-content-digest"), &digest.to_string());
    set(headers, HeaderName::from_static("oci-namespace"), target.repository.registry().as_str());
    if let Some(warning) = warning(pulled) {
        set(headers, WARNING, &format!("299 - \"{warning}\""));
    }
    if *method != Method::HEAD {
        *response.body_mut() = Body::full(document.bytes().clone());
    }
    response
}

/// Sets a header; a value that does not fit is left out, never a panic (A522).
pub(super) fn set(headers: &mut HeaderMap, name: HeaderName, value: &str) {
    if let Ok(value) = HeaderValue::try_from(value) {
        headers.insert(name, value);
    }
}
