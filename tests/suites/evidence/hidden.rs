//! Evidence that is hidden, points elsewhere, or is about evidence: nothing is met by absence, and no pointer is followed.

use std::time::Duration;

use jiff::Timestamp;
use pullgate::clock::Clock;
use pullgate_tests::made::{INDEX, LAYER, Layer, Made, fresh, with};
use pullgate_tests::signing::{BUNDLE, SIGN_PREDICATE, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::ReferrersApi;
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes};

#[tokio::test]
async fn a122_evidence_that_is_taken_away_neither_permits_nor_renews_a_permit() {
    let clock = Clock::settable(Timestamp::now());
    let stage = Stage::at(&clock, KEYED).await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.unsigned("org/app", "v1");
    let bundle = referrer(&image.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
    bundle.put(&stage.upstream, "org/app");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // The list shrinks: yesterday's answer is shown, or none.
    stage.upstream.remove("org/app", &bundle.digest());
    let hour = Duration::from_secs(3_600);
    clock.advance(hour - Duration::from_secs(60));
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    // Decided anew under another policy, from what was kept: that begins no new hour.
    stage.reload(&format!("{KEYED}# another revision\n")).await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    clock.advance(Duration::from_secs(61));
    assert_denied(&stage.manifest("org/app", &image.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
    assert_denied(&stage.blob("org/app", &image.layer()).await);
    // Absence meets nothing, of an image that never had any either.
    stage.unsigned("org/app", "v2");
    assert_denied(&stage.manifest("org/app", "v2").await);
    bundle.put(&stage.upstream, "org/app");
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a129_neither_a_subject_nor_the_referrers_of_evidence_are_followed() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    // A names B as its subject, B names A's tag: signatures of B say nothing of A.
    let signed = stage.signed("org/app", "signed");
    let pointing = Made::manifest(
        ("application/vnd.oci.image.config.v1+json", b"{}".to_vec()),
        vec![Layer::new(LAYER, b"a layer".to_vec())],
        json!({ "subject": signed.descriptor() }),
    );
    pointing.tag(&stage.upstream, "org/app", "v1");
    stage.upstream.forget();
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["no-evidence"]);
    let of_subject = evidence_tag(&signed.digest(), "");
    assert_eq!(stage.upstream.count(&of_subject) + stage.upstream.count(&signed.digest()), 0);
    // Evidence about evidence about evidence: one level is asked for.
    let image = stage.unsigned("org/app", "v2");
    let mut above = image.descriptor();
    let mut chain = Vec::new();
    for _ in 0..5 {
        let link = referrer(&above, Signer::new().bundle(&image.digest(), SIGN_PREDICATE));
        link.put(&stage.upstream, "org/app");
        above = link.descriptor();
        chain.push(link);
    }
    stage.upstream.forget();
    assert_denied(&stage.manifest("org/app", "v2").await);
    assert_eq!(stage.upstream.count("/referrers/"), 1, "{:?}", stage.upstream.seen());
    assert_eq!(stage.upstream.count(&chain[0].digest()), 1);
    assert!(chain[1..].iter().all(|link| stage.upstream.count(&link.digest()) == 0));
    stage.sign("org/app", &image);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v2").await, &image);
}

#[tokio::test]
async fn a135_types_that_tell_three_stories_open_nothing_and_are_no_fault() {
    let stage = Stage::new().await;
    let layer = || Layer::new("application/vnd.oci.image.layer.v1.tar+gzip", fresh().into_bytes());
    let stories = [
        // (artifactType, config's type, the layer)
        (BUNDLE, "application/vnd.oci.image.config.v1+json", layer()),
        ("application/vnd.cncf.helm.chart", "application/vnd.oci.empty.v1+json", layer()),
        (INDEX, "application/vnd.dev.cosign.simplesigning.v1+json", layer()),
        ("application/vnd.dev.cosign.simplesigning.v1+json", BUNDLE, layer()),
    ];
    for (at, (artifact, config, layer)) in stories.into_iter().enumerate() {
        let more = json!({ "artifactType": artifact, "annotations": { "n": at.to_string() } });
        let made = Made::manifest((config, b"{}".to_vec()), vec![layer], more);
        let tag = format!("v{at}");
        made.tag(&stage.upstream, "org/app", &tag);
        assert_denied(&stage.manifest("org/app", &tag).await);
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"], "{artifact} {config}");
        assert_denied(&stage.blob("org/app", &made.layer()).await);
        stage.sign("org/app", &made);
        stage.gate.app().memory.forget_denials();
        assert_serves(&stage.manifest("org/app", &tag).await, &made);
    }
}

#[tokio::test]
async fn a153_an_attestation_manifest_counts_for_what_its_signed_statement_names() {
    let stage = Stage::new().await;
    let (image, other) = (Made::image(), Made::image());
    for (tag, about, marked) in [
        ("another-image", other.digest(), image.digest()),
        ("the-child-that-is-listed", image.digest(), image.digest()),
        ("marks-of-another", image.digest(), other.digest()),
    ] {
        let note = carrier(vec![stage.signer.attestation(&about, SIGN_PREDICATE)]);
        let marks = json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": marked });
        let listed = [
            with(image.descriptor(), json!({ "platform": { "os": "linux", "architecture": "amd64" } })),
            with(note.descriptor(), json!({ "annotations": marks })),
        ];
        let index = Made::index_of(&listed, vec![image.clone(), note]);
        index.tag(&stage.upstream, "org/app", tag);
        assert_denied(&stage.manifest("org/app", tag).await);
        let record = stage.gate.record().await;
        assert!(codes(&record).contains(&"subject-mismatch".to_owned()), "{tag}: {record}");
        stage.sign("org/app", &index);
        stage.gate.app().memory.forget_denials();
        assert_serves(&stage.manifest("org/app", tag).await, &index);
    }
}
