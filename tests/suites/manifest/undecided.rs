//! What `on_undecided` allows, and what it must never allow.

use std::time::Duration;

use pullgate_tests::made::Made;
use pullgate_tests::signing::{Signer, evidence_tag};
use pullgate_tests::upstream::{Fault, When};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, codes, manifest};
use crate::store::state::edit;

fn policy(on_undecided: &str) -> String {
    KEYED.replace("[[policy.require]]", &format!("on_undecided = {on_undecided}\n[[policy.require]]"))
}

/// A gate that believes tags and permits for a second, with an image that was permitted and is so no more.
async fn lapsed(on_undecided: &str) -> (Stage, Made) {
    let stage =
        Stage::with(&policy(on_undecided), |setup| setup.cache("tag_ttl = \"1s\"\npermit_ttl = \"1s\""))
            .await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.later(Duration::from_secs(1));
    (stage, image)
}

const LAST: &str = "{ last_permit = \"24h\" }";

#[tokio::test]
async fn by_default_what_cannot_be_decided_is_503() {
    let (stage, image) = lapsed("\"deny\"").await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    for reference in ["v1", &image.digest()] {
        assert_undecided(&stage.manifest("org/app", reference).await);
    }
}

#[tokio::test]
async fn last_permit_serves_what_was_permitted_by_tag_and_digest_with_a_warning() {
    let (stage, image) = lapsed(LAST).await;
    stage.unsigned("org/app", "never");
    stage.upstream.fail(When::on(""), Fault::Status(500));
    for reference in ["v1", &image.digest()] {
        let answer = stage.manifest("org/app", reference).await;
        assert_serves(&answer, &image);
        assert!(
            answer.header("warning").unwrap().starts_with("299 - \"pullgate could not decide"),
            "{answer:?}"
        );
        assert_eq!(stage.gate.head(&manifest("org/app", reference)).await.status, 200);
    }
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 503, "its bytes are still to be fetched");
    assert_undecided(&stage.manifest("org/app", "never").await);
    assert_undecided(&stage.manifest("org/app", "other").await);
}

#[tokio::test]
async fn a_blob_is_undecided_where_its_root_is_and_served_where_that_is_softened() {
    for (on_undecided, status) in [("\"deny\"", 503), (LAST, 200)] {
        let cache = "tag_ttl = \"1s\"\npermit_ttl = \"1s\"";
        let stage = Stage::with(&policy(on_undecided), |setup| setup.cache(cache)).await;
        let index = Made::index(vec![Made::image(), Made::image()]);
        index.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &index);
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        let (read, unread) = (&index.children[0], &index.children[1]);
        assert_serves(&stage.manifest("org/app", &read.digest()).await, read);
        stage.later(Duration::from_secs(1));
        stage.upstream.fail(When::on("sha256-"), Fault::Status(500));
        for child in [read, unread] {
            let answer = stage.blob("org/app", &child.layer()).await;
            assert_eq!(answer.status, status, "{on_undecided} {}", answer.message());
        }
        let stray = stage.upstream.blob("org/app", b"stray");
        assert_ne!(stage.blob("org/app", &stray).await.status, 200);
    }
}

#[tokio::test]
async fn a_child_is_not_called_unsigned_where_its_index_could_not_be_judged() {
    let stage =
        Stage::with(&policy("\"deny\""), |setup| setup.cache("permit_ttl = \"1s\"\ndeny_ttl = \"1s\"")).await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.later(Duration::from_secs(1));
    let child = index.children[0].digest();
    // The index cannot be asked about; the child can, and has no signature of its own.
    stage.upstream.fail(When::on(evidence_tag(&index.digest(), "")), Fault::Status(500));
    for _ in 0..2 {
        assert_undecided(&stage.manifest("org/app", &child).await);
    }
    stage.upstream.heal();
    assert_serves(&stage.manifest("org/app", &child).await, &index.children[0]);
}

#[tokio::test]
async fn last_permit_ends_with_its_age() {
    let (stage, image) = lapsed("{ last_permit = \"3s\" }").await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.later(Duration::from_millis(2500));
    for reference in ["v1", &image.digest()] {
        assert_undecided(&stage.manifest("org/app", reference).await);
    }
}

#[tokio::test]
async fn last_permit_is_decided_anew_under_the_current_policy_and_block_wins() {
    let (stage, image) = lapsed(LAST).await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    stage.reload(&policy(LAST).replace("production", "renamed")).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let block = format!("{}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", policy(LAST), image.digest());
    stage.reload(&block).await;
    for reference in ["v1", &image.digest()] {
        assert_denied(&stage.manifest("org/app", reference).await);
    }
    stage.gate.write("release.pub", Signer::new().public_pem());
    stage.reload(&policy(LAST)).await;
    for reference in ["v1", &image.digest()] {
        assert_undecided(&stage.manifest("org/app", reference).await);
    }
}

#[tokio::test]
async fn last_permit_survives_a_restart() {
    let (mut stage, image) = lapsed(LAST).await;
    stage.gate.restart().await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a607_last_permit_outlasts_the_rows_on_which_nothing_rests() {
    let (mut stage, image) = lapsed(LAST).await;
    stage.unsigned("org/app", "never");
    assert_denied(&stage.manifest("org/app", "never").await);
    stage.gate.stop().await;
    // What goes first where there is no room, all of it: nothing of what the permit rests on, and what was denied.
    for table in ["presence", "tags"] {
        assert!(edit(&stage, &format!("delete from {table} where granted = 0")).await > 0, "{table}");
    }
    stage.gate.start_again().await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    for reference in ["v1", &image.digest()] {
        assert_serves(&stage.manifest("org/app", reference).await, &image);
    }
    assert_undecided(&stage.manifest("org/app", "never").await);
}

#[tokio::test]
async fn a148_last_permit_is_for_the_same_digest_in_the_same_repository_only() {
    let (stage, image) = lapsed(LAST).await;
    let bad = stage.unsigned("org/app", "bad");
    image.tag(&stage.upstream, "org/other", "v1");
    stage.upstream.tag("org/app", "v1", &bad.digest());
    stage.upstream.fail(When::on(evidence_tag(&bad.digest(), "")), Fault::Status(500));
    stage.upstream.fail(When::on("org/other/manifests/sha256-"), Fault::Status(500));
    // The tag was resolved: it never falls back to its old digest.
    assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_undecided(&stage.manifest("org/app", &bad.digest()).await);
    assert_undecided(&stage.manifest("org/other", "v1").await);
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
}

#[tokio::test]
async fn a148_a_denied_image_gains_nothing_from_an_upstream_that_fails_later() {
    let stage = Stage::with(&policy(LAST), |setup| setup.cache("tag_ttl = \"1s\"\ndeny_ttl = \"1s\"")).await;
    stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", "bad").await);
    stage.later(Duration::from_secs(1));
    stage.upstream.fail(When::on(""), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "bad").await);
}

#[tokio::test]
async fn a148_a_denial_that_became_a_permit_again_takes_no_last_permit_away() {
    let stage =
        Stage::with(&policy(LAST), |setup| setup.cache("permit_ttl = \"1s\"\ndeny_ttl = \"1s\"")).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // A wrong policy is pushed, and corrected.
    let wrong = policy(LAST).replace("signed_by", "annotations = { env = \"prod\" }\nsigned_by");
    stage.reload(&wrong).await;
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.later(Duration::from_secs(2));
    stage.upstream.fail(When::on(""), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", &image.digest()).await);
    stage.reload(&policy(LAST)).await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    // Under the wrong one it is as undecided as before: what is kept is decided anew.
    stage.later(Duration::from_secs(2));
    stage.reload(&wrong).await;
    assert_undecided(&stage.manifest("org/app", &image.digest()).await);
}

#[tokio::test]
async fn a148_what_warn_mode_let_through_is_no_last_permit() {
    let warn = policy(LAST).replace("on_undecided", "mode = \"warn\"\non_undecided");
    let stage = Stage::with(&warn, |setup| setup.cache("tag_ttl = \"1s\"\npermit_ttl = \"1s\"")).await;
    let image = stage.unsigned("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.later(Duration::from_secs(1));
    stage.reload(&policy(LAST)).await;
    stage.upstream.fail(When::on(""), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "v1").await);
}

#[tokio::test]
async fn insecure_permit_serves_what_could_not_be_checked_and_says_so() {
    let stage = Stage::on(&policy("\"insecure_permit\"")).await;
    let image = stage.unsigned("org/app", "v1");
    stage.upstream.fail(When::on("manifests/sha256-"), Fault::Status(500));
    let answer = stage.manifest("org/app", "v1").await;
    assert_serves(&answer, &image);
    assert!(answer.header("warning").is_some());
    let record = stage.gate.record().await;
    assert_eq!(record["ground"], "unchecked", "{record}");
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    stage.upstream.heal();
    // Nothing of it was stored: asked again, the answer is the truth.
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
}

#[tokio::test]
async fn a148_insecure_permit_never_softens_integrity_protocol_or_too_much_evidence() {
    let stage = Stage::on(&policy("\"insecure_permit\"")).await;
    let image = stage.signed("org/app", "v1");
    for fault in [
        Fault::Flip(0),
        Fault::Header("content-encoding", "gzip".to_owned()),
        Fault::Answer(200, "text/html", b"<html>".to_vec()),
        Fault::Redirect("http://169.254.169.254/".to_owned()),
    ] {
        stage.upstream.fail(When::on("manifests/v1"), fault);
        assert_undecided(&stage.manifest("org/app", "v1").await);
        stage.upstream.heal();
    }
    for fault in [Fault::Flip(0), Fault::Redirect("http://169.254.169.254/".to_owned())] {
        let bad = stage.unsigned("org/app", "bad");
        stage.upstream.fail(When::on(evidence_tag(&bad.digest(), ".sig")), fault.clone());
        stage.sign("org/app", &Made::image());
        let answer = stage.manifest("org/app", &bad.digest()).await;
        assert_ne!(answer.status, 200, "{fault:?}");
        stage.upstream.heal();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn an_undecided_answer_is_recorded_as_such() {
    let stage = Stage::new().await;
    stage.unsigned("org/app", "v1");
    stage.upstream.fail(When::on("manifests/sha256-"), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    assert_eq!(record["verdict"], "undecided", "{record}");
    assert_eq!(codes(&record), ["evidence-unavailable"]);
}
