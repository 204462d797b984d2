//! Much evidence on one digest: fetched side by side and bounded, and the one good piece at its end counts.

use std::sync::Arc;
use std::time::Duration;

use pullgate_tests::made::{Layer, fresh};
use pullgate_tests::signing::{SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, When};
use pullgate_tests::waiting::{until, while_nothing_happens};
use serde_json::json;
use tokio::sync::Semaphore;

use crate::stage::{Stage, assert_denied, assert_serves};

/// How far away the upstream is.
const AWAY: Duration = Duration::from_millis(20);

#[tokio::test]
async fn a_hundred_bundles_on_one_digest_are_decided_and_the_good_one_counts() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let (image, stranger) = (stage.unsigned("org/app", "v1"), Signer::new());
    for number in 1..100 {
        let bundle = stranger.bundle(&image.digest(), &format!("https://example.com/{number}"));
        referrer(&image.descriptor(), bundle).put(&stage.upstream, "org/app");
    }
    stage.upstream.fail(When::on(""), Fault::Delay(AWAY));
    assert_denied(&stage.manifest("org/app", "v1").await);
    let good = stage.signer.bundle(&image.digest(), SIGN_PREDICATE);
    referrer(&image.descriptor(), good).put(&stage.upstream, "org/app");
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn the_good_one_of_two_hundred_and_fifty_sig_layers_counts() {
    let stage = Stage::new().await;
    let (image, stranger) = (stage.unsigned("org/app", "v1"), Signer::new());
    let strangers = |_| stranger.annotated(&image.digest(), &json!({ "n": fresh() }));
    let mut layers: Vec<Layer> = (1..250).map(strangers).collect();
    let tag = evidence_tag(&image.digest(), ".sig");
    carrier(layers.clone()).tag(&stage.upstream, "org/app", &tag);
    stage.upstream.fail(When::on(""), Fault::Delay(AWAY));
    assert_denied(&stage.manifest("org/app", "v1").await);
    layers.push(stage.signer.signature(&image.digest()));
    carrier(layers).tag(&stage.upstream, "org/app", &tag);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

/// Eight at a time: no more, so that one image is no flood, and no fewer, or a crowd would wait for the network.
#[tokio::test]
async fn the_pieces_of_one_digest_are_fetched_eight_at_a_time() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let layers = (0..20).map(|_| stage.signer.annotated(&image.digest(), &json!({ "n": fresh() })));
    let made = carrier(layers.collect());
    made.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
    let gate = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on("/blobs/"), Fault::Hold(Arc::clone(&gate)));
    let asked = || stage.upstream.count("GET /v2/org/app/blobs/");
    let pulled = async { stage.manifest("org/app", "v1").await };
    let watched = async {
        until("the upstream is asked", || asked() >= 8).await;
        while_nothing_happens(Duration::from_millis(300)).await;
        assert_eq!(asked(), 8);
        gate.add_permits(20);
    };
    let (answer, ()) = tokio::join!(pulled, watched);
    assert_serves(&answer, &image);
    assert_eq!(asked(), 20);
}
