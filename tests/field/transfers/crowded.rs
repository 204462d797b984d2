//! A gate at the limit of the files that it may open: probes, reloads and with them blocks get through.

use std::sync::Arc;

use pullgate_tests::asking::ask;
use pullgate_tests::clients::{Gate, Settings};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, Upstream, When};
use pullgate_tests::waiting::{pause, until};
use std::time::Duration;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use crate::stage::{KEYED, RELEASE, assert_denied, assert_serves, blob, manifest};

/// Files that the gate may open.
const FILES: u64 = 192;

/// Rule: at the limit of descriptors `/livez`, reloads and blocks still work.
#[tokio::test(flavor = "multi_thread")]
async fn a547_at_the_limit_of_descriptors_probes_reloads_and_blocks_get_through() {
    let (upstream, signer) = (Upstream::start().await.unwrap(), Signer::new());
    let settings = Settings::new(&format!("{RELEASE}{KEYED}"))
        .listen("default_registry = \"registry.test\"")
        .upstream("registry.test", "alias.test", &upstream.address().to_string())
        .text("release.pub", &signer.public_pem())
        .descriptors(FILES);
    let gate = tokio::task::spawn_blocking(move || Gate::start(&settings)).await.unwrap().unwrap();
    let (data, admin) = (gate.address().parse().unwrap(), gate.admin().parse().unwrap());
    let layers: Vec<_> = (0..100).map(|_| Made::image_of_bytes(100_000)).collect();
    for (n, image) in layers.iter().enumerate() {
        image.tag(&upstream, "org/app", &format!("v{n}"));
        signer.sign_at(&upstream, "org/app", &image.digest());
        assert_serves(&ask(data, "GET", &manifest("org/app", &format!("v{n}")), &[]).await, image);
    }
    // Each of these takes a connection of a client, one to the upstream, and a file.
    let held = Arc::new(Semaphore::new(0));
    upstream.fail(When::on("/blobs/"), Fault::Hold(Arc::clone(&held)));
    let mut crowd = Vec::new();
    for image in &layers {
        let mut client = TcpStream::connect(data).await.unwrap();
        let head = format!("GET {} HTTP/1.1\r\nhost: a\r\n\r\n", blob("org/app", &image.layer()));
        client.write_all(head.as_bytes()).await.unwrap();
        crowd.push(client);
    }
    let open = || std::fs::read_dir(format!("/proc/{}/fd", gate.pid())).unwrap().count();
    let least = usize::try_from(FILES).unwrap() / 2;
    until("many files are open", || open() >= least).await;
    pause(Duration::from_millis(500)).await;
    for _ in 0..20 {
        assert_eq!(ask(admin, "GET", "/livez", &[]).await.status, 200, "{} files", open());
    }
    let blocked = layers[0].digest();
    let block = format!("[[block]]\ndigest = \"{blocked}\"\nreason = \"it has a hole\"\n");
    gate.set_policy(&format!("{RELEASE}{KEYED}{block}")).unwrap();
    gate.signal("HUP").unwrap();
    let ready = async || String::from_utf8_lossy(&ask(admin, "GET", "/readyz", &[]).await.body).into_owned();
    assert!(!ready().await.contains("\"reload\""));
    // Room for those who ask now.
    crowd.truncate(crowd.len() / 2);
    held.add_permits(1_000);
    let begun = std::time::Instant::now();
    loop {
        let answer = ask(data, "GET", &manifest("org/app", &blocked), &[]).await;
        if answer.status == 403 {
            assert_denied(&answer);
            break;
        }
        assert!(begun.elapsed() < pullgate_tests::waiting::PATIENCE, "{answer:?}");
        pause(Duration::from_millis(50)).await;
    }
    drop(crowd);
    assert_serves(&ask(data, "GET", &manifest("org/app", "v7"), &[]).await, &layers[7]);
}
