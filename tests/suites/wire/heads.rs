//! What arrives on the data port's wire: heads that are too large, bodies where none may be, another protocol.

use std::time::Instant;

use pullgate::limits;
use pullgate_tests::asking::raw;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::stage::{Stage, assert_serves, manifest};

#[tokio::test]
async fn a053_a_head_that_is_too_large_is_refused() {
    let stage = Stage::new().await;
    let ask = |extra: String| {
        raw(stage.gate.data, format!("GET /v2/ HTTP/1.1\r\nhost: a\r\nconnection: close\r\n{extra}\r\n"))
    };
    let headers = |count: usize| (0..count).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    assert!(ask(headers(limits::REQUEST_HEADERS - 2)).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(headers(limits::REQUEST_HEADERS - 1)).await.starts_with("HTTP/1.1 431 "));
    // The connection may be reset over the answer: what counts is that there is no other.
    let over = async |extra: String| {
        let answer = ask(extra).await;
        answer.is_empty() || answer.starts_with("HTTP/1.1 431 ")
    };
    assert!(ask(format!("x: {}\r\n", "a".repeat(32 * 1024))).await.starts_with("HTTP/1.1 200 "));
    assert!(over(format!("x: {}\r\n", "a".repeat(limits::REQUEST_HEAD_BYTES))).await);
}

/// One byte parts a head that is served from one that is not; and whoever is refused, or is not read to the end, is not
/// asked for another request.
#[tokio::test]
async fn a053_a_head_has_64_kib_and_over_it_the_connection_ends() {
    let stage = Stage::new().await;
    let head = |length: usize, close: &str| {
        let begins = format!("GET /v2/ HTTP/1.1\r\nhost: a\r\n{close}x: ");
        format!("{begins}{}\r\n\r\n", "a".repeat(length - begins.len() - 4))
    };
    let most = limits::REQUEST_HEAD_BYTES;
    let within = raw(stage.gate.data, head(most, "connection: close\r\n")).await;
    assert!(within.starts_with("HTTP/1.1 200 "), "{within}");
    let many = (0..limits::REQUEST_HEADERS).map(|n| format!("x-{n}: 1\r\n")).collect::<String>();
    let long = "a".repeat(pullgate::upstream::limits::TARGET_BYTES);
    for (request, status) in [
        // Nobody asks for the end here.
        (head(most + 1, ""), 431),
        (format!("GET /v2/ HTTP/1.1\r\nhost: a\r\n{many}\r\n"), 431),
        (format!("GET /v2/?{long} HTTP/1.1\r\nhost: a\r\n\r\n"), 414),
    ] {
        let begun = Instant::now();
        let twice = format!("{request}GET /v2/ HTTP/1.1\r\nhost: a\r\n\r\n");
        let answer = raw(stage.gate.data, &twice).await;
        assert!(begun.elapsed() < limits::HEADER_TIMEOUT, "closed by itself, not by time");
        assert!(answer.is_empty() || answer.starts_with(&format!("HTTP/1.1 {status} ")), "{answer}");
        assert!(answer.matches("HTTP/1.1 ").count() <= 1, "{answer}");
    }
}

#[tokio::test]
async fn a053_a_target_that_is_too_long_is_refused() {
    let stage = Stage::new().await;
    let ask = |length: usize| {
        let target = format!("/v2/?{}", "a".repeat(length - 5));
        raw(stage.gate.data, format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n"))
    };
    assert!(ask(pullgate::upstream::limits::TARGET_BYTES).await.starts_with("HTTP/1.1 200 "));
    assert!(ask(pullgate::upstream::limits::TARGET_BYTES + 1).await.starts_with("HTTP/1.1 414 "));
}

#[tokio::test]
async fn a054_a_request_with_a_body_is_refused_and_never_read_as_two() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    let line = "/v2/org/app/manifests/v1 HTTP/1.1\r\nhost: a\r\n";
    let smuggled = "GET /v2/org/app/tags/list HTTP/1.1\r\nhost: a\r\n\r\n";
    let heads = [
        format!("content-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("transfer-encoding: chunked\r\n\r\n{:x}\r\n{smuggled}\r\n0\r\n\r\n", smuggled.len()),
        "transfer-encoding: chunked, identity\r\n\r\n0\r\n\r\n".to_owned(),
        format!("content-length: 0\r\ncontent-length: {}\r\n\r\n{smuggled}", smuggled.len()),
        format!("content-length: 0\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n{smuggled}"),
        "x: a\r\n b\r\n\r\n".to_owned(),
    ];
    for (method, head) in
        ["GET", "HEAD"].into_iter().flat_map(|method| heads.iter().map(move |head| (method, head)))
    {
        let answer = raw(stage.gate.data, format!("{method} {line}{head}")).await;
        assert!(answer.starts_with("HTTP/1.1 400 "), "{method} {head}: {answer}");
        assert_eq!(answer.matches("HTTP/1.1 ").count(), 1, "{answer}");
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    for method in ["GET", "HEAD"] {
        // A bare line feed ends a line too (RFC 9112 §2.2).
        let whole = format!("{method} {line}connection: close\r\n\r\n");
        for request in [whole.replace("\r\n", "\n"), whole] {
            let answer = raw(stage.gate.data, &request).await;
            assert!(answer.starts_with("HTTP/1.1 200 "), "{request}: {answer}");
        }
    }
}

#[tokio::test]
async fn a055_there_is_no_http_2() {
    let stage = Stage::new().await;
    for address in [stage.gate.data, stage.gate.admin] {
        let answer = raw(address, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0").await;
        assert!(!answer.starts_with("HTTP/1.1 200"), "{answer}");
    }
    assert_eq!(stage.gate.get("/v2/").await.status, 200);
}

/// A client that resets as fast as it asks: none of its frames is a request, and others are served meanwhile.
#[tokio::test]
async fn a055_a_hundred_thousand_frames_of_http_2_lead_to_no_request() {
    const CONNECTIONS: usize = 20;
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let settings = [0, 0, 0, 4, 0, 0, 0, 0, 0];
    let headers = [0, 0, 1, 1, 4, 0, 0, 0, 1, 0x82];
    let reset = [0, 0, 4, 3, 0, 0, 0, 0, 1, 0, 0, 0, 8];
    let ping = [0, 0, 8, 6, 0, 0, 0, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8];
    let continuation = [0, 0, 1, 9, 0, 0, 0, 0, 1, 0x82];
    let round =
        [&settings[..], &headers, &reset, &ping, &continuation].concat().repeat(100_000 / 5 / CONNECTIONS);
    let flood = [&b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"[..], &round].concat();
    for address in [stage.gate.data, stage.gate.admin] {
        let floods: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                let flood = flood.clone();
                tokio::spawn(async move { raw(address, flood).await })
            })
            .collect();
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        for one in floods {
            let answer = one.await.unwrap();
            assert!(!answer.contains("HTTP/1.1 200"), "{answer}");
        }
    }
    assert_eq!(stage.gate.records().await.len(), 2, "the two pulls");
}

#[tokio::test]
async fn a_connection_gives_a_thousand_answers_and_the_last_says_so() {
    let stage = Stage::new().await;
    let mut connection = TcpStream::connect(stage.gate.data).await.unwrap();
    for n in 1..=1_000 {
        connection.write_all(b"HEAD /v2/ HTTP/1.1\r\nhost: gate\r\n\r\n").await.unwrap();
        let mut head = Vec::new();
        while !head.ends_with(b"\r\n\r\n") {
            head.push(connection.read_u8().await.unwrap());
        }
        let head = String::from_utf8(head).unwrap().to_lowercase();
        assert!(head.starts_with("http/1.1 200"), "{n}: {head}");
        assert_eq!(head.contains("connection: close"), n == 1_000, "{n}");
    }
    assert_eq!(connection.read(&mut [0; 1]).await.unwrap(), 0, "it is closed");
}

#[tokio::test]
async fn a051_a_head_that_does_not_end_is_closed_and_others_are_served_meanwhile() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let begun = Instant::now();
    let address = stage.gate.data;
    let slow = tokio::spawn(async move { raw(address, "GET /v2/ HTTP/1.1\r\nhost: a\r\n").await });
    assert_serves(&stage.gate.get(&manifest("org/app", "v1")).await, &image);
    assert!(!slow.is_finished());
    let answer = slow.await.unwrap();
    assert!(!answer.contains("200"), "{answer}");
    assert!(begun.elapsed() >= limits::HEADER_TIMEOUT, "{:?}", begun.elapsed());
}
