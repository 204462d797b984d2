use super::*;
use crate::content::Untrusted;

fn read(text: &str, content_type: Option<&str>) -> Result<Intact<Document>, ManifestFault> {
    Untrusted::new(Bytes::copy_from_slice(text.as_bytes())).hash().parse(content_type)
}

fn descriptor(media_type: &str, size: &str) -> String {
    format!(
        r#"{{"mediaType":"{media_type}","digest":"{}","size":{size}}}"#,
        Digest::of(media_type.as_bytes())
    )
}

fn image(extra: &str) -> String {
    format!(
        r#"{{"schemaVersion":2,"mediaType":"{}","config":{},"layers":[{}]{extra}}}"#,
        media_type::OCI_MANIFEST,
        descriptor(media_type::OCI_CONFIG, "2"),
        descriptor("application/vnd.oci.image.layer.v1.tar+gzip", "3")
    )
}

fn index(children: &str) -> String {
    format!(r#"{{"schemaVersion":2,"mediaType":"{}","manifests":[{children}]}}"#, media_type::OCI_INDEX)
}

#[test]
fn an_image_and_an_index_are_read() {
    let document = read(&image(""), Some(media_type::OCI_MANIFEST)).unwrap();
    assert_eq!(document.value().manifest().content().count(), 2);
    let child = descriptor(media_type::OCI_MANIFEST, "7");
    assert!(matches!(read(&index(&child), None).unwrap().value().manifest(), Manifest::Index(_)));
    assert!(read(&index(""), None).is_ok(), "an empty list is an index that grants nothing");
}

#[test]
fn a123_a124_a_document_of_two_kinds_is_ambiguous() {
    let both = image(r#","manifests":[]"#);
    assert_eq!(read(&both, None).unwrap_err(), ManifestFault::Ambiguous);
    assert_eq!(read(&image(""), Some(media_type::OCI_INDEX)).unwrap_err(), ManifestFault::Ambiguous);
    assert_eq!(read(&image(""), Some(media_type::DOCKER_MANIFEST)).unwrap_err(), ManifestFault::Ambiguous);
    let lying = image("").replace(media_type::OCI_MANIFEST, media_type::OCI_INDEX);
    assert_eq!(read(&lying, Some(media_type::OCI_INDEX)).unwrap_err(), ManifestFault::Ambiguous);
}

#[test]
fn a_body_without_media_type_takes_the_headers_if_the_shape_agrees() {
    let plain =
        image("").replace(&format!(r#""mediaType":"{}","config""#, media_type::OCI_MANIFEST), r#""config""#);
    assert_eq!(
        read(&plain, Some(media_type::OCI_MANIFEST)).unwrap().value().media_type(),
        media_type::OCI_MANIFEST
    );
    assert_eq!(read(&plain, Some(media_type::OCI_INDEX)).unwrap_err(), ManifestFault::Ambiguous);
}

#[test]
fn a035_keys_in_other_case_are_ambiguous() {
    for extra in [r#","Layers":[]"#, r#","layers":[]"#, r#","x":{"Digest":1}"#, r#","MANIFESTS":[]"#] {
        assert_eq!(read(&image(extra), None).unwrap_err(), ManifestFault::Ambiguous, "{extra}");
    }
    assert!(read(&image(r#","annotations":{"Digest":"x"}"#), None).is_ok());
}

#[test]
fn a112_a125_other_schemas_and_types_are_unsupported() {
    for (from, to) in [
        (r#""schemaVersion":2"#, r#""schemaVersion":1"#),
        (r#""schemaVersion":2"#, r#""schemaVersion":"2""#),
        (r#""schemaVersion":2,"#, ""),
        (media_type::OCI_MANIFEST, "application/json"),
    ] {
        assert_eq!(read(&image("").replace(from, to), None).unwrap_err(), ManifestFault::Unsupported, "{to}");
    }
    assert_eq!(read(&image(""), Some("text/plain")).unwrap_err(), ManifestFault::Unsupported);
}

#[test]
fn a105_sizes_that_cannot_be_are_invalid() {
    for size in ["-1", "9007199254740993", "18446744073709551616", "\"3\"", "1.5"] {
        let text = index(&descriptor(media_type::OCI_MANIFEST, size));
        assert_eq!(read(&text, None).unwrap_err(), ManifestFault::Invalid, "{size}");
    }
    assert!(read(&index(&descriptor(media_type::OCI_MANIFEST, "9007199254740992")), None).is_ok());
}

#[test]
fn a128_one_digest_with_two_stories_is_ambiguous() {
    let one = descriptor(media_type::OCI_MANIFEST, "7");
    let other = one.replace(r#""size":7"#, r#""size":8"#);
    assert!(read(&index(&format!("{one},{one}")), None).is_ok());
    assert_eq!(read(&index(&format!("{one},{other}")), None).unwrap_err(), ManifestFault::Ambiguous);
    let many = vec![one; limits::INDEX_CHILDREN];
    assert!(read(&index(&many.join(",")), None).is_ok());
    let more = [many.join(","), descriptor(media_type::OCI_INDEX, "9")].join(",");
    assert_eq!(read(&index(&more), None).unwrap_err(), ManifestFault::IndexTooLarge);
}

#[test]
fn a131_embedded_data_must_be_the_content() {
    let with = |data: &str| {
        let child = format!(
            r#"{{"mediaType":"{}","digest":"{}","size":2,"data":"{data}"}}"#,
            media_type::OCI_MANIFEST,
            Digest::of(b"{}")
        );
        read(&index(&child), None)
    };
    assert!(with("e30=").is_ok());
    assert_eq!(with("e31=").unwrap_err(), ManifestFault::Ambiguous);
    assert_eq!(with("%%").unwrap_err(), ManifestFault::Ambiguous);
}

#[test]
fn a130_urls_are_noticed_and_a132_unknown_algorithms_have_no_digest() {
    let child =
        descriptor(media_type::OCI_MANIFEST, "7").replace(r#""size""#, r#""urls":["https://x"],"size""#);
    let document = read(&index(&child), None).unwrap();
    assert_eq!(document.value().manifest().content().next().unwrap().foreign, Foreign::Urls);
    let blake =
        r#"{"mediaType":"application/vnd.oci.image.manifest.v1+json","digest":"blake3:abcd","size":7}"#;
    assert_eq!(read(&index(blake), None).unwrap().value().manifest().content().next().unwrap().digest, None);
}

#[test]
fn a_manifest_over_its_limits_is_refused_whole() {
    let layer = descriptor("application/vnd.oci.image.layer.v1.tar", "3");
    let of = |n: usize| {
        let config = descriptor(media_type::OCI_CONFIG, "2");
        format!(r#"{{"schemaVersion":2,"config":{config},"layers":[{}]}}"#, vec![layer.as_str(); n].join(","))
    };
    assert!(read(&of(limits::LAYERS_PER_MANIFEST), None).is_ok());
    assert_eq!(read(&of(limits::LAYERS_PER_MANIFEST + 1), None).unwrap_err(), ManifestFault::Invalid);
    let limit = usize::try_from(limits::MANIFEST_BYTES).unwrap();
    let text = image("");
    let padded = |n: usize| format!("{text}{}", " ".repeat(n - text.len()));
    assert!(read(&padded(limit), None).is_ok());
    assert_eq!(read(&padded(limit + 1), None).unwrap_err(), ManifestFault::TooLarge);
}

#[test]
fn a127_a_manifest_of_more_values_than_are_read_is_invalid() {
    // The document, its members and theirs: 13 values besides.
    let with = |values: usize| image(&format!(r#","x":[0{}]"#, ",0".repeat(values - 1)));
    assert!(read(&with(limits::MANIFEST_VALUES - 13), None).is_ok());
    assert_eq!(read(&with(limits::MANIFEST_VALUES - 12), None).unwrap_err(), ManifestFault::Invalid);
}
