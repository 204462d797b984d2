//! A grant is worth what the permit of its root is worth now.

use std::sync::Arc;
use std::time::Duration;

use pullgate::clock::Clock;
use pullgate::limits::ROOTS_JUDGED;
use pullgate_tests::asking::ask;
use pullgate_tests::made::{LAYER, Layer, Made};
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::until;
use tokio::sync::Semaphore;

use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves, codes, manifest};
use crate::store::state::edit;

/// A permitted index whose first child has been pulled with its blobs.
async fn pulled(policy: &str) -> (Stage, Made) {
    let stage = Stage::on(policy).await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let child = index.children[0].clone();
    assert_serves(&stage.manifest("org/app", &child.digest()).await, &child);
    assert_eq!(stage.blob("org/app", &child.config()).await.status, 200);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    (stage, index)
}

async fn assert_all_denied(stage: &Stage, child: &Made) {
    assert_denied(&stage.manifest("org/app", &child.digest()).await);
    assert_eq!(stage.gate.head(&manifest("org/app", &child.digest())).await.status, 403);
    for digest in [child.config(), child.layer()] {
        assert_denied(&stage.blob("org/app", &digest).await);
        let range =
            stage.gate.get_with(&crate::stage::blob("org/app", &digest), &[("range", "bytes=0-0")]).await;
        assert_denied(&range);
    }
}

async fn assert_all_served(stage: &Stage, child: &Made) {
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    for digest in [child.config(), child.layer()] {
        assert_eq!(stage.blob("org/app", &digest).await.status, 200);
    }
}

fn block(digest: &str) -> String {
    format!("{KEYED}[[block]]\ndigest = \"{digest}\"\nreason = \"CVE-2026-0001\"\n")
}

#[tokio::test]
async fn a023_a_blocked_index_takes_its_children_and_their_blobs_with_it() {
    let (stage, index) = pulled(KEYED).await;
    stage.reload(&block(&index.digest())).await;
    assert_all_denied(&stage, &index.children[0]).await;
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.reload(KEYED).await;
    assert_all_served(&stage, &index.children[0]).await;
}

#[tokio::test]
async fn a023_a_key_that_is_trusted_no_more_takes_its_grants_with_it() {
    let (stage, index) = pulled(KEYED).await;
    stage.gate.write("release.pub", Signer::new().public_pem());
    stage.reload(KEYED).await;
    assert_all_denied(&stage, &index.children[0]).await;
    stage.gate.write("release.pub", stage.signer.public_pem());
    stage.reload(KEYED).await;
    assert_all_served(&stage, &index.children[0]).await;
}

#[tokio::test]
async fn a023_from_warn_to_enforce_nothing_that_was_only_warned_of_stays_granted() {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let stage = Stage::on(&warn).await;
    let index = Made::index(vec![Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_all_served(&stage, &index.children[0]).await;
    stage.reload(KEYED).await;
    assert_all_denied(&stage, &index.children[0]).await;
}

/// As many unsigned images of one layer as a search reads at once and more, let through by a warning, all of them newer than
/// the signed one of the same layer.
async fn hidden_below_unsigned(more: usize) -> (Stage, Made) {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let stage = Stage::on(&warn).await;
    let layer = || Layer::new(LAYER, b"the base layer of all".to_vec());
    let signed = Made::image_of(vec![layer()]);
    signed.tag(&stage.upstream, "org/app", "signed");
    stage.sign("org/app", &signed);
    assert_serves(&stage.manifest("org/app", "signed").await, &signed);
    for n in 0..more {
        let image = Made::image_of(vec![layer()]);
        image.tag(&stage.upstream, "org/app", &format!("v{n}"));
        assert_serves(&stage.manifest("org/app", &format!("v{n}")).await, &image);
    }
    (stage, signed)
}

#[tokio::test]
async fn a616_a_permitted_layer_is_served_however_many_newer_roots_are_not_permitted() {
    let (mut stage, signed) = hidden_below_unsigned(150).await;
    stage.reload(KEYED).await;
    stage.upstream.forget();
    assert_eq!(stage.blob("org/app", &signed.layer()).await.status, 200);
    let manifests = stage.upstream.count("/manifests/") + stage.upstream.count("/referrers/");
    assert_eq!(manifests, 0, "the search looks first at what was permitted");
    // The same by what the store remembers.
    stage.gate.restart().await;
    assert_eq!(stage.blob("org/app", &signed.layer()).await.status, 200);
    // A layer of none but unsigned ones is none of theirs.
    let other = Made::image();
    other.tag(&stage.upstream, "org/app", "other");
    assert_denied(&stage.manifest("org/app", "other").await);
    assert_denied(&stage.blob("org/app", &other.layer()).await);
}

#[tokio::test]
async fn a616_what_the_search_did_not_come_to_is_not_refused_and_found_in_the_end() {
    let (mut stage, signed) = hidden_below_unsigned(2 * ROOTS_JUDGED + 6).await;
    stage.gate.stop().await;
    // As an earlier release left it: which of them was proven is not known.
    edit(&stage, "update grants set proven = 0").await;
    stage.gate.write("policy.toml", format!("{RELEASE}{KEYED}"));
    stage.gate.start_again().await;
    let mut answers = Vec::new();
    while answers.last() != Some(&200) && answers.len() < 10 {
        answers.push(stage.blob("org/app", &signed.layer()).await.status);
    }
    assert_eq!(answers, [503, 503, 200]);
    stage.reload(&block(&signed.digest())).await;
    let mut answers = Vec::new();
    while answers.last() != Some(&403) && answers.len() < 10 {
        answers.push(stage.blob("org/app", &signed.layer()).await.status);
    }
    assert_eq!(answers, [503, 503, 403], "of all that are known none is permitted");
}

#[tokio::test]
async fn a023_a408_an_exemption_and_its_grants_end_with_its_last_second() {
    let clock = Clock::fixed("2026-12-31T23:00:00Z".parse().unwrap());
    let exempt = |until: &str| {
        format!(
            "{KEYED}[[exempt]]\nscope = [\"registry.test/org/app\"]\nuntil = {until}\nowner = \"me\"\nreason = \"x\"\n"
        )
    };
    let stage = Stage::at(&clock, &exempt("2026-12-31")).await;
    let index = Made::index(vec![Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_all_served(&stage, &index.children[0]).await;
    clock.advance(Duration::from_secs(59 * 60 + 59));
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_all_served(&stage, &index.children[0]).await;
    clock.advance(Duration::from_secs(1));
    assert_all_denied(&stage, &index.children[0]).await;
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.reload(&exempt("2999-01-01")).await;
    assert_all_served(&stage, &index.children[0]).await;
}

#[tokio::test]
async fn a407_what_a_weaker_scope_let_through_is_nothing_to_the_stronger_one() {
    let weak = "[[policy]]\nname = \"dev\"\nscope = [\"registry.test/org/dev/**\"]\ninsecure_permit_anything = true\n";
    let stage = Stage::on(&format!("{KEYED}{weak}")).await;
    let image = stage.unsigned("org/dev/app", "v1");
    image.tag(&stage.upstream, "org/app", "v1");
    assert_serves(&stage.manifest("org/dev/app", "v1").await, &image);
    assert_eq!(stage.blob("org/dev/app", &image.layer()).await.status, 200);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_denied(&stage.blob("org/app", &image.layer()).await);
}

#[tokio::test]
async fn a023_grants_of_an_earlier_run_end_with_the_policy_too() {
    let (mut stage, index) = pulled(KEYED).await;
    stage.reload(&block(&index.digest())).await;
    stage.gate.restart().await;
    assert_all_denied(&stage, &index.children[0]).await;
}

#[tokio::test]
async fn a_changed_policy_that_still_permits_is_decided_from_kept_evidence() {
    let (stage, index) = pulled(KEYED).await;
    stage.upstream.forget();
    let renamed = KEYED.replace("production", "renamed");
    stage.reload(&renamed).await;
    assert_all_served(&stage, &index.children[0]).await;
    assert_serves(&stage.manifest("org/app", &index.digest()).await, &index);
    let asked: Vec<_> = stage.upstream.seen().into_iter().map(|seen| seen.target).collect();
    assert!(asked.is_empty(), "{asked:?}");
    assert_eq!(stage.gate.record().await["policy"], "renamed");
}

#[tokio::test]
async fn a409_a_blocked_child_config_or_layer_is_refused_on_every_route() {
    let (stage, index) = pulled(KEYED).await;
    let child = &index.children[0];
    for (blocked, is_manifest) in [(child.digest(), true), (child.config(), false), (child.layer(), false)] {
        stage.reload(&block(&blocked)).await;
        assert_denied(&stage.manifest("org/app", &child.digest()).await);
        assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
        if !is_manifest {
            assert_denied(&stage.blob("org/app", &blocked).await);
        }
        // Another child of the same index is none of the block's business.
        assert_serves(&stage.manifest("org/app", &index.children[1].digest()).await, &index.children[1]);
    }
}

#[tokio::test]
async fn a409_a_block_wins_over_warn_unmatched_permit_and_undecided() {
    let image = Made::image();
    let digest = image.digest();
    let warn = block(&digest).replace(
        "[[policy.require]]",
        "mode = \"warn\"\non_undecided = \"insecure_permit\"\n[[policy.require]]",
    );
    let permit = format!(
        "unmatched = \"permit\"\n{}",
        block(&digest).replace("registry.test/**", "registry.test/else/**")
    );
    for policy in [warn, permit] {
        let stage = Stage::on(&policy).await;
        image.tag(&stage.upstream, "org/app", "v1");
        for reference in ["v1", &digest] {
            assert_denied(&stage.manifest("org/app", reference).await);
            assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
        }
        stage.upstream.fail(When::on(".sig"), Fault::Status(500));
        assert_denied(&stage.manifest("org/app", "v1").await);
        let other = stage.unsigned("org/app", "v2");
        assert_serves(&stage.manifest("org/app", "v2").await, &other);
    }
}

#[tokio::test]
async fn a412_a_verdict_begun_under_one_policy_does_not_serve_under_the_next() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(".sig").times(1), Fault::Hold(Arc::clone(&hold)));
    let (address, target) = (stage.gate.data, manifest("org/app", "v1"));
    let client = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || stage.upstream.count(".sig") > 0).await;
    stage.reload(&block(&image.digest())).await;
    hold.add_permits(1);
    assert_denied(&client.await.unwrap());
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
}

#[tokio::test]
async fn a412_a_blob_whose_root_was_judged_under_one_policy_is_not_served_under_the_next() {
    let stage = Stage::with(KEYED, |setup| setup.cache("permit_ttl = \"1s\"")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.later(Duration::from_secs(1));
    stage.upstream.forget();
    let hold = Arc::new(Semaphore::new(0));
    stage.upstream.fail(When::on(".sig").times(1), Fault::Hold(Arc::clone(&hold)));
    let (address, target) = (stage.gate.data, crate::stage::blob("org/app", &image.layer()));
    let client = tokio::spawn(async move { ask(address, "GET", &target, &[]).await });
    until("the upstream is asked", || stage.upstream.count(".sig") > 0).await;
    stage.reload(&block(&image.digest())).await;
    hold.add_permits(1);
    assert_denied(&client.await.unwrap());
    stage.reload(KEYED).await;
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
}

#[tokio::test]
async fn a_shared_layer_is_served_under_a_root_that_only_the_store_remembers() {
    let mut stage = Stage::new().await;
    let first = Made::image();
    let layer = Layer::new("application/vnd.oci.image.layer.v1.tar", first.blobs[1].to_vec());
    let second = Made::image_of(vec![layer]);
    assert_eq!(first.layer(), second.layer());
    for (tag, image) in [("first", &first), ("second", &second)] {
        image.tag(&stage.upstream, "org/app", tag);
        stage.sign("org/app", image);
        assert_serves(&stage.manifest("org/app", tag).await, image);
    }
    stage.gate.restart().await;
    // Now memory knows of the first one's grant alone, and that one is blocked.
    assert_serves(&stage.manifest("org/app", "first").await, &first);
    stage.reload(&block(&first.digest())).await;
    assert_denied(&stage.manifest("org/app", "first").await);
    assert_eq!(stage.blob("org/app", &second.layer()).await.status, 200);
}

#[tokio::test]
async fn a134_a_blob_of_three_roles_is_granted_where_it_is_listed_alone() {
    use pullgate_tests::made::{LAYER, Layer};
    let stage = Stage::new().await;
    let first = stage.unsigned("org/app", "first");
    let evidence = stage.sign("org/app", &first);
    let piece = evidence.blobs[1].clone();
    // The same bytes are config and layer, and another layer is what a signature carries.
    let config = first.blobs[0].clone();
    let image = Made::image_of(vec![Layer::new(LAYER, config.clone()), Layer::new(LAYER, piece)]);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    for bytes in &image.blobs {
        let digest = pullgate_tests::clients::content::sha256(bytes);
        assert_eq!(stage.blob("org/app", &digest).await.body.to_vec(), *bytes);
        stage.upstream.blob("org/other", bytes);
        assert_denied(&stage.blob("org/other", &digest).await);
        assert_eq!(codes(&stage.gate.record().await), ["not-granted"]);
        assert_ne!(stage.manifest("org/app", &digest).await.status, 200);
    }
}

#[tokio::test]
async fn a013_a134_a_layer_listed_by_sha512_evades_no_block_and_is_no_manifest() {
    let stage = Stage::new().await;
    let bad = stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", "bad").await);
    let sha512 = |bytes: &[u8]| {
        format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes)))
    };
    for (bytes, status) in [(bad.bytes.clone(), 404), (b"a layer like any other".to_vec(), 200)] {
        let (name, honest) = (sha512(&bytes), Made::image());
        let mut body: serde_json::Value = serde_json::from_slice(&honest.bytes).unwrap();
        body["layers"][0]["digest"] = name.clone().into();
        body["layers"][0]["size"] = bytes.len().into();
        let carrier = Made::from_bytes(&honest.media_type, body.to_string().into_bytes(), honest.blobs);
        carrier.put(&stage.upstream, "org/app");
        stage.sign("org/app", &carrier);
        assert_serves(&stage.manifest("org/app", &carrier.digest()).await, &carrier);
        let by_sha256 = stage.upstream.blob("org/app", &bytes);
        let fault = Fault::Answer(200, "application/octet-stream", bytes);
        stage.upstream.fail(When::on("blobs/sha512"), fault);
        assert_eq!(stage.blob("org/app", &name).await.status, status);
        stage.reload(&block(&by_sha256)).await;
        assert_denied(&stage.blob("org/app", &name).await);
        assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
        stage.reload(KEYED).await;
        stage.upstream.heal();
    }
}
