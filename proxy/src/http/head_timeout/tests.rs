//! Each time, crossed by a millisecond on a connection of hyper's own.

use std::convert::Infallible;

use http::{Request, Response};
use http_body_util::Empty;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream};
use tokio::time::sleep;

use super::*;

const REQUEST: &[u8] = b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\n\r\n";
const BIT: Duration = Duration::from_millis(1);

/// The client's end of a connection that answers everything at once.
fn connected() -> DuplexStream {
    let (ours, theirs) = tokio::io::duplex(4096);
    let heads = Heads::new(&Arc::new(Pulse::new()));
    let stream = TokioIo::new(heads.watch(ours));
    let service = service_fn(async |_: Request<Incoming>| {
        Ok::<_, Infallible>(Response::new(Empty::<bytes::Bytes>::new()))
    });
    tokio::spawn(crate::http::listen::protocol(heads).serve_connection(stream, service));
    theirs
}

async fn answered(client: &mut DuplexStream) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&head));
}

async fn ask(client: &mut DuplexStream) {
    client.write_all(REQUEST).await.unwrap();
    answered(client).await;
}

/// How long it is until the connection is closed, without a word.
async fn closed_after(client: &mut DuplexStream) -> Duration {
    let (since, mut rest) = (Instant::now(), Vec::new());
    client.read_to_end(&mut rest).await.unwrap();
    assert!(rest.is_empty(), "{}", String::from_utf8_lossy(&rest));
    since.elapsed()
}

/// The same, while it sends a byte of a head each second.
async fn closed_after_trickling(client: &mut DuplexStream) -> Duration {
    let since = Instant::now();
    for byte in b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\nx: yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy" {
        if client.write_all(&[*byte]).await.is_err() {
            break;
        }
        let second = tokio::time::timeout(Duration::from_secs(1), client.read_u8()).await;
        if second.is_ok() {
            break;
        }
    }
    since.elapsed()
}

#[track_caller]
fn assert_took(time: Duration, limit: Duration) {
    // The timers' clock counts whole milliseconds.
    assert!((limit..=limit + BIT).contains(&time), "{time:?}, not {limit:?}");
}

#[tokio::test(start_paused = true)]
async fn a051_between_two_requests_a_client_may_be_silent_for_idle_timeout_and_no_longer() {
    let mut client = connected();
    for _ in 0..3 {
        ask(&mut client).await;
        sleep(limits::IDLE_TIMEOUT - BIT).await;
    }
    ask(&mut client).await;
    assert_took(closed_after(&mut client).await, limits::IDLE_TIMEOUT);
}

#[tokio::test(start_paused = true)]
async fn a051_a_trickled_head_has_header_timeout_from_its_first_byte() {
    let mut client = connected();
    ask(&mut client).await;
    sleep(limits::IDLE_TIMEOUT / 2).await;
    assert_took(closed_after_trickling(&mut client).await, limits::HEADER_TIMEOUT);
    let mut client = connected();
    ask(&mut client).await;
    sleep(limits::IDLE_TIMEOUT / 2).await;
    let (begins, rest) = REQUEST.split_at(1);
    client.write_all(begins).await.unwrap();
    sleep(limits::HEADER_TIMEOUT - BIT).await;
    client.write_all(rest).await.unwrap();
    answered(&mut client).await;
}

#[tokio::test(start_paused = true)]
async fn a051_a_new_connection_has_header_timeout_silent_or_not() {
    assert_took(closed_after(&mut connected()).await, limits::HEADER_TIMEOUT);
    assert_took(closed_after_trickling(&mut connected()).await, limits::HEADER_TIMEOUT);
    let mut late = connected();
    let nearly = limits::HEADER_TIMEOUT - Duration::from_secs(1);
    sleep(nearly).await;
    late.write_all(b"H").await.unwrap();
    assert_took(closed_after(&mut late).await, limits::HEADER_TIMEOUT - nearly);
}

#[tokio::test(start_paused = true)]
async fn a051_a_head_that_begins_behind_another_is_no_silence() {
    for begins in [&b"H"[..], b"HEAD /v2/ HTTP/1.1\r\n", b"HEAD /v2/ HTTP/1.1\r\nhost: a\r\n\r"] {
        let mut client = connected();
        client.write_all(&[REQUEST, begins].concat()).await.unwrap();
        answered(&mut client).await;
        assert_took(closed_after(&mut client).await, limits::HEADER_TIMEOUT);
    }
    // An empty line before a request is none of it, and is not waited for either.
    let mut client = connected();
    ask(&mut client).await;
    sleep(limits::IDLE_TIMEOUT - BIT).await;
    client.write_all(b"\r\n").await.unwrap();
    assert_took(closed_after(&mut client).await, limits::HEADER_TIMEOUT);
}
