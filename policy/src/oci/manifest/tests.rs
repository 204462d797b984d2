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
    let most = limits::DESCRIPTOR_SIZE;
    assert!(read(&index(&descriptor(media_type::OCI_MANIFEST, &most.to_string())), None).is_ok());
    assert!(read(&index(&descriptor(media_type::OCI_MANIFEST, &(most + 1).to_string())), None).is_err());
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
    assert_eq!(read(&of(limits::LAYERS_PER_MANIFEST + 1), None).unwrap_err(), ManifestFault::Crowded);
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
    assert_eq!(read(&with(limits::MANIFEST_VALUES - 12), None).unwrap_err(), ManifestFault::Crowded);
}

#[test]
fn what_was_written_is_what_is_read() {
    let subject = descriptor("application/vnd.example.subject", "9");
    let more = format!(r#","subject":{subject},"artifactType":"application/x","annotations":{{"a":"b"}}"#);
    let (text, child) = (image(&more), descriptor(media_type::OCI_MANIFEST, "7"));
    let document = read(&text, None).unwrap();
    assert_eq!(document.value().bytes(), text.as_bytes());
    let Manifest::Image(image_of) = document.value().manifest() else { panic!("an image") };
    assert_eq!(image_of.annotations, BTreeMap::from([("a".to_owned(), "b".to_owned())]));
    let about = document.value().manifest().subject().unwrap();
    assert_eq!((about.digest, about.size), (Some(Digest::of(b"application/vnd.example.subject")), 9));
    let index_with = |more: &str| index(&child).replacen(r#"{"schema"#, &format!(r#"{{{more}"schema"#), 1);
    for (text, kind) in [
        (text, Some("application/x")),
        (image(""), Some(media_type::OCI_CONFIG)),
        (index(&child), None),
        (index_with(r#""artifactType":"application/y","#), Some("application/y")),
    ] {
        assert_eq!(read(&text, None).unwrap().value().manifest().artifact_type(), kind, "{text}");
    }
    let named = index_with(&format!(r#""subject":{subject},"#));
    assert!(read(&named, None).unwrap().value().manifest().subject().is_some());
    assert!(read(&index(&child), None).unwrap().value().manifest().subject().is_none());
    assert_eq!(read(&index_with(r#""artifactType":1,"#), None).unwrap_err(), ManifestFault::Invalid);
}

#[test]
fn a_child_is_read_with_its_platform_and_type_and_without_urls() {
    let member =
        |more: &str| descriptor(media_type::OCI_MANIFEST, "7").replacen('{', &format!("{{{more},"), 1);
    let first = |text: &str| {
        let document = read(&index(text), None).unwrap();
        document.value().manifest().content().next().cloned().unwrap()
    };
    for (platform, name) in [
        (r#"{"os":"linux","architecture":"amd64"}"#, "linux/amd64"),
        (r#"{"os":"linux","architecture":"arm","variant":"v7"}"#, "linux/arm/v7"),
    ] {
        let child = first(&member(&format!(r#""platform":{platform}"#)));
        assert_eq!(child.platform.as_deref(), Some(name));
    }
    let child = first(&member(r#""artifactType":"application/x","urls":[]"#));
    assert_eq!((child.artifact_type.as_deref(), child.foreign), (Some("application/x"), Foreign::Registry));
    assert_eq!(first(&member(r#""urls":["https://a.example"]"#)).foreign, Foreign::Urls);
}

#[test]
fn a112_a_document_is_one_kind_by_its_members_and_by_its_types() {
    for key in ["config", "layers"] {
        let text = format!(r#"{{"schemaVersion":2,"{key}":[],"manifests":[]}}"#);
        assert_eq!(read(&text, None).unwrap_err(), ManifestFault::Ambiguous, "{key}");
    }
    for key in ["fsLayers", "history"] {
        assert_eq!(
            read(&image(&format!(r#","{key}":[]"#)), None).unwrap_err(),
            ManifestFault::Ambiguous,
            "{key}"
        );
    }
    let list = index("").replace(media_type::OCI_INDEX, media_type::DOCKER_LIST);
    assert_eq!(read(&list, None).unwrap().value().media_type(), media_type::DOCKER_LIST);
}

#[test]
fn a128_what_has_more_values_than_are_read_is_an_index_or_nothing() {
    let many = vec!["0"; limits::MANIFEST_VALUES + 1].join(",");
    let of = |key: &str| format!(r#"{{"schemaVersion":2,"{key}":[{many}]}}"#);
    assert_eq!(read(&of("manifests"), None).unwrap_err(), ManifestFault::IndexTooLarge);
    assert_eq!(read(&of("layers"), None).unwrap_err(), ManifestFault::Crowded);
}

#[test]
fn a131_embedded_data_has_the_digest_and_the_size_that_are_named() {
    let of = |digest: Digest, size: usize| {
        let config = format!(
            r#"{{"mediaType":"{}","digest":"{digest}","size":{size},"data":"{}"}}"#,
            media_type::OCI_CONFIG,
            "e30="
        );
        image("").replace(&descriptor(media_type::OCI_CONFIG, "2"), &config)
    };
    assert!(read(&of(Digest::of(b"{}"), 2), None).is_ok());
    assert_eq!(read(&of(Digest::of(b"{}"), 3), None).unwrap_err(), ManifestFault::Ambiguous);
    assert_eq!(read(&of(Digest::of(b"[]"), 2), None).unwrap_err(), ManifestFault::Ambiguous);
}
