//! `pullgate report` as a security team meets it: on the log of thirty mixed pulls, from a copy of its database.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::process::Command;

use serde_json::Value;

use self::thirty::{CI, Log, MALLORY, RELEASE};

mod thirty;

fn json(log: &Log, arguments: &[&str]) -> Value {
    let (_, out, _) = log.report(&[arguments, &["--format", "json"]].concat());
    serde_json::from_str(&out).unwrap()
}

fn names<'a>(list: &'a Value, key: &str) -> Vec<&'a str> {
    list.as_array().unwrap().iter().map(|one| one[key].as_str().unwrap()).collect()
}

#[tokio::test]
async fn which_clients_run_images_that_only_a_withdrawn_key_signed_is_one_command() {
    let log = Log::new().await;
    let (code, out, err) = log.report(&["--authority", "release", "--only"]);
    assert_eq!(code, 0, "{err}");
    for said in ["ghcr.io/myorg/app:v1", "10 pulls by 10.0.0.0 (1)", "nobody else signed it"] {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(!out.contains("myorg/web") && !out.contains("myorg/tool"), "{out}");
    let by_signer = json(&log, &["--authority", RELEASE, "--only"]);
    let rests = &by_signer["rests"];
    assert_eq!(names(rests, "repository"), ["ghcr.io/myorg/app"]);
    let clients: Vec<_> = rests[0]["clients"].as_object().unwrap().keys().collect();
    assert_eq!(clients.len(), 10, "{clients:?}");
    assert_eq!((&rests[0]["authorities"][0], &rests[0]["without"]), (&"release".into(), &"alone".into()));
    let none = json(&log, &["--authority", "nobody", "--only"]);
    assert_eq!(none["rests"].as_array().unwrap().len(), 0);
    assert_eq!(log.report(&["--only"]).0, 2, "of which authority?");
}

#[tokio::test]
async fn what_breaks_on_monday_and_whom_to_call_is_one_command() {
    let log = Log::warned().await;
    let (code, out, err) = log.report(&["--would-deny"]);
    assert_eq!(code, 1, "{err}");
    for said in ["ghcr.io/myorg/tool:v1", "unknown-authority; policy \"production\"", MALLORY, "10 pulls by"]
    {
        assert!(out.contains(said), "{said}: {out}");
    }
    assert!(!out.contains("myorg/app") && !out.contains("myorg/web"), "{out}");
    let report = json(&log, &["--would-deny"]);
    let tool = &report["would_deny"][0];
    assert_eq!(tool["clients"].as_object().unwrap().values().filter_map(Value::as_u64).sum::<u64>(), 10);
    assert_eq!((&tool["said"], &tool["pulls"]), (&"warned".into(), &10.into()));
    assert!(report.get("signers").is_none() && report.get("refused").is_none(), "the rest was not asked for");
    // Where nothing is warned of nothing breaks.
    assert_eq!(Log::new().await.report(&["--would-deny"]).0, 0);
}

#[tokio::test]
async fn a_report_tells_pulls_by_repository_and_client_and_who_signed() {
    let log = Log::new().await;
    let report = json(&log, &[]);
    let total = &report["total"];
    assert_eq!(
        (&total["pulls"], &total["permitted"], &total["refused"]),
        (&30.into(), &20.into(), &10.into())
    );
    assert_eq!(names(&report["repositories"], "name").len(), 3);
    assert_eq!(names(&report["clients"], "name").len(), 10);
    assert_eq!(report["gates"][0]["name"], "gate-1");
    assert_eq!(names(&report["signers"], "by"), [CI, RELEASE, MALLORY]);
    assert_eq!(names(&report["refused"], "repository"), ["ghcr.io/myorg/tool"]);
    assert_eq!(names(&report["unserved"], "registry"), ["quay.io"]);
    assert_eq!(names(&json(&log, &["--by", "client"])["clients"], "name").len(), 10);
    let (_, text, _) = log.report(&["--by", "gate"]);
    assert!(text.contains("gate-1") && !text.contains("ghcr.io"), "{text}");
    let (_, text, _) = log.report(&["--until", "2026-11-01"]);
    assert!(text.contains(": 0 pulls"), "{text}");
}

#[tokio::test]
async fn a_stranger_who_signs_is_told_with_the_lines_that_would_admit_exactly_that_one() {
    let log = Log::new().await;
    let report = json(&log, &["--signers"]);
    assert_eq!(names(&report["strangers"], "by"), [MALLORY]);
    let lines = report["lines"].as_str().unwrap();
    for line in [
        "[authority.mallory-corp-example]\nissuer = \"https://issuer.example\"\nidentity = \"mallory@corp.example\"\n",
        "scope = [\"ghcr.io/myorg/tool\"]\n",
        "signed_by = { any_of = [\"mallory-corp-example\"] }\n",
    ] {
        assert!(lines.contains(line), "{lines}");
    }
    let file = log.path("admitted.toml");
    std::fs::write(&file, lines).unwrap();
    let config = log.path("pullgate.toml");
    std::fs::write(&config, "policy = \"admitted.toml\"\nstate = \"state\"\n[upstream.\"ghcr.io\"]\n")
        .unwrap();
    let check = Command::new(env!("CARGO_BIN_EXE_pullgate")).args(["check", "--config"]).arg(config).output();
    let check = check.unwrap();
    assert_eq!(check.status.code(), Some(0), "{}", String::from_utf8_lossy(&check.stderr));
}

#[tokio::test]
async fn the_page_of_a_report_needs_nothing_else_and_hostile_texts_stay_texts() {
    let log = Log::hostile().await;
    let (code, page, err) = log.report(&["--format", "html"]);
    assert_eq!(code, 0, "{err}");
    assert!(page.starts_with("<!doctype html>") && page.trim_end().ends_with("</html>"), "{page}");
    assert!(!page.contains("<script") && !page.contains("<img"), "what a client says is text: {page}");
    assert!(page.contains("&#60;script&#62;") || page.contains("&lt;script&gt;"), "{page}");
    for outside in ["src=\"", "href=\"", "url(", "@import"] {
        assert!(!page.contains(outside), "{outside}");
    }
    let (_, text, _) = log.report(&[]);
    assert!(!text.chars().any(|c| c.is_control() && c != '\n') && !text.contains('\u{202e}'), "{text}");
}

#[tokio::test]
async fn a_log_that_cannot_be_read_or_a_switch_that_is_none_is_2() {
    let run = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pullgate")).arg("report").args(arguments).output();
        output.unwrap().status.code()
    };
    for arguments in [
        &["--file", "/nonexistent"][..],
        &["--config", "/nonexistent"],
        &["--by", "image"],
        &["--since", "yesterday"],
    ] {
        assert_eq!(run(arguments), Some(2), "{arguments:?}");
    }
}

#[tokio::test]
async fn every_field_of_a_report_is_documented() {
    let log = Log::warned().await;
    let report = json(&log, &["--authority", "release"]);
    let all = json(&log, &[]);
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/README.md")).unwrap();
    let (_, page) = page.split_once("## report --format json").unwrap();
    let page = page.split("\n## ").next().unwrap();
    let objects = [
        &all,
        &all["total"],
        &all["repositories"][0],
        &all["would_deny"][0],
        &all["signers"][0],
        &all["strangers"][0],
    ];
    let more = [&all["unserved"][0], &report["rests"][0]];
    for key in objects.into_iter().chain(more).flat_map(|one| one.as_object().unwrap().keys()) {
        assert!(page.contains(&format!("`{key}`")), "{key} is not documented");
    }
}
