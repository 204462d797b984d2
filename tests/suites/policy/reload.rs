//! A changed file takes effect whole at the next request, or not at all, and the gate says which.

use std::time::Duration;

use pullgate_tests::signing::Signer;
use pullgate_tests::waiting::{until_it_is, while_nothing_happens};

use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves};

/// Waits until `/readyz` tells of the configuration, or no more.
async fn until_told(stage: &Stage, wrong: bool) {
    until_it_is("/readyz tells of the configuration, or no more", async || {
        let answer = stage.gate.admin("/readyz").await;
        // The old policy still judges: pulls go on, and so does the gate.
        assert_eq!(answer.status, 200);
        String::from_utf8_lossy(&answer.body).contains("configuration") == wrong
    })
    .await;
}

/// Makes a name a link to `to`, in one step.
fn turn(stage: &Stage, to: &str, name: &str) {
    std::os::unix::fs::symlink(to, stage.gate.path("..tmp")).unwrap();
    std::fs::rename(stage.gate.path("..tmp"), stage.gate.path(name)).unwrap();
}

/// Waits until a pull has this status.
async fn until_pulled(stage: &Stage, tag: &str, status: u16) {
    let is_answered = async || stage.manifest("org/app", tag).await.status == status;
    until_it_is(&format!("the pull of {tag} is {status}"), is_answered).await;
}

#[tokio::test]
async fn another_policy_rules_from_the_next_request() {
    let stage = Stage::new().await;
    let (good, bad) = (stage.signed("org/app", "good"), stage.unsigned("org/app", "bad"));
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_denied(&stage.manifest("org/app", "bad").await);
    stage.reload(&KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")).await;
    assert_serves(&stage.manifest("org/app", "bad").await, &bad);
    stage.reload(KEYED).await;
    assert_denied(&stage.manifest("org/app", "bad").await);
    assert_serves(&stage.manifest("org/app", "good").await, &good);
}

#[tokio::test]
async fn a411_a_bad_file_keeps_the_old_policy_and_the_gate_says_so_until_it_is_mended() {
    let mut stage = Stage::new().await;
    let good = stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.gate.watch();
    let policy = std::fs::read_to_string(stage.gate.path("policy.toml")).unwrap();
    let half = &policy[..policy.rfind("any_of").unwrap()];
    for broken in [half, "requre = 1\n", "unmatched = \"permit\"\n[[policy]]\n"] {
        stage.gate.write("policy.toml", broken);
        until_told(&stage, true).await;
        assert_serves(&stage.manifest("org/app", "good").await, &good);
        assert_denied(&stage.manifest("org/app", "bad").await);
        stage.gate.write("policy.toml", &policy);
        until_told(&stage, false).await;
    }
    let metrics = stage.gate.admin("/metrics").await;
    assert!(String::from_utf8_lossy(&metrics.body).contains("pullgate_reload_total"));
    let records = stage.gate.records().await;
    assert!(records.iter().any(|record| record.to_string().contains("reload")), "the pull log tells of it");
}

#[tokio::test]
async fn a411_a_key_that_comes_late_is_taken_when_it_is_there() {
    let mut stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let late = Signer::new();
    late.sign_at(&stage.upstream, "org/app", &image.digest());
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.gate.watch();
    let key = "[authority.late]\nkey = \"late.pub\"\ntransparency = \"optional\"\n";
    let policy = format!("{RELEASE}{key}{}", KEYED.replace("[\"release\"]", "[\"release\", \"late\"]"));
    stage.gate.write("policy.toml", policy);
    until_told(&stage, true).await;
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.gate.write("late.pub", late.public_pem());
    until_pulled(&stage, "v1", 200).await;
    until_told(&stage, false).await;
}

#[tokio::test]
async fn a_changed_key_file_takes_effect_though_the_policy_text_is_the_same() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.watch();
    // As editors do: a new file takes the old one's name.
    stage.gate.write("new.pub", Signer::new().public_pem());
    std::fs::rename(stage.gate.path("new.pub"), stage.gate.path("release.pub")).unwrap();
    until_pulled(&stage, "v1", 403).await;
    stage.gate.write("release.pub", stage.signer.public_pem());
    until_pulled(&stage, "v1", 200).await;
}

#[tokio::test]
async fn a_mounted_folder_whose_link_is_turned_takes_effect() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    // As a ConfigMap is mounted: files are links through `..data`, which is turned from one folder to the next.
    let policy = std::fs::read_to_string(stage.gate.path("policy.toml")).unwrap();
    for (folder, text) in
        [("..one", policy.clone()), ("..two", policy.replace("[\"release\"]", "[\"nobody\"]"))]
    {
        std::fs::create_dir(stage.gate.path(folder)).unwrap();
        let nobody = "[authority.nobody]\nissuer = \"https://issuer.example\"\nidentity = \"nobody\"\n";
        stage.gate.write(&format!("{folder}/policy.toml"), format!("{nobody}{text}"));
    }
    turn(&stage, "..one", "..data");
    turn(&stage, "..data/policy.toml", "policy.toml");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    stage.gate.watch();
    turn(&stage, "..two", "..data");
    until_pulled(&stage, "v1", 403).await;
}

/// The records of reloads with this verdict.
async fn reloads(stage: &Stage, verdict: &str) -> usize {
    let records = stage.gate.records().await;
    records.iter().filter(|record| record["kind"] == "reload" && record["verdict"] == verdict).count()
}

#[tokio::test]
async fn a411_a_file_that_is_written_in_two_halves_takes_effect_when_it_is_whole() {
    use std::io::Write as _;
    let mut stage = Stage::new().await;
    let good = stage.signed("org/app", "good");
    let blocked = stage.signed("org/app", "blocked");
    stage.unsigned("org/app", "bad");
    stage.gate.watch();
    let before = std::fs::read_to_string(stage.gate.path("policy.toml")).unwrap();
    let policy = before.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let block = format!("\n[[block]]\ndigest = \"{}\"\nreason = \"CVE-2026-0001\"\n", blocked.digest());
    // The folders are followed: what was changed was seen.
    stage.gate.write("policy.toml", "requre = 1\n");
    until_told(&stage, true).await;
    stage.gate.write("policy.toml", &before);
    until_told(&stage, false).await;
    let reloaded = reloads(&stage, "permit").await;
    let mut file = std::fs::File::create(stage.gate.path("policy.toml")).unwrap();
    // A policy by itself, and a weaker one: the block is still to come.
    file.write_all(policy.as_bytes()).unwrap();
    for _ in 0..5 {
        while_nothing_happens(Duration::from_millis(300)).await;
        assert_denied(&stage.manifest("org/app", "bad").await);
    }
    assert_eq!(reloads(&stage, "permit").await, reloaded);
    file.write_all(block.as_bytes()).unwrap();
    drop(file);
    until_pulled(&stage, "bad", 200).await;
    assert_eq!(stage.manifest("org/app", "blocked").await.status, 403);
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_eq!(reloads(&stage, "permit").await, reloaded + 1);
}

#[tokio::test]
async fn a411_half_a_file_that_is_no_policy_is_told_and_its_other_half_is_taken() {
    let mut stage = Stage::new().await;
    let good = stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.gate.watch();
    let policy = std::fs::read_to_string(stage.gate.path("policy.toml")).unwrap();
    let policy = policy.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    std::fs::write(stage.gate.path("policy.toml"), &policy[..policy.rfind("any_of").unwrap()]).unwrap();
    until_told(&stage, true).await;
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    assert_denied(&stage.manifest("org/app", "bad").await);
    std::fs::write(stage.gate.path("policy.toml"), &policy).unwrap();
    until_pulled(&stage, "bad", 200).await;
    until_told(&stage, false).await;
}

#[tokio::test]
async fn a411_a_refusal_is_told_once_however_often_the_files_are_looked_at() {
    let mut stage = Stage::new().await;
    let good = stage.signed("org/app", "good");
    stage.gate.watch();
    stage.gate.write("policy.toml", "requre = 1\n");
    until_told(&stage, true).await;
    // The pull log lies beside the files: each of its lines is an event of the folder.
    for _ in 0..8 {
        assert_serves(&stage.manifest("org/app", "good").await, &good);
        while_nothing_happens(Duration::from_millis(200)).await;
    }
    assert_eq!(reloads(&stage, "refused").await, 1);
    let metrics = String::from_utf8(stage.gate.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics.contains("pullgate_reload_total{result=\"refused\"} 1"), "{metrics}");
    until_told(&stage, true).await;
}

#[tokio::test]
async fn a411_an_unreadable_policy_and_settings_that_cannot_be_used_keep_the_old_revision() {
    let mut stage = Stage::new().await;
    let good = stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    stage.gate.watch();
    let read = |name: &str| std::fs::read_to_string(stage.gate.path(name)).unwrap();
    let (config, policy) = (read("pullgate.toml"), read("policy.toml"));
    // A folder in the file's place, as a mount that failed leaves one.
    std::fs::remove_file(stage.gate.path("policy.toml")).unwrap();
    std::fs::create_dir(stage.gate.path("policy.toml")).unwrap();
    until_told(&stage, true).await;
    assert_serves(&stage.manifest("org/app", "good").await, &good);
    std::fs::remove_dir(stage.gate.path("policy.toml")).unwrap();
    stage.gate.write("policy.toml", &policy);
    until_told(&stage, false).await;
    // Each file is sound by itself, and certificate and key are not one pair: what comes with them stays out too.
    let pair = |name: &str| rcgen::generate_simple_self_signed(vec![name.to_owned()]).unwrap();
    stage.gate.write("cert.pem", pair("a").cert.pem());
    stage.gate.write("key.pem", pair("b").signing_key.serialize_pem());
    let open = policy.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    stage.gate.write("open.toml", open);
    let tls = "[listen]\ntls = { cert = \"cert.pem\", key = \"key.pem\" }";
    stage
        .gate
        .write("pullgate.toml", config.replace("\"policy.toml\"", "\"open.toml\"").replace("[listen]", tls));
    until_told(&stage, true).await;
    for _ in 0..5 {
        stage.gate.write("unrelated", "x");
        while_nothing_happens(Duration::from_millis(200)).await;
        assert_denied(&stage.manifest("org/app", "bad").await);
    }
    until_told(&stage, true).await;
    stage.gate.write("pullgate.toml", config);
    until_told(&stage, false).await;
    assert_denied(&stage.manifest("org/app", "bad").await);
}

#[tokio::test]
async fn a410_a_gate_that_enforces_nothing_says_its_ground() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let metrics = async || String::from_utf8(stage.gate.admin("/metrics").await.body.to_vec()).unwrap();
    assert!(metrics().await.contains("pullgate_enforcing_scopes 1"));
    stage.reload(&KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")).await;
    assert!(metrics().await.contains("pullgate_enforcing_scopes 0"));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.gate.record().await["ground"], "warn-only");
    stage.reload("unmatched = \"permit\"\n").await;
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.gate.record().await["ground"], "unchecked");
}

/// What the last record of a reload says.
async fn told(stage: &Stage) -> Vec<String> {
    let record = stage.gate.records().await.into_iter().rfind(|record| record["kind"] == "reload").unwrap();
    let reasons = record["reasons"].as_array().unwrap();
    reasons.iter().map(|reason| reason["text"].as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn a_reload_says_what_changed_policy_by_policy() {
    let mut stage = Stage::new().await;
    stage.gate.watch();
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let other =
        KEYED.replace("production", "staging").replace("registry.test/**", "registry.test/staging/**");
    stage.gate.write("release.pub", Signer::new().public_pem());
    stage.unsigned("org/app", "v1");
    stage.gate.write("policy.toml", format!("{RELEASE}{warn}{other}"));
    until_pulled(&stage, "v1", 200).await;
    let told = told(&stage).await;
    for change in ["production: enforce -> warn", "policy staging: added", "authority release: changed"] {
        assert!(told.iter().any(|one| one == change), "{change}: {told:?}");
    }
}

#[tokio::test]
async fn a_setting_that_waits_for_a_restart_is_named_until_it_is_as_it_was() {
    let mut stage = Stage::new().await;
    stage.gate.watch();
    let before = std::fs::read_to_string(stage.gate.path("pullgate.toml")).unwrap();
    let ready = || async { String::from_utf8_lossy(&stage.gate.admin("/readyz").await.body).into_owned() };
    assert!(!ready().await.contains("restart"));
    for (text, waits) in [(before.replace("audit.jsonl", "other.jsonl"), true), (before.clone(), false)] {
        assert!(!waits || text != before);
        stage.gate.write("pullgate.toml", &text);
        let is_told = async || ready().await.contains("audit.log") == waits;
        until_it_is("/readyz names the setting, or no more", is_told).await;
    }
}
