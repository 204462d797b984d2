//! Evidence is found in every layout, and a layout that could not be asked is never taken for an empty one.

use pullgate_tests::made::{Made, with};
use pullgate_tests::signing::{SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, Upstream, When};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, codes};

/// Where one signature is put, and what to break so that it cannot be asked for.
#[derive(Debug, Clone, Copy)]
enum Place {
    Att,
    Fallback,
    Referrers,
    ReferrersPaged,
    Sig,
}

impl Place {
    /// An image that is signed there and nowhere else.
    fn put(self, upstream: &Upstream, signer: &Signer) -> Made {
        let image = Made::image();
        image.tag(upstream, "org/app", "v1");
        let digest = image.digest();
        let bundle = || referrer(&image.descriptor(), signer.bundle(&digest, SIGN_PREDICATE));
        match self {
            Self::Att => {
                let layers = vec![signer.attestation(&digest, SIGN_PREDICATE)];
                carrier(layers).tag(upstream, "org/app", &evidence_tag(&digest, ".att"));
            }
            Self::Fallback => {
                let bundle = bundle();
                let listed = vec![bundle.descriptor()];
                Made::index_of(&listed, vec![bundle]).tag(upstream, "org/app", &evidence_tag(&digest, ""));
            }
            Self::Referrers => {
                upstream.set_referrers(ReferrersApi::Whole);
                bundle().put(upstream, "org/app");
            }
            Self::ReferrersPaged => {
                upstream.set_referrers(ReferrersApi::Paged(1));
                for _ in 0..3 {
                    referrer(&image.descriptor(), Signer::new().bundle(&digest, SIGN_PREDICATE))
                        .put(upstream, "org/app");
                }
                bundle().put(upstream, "org/app");
            }
            Self::Sig => {
                signer.sign_at(upstream, "org/app", &digest);
            }
        }
        image
    }

    fn requests(self, image: &Made) -> String {
        let digest = image.digest();
        match self {
            Self::Att => evidence_tag(&digest, ".att"),
            Self::Fallback => format!("manifests/{}$", evidence_tag(&digest, "")),
            Self::Referrers | Self::ReferrersPaged => "referrers".to_owned(),
            Self::Sig => evidence_tag(&digest, ".sig"),
        }
    }
}

/// An index with one platform whose attestation manifest carries a signature of the index: it cannot be about the index
/// (whose digest depends on it), so it signs the image, and the index is signed in the usual way.
fn buildkit(upstream: &Upstream, signer: &Signer) -> Made {
    let image = Made::image();
    let note = carrier(vec![signer.attestation(&image.digest(), SIGN_PREDICATE)]);
    let marks = json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest() });
    let unknown = json!({ "os": "unknown", "architecture": "unknown" });
    let listed = vec![
        with(image.descriptor(), json!({ "platform": { "os": "linux", "architecture": "amd64" } })),
        with(note.descriptor(), json!({ "platform": unknown, "annotations": marks })),
    ];
    let index = Made::index_of(&listed, vec![image, note]);
    index.tag(upstream, "org/app", "v1");
    index
}

const PLACES: [Place; 5] = [Place::Att, Place::Fallback, Place::Referrers, Place::ReferrersPaged, Place::Sig];

#[tokio::test]
async fn a_signature_counts_in_each_layout_alone() {
    for place in PLACES {
        let stage = Stage::new().await;
        let image = place.put(&stage.upstream, &stage.signer);
        let answer = stage.manifest("org/app", "v1").await;
        assert_eq!(answer.status, 200, "{place:?}: {}", answer.message());
        assert_serves(&answer, &image);
        let record = stage.gate.record().await;
        assert_eq!(record["ground"], "satisfied", "{place:?}");
    }
}

#[tokio::test]
async fn a_strangers_signature_counts_in_no_layout() {
    for place in PLACES {
        let stage = Stage::new().await;
        place.put(&stage.upstream, &Signer::new());
        assert_denied(&stage.manifest("org/app", "v1").await);
        assert_eq!(codes(&stage.gate.record().await), ["unknown-authority"], "{place:?}");
    }
}

#[tokio::test]
async fn a146_a_layout_that_could_not_be_asked_leaves_the_verdict_open() {
    for place in PLACES {
        for status in [500, 503, 401, 403, 429] {
            let stage = Stage::new().await;
            let image = place.put(&stage.upstream, &stage.signer);
            stage.upstream.fail(When::on(place.requests(&image)), Fault::Status(status));
            assert_undecided(&stage.manifest("org/app", "v1").await);
            assert_eq!(codes(&stage.gate.record().await), ["evidence-unavailable"], "{place:?} {status}");
            stage.upstream.heal();
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
        }
    }
}

#[tokio::test]
async fn a147_one_layout_that_fails_does_not_hide_a_signature_in_another() {
    for place in PLACES {
        for broken in PLACES {
            let stage = Stage::new().await;
            let image = place.put(&stage.upstream, &stage.signer);
            if place.requests(&image) == broken.requests(&image) {
                continue;
            }
            stage.upstream.fail(When::on(broken.requests(&image)), Fault::Status(500));
            assert_serves(&stage.manifest("org/app", "v1").await, &image);
        }
    }
}

#[tokio::test]
async fn a146_a_registry_without_the_layout_is_normal() {
    for status in [404, 405, 501, 400] {
        let stage = Stage::new().await;
        stage.upstream.fail(When::on("referrers"), Fault::Status(status));
        let image = stage.signed("org/app", "v1");
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        stage.unsigned("org/app", "bad");
        assert_denied(&stage.manifest("org/app", "bad").await);
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"], "{status}");
    }
    let stage = Stage::new().await;
    stage.upstream.fail(
        When::on("referrers"),
        Fault::Answer(200, "application/vnd.oci.image.index.v1+json", Vec::new()),
    );
    stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", "bad").await);
}

#[tokio::test]
async fn an_attestation_manifest_of_buildkit_is_found_in_the_index_that_is_judged() {
    let stage = Stage::new().await;
    let index = buildkit(&stage.upstream, &stage.signer);
    // It is about the image, not about the index: it signs nothing of what is asked for.
    assert_denied(&stage.manifest("org/app", &index.digest()).await);
    let record = stage.gate.record().await;
    assert!(record.to_string().contains("subject-mismatch"), "{record}");
    let signed = buildkit(&stage.upstream, &stage.signer);
    stage.sign("org/app", &signed);
    assert_serves(&stage.manifest("org/app", &signed.digest()).await, &signed);
}

#[tokio::test]
async fn a_separate_evidence_repository_is_asked_beside_the_images_own() {
    let elsewhere = Upstream::start().await.unwrap();
    let stage = Stage::with(KEYED, |setup| {
        setup
            .its("evidence = \"evidence.test/signatures\"")
            .upstream("evidence.test", &format!("url = \"{}\"", elsewhere.url()))
    })
    .await;
    let (apart, own, none) = (
        stage.unsigned("org/app", "apart"),
        stage.signed("org/app", "own"),
        stage.unsigned("org/app", "none"),
    );
    stage.signer.sign_at(&elsewhere, "signatures", &apart.digest());
    assert_serves(&stage.manifest("org/app", "apart").await, &apart);
    assert_serves(&stage.manifest("org/app", "own").await, &own);
    assert_denied(&stage.manifest("org/app", "none").await);
    elsewhere.fail(When::on(evidence_tag(&none.digest(), ".sig")), Fault::Status(500));
    let other = stage.unsigned("org/app", "other");
    elsewhere.fail(When::on(evidence_tag(&other.digest(), ".sig")), Fault::Status(500));
    assert_undecided(&stage.manifest("org/app", "other").await);
}

#[tokio::test]
async fn a152_a_signature_of_another_image_in_the_evidence_repository_counts_for_nothing() {
    let elsewhere = Upstream::start().await.unwrap();
    let stage = Stage::with(KEYED, |setup| {
        setup
            .its("evidence = \"evidence.test/signatures\"")
            .upstream("evidence.test", &format!("url = \"{}\"", elsewhere.url()))
    })
    .await;
    let (image, other) = (stage.unsigned("org/app", "v1"), Made::image());
    carrier(vec![stage.signer.signature(&other.digest())]).tag(
        &elsewhere,
        "signatures",
        &evidence_tag(&image.digest(), ".sig"),
    );
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert!(stage.gate.record().await.to_string().contains("digest-mismatch"));
}
