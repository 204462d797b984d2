use super::*;
use crate::content::Untrusted;
use crate::decide::tests::fixture::index;

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

/// A manifest whose layers are envelopes of these sizes, as it claims.
fn claiming(sizes: &[u64]) -> Intact<Document> {
    let layer = |(at, size): (usize, &u64)| serde_json::json!({"mediaType": media_type::DSSE, "digest": Digest::of(&at.to_be_bytes()), "size": size});
    let text = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": media_type::OCI_CONFIG, "digest": Digest::of(b"{}"), "size": 2},
        "layers": sizes.iter().enumerate().map(layer).collect::<Vec<_>>(),
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

/// Tells whether a manifest with this one layer passes.
fn passes(media_type: &str, layer: &[u8]) -> bool {
    let document = manifest(b"{}", &[(media_type, layer)]);
    Passing::check(document, vec![intact(b"{}"), intact(layer)]).is_ok()
}

/// One JSON text whose first 512 bytes are a tar header with this checksum: the name ends in its first string, `signs` and
/// blanks fill the rest.
fn json_and_tar(signs: &str, checksum: &str) -> Vec<u8> {
    let mut both = PAYLOAD.strip_suffix(b"}").unwrap().to_vec();
    both.extend_from_slice(br#","optional":""#);
    both.extend_from_slice(signs.as_bytes());
    both.resize(148, b' ');
    both.extend_from_slice(format!("{checksum:8}").as_bytes());
    both.resize(512 - 2, b' ');
    both.extend_from_slice(b"\"}");
    assert_eq!(both.len(), 512);
    both
}

#[test]
fn a031_a_payload_that_is_json_and_tar_at_once_does_not_pass() {
    // A reader may take the bytes over 127 as signed or as unsigned.
    for signs in ["", "\u{e9}"] {
        let without = json_and_tar(signs, "");
        let unsigned: i32 = without.iter().map(|byte| i32::from(*byte)).sum();
        let signed: i32 = without.iter().map(|byte| i32::from(byte.cast_signed())).sum();
        let clothed = |checksum: i32| json_and_tar(signs, &format!("{checksum:06o}"));
        assert!(passes(media_type::SIMPLE_SIGNING, &without), "without the checksum it is only JSON");
        assert!(passes(media_type::SIMPLE_SIGNING, &clothed(unsigned + 1)), "so it is with a wrong one");
        assert!(!passes(media_type::SIMPLE_SIGNING, &clothed(unsigned)));
        assert!(!passes(media_type::SIMPLE_SIGNING, &clothed(signed)));
    }
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
}

#[test]
fn a031_a_configuration_of_64_kib_is_that_of_evidence_and_one_byte_more_is_not() {
    let most = usize::try_from(limits::EVIDENCE_CONFIG_BYTES).unwrap();
    assert_eq!(most, 64 * 1024);
    for (length, passes) in [(most, true), (most + 1, false)] {
        let mut config = b"{}".to_vec();
        config.resize(length, b' ');
        let document = manifest(&config, &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
        assert_eq!(Passing::needs(document.value()).is_some(), passes, "{length}");
        let blobs = vec![intact(&config), intact(PAYLOAD)];
        assert_eq!(Passing::check(document, blobs).is_ok(), passes, "{length}");
    }
}

#[test]
fn three_kinds_of_layers_are_known_by_their_exact_media_type() {
    for (media_type, kind) in [
        ("application/vnd.dev.cosign.simplesigning.v1+json", Some(LayerKind::SimpleSigning)),
        ("application/vnd.dsse.envelope.v1+json", Some(LayerKind::Dsse)),
        ("application/vnd.dev.sigstore.bundle.v0.3+json", Some(LayerKind::Bundle)),
        ("application/vnd.dev.sigstore.bundle+json;version=0.1", Some(LayerKind::Bundle)),
        ("application/vnd.dev.sigstore.bundle.v0.4+json", None),
        ("application/vnd.dsse.envelope.v1+JSON", None),
        ("application/vnd.oci.image.layer.v1.tar", None),
        ("", None),
    ] {
        assert_eq!(LayerKind::of(media_type), kind, "{media_type}");
    }
}

#[test]
fn a_simple_signing_payload_names_a_digest_and_its_type() {
    for (text, evidence) in [
        (r#"{"critical":{"image":{"docker-manifest-digest":"sha256:00"},"type":"cosign"}}"#, true),
        (r#"{"critical":{"image":{"docker-manifest-digest":"sha256:00"}}}"#, false),
        (r#"{"critical":{"image":{"docker-manifest-digest":0},"type":"cosign"}}"#, false),
        (r#"{"critical":{"type":"cosign"}}"#, false),
        (r#"{"Critical":{"Image":{"Docker-manifest-digest":"sha256:00"},"Type":"cosign"}}"#, true),
        (r#"{"Critical":{"Image":{"docker-manifest-digest":"sha256:00"},"Type":"cosign"}}"#, false),
        (r#"{"Critical":{"Image":{"Docker-manifest-digest":"sha256:00"},"type":"cosign"}}"#, false),
        ("{}", false),
    ] {
        assert_eq!(passes(media_type::SIMPLE_SIGNING, text.as_bytes()), evidence, "{text}");
    }
}

#[test]
fn an_envelope_has_a_payload_its_type_and_signatures() {
    for (text, evidence) in [
        (r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":[]}"#, true),
        (r#"{"payloadType":"application/vnd.in-toto+json","signatures":[]}"#, false),
        (r#"{"payload":"e30=","signatures":[]}"#, false),
        (r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json"}"#, false),
        (r#"{"payload":"e30=","payloadType":"application/vnd.in-toto+json","signatures":{}}"#, false),
        (r#"{"payload":{},"payloadType":"application/vnd.in-toto+json","signatures":[]}"#, false),
        ("{}", false),
    ] {
        assert_eq!(passes(media_type::DSSE, text.as_bytes()), evidence, "{text}");
    }
}

#[test]
fn a_bundle_has_its_type_its_material_and_one_of_two_contents() {
    const TYPE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
    let typed = format!(r#""mediaType":"{TYPE}""#);
    for (fields, evidence) in [
        (vec![&*typed, r#""verificationMaterial":{}"#, r#""dsseEnvelope":{}"#], true),
        (vec![&*typed, r#""verificationMaterial":{}"#, r#""messageSignature":{}"#], true),
        (
            vec![&*typed, r#""verificationMaterial":{}"#, r#""dsseEnvelope":{}"#, r#""messageSignature":{}"#],
            false,
        ),
        (
            vec![
                &*typed,
                r#""verificationMaterial":{}"#,
                r#""dsseEnvelope":{}"#,
                r#""messageSignature":null"#,
            ],
            true,
        ),
        (vec![&*typed, r#""verificationMaterial":{}"#, r#""dsseEnvelope":null"#], false),
        (vec![&*typed, r#""verificationMaterial":{}"#], false),
        (vec![&*typed, r#""verificationMaterial":[]"#, r#""dsseEnvelope":{}"#], false),
        (vec![&*typed, r#""dsseEnvelope":{}"#], false),
        (vec![r#""verificationMaterial":{}"#, r#""dsseEnvelope":{}"#], false),
        (vec![r#""mediaType":"text/plain""#, r#""verificationMaterial":{}"#, r#""dsseEnvelope":{}"#], false),
    ] {
        let text = format!("{{{}}}", fields.join(","));
        assert_eq!(passes(TYPE, text.as_bytes()), evidence, "{text}");
    }
}

#[test]
fn evidence_passes_up_to_sixteen_mebibytes_a_layer_and_sixty_four_in_all() {
    const MEBIBYTES_16: u64 = 16_777_216;
    for (sizes, may_pass) in [
        (vec![MEBIBYTES_16; 4], true),
        (vec![MEBIBYTES_16, MEBIBYTES_16, MEBIBYTES_16, MEBIBYTES_16, 1], false),
        (vec![MEBIBYTES_16; 5], false),
        (vec![MEBIBYTES_16 + 1], false),
    ] {
        assert_eq!(Passing::needs(claiming(&sizes).value()).is_some(), may_pass, "{sizes:?}");
    }
}

#[test]
fn more_evidence_than_is_read_is_told_apart_from_an_image_and_from_what_may_pass() {
    let signatures = |count: usize| vec![(media_type::SIMPLE_SIGNING, PAYLOAD); count];
    for (layers, too_many) in [(signatures(1), false), (signatures(512), false), (signatures(513), true)] {
        let document = manifest(b"{}", &layers);
        assert_eq!(Passing::too_many(document.value()), too_many, "{}", layers.len());
        assert_eq!(Passing::needs(document.value()).is_none(), too_many, "{}", layers.len());
    }
    let mut mixed = signatures(513);
    mixed.push(("application/vnd.oci.image.layer.v1.tar", PAYLOAD));
    assert!(!Passing::too_many(manifest(b"{}", &mixed).value()));
    assert!(!Passing::too_many(index().value()));
}
