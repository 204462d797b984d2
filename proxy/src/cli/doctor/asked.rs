//! The gate, asked by `doctor` itself: does it answer, in its own words, and by which clock.

use bytes::Bytes;
use http::Request;
use http::header::DATE;
use http_body_util::{BodyExt as _, Empty, Limited};
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;
use jiff::Timestamp;
use tokio::net::TcpStream;

use crate::cli::node::Gate;
use crate::limits::CANARY_ANSWER;
use crate::route;

/// Bytes of its answer that are read.
const ANSWER_BYTES: usize = 64 * 1024;

/// What the gate says to `doctor`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// It refuses the canary, at this time by its clock.
    Refuses(Option<Timestamp>),
    /// Something listens there. Over TLS no more is asked: the runtimes have the certificates for it.
    Listens,
    /// It says something else.
    Odd,
    /// Nothing answers.
    Silent,
}

/// Asks the gate for the canary.
pub(super) async fn gate(gate: &Gate) -> Answer {
    let asked = async {
        if gate.scheme() == "https" {
            let address = if gate.authority.contains(':') {
                gate.authority.clone()
            } else {
                format!("{}:443", gate.authority)
            };
            return TcpStream::connect(address).await.map_or(Answer::Silent, |_| Answer::Listens);
        }
        plain(gate).await.unwrap_or(Answer::Silent)
    };
    tokio::time::timeout(CANARY_ANSWER, asked).await.unwrap_or(Answer::Silent)
}

async fn plain(gate: &Gate) -> Option<Answer> {
    let path = format!("/v2/{}/manifests/{}?ns=docker.io", route::CANARY, super::probe::TAG);
    let request = Request::builder().uri(format!("{gate}{path}")).body(Empty::<Bytes>::new()).ok()?;
    let client = Client::builder(TokioExecutor::new()).build_http::<Empty<Bytes>>();
    let (head, body) = client.request(request).await.ok()?.into_parts();
    let body = Limited::new(body, ANSWER_BYTES).collect().await.ok()?.to_bytes();
    if !String::from_utf8_lossy(&body).contains(route::CANARY_REFUSED) {
        return Some(Answer::Odd);
    }
    let date = head.headers.get(DATE).and_then(|date| date.to_str().ok());
    let time = date.and_then(|date| jiff::fmt::rfc2822::parse(date).ok()).map(|zoned| zoned.timestamp());
    Some(Answer::Refuses(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_gate_that_takes_the_connection_and_says_nothing_in_time_is_silent() {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = Gate::parse(&format!("http://{}", listener.local_addr().unwrap())).unwrap();
        let began = tokio::time::Instant::now();
        assert_eq!(gate(&at).await, Answer::Silent);
        assert!(began.elapsed() >= CANARY_ANSWER);
    }
}
