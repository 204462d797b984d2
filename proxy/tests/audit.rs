//! `pullgate audit` as an auditor meets it: on the log of thirty mixed pulls, beside no gate, from a copy, and altered.
#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::process::Command;

use serde_json::Value;

use self::thirty::{Log, MALLORY, RELEASE};

mod thirty;

#[tokio::test]
async fn who_ran_an_image_between_two_dates_and_who_signed_it_is_one_command() {
    let log = Log::new().await;
    let november = ["--since", "2026-11-01", "--until", "2026-11-02"];
    let (code, out, err) = log.run(&[&["search", "--digest", "sha256:app"], &november[..]].concat());
    assert_eq!((code, out.lines().count()), (0, 8), "{out}{err}");
    assert!(out.lines().all(|line| line.contains("ghcr.io/myorg/app:v1") && line.contains(RELEASE)), "{out}");
    let times: Vec<String> = out.lines().map(|line| line.chars().take(19).collect()).collect();
    assert!(times.is_sorted_by(|a, b| a >= b), "the newest first: {out}");
    let (code, out, _) = log.run(&["search", "--identity", "mallory@*", "--format", "json"]);
    let records: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!((code, records.len()), (0, 10));
    assert!(records.iter().all(|record| record["verdict"] == "deny" && record["gate"] == "gate-1"));
    let (code, out, err) = log.run(&["search", "--client", "10.0.0.1", "--limit", "1", "--format", "csv"]);
    assert_eq!((code, out.lines().count()), (0, 2), "a heading and a row: {out}");
    assert!(err.contains("2 more"), "{err}");
    assert_eq!(log.run(&["search", "--tag", "v2"]).0, 1, "nothing is found");
    assert_eq!(log.run(&["search", "--since", "yesterday"]).0, 2);
}

#[tokio::test]
async fn a_refused_developer_shows_the_id_and_gets_the_page_with_line_and_cure() {
    let log = Log::new().await;
    let (code, out, err) = log.run(&["show", &log.denied]);
    assert_eq!(code, 0, "{err}");
    for said in [
        "deny",
        "ghcr.io/myorg/tool",
        "10.0.0.5",
        MALLORY,
        "unknown-authority",
        "policy.toml:3",
        "cure",
        "sig-tag",
    ] {
        assert!(out.contains(said), "{said}: {out}");
    }
    let (code, out, _) = log.run(&["policy", "3f8a", "--at", "policy.toml:3"]);
    assert!(code == 0 && out.contains(">    3 | [[policy]]"), "{out}");
    assert_eq!(log.run(&["policy", "ffff"]).0, 1);
    let explain =
        Command::new(env!("CARGO_BIN_EXE_pullgate")).args(["verify", "--explain", &log.denied]).output();
    assert!(String::from_utf8(explain.unwrap().stdout).unwrap().contains("pullgate audit show"));
    assert_eq!((log.run(&["show", "000000000000"]).0, log.run(&["show", "no-id"]).0), (1, 2));
    assert_eq!(log.run(&["--file", "/nonexistent", "show", "0000"]).0, 2);
}

#[tokio::test]
async fn the_log_of_last_month_is_proven_whole_and_a_changed_byte_is_found() {
    let log = Log::new().await;
    let (code, out, err) = log.run(&["verify"]);
    assert_eq!(code, 0, "{out}{err}");
    assert!(
        out.contains("from record 1 (where the log begins, 2026-11-02T07:00:00.000Z) to record 34")
            && out.contains("signed up to record 33"),
        "{out}"
    );
    let (code, month, _) = log.run(&["export", "--since", "2026-11-01"]);
    assert_eq!((code, month.lines().count()), (0, 34));
    assert_eq!(month, std::fs::read_to_string(log.path("audit.jsonl")).unwrap(), "byte for byte");
    let (_, key, _) = log.run(&["key", "--format", "note"]);
    std::fs::write(log.path("month.jsonl"), &month).unwrap();
    let of_month = |text: &str| {
        std::fs::write(log.path("month.jsonl"), text).unwrap();
        log.run(&["verify", log.path("month.jsonl").to_str().unwrap(), "--key", key.trim()])
    };
    assert_eq!(of_month(&month).0, 0);
    let (code, out, _) = of_month(&month.replacen("10.0.0.7", "10.0.0.8", 1));
    assert!(code == 1 && out.contains("record 10 (2026-11-01T07:00:00.000Z) was changed"), "{out}");
    let dropped: String =
        month.lines().enumerate().filter(|(n, _)| *n != 9).map(|(_, line)| format!("{line}\n")).collect();
    let (code, out, _) = of_month(&dropped);
    assert!(code == 1 && out.contains("records before record 11"), "{out}");
    let (code, pem, _) = log.run(&["key", "--format", "pem"]);
    assert!(code == 0 && pem.starts_with("-----BEGIN PUBLIC KEY-----\n"), "{pem}");
}

#[tokio::test]
async fn a_siem_gets_every_record_by_its_schema_and_a_spreadsheet_a_table() {
    let log = Log::new().await;
    let (_, lines, _) = log.run(&["export"]);
    let records: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let kinds: std::collections::BTreeSet<_> =
        records.iter().map(|record| record["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), ["checkpoint", "manifest", "start", "stop"]);
    let (_, table, _) = log.run(&["export", "--format", "csv", "--until", "2026-11-01T03:00:00Z"]);
    assert_eq!(table.lines().count(), 4, "{table}");
    let columns = |line: &str| line.split(',').count();
    assert!(table.lines().all(|line| columns(line) == columns(table.lines().next().unwrap())), "{table}");
}

#[tokio::test]
async fn the_verdict_on_a_digest_is_a_signed_verification_summary() {
    use base64::Engine as _;
    let log = Log::new().await;
    for (digest, result) in [("sha256:app", "PASSED"), ("sha256:tool", "FAILED")] {
        let (code, out, err) = log.run(&["vsa", digest]);
        assert_eq!(code, 0, "{err}");
        let envelope: Value = serde_json::from_str(&out).unwrap();
        assert_eq!(envelope["payloadType"], "application/vnd.in-toto+json");
        let payload = base64::engine::general_purpose::STANDARD.decode(envelope["payload"].as_str().unwrap());
        let statement: Value = serde_json::from_slice(&payload.unwrap()).unwrap();
        assert_eq!(statement["predicateType"], "https://slsa.dev/verification_summary/v1");
        let predicate = &statement["predicate"];
        assert_eq!(
            (&predicate["verificationResult"], &predicate["verifier"]["id"]),
            (&result.into(), &"urn:pullgate:gate-1".into())
        );
        assert_eq!(predicate["policy"]["digest"]["sha256"], "3f8a91c0");
    }
    assert_eq!(log.run(&["vsa", "sha256:other"]).0, 1);
}

#[tokio::test]
async fn an_inserted_record_is_not_signed_for_and_a_log_without_a_head_is_not_whole() {
    let log = Log::new().await;
    let (_, month, _) = log.run(&["export"]);
    let forged = month
        .lines()
        .nth(2)
        .unwrap()
        .replace("sha256:app", "sha256:evil")
        .replace("sha256:tool", "sha256:evil");
    let forged = forged.replace("sha256:web", "sha256:evil");
    std::fs::write(log.path("forged.jsonl"), format!("{month}{forged}\n")).unwrap();
    let (from, to) = (log.path("forged.jsonl"), log.path("state/forged.db"));
    assert_eq!(log.run(&["import", from.to_str().unwrap(), "--to", to.to_str().unwrap()]).0, 0);
    let vsa = |digest: &str| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
        let output = command.args(["audit", "--file"]).arg(&to).args(["vsa", digest]).output().unwrap();
        (output.status.code().unwrap(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(vsa("sha256:app").0, 0, "what the gate signed is there still");
    let (code, err) = vsa("sha256:evil");
    assert!(code == 1 && err.contains("no head of this log"), "{err}");
    // An hour of pulls, and nobody signed it.
    let bare: String = month.lines().take(20).map(|line| format!("{line}\n")).collect();
    std::fs::write(log.path("bare.jsonl"), bare).unwrap();
    let (_, key, _) = log.run(&["key", "--format", "note"]);
    let (code, out, _) = log.run(&["verify", log.path("bare.jsonl").to_str().unwrap(), "--key", key.trim()]);
    assert!(
        code == 1 && out.contains("from record 2 ") && out.contains("no head is signed by this key"),
        "{out}"
    );
    // Its first minutes are whole so far; without its beginning nobody can tell whose they are.
    let lines: Vec<&str> = month.lines().take(2).collect();
    for (from, code) in [(0, 0), (1, 1)] {
        std::fs::write(log.path("young.jsonl"), lines[from..].join("\n")).unwrap();
        let verify =
            ["verify", log.path("young.jsonl").to_str().unwrap(), "--key", key.trim()].map(str::to_owned);
        let (is, out, _) = log.run(&verify.each_ref().map(String::as_str));
        assert_eq!(is, code, "{out}");
        assert_eq!(out.contains("the next head comes within five minutes"), code == 0, "{out}");
    }
}

#[tokio::test]
async fn an_export_of_another_gate_is_imported_and_read_like_its_own() {
    let log = Log::new().await;
    let (_, month, _) = log.run(&["export"]);
    std::fs::write(log.path("month.jsonl"), format!("{month}nonsense\n")).unwrap();
    let (from, to) = (log.path("month.jsonl"), log.path("month.db"));
    let import = ["import", from.to_str().unwrap(), "--to", to.to_str().unwrap()];
    let (code, out, err) = log.run(&import);
    assert!(code == 1 && out.starts_with("34 records") && err.contains("1 lines"), "{out}{err}");
    let search = ["--file", to.to_str().unwrap(), "search", "--gate", "gate-1", "--digest", "sha256:web"];
    let found = Command::new(env!("CARGO_BIN_EXE_pullgate")).arg("audit").args(search).output().unwrap();
    assert_eq!(String::from_utf8(found.stdout).unwrap().lines().count(), 10);
    assert_eq!(log.run(&import).0, 2, "what is there stays as it is");
}

#[test]
fn every_question_teaches_by_example() {
    let help = |arguments: &[&str]| {
        let output = Command::new(env!("CARGO_BIN_EXE_pullgate")).args(arguments).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    for command in ["export", "import", "key", "policy", "search", "show", "verify", "vsa"] {
        let text = help(&["audit", command, "--help"]);
        assert!(text.contains("Examples:") && text.contains("Exit codes:"), "{command}: {text}");
    }
    assert!(help(&["completions", "bash"]).contains("pullgate__subcmd__audit"), "it is completed");
}
