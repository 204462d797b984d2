//! Heads of answers that do not end, and the largest that are read.

use crate::limits;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::server::{Server, answer, upstream, whole};
use super::{BODY, TYPE, fault, manifest};
use crate::Fault;
use crate::still::still;

/// As many headers as this, the three that every answer here has among them.
fn headers(count: usize) -> Vec<u8> {
    let own = [TYPE.to_owned(), format!("content-length: {}", BODY.len())];
    let lines: Vec<String> = own.into_iter().chain((3..count).map(|n| format!("x-{n}: 1"))).collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    answer("200 OK", &lines, BODY)
}

/// Headers of so many bytes in all, name, value and line end.
fn header_bytes(bytes: usize) -> Vec<u8> {
    let length = format!("content-length: {}", BODY.len());
    let others = [TYPE, &length, "connection: close"].iter().map(|line| line.len() + 2).sum::<usize>();
    let long = format!("x: {}", "a".repeat(bytes - others - "x: \r\n".len()));
    answer("200 OK", &[TYPE, &length, &long], BODY)
}

async fn is_read(bytes: Vec<u8>) -> Result<(), Fault> {
    let server = Server::start(move |_| bytes.clone()).await;
    manifest(&server.upstream()).await.map(|_| ())
}

#[tokio::test]
async fn a177_a_head_at_its_limits_is_read_and_one_over_them_is_a_fault() {
    let (count, bytes) = (limits::UPSTREAM_HEADERS, limits::UPSTREAM_HEADER_BYTES);
    for (over, read) in [(0, Ok(())), (1, Err(Fault::Protocol))] {
        assert_eq!(is_read(headers(count + over)).await, read, "{count} headers and {over}");
    }
    // The library counts the status line and what it has read of the next bytes, too: somewhat less is sure to be read.
    assert_eq!(is_read(header_bytes(bytes - 1024)).await, Ok(()));
    assert_eq!(is_read(header_bytes(bytes + 1)).await, Err(Fault::Protocol));
}

#[tokio::test]
async fn a177_a_head_without_sense_is_a_fault() {
    let many = headers(10_000);
    let long = header_bytes(1 << 20);
    let broken = answer("200 OK", &["no colon"], BODY);
    for bytes in [many, long, broken, b"SSH-2.0-OpenSSH_9.2\r\n\r\n".to_vec()] {
        assert_eq!(fault(bytes).await, Fault::Protocol);
    }
}

#[tokio::test(start_paused = true)]
async fn a177_a_head_that_never_ends_is_left_at_its_limit_and_not_at_its_time() {
    let _still = still();
    for piece in ["x: 1\r\n", "a"] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            let (mut stream, _) = listener.accept().await.unwrap();
            assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
            stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").await.unwrap();
            while stream.write_all(piece.repeat(1024).as_bytes()).await.is_ok() {}
        });
        assert_eq!(manifest(&upstream(&url, |_| {})).await.unwrap_err(), Fault::Protocol);
        task.await.unwrap();
    }
}

#[tokio::test]
async fn a177_of_interim_answers_eight_are_read_over_and_one_more_is_a_fault() {
    let after = |interim: &str, count: usize| {
        [interim.repeat(count).into_bytes(), whole("200 OK", &[TYPE], BODY)].concat()
    };
    for interim in ["HTTP/1.1 100 Continue\r\n\r\n", "HTTP/1.1 103 Early Hints\r\nlink: </x>\r\n\r\n"] {
        let most = limits::UPSTREAM_INTERIM;
        assert_eq!(is_read(after(interim, most)).await, Ok(()));
        for count in [most + 1, 100] {
            assert_eq!(is_read(after(interim, count)).await, Err(Fault::Protocol), "{count}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a177_interim_answers_without_end_are_left_at_once_and_not_asked_for_again() {
    let still = still();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let sent = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
        while stream.write_all(b"HTTP/1.1 102 Processing\r\n\r\n").await.is_ok() {
            tokio::task::yield_now().await;
        }
        listener
    });
    assert_eq!(manifest(&upstream(&url, |_| {})).await.unwrap_err(), Fault::Protocol);
    drop(still);
    // The connection was closed, and there is no second one.
    let listener = sent.await.unwrap();
    assert!(tokio::time::timeout(std::time::Duration::from_millis(500), listener.accept()).await.is_err());
}
