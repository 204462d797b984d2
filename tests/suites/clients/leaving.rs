//! Clients that leave in the middle: shared work continues, and abandoned work leaves nothing.

use std::sync::Arc;
use std::time::Duration;

use pullgate_tests::asking::{End, ask};
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::{until, until_it_is, while_nothing_happens};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::stage::{Stage, assert_serves, manifest};

const SOON: Duration = pullgate_tests::waiting::PATIENCE;

/// Asks, over a connection of which the kernel keeps little, and takes nothing yet.
async fn asking(stage: &Stage, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(stage.gate.data).await.unwrap();
    let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await.unwrap();
    stream
}

#[tokio::test]
async fn a057_those_who_wait_for_a_verdict_are_served_when_its_first_client_leaves() {
    for part in ["manifests/v1", ".sig", "/blobs/"] {
        let stage = Stage::new().await;
        let (image, target) = (stage.signed("org/app", "v1"), manifest("org/app", "v1"));
        let held = Arc::new(Semaphore::new(0));
        stage.upstream.fail(When::on(part), Fault::Hold(Arc::clone(&held)));
        let leader = asking(&stage, &target).await;
        until("the upstream is asked", || stage.upstream.count(part) > 0).await;
        let address = stage.gate.data;
        let waiting: Vec<_> = (0..20)
            .map(|_| {
                let target = target.clone();
                tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
            })
            .collect();
        // Those who ask have come, then the one who began has gone.
        while_nothing_happens(Duration::from_millis(200)).await;
        drop(leader);
        while_nothing_happens(Duration::from_millis(200)).await;
        assert!(waiting.iter().all(|one| !one.is_finished()), "{part}");
        held.add_permits(1);
        for one in waiting {
            assert_serves(&timeout(SOON, one).await.unwrap().unwrap(), &image);
        }
        for part in [target.as_str(), ".sig", "/blobs/"] {
            assert_eq!(stage.upstream.count(part), 1, "{part}");
        }
    }
}

#[tokio::test]
async fn a060_a_verdict_goes_on_whatever_it_was_at_when_its_client_left() {
    for part in ["manifests/v1", ".sig", "/blobs/"] {
        let stage = Stage::new().await;
        let image = stage.signed("org/app", "v1");
        let held = Arc::new(Semaphore::new(0));
        stage.upstream.fail(When::on(part), Fault::Hold(Arc::clone(&held)));
        let client = asking(&stage, &manifest("org/app", "v1")).await;
        until("the upstream is asked", || stage.upstream.count(part) > 0).await;
        drop(client);
        held.add_permits(1);
        // It is reached and kept, though nobody asks.
        let registry = "registry.test".parse().unwrap();
        let app = stage.gate.app();
        let subject = pullgate_policy::verdict::Subject {
            repository: "registry.test/org/app".parse().unwrap(),
            digest: image.digest().parse().unwrap(),
        };
        let is_kept = async || app.memory.permit(&subject, app.live().revisions()).await.is_some();
        until_it_is(&format!("there is a permit after {part}"), is_kept).await;
        until("its place is free", || app.slots.taken(&registry) + app.slots.asked(&registry) == 0).await;
        stage.upstream.forget();
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
        assert_eq!(stage.upstream.seen().len(), 0, "{part}");
    }
}

/// How many files there are of what is on its way.
fn files_under_way(stage: &Stage) -> usize {
    std::fs::read_dir(stage.gate.path("state/tmp")).unwrap().count()
}

#[tokio::test]
async fn a060_a_blob_that_its_only_client_leaves_goes_on_and_who_comes_back_gets_it() {
    const LENGTH: usize = 16 << 20;
    let (stage, image, target) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&target), Fault::Stall(LENGTH / 4));
    let mut client = asking(&stage, &target).await;
    client.read_exact(&mut vec![0; LENGTH / 8]).await.unwrap();
    assert_eq!(files_under_way(&stage), 1);
    drop(client);
    assert!(!stage.gate.app().store.blobs().is_kept(image.layer().parse().unwrap()).await);
    stage.upstream.heal();
    let answer = stage.blob("org/app", &image.layer()).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert!(answer.body == image.blobs[1]);
    assert_eq!(
        stage.upstream.count(&format!("GET {target}")),
        2,
        "the first one stalled, and was gone on with"
    );
    assert!(stage.upstream.sent() < LENGTH as u64 * 3 / 2);
    until("the file has its name", || files_under_way(&stage) == 0).await;
}

#[tokio::test]
async fn a060_a_blob_comes_whole_by_one_transfer_when_one_of_two_clients_leaves() {
    const LENGTH: usize = 16 << 20;
    let (stage, image, target) = Stage::with_layer_of(LENGTH).await;
    let (mut first, mut second) = (asking(&stage, &target).await, asking(&stage, &target).await);
    for client in [&mut first, &mut second] {
        client.read_exact(&mut vec![0; LENGTH / 8]).await.unwrap();
    }
    drop(first);
    let mut rest = Vec::new();
    timeout(SOON, second.read_to_end(&mut rest)).await.unwrap().unwrap();
    assert!(rest.ends_with(&image.blobs[1][LENGTH / 4..]), "{} bytes", rest.len());
    assert_eq!(stage.upstream.count(&format!("GET {target}")), 1);
}
