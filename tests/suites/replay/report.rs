//! `pullgate report` beside the gate that writes the log.

use std::time::Duration;

use pullgate_tests::clients::have;
use pullgate_tests::clients::tool::require_installed;
use serde_json::Value;

use super::run::pullgate;
use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves};

/// The usual policy, which serves with a warning.
fn warns() -> String {
    KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")
}

/// Runs `report` when all that was pulled is written.
async fn report(stage: &Stage, arguments: &[&str]) -> Value {
    stage.gate.app().audit.flush().await;
    stage.gate.app().store.store().database().flush().await;
    pullgate(stage, &[&["report", "--format", "json"][..], arguments].concat()).await.json()
}

fn tags(images: &Value) -> Vec<&str> {
    images.as_array().unwrap().iter().filter_map(|one| one["tags"][0].as_str()).collect()
}

#[tokio::test]
async fn a_report_names_exactly_what_enforcement_refuses_and_policy_diff_agrees() {
    let stage = Stage::on(&warns()).await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    let mended = stage.unsigned("org/app", "mended");
    for tag in ["good", "bad", "bad", "mended"] {
        assert_eq!(stage.manifest("org/app", tag).await.status, 200);
    }
    stage.sign("org/app", &mended);
    stage.later(Duration::from_secs(7_200));
    assert_serves(&stage.manifest("org/app", "mended").await, &mended);
    let told = report(&stage, &[]).await;
    assert_eq!(tags(&told["would_deny"]), ["bad"], "what was signed meanwhile breaks nothing: {told}");
    assert_eq!(told["would_deny"][0]["clients"]["127.0.0.1"], 2);
    assert_eq!(told["would_deny"][0]["digest"], bad.digest());
    assert_eq!(tags(&told["unsigned"]), ["bad"]);
    pullgate(&stage, &["report", "--would-deny"])
        .await
        .has(1, &["registry.test/org/app:bad", "127.0.0.1 (2)"]);
    stage.gate.write("next.toml", format!("{RELEASE}{KEYED}"));
    let diff = pullgate(&stage, &["policy", "diff", "next.toml", "--format", "json"]).await.json();
    assert_eq!(tags(&diff["changes"]), ["bad"]);
    stage.reload(KEYED).await;
    for (reference, served) in [(good.digest(), true), (mended.digest(), true), (bad.digest(), false)] {
        assert_eq!(stage.manifest("org/app", &reference).await.status == 200, served, "{reference}");
    }
}

#[tokio::test]
async fn an_exemption_is_told_with_its_end_and_whether_anybody_uses_it() {
    let end = jiff::Timestamp::now().checked_add(jiff::SignedDuration::from_hours(24 * 7)).unwrap();
    let exempt = |scope: &str, until: &str, owner: &str| {
        format!(
            "[[exempt]]\nscope = [\"{scope}\"]\nuntil = {until}\nowner = \"{owner}\"\nreason = \"INC-1\"\n"
        )
    };
    let soon = end.strftime("%Y-%m-%d").to_string();
    let far = end.checked_add(jiff::SignedDuration::from_hours(24 * 100)).unwrap();
    let far = far.strftime("%Y-%m-%d").to_string();
    let policy = format!(
        "{KEYED}{}{}",
        exempt("registry.test/org/old", &soon, "me"),
        exempt("registry.test/org/none", &far, "you")
    );
    let stage = Stage::on(&policy).await;
    let old = stage.unsigned("org/old", "v1");
    assert_serves(&stage.manifest("org/old", "v1").await, &old);
    let told = report(&stage, &["--exemptions"]).await;
    let all = told["exemptions"].as_array().unwrap();
    let of = |one: &Value, key: &str| one[key].as_str().unwrap().to_owned();
    let said: Vec<_> = all.iter().map(|one| (of(one, "owner"), of(one, "ends"), of(one, "used"))).collect();
    let [soon, later] = [("me", "soon", "used"), ("you", "later", "unused")]
        .map(|(owner, ends, used)| (owner.to_owned(), ends.to_owned(), used.to_owned()));
    assert_eq!(said, [soon, later]);
    assert_eq!((&all[0]["pulls"], &all[1]["pulls"]), (&1.into(), &0.into()));
    pullgate(&stage, &["report", "--exemptions"]).await.has(0, &["ends soon", "nobody used it", "me: INC-1"]);
}

#[tokio::test]
async fn a_tag_that_moved_is_told_with_both_digests_and_who_signed_each() {
    let stage = Stage::on(&warns()).await;
    let first = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &first);
    let second = stage.unsigned("org/app", "v1");
    stage.later(Duration::from_secs(3_600));
    assert_serves(&stage.manifest("org/app", "v1").await, &second);
    let told = report(&stage, &[]).await;
    let was = &told["moved"][0]["was"];
    assert_eq!((&was[0]["digest"], &was[1]["digest"]), (&first.digest().into(), &second.digest().into()));
    assert_eq!(
        (was[0]["signers"].as_array().unwrap().len(), was[1]["signers"].as_array().unwrap().len()),
        (1, 0)
    );
}

#[tokio::test]
async fn what_rests_on_an_authority_is_judged_again_without_it() {
    let own = pullgate_tests::signing::Signer::new();
    let key = own.public_pem();
    let both = KEYED.replace("[\"release\"]", "[\"release\", \"second\"]");
    let policy = format!("[authority.second]\nkey = \"second.pub\"\ntransparency = \"optional\"\n{both}");
    let stage = Stage::with(&policy, |setup| setup.file("second.pub", key)).await;
    let (alone, carried) = (stage.signed("org/app", "alone"), stage.signed("org/app", "carried"));
    own.sign_at(&stage.upstream, "org/app", &carried.digest());
    for (tag, image) in [("alone", &alone), ("carried", &carried)] {
        assert_serves(&stage.manifest("org/app", tag).await, image);
    }
    let told = report(&stage, &["--authority", "release", "--only"]).await;
    assert_eq!(tags(&told["rests"]), ["alone"], "{told}");
    assert_eq!(told["rests"][0]["without"], "refused");
    // The proof: without it, it is refused, and the other is not.
    let without = policy.replace("\"release\", ", "");
    stage.reload(&without).await;
    assert_denied(&stage.manifest("org/app", &alone.digest()).await);
    assert_serves(&stage.manifest("org/app", &carried.digest()).await, &carried);
}

#[tokio::test]
async fn registries_that_are_asked_for_and_not_served_are_told() {
    let stage = Stage::new().await;
    for _ in 0..2 {
        assert_eq!(stage.gate.get("/v2/org/app/manifests/v1?ns=quay.io").await.status, 403);
    }
    let told = report(&stage, &["--unserved"]).await;
    assert_eq!(
        (&told["unserved"][0]["registry"], &told["unserved"][0]["requests"]),
        (&"quay.io".into(), &2.into())
    );
    assert_eq!(told["unserved"][0]["clients"][0], "127.0.0.1");
}

#[tokio::test]
async fn a_key_is_named_by_the_fingerprint_that_the_documented_line_prints() {
    if !have("suites/openssl", &[require_installed(&["openssl", "sh"])]) {
        return;
    }
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/README.md")).unwrap();
    let line = page.lines().find(|line| line.starts_with("openssl pkey -pubin")).unwrap();
    let mut command = std::process::Command::new("sh");
    let output = command.args(["-c", line]).current_dir(stage.gate.path("")).output().unwrap();
    let printed = String::from_utf8(output.stdout).unwrap();
    let told = report(&stage, &["--signers"]).await;
    let fingerprint = told["signers"][0]["by"].as_str().unwrap().strip_prefix("key sha256:").unwrap();
    assert_eq!(printed.split_whitespace().next(), Some(fingerprint), "{printed}");
}
