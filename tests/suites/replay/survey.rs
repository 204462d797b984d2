//! `pullgate survey`: who signed, without a policy, and lines that admit exactly them.

use pullgate_tests::made::Made;
use pullgate_tests::signing::{Signer, carrier, evidence_tag};

use super::run::{pullgate, with_input};
use crate::stage::{KEYED, Stage, assert_denied, assert_serves};

/// An index of two platforms, each signed by `signer`; the index itself by nobody.
fn signed_platforms(stage: &Stage, signer: &Signer, repository: &str) -> Made {
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, repository, "v1");
    for child in &index.children {
        signer.sign_at(&stage.upstream, repository, &child.digest());
    }
    index
}

#[tokio::test]
async fn the_lines_of_a_survey_pass_check_and_admit_exactly_those_who_signed() {
    let stage = Stage::new().await;
    let signed = stage.signed("org/app", "v1");
    signed_platforms(&stage, &stage.signer, "org/multi");
    let stranger = stage.unsigned("org/app", "stranger");
    Signer::new().sign_at(&stage.upstream, "org/app", &stranger.digest());
    let images = ["registry.test/org/app:v1", "registry.test/org/multi:v1"];
    let survey = pullgate(&stage, &[&["survey"][..], &images].concat()).await;
    let said = "index unsigned; 2 of 2 children signed by release";
    survey.has(0, &["image signed by release", said, "index = \"each-child\"", "[authority.release]"]);
    // All of it is a policy file, comments and lines.
    stage.gate.write("policy.toml", &survey.out);
    pullgate(&stage, &["check"]).await.has(0, &["policies 2, authorities 1"]);
    pullgate(&stage, &[&["verify"][..], &images].concat()).await.has(0, &["permit, satisfied"]);
    for image in ["registry.test/org/app:stranger", "registry.test/org/other:v1"] {
        pullgate(&stage, &["verify", image]).await.has(1, &["deny"]);
    }
    stage.gate.reload(&survey.out).await;
    assert_serves(&stage.manifest("org/app", "v1").await, &signed);
    assert_denied(&stage.manifest("org/app", "stranger").await);
}

#[tokio::test]
async fn what_is_only_attested_is_admitted_by_its_attestation() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let layer = stage.signer.attestation(&image.digest(), "https://example.test/scan/v1");
    carrier(vec![layer]).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
    let other = stage.signed("org/other", "v1");
    other.tag(&stage.upstream, "org/app", "signed-elsewhere");
    let survey = pullgate(&stage, &["survey", "registry.test/org/app:v1"]).await;
    survey.has(0, &["image attested by release", "attestation = \"https://example.test/scan/v1\""]);
    stage.gate.write("policy.toml", &survey.out);
    pullgate(&stage, &["verify", "registry.test/org/app:v1"]).await.has(0, &["permit, satisfied"]);
    pullgate(&stage, &["verify", "registry.test/org/app:signed-elsewhere"]).await.has(1, &["deny"]);
}

#[tokio::test]
async fn the_exit_code_of_a_survey_tells_the_worst_of_its_images() {
    let stage = Stage::new().await;
    stage.signed("org/app", "good");
    stage.unsigned("org/app", "bad");
    let image = |tag: &str| format!("registry.test/org/app:{tag}");
    for (tags, status, words) in [
        (&["good"][..], 0, "image signed by release"),
        (&["good", "bad"], 1, "bad: nobody signed it"),
        (&["bad", "gone"], 3, "manifest-unknown"),
    ] {
        let images: Vec<_> = tags.iter().map(|tag| image(tag)).collect();
        let listed = format!("# what runs\n\n{}\n", images.join("\n"));
        with_input(&stage, &["survey", "--images", "-"], &listed).await.has(status, &[words]);
    }
    for arguments in [&["survey"][..], &["survey", "--images", "absent"], &["survey", "--key", "absent", "a"]]
    {
        pullgate(&stage, arguments).await.has(2, &[]);
    }
    let wrong = with_input(&stage, &["survey", "--images", "-"], "org/app\nNo Image\n").await;
    assert!(wrong.status == 2 && wrong.error.contains("-:2: No Image"), "{wrong:?}");
    let large = with_input(&stage, &["survey", "--images", "-"], &"#".repeat((4 << 20) + 1)).await;
    assert!(large.status == 2 && large.error.contains("larger than 4194304 bytes"), "{large:?}");
}

#[tokio::test]
async fn a_key_that_no_policy_names_is_found_where_it_is_given() {
    let stage = Stage::new().await;
    let (image, own) = (stage.unsigned("org/app", "v1"), Signer::new());
    own.sign_at(&stage.upstream, "org/app", &image.digest());
    stage.gate.write("vendor.pub", own.public_pem());
    let name = "registry.test/org/app:v1";
    pullgate(&stage, &["survey", name]).await.has(1, &["image unsigned", "worthless unknown-authority"]);
    let found = pullgate(&stage, &["survey", "--key", "vendor.pub", name]).await;
    found.has(0, &["image signed by vendor", "[authority.vendor]", "vendor.pub\" # sha256:"]);
    stage.gate.write("policy.toml", &found.out);
    pullgate(&stage, &["verify", name]).await.has(0, &["permit, satisfied"]);
}

#[tokio::test]
async fn a_survey_prints_the_documented_json() {
    let stage = Stage::new().await;
    signed_platforms(&stage, &stage.signer, "org/multi");
    let survey = pullgate(&stage, &["survey", "--format", "json", "registry.test/org/multi:v1"]).await.json();
    let index = &survey["images"][0];
    assert_eq!((&survey["version"], index["children"].as_array().unwrap().len()), (&1.into(), 2));
    assert_eq!(index["says"], "index unsigned; 2 of 2 children signed by release");
    assert_eq!(index["children"][1]["platform"], "linux/arm64");
    assert_eq!(index["children"][0]["evidence"][0]["name"], "release");
    assert!(survey["lines"].as_str().unwrap().contains("[authority.release]"));
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../proxy/README.md")).unwrap();
    let (_, page) = page.split_once("## survey --format json").unwrap();
    let piece = &index["children"][0]["evidence"][0];
    for key in [index, piece].into_iter().flat_map(|one| one.as_object().unwrap().keys()) {
        assert!(page.contains(&format!("`{key}`")), "{key} is not documented");
    }
}

#[tokio::test]
async fn a_survey_of_the_log_looks_at_what_was_pulled_each_once_and_at_nothing_else() {
    let stage = Stage::on(&format!("unmatched = \"permit\"\n{KEYED}")).await;
    stage.signed("org/app", "v1");
    stage.signed("org/app", "never-pulled");
    let index = signed_platforms(&stage, &stage.signer, "org/multi");
    for (repository, reference) in [
        ("org/app", "v1"),
        ("org/app", "v1"),
        ("org/multi", "v1"),
        ("org/multi", &index.children[0].digest()),
    ] {
        stage.manifest(repository, reference).await;
    }
    stage.gate.app().audit.flush().await;
    let survey = pullgate(&stage, &["survey", "--from-log", "--format", "json"]).await;
    let images = survey.json()["images"].as_array().unwrap().clone();
    let names: Vec<_> = images.iter().map(|image| image["image"].as_str().unwrap().to_owned()).collect();
    assert_eq!(survey.status, 0, "{survey:?}");
    assert_eq!(names.len(), 3, "the platform was refused as an image of its own: {names:?}");
    assert!(names.iter().all(|name| name.contains("@sha256:")), "{names:?}");
    let lines = pullgate(&stage, &["survey", "--from-log"]).await;
    lines.has(0, &["[authority.release]", "scope = [\"registry.test/org/app\"]"]);
    pullgate(&stage, &["survey", "--from-log", "--since", "2999-01-01"]).await.has(2, &[]);
}
