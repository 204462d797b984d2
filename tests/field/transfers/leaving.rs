//! Clients whose patience is shorter than the layer, and clients that say no more.

use pullgate_tests::upstream::{Fault, RangeAnswer, When};
use pullgate_tests::waiting::until;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpSocket, TcpStream};

use super::{assert_never_whole, assert_whole};
use crate::stage::{Stage, blob, manifest};

const LENGTH: usize = 8 << 20;

async fn begin(stage: &Stage, target: &str) -> TcpStream {
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_recv_buffer_size(16 * 1024).unwrap();
    let mut stream = socket.connect(stage.gate.data).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n");
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

/// Rule: tries that are shorter than the layer add up to it, where each ends with its link and there is no way on within it.
#[tokio::test]
async fn a103_tries_that_are_shorter_than_the_layer_add_up_to_it() {
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    for n in 1..=3_u64 {
        stage.upstream.fail(When::on(&path).times(1), Fault::Cut(LENGTH / 4));
        stage.upstream.fail(When::on(&path), Fault::OfRange(RangeAnswer::Gone(LENGTH as u64 / 4 * n)));
        assert_never_whole(&stage.gate.get(&path).await);
        stage.upstream.heal();
    }
    assert_whole(&stage.gate.get(&path).await, &image.blobs[1]);
    assert!(stage.upstream.sent() < LENGTH as u64 * 5 / 4, "{} bytes", stage.upstream.sent());
}

/// Rule: what a client left goes on to its end, is kept, and is served without another byte of the upstream.
#[tokio::test]
async fn a060_a_layer_that_its_client_left_is_there_when_he_comes_back() {
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    let mut client = begin(&stage, &path).await;
    client.read_exact(&mut vec![0; LENGTH / 8]).await.unwrap();
    drop(client);
    stage.kept(&image.layer()).await;
    assert_whole(&stage.gate.get(&path).await, &image.blobs[1]);
    assert_eq!(stage.upstream.count(&format!("GET {path}")), 1);
    // Its hostile neighbour ends with a wrong byte: nothing of it is kept, whoever looks on.
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&path), Fault::Flip(-1));
    let mut client = begin(&stage, &path).await;
    client.read_exact(&mut vec![0; LENGTH / 8]).await.unwrap();
    drop(client);
    let tmp = stage.gate.path("state/tmp");
    until("it has come to its end", || std::fs::read_dir(&tmp).unwrap().count() == 0).await;
    assert!(!stage.gate.app().store.blobs().is_kept(image.layer().parse().unwrap()).await);
    assert_never_whole(&stage.gate.get(&path).await);
}

/// Rule: a client that closes its sending half has not gone (RFC 9112, section 9.6).
#[tokio::test]
async fn a_client_that_closes_its_sending_half_gets_the_whole_answer() {
    let (stage, image, _) = Stage::with_layer_of(LENGTH).await;
    for (target, body) in
        [(manifest("org/app", "v1"), &image.bytes), (blob("org/app", &image.layer()), &image.blobs[1])]
    {
        for _ in 0..5 {
            let mut client = begin(&stage, &target).await;
            client.shutdown().await.unwrap();
            let mut answer = Vec::new();
            client.read_to_end(&mut answer).await.unwrap();
            assert!(answer.ends_with(body), "{} bytes of {target}", answer.len());
        }
    }
}
