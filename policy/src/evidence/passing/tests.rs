use super::*;
use crate::content::Untrusted;

fn intact(bytes: &[u8]) -> Intact<Bytes> {
    Untrusted::new(Bytes::copy_from_slice(bytes)).hash()
}

fn manifest(config: &[u8], layers: &[(&str, &[u8])]) -> Intact<Document> {
    let descriptor = |media_type: &str, bytes: &[u8]| serde_json::json!({"mediaType": media_type, "digest": Digest::of(bytes), "size": bytes.len()});
    let layers: Vec<_> = layers.iter().map(|(media_type, bytes)| descriptor(media_type, bytes)).collect();
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": descriptor(media_type::OCI_CONFIG, config), "layers": layers,
    });
    intact(text.to_string().as_bytes()).parse(None).unwrap()
}

const PAYLOAD: &[u8] =
    br#"{"critical":{"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign container image signature"}}"#;

#[test]
fn a_true_signature_manifest_passes() {
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    assert_eq!(Passing::needs(document.value()).unwrap().len(), 2);
    assert!(Passing::check(document, vec![intact(b"{}"), intact(PAYLOAD)]).is_ok());
}

#[test]
fn a031_an_image_in_evidence_clothing_does_not_pass() {
    let tar = [&b"{\"critical\":{}}"[..], &[0; 512]].concat();
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, &tar)]);
    assert!(Passing::check(document, vec![intact(b"{}"), intact(&tar)]).is_err());
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    assert!(Passing::check(document, vec![intact(b"{}")]).is_err(), "a layer that was not read");
}

#[test]
fn a031_a_payload_that_is_json_and_tar_at_once_does_not_pass() {
    // One JSON text whose first 512 bytes are a tar header: the name ends in its first string, blanks fill the rest.
    let mut both = PAYLOAD.strip_suffix(b"}").unwrap().to_vec();
    both.extend_from_slice(br#","optional":""#);
    both.resize(148, b' ');
    both.extend_from_slice(b"        0");
    both.resize(512 - 2, b' ');
    both.extend_from_slice(b"\"}");
    assert_eq!(both.len(), 512);
    let passes = |bytes: &[u8]| {
        let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, bytes)]);
        Passing::check(document, vec![intact(b"{}"), intact(bytes)]).is_ok()
    };
    assert!(passes(&both), "without the checksum it is only JSON");
    let sum: u32 = both.iter().map(|byte| u32::from(*byte)).sum();
    both[148..156].copy_from_slice(format!("{sum:06o}  ").as_bytes());
    assert!(!passes(&both));
}

#[test]
fn blobs_that_the_manifest_does_not_name_are_not_handed_out() {
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    let blobs = vec![intact(b"{}"), intact(b"something else"), intact(PAYLOAD)];
    let passing = Passing::check(document, blobs).unwrap();
    assert_eq!(passing.blobs().len(), 2);
    assert!(!passing.blobs().iter().any(|blob| blob.digest() == Digest::of(b"something else")));
}

#[test]
fn a032_a033_empty_mixed_and_odd_clothes_are_no_evidence() {
    let layer = "application/vnd.oci.image.layer.v1.tar";
    let odd = "application/vnd.dev.cosign.simplesigning.v1+JSON";
    let parameter = "application/vnd.dev.cosign.simplesigning.v1+json;v=1";
    let clothes: [&[(&str, &[u8])]; 4] = [
        &[],
        &[(media_type::SIMPLE_SIGNING, PAYLOAD), (layer, PAYLOAD)],
        &[(odd, PAYLOAD)],
        &[(parameter, PAYLOAD)],
    ];
    for layers in clothes {
        assert!(Passing::needs(manifest(b"{}", layers).value()).is_none(), "{layers:?}");
    }
    let config = vec![b' '; usize::try_from(limits::EVIDENCE_CONFIG_BYTES).unwrap() + 1];
    let document = manifest(&config, &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    assert!(Passing::needs(document.value()).is_none());
}
