//! Upstreams that take their time, and that ask for some.

use std::time::{Duration, Instant};

use pullgate::upstream::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, RangeAnswer, When};
use pullgate_tests::waiting::{pause, still, until};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::task::JoinHandle;

use crate::stage::{KEYED, Stage, assert_serves, assert_undecided, blob, codes, manifest};

/// So many clients ask for the same at once.
fn crowd(stage: &Stage, target: &str, clients: usize) -> Vec<JoinHandle<pullgate_tests::asking::Answer>> {
    let address = stage.gate.data;
    let one = |_| {
        let target = target.to_owned();
        tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
    };
    (0..clients).map(one).collect()
}

#[tokio::test]
async fn a174_one_question_answers_in_time_all_who_wait_for_a_stalled_upstream() {
    const CLIENTS: usize = 10;
    const FIRST_BYTE: Duration = Duration::from_secs(3);
    let stage = Stage::with(KEYED, |setup| setup.its("first_byte = \"3s\"")).await;
    let (stalls, silent) = (stage.signed("org/app", "stalls"), stage.signed("org/app", "silent"));
    stage.upstream.fail(When::on("/org/app/manifests/stalls").times(1), Fault::Stall(10));
    let long = FIRST_BYTE * 2;
    stage.upstream.fail(When::on("/org/app/manifests/silent").times(1), Fault::Delay(long));
    let asked = Instant::now();
    let crowds = [("stalls", limits::BETWEEN_BYTES), ("silent", FIRST_BYTE)]
        .map(|(tag, limit)| (tag, limit, crowd(&stage, &manifest("org/app", tag), CLIENTS)));
    for (tag, limit, clients) in crowds {
        for client in clients {
            assert_undecided(&client.await.unwrap());
        }
        let took = asked.elapsed();
        assert!(took >= limit, "{tag}: {took:?}");
        assert_eq!(stage.upstream.count(&format!("/org/app/manifests/{tag}")), 1);
    }
    let records = stage.gate.records().await;
    let said: Vec<_> = records.iter().map(codes).collect();
    assert_eq!(said, vec![["upstream-timeout"]; 2 * CLIENTS]);
    assert_serves(&stage.manifest("org/app", "stalls").await, &stalls);
    assert_serves(&stage.manifest("org/app", "silent").await, &silent);
}

/// All that comes, to the end of the connection, however long that is.
async fn all_of(mut stream: TcpStream, target: String) -> Vec<u8> {
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    let _ = stream.read_to_end(&mut answer).await;
    answer
}

#[tokio::test]
async fn a174_a_stalled_blob_is_cut_in_time_for_all_and_leaves_nothing() {
    const LENGTH: usize = 4 << 20;
    let (stage, image, target) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&target), Fault::Stall(250_000));
    // Nobody goes on with it.
    stage.upstream.fail(When::on(&target), Fault::OfRange(RangeAnswer::Status(503)));
    tokio::time::pause();
    let still = still();
    let mut clients = Vec::new();
    for _ in 0..5 {
        let stream = TcpStream::connect(stage.gate.data).await.unwrap();
        clients.push(tokio::spawn(all_of(stream, target.clone())));
    }
    until("it stalls", || stage.upstream.sent() >= 250_000).await;
    pause(Duration::from_millis(500)).await;
    // From here on time passes by itself whenever nothing else happens.
    drop(still);
    let begun = tokio::time::Instant::now();
    for client in clients {
        let answer = client.await.unwrap();
        assert!(answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer[..100]));
        assert!(answer.len() > 100_000 && answer.len() < LENGTH, "{} bytes", answer.len());
    }
    let (took, pause) = (begun.elapsed(), limits::BETWEEN_BYTES_BLOB);
    assert!(took >= pause && took < pause + Duration::from_secs(5), "{took:?}");
    tokio::time::resume();
    let asked = 1 + limits::BLOB_RESUMES as usize * (1 + limits::UPSTREAM_RETRIES);
    assert_eq!(stage.upstream.count(&target), asked, "one transfer for all");
    assert_eq!(stage.gate.app().store.blobs().used(), 0);
    stage.upstream.heal();
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
}

#[tokio::test]
async fn a176_an_upstream_that_asks_for_rest_has_a_second_to_a_minute() {
    for (asked, left, over) in [("0", 900, 200), ("1000000000", 59_000, 1_100)] {
        let stage = Stage::new().await;
        let image = stage.signed("org/app", "v1");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        let when = || When::on("/org/app/manifests/v2").times(1);
        stage.upstream.fail(when(), Fault::Status(429));
        stage.upstream.fail(when(), Fault::Header("retry-after", asked.to_owned()));
        let other = stage.signed("org/app", "v2");
        stage.upstream.forget();
        tokio::time::pause();
        let still = still();
        // It hears of the first request only; whatever else of the kind is asked of it is undecided at once.
        for target in
            [manifest("org/app", "v2"), manifest("org/app", "v2"), manifest("org/app", &other.digest())]
        {
            assert_undecided(&stage.gate.get(&target).await);
        }
        assert_eq!(stage.upstream.seen().len(), 1);
        // A pull under way goes on, and so do lists: registries limit them apart.
        assert_eq!(stage.gate.get(&blob("org/app", &image.layer())).await.status, 200);
        assert_eq!(stage.gate.get("/v2/org/app/tags/list").await.status, 200);
        stage.upstream.forget();
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        tokio::time::advance(Duration::from_millis(left)).await;
        assert_undecided(&stage.manifest("org/app", "v2").await);
        assert_eq!(stage.upstream.seen().len(), 0, "{asked}");
        tokio::time::advance(Duration::from_millis(over)).await;
        drop(still);
        tokio::time::resume();
        assert_eq!(codes(&stage.gate.record().await), ["upstream-status"]);
        assert_serves(&stage.manifest("org/app", "v2").await, &other);
    }
}

#[tokio::test]
async fn a176_an_upstream_that_keeps_asking_for_rest_is_asked_once_a_second() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on("manifests/sha256-"), Fault::Status(429));
    stage.upstream.fail(When::on("manifests/sha256-"), Fault::Header("retry-after", "0".to_owned()));
    tokio::time::pause();
    let still = still();
    for _ in 0..5 {
        assert_undecided(&stage.manifest("org/app", "v1").await);
    }
    // Layouts are asked side by side, before the first answer is here: of each at most one request.
    for suffix in [".sig", ".att", ""] {
        let tag = evidence_tag(&image.digest(), suffix);
        let asked = stage.upstream.seen().iter().filter(|seen| seen.target.ends_with(&tag)).count();
        assert!(asked <= 1, "{suffix}: {asked}");
    }
    assert!(stage.upstream.count("manifests/sha256-") > 0);
    stage.upstream.heal();
    tokio::time::advance(Duration::from_millis(1_100)).await;
    drop(still);
    tokio::time::resume();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a176_within_one_verdict_a_request_is_repeated_twice_and_no_more() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    for (part, asked) in [("/manifests/v1", 3), ("/manifests/sha256-", 9)] {
        stage.upstream.fail(When::on(part), Fault::Status(503));
        stage.upstream.forget();
        assert_undecided(&stage.manifest("org/app", "v1").await);
        assert_eq!(stage.upstream.count(part), asked, "{part}: {:?}", stage.upstream.seen());
        stage.upstream.heal();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}
