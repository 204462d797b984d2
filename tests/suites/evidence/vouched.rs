//! A601: evidence leaves because something in it was verified, about a subject of the same repository, under the policy that
//! governs both; and its honest neighbours.

use pullgate_tests::clients::content::sha256;
use pullgate_tests::gate_in_process::Setup;
use pullgate_tests::made::{CONFIG, LAYER, Layer, Made, fresh};
use pullgate_tests::signing::{
    DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier, evidence_tag, referrer,
};
use pullgate_tests::upstream::{Fault, Upstream, When};
use serde_json::json;

use crate::stage::{
    KEYED, Stage, WELL_FORMED, assert_denied, assert_serves, assert_undecided, codes, manifest,
};

/// Puts evidence under a tag that nobody had before.
fn put(stage: &Stage, made: &Made) -> String {
    let tag = fresh();
    made.tag(&stage.upstream, "org/app", &tag);
    tag
}

#[tokio::test]
async fn a601_a_true_signature_about_an_absent_subject_lets_nothing_leave() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let made = carrier(vec![stage.signer.signature(&image.digest())]);
    made.tag(&stage.upstream, "org/elsewhere", "copied");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_denied(&stage.manifest("org/elsewhere", "copied").await);
    assert_eq!(codes(&stage.gate.record().await)[0], "evidence-unverified");
    assert_denied(&stage.blob("org/elsewhere", &made.layer()).await);
    let tag = put(&stage, &made);
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
}

#[tokio::test]
async fn a601_what_the_manifest_says_it_is_about_counts_and_not_what_lies_in_it() {
    let stage = Stage::new().await;
    let (image, other) = (stage.unsigned("org/app", "v1"), stage.unsigned("org/app", "v2"));
    let bundle = || stage.signer.bundle(&image.digest(), SIGN_PREDICATE);
    let tag = put(&stage, &referrer(&other.descriptor(), bundle()));
    assert_denied(&stage.manifest("org/app", &tag).await);
    let honest = referrer(&image.descriptor(), bundle());
    let tag = put(&stage, &honest);
    assert_serves(&stage.manifest("org/app", &tag).await, &honest);
}

#[tokio::test]
async fn a601_an_authority_of_another_policy_vouches_for_nothing_here() {
    const TWO: &str = r#"
[authority.other]
key = "other.pub"
transparency = "optional"
[[policy]]
name = "production"
scope = ["registry.test/org/*"]
[[policy.require]]
signed_by = { any_of = ["release"] }
[[policy]]
name = "others"
scope = ["registry.test/others/*"]
[[policy.require]]
signed_by = { any_of = ["other"] }
"#;
    let other = Signer::new();
    let stage = Stage::with(TWO, |setup: Setup| setup.file("other.pub", other.public_pem())).await;
    for (repository, signer, leaves) in [
        ("org/app", &stage.signer, true),
        ("org/app", &other, false),
        ("others/app", &other, true),
        ("others/app", &stage.signer, false),
    ] {
        let image = stage.unsigned(repository, "v1");
        let made = carrier(vec![signer.signature(&image.digest())]);
        let tag = fresh();
        made.tag(&stage.upstream, repository, &tag);
        let answer = stage.manifest(repository, &tag).await;
        assert_eq!(answer.status, if leaves { 200 } else { 403 }, "{repository} {answer:?}");
    }
}

#[tokio::test]
async fn a601_evidence_stays_when_its_authority_goes_and_leaves_again_when_it_comes_back() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = carrier(vec![stage.signer.signature(&image.digest())]);
    let tag = put(&stage, &made);
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
    stage.gate.write("other.pub", Signer::new().public_pem());
    let other = format!("[authority.other]\nkey = \"other.pub\"\ntransparency = \"optional\"\n{KEYED}");
    stage.reload(&other.replace("any_of = [\"release\"]", "any_of = [\"other\"]")).await;
    for blob in &made.blobs {
        assert_denied(&stage.blob("org/app", &sha256(blob)).await);
    }
    assert_denied(&stage.manifest("org/app", &tag).await);
    stage.reload(KEYED).await;
    // The blob alone: who has the manifest already must not lose its pull.
    assert_eq!(stage.blob("org/app", &made.layer()).await.body.to_vec(), made.blobs[1]);
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
}

#[tokio::test]
async fn a601_a_block_on_what_it_is_about_takes_the_evidence_with_it() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    for made in [
        carrier(vec![stage.signer.signature(&image.digest())]),
        referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE)),
    ] {
        let tag = put(&stage, &made);
        assert_serves(&stage.manifest("org/app", &tag).await, &made);
        for (blocked, evidence) in
            [(image.digest(), ""), (image.layer(), ""), (image.digest(), "well-formed")]
        {
            let policy = if evidence.is_empty() { KEYED } else { WELL_FORMED };
            stage.reload(&format!("{policy}[[block]]\ndigest = \"{blocked}\"\nreason = \"x\"\n")).await;
            assert_denied(&stage.manifest("org/app", &tag).await);
            assert_eq!(codes(&stage.gate.record().await), ["blocked"], "{evidence}");
            assert_denied(&stage.blob("org/app", &made.layer()).await);
        }
        stage.reload(KEYED).await;
        assert_serves(&stage.manifest("org/app", &tag).await, &made);
    }
}

#[tokio::test]
async fn a601_a_blob_that_an_image_grants_leaves_though_its_evidence_is_blocked() {
    let stage = Stage::new().await;
    let other = stage.unsigned("org/app", "other");
    let evidence = referrer(&other.descriptor(), stage.signer.bundle(&other.digest(), SIGN_PREDICATE));
    let tag = put(&stage, &evidence);
    // Both have OCI's empty config.
    let layer = vec![Layer::new(LAYER, b"a layer".to_vec())];
    let image = Made::manifest(("application/vnd.oci.empty.v1+json", b"{}".to_vec()), layer, json!({}));
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    let empty = sha256(b"{}");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_serves(&stage.manifest("org/app", &tag).await, &evidence);
    stage.reload(&format!("{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", other.digest())).await;
    assert_denied(&stage.manifest("org/app", &tag).await);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_eq!(stage.blob("org/app", &empty).await.status, 200);
}

#[tokio::test]
async fn a601_a_subject_that_could_not_be_asked_for_leaves_evidence_undecided() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = carrier(vec![stage.signer.signature(&image.digest())]);
    let tag = put(&stage, &made);
    stage.upstream.fail(When::on(manifest("org/app", &image.digest())), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", &tag).await);
    stage.upstream.heal();
    // Nobody pulled the image here: the gate asks for it itself.
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
    let gone = carrier(vec![stage.signer.signature(&Made::image().digest())]);
    let tag = put(&stage, &gone);
    assert_denied(&stage.manifest("org/app", &tag).await);
}

#[tokio::test]
async fn a601_an_attestation_is_tried_for_four_subjects_the_known_ones_first() {
    let about = |digests: &[String]| {
        let subject =
            |digest: &String| json!({"name": "x", "digest": {"sha256": digest.split_once(':').unwrap().1}});
        json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": SIGN_PREDICATE, "predicate": {},
            "subject": digests.iter().map(subject).collect::<Vec<_>>()})
    };
    for (absent, known, status) in [(3, false, 200), (4, false, 403), (31, true, 200), (32, true, 403)] {
        let stage = Stage::new().await;
        let image = stage.signed("org/app", "v1");
        let mut digests: Vec<_> = (0..absent).map(|_| Made::image().digest()).collect();
        digests.push(image.digest());
        let envelope = stage.signer.envelope_of(about(&digests).to_string().as_bytes());
        let tag = put(&stage, &carrier(vec![Layer::new(DSSE, envelope.to_string().into_bytes())]));
        if known {
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
        }
        assert_eq!(stage.manifest("org/app", &tag).await.status, status, "{absent} {known}");
    }
}

#[tokio::test]
async fn a601_the_signature_of_a_child_of_a_permitted_index_leaves() {
    let stage = Stage::new().await;
    let child = Made::image();
    let index = Made::index(vec![child.clone()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let made = stage.sign("org/app", &child);
    assert_serves(&stage.manifest("org/app", &evidence_tag(&child.digest(), ".sig")).await, &made);
    let of_index = evidence_tag(&index.digest(), ".sig");
    assert_eq!(stage.manifest("org/app", &of_index).await.status, 200);
    let strange = carrier(vec![Signer::new().signature(&child.digest())]);
    let tag = put(&stage, &strange);
    assert_denied(&stage.manifest("org/app", &tag).await);
}

/// A JSON text in whose first 512 bytes a tar header could have this checksum.
fn with_checksum(field: &str) -> Vec<u8> {
    let mut text =
        br#"{"critical":{"image":{"docker-manifest-digest":"x"},"type":"y"},"optional":{"a":""#.to_vec();
    text.resize(148, b' ');
    text.extend_from_slice(format!("{field:8}").as_bytes());
    text.resize(1024 - 3, b' ');
    text.extend_from_slice(b"\"}}");
    text
}

#[tokio::test]
async fn a601_a_true_signature_beside_a_layer_that_reads_as_an_archive_lets_neither_leave() {
    let stage = Stage::new().await;
    let digest = stage.signed("org/app", "v1").digest();
    let honest = || stage.signer.signature(&digest);
    let blanks = with_checksum("");
    let sum: usize = blanks[..512].iter().map(|byte| usize::from(*byte)).sum();
    for text in [with_checksum(&format!("{sum:07o}")), with_checksum("01234567"), blanks] {
        let dressed = || Layer::new(SIMPLE_SIGNING, text.clone());
        for policy in [KEYED, WELL_FORMED] {
            stage.reload(policy).await;
            for layers in [vec![honest(), dressed()], vec![dressed(), honest()], vec![dressed()]] {
                let alone = layers.len() == 1;
                let made = carrier(layers);
                let tag = put(&stage, &made);
                assert_denied(&stage.manifest("org/app", &tag).await);
                let record = stage.gate.record().await;
                let code = codes(&record)[0].clone();
                assert!(code == "evidence-runnable" || alone && code == "evidence-unverified", "{record}");
                for blob in &made.blobs {
                    assert_ne!(stage.blob("org/app", &sha256(blob)).await.body.to_vec(), text);
                }
            }
        }
    }
    let both = carrier(vec![honest(), Layer::new(SIMPLE_SIGNING, with_checksum("none"))]);
    let tag = put(&stage, &both);
    assert_serves(&stage.manifest("org/app", &tag).await, &both);
}

#[tokio::test]
async fn a601_a_true_signature_whose_config_names_something_to_run_does_not_leave() {
    let stage = Stage::new().await;
    let digest = stage.signed("org/app", "v1").digest();
    let of = |config: &serde_json::Value| {
        let config = (CONFIG, config.to_string().into_bytes());
        Made::manifest(config, vec![stage.signer.signature(&digest)], json!({}))
    };
    for policy in [KEYED, WELL_FORMED] {
        stage.reload(policy).await;
        for names in ["Entrypoint", "cmd", "Env"] {
            let made = of(&json!({"config": {names: ["/bin/run"]}, "n": fresh()}));
            let tag = put(&stage, &made);
            assert_denied(&stage.manifest("org/app", &tag).await);
            assert_eq!(codes(&stage.gate.record().await)[0], "evidence-runnable");
            assert_denied(&stage.blob("org/app", &made.config()).await);
        }
        let honest =
            of(&json!({"architecture": "", "rootfs": {"type": "layers", "diff_ids": []}, "config": {}}));
        let tag = put(&stage, &honest);
        assert_serves(&stage.manifest("org/app", &tag).await, &honest);
    }
}

#[tokio::test]
async fn a601_evidence_is_served_where_an_image_is_served_without_a_signature() {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let anything =
        "[[policy]]\nname = \"open\"\nscope = [\"registry.test/**\"]\ninsecure_permit_anything = true\n";
    let exempt = format!(
        "{KEYED}[[exempt]]\nscope = [\"registry.test/org/*\"]\nuntil = 2099-01-01\nowner = \"a\"\nreason = \"b\"\n"
    );
    for (policy, ground, warned) in [
        (warn.as_str(), "warn-only", true),
        (anything, "unchecked", false),
        ("unmatched = \"permit\"\n", "unchecked", false),
        ("unmatched = \"warn\"\n", "warn-only", true),
        (&exempt, "exempt", false),
    ] {
        let stage = Stage::on(policy).await;
        let image = stage.unsigned("org/app", "v1");
        let made = Signer::new().sign_at(&stage.upstream, "org/app", &image.digest());
        let tag = evidence_tag(&image.digest(), ".sig");
        let mut said = Vec::new();
        for (reference, served) in [("v1", &image), (tag.as_str(), &made)] {
            let answer = stage.manifest("org/app", reference).await;
            assert_serves(&answer, served);
            assert_eq!(answer.header("warning").is_some(), warned, "{policy} {answer:?}");
            let record = stage.gate.record().await;
            assert_eq!(record["ground"], ground, "{record}");
            said.push((record["verdict"].clone(), record["status"].clone(), record["policy"].clone()));
            for blob in &served.blobs {
                assert_eq!(stage.blob("org/app", &sha256(blob)).await.body.to_vec(), *blob);
            }
        }
        assert_eq!(said[0], said[1]);
    }
}

#[tokio::test]
async fn a601_under_warn_a_strangers_signature_is_served_with_the_missing_word() {
    let stage = Stage::on(&KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")).await;
    let image = stage.unsigned("org/app", "v1");
    Signer::new().sign_at(&stage.upstream, "org/app", &image.digest());
    let answer = stage.manifest("org/app", &evidence_tag(&image.digest(), ".sig")).await;
    assert!(answer.header("warning").unwrap().contains("evidence = 'well-formed'"), "{answer:?}");
    assert_eq!(codes(&stage.gate.record().await)[0], "evidence-unverified");
    // What its own authority signed needs no warning there either.
    let good = carrier(vec![stage.signer.signature(&image.digest())]);
    let tag = put(&stage, &good);
    let answer = stage.manifest("org/app", &tag).await;
    assert_serves(&answer, &good);
    assert_eq!(answer.header("warning"), None);
}

#[tokio::test]
async fn a601_in_the_evidence_repository_its_own_policy_says_whose_evidence_leaves() {
    let elsewhere = Upstream::start().await.unwrap();
    let policy = KEYED.replace("registry.test/**", "**");
    let stage = Stage::with(&policy, |setup| {
        setup
            .its("evidence = \"evidence.test/signatures\"")
            .upstream("evidence.test", &format!("url = \"{}\"", elsewhere.url()))
    })
    .await;
    for (signer, repository, status) in [
        (&stage.signer, "signatures", 200),
        (&Signer::new(), "signatures", 403),
        // Elsewhere in that registry the subject must be there too.
        (&stage.signer, "other", 403),
    ] {
        let digest = stage.unsigned("org/app", "v1").digest();
        signer.sign_at(&elsewhere, repository, &digest);
        let tag = evidence_tag(&digest, ".sig");
        let answer = stage.gate.get(&format!("/v2/evidence.test/{repository}/manifests/{tag}")).await;
        assert_eq!(answer.status, status, "{repository}");
    }
}

#[tokio::test]
async fn a601_a_client_behind_the_gate_finds_what_the_policy_knows() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = Signer::new().sign_at(&stage.upstream, "org/app", &image.digest());
    let tag = evidence_tag(&image.digest(), ".sig");
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_denied(&stage.manifest("org/app", &tag).await);
    stage.reload(WELL_FORMED).await;
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
    assert_eq!(stage.blob("org/app", &made.layer()).await.body.to_vec(), made.blobs[1]);
}
