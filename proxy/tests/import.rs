//! `pullgate policy import` as people and scripts meet it: exit codes, and what is written where.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::path::Path;
use std::process::{Command, Stdio};

use serde_json::Value;

const KEY: &str = include_str!("../src/cli/demo/release.pub");

/// A `policy.json` over one namespace.
fn policy_json(requirement: &str) -> String {
    format!(
        r#"{{"default": [{{"type": "reject"}}], "transports": {{"docker": {{"ghcr.io/acme": [{requirement}]}}}}}}"#
    )
}

const SIGNED: &str = r#"{"type": "sigstoreSigned", "keyPath": "/etc/release.pub",
    "signedIdentity": {"type": "matchRepository"}}"#;

fn run(folder: &Path, arguments: &[&str]) -> (i32, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    command.args(["policy", "import"]).args(arguments).current_dir(folder).stdin(Stdio::null());
    let output = command.env("HOME", folder).output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(output.stdout), text(output.stderr))
}

#[test]
fn a_policy_is_written_with_its_keys_beside_it_and_loads() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name);
    std::fs::write(path("policy.json"), policy_json(SIGNED)).unwrap();
    std::fs::write(path("release.pub"), KEY).unwrap();
    let arguments = ["policy.json", "--out", "made/policy.toml", "--key", "/etc/release.pub=release.pub"];
    let (exit, printed, complaint) = run(folder.path(), &arguments);
    assert_eq!((exit, complaint.as_str()), (0, ""), "{printed}");
    assert!(printed.contains("said 2, stricter 0, refused 0"), "{printed}");
    assert_eq!(std::fs::read_to_string(path("made/release.pub")).unwrap(), KEY);
    let policy = std::fs::read_to_string(path("made/policy.toml")).unwrap();
    assert!(policy.contains("signed_by = { any_of = [\"release\"] }"), "{policy}");
    let loaded = pullgate_config::load_policy(&path("made/policy.toml"), jiff::Timestamp::now());
    assert!(loaded.is_ok());
    // What is there is not written over.
    let (exit, _, complaint) = run(folder.path(), &arguments);
    assert_eq!(exit, 2);
    assert!(complaint.contains("made/policy.toml: there is such a file already"), "{complaint}");
    assert_eq!(std::fs::read_to_string(path("made/policy.toml")).unwrap(), policy);
}

#[test]
fn what_is_refused_is_told_and_ends_with_one() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("policy.json"), policy_json(SIGNED)).unwrap();
    let (exit, printed, _) = run(folder.path(), &["policy.json", "--format", "json"]);
    assert_eq!(exit, 1);
    let report: Value = serde_json::from_str(&printed).unwrap();
    let part = &report["parts"][1];
    assert_eq!((&part["name"], &part["outcome"]), (&"ghcr.io/acme".into(), &"refused".into()));
    assert_eq!((&part["remarks"][0]["code"], &part["line"]), (&"key-by-reference".into(), &1.into()));
    let policy = std::fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert!(policy.contains("deny = true"), "{policy}");
}

#[test]
fn what_became_stricter_ends_with_one_only_where_that_is_asked() {
    let folder = tempfile::tempdir().unwrap();
    let text =
        policy_json(r#"{"type": "insecureAcceptAnything"}"#).replace("ghcr.io/acme", "ghcr.io/acme/app:v1");
    std::fs::write(folder.path().join("policy.json"), text).unwrap();
    assert_eq!(run(folder.path(), &["policy.json"]).0, 0);
    assert_eq!(run(folder.path(), &["policy.json", "--out", "other.toml", "--strict"]).0, 1);
}

#[test]
fn nothing_is_written_where_it_would_be_wider_or_cannot_be_read() {
    let folder = tempfile::tempdir().unwrap();
    let wider = policy_json(r#"{"type": "reject"}"#)
        .replace(
            r#"[{"type": "reject"}], "transports""#,
            r#"[{"type": "insecureAcceptAnything"}], "transports""#,
        )
        .replace("ghcr.io/acme", "*.example.com");
    for (text, says) in [
        (wider.as_str(), "every host of a domain"),
        ("{}", "no policy that is known here"),
        ("a: [\u{1b}[2J", "not YAML"),
        ("a: 1\n\u{1b}]0;x\u{7}: 2\n\u{1b}]0;x\u{7}: 3\n", "policy.json:"),
    ] {
        std::fs::write(folder.path().join("policy.json"), text).unwrap();
        let (exit, printed, complaint) = run(folder.path(), &["policy.json"]);
        assert_eq!((exit, printed.as_str()), (2, ""), "{complaint}");
        assert!(complaint.contains(says) && complaint.contains("nothing was written"), "{complaint}");
        assert!(!complaint.contains('\u{1b}') && !complaint.contains('\u{7}'), "{complaint:?}");
        assert!(!folder.path().join("policy.toml").exists());
        let (exit, printed, _) = run(folder.path(), &["policy.json", "--format", "json"]);
        let report: Value = serde_json::from_str(&printed).unwrap();
        assert_eq!((exit, report["written"].is_null(), report["fault"].is_string()), (2, true, true));
    }
    assert_eq!(run(folder.path(), &["missing.json"]).0, 2);
    assert_eq!(run(folder.path(), &["policy.json", "--accept", "everything"]).0, 2);
}

/// The page on the policy language shows this command at work; `pullgate-config` holds what it says of pulls.
#[test]
fn the_command_prints_and_writes_what_the_page_on_policies_shows() {
    const PAGE: &str = include_str!("../../policy/README.md");
    let between = |text: &'static str, begins: &str, ends: &str| {
        text.split_once(begins).unwrap().1.split_once(ends).unwrap().0
    };
    let (_, section) = PAGE.split_once("### A policy of Kyverno, imported and enforced").unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("verify-images.yaml"), between(section, "```yaml\n", "```")).unwrap();
    let (exit, printed, complaint) = run(folder.path(), &["verify-images.yaml"]);
    assert_eq!((exit, complaint.as_str()), (0, ""));
    assert_eq!(
        printed,
        between(section, "$ pullgate policy import verify-images.yaml\n", "$ cat policy.toml\n")
    );
    let policy = std::fs::read_to_string(folder.path().join("policy.toml")).unwrap();
    assert_eq!(policy, between(section, "$ cat policy.toml\n", "```"));
}
