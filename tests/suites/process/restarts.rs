//! A gate that is started anew under load, on a socket that a supervisor holds.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use pullgate_tests::asking::ask;
use pullgate_tests::clients::{Gate, Settings};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use pullgate_tests::waiting::{PATIENCE, until};

use crate::stage::{KEYED, RELEASE, assert_serves, blob, manifest};

const CLIENTS: usize = 8;
const RESTARTS: usize = 3;
/// Whole pulls between two restarts, of all clients together.
const PULLS: usize = 40;

async fn started(settings: &Settings) -> Gate {
    let settings = settings.clone();
    tokio::task::spawn_blocking(move || Gate::start(&settings)).await.unwrap().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn no_pull_under_load_is_lost_over_restarts_on_a_socket_that_is_held() {
    let upstream = Upstream::start().await.unwrap();
    let (signer, state) = (Signer::new(), tempfile::tempdir().unwrap());
    let socket = Arc::new(std::net::TcpListener::bind("127.0.0.1:0").unwrap());
    let image = Made::image_of_bytes(300_000);
    image.tag(&upstream, "org/app", "v1");
    signer.sign_at(&upstream, "org/app", &image.digest());
    let settings = Settings::new(&format!("{RELEASE}{KEYED}"))
        .listen("default_registry = \"registry.test\"")
        .upstream("registry.test", "alias.test", &upstream.address().to_string())
        .text("release.pub", &signer.public_pem())
        .socket(&socket)
        .state(state.path());
    let mut gate = started(&settings).await;
    let (address, stop, done) =
        (socket.local_addr().unwrap(), Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    let client = || {
        let (image, stop, done) = (image.clone(), Arc::clone(&stop), Arc::clone(&done));
        tokio::spawn(async move {
            let (by_tag, layer) = (manifest("org/app", "v1"), blob("org/app", &image.layer()));
            while !stop.load(Ordering::SeqCst) {
                assert_serves(&ask(address, "GET", &by_tag, &[]).await, &image);
                let answer = ask(address, "GET", &layer, &[]).await;
                assert_eq!((answer.status, answer.body.len()), (200, 300_000));
                done.fetch_add(1, Ordering::SeqCst);
            }
        })
    };
    let clients: Vec<_> = (0..CLIENTS).map(|_| client()).collect();
    for _ in 0..RESTARTS {
        let wanted = done.load(Ordering::SeqCst) + PULLS;
        // A client that lost one has ended, and says why below.
        let enough =
            || done.load(Ordering::SeqCst) >= wanted || clients.iter().any(|client| client.is_finished());
        until("the clients have pulled", enough).await;
        gate.signal("TERM").unwrap();
        assert_eq!(gate.wait_end(PATIENCE).unwrap(), Some(0));
        gate = started(&settings).await;
    }
    stop.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.unwrap();
    }
    assert!(done.load(Ordering::SeqCst) >= RESTARTS * PULLS);
}
