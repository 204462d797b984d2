//! Whose it is: what is known of a digest counts for a repository only where it is present there, by whatever name.

use pullgate_tests::clients::content::sha256;
use pullgate_tests::made::{CONFIG, LAYER, Layer, MANIFEST, Made, descriptor};
use pullgate_tests::signing::{DSSE, SIMPLE_SIGNING, carrier, evidence_tag};
use pullgate_tests::upstream::{Fault, When};
use serde_json::json;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, codes};

/// Evidence may leave by its form, as it always might: then only whose it is keeps it in.
fn well_formed() -> String {
    KEYED.replace("[[policy.require]]", "evidence = \"well-formed\"\n[[policy.require]]")
}

#[tokio::test]
async fn a605_a_manifest_that_names_another_repositorys_evidence_has_none_of_it() {
    for restarted in [false, true] {
        let mut stage = Stage::on(&well_formed()).await;
        let image = stage.signed("private/app", "v1");
        let secret = stage.signer.attestation(&image.digest(), "https://cyclonedx.org/bom");
        let piece = sha256(&secret.bytes);
        carrier(vec![secret.clone()]).tag(
            &stage.upstream,
            "private/app",
            &evidence_tag(&image.digest(), ".att"),
        );
        assert_serves(&stage.manifest("private/app", "v1").await, &image);
        if restarted {
            stage.gate.restart().await;
        }
        // The same manifest in a repository whose upstream does not have the blob.
        let theft = carrier(vec![secret.clone()]);
        stage.upstream.manifest("public/mine", MANIFEST, &theft.bytes);
        stage.upstream.blob("public/mine", &theft.blobs[0]);
        stage.upstream.forget();
        assert_ne!(stage.manifest("public/mine", &theft.digest()).await.status, 200);
        assert_ne!(stage.blob("public/mine", &piece).await.status, 200);
        let asked = format!("/v2/public/mine/blobs/{piece}");
        assert!(stage.upstream.count(&asked) > 0, "its own upstream is asked");
        // Where that one has it, it is its own.
        let own = carrier(vec![secret]);
        own.tag(&stage.upstream, "public/other", "own");
        assert_serves(&stage.manifest("public/other", "own").await, &own);
        assert_eq!(stage.blob("public/other", &piece).await.status, 200);
    }
}

#[tokio::test]
async fn a605_kept_evidence_and_configs_count_where_they_lay_and_are_kept_there() {
    let mut stage = Stage::new().await;
    let image = stage.signed("org/app", "v1");
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // The image elsewhere, with a signature whose payload only the first repository's upstream has.
    image.tag(&stage.upstream, "org/other", "v1");
    let signature = carrier(vec![stage.signer.signature(&image.digest())]);
    stage.upstream.manifest("org/other", MANIFEST, &signature.bytes);
    stage.upstream.tag("org/other", &evidence_tag(&image.digest(), ".sig"), &signature.digest());
    assert_ne!(stage.manifest("org/other", "v1").await.status, 200);
    // Where it lay it is decided from what is kept, after a restart too.
    stage.gate.restart().await;
    stage.upstream.forget();
    stage.reload(&KEYED.replace("production", "renamed")).await;
    assert_serves(&stage.manifest("org/app", &image.digest()).await, &image);
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a619_the_blob_route_does_not_tell_what_was_pulled_elsewhere() {
    let stage = Stage::new().await;
    let (pulled, never) = (stage.signed("private/app", "v1"), Made::image());
    assert_serves(&stage.manifest("private/app", "v1").await, &pulled);
    let own = stage.signed("public/mine", "v1");
    assert_serves(&stage.manifest("public/mine", "v1").await, &own);
    for has in [false, true] {
        let mut answers = Vec::new();
        for one in [&pulled, &never] {
            if has {
                stage.upstream.blob("public/mine", &one.bytes);
            }
            let answer = stage.blob("public/mine", &one.digest()).await;
            answers.push((answer.status, answer.code()));
        }
        assert_eq!(answers[0], answers[1], "whether its own upstream has it: {has}");
        assert_ne!(answers[0].0, 200);
    }
    // Of its own it says as ever that a manifest is no blob.
    assert_eq!(stage.blob("public/mine", &own.digest()).await.status, 404);
}

/// An image manifest that names no type itself.
fn untyped() -> Made {
    let (config, layer) = (b"{}".to_vec(), pullgate_tests::made::fresh().into_bytes());
    let body = json!({
        "schemaVersion": 2, "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)],
    });
    Made::from_bytes(MANIFEST, body.to_string().into_bytes(), vec![config, layer])
}

const DOCKER: &str = "application/vnd.docker.distribution.manifest.v2+json";

#[tokio::test]
async fn a610_the_type_of_a_document_that_names_none_is_its_own_repositorys_and_stays_so() {
    let mut stage = Stage::new().await;
    let image = untyped();
    for (repository, media_type) in [("org/one", MANIFEST), ("org/two", DOCKER)] {
        let typed = Made { media_type: media_type.to_owned(), ..image.clone() };
        typed.tag(&stage.upstream, repository, "v1");
        stage.sign(repository, &typed);
    }
    for restarted in [false, true] {
        for (repository, media_type) in [("org/one", MANIFEST), ("org/two", DOCKER), ("org/one", MANIFEST)] {
            let answer = stage.manifest(repository, &image.digest()).await;
            assert_eq!(answer.status, 200);
            assert_eq!(
                answer.header("content-type"),
                Some(media_type),
                "{repository}, restarted: {restarted}"
            );
        }
        stage.gate.restart().await;
    }
}

#[tokio::test]
async fn a610_a_child_that_names_no_type_is_what_its_index_says() {
    for called in [MANIFEST, DOCKER] {
        let mut stage = Stage::new().await;
        let child = untyped();
        let index = Made::index(vec![child.clone()]);
        index.tag(&stage.upstream, "org/app", "v1");
        stage.sign("org/app", &index);
        // Its own upstream calls it so.
        stage.upstream.manifest("org/app", called, &child.bytes);
        assert_serves(&stage.manifest("org/app", "v1").await, &index);
        for _ in 0..2 {
            let answer = stage.manifest("org/app", &child.digest()).await;
            assert_eq!((answer.status, answer.header("content-type")), (200, Some(MANIFEST)), "{called}");
            stage.gate.restart().await;
        }
    }
}

fn sha512(bytes: &[u8]) -> String {
    format!("sha512:{}", hex::encode(aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA512, bytes)))
}

/// A signed image whose only layer is listed by its SHA-512, with this size.
fn listing(stage: &Stage, bytes: &[u8], size: usize) -> Made {
    let honest = Made::image();
    let mut body: serde_json::Value = serde_json::from_slice(&honest.bytes).unwrap();
    body["layers"][0]["digest"] = sha512(bytes).into();
    body["layers"][0]["size"] = size.into();
    let carrier = Made::from_bytes(&honest.media_type, body.to_string().into_bytes(), honest.blobs);
    carrier.put(&stage.upstream, "org/app");
    stage.sign("org/app", &carrier);
    carrier
}

fn block(digest: &str) -> String {
    format!("{KEYED}[[block]]\ndigest = \"{digest}\"\nreason = \"CVE-2026-0001\"\n")
}

#[tokio::test]
async fn a609_a_large_layer_that_is_blocked_by_its_sha256_is_so_under_its_sha512() {
    let stage = Stage::new().await;
    let (bad, good) = (vec![7; 5 << 20], vec![8; 5 << 20]);
    let by_sha256 = stage.upstream.blob("org/app", &bad);
    for bytes in [&bad, &good] {
        let answer = Fault::Answer(200, "application/octet-stream", bytes.clone());
        stage.upstream.fail(When::on(format!("blobs/{}", sha512(bytes))), answer);
    }
    stage.reload(&block(&by_sha256)).await;
    for (bytes, status) in [(&bad, 403), (&good, 200)] {
        let carrier = listing(&stage, bytes, bytes.len());
        assert_serves(&stage.manifest("org/app", &carrier.digest()).await, &carrier);
        for _ in 0..2 {
            let target = crate::stage::blob("org/app", &sha512(bytes));
            assert_eq!(stage.blob("org/app", &sha512(bytes)).await.status, status);
            assert_eq!(stage.gate.head(&target).await.status, status);
            let range = stage.gate.get_with(&target, &[("range", "bytes=0-0")]).await;
            assert_eq!(range.status == 206, status == 200, "{}", range.status);
        }
    }
    // The block goes, and the layer is served; it comes back, and the copy that is kept by now is not.
    stage.reload(KEYED).await;
    let blob = stage.blob("org/app", &sha512(&bad)).await;
    assert_eq!((blob.status, blob.body.len()), (200, bad.len()));
    stage.reload(&block(&by_sha256)).await;
    assert_denied(&stage.blob("org/app", &sha512(&bad)).await);
    assert_eq!(codes(&stage.gate.record().await), ["blocked"]);
    // Nor under a size that is not its own.
    let false_size = listing(&stage, &bad, (5 << 20) + 1);
    assert_serves(&stage.manifest("org/app", &false_size.digest()).await, &false_size);
    assert_ne!(stage.blob("org/app", &sha512(&bad)).await.status, 200);
}

#[tokio::test]
async fn a603_a_payload_that_could_not_be_had_whole_is_undecided_until_it_can() {
    let page = || b"<html>log in</html>".to_vec();
    for fault in [
        Fault::Cut(10),
        Fault::Short(10),
        Fault::Flip(-1),
        Fault::Answer(200, "text/html", page()),
        Fault::Status(400),
        Fault::Header("content-encoding", "gzip".to_owned()),
    ] {
        let stage = Stage::new().await;
        let image = stage.unsigned("org/app", "v1");
        let signature = stage.sign("org/app", &image);
        let payload = format!("blobs/{}", sha256(&signature.blobs[1]));
        stage.upstream.fail(When::on(payload.clone()), fault.clone());
        assert_undecided(&stage.manifest("org/app", "v1").await);
        assert_undecided(&stage.manifest("org/app", &image.digest()).await);
        stage.upstream.heal();
        assert_serves(&stage.manifest("org/app", "v1").await, &image);
        // Once is no more than a hiccup.
        let other = stage.unsigned("org/app", "v2");
        let signature = stage.sign("org/app", &other);
        stage.upstream.fail(When::on(sha256(&signature.blobs[1])).times(1), fault);
        assert_serves(&stage.manifest("org/app", "v2").await, &other);
    }
}

#[tokio::test]
async fn a603_a_piece_that_is_broken_for_good_hides_no_other_that_holds() {
    let stage = Stage::new().await;
    let image = stage.unsigned("org/app", "v1");
    let junk = Layer::new(SIMPLE_SIGNING, b"never whole".to_vec());
    let broken = sha256(&junk.bytes);
    crate::evidence::subject::attach(&stage, &image, vec![junk, stage.signer.signature(&image.digest())]);
    stage.upstream.fail(When::on(broken), Fault::Flip(-1));
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    // One that the registry does not have is none, and no reason not to say so.
    let bare = stage.unsigned("org/app", "bare");
    let gone = Layer::new(DSSE, b"gone".to_vec());
    let digest = sha256(&gone.bytes);
    crate::evidence::subject::attach(&stage, &bare, vec![gone]);
    stage.upstream.remove("org/app", &digest);
    assert_denied(&stage.manifest("org/app", "bare").await);
}
