//! However many clients ask for one thing, the upstream is asked once.

use std::sync::Arc;
use std::time::Duration;

use pullgate_tests::asking::{Answer, ask};
use pullgate_tests::signing::evidence_tag;
use pullgate_tests::upstream::{Fault, ReferrersApi, When};
use pullgate_tests::waiting::until;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::clients::slow::may_open_many_files;
use crate::stage::{KEYED, Stage, assert_denied, assert_serves, manifest};

const CLIENTS: usize = 1_000;

async fn crowd(stage: &Stage, target: &str) -> Vec<Answer> {
    let (address, target) = (stage.gate.data, target.to_owned());
    let mut asks = JoinSet::new();
    for _ in 0..CLIENTS {
        let target = target.clone();
        asks.spawn(async move { ask(address, "GET", &target, &[]).await });
    }
    asks.join_all().await
}

#[tokio::test]
async fn a057_a_thousand_clients_cost_one_manifest_request_and_one_collection_of_evidence() {
    if !may_open_many_files() {
        return;
    }
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.signed("org/app", "v1");
    stage.upstream.fail(When::on(""), Fault::Delay(Duration::from_millis(50)));
    for answer in crowd(&stage, &manifest("org/app", "v1")).await {
        assert_serves(&answer, &image);
    }
    let digest = image.digest();
    for part in [
        "GET /v2/org/app/manifests/v1".to_owned(),
        format!("GET /v2/org/app/referrers/{digest}"),
        format!("GET /v2/org/app/manifests/{}", evidence_tag(&digest, ".sig")),
        format!("GET /v2/org/app/manifests/{}", evidence_tag(&digest, ".att")),
    ] {
        assert_eq!(stage.upstream.count(&part), 1, "{part}");
    }
    let mut seen: Vec<_> = stage.upstream.seen().into_iter().map(|seen| seen.target).collect();
    let all = seen.len();
    seen.sort();
    seen.dedup();
    assert_eq!(all, seen.len(), "nothing is asked for twice");
    stage.upstream.forget();
    for answer in crowd(&stage, &manifest("org/app", &digest)).await {
        assert_serves(&answer, &image);
    }
    assert_eq!(stage.upstream.seen().len(), 0, "what is known costs nothing");
}

#[tokio::test]
async fn a057_a_thousand_refusals_cost_one_verdict() {
    if !may_open_many_files() {
        return;
    }
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    stage.upstream.fail(When::on(""), Fault::Delay(Duration::from_millis(50)));
    for answer in crowd(&stage, &manifest("org/app", "v1")).await {
        assert_denied(&answer);
    }
    assert_eq!(stage.upstream.count("GET /v2/org/app/manifests/v1"), 1);
    assert_eq!(stage.upstream.count(&evidence_tag(&image.digest(), ".sig")), 1);
    assert_eq!(stage.gate.records().await.len(), CLIENTS, "each answer has its record");
}

#[tokio::test]
async fn a057_a_thousand_clients_cost_one_transfer_of_a_blob() {
    if !may_open_many_files() {
        return;
    }
    let stage = Stage::new().await;
    let image = pullgate_tests::made::Made::image_of_bytes(100_000);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let target = crate::stage::blob("org/app", &image.layer());
    stage.upstream.fail(When::on("blobs"), Fault::Delay(Duration::from_millis(100)));
    for answer in crowd(&stage, &target).await {
        assert_eq!(answer.status, 200);
        assert!(answer.body == image.blobs[1]);
    }
    assert_eq!(stage.upstream.count(&format!("GET {target}")), 1);
}

#[tokio::test]
async fn a060_a_verdict_goes_on_when_its_client_has_left() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(".sig"), Fault::Hold(Arc::clone(&hold)));
    let (address, target) = (stage.gate.data, manifest("org/app", "v1"));
    let client = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || stage.upstream.count(".sig") > 0).await;
    client.abort();
    hold.add_permits(1);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.upstream.count("GET /v2/org/app/manifests/v1"), 1);
    assert_eq!(stage.upstream.count(".sig"), 1);
}

#[tokio::test]
async fn a149_a_verdict_that_takes_too_long_is_undecided_in_time() {
    // A deadline far below the time for one answer.
    let wait = Duration::from_millis(200);
    let stage = Stage::with(KEYED, |setup| setup.verdict_wait(wait)).await;
    let image = stage.signed("org/app", "v1");
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(".sig"), Fault::Hold(Arc::clone(&hold)));
    let begun = std::time::Instant::now();
    crate::stage::assert_undecided(&stage.manifest("org/app", "v1").await);
    assert!(begun.elapsed() >= wait, "{:?}", begun.elapsed());
    assert_eq!(crate::stage::codes(&stage.gate.record().await), ["deadline"]);
    until("the signature is asked for", || stage.upstream.count(".sig") > 0).await;
    hold.add_permits(1);
    let mut answer = stage.manifest("org/app", "v1").await;
    while answer.status == 503 {
        answer = stage.manifest("org/app", "v1").await;
    }
    assert_serves(&answer, &image);
    assert_eq!(stage.upstream.count("GET /v2/org/app/manifests/v1"), 1, "the work went on");
}

#[tokio::test]
async fn a_cold_pull_asks_each_question_once_and_in_a_warm_one_memory_answers() {
    let stage = Stage::new().await;
    let (signed, unsigned) = (stage.signed("org/app", "v1"), stage.unsigned("org/app", "v2"));
    let counted = async |target: &str| {
        let before = stage.gate.app().asked.all();
        let answer = stage.gate.get(target).await;
        let after = stage.gate.app().asked.all();
        let asked: [u64; 9] = std::array::from_fn(|n| after[n] - before[n]);
        (answer, asked)
    };
    // Clock, scope, block, rule, permit, grant, denial, passing, evidence.
    let (cold, warm) = ([1, 1, 1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0, 0, 0]);
    let (answer, asked) = counted(&manifest("org/app", &signed.digest())).await;
    assert_serves(&answer, &signed);
    assert_eq!(asked, cold);
    let (answer, asked) = counted(&manifest("org/app", &signed.digest())).await;
    assert_serves(&answer, &signed);
    assert_eq!(asked, warm);
    let (answer, asked) = counted(&manifest("org/app", "v2")).await;
    assert_denied(&answer);
    assert_eq!(asked, cold, "{}", unsigned.digest());
}
