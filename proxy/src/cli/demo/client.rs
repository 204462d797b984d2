//! The demo's own client: it asks the gate over HTTP as a runtime does, and reads what a runtime would show.

use std::net::SocketAddr;

use bytes::Bytes;
use http::header::{ACCEPT, WARNING};
use http::{HeaderMap, Method, Request, StatusCode};
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper::ext::ReasonPhrase;
use hyper_util::client::legacy::Client as HttpClient;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, media_type};

/// Bytes of an answer that are read: a manifest's limit.
const ANSWER_BYTES: usize = 4 * 1024 * 1024;

/// A client of one gate.
#[derive(Debug)]
pub(super) struct Client {
    gate: SocketAddr,
    http: HttpClient<HttpConnector, Empty<Bytes>>,
}

/// What the gate answered.
#[derive(Debug, Clone)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// The digest that the gate says it serves.
    pub(super) digest: Option<Digest>,
    /// The reason as the client sees it: the error's message, else the reason phrase, else the warning.
    pub(super) said: Option<String>,
}

/// The gate could not be asked.
#[derive(Debug, thiserror::Error)]
pub(in crate::cli) enum ClientFault {
    /// The answer broke off or is too long.
    #[error("the gate's answer cannot be read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// No connection, or no answer.
    #[error("the gate does not answer")]
    Connection(#[from] hyper_util::client::legacy::Error),
    /// The request cannot be made.
    #[error("the request cannot be made")]
    Request(#[from] http::Error),
    /// The gate served bytes that do not hash to its digest header.
    #[error("the gate served bytes that do not hash to the digest in its header")]
    WrongBytes,
}

impl Client {
    pub(super) fn new(gate: SocketAddr) -> Self {
        Self { gate, http: HttpClient::builder(TokioExecutor::new()).build_http() }
    }

    /// Asks for a manifest.
    pub(super) async fn manifest(
        &self,
        method: Method,
        repository: &str,
        reference: &str,
    ) -> Result<Answer, ClientFault> {
        let uri = format!("http://{}/v2/{repository}/manifests/{reference}", self.gate);
        let request = Request::builder()
            .method(method.clone())
            .uri(uri)
            .header(ACCEPT, media_type::MANIFESTS.join(", "))
            .body(Empty::new())?;
        let (head, body) = self.http.request(request).await?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.map_err(ClientFault::Body)?.to_bytes();
        let digest = text(&head.headers, "docker-content-digest").and_then(|digest| digest.parse().ok());
        if head.status.is_success() && method == Method::GET && digest != Some(Digest::of(&body)) {
            return Err(ClientFault::WrongBytes);
        }
        let phrase = head.extensions.get::<ReasonPhrase>();
        let phrase = phrase.map(|phrase| String::from_utf8_lossy(phrase.as_bytes()).into_owned());
        let said = message(&body).or(phrase).or_else(|| text(&head.headers, WARNING.as_str()));
        let said = said.map(|said| pullgate_policy::text::line(&said, limits::MESSAGE_BYTES));
        Ok(Answer { status: head.status, digest, said })
    }
}

fn text(headers: &HeaderMap, name: &str) -> Option<String> {
    headers.get(name)?.to_str().ok().map(str::to_owned)
}

/// The message of an error of the distribution specification.
fn message(body: &[u8]) -> Option<String> {
    let body: serde_json::Value = serde_json::from_slice(body).ok()?;
    body.get("errors")?.get(0)?.get("message")?.as_str().map(str::to_owned)
}
