//! `audit.shadow`: every pull is judged by a second policy as well, and no answer is another for it.

use std::time::Duration;

use pullgate_tests::asking::Answer;
use pullgate_tests::waiting::{pause, until};
use serde_json::Value;

use super::run::pullgate;
use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves};

/// The usual policy, which serves with a warning.
fn warns() -> String {
    KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")
}

/// A gate with this policy, and that one behind it.
async fn stage(policy: &str, shadow: &str) -> Stage {
    let shadow = format!("{RELEASE}{shadow}");
    Stage::with(policy, |setup| setup.audit("shadow = \"next.toml\"").file("next.toml", shadow)).await
}

fn counted(stage: &Stage, was: &str, would_be: &str) -> u64 {
    let name = format!("pullgate_shadow_verdicts_total{{was=\"{was}\",would_be=\"{would_be}\"}} ");
    let text = stage.gate.app().metrics.encode();
    text.lines().find_map(|line| line.strip_prefix(&name)?.parse().ok()).unwrap_or(0)
}

async fn ready(stage: &Stage) -> Answer {
    stage.gate.admin("/readyz").await
}

fn shadows(records: &[Value]) -> Vec<&Value> {
    records.iter().filter(|record| record["kind"] == "shadow").collect()
}

#[tokio::test]
async fn a_second_policy_judges_every_pull_and_changes_no_answer() {
    let stage = stage(&warns(), KEYED).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    for _ in 0..2 {
        assert_serves(&stage.manifest("org/app", "good").await, &good);
        assert_serves(&stage.manifest("org/app", "bad").await, &bad);
    }
    let asked = stage.upstream.seen().len();
    until("both are judged", || {
        counted(&stage, "permit", "permit") == 2 && counted(&stage, "warn", "deny") == 2
    })
    .await;
    assert_eq!(stage.upstream.seen().len(), asked, "nobody was asked");
    let records = stage.gate.records().await;
    let shadow = shadows(&records);
    assert_eq!(shadow.len(), 1, "one for each client, manifest and minute: {shadow:?}");
    let of = records.iter().find(|record| record["id"] == shadow[0]["verdict_id"]).unwrap();
    assert_eq!((&of["reference"], &shadow[0]["reference"]), (&"bad".into(), &"bad".into()));
    assert_eq!((&of["verdict"], &shadow[0]["verdict"]), (&"permit".into(), &"deny".into()));
    assert_eq!(shadow[0]["unmet"][0], "next.toml:8");
    assert_ne!(shadow[0]["policy_revision"], of["policy_revision"]);
    // The other way: what it would serve is refused all the same.
    let stage = self::stage(KEYED, &warns()).await;
    stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", "bad").await);
    until("it is judged", || counted(&stage, "deny", "warn") == 1).await;
    assert_denied(&stage.manifest("org/app", "bad").await);
}

#[tokio::test]
async fn a_broken_shadow_takes_no_gate_down_and_is_taken_when_it_is_mended() {
    let mut stage = stage(&warns(), "requre = 1\n").await;
    let bad = stage.unsigned("org/app", "bad");
    assert_serves(&stage.manifest("org/app", "bad").await, &bad);
    let answer = ready(&stage).await;
    let text = String::from_utf8_lossy(&answer.body).into_owned();
    assert!(answer.status == 200 && text.contains("shadow") && text.contains("next.toml:4"), "{answer:?}");
    let check = pullgate(&stage, &["check"]).await;
    assert!(check.status == 0 && check.error.contains("shadow-unusable"), "{check:?}");
    stage.gate.watch();
    stage.gate.write("next.toml", format!("{RELEASE}{KEYED}"));
    while String::from_utf8_lossy(&ready(&stage).await.body).contains("shadow") {
        pause(Duration::from_millis(20)).await;
    }
    assert_serves(&stage.manifest("org/app", "bad").await, &bad);
    until("it is judged", || counted(&stage, "warn", "deny") == 1).await;
    stage.gate.write("next.toml", "half");
    while !String::from_utf8_lossy(&ready(&stage).await.body).contains("shadow") {
        pause(Duration::from_millis(20)).await;
    }
    assert_serves(&stage.manifest("org/app", "bad").await, &bad);
}

#[tokio::test]
async fn what_was_not_kept_is_unknown_to_a_shadow() {
    let stage = stage("unmatched = \"permit\"\n", KEYED).await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    until("it is judged", || counted(&stage, "permit", "unknown") == 1).await;
    let records = stage.gate.records().await;
    assert_eq!(shadows(&records)[0]["reasons"][0]["code"], "evidence-not-kept");
}
