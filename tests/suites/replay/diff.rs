//! `pullgate policy diff`: what was pulled, judged by another policy from what the gate has kept.

use pullgate_tests::made::Made;
use serde_json::Value;

use super::run::{Said, pullgate, with_input};
use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves};

/// The usual policy, which serves with a warning.
fn warns() -> String {
    KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")
}

/// Runs `policy diff` with this policy, when all that was pulled is written.
async fn diff(stage: &Stage, policy: &str, more: &[&str]) -> Said {
    stage.gate.write("next.toml", format!("{RELEASE}{policy}"));
    stage.gate.app().audit.flush().await;
    stage.gate.app().store.store().database().flush().await;
    pullgate(stage, &[&["policy", "diff", "next.toml"][..], more].concat()).await
}

fn images(report: &Value, list: &str) -> Vec<String> {
    let tag = |one: &Value| one["tags"][0].as_str().unwrap_or_default().to_owned();
    report[list].as_array().unwrap().iter().map(tag).collect()
}

#[tokio::test]
async fn what_enforcement_would_refuse_is_named_and_the_next_pulls_prove_it() {
    let stage = Stage::on(&warns()).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "platforms");
    for tag in ["good", "bad", "bad", "platforms"] {
        assert_eq!(stage.manifest("org/app", tag).await.status, 200);
    }
    assert_eq!(stage.manifest("org/app", &index.children[0].digest()).await.status, 200);
    let asked = stage.upstream.seen().len();
    let said = diff(&stage, KEYED, &[]).await;
    said.has(
        1,
        &["would be refused", "org/app:bad", "next.toml:8", "2 pulls by 127.0.0.1", ": 2 would be refused"],
    );
    assert!(!said.out.contains("org/app:good"), "{}", said.out);
    let report = diff(&stage, KEYED, &["--format", "json"]).await.json();
    assert_eq!(images(&report, "changes"), ["bad", "platforms"]);
    assert_eq!((&report["same"], &report["pulls"]), (&1.into(), &5.into()));
    let change = &report["changes"][0];
    assert_eq!((&change["was"], &change["would_be"]), (&"warned".into(), &"refused".into()));
    assert_eq!((&change["pulls"], &change["clients"]["127.0.0.1"]), (&2.into(), &2.into()));
    assert_eq!(change["reasons"][0]["location"], "next.toml:8");
    assert_eq!(stage.upstream.seen().len(), asked, "nobody was asked");
    stage.reload(KEYED).await;
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    for refused in [&bad, &index] {
        assert_denied(&stage.manifest("org/app", &refused.digest()).await);
    }
}

#[tokio::test]
async fn a_policy_that_changes_nothing_exits_0_and_one_that_admits_says_so() {
    let stage = Stage::new().await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    for tag in ["good", "bad"] {
        stage.manifest("org/app", tag).await;
    }
    diff(&stage, KEYED, &[]).await.has(0, &[": 0 would be refused", "2 as before"]);
    diff(&stage, &warns(), &[]).await.has(0, &["would be served, and was refused", "org/app:bad"]);
    let none = "unmatched = \"deny\"\n[[policy]]\nname = \"other\"\nscope = [\"other.test/**\"]\n\
        [[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
    stage.gate.write("next.toml", none.replace("[[policy]]", &format!("{RELEASE}[[policy]]")));
    pullgate(&stage, &["policy", "diff", "next.toml"]).await.has(1, &["scope-unmatched"]);
    for (policy, arguments) in
        [("requre = 1", &["policy", "diff", "next.toml"][..]), ("", &["policy", "diff", "absent.toml"])]
    {
        stage.gate.write("next.toml", policy);
        pullgate(&stage, arguments).await.has(2, &[]);
    }
}

#[tokio::test]
async fn what_was_not_kept_is_unknown_until_it_is_fetched() {
    let stage = Stage::on("unmatched = \"permit\"\n").await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    for tag in ["good", "bad"] {
        assert_eq!(stage.manifest("org/app", tag).await.status, 200);
    }
    let unknown = diff(&stage, KEYED, &[]).await;
    unknown.has(0, &["unknown", "evidence-not-kept", "0 would be refused", "2 unknown"]);
    let asked = stage.upstream.seen().len();
    diff(&stage, KEYED, &["--fetch"]).await.has(1, &["org/app:bad", "1 would be refused", "0 unknown"]);
    assert!(stage.upstream.seen().len() > asked);
    // What was fetched is not left with the gate.
    diff(&stage, KEYED, &[]).await.has(0, &["2 unknown"]);
    // Nothing of the gate's is touched, and it goes on.
    assert_eq!(stage.manifest("org/app", "good").await.status, 200);
}

#[tokio::test]
async fn a_list_of_images_is_judged_by_both_policies() {
    let stage = Stage::on(&warns()).await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    for tag in ["good", "bad"] {
        stage.manifest("org/app", tag).await;
    }
    diff(&stage, KEYED, &[]).await;
    let list = "registry.test/org/app:good\nregistry.test/org/app:bad\nregistry.test/org/app:never\n";
    let arguments = ["policy", "diff", "next.toml", "--images", "-"];
    let said = with_input(&stage, &arguments, list).await;
    said.has(1, &["org/app:bad", "1 would be refused", "not-resolved", "1 as before"]);
}

#[tokio::test]
async fn the_report_of_a_diff_is_documented() {
    let stage = Stage::on(&warns()).await;
    stage.unsigned("org/app", "bad");
    stage.manifest("org/app", "bad").await;
    let report = diff(&stage, KEYED, &["--format", "json"]).await.json();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/README.md")).unwrap();
    let (_, page) = page.split_once("## policy diff --format json").unwrap();
    for key in [&report, &report["changes"][0]].into_iter().flat_map(|one| one.as_object().unwrap().keys()) {
        assert!(page.contains(&format!("`{key}`")), "{key} is not documented");
    }
}
