//! What counts as evidence about the one digest that is judged, and what does not.

use pullgate_policy::limits;
use pullgate_tests::made::{Layer, Made, with};
use pullgate_tests::signing::{
    DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier, evidence_tag, referrer,
};
use pullgate_tests::upstream::{Fault, Raw, ReferrersApi, When};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes};

/// A `.sig` manifest of these layers.
pub(crate) fn attach(stage: &Stage, image: &Made, layers: Vec<Layer>) {
    carrier(layers).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
}

/// Alone the layer does not count and is named by `code`; with a good one beside it the image is served.
pub(crate) async fn assert_skipped(what: &str, layer: impl Fn(&Stage, &Made) -> Layer, code: &str) {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    attach(&stage, &image, vec![layer(&stage, &image)]);
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    assert!(record.to_string().contains(code), "{what}: {record}");
    let twin = stage.unsigned("org/app", "v2");
    attach(&stage, &twin, vec![layer(&stage, &twin), stage.signer.signature(&twin.digest())]);
    assert_serves(&stage.manifest("org/app", "v2").await, &twin);
}

#[tokio::test]
async fn a154_a_signature_copied_from_another_image_counts_for_nothing() {
    let other = Made::image().digest();
    assert_skipped("copied", |stage, _| stage.signer.signature(&other), "digest-mismatch").await;
}

#[tokio::test]
async fn a150_one_bad_signature_never_spoils_a_good_one() {
    let annotated = |layer: Layer, value: &str| Layer {
        annotations: json!({ "dev.cosignproject.cosign/signature": value }),
        ..layer
    };
    let stranger = Signer::new();
    assert_skipped("by a stranger", |_, image| stranger.signature(&image.digest()), "unknown-authority")
        .await;
    assert_skipped("no signature", |_, _| Layer::new(SIMPLE_SIGNING, b"{}".to_vec()), "signature-invalid")
        .await;
    assert_skipped(
        "not base64",
        |stage, image| annotated(stage.signer.signature(&image.digest()), "%%%"),
        "signature-invalid",
    )
    .await;
    assert_skipped(
        "cut",
        |stage, image| annotated(stage.signer.signature(&image.digest()), "MEUCIQ=="),
        "signature-invalid",
    )
    .await;
    assert_skipped(
        "no payload",
        |stage, _| stage.signer.signed(SIMPLE_SIGNING, b"not json".to_vec()),
        "payload-invalid",
    )
    .await;
    assert_skipped(
        "unknown type",
        |stage, _| stage.signer.signed("application/x", b"{}".to_vec()),
        "unsupported",
    )
    .await;
    assert_skipped("envelope", |_, _| Layer::new(DSSE, b"{\"payload\":1}".to_vec()), "payload-invalid").await;
}

#[tokio::test]
async fn a155_a_signature_in_one_repository_says_nothing_of_another() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    image.tag(&stage.upstream, "org/other", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    assert_denied(&stage.manifest("org/other", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
    let twin = stage.signed("org/other", "v2");
    assert_serves(&stage.manifest("org/other", "v2").await, &twin);
}

#[tokio::test]
async fn a214_an_attestation_is_no_signature() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let provenance = stage.signer.attestation(&image.digest(), "https://slsa.dev/provenance/v1");
    carrier(vec![provenance]).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
    assert_denied(&stage.manifest("org/app", "v1").await);
    let twin = stage.unsigned("org/app", "v2");
    let signature = stage.signer.attestation(&twin.digest(), SIGN_PREDICATE);
    carrier(vec![signature]).tag(&stage.upstream, "org/app", &evidence_tag(&twin.digest(), ".att"));
    assert_serves(&stage.manifest("org/app", "v2").await, &twin);
}

#[tokio::test]
async fn an_attestation_requirement_is_met_by_its_predicate_type_only() {
    let policy = KEYED.replace("[[policy.require]]", "[[policy.require]]\nattestation = \"slsa-provenance\"");
    let stage = Stage::on(&policy).await;
    for (tag, predicate_type, status) in [
        ("v1", "https://slsa.dev/provenance/v1", 200),
        ("v02", "https://slsa.dev/provenance/v0.2", 200),
        ("vuln", "https://cosign.sigstore.dev/attestation/vuln/v1", 403),
        ("sign", SIGN_PREDICATE, 403),
    ] {
        let image = stage.unsigned("org/app", tag);
        let layer = stage.signer.attestation(&image.digest(), predicate_type);
        carrier(vec![layer]).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".att"));
        assert_eq!(stage.manifest("org/app", tag).await.status, status, "{predicate_type}");
    }
    let signed = stage.signed("org/app", "signed");
    assert_denied(&stage.manifest("org/app", &signed.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["attestation-missing"]);
}

#[tokio::test]
async fn annotations_that_a_requirement_names_must_be_signed() {
    let stage = Stage::on(&format!("{KEYED}annotations = {{ env = \"prod\" }}\n")).await;
    for (tag, optional, status) in [
        ("prod", json!({ "env": "prod", "team": "x" }), 200),
        ("dev", json!({ "env": "dev" }), 403),
        ("none", json!(null), 403),
    ] {
        let image = stage.unsigned("org/app", tag);
        attach(&stage, &image, vec![stage.signer.annotated(&image.digest(), &optional)]);
        assert_eq!(stage.manifest("org/app", tag).await.status, status, "{tag}");
    }
}

#[tokio::test]
async fn a233_a_threshold_counts_authorities_and_not_signatures() {
    let second = Signer::new();
    let policy = "[authority.second]\nkey = \"second.pub\"\ntransparency = \"optional\"\n".to_owned()
        + &KEYED.replace("[\"release\"] }", "[\"release\", \"second\"], threshold = 2 }");
    let stage = Stage::with(&policy, |setup| setup.file("second.pub", second.public_pem())).await;
    let (both, twice) = (stage.unsigned("org/app", "both"), stage.unsigned("org/app", "twice"));
    let by = |signer: &Signer, image: &Made| signer.signature(&image.digest());
    attach(&stage, &both, vec![by(&stage.signer, &both), by(&second, &both)]);
    attach(&stage, &twice, vec![by(&stage.signer, &twice), by(&stage.signer, &twice)]);
    assert_serves(&stage.manifest("org/app", "both").await, &both);
    assert_denied(&stage.manifest("org/app", "twice").await);
    assert_eq!(codes(&stage.gate.record().await), ["threshold"]);
}

#[tokio::test]
async fn a145_what_a_list_of_referrers_says_is_a_hint_only() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let (image, other) = (stage.unsigned("org/app", "v1"), Made::image());
    // The list names a bundle that is a referrer of another image.
    let foreign = referrer(&other.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
    foreign.put(&stage.upstream, "org/app");
    let list = json!({
        "schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [with(foreign.descriptor(), json!({ "artifactType": foreign.media_type }))],
    });
    let answer =
        || Fault::Answer(200, "application/vnd.oci.image.index.v1+json", list.to_string().into_bytes());
    stage.upstream.fail(When::on("referrers"), answer());
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert!(stage.gate.record().await.to_string().contains("subject-mismatch"));
    stage.upstream.heal();
    let twin = stage.unsigned("org/app", "v2");
    referrer(&twin.descriptor(), stage.signer.bundle(&twin.digest(), SIGN_PREDICATE))
        .put(&stage.upstream, "org/app");
    assert_serves(&stage.manifest("org/app", "v2").await, &twin);
}

#[tokio::test]
async fn a144_pages_that_lead_in_a_circle_or_elsewhere_are_not_followed() {
    let elsewhere = Raw::start("127.0.0.1", "").await.unwrap();
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.unsigned("org/app", "v1");
    let path = format!("/v2/org/app/referrers/{}", image.digest());
    let foreign = format!("http://{}/v2/org/app/referrers/x", elsewhere.address());
    for to in [
        path.clone(),
        format!("{path}?page=1"),
        foreign,
        "/v2/org/secret/referrers/x".to_owned(),
        "file:///etc/passwd".to_owned(),
    ] {
        stage.upstream.forget();
        stage.upstream.fail(When::on("referrers"), Fault::Header("link", format!("<{to}>; rel=\"next\"")));
        let tag = pullgate_tests::made::fresh();
        let image = stage.signed("org/app", &tag);
        assert_serves(&stage.manifest("org/app", &tag).await, &image);
        assert!(stage.upstream.count("referrers") <= 2, "{to}");
        assert_eq!(stage.upstream.count("secret"), 0);
        stage.upstream.heal();
    }
    assert_eq!(elsewhere.connections(), 0);
}

#[tokio::test]
async fn a143_junk_in_one_layout_crowds_nothing_out_of_another() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.signed("org/app", "v1");
    for _ in 0..300 {
        referrer(&image.descriptor(), Layer::new("application/x", b"junk".to_vec()))
            .put(&stage.upstream, "org/app");
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a141_a_good_signature_beyond_the_limit_is_denied_and_not_undecided() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let junk = |n: usize| stage.signer.signed(SIMPLE_SIGNING, format!("{{\"n\":{n}}}").into_bytes());
    // The newest and the oldest are looked at in turn: what is left out lies in the middle.
    let mut layers: Vec<_> = (0..256).map(junk).collect();
    layers.insert(128, stage.signer.signature(&image.digest()));
    attach(&stage, &image, layers);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["evidence-limit", "payload-invalid"]);
    let twin = stage.unsigned("org/app", "v2");
    let mut layers: Vec<_> = (0..255).map(junk).collect();
    layers.insert(128, stage.signer.signature(&twin.digest()));
    attach(&stage, &twin, layers);
    assert_serves(&stage.manifest("org/app", "v2").await, &twin);
}

#[tokio::test]
async fn a142_evidence_that_is_huge_or_lies_about_its_size_does_not_count() {
    let stage = Stage::new().await;
    for size in [(1_u64 << 20) + 1, 1 << 40] {
        let tag = pullgate_tests::made::fresh();
        let image = stage.unsigned("org/app", &tag);
        let layer = stage.signer.signature(&image.digest());
        let huge = resized(&carrier(vec![layer.clone()]), size);
        stage.upstream.blob("org/app", &layer.bytes);
        huge.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
        assert_denied(&stage.manifest("org/app", &tag).await);
        assert!(stage.gate.record().await.to_string().contains("evidence-too-large"));
        let digest = pullgate_tests::clients::content::sha256(&layer.bytes);
        assert_eq!(stage.upstream.count(&format!("blobs/{digest}")), 0);
    }
    let image = stage.unsigned("org/app", "less");
    let layer = stage.signer.signature(&image.digest());
    let less = resized(&carrier(vec![layer.clone()]), layer.bytes.len() as u64 - 1);
    less.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
    assert_denied(&stage.manifest("org/app", "less").await);
}

/// The same manifest, which says that its first layer has this size.
fn resized(made: &Made, size: u64) -> Made {
    let mut body: serde_json::Value = serde_json::from_slice(&made.bytes).unwrap();
    body["layers"][0]["size"] = json!(size);
    Made::from_bytes(&made.media_type, body.to_string().into_bytes(), made.blobs.clone())
}

#[tokio::test]
async fn evidence_that_is_broken_or_missing_is_no_evidence() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let layer = stage.signer.signature(&image.digest());
    attach(&stage, &image, vec![layer.clone()]);
    let digest = pullgate_tests::clients::content::sha256(&layer.bytes);
    stage.upstream.fail(When::on(format!("blobs/{digest}")), Fault::Status(404));
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert!(stage.gate.record().await.to_string().contains("evidence-incomplete"));
    let twin = stage.unsigned("org/app", "v2");
    stage.sign("org/app", &twin);
    stage.upstream.fail(When::on("blobs"), Fault::Flip(0));
    assert_ne!(stage.manifest("org/app", "v2").await.status, 200);
    stage.upstream.heal();
    let third = stage.signed("org/app", "v3");
    assert_serves(&stage.manifest("org/app", "v3").await, &third);
}

#[tokio::test]
async fn a417_an_image_that_is_signed_after_a_denial_is_served_after_deny_ttl() {
    let stage = Stage::with(KEYED, |setup| setup.cache("deny_ttl = \"1s\"")).await;
    let image = stage.unsigned("org/app", "v1");
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.sign("org/app", &image);
    assert_denied(&stage.manifest("org/app", "v1").await);
    stage.later(std::time::Duration::from_secs(1));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a142_large_carriers_are_not_all_read_and_hide_no_signature_elsewhere() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let most = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    let image = stage.unsigned("org/app", "v1");
    let enough = limits::EVIDENCE_BYTES / limits::MANIFEST_BYTES + 1;
    for _ in 0..enough {
        let carrier = referrer(&image.descriptor(), Signer::new().bundle(&image.digest(), SIGN_PREDICATE));
        let mut bytes = carrier.bytes.clone();
        bytes.resize(most, b' ');
        Made::from_bytes(&carrier.media_type, bytes, carrier.blobs).put(&stage.upstream, "org/app");
    }
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    assert!(codes(&record).contains(&"evidence-limit".to_owned()), "{record}");
    stage.sign("org/app", &image);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a142_carriers_of_so_many_bytes_together_are_read_and_of_one_more_the_last_is_not() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let (most, page) = (limits::EVIDENCE_CARRIERS_BYTES, limits::MANIFEST_BYTES);
    for (over, cut) in [(0, false), (1, true)] {
        let tag = pullgate_tests::made::fresh();
        let image = stage.unsigned("org/app", &tag);
        for length in [page, page / 2, most - page - page / 2 + over] {
            let bundle = Signer::new().bundle(&image.digest(), SIGN_PREDICATE);
            let carrier = referrer(&image.descriptor(), bundle);
            let mut bytes = carrier.bytes.clone();
            bytes.resize(usize::try_from(length).unwrap(), b' ');
            Made::from_bytes(&carrier.media_type, bytes, carrier.blobs).put(&stage.upstream, "org/app");
        }
        assert_denied(&stage.manifest("org/app", &tag).await);
        let record = stage.gate.record().await;
        assert_eq!(codes(&record).contains(&"evidence-limit".to_owned()), cut, "{record}");
    }
}

#[tokio::test]
async fn a547_where_no_room_for_evidence_is_left_a_verdict_is_undecided() {
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let mut held = Vec::new();
    let repository = "registry.test/org/app".parse().unwrap();
    let limits = (pullgate::limits::IN_FLIGHT_BYTES_OF_REPOSITORY, pullgate::limits::VERDICT_BYTES);
    for _ in 1..limits.0 / limits.1 {
        held.push(stage.gate.app().evidence_budget.begin(&repository).await.unwrap());
    }
    // The last share is enough for one.
    let other = stage.signed("org/app", "v2");
    assert_serves(&stage.manifest("org/app", "v2").await, &other);
    held.push(stage.gate.app().evidence_budget.begin(&repository).await.unwrap());
    crate::stage::assert_undecided(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["overload"]);
    drop(held);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}
