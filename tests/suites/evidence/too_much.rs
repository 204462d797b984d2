//! Evidence of which not all is read, or that cannot be fetched: what is left out is named, and what may hold the good
//! one is no denial.

use pullgate::upstream::limits::REFERRERS_PAGES;
use pullgate_policy::limits::{EVIDENCE_FETCHES, INDEX_CHILDREN, LAYERS_PER_MANIFEST, MANIFEST_BYTES};
use pullgate_tests::made::{Layer, Made, fresh, with};
use pullgate_tests::signing::{SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier, evidence_tag, referrer};
use pullgate_tests::upstream::{Fault, ReferrersApi, When};
use serde_json::{Value, json};

use crate::stage::{Stage, assert_denied, assert_serves, assert_undecided, blob, codes};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

/// A list of referrers with these bytes.
fn list(bytes: Vec<u8>) -> Fault {
    Fault::Answer(200, INDEX, bytes)
}

fn empty_list() -> Vec<u8> {
    json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] }).to_string().into_bytes()
}

#[tokio::test]
async fn a144_a_list_of_referrers_that_is_not_read_to_its_end_is_named() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let endless = |n: usize| format!("</v2/org/app/referrers/SUBJECT?page={n}>; rel=\"next\"");
    for (what, read) in [("pages without end", "page"), ("in a circle", "circle"), ("too large", "large")] {
        let tag = fresh();
        let image = stage.unsigned("org/app", &tag);
        let digest = image.digest();
        let path = format!("referrers/{digest}");
        match read {
            "page" => {
                for n in 0..=REFERRERS_PAGES {
                    let when = if n == 0 { format!("{path}$") } else { format!("{path}?page={n}$") };
                    let link = endless(n + 1).replace("SUBJECT", &digest);
                    stage.upstream.fail(When::on(when), Fault::Header("link", link));
                }
            }
            "circle" => {
                let link = format!("</v2/org/app/{path}>; rel=\"next\"");
                stage.upstream.fail(When::on(path), Fault::Header("link", link));
            }
            _ => {
                let mut bytes = empty_list();
                bytes.resize(usize::try_from(MANIFEST_BYTES).unwrap() + 1, b' ');
                stage.upstream.fail(When::on(path), list(bytes));
            }
        }
        assert_denied(&stage.manifest("org/app", &tag).await);
        let record = stage.gate.record().await;
        assert!(codes(&record).contains(&"referrers-incomplete".to_owned()), "{what}: {record}");
        stage.upstream.heal();
        let twin = stage.unsigned("org/app", &fresh());
        assert_denied(&stage.manifest("org/app", &twin.digest()).await);
        let record = stage.gate.record().await;
        assert!(!codes(&record).contains(&"referrers-incomplete".to_owned()), "a whole list: {record}");
    }
}

#[tokio::test]
async fn a141_a_fallback_index_that_is_too_large_is_named() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let listed = |count: usize| -> Vec<Value> {
        let one = |n: usize| with(Made::image().descriptor(), json!({ "size": n }));
        (0..count).map(one).collect()
    };
    let index = Made::index_of(&listed(INDEX_CHILDREN + 1), vec![]);
    index.tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ""));
    assert_denied(&stage.manifest("org/app", "v1").await);
    let record = stage.gate.record().await;
    assert!(codes(&record).contains(&"referrers-incomplete".to_owned()), "{record}");
    stage.sign("org/app", &image);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn a141_a_sig_tag_with_more_layers_than_are_read_is_too_much_and_not_nothing() {
    let stage = Stage::new().await;
    for count in [LAYERS_PER_MANIFEST, 9_999] {
        let tag = fresh();
        let image = stage.unsigned("org/app", &tag);
        let junk = |n: usize| Layer::new(SIMPLE_SIGNING, n.to_string().into_bytes());
        let mut layers: Vec<_> = (0..count).map(junk).collect();
        layers.push(stage.signer.signature(&image.digest()));
        carrier(layers).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
        assert_denied(&stage.manifest("org/app", &tag).await);
        assert_eq!(codes(&stage.gate.record().await)[0], "evidence-limit", "{count}");
    }
}

#[tokio::test]
async fn a141_manifests_and_what_they_carry_are_counted_together() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    for (bundles, over) in [(EVIDENCE_FETCHES / 2, false), (EVIDENCE_FETCHES, true)] {
        let tag = fresh();
        let image = stage.unsigned("org/app", &tag);
        for _ in 0..bundles {
            let bundle = Signer::new().bundle(&image.digest(), SIGN_PREDICATE);
            referrer(&image.descriptor(), bundle).put(&stage.upstream, "org/app");
        }
        stage.upstream.forget();
        assert_denied(&stage.manifest("org/app", &tag).await);
        let fetched = stage.upstream.count("manifests/sha256:") + stage.upstream.count("blobs/sha256:");
        assert_eq!(fetched, EVIDENCE_FETCHES);
        let denied = codes(&stage.gate.record().await);
        assert_eq!(denied.contains(&"evidence-limit".to_owned()), over, "{denied:?}");
    }
}

#[tokio::test]
async fn a161_evidence_behind_a_redirect_inward_is_undecided_and_no_denial_is_remembered() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let layer = stage.signer.signature(&image.digest());
    let signature = pullgate_tests::clients::content::sha256(&layer.bytes);
    carrier(vec![layer]).tag(&stage.upstream, "org/app", &evidence_tag(&image.digest(), ".sig"));
    for to in ["http://169.254.169.254/latest", "http://127.0.0.2:9/blob"] {
        let path = blob("org/app", &signature);
        stage.upstream.fail(When::on(path), Fault::Redirect(to.to_owned()));
        assert_undecided(&stage.manifest("org/app", "v1").await);
        assert_eq!(codes(&stage.gate.record().await), ["redirect-refused"], "{to}");
        stage.upstream.heal();
    }
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
}

#[tokio::test]
async fn what_refers_to_evidence_is_not_asked_for() {
    let stage = Stage::new().await;
    stage.upstream.set_referrers(ReferrersApi::Whole);
    let image = stage.unsigned("org/app", "v1");
    let stranger = Signer::new().bundle(&image.digest(), SIGN_PREDICATE);
    let first = referrer(&image.descriptor(), stranger);
    first.put(&stage.upstream, "org/app");
    let endorsed = referrer(&first.descriptor(), stage.signer.bundle(&image.digest(), SIGN_PREDICATE));
    endorsed.put(&stage.upstream, "org/app");
    stage.sign("org/app", &first);
    assert_denied(&stage.manifest("org/app", "v1").await);
    for asked in [format!("referrers/{}", first.digest()), evidence_tag(&first.digest(), ".sig")] {
        assert_eq!(stage.upstream.count(&asked), 0, "{asked}");
    }
    let twin = stage.unsigned("org/app", "v2");
    referrer(&twin.descriptor(), stage.signer.bundle(&twin.digest(), SIGN_PREDICATE))
        .put(&stage.upstream, "org/app");
    assert_serves(&stage.manifest("org/app", "v2").await, &twin);
}
