//! Evidence passes without a verdict, and nothing else does, whatever it is called.

use pullgate_tests::clients::content::sha256;
use pullgate_tests::made::{CONFIG, LAYER, Layer, Made, fresh};
use pullgate_tests::signing::{
    BUNDLE, DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier, evidence_tag, referrer,
};
use serde_json::json;

use crate::stage::{KEYED, Stage, WELL_FORMED, assert_denied, assert_serves, codes};

#[tokio::test]
async fn true_evidence_is_served_with_its_blobs_where_the_policy_knows_who_signed_it() {
    let stage = Stage::new().await;
    for layout in ["sig", "att", "referrer"] {
        let image = stage.unsigned("org/app", "v1");
        let made = carried_by(&stage.signer, &image, layout);
        made.tag(&stage.upstream, "org/app", layout);
        assert_passes(&stage, layout, &made).await;
        let record = stage.gate.record().await;
        assert_eq!(record["authorities"], json!(["release"]), "{record}");
    }
}

#[tokio::test]
async fn a601_evidence_by_strangers_is_denied_with_the_word_that_lets_it_pass() {
    let stage = Stage::new().await;
    let stranger = Signer::new();
    for layout in ["sig", "att", "referrer"] {
        let image = stage.unsigned("org/app", "v1");
        let made = carried_by(&stranger, &image, layout);
        made.tag(&stage.upstream, "org/app", layout);
        stage.reload(KEYED).await;
        for reference in [layout.to_owned(), made.digest()] {
            let answer = stage.manifest("org/app", &reference).await;
            assert_denied(&answer);
            assert!(answer.message().contains("evidence = \"well-formed\" would let it pass"), "{answer:?}");
            let record = stage.gate.record().await;
            assert_eq!(codes(&record), ["evidence-unverified", "no-evidence"], "{record}");
        }
        for blob in &made.blobs {
            assert_denied(&stage.blob("org/app", &sha256(blob)).await);
        }
        stage.reload(WELL_FORMED).await;
        assert_passes(&stage, layout, &made).await;
    }
    assert_denied(&stage.manifest("org/app", "v1").await);
}

/// A manifest that carries evidence about `image`, in one of three layouts.
fn carried_by(signer: &Signer, image: &Made, layout: &str) -> Made {
    match layout {
        "sig" => carrier(vec![signer.signature(&image.digest())]),
        "att" => carrier(vec![signer.attestation(&image.digest(), SIGN_PREDICATE)]),
        _ => referrer(&image.descriptor(), signer.bundle(&image.digest(), SIGN_PREDICATE)),
    }
}

/// The manifest is served by tag and digest as evidence, and each of its blobs, whole and in part.
async fn assert_passes(stage: &Stage, tag: &str, made: &Made) {
    assert_serves(&stage.manifest("org/app", tag).await, made);
    assert_eq!(stage.gate.record().await["ground"], "evidence");
    assert_serves(&stage.manifest("org/app", &made.digest()).await, made);
    for blob in &made.blobs {
        let answer = stage.blob("org/app", &sha256(blob)).await;
        assert_eq!((answer.status, answer.body.to_vec()), (200, blob.clone()));
        let range = [("range", "bytes=0-1")];
        let part = stage.gate.get_with(&crate::stage::blob("org/app", &sha256(blob)), &range).await;
        assert_eq!((part.status, part.body.to_vec()), (206, blob[..2].to_vec()));
    }
}

#[tokio::test]
async fn a601_one_signature_of_three_that_holds_lets_the_three_leave() {
    let stage = Stage::new().await;
    let digest = stage.unsigned("org/app", "v1").digest();
    let strangers = || [Signer::new().signature(&digest), Signer::new().signature(&digest)];
    let [first, last] = strangers();
    let made = carrier(vec![first, stage.signer.signature(&digest), last]);
    made.tag(&stage.upstream, "org/app", &evidence_tag(&digest, ".sig"));
    assert_passes(&stage, &evidence_tag(&digest, ".sig"), &made).await;
    let none = carrier(strangers().to_vec());
    none.tag(&stage.upstream, "org/app", "none");
    assert_denied(&stage.manifest("org/app", "none").await);
}

#[tokio::test]
async fn evidence_passes_in_its_own_repository_and_grants_nothing() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = stage.sign("org/app", &image);
    let tag = evidence_tag(&image.digest(), ".sig");
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
    for blob in &made.blobs {
        stage.upstream.blob("org/other", blob);
        assert_denied(&stage.blob("org/other", &sha256(blob)).await);
    }
    assert_denied(&stage.blob("org/app", &image.layer()).await);
}

#[tokio::test]
async fn a030_a_runnable_image_under_an_evidence_tag_is_judged_like_any_other() {
    let stage = Stage::new().await;
    let digest = Made::image().digest();
    for suffix in [".sig", ".att", ".sbom", ""] {
        let image = Made::image();
        let tag = evidence_tag(&digest, suffix);
        image.tag(&stage.upstream, "org/app", &tag);
        assert_denied(&stage.manifest("org/app", &tag).await);
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
        assert_denied(&stage.blob("org/app", &image.layer()).await);
    }
    let honest = stage.signed("org/app", &evidence_tag(&Made::image().digest(), ".sig"));
    assert_serves(&stage.manifest("org/app", &honest.digest()).await, &honest);
}

/// A tar archive of one file, as a runtime would unpack it.
fn tar() -> Vec<u8> {
    let content = pullgate_tests::clients::image::single("x", &fresh());
    content.blobs.into_iter().max_by_key(Vec::len).unwrap()
}

#[tokio::test]
async fn a031_a_runnable_image_in_the_clothes_of_evidence_is_denied_with_its_blobs() {
    let stage = Stage::new().await;
    for clothes in [SIMPLE_SIGNING, DSSE, BUNDLE] {
        let image = Made::image_of(vec![Layer::new(clothes, tar())]);
        let tag = evidence_tag(&Made::image().digest(), ".sig");
        image.tag(&stage.upstream, "org/app", &tag);
        for reference in [tag, image.digest()] {
            assert_denied(&stage.manifest("org/app", &reference).await);
            assert_eq!(codes(&stage.gate.record().await), ["no-evidence"], "{clothes}");
        }
        assert_denied(&stage.blob("org/app", &image.layer()).await);
        assert_denied(&stage.blob("org/app", &image.config()).await);
    }
}

#[tokio::test]
async fn a032_a033_empty_mixed_and_odd_clothes_are_judged_as_images() {
    let stage = Stage::new().await;
    let about = stage.unsigned("org/app", "v1").digest();
    let signature = || stage.signer.signature(&about);
    let odd = |name: &str| vec![Layer { media_type: name.to_owned(), ..signature() }];
    let large = format!("{{\"n\":\"{}\"}}", "a".repeat(64 * 1024)).into_bytes();
    let cases = [
        ("no layers", carrier(Vec::new())),
        ("one image layer more", carrier(vec![signature(), Layer::new(LAYER, tar())])),
        ("other case", carrier(odd("application/vnd.dev.cosign.simplesigning.v1+JSON"))),
        ("a parameter", carrier(odd("application/vnd.dev.cosign.simplesigning.v1+json;v=1"))),
        ("a blank", carrier(odd("application/vnd.dev.cosign.simplesigning.v1+json "))),
        ("a large config", Made::manifest((CONFIG, large), vec![signature()], json!({}))),
        (
            "an unknown config",
            Made::manifest(("application/x", b"{}".to_vec()), vec![signature()], json!({})),
        ),
        ("another kind's payload", carrier(odd(DSSE))),
    ];
    for (what, made) in cases {
        let tag = fresh();
        made.tag(&stage.upstream, "org/app", &tag);
        let answer = stage.manifest("org/app", &tag).await;
        assert_eq!(answer.status, 403, "{what}");
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"], "{what}");
    }
    let honest = carrier(vec![signature()]);
    honest.tag(&stage.upstream, "org/app", "honest");
    assert_serves(&stage.manifest("org/app", "honest").await, &honest);
}

#[tokio::test]
async fn a034_an_index_that_lists_evidence_and_an_image_does_not_pass() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let bundle = referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
    let other = Made::image();
    let index = Made::index_of(&[bundle.descriptor(), other.descriptor()], vec![bundle, other.clone()]);
    let tag = evidence_tag(&image.digest(), "");
    index.tag(&stage.upstream, "org/app", &tag);
    assert_denied(&stage.manifest("org/app", &tag).await);
    assert_denied(&stage.manifest("org/app", &other.digest()).await);
}

#[tokio::test]
async fn a409_a_blocked_piece_of_evidence_does_not_pass() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let made = stage.sign("org/app", &image);
    let tag = evidence_tag(&image.digest(), ".sig");
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
    for blocked in [made.digest(), made.layer()] {
        stage.reload(&format!("{KEYED}[[block]]\ndigest = \"{blocked}\"\nreason = \"x\"\n")).await;
        assert_denied(&stage.manifest("org/app", &tag).await);
        assert_denied(&stage.blob("org/app", &made.layer()).await);
    }
    stage.reload(KEYED).await;
    assert_serves(&stage.manifest("org/app", &tag).await, &made);
}
