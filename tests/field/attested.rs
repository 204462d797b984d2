//! Docker's layout: an attestation manifest that is signed counts as what it is. Its statements are attestations, by
//! whoever signed it, about the platform that they name; beside each shape what must still be refused.

use std::time::Duration;

use pullgate_policy::limits::ATTESTATION_MANIFESTS;
use pullgate_tests::made::{Layer, Made, with};
use pullgate_tests::signing::{BUNDLE, SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, Upstream, When};
use serde_json::{Value, json};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves};

const PROVENANCE: &str = "https://slsa.dev/provenance/v1";
const IN_TOTO: &str = "application/vnd.in-toto+json";
const ATTESTED: &str = r#"
[[policy]]
name = "production"
scope = ["registry.test/**"]
on_undecided = { last_permit = "7d" }
[[policy.require]]
attestation = "https://slsa.dev/provenance/v1"
signed_by = { any_of = ["release"] }
where = 'predicate.ok == true'
"#;

/// A statement without a signature.
fn statement(about: &str, predicate_type: &str) -> Layer {
    let text = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": predicate_type,
        "subject": [{ "name": "app", "digest": { "sha256": about.trim_start_matches("sha256:") } }],
        "predicate": { "ok": true },
    });
    Layer::new(IN_TOTO, text.to_string().into_bytes())
}

fn with_subject(made: Made, subject: &Made) -> Made {
    let mut body: Value = serde_json::from_slice(&made.bytes).unwrap();
    body["subject"] = subject.descriptor();
    Made::from_bytes(&made.media_type, body.to_string().into_bytes(), made.blobs)
}

/// The attestation manifest of an image.
fn attesting(image: &Made) -> Made {
    with_subject(carrier(vec![statement(&image.digest(), PROVENANCE)]), image)
}

fn platform(image: &Made, architecture: &str) -> Value {
    with(image.descriptor(), json!({ "platform": { "os": "linux", "architecture": architecture } }))
}

/// How BuildKit lists an attestation manifest.
fn marked(manifest: &Made, image: &Made) -> Value {
    let marks = json!({
        "vnd.docker.reference.type": "attestation-manifest",
        "vnd.docker.reference.digest": image.digest(),
    });
    let unknown = json!({ "os": "unknown", "architecture": "unknown" });
    with(manifest.descriptor(), json!({ "platform": unknown, "annotations": marks }))
}

/// Signs a manifest with a bundle that refers to it.
fn sign(stage: &Stage, by: &Signer, manifest: &Made, predicate_type: &str) {
    let bundle = referrer(&manifest.descriptor(), by.bundle(&manifest.digest(), predicate_type));
    bundle.put(&stage.upstream, "org/app");
}

async fn attested() -> Stage {
    let stage = Stage::on(ATTESTED).await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    stage
}

/// Rule: an index is permitted where each of its platforms is attested to by a signed attestation manifest, and carries
/// them.
#[tokio::test]
async fn a153_an_index_is_served_when_every_platform_is_attested_and_carries_them() {
    for (tag, second, served) in [("both", true, true), ("one", false, false)] {
        let stage = attested().await;
        let (amd, arm) = (Made::image(), Made::image());
        let (of_amd, of_arm) = (attesting(&amd), attesting(&arm));
        let listed =
            [platform(&amd, "amd64"), platform(&arm, "arm64"), marked(&of_amd, &amd), marked(&of_arm, &arm)];
        sign(&stage, &stage.signer, &of_amd, SIGN_PREDICATE);
        if second {
            sign(&stage, &stage.signer, &of_arm, SIGN_PREDICATE);
        }
        let children = vec![amd.clone(), arm.clone(), of_amd, of_arm];
        let index = Made::index_of(&listed, children);
        index.tag(&stage.upstream, "org/app", tag);
        let answer = stage.manifest("org/app", tag).await;
        if served {
            assert_serves(&answer, &index);
            assert_serves(&stage.manifest("org/app", &arm.digest()).await, &arm);
            assert_eq!(stage.blob("org/app", &amd.layer()).await.status, 200);
        } else {
            assert_denied(&answer);
            assert_eq!(stage.blob("org/app", &amd.layer()).await.status, 403);
        }
    }
}

/// Rule: marks open nothing. A child that is neither attested to nor an attestation manifest that the signer signed
/// keeps the index out.
#[tokio::test]
async fn a153_a_child_that_is_only_marked_as_an_attestation_manifest_keeps_its_index_out() {
    let stage = attested().await;
    let (image, evil) = (Made::image(), Made::image());
    let of_image = attesting(&image);
    sign(&stage, &stage.signer, &of_image, SIGN_PREDICATE);
    let listed = [platform(&image, "amd64"), marked(&of_image, &image), marked(&evil, &image)];
    let children = vec![image.clone(), of_image.clone(), evil.clone()];
    Made::index_of(&listed, children).tag(&stage.upstream, "org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_denied(&stage.manifest("org/app", &evil.digest()).await);
    let listed = [platform(&image, "amd64"), marked(&of_image, &image)];
    let index = Made::index_of(&listed, vec![image, of_image]);
    index.tag(&stage.upstream, "org/app", "v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &index);
}

/// Rule: what attests to others is carried by no permit of their index. It may be an image besides, and nobody attests to
/// it: it stands or falls by itself.
#[tokio::test]
async fn a153_an_image_that_attests_to_others_is_not_carried_by_their_index() {
    for kind in [PROVENANCE, "urn:other"] {
        let stage = attested().await;
        let image = Made::image();
        let of_image = attesting(&image);
        sign(&stage, &stage.signer, &of_image, SIGN_PREDICATE);
        // An image of its own that its builder signed, and to which nobody attests; it has a statement about another.
        let tar = Layer::new("application/vnd.oci.image.layer.v1.tar", b"evil".to_vec());
        let evil = with_subject(carrier(vec![tar, statement(&image.digest(), kind)]), &image);
        sign(&stage, &stage.signer, &evil, SIGN_PREDICATE);
        let listed = [platform(&evil, "amd64"), platform(&image, "arm64"), marked(&of_image, &image)];
        let children = vec![evil.clone(), image.clone(), of_image.clone()];
        Made::index_of(&listed, children).tag(&stage.upstream, "org/app", "v1");
        let _whatever = stage.manifest("org/app", "v1").await;
        assert_denied(&stage.manifest("org/app", &evil.digest()).await);
        assert_eq!(stage.blob("org/app", &evil.layer()).await.status, 403, "{kind}");
        assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    }
}

/// Rule: who signed the manifest attests to what it lists, about what the statement names; nobody else, and nothing else.
#[tokio::test]
async fn a153_a214_a_statement_counts_by_who_signed_its_manifest_and_for_what_it_names() {
    for (what, served) in [
        ("as it is", true),
        ("signed by a stranger", false),
        ("signed by nobody", false),
        ("attested to instead of signed", false),
        ("a statement about another image", false),
        ("another predicate type", false),
    ] {
        let stage = attested().await;
        let (image, other, stranger) = (Made::image(), Made::image(), Signer::new());
        let manifest = match what {
            "a statement about another image" => {
                with_subject(carrier(vec![statement(&other.digest(), PROVENANCE)]), &image)
            }
            "another predicate type" => {
                with_subject(carrier(vec![statement(&image.digest(), "urn:other")]), &image)
            }
            _ => attesting(&image),
        };
        match what {
            "signed by a stranger" => sign(&stage, &stranger, &manifest, SIGN_PREDICATE),
            "signed by nobody" => {}
            "attested to instead of signed" => sign(&stage, &stage.signer, &manifest, PROVENANCE),
            _ => sign(&stage, &stage.signer, &manifest, SIGN_PREDICATE),
        }
        image.tag(&stage.upstream, "org/app", "v1");
        manifest.put(&stage.upstream, "org/app");
        let answer = stage.manifest("org/app", "v1").await;
        assert_eq!(answer.status == 200, served, "{what}: {}", answer.message());
    }
}

/// Rule: no statement in a signed attestation manifest is a signature of the image, not even one that says so.
#[tokio::test]
async fn a153_a214_a_signed_attestation_manifest_is_no_signature_and_the_denial_names_it() {
    for kind in [PROVENANCE, SIGN_PREDICATE] {
        for policy in [KEYED.to_owned(), ATTESTED.replace(PROVENANCE, "urn:x") + KEYED_TOO] {
            let stage = Stage::on(&policy).await;
            stage.upstream.set_referrers(ReferrersApi::Whole);
            let image = stage.unsigned("org/app", "v1");
            let layers = vec![statement(&image.digest(), kind), statement(&image.digest(), "urn:x")];
            let manifest = with_subject(carrier(layers), &image);
            manifest.put(&stage.upstream, "org/app");
            sign(&stage, &stage.signer, &manifest, SIGN_PREDICATE);
            assert_denied(&stage.manifest("org/app", "v1").await);
            let record = stage.gate.record().await.to_string();
            assert!(record.contains("no signature by"), "{record}");
            stage.sign("org/app", &image);
            stage.gate.app().memory.forget_denials();
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
        }
    }
}

/// A second requirement: a signature.
const KEYED_TOO: &str = "[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// Rule: registries without the referrers API are asked by tags, for the attestation manifest and for what signs it;
/// the index need not list it.
#[tokio::test]
async fn a153_without_a_referrers_api_attestation_manifests_are_found_by_tags() {
    let stage = Stage::on(ATTESTED).await;
    stage.upstream.set_referrers(ReferrersApi::Absent);
    let image = Made::image();
    let manifest = attesting(&image);
    let index = Made::index_of(&[platform(&image, "amd64")], vec![image.clone()]);
    index.tag(&stage.upstream, "org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    Made::index_of(&[manifest.descriptor()], vec![manifest.clone()]).tag(
        &stage.upstream,
        "org/app",
        &evidence_tag(&image.digest(), ""),
    );
    // A denial is told from fresh evidence: a signature that comes later counts, and so does what came before.
    stage.later(Duration::from_secs(60));
    assert_denied(&stage.manifest("org/app", "v1").await);
    carrier(vec![stage.signer.signature(&manifest.digest())]).tag(
        &stage.upstream,
        "org/app",
        &evidence_tag(&manifest.digest(), ".sig"),
    );
    stage.later(Duration::from_secs(60));
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    let other = Stage::on(ATTESTED).await;
    assert_denied_elsewhere(&other, &image).await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
}

/// Rule: the evidence repository is asked for attestation manifests as the image's own is, whoever of the two has what
/// signs them. A manifest there that does not name the image or a platform of it attests to nothing.
#[tokio::test]
async fn a153_attestation_manifests_in_the_evidence_repository_count() {
    for (what, served) in [
        ("both in the evidence repository", true),
        ("the signature beside the image", true),
        ("of a platform of an index", true),
        ("signed by a stranger", false),
        ("names no subject", false),
        ("names another subject", false),
    ] {
        let elsewhere = Upstream::start().await.unwrap();
        elsewhere.set_referrers(ReferrersApi::Whole);
        let stage = Stage::with(ATTESTED, |setup| {
            setup
                .its("evidence = \"evidence.test/signatures\"")
                .upstream("evidence.test", &format!("url = \"{}\"", elsewhere.url()))
        })
        .await;
        stage.upstream.set_referrers(ReferrersApi::Whole);
        let (image, stranger) = (Made::image(), Signer::new());
        let manifest = match what {
            "names no subject" => carrier(vec![statement(&image.digest(), PROVENANCE)]),
            "names another subject" => {
                with_subject(carrier(vec![statement(&image.digest(), PROVENANCE)]), &Made::image())
            }
            _ => attesting(&image),
        };
        let asked = match what {
            "of a platform of an index" => Made::index_of(&[platform(&image, "amd64")], vec![image.clone()]),
            _ => image.clone(),
        };
        asked.tag(&stage.upstream, "org/app", "v1");
        manifest.put(&elsewhere, "signatures");
        let list = Made::index_of(&[manifest.descriptor()], vec![manifest.clone()]);
        list.tag(&elsewhere, "signatures", &evidence_tag(&image.digest(), ""));
        let by = if what == "signed by a stranger" { &stranger } else { &stage.signer };
        let bundle = referrer(&manifest.descriptor(), by.bundle(&manifest.digest(), SIGN_PREDICATE));
        let (place, repository) = match what {
            "the signature beside the image" => (&stage.upstream, "org/app"),
            _ => (&elsewhere, "signatures"),
        };
        bundle.put(place, repository);
        let answer = stage.manifest("org/app", "v1").await;
        assert_eq!(answer.status == 200, served, "{what}: {}", answer.message());
        // Kept evidence decides as what was just collected does.
        stage.reload(&ATTESTED.replace("production", "other")).await;
        stage.gate.app().memory.forget_denials();
        let answer = stage.manifest("org/app", &asked.digest()).await;
        assert_eq!(answer.status == 200, served, "{what}, kept: {}", answer.message());
    }
}

/// Rule: so many attestation manifests are looked at, and not one more.
#[tokio::test]
async fn a141_a153_an_index_of_attestation_manifests_max_is_served_and_of_one_more_not() {
    for (tag, count) in [("all", ATTESTATION_MANIFESTS), ("too-many", ATTESTATION_MANIFESTS + 1)] {
        let stage = attested().await;
        let images: Vec<Made> = (0..count).map(|_| Made::image()).collect();
        for image in &images {
            let manifest = attesting(image);
            manifest.put(&stage.upstream, "org/app");
            sign(&stage, &stage.signer, &manifest, SIGN_PREDICATE);
        }
        let listed: Vec<Value> = images.iter().map(|image| platform(image, "amd64")).collect();
        let index = Made::index_of(&listed, images);
        index.tag(&stage.upstream, "org/app", tag);
        let answer = stage.manifest("org/app", tag).await;
        assert_eq!(answer.status == 200, count == ATTESTATION_MANIFESTS, "{count}: {}", answer.message());
    }
}

/// What counts in one repository is nothing in another registry that has the image alone.
async fn assert_denied_elsewhere(stage: &Stage, image: &Made) {
    image.tag(&stage.upstream, "org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
}

/// Rule: what was found is kept, and decided from again without a question: under another policy, and while the
/// registry is away.
#[tokio::test]
async fn a148_a153_kept_attestation_manifests_decide_again_while_the_registry_is_away() {
    let stage = attested().await;
    let image = Made::image();
    let manifest = attesting(&image);
    sign(&stage, &stage.signer, &manifest, SIGN_PREDICATE);
    let listed = [platform(&image, "amd64"), marked(&manifest, &image)];
    let index = Made::index_of(&listed, vec![image, manifest]);
    index.tag(&stage.upstream, "org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.upstream.fail(When::on("/v2/"), Fault::Status(503));
    stage.reload(&ATTESTED.replace("production", "other")).await;
    assert_serves(&stage.manifest("org/app", &index.digest()).await, &index);
    stage.later(Duration::from_secs(2 * 24 * 3_600));
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    stage.reload(&ATTESTED.replace("predicate.ok == true", "predicate.ok == false")).await;
    let answer = stage.manifest("org/app", "v1").await;
    assert_eq!(answer.status, 503, "{}", answer.message());
}

/// Rule: of a policy that asks for no attestation nothing more is asked than before.
#[tokio::test]
async fn a141_a153_signatures_of_attestation_manifests_are_sought_only_where_required() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.unsigned("org/app", "v1");
    let manifest = attesting(&image);
    manifest.put(&stage.upstream, "org/app");
    let bundle = Layer::new(BUNDLE, b"{}".to_vec());
    referrer(&manifest.descriptor(), bundle).put(&stage.upstream, "org/app");
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(stage.upstream.count(&manifest.hex()), 1, "it was read, and nothing was asked about it");
}
