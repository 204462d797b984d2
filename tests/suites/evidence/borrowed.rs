//! What other projects test their readers with, signed by whom the policy trusts: only its shape can speak against it.

use pullgate_tests::borrowed;
use pullgate_tests::made::{CONFIG, INDEX, LAYER, MANIFEST, Made, descriptor};
use serde_json::{Value, json};

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, codes};

const SCHEMA_1: &str = "application/vnd.docker.distribution.manifest.v1+json";
const SCHEMA_1_SIGNED: &str = "application/vnd.docker.distribution.manifest.v1+prettyjws";
const SCHEMA_2: &str = "application/vnd.docker.distribution.manifest.v2+json";
const LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";

fn fixture(name: &str) -> Vec<u8> {
    let path = borrowed::folder("manifests").unwrap().join("manifests").join(format!("{name}.json"));
    std::fs::read(path).unwrap()
}

/// The first code of the denial, or nothing where it is served.
async fn said_of(stage: &Stage, made: &Made) -> Option<String> {
    made.tag(&stage.upstream, "org/app", &made.hex());
    stage.sign("org/app", made);
    let answer = stage.manifest("org/app", &made.hex()).await;
    if answer.status == 200 {
        assert_serves(&answer, made);
        return None;
    }
    assert_denied(&answer);
    codes(&stage.gate.record().await).into_iter().next()
}

async fn assert_said(cases: &[(&str, &str, Option<&str>)]) {
    for (name, media_type, code) in cases {
        // One digest under two types is one document to a gate that has it already.
        let stage = Stage::new().await;
        let made = Made::from_bytes(media_type, fixture(name), Vec::new());
        assert_eq!(said_of(&stage, &made).await.as_deref(), *code, "{name} as {media_type}");
    }
}

#[tokio::test]
async fn a112_a125_manifests_of_schema_1_and_of_no_known_version_are_unsupported() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    let unsupported = Some("manifest-unsupported");
    assert_said(&[
        ("containers-image-manifests/v2s1.manifest", SCHEMA_1_SIGNED, unsupported),
        ("containers-image-manifests/v2s1.manifest", "text/plain", unsupported),
        ("containers-image-manifests/v2s1-unsigned.manifest", SCHEMA_1, unsupported),
        ("containers-image-manifests/schema1", SCHEMA_1_SIGNED, unsupported),
        ("containers-image-manifests/unknown-version.manifest", MANIFEST, unsupported),
        ("containers-image-manifests/v2s2.manifest", SCHEMA_2, None),
        ("containers-image-manifests/schema2", SCHEMA_2, None),
        ("containers-image-manifests/v2list.manifest", LIST, None),
    ])
    .await;
}

#[tokio::test]
async fn a105_a109_a124_a126_what_readers_disagree_about_is_refused() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    let invalid = Some("manifest-invalid");
    assert_said(&[
        ("containers-image-manifests/non-json.manifest", MANIFEST, invalid),
        (
            "containers-image/dir-img-cosign-manifest-digest-error",
            SCHEMA_1_SIGNED,
            Some("manifest-unsupported"),
        ),
        ("oci-image-spec/manifest-01", MANIFEST, invalid),
        ("oci-image-spec/manifest-02", MANIFEST, invalid),
        ("oci-image-spec/index-02", INDEX, invalid),
        ("containers-image-manifests/ociv1nomime.image.index", INDEX, None),
        ("containers-image-manifests/ociv1nomime.image.index", MANIFEST, Some("manifest-ambiguous")),
        ("containers-image-manifests/ociv1nomime.artifact", MANIFEST, invalid),
        ("oci-image-spec/index-00", INDEX, None),
        ("oci-image-spec/index-08", INDEX, None),
        ("oci-image-spec/manifest-00", MANIFEST, None),
        ("oci-image-spec/manifest-05", MANIFEST, None),
        ("containers-image-manifests/ociv1.image.index", INDEX, None),
        ("containers-image-manifests/ociv1.image.index", MANIFEST, Some("manifest-ambiguous")),
    ])
    .await;
}

#[tokio::test]
async fn a130_a133_layers_of_any_type_are_served_where_they_name_no_other_place() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    assert_said(&[
        ("containers-image-manifests/ociv1.nondistributable.manifest", MANIFEST, None),
        ("containers-image-manifests/v2s2.nondistributable.gzip.manifest", SCHEMA_2, None),
        // Encrypted, and with `urls` besides: those are what is refused.
        ("containers-image-manifests/oci1.encrypted", MANIFEST, Some("foreign-layer")),
        ("containers-image-manifests/ociv1.zstd.manifest", MANIFEST, None),
    ])
    .await;
    let open = KEYED.replace("[[policy.require]]", "foreign_layers = \"permit\"\n[[policy.require]]");
    let stage = Stage::on(&open).await;
    let encrypted =
        Made::from_bytes(MANIFEST, fixture("containers-image-manifests/oci1.encrypted"), Vec::new());
    assert_eq!(said_of(&stage, &encrypted).await, None);
}

#[tokio::test]
async fn a031_a135_other_attachments_and_artifacts_are_judged_like_images() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    let stage = Stage::new().await;
    for (name, media_type) in [
        ("containers-image/dir-img-cosign-other-attachment", SCHEMA_2),
        ("oci-image-spec/manifest-11", MANIFEST),
    ] {
        let made = Made::from_bytes(media_type, fixture(name), Vec::new());
        made.tag(&stage.upstream, "org/app", "v1");
        assert_denied(&stage.manifest("org/app", &made.digest()).await);
        assert_eq!(codes(&stage.gate.record().await), ["no-evidence"], "{name}");
        stage.gate.app().memory.forget_denials();
        assert_eq!(said_of(&stage, &made).await, None, "{name}");
    }
}

/// An image whose second layer is this descriptor.
fn carrying(entry: &Value) -> Made {
    let (config, layer) = (b"{}".to_vec(), pullgate_tests::made::fresh().into_bytes());
    let body = json!({
        "schemaVersion": 2, "mediaType": MANIFEST, "config": descriptor(CONFIG, &config),
        "layers": [descriptor(LAYER, &layer), entry],
    });
    Made::from_bytes(MANIFEST, body.to_string().into_bytes(), vec![config, layer])
}

#[tokio::test]
async fn a012_a105_a130_a131_a132_descriptors_that_are_almost_right() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    let stage = Stage::new().await;
    for (name, code) in [
        ("descriptor-10", Some("manifest-invalid")),
        ("descriptor-16", Some("foreign-layer")),
        ("descriptor-18", None),
        ("descriptor-19", None),
        ("descriptor-20", None),
        ("descriptor-29", Some("manifest-ambiguous")),
    ] {
        let entry: Value = serde_json::from_slice(&fixture(&format!("oci-image-spec/{name}"))).unwrap();
        assert_eq!(said_of(&stage, &carrying(&entry)).await.as_deref(), code, "{name}");
    }
    // Under a digest that is none, or that nobody computes here, there is no grant and no route.
    for name in ["12", "13", "14", "15", "21", "22", "23", "25", "26", "27"] {
        let entry: Value =
            serde_json::from_slice(&fixture(&format!("oci-image-spec/descriptor-{name}"))).unwrap();
        let digest = entry["digest"].as_str().unwrap().to_owned();
        let made = carrying(&entry);
        let said = said_of(&stage, &made).await;
        assert!([None, Some("manifest-invalid".to_owned())].contains(&said), "{name}: {said:?}");
        stage.upstream.forget();
        let answer = stage.blob("org/app", &digest).await;
        let known = digest.parse::<pullgate_policy::oci::Digest>().is_ok();
        assert_eq!(answer.status == 400, !known, "{name} {digest} {}", answer.status);
        assert!(known || stage.upstream.seen().is_empty(), "{name}");
        if said.is_none() {
            assert_eq!(stage.blob("org/app", &made.layer()).await.status, 200, "{name}");
        }
    }
}

#[tokio::test]
async fn what_the_specification_accepts_is_served_and_what_it_refuses_does_no_harm() {
    if borrowed::folder("manifests").is_none() {
        return;
    }
    assert_said(&[
        ("oci-image-spec/manifest-03", MANIFEST, None),
        ("oci-image-spec/manifest-06", MANIFEST, None),
        ("oci-image-spec/manifest-07", MANIFEST, None),
        ("oci-image-spec/manifest-08", MANIFEST, Some("manifest-invalid")),
        ("oci-image-spec/index-09", INDEX, None),
        ("oci-image-spec/index-10", INDEX, None),
        ("oci-image-spec/index-11", INDEX, Some("manifest-invalid")),
        ("containers-image-manifests/oci1index", INDEX, None),
        ("containers-image-manifests/ocilist-variants", INDEX, None),
        ("containers-image-manifests/oci1-all-media-types-to-schema2", SCHEMA_2, None),
        ("containers-image-manifests/oci1-extra-config-fields", MANIFEST, Some("foreign-layer")),
        // Whatever type a layer has: it is granted by its digest (A133).
        ("containers-image-manifests/oci1-invalid-media-type", MANIFEST, None),
        ("containers-image-manifests/oci1-to-schema2", SCHEMA_2, Some("foreign-layer")),
        ("containers-image-manifests/schema1-to-oci1", MANIFEST, Some("manifest-invalid")),
        ("containers-image-manifests/schema1-to-schema2", SCHEMA_2, Some("manifest-invalid")),
        ("containers-image-manifests/schema2-all-media-types-to-oci1", MANIFEST, None),
        ("containers-image-manifests/schema2-invalid-media-type", SCHEMA_2, None),
        ("containers-image-manifests/schema2-to-oci1", MANIFEST, None),
        ("containers-image-manifests/oci1.index.zstd-selection", INDEX, None),
        ("containers-image-manifests/oci1.index.zstd-selection2", INDEX, None),
        ("containers-image-manifests/ociv1.manifest", MANIFEST, None),
        ("containers-image-manifests/ociv1.encrypted.manifest", MANIFEST, None),
        ("containers-image-manifests/ociv1.nondistributable.gzip.manifest", MANIFEST, None),
        ("containers-image-manifests/ociv1.nondistributable.zstd.manifest", MANIFEST, None),
        ("containers-image-manifests/ociv1.uncompressed.manifest", MANIFEST, None),
        ("containers-image-manifests/v2s1.everything", SCHEMA_1_SIGNED, Some("manifest-unsupported")),
        ("containers-image-manifests/v2s2.everything", SCHEMA_2, Some("foreign-layer")),
        ("containers-image/dir-img-unsigned", SCHEMA_2, None),
    ])
    .await;
    let stage = Stage::new().await;
    for (name, code) in [
        ("descriptor-03", None),
        ("descriptor-04", None),
        ("descriptor-06", None),
        ("descriptor-07", None),
        ("descriptor-08", None),
        ("descriptor-17", Some("foreign-layer")),
        ("descriptor-28", None),
    ] {
        let entry: Value = serde_json::from_slice(&fixture(&format!("oci-image-spec/{name}"))).unwrap();
        assert_eq!(said_of(&stage, &carrying(&entry)).await.as_deref(), code, "{name}");
    }
}
