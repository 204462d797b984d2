//! By digest, evidence is asked for beside the manifest: a round trip less, and nothing else is different.

use std::sync::Arc;

use pullgate_tests::asking::ask;
use pullgate_tests::made::Made;
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::until;
use tokio::sync::Semaphore;

use crate::stage::{Stage, assert_denied, assert_serves, codes, manifest};

/// Waits until the upstream was asked this, or the test's patience ends.
async fn until_asked(stage: &Stage, part: &str) {
    until(&format!("{part} is asked for"), || stage.upstream.count(part) > 0).await;
}

#[tokio::test]
async fn what_lies_about_a_digest_is_asked_before_its_manifest_is_here() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let digest = image.digest();
    let gate_of_manifest = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(format!("/manifests/{digest}")), Fault::Hold(Arc::clone(&gate_of_manifest)));
    let (data, target) = (stage.gate.data, manifest("org/app", &digest));
    let pull = tokio::spawn(async move { ask(data, "GET", &target, &[]).await });
    for suffix in [".sig", ".att", ""] {
        until_asked(&stage, &format!("/manifests/{}", evidence_tag(&digest, suffix))).await;
    }
    gate_of_manifest.add_permits(1);
    assert_serves(&pull.await.unwrap(), &image);
    let mut seen: Vec<_> = stage.upstream.seen().into_iter().map(|seen| seen.target).collect();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(all, seen.len(), "nothing is asked for twice");
}

#[tokio::test]
async fn an_unsigned_digest_is_denied_for_that() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
    assert_eq!(stage.upstream.count(&evidence_tag(&image.digest(), ".sig")), 1);
}

#[tokio::test]
async fn what_is_not_there_is_missing_at_once_however_slow_its_evidence_is() {
    let stage = Stage::new().await;
    let digest = Made::image().digest();
    stage.upstream.fail(When::on(evidence_tag(&digest, "")), Fault::Hold(Arc::new(Semaphore::new(0))));
    assert_eq!(stage.manifest("org/app", &digest).await.status, 404);
}

#[tokio::test]
async fn evidence_that_cannot_be_asked_for_leaves_it_undecided() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    stage.upstream.fail(When::on(evidence_tag(&image.digest(), ".sig")), Fault::Status(503));
    let answer = stage.manifest("org/app", &image.digest()).await;
    assert_eq!(answer.status, 503, "{answer:?}");
    stage.upstream.heal();
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
}

#[tokio::test]
async fn what_needs_no_verdict_of_its_own_costs_one_request() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let exempt = stage.unsigned("org/app", "old");
    let policy = format!(
        "{}[[exempt]]\ndigest = \"{}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"x\"\n",
        crate::stage::KEYED,
        exempt.digest()
    );
    assert_costs_one_request(&stage, &index.children[0]).await;
    stage.reload(&policy).await;
    assert_costs_one_request(&stage, &exempt).await;
}

async fn assert_costs_one_request(stage: &Stage, image: &Made) {
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &image.digest()).await, image);
    assert_eq!(stage.upstream.seen().len(), 1, "{:?}", stage.upstream.seen());
}
