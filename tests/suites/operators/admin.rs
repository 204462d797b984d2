//! Health and metrics, on a port of their own.

use pullgate::store::limits;
use pullgate_tests::made::fresh;
use pullgate_tests::upstream::{Fault, When};
use pullgate_tests::waiting::until;

use crate::stage::{Stage, assert_denied, assert_serves};

async fn metrics(stage: &Stage) -> String {
    let answer = stage.gate.admin("/metrics").await;
    assert_eq!(answer.status, 200);
    String::from_utf8(answer.body.to_vec()).unwrap()
}

#[tokio::test]
async fn a_gate_that_serves_is_alive_and_ready() {
    let stage = Stage::new().await;
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(stage.gate.admin(path).await.status, 200, "{path}");
    }
    assert_eq!(stage.gate.admin("/else").await.status, 404);
}

#[tokio::test]
async fn health_and_metrics_are_not_on_the_data_port_and_pulls_not_on_the_other() {
    let stage = Stage::new().await;
    stage.signed("org/app", "v1");
    for path in ["/livez", "/readyz", "/metrics"] {
        assert_eq!(stage.gate.get(path).await.status, 404, "{path}");
    }
    assert_eq!(stage.gate.admin("/v2/").await.status, 404);
    assert_eq!(stage.gate.admin("/v2/org/app/manifests/v1").await.status, 404);
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn each_verdict_is_counted_under_its_policy_and_ground() {
    let stage = Stage::new().await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.upstream.fail(When::on("manifests/down"), Fault::Status(500));
    for tag in ["good", "bad", "down"] {
        stage.manifest("org/app", tag).await;
    }
    let text = metrics(&stage).await;
    let line = |parts: &[&str]| text.lines().any(|line| parts.iter().all(|part| line.contains(part)));
    assert!(
        line(&[
            "pullgate_verdicts_total",
            "policy=\"production\"",
            "verdict=\"permit\"",
            "ground=\"satisfied\""
        ]),
        "{text}"
    );
    assert!(line(&["pullgate_verdicts_total", "policy=\"production\"", "verdict=\"deny\""]), "{text}");
    assert!(line(&["pullgate_undecided_total", "code=\"upstream-status\""]), "{text}");
    assert!(line(&["pullgate_upstream_requests_total", "upstream=\"registry.test\""]), "{text}");
    assert!(line(&["pullgate_stage_seconds", "stage="]), "{text}");
}

#[tokio::test]
async fn how_full_the_disk_is_is_shown_by_what_lies_on_it() {
    let stage = Stage::new().await;
    let (image, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    let shown = || {
        let text = stage.gate.app().metrics.encode();
        move |name: &str| -> Option<u64> {
            let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '))?;
            line.parse().ok()
        }
    };
    let used = |room: &str| shown()(&format!("pullgate_room_used{{room=\"{room}\"}}"));
    for room in ["disk_documents", "disk_unproven", "disk_blobs"] {
        assert_eq!(used(room), Some(0), "{room}");
    }
    assert_serves(&stage.manifest("org/app", "good").await, &image);
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    let layer = image.blobs[1].len() as u64;
    let none = |room| used(room).is_none_or(|used| used == 0);
    until("what is permitted is on the disk", || {
        used("disk_blobs") == Some(layer) && !none("disk_documents")
    })
    .await;
    let before = used("disk_unproven");
    assert_denied(&stage.manifest("org/app", &bad.digest()).await);
    until("what is denied is on the disk", || used("disk_unproven") > before).await;
    for (room, limit) in
        [("disk_documents", limits::PERMITTED_FILES_BYTES), ("disk_unproven", limits::UNPROVEN_FILES_BYTES)]
    {
        assert_eq!(shown()(&format!("pullgate_room_limit{{room=\"{room}\"}}")), Some(limit), "{room}");
    }
    let blobs = stage.gate.app().store.blobs().fill();
    assert_eq!(shown()("pullgate_room_limit{room=\"disk_blobs\"}"), Some(blobs.most));
}

#[tokio::test]
async fn a526_labels_come_from_closed_sets_whatever_is_asked_for() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let ask = async || {
        for _ in 0..20 {
            let name = fresh();
            stage.manifest(&format!("org/{name}"), &name).await;
            stage.blob(&format!("org/{name}"), &image.layer()).await;
            stage.gate.get(&format!("/v2/{name}.example/x/manifests/v1")).await;
            stage.gate.get(&format!("/v2/org/app/manifests/v1?ns={name}.example")).await;
        }
    };
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let bad = stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", &bad.digest()).await);
    ask().await;
    let before = metrics(&stage).await.lines().count();
    ask().await;
    let after = metrics(&stage).await;
    assert_eq!(after.lines().count(), before, "{after}");
    assert!(!after.contains("org/") && !after.contains("sha256:") && !after.contains(".example"), "{after}");
}
