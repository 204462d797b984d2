//! Payloads: their claims and their forms.

use pullgate_policy::oci::Digest;
use pullgate_tests::made::{Layer, Made};
use pullgate_tests::signing::{DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, When};

use crate::evidence::subject::{assert_skipped, attach};
use crate::stage::{KEYED, Stage, assert_denied, codes};

#[tokio::test]
async fn a126_evidence_that_two_readers_read_differently_is_skipped_whoever_signed_it() {
    for (what, from, to) in [
        ("a key twice", "\"optional\"", "\"critical\":{},\"optional\""),
        ("keys equal but for case", "\"optional\"", "\"Critical\":{},\"optional\""),
        (
            "a key twice, deep",
            "\"docker-manifest-digest\"",
            "\"docker-manifest-digest\":\"sha256:0\",\"docker-manifest-digest\"",
        ),
        ("trailing data", "\"optional\":null}", "\"optional\":null}{}"),
        ("a lone surrogate", "\"optional\":null", "\"optional\":{\"a\":\"\\ud800\"}"),
        ("no number", "\"optional\":null", "\"optional\":{\"a\":NaN}"),
        ("a number that nobody holds", "\"optional\":null", "\"optional\":{\"a\":1e999}"),
    ] {
        let payload = |stage: &Stage, image: &Made| {
            let good = stage.signer.signature(&image.digest());
            let text = String::from_utf8(good.bytes).unwrap();
            let spoilt = text.replacen(from, to, 1);
            assert_ne!(spoilt, text, "{what}");
            stage.signer.signed(SIMPLE_SIGNING, spoilt.into_bytes())
        };
        assert_skipped(what, payload, "payload-invalid").await;
    }
    for (what, before) in [("a byte order mark", &b"\xef\xbb\xbf"[..]), ("no UTF-8", b"\xff"), ("NUL", b"\0")]
    {
        let payload = |stage: &Stage, image: &Made| {
            let good = stage.signer.signature(&image.digest());
            stage.signer.signed(SIMPLE_SIGNING, [before, &good.bytes].concat())
        };
        assert_skipped(what, payload, "payload-invalid").await;
    }
    // The same of a statement that is signed, and of the envelope and the bundle around one.
    let statement = |image: &Made| {
        format!(
            "{{\"_type\":\"https://in-toto.io/Statement/v1\",\"subject\":[{{\"digest\":{{\"sha256\":\"{}\"}}}}],\"Subject\":[],\
             \"predicateType\":\"{SIGN_PREDICATE}\",\"predicate\":{{}}}}",
            image.digest().trim_start_matches("sha256:")
        )
    };
    assert_skipped(
        "a statement",
        |stage, image| {
            Layer::new(DSSE, stage.signer.envelope_of(statement(image).as_bytes()).to_string().into_bytes())
        },
        "statement-invalid",
    )
    .await;
    let twice = |layer: Layer, key: &str| {
        let text = String::from_utf8(layer.bytes).unwrap();
        let spoilt = text.replacen(key, &format!("{key}:[],{key}"), 1);
        assert_ne!(spoilt, text);
        Layer { bytes: spoilt.into_bytes(), ..layer }
    };
    assert_skipped(
        "an envelope",
        |stage, image| twice(stage.signer.attestation(&image.digest(), SIGN_PREDICATE), "\"signatures\""),
        "payload-invalid",
    )
    .await;
    assert_skipped(
        "a bundle",
        |stage, image| twice(stage.signer.bundle(&image.digest(), SIGN_PREDICATE), "\"signatures\""),
        "bundle-invalid",
    )
    .await;
}

#[tokio::test]
async fn a204_the_repository_of_a_payload_is_recorded_and_required_on_demand() {
    let named = |stage: &Stage, image: &Made, reference: &str| {
        let payload = String::from_utf8(stage.signer.signature(&image.digest()).bytes).unwrap();
        let payload = payload.replacen("\"registry.test/app\"", &format!("\"{reference}\""), 1);
        stage.signer.signed(SIMPLE_SIGNING, payload.into_bytes())
    };
    let asked = KEYED.replace("[[policy.require]]", "[[policy.require]]\nclaimed_reference = true");
    let (free, strict) = (Stage::new().await, Stage::on(&asked).await);
    for (at, (reference, own)) in [
        ("registry.test/org/app", true),
        ("registry.test/org/app:v1", true),
        ("REGISTRY.test/org/app@sha256:00", true),
        ("registry.test/org/debug", false),
        ("registry.test/org/app/debug", false),
        ("registry.test:443/org/app", false),
        ("org/app", false),
        ("", false),
    ]
    .into_iter()
    .enumerate()
    {
        for (stage, status) in [(&free, 200), (&strict, if own { 200 } else { 403 })] {
            let tag = format!("v{at}");
            let image = stage.unsigned("org/app", &tag);
            attach(stage, &image, vec![named(stage, &image, reference)]);
            assert_eq!(stage.manifest("org/app", &tag).await.status, status, "{reference}");
            let codes = codes(&stage.gate.record().await);
            let (differs, mismatch) = (!own && status == 200, status == 403);
            assert_eq!(
                codes.contains(&"claimed-reference-differs".to_owned()),
                differs,
                "{reference} {codes:?}"
            );
            assert_eq!(
                codes.contains(&"claimed-reference-mismatch".to_owned()),
                mismatch,
                "{reference} {codes:?}"
            );
        }
    }
    // It is told of a permit that is remembered too.
    assert_eq!(free.manifest("org/app", "v3").await.status, 200);
    assert_eq!(codes(&free.gate.record().await), ["claimed-reference-differs"]);
    // A bundle names none.
    let image = strict.unsigned("org/app", "bundle");
    strict.upstream.set_referrers(ReferrersApi::Whole);
    referrer(&image.descriptor(), strict.signer.bundle(&image.digest(), SIGN_PREDICATE))
        .put(&strict.upstream, "org/app");
    assert_denied(&strict.manifest("org/app", "bundle").await);
}

#[tokio::test]
async fn a205_a_signature_is_over_the_payloads_own_bytes() {
    let over = |stage: &Stage, image: &Made, what: &dyn Fn(&[u8]) -> Vec<u8>| {
        let good = stage.signer.signature(&image.digest());
        let of_others = stage.signer.signed(SIMPLE_SIGNING, what(&good.bytes));
        Layer { bytes: good.bytes, ..of_others }
    };
    for (what, bytes) in [
        (
            "the digest's text",
            (|payload| Digest::of(payload).to_string().into_bytes()) as fn(&[u8]) -> Vec<u8>,
        ),
        ("the digest's bytes", |payload| hex::decode(Digest::of(payload).hex()).unwrap()),
        ("the payload and a newline", |payload| [payload, b"\n"].concat()),
        ("another form of the same JSON", |payload| {
            let value: serde_json::Value = serde_json::from_slice(payload).unwrap();
            serde_json::to_vec_pretty(&value).unwrap()
        }),
    ] {
        let layer = |stage: &Stage, image: &Made| over(stage, image, &bytes);
        assert_skipped(what, layer, "unknown-authority").await;
    }
    // A registry that gives other bytes than the signature's manifest lists gives no signature.
    let stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    let layer = Digest::of(&stage.signer.signature(&image.digest()).bytes).to_string();
    stage.upstream.fail(When::on(format!("blobs/{layer}")), Fault::Flip(-1));
    assert_ne!(stage.manifest("org/app", "v1").await.status, 200);
    let twin = stage.signed("org/app", "v2");
    assert_eq!(stage.manifest("org/app", "v2").await.status, 200, "{}", twin.digest());
}
