//! Side doors to content, and that each way of asking for the same thing gets the same answer.

use pullgate_policy::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::made::{CONFIG, INDEX, LAYER, Layer, Made, fresh};
use pullgate_tests::signing::{
    BUNDLE, DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier, evidence_tag, referrer,
};
use pullgate_tests::upstream::ReferrersApi;
use serde_json::json;

use crate::stage::{KEYED, Stage, WELL_FORMED, assert_denied, assert_serves, blob, codes, manifest};

fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes)))
}

/// Refused, for this reason alone.
async fn assert_refused(stage: &Stage, target: &str, code: &str) {
    let answer = stage.gate.get(target).await;
    assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{target}");
    assert_eq!(codes(&stage.gate.record().await), [code], "{target}");
    let head = stage.gate.head(target).await;
    assert_eq!((head.status, head.body.len()), (403, 0), "{target}");
    assert_eq!(codes(&stage.gate.record().await), [code], "HEAD {target}");
}

#[tokio::test]
async fn the_digest_of_a_refused_image_opens_nothing_however_it_is_asked_for() {
    let stage = Stage::new().await;
    let bad = stage.unsigned("org/app", "bad");
    let good = stage.signed("org/app", "good");
    for image in [&bad, &good] {
        stage.upstream.tag("org/app", &sha512(&image.bytes), &image.digest());
        image.put(&stage.upstream, "org/other");
    }
    let doors = |image: &Made| {
        vec![
            manifest("org/app", &image.digest()),
            manifest("org/app", &sha512(&image.bytes)),
            manifest("registry.test/org/app", &image.digest()),
            format!("{}?ns=registry.test", manifest("org/app", &image.digest())),
        ]
    };
    let conditions = [
        ("range", "bytes=0-0".to_owned()),
        ("if-none-match", format!("\"{}\"", bad.digest())),
        ("if-match", "*".to_owned()),
        ("if-range", format!("\"{}\"", bad.digest())),
        ("if-modified-since", "Thu, 01 Jan 2099 00:00:00 GMT".to_owned()),
        ("if-unmodified-since", "Thu, 01 Jan 1970 00:00:00 GMT".to_owned()),
    ];
    for target in doors(&bad) {
        assert_refused(&stage, &target, "no-evidence").await;
        for (name, value) in &conditions {
            for method in ["GET", "HEAD"] {
                let answer = ask(stage.gate.data, method, &target, &[(name, value)]).await;
                assert_eq!(answer.status, 403, "{method} {target} {name}");
                assert_eq!(answer.header("content-range"), None);
            }
        }
    }
    assert_refused(&stage, &manifest("org/other", &bad.digest()), "no-evidence").await;
    assert_eq!(stage.blob("org/app", &bad.digest()).await.status, 404);
    for digest in [bad.layer(), bad.config()] {
        assert_refused(&stage, &blob("org/app", &digest), "not-granted").await;
        assert_refused(&stage, &blob("org/other", &digest), "not-granted").await;
    }
    for target in doors(&good) {
        assert_eq!(stage.gate.get(&target).await.body.to_vec(), good.bytes, "{target}");
    }
    assert_refused(&stage, &manifest("org/other", &good.digest()), "no-evidence").await;
}

#[tokio::test]
async fn a013_by_sha512_a_block_an_exemption_and_a_permit_are_those_of_the_sha256() {
    let exempt = |digest: &str| {
        format!("[[exempt]]\ndigest = \"{digest}\"\nuntil = 2999-01-01\nowner = \"me\"\nreason = \"x\"\n")
    };
    let stage = Stage::new().await;
    let (good, free, bad) = (
        stage.signed("org/app", "good"),
        stage.unsigned("org/app", "free"),
        stage.unsigned("org/app", "bad"),
    );
    for image in [&good, &free, &bad] {
        stage.upstream.tag("org/app", &sha512(&image.bytes), &image.digest());
    }
    let exempted = format!("{KEYED}{}", exempt(&free.digest()));
    stage.reload(&exempted).await;
    assert_refused(&stage, &manifest("org/app", &sha512(&bad.bytes)), "no-evidence").await;
    for (image, ground) in [(&good, "satisfied"), (&free, "exempt")] {
        let answer = stage.manifest("org/app", &sha512(&image.bytes)).await;
        assert_eq!((answer.status, answer.body.to_vec()), (200, image.bytes.clone()));
        let record = stage.gate.record().await;
        assert_eq!((record["ground"].as_str(), &record["digest"]), (Some(ground), &json!(image.digest())));
        let block =
            format!("{exempted}[[block]]\ndigest = \"{}\"\nreason = \"CVE-2026-0001\"\n", image.digest());
        stage.reload(&block).await;
        assert_refused(&stage, &manifest("org/app", &sha512(&image.bytes)), "blocked").await;
        assert_refused(&stage, &manifest("org/app", &image.digest()), "blocked").await;
        stage.reload(&exempted).await;
    }
    // A permit under the one name is the permit under the other.
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &good.digest()).await, &good);
    assert_eq!(stage.upstream.count(".sig"), 0);
}

#[tokio::test]
async fn a023_what_a_grant_rested_on_is_told_by_its_code_and_costs_no_request() {
    let stage = Stage::new().await;
    let index = Made::index(vec![Made::image(), Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    let child = &index.children[0];
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    for digest in [child.config(), child.layer()] {
        assert_eq!(stage.blob("org/app", &digest).await.status, 200);
    }
    let block = format!("{KEYED}[[block]]\ndigest = \"{}\"\nreason = \"x\"\n", index.digest());
    stage.reload(&block).await;
    stage.upstream.forget();
    for digest in [child.config(), child.layer()] {
        let answer = stage.blob("org/app", &digest).await;
        assert_denied(&answer);
        let record = stage.gate.record().await;
        assert!(["blocked", "not-granted"].contains(&codes(&record)[0].as_str()), "{record}");
    }
    assert_denied(&stage.manifest("org/app", &index.digest()).await);
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
    assert_eq!(stage.upstream.count("GET /v2/org/app/blobs/"), 0, "no byte of it is fetched for a refusal");
    stage.reload(KEYED).await;
    stage.upstream.forget();
    assert_serves(&stage.manifest("org/app", &child.digest()).await, child);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
    assert_eq!(stage.upstream.seen().len(), 0, "decided again from kept evidence");
}

#[tokio::test]
async fn a024_no_manifest_leaves_by_the_blob_route_by_any_method_or_spelling() {
    let stage = Stage::new().await;
    let bad = stage.unsigned("org/app", "bad");
    let index = Made::index(vec![Made::image()]);
    index.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &index);
    let child = index.children[0].clone();
    for made in [&bad, &index, &child] {
        stage.upstream.blob("org/app", &made.bytes);
    }
    assert_eq!(stage.gate.head(&manifest("org/app", &bad.digest())).await.status, 403);
    assert_serves(&stage.manifest("org/app", "v1").await, &index);
    assert_serves(&stage.manifest("org/app", &child.digest()).await, &child);
    stage.upstream.forget();
    for made in [&bad, &index, &child] {
        for target in [blob("org/app", &made.digest()), blob("registry.test/org/app", &made.digest())] {
            for method in ["GET", "HEAD"] {
                for headers in [&[][..], &[("range", "bytes=0-")], &[("range", "bytes=0-0")]] {
                    let answer = ask(stage.gate.data, method, &target, headers).await;
                    assert_eq!(answer.status, 404, "{method} {target}");
                    assert!(method == "HEAD" || answer.code() == "BLOB_UNKNOWN");
                }
            }
        }
    }
    assert_eq!(stage.upstream.seen().len(), 0);
    assert_eq!(stage.blob("org/app", &child.layer()).await.status, 200);
}

#[tokio::test]
async fn a026_no_ground_of_a_permit_opens_a_layer_that_its_repository_lacks() {
    let weak = "[[policy]]\nname = \"dev\"\nscope = [\"registry.test/org/dev/**\"]\ninsecure_permit_anything = true\n\
        [[policy]]\nname = \"warned\"\nscope = [\"registry.test/org/warned/**\"]\nmode = \"warn\"\n\
        [[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
    let stage = Stage::on(&format!("{KEYED}{weak}")).await;
    let private = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &private);
    assert_eq!(stage.blob("org/app", &private.layer()).await.status, 200);
    for repository in ["org/dev/app", "org/warned/app"] {
        let digest = stage.upstream.manifest(repository, &private.media_type, &private.bytes);
        stage.upstream.tag(repository, "v1", &digest);
        assert_eq!(stage.manifest(repository, "v1").await.status, 200);
        for method in ["GET", "HEAD"] {
            for headers in [&[][..], &[("range", "bytes=0-0")]] {
                let target = blob(repository, &private.layer());
                let answer = ask(stage.gate.data, method, &target, headers).await;
                assert_eq!(answer.status, 404, "{method} {repository}");
                assert!(method == "HEAD" || answer.code() == "BLOB_UNKNOWN");
            }
        }
        stage.upstream.blob(repository, &private.blobs[1]);
        assert_eq!(stage.blob(repository, &private.layer()).await.body.to_vec(), private.blobs[1]);
    }
}

#[tokio::test]
async fn a031_what_unpacks_is_judged_whatever_its_layers_are_called() {
    let stage = Stage::new().await;
    let tar = || {
        let content = pullgate_tests::clients::image::single("x", &fresh());
        content.blobs.into_iter().max_by_key(Vec::len).unwrap()
    };
    let about = stage.unsigned("org/app", "v1").digest();
    let honest = stage.signer.signature(&about);
    for clothes in [
        SIMPLE_SIGNING,
        DSSE,
        BUNDLE,
        "application/vnd.dev.sigstore.bundle+json;version=0.1",
        "application/vnd.in-toto+json",
        "application/spdx+json",
    ] {
        // Alone, before and behind a true signature.
        let dressed = || Layer::new(clothes, tar());
        for layers in [vec![dressed()], vec![dressed(), honest.clone()], vec![honest.clone(), dressed()]] {
            let image = Made::image_of(layers);
            let tag = evidence_tag(&Made::image().digest(), ".sig");
            image.tag(&stage.upstream, "org/app", &tag);
            assert_refused(&stage, &manifest("org/app", &tag), "no-evidence").await;
            assert_refused(&stage, &manifest("org/app", &image.digest()), "no-evidence").await;
            for blob_of in &image.blobs {
                let digest = pullgate_tests::clients::content::sha256(blob_of);
                assert_refused(&stage, &blob("org/app", &digest), "not-granted").await;
            }
        }
    }
    let true_one = carrier(vec![honest]);
    true_one.tag(&stage.upstream, "org/app", "honest");
    assert_serves(&stage.manifest("org/app", "honest").await, &true_one);
    assert_eq!(stage.blob("org/app", &true_one.layer()).await.status, 200);
}

#[tokio::test]
async fn a031_more_layers_of_evidence_than_are_read_do_not_pass_and_the_denial_says_so() {
    let stage = Stage::new().await;
    let layer = stage.signer.signature(&stage.unsigned("org/app", "v1").digest());
    let of = |count: usize| carrier(vec![layer.clone(); count]);
    let (fits, over) = (of(limits::SIGNATURES_MAX), of(limits::SIGNATURES_MAX + 1));
    fits.tag(&stage.upstream, "org/app", "fits");
    over.tag(&stage.upstream, "org/app", "over");
    assert_serves(&stage.manifest("org/app", "fits").await, &fits);
    assert_denied(&stage.manifest("org/app", "over").await);
    let record = stage.gate.record().await;
    assert_eq!(codes(&record)[0], "evidence-limit", "{record}");
    // Signed like an image it is one.
    stage.sign("org/app", &over);
    stage.gate.app().memory.forget_denials();
    assert_serves(&stage.manifest("org/app", "over").await, &over);
}

#[tokio::test]
async fn a032_a_payload_in_config_or_data_is_no_layer() {
    let stage = Stage::new().await;
    let signature = stage.signer.signature(&stage.unsigned("org/app", "v1").digest());
    let in_config = Made::manifest((SIMPLE_SIGNING, signature.bytes.clone()), Vec::new(), json!({}));
    let in_image_config = Made::manifest((CONFIG, signature.bytes.clone()), Vec::new(), json!({}));
    let config = b"{}".to_vec();
    let mut without = json!({ "schemaVersion": 2, "mediaType": pullgate_tests::made::MANIFEST });
    without["config"] = pullgate_tests::made::descriptor(CONFIG, &config);
    without["config"]["data"] = json!("e30=");
    let no_layers =
        Made::from_bytes(pullgate_tests::made::MANIFEST, without.to_string().into_bytes(), vec![config]);
    for (tag, made) in [("config", in_config), ("image-config", in_image_config), ("data", no_layers)] {
        made.tag(&stage.upstream, "org/app", tag);
        assert_denied(&stage.manifest("org/app", tag).await);
        let record = stage.gate.record().await;
        let expected = ["no-evidence", "manifest-invalid", "manifest-unsupported"];
        assert!(expected.contains(&codes(&record)[0].as_str()), "{tag}: {record}");
        assert_denied(&stage.blob("org/app", &made.config()).await);
    }
    let honest = carrier(vec![signature]);
    honest.tag(&stage.upstream, "org/app", "honest");
    assert_serves(&stage.manifest("org/app", "honest").await, &honest);
}

#[tokio::test]
async fn a034_no_index_passes_as_evidence_and_each_true_child_of_it_does() {
    let stage = Stage::on(WELL_FORMED).await;
    stage.upstream.set_referrers(ReferrersApi::Absent);
    let image = stage.unsigned("org/app", "v1");
    let bundle = referrer(&image.descriptor(), Signer::new().bundle(&image.digest(), SIGN_PREDICATE));
    let nested = Made::index(vec![image.clone()]);
    let tag = evidence_tag(&image.digest(), "");
    for (what, listed, children) in [
        ("the refused image alone", vec![image.descriptor()], vec![image.clone()]),
        (
            "an image beside evidence",
            vec![bundle.descriptor(), image.descriptor()],
            vec![bundle.clone(), image.clone()],
        ),
        (
            "an image an index below",
            vec![bundle.descriptor(), nested.descriptor()],
            vec![bundle.clone(), nested],
        ),
        ("nothing", Vec::new(), Vec::new()),
        ("evidence and nothing else", vec![bundle.descriptor()], vec![bundle.clone()]),
    ] {
        let index = Made::index_of(&listed, children);
        index.tag(&stage.upstream, "org/app", &tag);
        assert_refused(&stage, &manifest("org/app", &index.digest()), "no-evidence").await;
        assert_denied(&stage.manifest("org/app", &image.digest()).await);
        assert_denied(&stage.blob("org/app", &image.layer()).await);
        assert_eq!(index.media_type, INDEX, "{what}");
    }
    // What it lists is to be had without it.
    let list = stage.gate.get(&format!("/v2/org/app/referrers/{}", image.digest())).await;
    assert_eq!(list.json()["manifests"][0]["digest"], bundle.digest());
    assert_serves(&stage.manifest("org/app", &bundle.digest()).await, &bundle);
}

#[tokio::test]
async fn a035_evidence_with_a_second_reading_is_an_ambiguous_manifest_in_every_place() {
    let stage = Stage::new().await;
    let about = stage.unsigned("org/app", "v1").digest();
    let true_one = carrier(vec![stage.signer.signature(&about)]);
    let text = String::from_utf8(true_one.bytes.clone()).unwrap();
    let image = pullgate_tests::made::descriptor(LAYER, b"runnable");
    for (what, changed) in [
        ("layers twice", text.replacen('{', &format!("{{\"layers\":[{image}],"), 1)),
        ("Layers", text.replacen('{', &format!("{{\"Layers\":[{image}],"), 1)),
        ("LAYERS behind", format!("{},\"LAYERS\":[{image}]}}", text.strip_suffix('}').unwrap())),
        ("Config", text.replacen('{', &format!("{{\"Config\":{image},"), 1)),
        ("a digest twice", text.replacen("\"digest\"", "\"digest\":\"sha256:00\",\"digest\"", 1)),
        ("MediaType of a layer", text.replacen("\"size\"", "\"MediaType\":\"x\",\"size\"", 1)),
        ("escaped", text.replacen('{', &format!("{{\"\\u006cayers\":[{image}],"), 1)),
    ] {
        let made = Made::from_bytes(&true_one.media_type, changed.into_bytes(), true_one.blobs.clone());
        made.tag(&stage.upstream, "org/app", &evidence_tag(&Made::image().digest(), ".sig"));
        let target = manifest("org/app", &made.digest());
        assert_refused(&stage, &target, "manifest-ambiguous").await;
        assert_denied(&stage.blob("org/app", &made.layer()).await);
        assert!(!what.is_empty());
    }
    true_one.tag(&stage.upstream, "org/app", "honest");
    assert_serves(&stage.manifest("org/app", "honest").await, &true_one);
}
