//! `pullgate policy test`: a policy is held to what a site expects of it.

use super::run::{Said, pullgate};
use crate::stage::{KEYED, Stage};

fn expect(tag: &str, verdict: &str, code: &str) -> String {
    let code = if code.is_empty() { String::new() } else { format!("code = \"{code}\"\n") };
    format!("[[expect]]\nimage = \"registry.test/org/app:{tag}\"\nverdict = \"{verdict}\"\n{code}")
}

async fn test(stage: &Stage, expected: &str, more: &[&str]) -> Said {
    stage.gate.write("expected.toml", expected);
    stage.gate.app().store.store().database().flush().await;
    pullgate(stage, &[&["policy", "test", "expected.toml"][..], more].concat()).await
}

/// A stage where a signed and an unsigned image were pulled, and a third was not.
async fn pulled() -> Stage {
    let stage = Stage::new().await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.signed("org/app", "never");
    for tag in ["good", "bad"] {
        stage.manifest("org/app", tag).await;
    }
    stage
}

#[tokio::test]
async fn a_policy_is_held_to_its_expectations_on_what_the_gate_has_kept() {
    let stage = pulled().await;
    let asked = stage.upstream.seen().len();
    let (good, bad) = (expect("good", "permit", ""), expect("bad", "deny", "no-evidence"));
    for (expected, status, words) in [
        (format!("{good}{bad}"), 0, "2 as expected, 0 not, 0 unknown"),
        (format!("{good}{}", expect("bad", "permit", "")), 1, "permit expected, deny came; policy.toml:8"),
        (expect("bad", "deny", "threshold"), 1, "deny expected (threshold), deny came"),
        (format!("{good}{}", expect("never", "permit", "")), 3, "manifest-not-kept"),
    ] {
        test(&stage, &expected, &[]).await.has(status, &[words]);
    }
    assert_eq!(stage.upstream.seen().len(), asked, "nobody was asked");
    // Another policy than the one in force, with the same expectations.
    let other = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    stage.gate.write("next.toml", format!("{}{other}", crate::stage::RELEASE));
    let expected = format!("policy = \"next.toml\"\n{good}{}", expect("bad", "warn", "no-evidence"));
    test(&stage, &expected, &[]).await.has(0, &["2 as expected"]);
}

#[tokio::test]
async fn a_recording_serves_where_there_is_neither_gate_nor_network() {
    let stage = pulled().await;
    let expected = format!("{}{}", expect("never", "permit", ""), expect("bad", "deny", ""));
    test(&stage, &expected, &["--record", "evidence"]).await.has(0, &["2 as expected"]);
    let asked = stage.upstream.seen().len();
    let junit = test(&stage, &expected, &["--recorded", "evidence", "--format", "junit"]).await;
    junit.has(0, &["<testsuite name=\"expected.toml\" tests=\"2\" failures=\"0\" errors=\"0\">"]);
    let expected = format!("recorded = \"evidence\"\n{}", expect("never", "deny", ""));
    test(&stage, &expected, &["--format", "junit"])
        .await
        .has(1, &["<failure message=\"deny expected, permit"]);
    assert_eq!(stage.upstream.seen().len(), asked, "nobody was asked");
}

#[tokio::test]
async fn a_file_of_expectations_is_read_strictly() {
    let stage = pulled().await;
    let good = expect("good", "permit", "");
    for (expected, words) in [
        ("", "missing-key"),
        ("[[expect]]\nimage = \"a\"\n", "missing-key"),
        (&good.replace("verdict", "verdct"), "did you mean `verdict`"),
        (&expect("good", "yes", ""), "value-invalid"),
        (&expect("Bad Tag", "deny", ""), "is no image"),
        (&expect("good", "deny", "no-evidenc"), "did you mean \"no-evidence\""),
        (&expect("good", "permit", "no-evidence"), "a permit has no reason"),
        (&format!("at = \"soon\"\n{good}"), "date-invalid"),
    ] {
        let said = test(&stage, expected, &[]).await;
        assert!(said.status == 2 && said.error.contains(words), "{expected}: {said:?}");
    }
    test(&stage, &format!("at = 2026-12-01T00:00:00Z\n{good}"), &[]).await.has(0, &[]);
}

#[tokio::test]
async fn the_report_of_a_test_is_documented() {
    let stage = pulled().await;
    let report = test(&stage, &expect("bad", "deny", ""), &["--format", "json"]).await.json();
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/README.md")).unwrap();
    let (_, page) = page.split_once("## policy test --format json").unwrap();
    let one = &report["expectations"][0];
    assert_eq!((&one["outcome"], &one["verdict"]), (&"as-expected".into(), &"deny".into()));
    for key in [&report, one].into_iter().flat_map(|one| one.as_object().unwrap().keys()) {
        assert!(page.contains(&format!("`{key}`")), "{key} is not documented");
    }
}
