//! Upstreams that take their time. Where nothing but time passes, the clock is the test's own.

use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use futures_util::StreamExt as _;
use pullgate_policy::oci::Digest;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::time::Instant;

use super::server::{answer, upstream};
use super::{BODY, TYPE, manifest, repository};
use crate::{Fault, resumed};

/// Each connection says this at once, and then that, byte by byte, one in each pause; it stays to its end.
async fn dripping(at_once: Vec<u8>, rest: Vec<u8>, pause: Duration) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let (at_once, rest) = (at_once.clone(), rest.clone());
            tokio::spawn(async move {
                let mut head = [0; 4096];
                let _ = stream.read(&mut head).await;
                let _ = stream.write_all(&at_once).await;
                for byte in rest {
                    tokio::time::sleep(pause).await;
                    let _ = stream.write_all(&[byte]).await;
                }
                // To its end, which is the other side's.
                while matches!(stream.read(&mut head).await, Ok(read) if read > 0) {}
            });
        }
    });
    url
}

/// How a manifest from there ends, and after which time.
async fn ends(url: &str) -> (Result<(), Fault>, Duration) {
    let asked = Instant::now();
    let answer = manifest(&upstream(url, |_| {})).await;
    (answer.map(|_| ()), asked.elapsed())
}

#[track_caller]
fn assert_times_out((answer, took): (Result<(), Fault>, Duration), limit: Duration) {
    assert_eq!(answer, Err(Fault::Timeout));
    assert!(took >= limit && took < limit + Duration::from_secs(1), "{took:?} of {limit:?}");
}

const MINUTE: Duration = Duration::from_secs(60);

#[tokio::test(start_paused = true)]
async fn a174_an_upstream_that_lets_nobody_in_is_left_in_time() {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let listener = socket.listen(1).unwrap();
    let address = listener.local_addr().unwrap();
    // Its queue is full, and it takes nobody out of it.
    let mut waiting = Vec::new();
    while let Ok(Ok(stream)) = tokio::time::timeout(Duration::from_secs(1), TcpStream::connect(address)).await
    {
        waiting.push(stream);
        assert!(waiting.len() < 100, "a queue of one takes them all");
    }
    assert_times_out(ends(&format!("http://{address}")).await, limits::CONNECT);
}

#[tokio::test(start_paused = true)]
async fn a174_an_upstream_that_is_silent_is_left_in_time_at_each_step() {
    let silent = dripping(Vec::new(), Vec::new(), MINUTE).await;
    assert_times_out(ends(&silent.replace("http:", "https:")).await, limits::TLS_HANDSHAKE);
    assert_times_out(ends(&silent).await, limits::FIRST_BYTE_LAST);
    let length = format!("content-length: {}", BODY.len());
    let begun = dripping(answer("200 OK", &[TYPE, &length], &BODY[..5]), Vec::new(), MINUTE).await;
    assert_times_out(ends(&begun).await, limits::BETWEEN_BYTES);
}

#[tokio::test(start_paused = true)]
async fn a174_a_byte_a_minute_is_no_answer_and_a_byte_in_time_is_one() {
    let length = format!("content-length: {}", BODY.len());
    let (head, whole) = (answer("200 OK", &[TYPE, &length], b""), answer("200 OK", &[TYPE, &length], BODY));
    assert_times_out(ends(&dripping(Vec::new(), whole.clone(), MINUTE).await).await, limits::FIRST_BYTE_LAST);
    // A head has one time, however it comes; a body one for each piece, and one for the whole.
    let second = Duration::from_secs(1);
    assert_times_out(ends(&dripping(Vec::new(), whole, second).await).await, limits::FIRST_BYTE_LAST);
    assert_times_out(ends(&dripping(head.clone(), BODY.to_vec(), MINUTE).await).await, limits::BETWEEN_BYTES);
    assert_eq!(ends(&dripping(head, BODY.to_vec(), second / 2).await).await.0, Ok(()));
}

#[tokio::test(start_paused = true)]
async fn a174_a_blob_that_stalls_ends_with_a_fault_after_its_pause() {
    let begun = dripping(answer("200 OK", &["content-length: 100"], BODY), Vec::new(), MINUTE).await;
    let body = upstream(&begun, |_| {}).blob(&repository(), &Digest::of(BODY)).await.unwrap();
    let asked = Instant::now();
    let mut pieces: Vec<_> = body.stream.collect().await;
    assert_times_out((pieces.pop().unwrap().map(|_| ()), asked.elapsed()), limits::BETWEEN_BYTES_BLOB);
    assert_eq!(pieces.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat(), BODY);
}

/// Its first connection gives a byte a second, the others the rest at once.
async fn well_again(head: &'static [&'static str], body: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    tokio::spawn(async move {
        let mut trickles = true;
        while let Ok((mut stream, _)) = listener.accept().await {
            let first = std::mem::take(&mut trickles);
            tokio::spawn(async move {
                let mut asked = vec![0; 4096];
                let length = stream.read(&mut asked).await.unwrap();
                let asked = String::from_utf8_lossy(&asked[..length]).to_ascii_lowercase();
                let from = asked.split_once("range: bytes=").and_then(|(_, rest)| rest.split_once('-'));
                let from: usize = from.map_or(0, |(from, _)| from.parse().unwrap());
                let length = format!("content-length: {}", body.len() - from);
                let range = format!("content-range: bytes {from}-{}/{}", body.len() - 1, body.len());
                let status = if from == 0 { "200 OK" } else { "206 Partial Content" };
                let headers = [head, &[&length, &range]].concat();
                stream.write_all(&answer(status, &headers, b"")).await.unwrap();
                if first {
                    for byte in body {
                        if stream.write_all(&[*byte]).await.is_err() {
                            return;
                        }
                        tokio::time::sleep(Duration::from_secs(1)).await;
                    }
                } else {
                    stream.write_all(&body[from..]).await.unwrap();
                }
            });
        }
    });
    url
}

#[tokio::test(start_paused = true)]
async fn a174_a_trickled_manifest_is_left_after_ten_seconds_and_asked_for_anew() {
    let length = format!("content-length: {}", LONG.len());
    let head = answer("200 OK", &[TYPE, &length], b"");
    let second = Duration::from_secs(1);
    let (answer, took) = ends(&dripping(head, LONG.to_vec(), second).await).await;
    assert_times_out((answer, took / 2), limits::ANSWER_TIME);
    let (answer, took) = ends(&well_again(&[TYPE], LONG).await).await;
    assert_eq!(answer, Ok(()));
    assert!((limits::ANSWER_TIME..limits::ANSWER_TIME + second).contains(&took), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a174_a_blob_that_trickles_goes_on_over_another_connection_from_where_it_was() {
    let upstream = Arc::new(upstream(&well_again(&[], LONG).await, |_| {}));
    let (repository, digest) = (repository(), Digest::of(LONG));
    let body = upstream.blob(&repository, &digest).await.unwrap();
    let asked = Instant::now();
    let pieces: Vec<_> =
        resumed(&upstream, &repository, &digest, (body, LONG.len() as u64)).stream.collect().await;
    assert_eq!(pieces.into_iter().collect::<Result<Vec<_>, _>>().unwrap().concat(), LONG);
    let took = asked.elapsed();
    assert!((limits::BLOB_WINDOW..limits::BLOB_WINDOW + Duration::from_secs(2)).contains(&took), "{took:?}");
}

/// Of a blob what comes in its first window, of which two bytes come late, and a byte after it.
async fn after_a_window(came: usize) -> Result<Vec<u8>, Fault> {
    // The second ends the window, and counts in it.
    let first = vec![7; came - 2];
    let length = format!("content-length: {}", came + 1);
    let head = answer("200 OK", &[&length], &first);
    let begun = dripping(head, vec![8, 8, 9], limits::BLOB_WINDOW / 2 + Duration::from_secs(1)).await;
    let body = upstream(&begun, |_| {}).blob(&repository(), &Digest::of(BODY)).await.unwrap();
    let pieces: Vec<_> = body.stream.collect().await;
    pieces.into_iter().collect::<Result<Vec<_>, _>>().map(|pieces| pieces.concat())
}

/// The last byte is alone in its window, and no other is waited for.
#[tokio::test(start_paused = true)]
async fn a174_a_blob_of_the_least_rate_is_read_to_its_end_and_of_a_byte_less_is_left() {
    let least = limits::BLOB_WINDOW_BYTES;
    let whole = [vec![7; least - 2], vec![8, 8, 9]].concat();
    assert_eq!(after_a_window(least).await, Ok(whole));
    assert_eq!(after_a_window(least - 1).await, Err(Fault::Timeout));
}

#[tokio::test(start_paused = true)]
async fn a174_each_so_many_bytes_give_a_body_a_second_more_and_a_byte_less_gives_none() {
    // Three bytes after the rest, the last of them after the time that every body has.
    let pause = limits::ANSWER_TIME / 3 + Duration::from_millis(100);
    for (came, ends_as) in [
        (limits::ANSWER_BYTES_PER_SECOND, Ok(())),
        (limits::ANSWER_BYTES_PER_SECOND - 1, Err(Fault::Timeout)),
    ] {
        let length = format!("content-length: {}", came + 1);
        let head = answer("200 OK", &[TYPE, &length], &vec![b' '; came - 2]);
        assert_eq!(ends(&dripping(head, b"   ".to_vec(), pause).await).await.0, ends_as, "{came}");
    }
}

/// More than trickles through in any time that is given.
const LONG: &[u8] = &[b' '; 600];

#[tokio::test]
async fn a174_an_upstream_that_closes_its_half_has_answered_as_far_as_it_has() {
    let length = format!("content-length: {}", BODY.len());
    for (bytes, expected) in [
        (answer("200 OK", &[TYPE, &length], BODY), Ok(())),
        (answer("200 OK", &[TYPE, &length], &BODY[..5]), Err(Fault::Integrity)),
        (b"HTTP/1.1 200 OK\r\ncontent-le".to_vec(), Err(Fault::Unreachable)),
        (Vec::new(), Err(Fault::Unreachable)),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        tokio::spawn(async move {
            let mut open = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(&bytes).await.unwrap();
                stream.shutdown().await.unwrap();
                // The other half stays.
                open.push(stream);
            }
        });
        let (answer, took) = ends(&url).await;
        assert_eq!(answer, expected);
        assert!(took < limits::BETWEEN_BYTES, "{took:?}");
    }
}
