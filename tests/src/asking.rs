//! A client on loopback that hides nothing: reason phrase, bytes that arrived before a connection broke, bytes on the wire.
#![expect(clippy::expect_used, reason = "a test whose gate does not answer has failed")]

use std::net::SocketAddr;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Request};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper::ext::ReasonPhrase;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// Above every deadline of the gate.
const WAIT: Duration = crate::waiting::PATIENCE;

/// An answer, as far as it came.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The reason phrase.
    pub reason: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Bytes,
    /// Whether the body came to its end.
    pub end: End,
}

/// How an answer ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// All of it came.
    Whole,
    /// The connection broke before.
    Cut,
}

impl Answer {
    /// The header of that name, if it can be read.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).and_then(|value| value.to_str().ok())
    }

    /// The body as JSON; null if it is none.
    #[must_use]
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The code of its one error.
    #[must_use]
    pub fn code(&self) -> String {
        self.error("code")
    }

    /// The message of its one error.
    #[must_use]
    pub fn message(&self) -> String {
        self.error("message")
    }

    fn error(&self, key: &str) -> String {
        let text =
            self.json().pointer(&format!("/errors/0/{key}")).and_then(Value::as_str).map(str::to_owned);
        text.unwrap_or_default()
    }
}

/// One request over a connection of its own.
pub async fn ask(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let asked = tokio::time::timeout(WAIT, exchange(address, method, target, headers)).await;
    asked.expect("an answer within the deadline")
}

async fn exchange(address: SocketAddr, method: &str, target: &str, headers: &[(&str, &str)]) -> Answer {
    let stream = TcpStream::connect(address).await.expect("the gate listens");
    exchange_over(stream, &address.to_string(), method, target, headers).await
}

/// One request over a stream that is there already; `host` is what its header says.
pub async fn ask_over<S>(stream: S, host: &str, method: &str, target: &str) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let asked = tokio::time::timeout(WAIT, exchange_over(stream, host, method, target, &[])).await;
    asked.expect("an answer within the deadline")
}

async fn exchange_over<S>(
    stream: S,
    host: &str,
    method: &str,
    target: &str,
    headers: &[(&str, &str)],
) -> Answer
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.expect("HTTP/1.1");
    let driver = tokio::spawn(connection);
    let mut request = Request::builder().method(method).uri(target).header("host", host);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let request = request.body(Empty::<Bytes>::new()).expect("a request that can be sent");
    let response = sender.send_request(request).await.expect("a response head");
    let (parts, mut body) = response.into_parts();
    let reason = match parts.extensions.get::<ReasonPhrase>() {
        Some(phrase) => String::from_utf8_lossy(phrase.as_bytes()).into_owned(),
        None => parts.status.canonical_reason().unwrap_or_default().to_owned(),
    };
    let (mut bytes, mut end) = (BytesMut::new(), End::Whole);
    while let Some(frame) = body.frame().await {
        match frame.map(hyper::body::Frame::into_data) {
            Ok(Ok(data)) => bytes.extend_from_slice(&data),
            Ok(Err(_trailers)) => {}
            Err(_broken) => {
                end = End::Cut;
                break;
            }
        }
    }
    driver.abort();
    Answer { status: parts.status.as_u16(), reason, headers: parts.headers, body: bytes.freeze(), end }
}

/// Sends these bytes and reads until the other side ends.
pub async fn raw(address: SocketAddr, request: impl AsRef<[u8]>) -> String {
    let mut stream = TcpStream::connect(address).await.expect("the gate listens");
    // A gate that has had enough may close before everything is sent.
    let _ = stream.write_all(request.as_ref()).await;
    let mut answer = Vec::new();
    let read = tokio::time::timeout(WAIT, stream.read_to_end(&mut answer)).await;
    let _ = read.expect("the end of the connection within the deadline");
    String::from_utf8_lossy(&answer).into_owned()
}
