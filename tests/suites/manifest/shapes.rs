//! Manifests that can be read in two ways, or in none, are refused in every mode.

use pullgate_tests::asking::End;
use pullgate_tests::made::{CONFIG, INDEX, LAYER, Layer, MANIFEST, Made, descriptor, fresh, with};
use pullgate_tests::upstream::{Fault, When};
use serde_json::{Value, json};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes};

/// The body of an image manifest that nobody could object to, with its blobs.
fn body() -> (Value, Vec<Vec<u8>>) {
    let (config, layer) = (format!("{{\"n\":\"{}\"}}", fresh()).into_bytes(), fresh().into_bytes());
    let body = json!({
        "schemaVersion": 2, "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config), "layers": [descriptor(LAYER, &layer)],
    });
    (body, vec![config, layer])
}

fn made(text: &str, content_type: &str) -> Made {
    Made::from_bytes(content_type, text.as_bytes().to_vec(), body().1)
}

/// Signed as they are, so that only their shape can speak against them; in warn mode, and with everything permitted.
async fn assert_refused(cases: Vec<(&str, Made)>, code: &str) {
    let warn = KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]");
    let open =
        "[[policy]]\nname = \"open\"\nscope = [\"registry.test/**\"]\ninsecure_permit_anything = true\n";
    for policy in [KEYED, &warn, open] {
        let stage = Stage::on(policy).await;
        for (what, image) in &cases {
            image.tag(&stage.upstream, "org/app", "v1");
            stage.sign("org/app", image);
            for reference in ["v1", &image.digest()] {
                assert_denied(&stage.manifest("org/app", reference).await);
                assert_eq!(codes(&stage.gate.record().await), [code], "{what} {reference}");
            }
        }
        let good = stage.signed("org/app", "good");
        assert_serves(&stage.manifest("org/app", "good").await, &good);
    }
}

#[tokio::test]
async fn a123_a_body_that_is_image_and_index_at_once() {
    let (image, _) = body();
    let both = with(image.clone(), json!({ "manifests": [] }));
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [], "config": image["config"] });
    let cases = vec![
        ("manifests beside layers", made(&both.to_string(), MANIFEST)),
        ("config beside manifests", made(&index.to_string(), INDEX)),
    ];
    assert_refused(cases, "manifest-ambiguous").await;
}

#[tokio::test]
async fn a124_types_that_disagree() {
    let (image, _) = body();
    let mut untyped = image.clone();
    untyped.as_object_mut().unwrap().remove("mediaType");
    let index = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": [] });
    let cases = vec![
        ("header says index", made(&image.to_string(), INDEX)),
        ("header says image", made(&index.to_string(), MANIFEST)),
        ("body of the other shape", made(&with(image, json!({ "mediaType": INDEX })).to_string(), INDEX)),
        ("untyped, header of the other shape", made(&untyped.to_string(), INDEX)),
    ];
    assert_refused(cases, "manifest-ambiguous").await;
}

#[tokio::test]
async fn a124_a_body_without_a_type_is_what_header_and_shape_agree_on() {
    let stage = Stage::new().await;
    let (mut image, blobs) = body();
    image.as_object_mut().unwrap().remove("mediaType");
    let untyped = Made::from_bytes(MANIFEST, image.to_string().into_bytes(), blobs);
    untyped.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &untyped);
    let answer = stage.manifest("org/app", "v1").await;
    assert_serves(&answer, &untyped);
    assert_eq!(answer.header("content-type"), Some(MANIFEST));
}

#[tokio::test]
async fn a125_versions_and_types_that_are_not_judged() {
    let (image, _) = body();
    let changed = |more: Value| with(image.clone(), more).to_string();
    let mut unversioned = image.clone();
    unversioned.as_object_mut().unwrap().remove("schemaVersion");
    let cases = vec![
        ("version 3", made(&changed(json!({ "schemaVersion": 3 })), MANIFEST)),
        ("version as text", made(&changed(json!({ "schemaVersion": "2" })), MANIFEST)),
        ("no version", made(&unversioned.to_string(), MANIFEST)),
        ("unknown type", made(&changed(json!({ "mediaType": "application/x" })), MANIFEST)),
        ("neither shape", made("{\"schemaVersion\":2}", MANIFEST)),
    ];
    assert_refused(cases, "manifest-unsupported").await;
}

#[tokio::test]
async fn a112_docker_schema_1_in_each_of_its_costumes() {
    let text = json!({
        "schemaVersion": 1, "name": "org/app", "tag": "v1", "architecture": "amd64",
        "fsLayers": [{ "blobSum": "sha256:a3ed95caeb02ffe68cdd9fd84406680ae93d633cb16422d00e8a7c22955b46d4" }],
        "history": [{ "v1Compatibility": "{}" }],
    })
    .to_string();
    let cases = vec![
        ("signed", made(&text, "application/vnd.docker.distribution.manifest.v1+prettyjws")),
        ("plain", made(&text, "application/vnd.docker.distribution.manifest.v1+json")),
        ("text", made(&text, "text/plain")),
    ];
    assert_refused(cases, "manifest-unsupported").await;
}

#[tokio::test]
async fn a035_a126_keys_that_two_readers_read_differently() {
    let (image, _) = body();
    let text = image.to_string();
    let cases = vec![
        ("a second layers", made(&text.replacen('{', "{\"layers\":[],", 1), MANIFEST)),
        ("Layers", made(&text.replacen('{', "{\"Layers\":[],", 1), MANIFEST)),
        ("LAYERS", made(&text.replacen('{', "{\"LAYERS\":[],", 1), MANIFEST)),
        ("Manifests", made(&text.replacen('{', "{\"Manifests\":[],", 1), MANIFEST)),
        (
            "a digest in other case",
            made(&text.replacen("\"digest\"", "\"Digest\":\"x\",\"digest\"", 1), MANIFEST),
        ),
    ];
    assert_refused(cases, "manifest-ambiguous").await;
}

#[tokio::test]
async fn a126_bytes_that_are_no_json_of_any_reader() {
    let (image, _) = body();
    let text = image.to_string();
    let deep = format!("{{\"annotations\":{}1{},{}", "[".repeat(10_000), "]".repeat(10_000), &text[1..]);
    let cases = vec![
        ("a byte order mark", made(&format!("\u{feff}{text}"), MANIFEST)),
        ("trailing data", made(&format!("{text}x"), MANIFEST)),
        ("a second document", made(&format!("{text}{text}"), MANIFEST)),
        ("NaN", made(&text.replacen(":2}", ":NaN}", 1), MANIFEST)),
        ("html", made("<html></html>", MANIFEST)),
        ("1e999", made(&text.replacen(":2}", ":1e999}", 1), MANIFEST)),
        ("a lone surrogate", made(&text.replacen('{', "{\"a\":\"\\ud800\",", 1), MANIFEST)),
        ("NUL behind", made(&format!("{text}\0"), MANIFEST)),
        ("A127 depth", made(&deep, MANIFEST)),
        ("invalid UTF-8", Made::from_bytes(MANIFEST, [text.as_bytes(), b"\xff"].concat(), Vec::new())),
    ];
    assert_refused(cases, "manifest-invalid").await;
}

#[tokio::test]
async fn a105_sizes_that_no_content_has() {
    let (image, _) = body();
    let sized = |size: Value| {
        let mut image = image.clone();
        image["layers"][0]["size"] = size;
        made(&image.to_string(), MANIFEST)
    };
    let cases = vec![
        ("negative", sized(json!(-1))),
        ("2^53 + 1", sized(json!((1_u64 << 53) + 1))),
        ("2^63", sized(json!(1_u64 << 63))),
        ("text", sized(json!("1"))),
    ];
    assert_refused(cases, "manifest-invalid").await;
}

#[tokio::test]
async fn a131_embedded_data_that_is_other_content() {
    let (image, _) = body();
    let embedded = |data: &str| {
        let mut image = image.clone();
        image["layers"][0]["data"] = json!(data);
        made(&image.to_string(), MANIFEST)
    };
    assert_refused(
        vec![("other", embedded("b3RoZXI=")), ("not base64", embedded("%%"))],
        "manifest-ambiguous",
    )
    .await;
}

#[tokio::test]
async fn a131_embedded_data_that_is_the_content_stands_in_for_nothing() {
    let stage = Stage::new().await;
    let (mut image, blobs) = body();
    image["layers"][0]["data"] =
        json!(base64::Engine::encode(&base64::engine::general_purpose::STANDARD, &blobs[1]));
    let embedding = Made::from_bytes(MANIFEST, image.to_string().into_bytes(), blobs);
    embedding.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &embedding);
    assert_serves(&stage.manifest("org/app", "v1").await, &embedding);
    stage.upstream.remove("org/app", &embedding.layer());
    assert_eq!(stage.blob("org/app", &embedding.layer()).await.status, 404);
    stage.upstream.blob("org/app", &embedding.blobs[1]);
    assert_eq!(stage.blob("org/app", &embedding.layer()).await.status, 200);
}

#[tokio::test]
async fn a105_a_size_that_is_not_the_blobs_is_never_a_complete_answer() {
    let stage = Stage::new().await;
    let length = 300_000_u64;
    for (said, complete) in
        [(0, false), (1, false), (length - 1, false), (length + 1, false), (1 << 50, false), (length, true)]
    {
        let blob = Made::image_of_bytes(300_000);
        let mut image: Value = serde_json::from_slice(&blob.bytes).unwrap();
        image["layers"][0]["size"] = json!(said);
        let lying = Made::from_bytes(MANIFEST, image.to_string().into_bytes(), blob.blobs);
        let tag = fresh();
        lying.tag(&stage.upstream, "org/app", &tag);
        stage.sign("org/app", &lying);
        assert_serves(&stage.manifest("org/app", &tag).await, &lying);
        for announced in [true, false] {
            if !announced {
                stage.upstream.fail(When::on("blobs"), Fault::WithoutHeader("content-length"));
            }
            let answer = stage.blob("org/app", &lying.layer()).await;
            let whole = answer.status == 200 && answer.end == End::Whole;
            assert_eq!(whole, complete, "{said} {announced}: {}", answer.status);
            assert!(complete || (answer.body.len() as u64) < length.max(said));
            stage.upstream.heal();
        }
    }
}

#[tokio::test]
async fn a128_an_index_of_too_many_children() {
    let child = Made::image();
    let listed = |count: usize| Made::index_of(&vec![child.descriptor(); count], Vec::new());
    assert_refused(vec![("1,001", listed(1001))], "index-too-large").await;
    let stage = Stage::new().await;
    let fits = listed(1000);
    fits.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &fits);
    assert_serves(&stage.manifest("org/app", "v1").await, &fits);
}

#[tokio::test]
async fn a130_a_layer_from_elsewhere_is_denied_by_default_and_never_dialled() {
    let listener = pullgate_tests::upstream::Raw::start("127.0.0.1", "").await.unwrap();
    let stage = Stage::new().await;
    let (mut image, blobs) = body();
    image["layers"][0]["urls"] = json!([format!("http://{}/layer", listener.address())]);
    let foreign = Made::from_bytes(MANIFEST, image.to_string().into_bytes(), blobs);
    foreign.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &foreign);
    assert_denied(&stage.manifest("org/app", "v1").await);
    assert_eq!(codes(&stage.gate.record().await), ["foreign-layer"]);
    stage.reload(&KEYED.replace("[[policy.require]]", "mode = \"warn\"\n[[policy.require]]")).await;
    let answer = stage.manifest("org/app", "v1").await;
    assert_serves(&answer, &foreign);
    assert!(answer.header("warning").is_some());
    stage
        .reload(&KEYED.replace("[[policy.require]]", "foreign_layers = \"permit\"\n[[policy.require]]"))
        .await;
    let answer = stage.manifest("org/app", "v1").await;
    assert_serves(&answer, &foreign);
    assert_eq!(answer.header("warning"), None);
    assert_eq!(listener.connections(), 0);
}

#[tokio::test]
async fn a132_a_layer_under_a_digest_that_is_not_computed_gets_no_grant() {
    let stage = Stage::new().await;
    let (mut image, blobs) = body();
    let md5 = format!("md5:{}", "a".repeat(32));
    image["layers"].as_array_mut().unwrap().push(json!({ "mediaType": LAYER, "digest": md5, "size": 1 }));
    let weak = Made::from_bytes(MANIFEST, image.to_string().into_bytes(), blobs);
    weak.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &weak);
    assert_serves(&stage.manifest("org/app", "v1").await, &weak);
    assert_eq!(stage.blob("org/app", &md5).await.status, 400);
    assert_eq!(stage.blob("org/app", &weak.layer()).await.status, 200);
}

#[tokio::test]
async fn a133_layers_of_any_type_are_granted_and_never_opened() {
    let stage = Stage::new().await;
    let types = [
        "application/vnd.oci.image.layer.v1.tar+zstd",
        "application/vnd.oci.image.layer.v1.tar+gzip+encrypted",
        "application/x-unheard-of",
    ];
    let layers = types.map(|name| Layer::new(name, format!("not an archive {}", fresh()).into_bytes()));
    let image = Made::image_of(layers.to_vec());
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    for layer in &image.blobs[1..] {
        let answer = stage.blob("org/app", &pullgate_tests::clients::content::sha256(layer)).await;
        assert_eq!((answer.status, answer.body.to_vec()), (200, layer.clone()));
    }
}
