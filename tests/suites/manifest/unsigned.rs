//! Unsigned images and indexes: no part of them is served by any route, under any tag.

use pullgate_policy::oci::Digest;
use pullgate_tests::borrowed;
use pullgate_tests::signing::evidence_tag;
use serde_json::Value;

use crate::stage::{Stage, assert_denied};

const LAYOUTS: [&str; 8] = [
    "connaisseur/co-unsigned",
    "docker-attest/missing-subject-layout",
    "docker-attest/no-provenance-index",
    "docker-attest/unsigned-image",
    "docker-attest/unsigned-index",
    "go-containerregistry/test_index",
    "go-containerregistry/test_index_media_type",
    "regclient/external",
];

/// The media type of a document that is a manifest or an index.
fn media_type(bytes: &[u8]) -> Option<String> {
    let value: Value = serde_json::from_slice(bytes).ok()?;
    let shape = if value.get("manifests").is_some() { "index" } else { "manifest" };
    value.get("manifests").or_else(|| value.get("layers"))?;
    let plain = format!("application/vnd.oci.image.{shape}.v1+json");
    Some(value.get("mediaType").and_then(Value::as_str).unwrap_or(&plain).to_owned())
}

#[tokio::test]
async fn a022_a025_a030_nothing_of_an_unsigned_image_or_index_is_had_by_any_route_or_tag() {
    let Some(cases) = borrowed::folder("layouts") else { return };
    let mut asked = [0, 0];
    for layout in LAYOUTS {
        let stage = Stage::new().await;
        let folder = cases.join("layouts").join(layout);
        let (mut manifests, mut blobs) = (Vec::new(), Vec::new());
        for file in std::fs::read_dir(folder.join("blobs/sha256")).unwrap() {
            let bytes = std::fs::read(file.unwrap().path()).unwrap();
            match media_type(&bytes) {
                Some(media_type) => {
                    let digest = stage.upstream.manifest("org/app", &media_type, &bytes);
                    for tag in ["", ".sig", ".att", ".sbom"].map(|suffix| evidence_tag(&digest, suffix)) {
                        stage.upstream.tag("org/app", &tag, &digest);
                        manifests.push(tag);
                    }
                    manifests.push(digest);
                }
                None => {
                    stage.upstream.blob("org/app", &bytes);
                    blobs.push(Digest::of(&bytes).to_string());
                }
            }
        }
        for name in &manifests {
            assert_denied(&stage.manifest("org/app", name).await);
            asked[0] += 1;
        }
        for digest in &blobs {
            let answer = stage.blob("org/app", digest).await;
            assert_eq!((answer.status, answer.code().as_str()), (403, "DENIED"), "{layout} {digest}");
            asked[1] += 1;
        }
        // What it takes to be had.
        let image = stage.signed("org/app", "signed");
        assert_eq!(stage.manifest("org/app", "signed").await.status, 200, "{layout}");
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200, "{layout}");
    }
    assert!(asked[0] > 100 && asked[1] > 30, "{asked:?}");
}
