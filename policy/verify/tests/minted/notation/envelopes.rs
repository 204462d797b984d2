//! The two envelopes and what they sign: what a reader could take for something else is refused (A670, A672, A677).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Scheme;
use pullgate_policy::evidence::notation::Form;
use pullgate_policy::oci::media_type;
use serde_json::{Value, json};

use super::{Asked, MANIFEST, payload, usual};
use crate::notary::{Authority, cbor, labels, protected, protected_with};

#[test]
fn a670_an_honest_signature_counts_in_both_forms_and_says_what_it_rests_on() {
    let corp = Authority::new("corp root");
    for (form, envelope) in usual(&corp.signer()) {
        let facts = Asked::of(&corp).facts(form, envelope);
        assert_eq!(facts.trusted_time, None, "the signer's own word is no time");
        let chained = facts.vouchers.chained.unwrap();
        assert_eq!(chained.scheme, Scheme::X509);
        let names: Vec<_> = chained.subjects.iter().map(String::as_str).collect();
        assert_eq!(names, ["CN=signer,O=Granary,ST=Berlin,C=DE", "CN=corp root,O=Granary,ST=Berlin,C=DE"]);
        assert_eq!(chained.claimed.map(|time| time.to_string()).as_deref(), Some("2026-11-20T12:00:00Z"));
    }
}

#[test]
fn a670_each_form_is_read_by_its_own_reader_alone() {
    let corp = Authority::new("corp root");
    let [(jws, in_jws), (cose, in_cose)] = usual(&corp.signer());
    assert_eq!(Asked::of(&corp).code(cose, in_jws), Some(Code::EnvelopeInvalid));
    assert_eq!(Asked::of(&corp).code(jws, in_cose), Some(Code::EnvelopeInvalid));
}

#[test]
fn a670_a_jws_that_another_reader_takes_otherwise_is_refused() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let good = signer.jws_of(&protected(), &payload());
    assert_eq!(Asked::of(&corp).jws(&good), None);
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let mut cases: Vec<(&str, Value)> = Vec::new();
    let mut with = |what, path: &str, value: Value| {
        let mut changed = good.clone();
        let (parent, key) = path.rsplit_once('/').unwrap();
        changed.pointer_mut(parent).unwrap()[key] = value;
        cases.push((what, changed));
    };
    with("padding", "/payload", json!(text(&good["payload"]) + "="));
    with("a line break", "/payload", json!(text(&good["payload"]) + "\n"));
    with("two signatures", "/signatures", json!([{ "signature": good["signature"] }]));
    with("base64url certificates", "/header/x5c", json!(["-_8="]));
    with("no certificates", "/header/x5c", json!("x"));
    with("a timestamp that is no text", "/header/io.cncf.notary.timestampSignature", json!(7));
    for (what, envelope) in cases {
        assert_eq!(Asked::of(&corp).jws(&envelope), Some(Code::EnvelopeInvalid), "{what}");
    }
    // A member twice in what is signed: one reader takes the first, another the last.
    let whole = protected().to_string();
    let doubled = whole.replacen('{', r#"{"alg":"ES256","#, 1);
    let twice = signer.jws_over(&doubled, &payload().to_string());
    assert_eq!(Asked::of(&corp).jws(&twice), Some(Code::EnvelopeInvalid));
    let cased = whole.replacen('{', r#"{"ALG":"none","#, 1);
    let twice = signer.jws_over(&cased, &payload().to_string());
    assert_eq!(Asked::of(&corp).jws(&twice), Some(Code::EnvelopeInvalid));
    let target = payload()["targetArtifact"].to_string();
    let other = format!(r#"{{"targetArtifact":{target},"targetartifact":{{}}}}"#);
    let twice = signer.jws_over(&whole, &other);
    assert_eq!(Asked::of(&corp).jws(&twice), Some(Code::PayloadInvalid));
}

#[test]
fn a670_unprotected_headers_decide_nothing() {
    let corp = Authority::new("corp root");
    let mut odd = corp.signer().jws_of(&protected(), &payload());
    odd["header"]["alg"] = json!("none");
    odd["header"]["jwk"] = json!({ "kty": "oct" });
    odd["header"]["io.cncf.notary.signingAgent"] = json!("\u{1b}[2J");
    assert_eq!(Asked::of(&corp).jws(&odd), None);
}

#[test]
fn a670_a_header_that_nobody_signed_is_none_and_certificates_are_a_list() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let payload = payload().to_string();
    let with =
        |label: Vec<u8>, value: Vec<u8>| signer.cose_with(&labels(), payload.as_bytes(), &[(label, value)]);
    assert_eq!(Asked::of(&corp).cose(with(cbor::int(4), cbor::bytes(b"id"))), None, "an honest one");
    assert_eq!(Asked::of(&corp).cose(with(cbor::int(1), cbor::int(-7))), Some(Code::EnvelopeInvalid));
    let stamp = cbor::text("io.cncf.notary.timestampSignature");
    assert_eq!(Asked::of(&corp).cose(with(stamp, cbor::text("x"))), Some(Code::EnvelopeInvalid));
    // Its own x5chain, twice.
    assert_eq!(Asked::of(&corp).cose(with(cbor::int(33), cbor::array(&[]))), Some(Code::EnvelopeInvalid));
    let untyped: Vec<_> = labels().into_iter().filter(|(label, _)| *label != cbor::int(3)).collect();
    let untyped = signer.cose_of(&untyped, payload.as_bytes());
    assert_eq!(Asked::of(&corp).cose(untyped), Some(Code::EnvelopeInvalid));
}

#[test]
fn a672_the_algorithm_is_the_one_of_the_leafs_key() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    for word in ["none", "HS256", "RS256", "PS256", "ES384", "EdDSA", "es256"] {
        let envelope = signer.jws_of(&protected_with(&json!({ "alg": word })), &payload());
        assert_eq!(Asked::of(&corp).jws(&envelope), Some(Code::SignatureInvalid), "{word}");
    }
    for number in [-8, -35, -37, -257, 5] {
        let mut labels = labels();
        labels[0].1 = cbor::int(number);
        let envelope = signer.cose_of(&labels, payload().to_string().as_bytes());
        assert_eq!(Asked::of(&corp).cose(envelope), Some(Code::SignatureInvalid), "{number}");
    }
}

#[test]
fn a672_a_signature_is_of_this_key_in_this_form_over_these_bytes() {
    let corp = Authority::new("corp root");
    let (signer, other) = (corp.signer(), corp.signer());
    // Another's key under this certificate.
    let borrowed = other.under(signer.certificates.clone());
    for (form, envelope) in usual(&borrowed) {
        assert_eq!(Asked::of(&corp).code(form, envelope), Some(Code::SignatureInvalid), "{form:?}");
    }
    let mut changed = signer.jws_of(&protected(), &payload());
    for made in [json!(""), json!("AA"), json!(STANDARD.encode([48, 6, 2, 1, 1, 2, 1, 1]).replace('=', ""))] {
        changed["signature"] = made;
        assert_eq!(Asked::of(&corp).jws(&changed), Some(Code::SignatureInvalid));
    }
    // One bit of what is signed.
    let mut cose = signer.cose(MANIFEST, media_type::OCI_MANIFEST);
    let at = cose.windows(4).position(|four| four == b"size").unwrap();
    cose[at + 6] ^= 1;
    assert_eq!(Asked::of(&corp).cose(cose), Some(Code::SignatureInvalid));
}

#[test]
fn a677_a_signature_is_about_this_digest_size_and_type() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let code = |payload: &Value| Asked::of(&corp).jws(&signer.jws_of(&protected(), payload));
    let with = |name: &str, value: Value| {
        let mut changed = payload();
        changed["targetArtifact"][name] = value;
        code(&changed)
    };
    assert_eq!(code(&payload()), None);
    assert_eq!(with("artifactType", json!("x/y")), None);
    assert_eq!(with("annotations", json!({ "env": "prod" })), None);
    let mismatch = Some(Code::DigestMismatch);
    assert_eq!(with("digest", json!(format!("sha256:{}", "ab".repeat(32)))), mismatch);
    let upper = payload()["targetArtifact"]["digest"].as_str().unwrap().to_uppercase();
    assert_eq!(with("digest", json!(upper)), mismatch);
    let sha512 = pullgate_policy::oci::Digest::sha512_of(MANIFEST).to_string();
    assert_eq!(with("digest", json!(sha512)), mismatch);
    assert_eq!(with("size", json!(MANIFEST.len() + 1)), mismatch);
    assert_eq!(with("size", json!(MANIFEST.len().to_string())), mismatch);
    assert_eq!(with("size", Value::Null), mismatch);
    assert_eq!(with("mediaType", json!(media_type::DOCKER_MANIFEST)), mismatch);
    assert_eq!(with("mediaType", Value::Null), mismatch);
    assert_eq!(with("annotations", json!({ "env": 1 })), Some(Code::PayloadInvalid));
    assert_eq!(with("annotations", json!([])), Some(Code::PayloadInvalid));
    for other in [json!({}), json!([]), json!({ "targetArtifact": [] }), json!({ "TargetArtifact": {} })] {
        assert_eq!(code(&other), Some(Code::PayloadInvalid), "{other}");
    }
    let untyped = protected_with(&json!({ "cty": "application/vnd.oci.descriptor.v1+json" }));
    let envelope = signer.jws_of(&untyped, &payload());
    assert_eq!(Asked::of(&corp).jws(&envelope), Some(Code::PayloadInvalid));
}

#[test]
fn a677_a_signature_of_another_manifest_counts_for_that_alone() {
    let corp = Authority::new("corp root");
    let other = String::from_utf8(MANIFEST.to_vec()).unwrap().replace("\"layers\":[]", "\"layers\":[ ]");
    for (form, envelope) in usual(&corp.signer()) {
        let about_other = Asked::of(&corp).ask_about(other.as_bytes(), form, envelope.clone());
        assert_eq!(super::why(&about_other), Some(Code::DigestMismatch), "{form:?}");
        assert_eq!(Asked::of(&corp).code(form, envelope), None);
    }
}

#[test]
fn a677_what_the_user_says_is_signed_with_it() {
    let corp = Authority::new("corp root");
    let mut said = payload();
    said["targetArtifact"]["annotations"] = json!({ "env": "prod" });
    let envelope = corp.signer().jws_of(&protected(), &said).to_string().into_bytes();
    let facts = Asked::of(&corp).facts(Form::Jws, envelope);
    assert_eq!(facts.annotations.get("env").map(String::as_str), Some("prod"));
}
