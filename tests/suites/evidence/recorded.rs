//! Registries that real cosign wrote, pulled through the gate: every firm case of `tests/fixtures/live/cases.json`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use pullgate::clock::Clock;
use pullgate_tests::clients::content::Content;
use pullgate_tests::clients::tool::{self, recorded};
use pullgate_tests::gate_in_process::{Gate, Setup};
use pullgate_tests::upstream::{ReferrersApi, Upstream};
use serde_json::Value;

use crate::stage::manifest;

/// The groups of cosign's; of `notation` those that ask for cosign's.
const GROUPS: [&str; 10] = [
    "cosign2-keyed",
    "cosign2-attest",
    "cosign2-index",
    "cosign2-apart",
    "cosign2-hostile",
    "cosign3-keyed",
    "cosign3-fallback",
    "keyless2-sig",
    "keyless3-bundle",
    "notation",
];

/// Where a group lies; each case is pulled from a copy of its own, so that no grant of another helps it.
const RECORDED: &str = "live/recorded";

fn path(name: &str) -> PathBuf {
    recorded(name)
}

fn texts(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// A TOML table of texts.
fn inline(value: &Value) -> String {
    let members = value.as_object().into_iter().flatten();
    let members: Vec<_> = members.map(|(key, value)| format!("{key} = {value}")).collect();
    format!("{{ {} }}", members.join(", "))
}

/// The policy of a case: one requirement, which any of its keys and identities may meet.
fn policy(case: &Value) -> String {
    let (policy, mut text, mut names) = (&case["policy"], String::new(), Vec::new());
    let trust = policy["trusted_root"].as_str().map(|root| {
        text.push_str(&format!("[trust.live]\ntrusted_root = \"{}\"\n", path(root).display()));
        "trust = \"live\"\n"
    });
    let transparency = policy["transparency"].as_str();
    let mut authority = |lines: String, default: &str| {
        let name = format!("a{}", names.len());
        let transparency = transparency.unwrap_or(default);
        text.push_str(&format!(
            "[authority.{name}]\ntransparency = \"{transparency}\"\n{}{lines}",
            trust.unwrap_or_default()
        ));
        names.push(name);
    };
    for key in texts(&policy["keys"]) {
        authority(format!("key = \"{}\"\n", path(&key).display()), "optional");
    }
    for identity in policy["identities"].as_array().into_iter().flatten() {
        let mut lines = String::new();
        for key in ["issuer", "identity", "identity_regex"] {
            if let Some(value) = identity[key].as_str() {
                lines.push_str(&format!("{key} = '{value}'\n"));
            }
        }
        if identity["claims"].is_object() {
            lines.push_str(&format!("claims = {}\n", inline(&identity["claims"])));
        }
        authority(lines, "required");
    }
    text.push_str("[[policy]]\nname = \"case\"\nscope = [\"registry.test/live/**\"]\nforeign_layers = \"permit\"\n[[policy.require]]\n");
    let threshold = policy["threshold"].as_u64().unwrap_or(1);
    text.push_str(&format!("signed_by = {{ any_of = {names:?}, threshold = {threshold} }}\n"));
    if policy["annotations"].is_object() {
        text.push_str(&format!("annotations = {}\n", inline(&policy["annotations"])));
    }
    for (from, to) in [("type", "attestation"), ("max_age", "max_age")] {
        if let Some(value) = policy["attestation"][from].as_str() {
            text.push_str(&format!("{to} = \"{value}\"\n"));
        }
    }
    if let Some(expression) = policy["attestation"]["where"].as_str() {
        text.push_str(&format!("where = '{expression}'\n"));
    }
    text
}

/// When a case that names no time of its own is judged.
const NOW: &str = "2026-11-25T00:00:00Z";

/// Starts a gate before one group; each case then brings its policy.
async fn gate(group: &str, (now, apart): (&str, Option<&str>), upstream: &Upstream) -> Gate {
    Content::from_layout(&recorded(group)).unwrap().put(upstream, RECORDED);
    let mut setup = Setup::before(&upstream.url()).policy("unmatched = \"warn\"\n");
    if let Some(layout) = apart {
        Content::from_layout(&recorded(layout)).unwrap().put(upstream, "live/evidence");
        setup = setup.its("evidence = \"registry.test/live/evidence\"");
    }
    Gate::start_at(&setup, Clock::fixed(now.parse().unwrap())).await
}

/// What a case asks of the gate that it goes through: the time, and an evidence repository.
fn wants(case: &Value) -> (&str, Option<&str>) {
    (case["policy"]["now"].as_str().unwrap_or(NOW), case["evidence_layout"].as_str())
}

/// Pulls a case under its policy; with what was said where it is answered otherwise than it should be.
async fn holds(case: &Value, gate: &Gate, upstream: &Upstream) -> Result<(), String> {
    let api = if case["registry"] == "no-referrers" { ReferrersApi::Absent } else { ReferrersApi::Whole };
    upstream.set_referrers(api);
    gate.reload(&policy(case)).await;
    let repository = format!("live/{}", case["id"].as_str().unwrap());
    upstream.copy(RECORDED, &repository);
    let reference = case["reference"].as_str().unwrap().trim_start_matches('@');
    let answer = gate.get(&manifest(&repository, reference)).await;
    let expected = if case["expect"] == "permit" { 200 } else { 403 };
    if answer.status != expected {
        return Err(format!("expected {expected}, got {} {}", answer.status, answer.message()));
    }
    // The same digest under the grant of its index.
    if let Some(root) = case["grant_from"].as_str() {
        let statuses = [
            gate.get(&manifest(&repository, root)).await.status,
            gate.get(&manifest(&repository, reference)).await.status,
        ];
        if statuses != [200, 200] {
            return Err(format!("after its index: {statuses:?}"));
        }
    }
    Ok(())
}

#[tokio::test]
async fn every_firm_case_of_the_recorded_registries_holds_through_the_gate() {
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path("cases.json")).unwrap()).unwrap();
    let (mut wrong, mut asked) = (BTreeMap::new(), 0);
    for group in GROUPS {
        let of_group: Vec<_> =
            cases.iter().filter(|case| case["group"] == group && case["firm"] == true).collect();
        let wanted: BTreeSet<_> = of_group.iter().map(|case| wants(case)).collect();
        for wanted in wanted {
            let upstream = Upstream::start().await.unwrap();
            let gate = gate(group, wanted, &upstream).await;
            for case in of_group.iter().filter(|case| wants(case) == wanted) {
                asked += 1;
                if let Err(said) = holds(case, &gate, &upstream).await {
                    wrong.insert(case["id"].as_str().unwrap().to_owned(), said);
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    assert!(asked > 250, "{asked}");
}

#[tokio::test]
async fn a121_an_old_image_that_its_tag_was_moved_back_to_is_refused_by_max_age() {
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path("cases.json")).unwrap()).unwrap();
    for (id, code) in [
        ("kl2-attest-max-age-fresh", None),
        ("kl2-attest-max-age-old", Some("attestation-too-old")),
        ("kl3-attest-max-age-fresh", None),
        ("kl3-attest-max-age-old", Some("attestation-too-old")),
    ] {
        let case = cases.iter().find(|case| case["id"] == id).unwrap();
        let upstream = Upstream::start().await.unwrap();
        let gate = gate(case["group"].as_str().unwrap(), wants(case), &upstream).await;
        holds(case, &gate, &upstream).await.unwrap();
        let found = crate::stage::codes(&gate.record().await);
        assert_eq!(found.first().map(String::as_str), code, "{id}: {found:?}");
    }
}

/// What `pullgate verify` tells of a recorded case, as JSON and as text.
async fn explained(id: &str) -> (Value, String) {
    let cases: Vec<Value> = serde_json::from_slice(&std::fs::read(path("cases.json")).unwrap()).unwrap();
    let case = cases.iter().find(|case| case["id"] == id).unwrap();
    let upstream = Upstream::start().await.unwrap();
    upstream.set_referrers(ReferrersApi::Whole);
    Content::from_layout(&recorded(case["group"].as_str().unwrap())).unwrap().put(&upstream, RECORDED);
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("pullgate.toml");
    let upstreams = format!("[upstream.\"registry.test\"]\nurl = \"{}\"\n", upstream.url());
    std::fs::write(&config, format!("policy = \"policy.toml\"\nstate = \"state\"\n{upstreams}")).unwrap();
    std::fs::write(folder.path().join("policy.toml"), policy(case)).unwrap();
    let reference = case["reference"].as_str().unwrap();
    let separator = if reference.starts_with('@') { "" } else { ":" };
    let image = format!("registry.test/{RECORDED}{separator}{reference}");
    let run = |format: &'static str| {
        let mut command = std::process::Command::new(tool::gate().unwrap());
        command.args(["verify", "--format", format, "--config"]).arg(&config).arg(&image);
        tokio::task::spawn_blocking(move || command.output().unwrap().stdout)
    };
    let (json, text) = (run("json").await.unwrap(), run("text").await.unwrap());
    (serde_json::from_slice(&json).unwrap(), String::from_utf8(text).unwrap())
}

#[tokio::test]
async fn verify_tells_of_each_piece_who_when_by_which_clock_and_what_vouched_for_it() {
    for (id, clock, by, indexed) in [
        ("kl3-rekor1", "log", "inclusion-proof", true),
        ("kl3-rekor2", "timestamp-authority", "inclusion-proof", true),
        ("kl2-good", "log", "signed-entry-timestamp", true),
    ] {
        let (json, text) = explained(id).await;
        let image = &json["images"][0];
        assert_eq!(image["verdict"], "permit", "{id}: {json:#}");
        let piece = &image["evidence"][0];
        assert_eq!(
            (piece["clock"].as_str(), piece["sct"].as_str()),
            (Some(clock), Some("verified")),
            "{id}: {piece:#}"
        );
        let entry = &piece["log_entries"][0];
        assert!(entry["by"].as_array().unwrap().contains(&Value::from(by)), "{id}: {piece:#}");
        assert_eq!(entry["index"].is_u64(), indexed, "{id}: {piece:#}");
        assert!(entry["log"].as_str().unwrap().contains("rekor"), "{id}: {piece:#}");
        for words in ["issuer", "log index", "SCT verified", "by the clock of a"] {
            assert!(text.contains(words), "{id}, {words}: {text}");
        }
    }
}
