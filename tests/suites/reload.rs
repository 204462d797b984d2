//! A changed file takes effect whole at the next request, or not at all, and the gate says which.

use std::time::{Duration, Instant};

use pullgate_tests::signing::Signer;

use crate::stage::{KEYED, RELEASE, Stage, assert_denied, assert_serves};

/// Waits until `/readyz` tells of the configuration, or no more.
async fn until_told(stage: &Stage, wrong: bool) {
    let begun = Instant::now();
    loop {
        let answer = stage.gate.admin("/readyz").await;
        // The old policy still judges: pulls go on, and so does the gate.
        assert_eq!(answer.status, 200);
        if String::from_utf8_lossy(&answer.body).contains("configuration") == wrong {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(20), "{answer:?}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// Makes a name a link to `to`, in one step.
fn turn(stage: &Stage, to: &str, name: &str) {
    std::os::unix::fs::symlink(to, stage.gate.path("..tmp")).unwrap();
    std::fs::rename(stage.gate.path("..tmp"), stage.gate.path(name)).unwrap();
}

/// Waits until a pull has this status.
async fn until_pulled(stage: &Stage, tag: &str, status: u16) {
    let begun = Instant::now();
    while stage.manifest("org/app", tag).await.status != status {
        assert!(begun.elapsed() < Duration::from_secs(20));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
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
