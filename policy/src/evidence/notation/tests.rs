use serde_json::json;

use super::*;
use crate::content::Untrusted;
use crate::oci::Manifest;

fn manifest(artifact_type: Option<&str>, config: &str, layers: &[&str]) -> Image {
    let digest = format!("sha256:{}", "ab".repeat(32));
    let described = |media_type: &str| json!({ "mediaType": media_type, "digest": digest, "size": 2 });
    let mut written = json!({
        "schemaVersion": 2, "mediaType": media_type::OCI_MANIFEST, "config": described(config),
        "layers": layers.iter().map(|layer| described(layer)).collect::<Vec<_>>(),
    });
    if let Some(artifact_type) = artifact_type {
        written["artifactType"] = json!(artifact_type);
    }
    let document = Untrusted::new(written.to_string().into()).hash().parse(None).unwrap();
    match document.value().manifest() {
        Manifest::Image(image) => image.clone(),
        Manifest::Index(_) => panic!("an index"),
    }
}

const NOTARY: &str = media_type::NOTATION_ARTIFACT;
const EMPTY: &str = media_type::OCI_EMPTY;
const JWS: &str = media_type::NOTATION_JWS;
const COSE: &str = media_type::NOTATION_COSE;

#[test]
fn a678_a_carrier_says_what_it_is_in_one_of_two_ways_and_has_one_layer() {
    for (image, form) in [
        (manifest(Some(NOTARY), EMPTY, &[JWS]), Ok(Form::Jws)),
        (manifest(None, NOTARY, &[COSE]), Ok(Form::Cose)),
        (manifest(Some(NOTARY), NOTARY, &[JWS]), Err(Code::Unsupported)),
        (manifest(Some(NOTARY), media_type::OCI_CONFIG, &[JWS]), Err(Code::Unsupported)),
        (manifest(Some("text/plain"), EMPTY, &[JWS]), Err(Code::Unsupported)),
        (manifest(Some("text/plain"), NOTARY, &[JWS]), Err(Code::Unsupported)),
        (manifest(None, EMPTY, &[JWS]), Err(Code::Unsupported)),
        (manifest(None, NOTARY, &[JWS, JWS]), Err(Code::EnvelopeInvalid)),
        (manifest(None, NOTARY, &[]), Err(Code::EnvelopeInvalid)),
        (manifest(None, NOTARY, &["application/jose"]), Err(Code::Unsupported)),
        (manifest(None, NOTARY, &["application/JOSE+json"]), Err(Code::Unsupported)),
    ] {
        assert!(is_carrier(&image));
        assert_eq!(envelope(&image).map(|(_, form)| form).map_err(|(code, _)| code), form, "{image:?}");
    }
    assert!(!is_carrier(&manifest(None, media_type::OCI_CONFIG, &[media_type::SIMPLE_SIGNING])));
}

#[test]
fn a670_a_jws_is_flattened_and_has_its_four_members_alone() {
    let whole = json!({ "payload": "a", "protected": "b", "header": {}, "signature": "c" });
    assert!(Jws::read(whole.to_string().as_bytes()).is_ok());
    for name in ["payload", "protected", "header", "signature"] {
        let mut without = whole.clone();
        without.as_object_mut().unwrap().remove(name);
        assert!(Jws::read(without.to_string().as_bytes()).is_err(), "{name}");
        let mut other = whole.clone();
        other[name] = json!(["a"]);
        assert!(Jws::read(other.to_string().as_bytes()).is_err(), "{name}");
    }
    let mut more = whole.clone();
    more["signatures"] = json!([]);
    for text in [
        more.to_string(),
        r#"{"payload":"a","Payload":"x","protected":"b","header":{},"signature":"c"}"#.to_owned(),
        r#"{"payload":"a","payload":"x","protected":"b","header":{},"signature":"c"}"#.to_owned(),
        "b.a.c".to_owned(),
        format!("{whole} {whole}"),
        format!("[{whole}]"),
        String::new(),
    ] {
        assert!(Jws::read(text.as_bytes()).is_err(), "{text}");
    }
}

/// A COSE_Sign1 of these parts, each in hexadecimal.
fn sign1(head: &str, parts: [&str; 4]) -> Vec<u8> {
    hex::decode(format!("{head}{}", parts.concat())).unwrap()
}

/// `{1: -7}`, `{33: [h'3000']}`, `{"targetArtifact":{}}`, one byte.
const PARTS: [&str; 4] =
    ["43a10126", "a118218142 3000", "55 7b227461726765744172746966616374223a7b7d7d", "4101"];

fn parts() -> [String; 4] {
    PARTS.map(|part| part.replace(' ', ""))
}

fn with(place: usize, part: &str) -> Vec<u8> {
    let mut all = parts();
    all[place] = part.to_owned();
    sign1("d284", all.each_ref().map(String::as_str))
}

#[test]
fn a670_a_sign1_has_its_tag_its_four_parts_its_payload_and_nothing_behind() {
    let all = parts();
    let all = all.each_ref().map(String::as_str);
    let whole = sign1("d284", all);
    let read = Sign1::read(&whole).unwrap();
    assert_eq!(read.certificates(), Some(vec![&[0x30, 0][..]]));
    assert!(read.is_nothing_else());
    let behind = [&whole[..], &[0]].concat();
    for (bytes, what) in [
        (sign1("84", all), "no tag"),
        (sign1("d8628484", all), "another tag"),
        (sign1("d2d284", all), "two tags"),
        (sign1("d29f", [all[0], all[1], all[2], "4101ff"]), "without an end"),
        (sign1("d283", [all[0], all[1], all[2], ""]), "three parts"),
        (behind, "a byte behind"),
        (with(0, "a10126"), "a protected header that is no byte string"),
        (with(0, "40"), "an empty protected header"),
        (with(0, "45a201260126"), "a protected label twice"),
        (with(1, "a21821814230001821814230 00".replace(' ', "").as_str()), "an unprotected label twice"),
        (with(1, "80"), "an unprotected header that is no map"),
        (with(2, "f6"), "a payload elsewhere"),
        (with(2, "6161"), "a text for a payload"),
        (with(3, "f6"), "no signature"),
    ] {
        assert!(Sign1::read(&bytes).is_err(), "{what}");
    }
}

#[test]
fn a678_what_leaves_as_a_cose_signature_has_nothing_else_in_it() {
    for (place, part, what) in [
        (1, "a1182142 3000", "one certificate that is no list"),
        (1, "a1182180", "no certificate"),
        (1, "a11821814131", "a certificate that is none"),
        (1, "a21821814230001822 00", "another label"),
        (1, "a2182181423000616100", "a label of somebody's own"),
        (2, "427b7d", "a payload without a target"),
        (2, "4100", "a payload that is no JSON"),
    ] {
        let bytes = with(place, &part.replace(' ', ""));
        assert!(!Sign1::read(&bytes).unwrap().is_nothing_else(), "{what}");
    }
}
