use super::only::EvidenceOnly;
use super::*;
use crate::content::Untrusted;
use crate::decide::tests::fixture::{self, index, policy_set, signed_by};
use crate::evidence::{SignatureFacts, Source};
use crate::limits;
use crate::oci::media_type;
use crate::policy::EvidencePasses;

mod ends;

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
    assert_eq!(EvidenceOnly::needs(document.value()).unwrap().len(), 2);
    assert!(EvidenceOnly::check(document, vec![intact(b"{}"), intact(PAYLOAD)]).is_ok());
}

#[test]
fn a031_an_image_in_evidence_clothing_does_not_pass() {
    let tar = [&b"{\"critical\":{}}"[..], &[0; 512]].concat();
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, &tar)]);
    assert!(EvidenceOnly::check(document, vec![intact(b"{}"), intact(&tar)]).is_err());
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    assert!(EvidenceOnly::check(document, vec![intact(b"{}")]).is_err(), "a layer that was not read");
}

/// Tells whether a manifest with this one layer passes.
fn passes(media_type: &str, layer: &[u8]) -> bool {
    let document = manifest(b"{}", &[(media_type, layer)]);
    EvidenceOnly::check(document, vec![intact(b"{}"), intact(layer)]).is_ok()
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

/// Evidence with this one layer, where it is nothing else.
fn only(layer: &[u8]) -> Result<EvidenceOnly, NotServable> {
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, layer)]);
    EvidenceOnly::check(document, vec![intact(b"{}"), intact(layer)])
}

/// What a policy that takes evidence by its form says of it.
fn well_formed(layer: &[u8]) -> Result<ServableEvidence, NotServable> {
    let mut set = policy_set(vec![signed_by(&["a"], 1)]);
    set.policies[0].evidence = EvidencePasses::WellFormed;
    only(layer).and_then(|only| ServableEvidence::well_formed(&only, &set, &fixture::subject().repository))
}

#[test]
fn a031_a601_a_payload_that_is_json_and_tar_at_once_does_not_pass() {
    // A reader may take the bytes over 127 as signed or as unsigned.
    for signs in ["", "\u{e9}"] {
        let without = json_and_tar(signs, "");
        let unsigned: i32 = without.iter().map(|byte| i32::from(*byte)).sum();
        let signed: i32 = without.iter().map(|byte| i32::from(byte.cast_signed())).sum();
        let clothed = |checksum: i32| json_and_tar(signs, &format!("{checksum:06o}"));
        for sum in [unsigned, signed] {
            assert_eq!(only(&clothed(sum)).err(), Some(NotServable::Runnable));
        }
        // By its form alone it does not pass either where the sum is wrong, or nothing stands in its place.
        for text in [without, clothed(unsigned + 1)] {
            assert!(only(&text).is_ok());
            assert_eq!(well_formed(&text).err(), Some(NotServable::Runnable));
        }
        assert!(well_formed(&json_and_tar(signs, "x")).is_ok(), "no number stands in its place");
    }
}

#[test]
fn a601_a_blank_checksum_is_zero_to_go_and_a_signed_sum_of_zero_meets_it() {
    // As many bytes below zero as make up for the others: C3 80 is -189, and `z` and `A` fill in between.
    let mut both = json_and_tar("", "");
    let (mut at, end) = (PAYLOAD.len() + 20, 500);
    let sum = |text: &[u8]| text.iter().map(|byte| i32::from(byte.cast_signed())).sum::<i32>();
    while sum(&both) > 0 {
        if (147..157).contains(&at) {
            at = 157;
        }
        both[at..at + 2].copy_from_slice("\u{c0}".as_bytes());
        at += 2;
    }
    let missing = sum(&both).unsigned_abs();
    for (n, byte) in both[at..end].iter_mut().enumerate() {
        *byte += u8::try_from((missing as usize).saturating_sub(n * 90).min(90)).unwrap();
    }
    assert_eq!(sum(&both), 0);
    assert_eq!(only(&both).err(), Some(NotServable::Runnable));
    both[end - 1] += 1;
    assert!(only(&both).is_ok(), "one more is no header to anybody");
    assert_eq!(well_formed(&both).err(), Some(NotServable::Runnable));
}

#[test]
fn a601_nothing_with_a_config_that_names_something_to_run_is_evidence() {
    for (config, passes) in [
        (r#"{"config":{"Entrypoint":["/bin/run"]}}"#, false),
        (r#"{"Config":{"cmd":["/bin/run"]}}"#, false),
        (r#"{"config":{"User":"0"}}"#, false),
        (r#"{"config":{"Volumes":{"/srv":{}}}}"#, false),
        (
            r#"{"architecture":"","os":"","rootfs":{"type":"layers","diff_ids":["sha256:00"]},"config":{}}"#,
            true,
        ),
    ] {
        let document = manifest(config.as_bytes(), &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
        let found = EvidenceOnly::check(document, vec![intact(config.as_bytes()), intact(PAYLOAD)]);
        assert_eq!(found.is_ok(), passes, "{config}");
        assert!(passes || found.err() == Some(NotServable::Runnable), "{config}");
    }
}

/// What was verified in a piece of evidence: a signature by `a` about the fixture's image, that lies in this blob of it.
fn verified(only: &EvidenceOnly, blob: &[u8]) -> Evidence {
    let source =
        Source { manifest: only.document().digest(), blob: Digest::of(blob), ..fixture::source("x") };
    fixture::evidence(vec![SignatureFacts { source, ..fixture::signature(fixture::by_key("a")) }], vec![])
}

#[test]
fn a601_evidence_leaves_when_an_authority_of_the_policy_signed_something_in_it() {
    let (set, about) = (policy_set(vec![signed_by(&["a", "b"], 2)]), fixture::subject());
    let evidence = only(PAYLOAD).unwrap();
    let good = verified(&evidence, PAYLOAD);
    let passing = ServableEvidence::verified(&evidence, &set, &about, &good).unwrap();
    assert_eq!(passing.vouched().map(|one| one.authority.to_string()).as_deref(), Some("a"));
    assert!(passing.counts(&about.repository, set.revisions, fixture::now()));
    let mut other = set.clone();
    other.revisions.policy = crate::policy::Revision::of([&b"another"[..]]);
    assert!(!passing.counts(&about.repository, other.revisions, fixture::now()), "another policy asks anew");
    assert!(
        !passing.counts(&"r.io/other/app".parse().unwrap(), set.revisions, fixture::now()),
        "another repository does"
    );

    let unverified = |set: &PolicySet, about: &Subject, verified: &Evidence| {
        ServableEvidence::verified(&evidence, set, about, verified).err() == Some(NotServable::Unverified)
    };
    assert!(unverified(&set, &about, &fixture::evidence(vec![], vec![])), "nothing is verified");
    let strangers = policy_set(vec![signed_by(&["b"], 1)]);
    assert!(unverified(&strangers, &about, &good), "nobody whom the policy names");
    let elsewhere = Subject { repository: "r.io/other/app".parse().unwrap(), ..about.clone() };
    assert!(unverified(&set, &elsewhere, &good), "no policy governs that repository");
    let about_another = Subject { digest: Digest::of(b"another"), ..about.clone() };
    assert!(unverified(&set, &about_another, &good), "it is about something else");
    assert!(
        unverified(&set, &about, &verified(&evidence, b"another")),
        "it lies in a blob of somebody else's"
    );
    let dressed = json_and_tar("", "01234567");
    let document =
        manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD), (media_type::SIMPLE_SIGNING, &dressed)]);
    let beside =
        EvidenceOnly::check(document, vec![intact(b"{}"), intact(PAYLOAD), intact(&dressed)]).unwrap();
    let found =
        |signed: &[u8]| ServableEvidence::verified(&beside, &set, &about, &verified(&beside, signed)).err();
    assert_eq!(
        found(PAYLOAD),
        Some(NotServable::Runnable),
        "a true signature beside what could be an archive"
    );
    assert_eq!(found(&dressed), None, "what could be one is what was signed");
    let in_another = only(&[PAYLOAD, b" "].concat()).unwrap();
    assert!(unverified(&set, &about, &verified(&in_another, PAYLOAD)), "it lies in another manifest");
}

#[test]
fn a601_evidence_by_its_form_alone_leaves_only_where_the_policy_says_so() {
    let (set, repository) = (policy_set(vec![signed_by(&["a"], 1)]), fixture::subject().repository);
    let found = |set: &PolicySet, repository: &Repository| {
        ServableEvidence::well_formed(&only(PAYLOAD).unwrap(), set, repository)
            .map(|passing| passing.vouched().is_none())
    };
    assert_eq!(found(&set, &repository), Err(NotServable::Unverified));
    let mut open = set;
    open.policies[0].evidence = EvidencePasses::WellFormed;
    assert_eq!(found(&open, &repository), Ok(true));
    assert_eq!(found(&open, &"r.io/other/app".parse().unwrap()), Err(NotServable::Unverified));
}

#[test]
fn blobs_that_the_manifest_does_not_name_are_not_handed_out() {
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    let blobs = vec![intact(b"{}"), intact(b"something else"), intact(PAYLOAD)];
    let only = EvidenceOnly::check(document, blobs).unwrap();
    assert_eq!(only.blobs().count(), 2);
    assert!(only.blob(&Digest::of(b"something else")).is_none());
}

#[test]
fn only_the_manifest_and_the_blobs_of_what_passes_leave() {
    let passing = well_formed(PAYLOAD).unwrap();
    let document = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD)]);
    assert_eq!(passing.manifest(), document.digest());
    assert!(passing.document(document).is_some());
    let other = manifest(b"{}", &[(media_type::SIMPLE_SIGNING, PAYLOAD), (media_type::DSSE, b"{}")]);
    assert!(passing.document(other).is_none());
    let (digest, config) = (Digest::of(PAYLOAD), Digest::of(b"{}"));
    assert!(passing.blob(&digest, intact(PAYLOAD)).is_some());
    assert!(passing.blob(&digest, intact(b"{}")).is_none(), "other bytes");
    assert!(passing.blob(&config, intact(b"{}")).is_some());
    let another = Digest::sha512_of(PAYLOAD);
    assert!(passing.blob(&another, intact(PAYLOAD)).is_none(), "a name that the manifest does not use");
}

#[test]
fn a013_blobs_that_the_manifest_names_by_sha512_are_known_by_both() {
    let json = serde_json::json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST,
        "config": {"mediaType": media_type::OCI_EMPTY, "digest": Digest::sha512_of(b"{}"), "size": 2},
        "layers": [{"mediaType": media_type::SIMPLE_SIGNING, "digest": Digest::sha512_of(PAYLOAD), "size": PAYLOAD.len()}],
    });
    let document = intact(json.to_string().as_bytes()).parse(None).unwrap();
    let only = EvidenceOnly::check(document, vec![intact(b"{}"), intact(PAYLOAD)]).unwrap();
    let mut set = policy_set(vec![signed_by(&["a"], 1)]);
    set.policies[0].evidence = EvidencePasses::WellFormed;
    let passing = ServableEvidence::well_formed(&only, &set, &fixture::subject().repository).unwrap();
    let digest = Digest::sha512_of(PAYLOAD);
    assert_eq!(only.blob(&digest).map(Bytes::as_ref), Some(PAYLOAD));
    assert_eq!(passing.named(&digest).map(|one| one.sha256), Some(Digest::of(PAYLOAD)));
    assert!(passing.blob(&digest, intact(PAYLOAD)).is_some());
    assert!(passing.blob(&Digest::of(PAYLOAD), intact(PAYLOAD)).is_none(), "it is not named so");
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
        assert!(EvidenceOnly::needs(manifest(b"{}", layers).value()).is_none(), "{layers:?}");
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
        assert_eq!(EvidenceOnly::needs(document.value()).is_some(), passes, "{length}");
        let blobs = vec![intact(&config), intact(PAYLOAD)];
        assert_eq!(EvidenceOnly::check(document, blobs).is_ok(), passes, "{length}");
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
fn evidence_passes_up_to_44_mebibytes_a_layer_and_sixty_four_in_all() {
    const MEBIBYTES_16: u64 = 16_777_216;
    const MEBIBYTES_44: u64 = 46_137_344;
    for (sizes, may_pass) in [
        (vec![MEBIBYTES_16; 4], true),
        (vec![MEBIBYTES_16, MEBIBYTES_16, MEBIBYTES_16, MEBIBYTES_16, 1], false),
        (vec![MEBIBYTES_16; 5], false),
        (vec![MEBIBYTES_44], true),
        (vec![MEBIBYTES_44 + 1], false),
    ] {
        assert_eq!(EvidenceOnly::needs(claiming(&sizes).value()).is_some(), may_pass, "{sizes:?}");
    }
}

#[test]
fn more_evidence_than_is_read_is_told_apart_from_an_image_and_from_what_may_pass() {
    let signatures = |count: usize| vec![(media_type::SIMPLE_SIGNING, PAYLOAD); count];
    for (layers, too_many) in [(signatures(1), false), (signatures(512), false), (signatures(513), true)] {
        let document = manifest(b"{}", &layers);
        assert_eq!(EvidenceOnly::too_many(document.value()), too_many, "{}", layers.len());
        assert_eq!(EvidenceOnly::needs(document.value()).is_none(), too_many, "{}", layers.len());
    }
    let mut mixed = signatures(513);
    mixed.push(("application/vnd.oci.image.layer.v1.tar", PAYLOAD));
    assert!(!EvidenceOnly::too_many(manifest(b"{}", &mixed).value()));
    assert!(!EvidenceOnly::too_many(index().value()));
}
