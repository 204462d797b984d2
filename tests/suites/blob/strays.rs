//! Blobs that nobody was granted: anybody may ask for them, and what that costs an upstream is bounded. The blobs of
//! children that nobody has asked for yet are served all the same.

use std::sync::Arc;

use pullgate::limits;
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::until_it_is;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob};

const CHILDREN: &str = "GET /v2/org/app/manifests/sha256:";

/// A permitted index of so many images, of which nothing but the index was pulled.
async fn unread(children: usize, cache: &str) -> (Stage, Made) {
    let stage = Stage::with(KEYED, |setup| setup.cache(cache)).await;
    let index = Made::index((0..children).map(|_| Made::image()).collect());
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.upstream.forget();
    (stage, index)
}

fn nowhere(number: usize) -> String {
    format!("sha256:{number:064x}")
}

#[tokio::test]
async fn a615_an_unknown_blob_costs_one_request_once_its_children_were_looked_for() {
    for gone in [true, false] {
        let (stage, index) = unread(limits::CHILDREN_READ_FOR_BLOB, "").await;
        for child in index.children.iter().filter(|_| gone) {
            stage.upstream.remove("org/app", &child.digest());
        }
        for number in 0..5 {
            assert_eq!(stage.blob("org/app", &nowhere(number)).await.status, 404);
            let asked = (stage.upstream.count(CHILDREN), stage.upstream.count("HEAD /v2/org/app/blobs/"));
            assert_eq!(asked, (limits::CHILDREN_READ_FOR_BLOB, number + 1), "gone: {gone}");
        }
        assert_eq!(stage.upstream.seen().len(), limits::CHILDREN_READ_FOR_BLOB + 5);
    }
}

#[tokio::test]
async fn a615_of_many_who_ask_at_once_one_reads_the_children() {
    let (stage, index) = unread(12, "").await;
    // The first to be read is on its way while all others ask.
    let held = Arc::new(tokio::sync::Semaphore::new(0));
    stage.upstream.fail(When::on(CHILDREN), Fault::Hold(Arc::clone(&held)));
    let strays = (0..20).map(|number| (nowhere(number), 404));
    let wanted = index.children.iter().map(|child| (child.layer(), 200));
    let asked: Vec<_> = strays
        .chain(wanted)
        .map(|(digest, status)| {
            let (data, target) = (stage.gate.data, blob("org/app", &digest));
            tokio::spawn(async move {
                (pullgate_tests::asking::ask(data, "GET", &target, &[]).await.status, status)
            })
        })
        .collect();
    while stage.upstream.count(CHILDREN) == 0 {
        tokio::task::yield_now().await;
    }
    held.add_permits(1);
    for asked in asked {
        let (status, expected) = asked.await.unwrap();
        assert_eq!(status, expected);
    }
    assert_eq!(stage.upstream.count(CHILDREN), 12);
}

#[tokio::test]
async fn a615_few_that_fail_are_enough_and_the_others_come_to_be_read() {
    let failing = limits::CHILDREN_FAILED_FOR_BLOB;
    let (stage, index) = unread(2 * failing, "").await;
    stage.upstream.fail(When::on(CHILDREN), Fault::Status(500));
    assert_undecided(&stage.blob("org/app", &nowhere(0)).await);
    assert_eq!(stage.upstream.count(CHILDREN), failing);
    let broken: Vec<_> = stage.upstream.seen().iter().map(|seen| seen.target.clone()).collect();
    stage.upstream.heal();
    for target in &broken {
        stage.upstream.fail(When::on(target.as_str()), Fault::Status(500));
    }
    let well = index.children.iter().find(|child| broken.iter().all(|one| !one.ends_with(&child.digest())));
    assert_eq!(stage.blob("org/app", &well.unwrap().layer()).await.status, 200);
    // Not knowing is no answer to anybody: once they can be had, theirs is served at once.
    stage.upstream.heal();
    for child in &index.children {
        assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    }
}

#[tokio::test]
async fn a615_a_child_that_comes_later_is_read_after_deny_ttl_and_pulled_at_once() {
    let (stage, index) = unread(2, "deny_ttl = \"1s\"").await;
    let [asked, unasked] = [&index.children[0], &index.children[1]];
    for child in &index.children {
        stage.upstream.remove("org/app", &child.digest());
    }
    assert_denied(&stage.blob("org/app", &unasked.layer()).await);
    for child in &index.children {
        stage.upstream.manifest("org/app", &child.media_type, &child.bytes);
    }
    assert_serves(&stage.manifest("org/app", &asked.digest()).await, asked);
    assert_eq!(stage.blob("org/app", &asked.layer()).await.status, 200);
    let is_served = async || stage.blob("org/app", &unasked.layer()).await.status == 200;
    until_it_is("the layer is served", is_served).await;
}

#[tokio::test]
async fn a615_no_more_children_of_an_index_are_asked_for_than_may_be() {
    let (stage, index) = unread(3 * limits::CHILDREN_READ_FOR_BLOB, "").await;
    for child in &index.children {
        stage.upstream.remove("org/app", &child.digest());
    }
    for number in 0..5 {
        assert_ne!(stage.blob("org/app", &nowhere(number)).await.status, 200);
        assert!(stage.upstream.count(CHILDREN) <= limits::CHILDREN_READ_FOR_BLOB);
    }
}
