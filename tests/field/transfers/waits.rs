//! Upstreams that fetch before they answer: the first byte has its time, another for questions and for blobs.

use std::sync::Arc;
use std::time::Duration;

use pullgate::upstream::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::{pause, still, until};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::Semaphore;

use super::assert_whole;
use crate::stage::{KEYED, Stage, assert_serves, assert_undecided, blob, manifest};

/// Rule: the first byte of a blob is waited for as long as an upstream that fetches all of it may take, and no longer.
#[tokio::test]
async fn a174_the_first_byte_of_a_blob_is_waited_for_longer_than_that_of_a_question() {
    let (stage, image, path) = Stage::with_layer_of(1_000).await;
    let held = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(&path), Fault::Hold(Arc::clone(&held)));
    tokio::time::pause();
    let still = still();
    let asking = || {
        let (address, target) = (stage.gate.data, path.clone());
        tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
    };
    let within = asking();
    until("it is asked for", || stage.upstream.count(&path) == 1).await;
    tokio::time::advance(limits::FIRST_BYTE_BLOB - Duration::from_secs(1)).await;
    pause(Duration::from_millis(100)).await;
    assert!(!within.is_finished());
    held.add_permits(1);
    assert_whole(&within.await.unwrap(), &image.blobs[1]);
    // Another one, whose answer never begins. From here on time passes by itself whenever nothing else happens.
    let other = Made::image_of_bytes(2_000);
    other.tag(&stage.upstream, "org/app", "v2");
    stage.sign("org/app", &other);
    assert_serves(&stage.manifest("org/app", "v2").await, &other);
    let path = blob("org/app", &other.layer());
    stage.upstream.heal();
    stage.upstream.fail(When::on(&path), Fault::Hold(Arc::new(Semaphore::new(0))));
    let begun = tokio::time::Instant::now();
    let over = {
        let (address, target) = (stage.gate.data, path.clone());
        tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
    };
    until("it is asked for", || stage.upstream.count(&path) == 1).await;
    drop(still);
    assert_undecided(&over.await.unwrap());
    let took = begun.elapsed();
    assert!(
        (limits::FIRST_BYTE_BLOB..limits::FIRST_BYTE_BLOB + Duration::from_secs(2)).contains(&took),
        "{took:?}"
    );
}

/// Rule: both times can be set for each upstream, and a reload puts them in force.
#[tokio::test]
async fn first_byte_and_first_byte_blob_are_those_of_the_upstream_after_a_reload_too() {
    let short = "first_byte = \"1s\"\nfirst_byte_blob = \"1s\"";
    let stage = Stage::with(KEYED, |setup| setup.its(short)).await;
    let image = stage.signed("org/app", "v1");
    let (tag, layer) = (manifest("org/app", "v1"), blob("org/app", &image.layer()));
    let slow = |target: &str| stage.upstream.fail(When::on(target), Fault::Delay(Duration::from_secs(3)));
    slow(&tag);
    assert_undecided(&stage.gate.get(&tag).await);
    stage.upstream.heal();
    assert_serves(&stage.gate.get(&tag).await, &image);
    slow(&layer);
    assert_undecided(&stage.gate.get(&layer).await);
    let text = std::fs::read_to_string(stage.gate.path("pullgate.toml")).unwrap();
    stage.gate.write("pullgate.toml", text.replace("\"1s\"", "\"60s\""));
    stage.reload(KEYED).await;
    assert_whole(&stage.gate.get(&layer).await, &image.blobs[1]);
    let late = stage.signed("org/app", "v2");
    slow("/manifests/v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &late);
}

/// Rule: a flight waits on when its client has gone, and who comes back joins it.
#[tokio::test]
async fn a060_a_first_byte_is_waited_for_when_its_client_has_gone() {
    let (stage, image, path) = Stage::with_layer_of(100_000).await;
    let held = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(&path), Fault::Hold(Arc::clone(&held)));
    let mut client = TcpStream::connect(stage.gate.data).await.unwrap();
    client.write_all(format!("GET {path} HTTP/1.1\r\nhost: a\r\n\r\n").as_bytes()).await.unwrap();
    until("it is asked for", || stage.upstream.count(&path) == 1).await;
    drop(client);
    let (address, target) = (stage.gate.data, path.clone());
    let back = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    pause(Duration::from_millis(200)).await;
    held.add_permits(1);
    assert_whole(&back.await.unwrap(), &image.blobs[1]);
    assert_eq!(stage.upstream.count(&path), 1);
}

/// The hostile neighbour of a setting: a time beyond what anybody waits for is refused at load.
#[tokio::test]
async fn first_byte_beyond_its_maximum_is_refused_at_load() {
    let stage = Stage::with(KEYED, |setup| setup.its("first_byte = \"2m\"\nfirst_byte_blob = \"2m\"")).await;
    let (path, most) = (stage.gate.path("pullgate.toml"), pullgate_config::limits::FIRST_BYTE_MAX.as_secs());
    let text = std::fs::read_to_string(&path).unwrap();
    for key in ["first_byte", "first_byte_blob"] {
        let over = text.replace(&format!("{key} = \"2m\""), &format!("{key} = \"{}s\"", most + 1));
        assert_ne!(over, text);
        stage.gate.write("pullgate.toml", over);
        let refused = pullgate_config::load(&path, jiff::Timestamp::now()).unwrap_err();
        assert!(refused.render(pullgate_config::Style::Plain).contains("error[limit-exceeded]"), "{key}");
    }
}

/// Rule: who joins a question that has been waited for inherits neither its slowness nor its fault.
#[tokio::test]
async fn a057_who_joins_a_question_late_is_served_though_it_fails() {
    let stage = Stage::with(KEYED, |setup| setup.its("first_byte = \"4s\"")).await;
    let image = stage.signed("org/app", "v1");
    let target = manifest("org/app", "v1");
    stage.upstream.fail(When::on(&target).times(1), Fault::Hold(Arc::new(Semaphore::new(0))));
    let asking = || {
        let (address, target) = (stage.gate.data, target.clone());
        tokio::spawn(async move { ask(address, "GET", &target, &[]).await })
    };
    let first = asking();
    until("it is asked for", || stage.upstream.count(&target) == 1).await;
    pause(Duration::from_millis(2_500)).await;
    let late = asking();
    assert_undecided(&first.await.unwrap());
    assert_serves(&late.await.unwrap(), &image);
    assert_eq!(stage.upstream.count(&format!("GET {target}")), 2);
}
