//! The demo's upstream: a registry of recorded images on a loopback port, with the referrers API. It only reads.

use std::convert::Infallible;
use std::sync::Arc;

use crate::limits;
use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use pullgate_policy::content::Intact;
use pullgate_policy::oci::{Document, Manifest, Reference, Repository};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinSet;

use super::recorded::{Recorded, repository_named};

/// Connections at once; the gate opens a handful.
const CONNECTIONS_MAX: usize = 64;
const DIGEST: HeaderName = HeaderName::from_static("docker-content-digest");
const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// Serves until it is dropped; its connections end with it.
pub(super) async fn serve(recorded: Arc<Recorded>, listener: TcpListener) {
    let mut connections = JoinSet::new();
    loop {
        while connections.len() >= CONNECTIONS_MAX {
            connections.join_next().await;
        }
        let Ok((stream, _)) = listener.accept().await else { continue };
        let recorded = Arc::clone(&recorded);
        connections.spawn(async move {
            let service = hyper::service::service_fn(|request: Request<Incoming>| {
                let response = answer(&recorded, request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(response) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new()).header_read_timeout(limits::HEADER_TIMEOUT);
            // A client that breaks off is not logged.
            let _ = builder.serve_connection(TokioIo::new(stream), service).await;
        });
        while connections.try_join_next().is_some() {}
    }
}

/// What is asked for.
enum DemoRequest {
    Base,
    Blob(Repository, Reference),
    Manifest(Repository, Reference),
    Referrers(Repository, Reference),
    Tags(Repository),
}

impl DemoRequest {
    fn read(path: &str) -> Option<Self> {
        let rest = path.strip_prefix("/v2/")?;
        if rest.is_empty() {
            return Some(Self::Base);
        }
        if let Some(name) = rest.strip_suffix("/tags/list") {
            return Some(Self::Tags(repository_named(name).ok()?));
        }
        let (before, reference) = rest.rsplit_once('/')?;
        let (name, kind) = before.rsplit_once('/')?;
        let (repository, reference) = (repository_named(name).ok()?, reference.parse().ok()?);
        match kind {
            "blobs" => Some(Self::Blob(repository, reference)),
            "manifests" => Some(Self::Manifest(repository, reference)),
            "referrers" => Some(Self::Referrers(repository, reference)),
            _ => None,
        }
    }
}

/// The whole registry. A HEAD gets what a GET gets; hyper leaves the body out.
fn answer(recorded: &Recorded, method: &Method, path: &str) -> Response<Full<Bytes>> {
    if *method != Method::GET && *method != Method::HEAD {
        return error(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED");
    }
    let found = match DemoRequest::read(path) {
        None => None,
        Some(DemoRequest::Base) => Some(content("application/json", Bytes::from_static(b"{}"))),
        Some(DemoRequest::Blob(repository, reference)) => blob(recorded, &repository, &reference),
        Some(DemoRequest::Manifest(repository, reference)) => manifest(recorded, &repository, &reference),
        Some(DemoRequest::Referrers(repository, reference)) => referrers(recorded, &repository, &reference),
        Some(DemoRequest::Tags(repository)) => {
            let tags: Vec<_> = recorded.tags(&repository).collect();
            let body = json!({ "name": repository.path(), "tags": tags });
            Some(content("application/json", Bytes::from(body.to_string())))
        }
    };
    found.unwrap_or_else(|| error(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"))
}

fn manifest(
    recorded: &Recorded,
    repository: &Repository,
    reference: &Reference,
) -> Option<Response<Full<Bytes>>> {
    let digest = match reference {
        Reference::Digest(digest) => *digest,
        Reference::Tag(tag) => recorded.tag(repository, tag)?,
    };
    let document = recorded.manifest(repository, &digest)?.value();
    let mut response = content(document.media_type(), document.bytes().clone());
    if let Ok(value) = HeaderValue::try_from(digest.to_string()) {
        response.headers_mut().insert(DIGEST, value);
    }
    Some(response)
}

fn blob(
    recorded: &Recorded,
    repository: &Repository,
    reference: &Reference,
) -> Option<Response<Full<Bytes>>> {
    match reference {
        Reference::Digest(digest) => {
            let bytes = recorded.blob(repository, digest)?;
            Some(content("application/octet-stream", bytes.clone()))
        }
        Reference::Tag(_) => None,
    }
}

fn referrers(
    recorded: &Recorded,
    repository: &Repository,
    reference: &Reference,
) -> Option<Response<Full<Bytes>>> {
    let Reference::Digest(subject) = reference else { return None };
    let listed: Vec<_> = recorded.referrers(repository, subject).into_iter().map(descriptor).collect();
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed });
    Some(content(INDEX, Bytes::from(index.to_string())))
}

fn descriptor(document: &Intact<Document>) -> serde_json::Value {
    let (digest, document) = (document.digest(), document.value());
    let annotations = match document.manifest() {
        Manifest::Image(image) => &image.annotations,
        Manifest::Index(index) => &index.annotations,
    };
    json!({
        "mediaType": document.media_type(),
        "digest": digest,
        "size": document.bytes().len(),
        "artifactType": document.manifest().artifact_type(),
        "annotations": annotations,
    })
}

fn content(media_type: &str, bytes: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(bytes));
    if let Ok(value) = HeaderValue::try_from(media_type) {
        response.headers_mut().insert(CONTENT_TYPE, value);
    }
    response
}

fn error(status: StatusCode, code: &str) -> Response<Full<Bytes>> {
    let body = json!({ "errors": [{ "code": code, "message": "the demo's registry has no such thing" }] });
    let mut response = content("application/json", Bytes::from(body.to_string()));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use pullgate_policy::oci::Digest;

    use super::*;

    async fn get(path: &str) -> (StatusCode, String, Bytes) {
        let response = answer(&Recorded::unpack().unwrap(), &Method::GET, path);
        let kind = response.headers()[CONTENT_TYPE].to_str().unwrap().to_owned();
        (response.status(), kind, response.into_body().collect().await.unwrap().to_bytes())
    }

    #[tokio::test]
    async fn a_manifest_comes_by_tag_and_by_digest_with_its_own_type() {
        let (status, kind, by_tag) = get("/v2/shop/key/manifests/v1").await;
        assert_eq!((status, kind.as_str()), (StatusCode::OK, "application/vnd.oci.image.manifest.v1+json"));
        let digest = Digest::of(&by_tag);
        assert_eq!(get(&format!("/v2/shop/key/manifests/{digest}")).await.2, by_tag);
        assert_eq!(get(&format!("/v2/shop/stranger/manifests/{digest}")).await.0, StatusCode::NOT_FOUND);
    }

    #[tokio::test]
    async fn referrers_are_listed_for_their_subject_only() {
        let manifests = |body: &Bytes| -> usize {
            let index: serde_json::Value = serde_json::from_slice(body).unwrap();
            index["manifests"].as_array().unwrap().len()
        };
        let bundle = Digest::of(&get("/v2/shop/key-bundle/manifests/v1").await.2);
        let plain = Digest::of(&get("/v2/shop/unsigned/manifests/v1").await.2);
        assert_eq!(manifests(&get(&format!("/v2/shop/key-bundle/referrers/{bundle}")).await.2), 1);
        assert_eq!(manifests(&get(&format!("/v2/shop/unsigned/referrers/{plain}")).await.2), 0);
    }

    #[tokio::test]
    async fn what_does_not_exist_is_404_and_a_write_is_405() {
        for path in [
            "/",
            "/v2/shop/key/manifests/none",
            "/v2/shop/key/blobs/v1",
            "/v2/nobody/none/manifests/v1",
            "/v2/x",
        ] {
            assert_eq!(get(path).await.0, StatusCode::NOT_FOUND, "{path}");
        }
        let recorded = Recorded::unpack().unwrap();
        assert_eq!(answer(&recorded, &Method::PUT, "/v2/").status(), StatusCode::METHOD_NOT_ALLOWED);
    }
}
