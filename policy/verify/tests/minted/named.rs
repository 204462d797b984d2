//! A log entry names this very certificate, or this very key (A623), and is of the kind that it says (A626).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::identity::Transparency;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::envelopes::{TYPE, pae, provenance};
use crate::pki::{Entry, Leaf, Pki, changed_leaf, key, pem};

/// A signer, and another certificate for the very same key.
struct Case {
    pki: Pki,
    leaf: Leaf,
    other: Vec<u8>,
}

impl Case {
    fn new() -> Self {
        let pki = Pki::new();
        let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        let again = KeyPair::try_from(key.serialize_der()).unwrap();
        let leaf = changed_leaf(pki.issuer(), key, |_| {});
        let other = changed_leaf(pki.issuer(), again, |of| of.serial_number = Some(vec![7].into()));
        Self { pki, leaf, other: other.der }
    }

    /// Who may be named: the certificate, another one, the bare key.
    fn verifiers(&self) -> [(&'static str, String, Option<Code>); 3] {
        let mismatch = Some(Code::LogEntryMismatch);
        [
            ("this certificate", pem("CERTIFICATE", &self.leaf.der), None),
            ("another certificate", pem("CERTIFICATE", &self.other), mismatch),
            ("the bare key", pem("PUBLIC KEY", &self.leaf.key.subject_public_key_info()), mismatch),
        ]
    }

    fn envelope(&self) -> (Vec<u8>, Value) {
        let payload = provenance();
        let signature = self.leaf.key.sign(&pae(TYPE, payload.as_bytes())).unwrap();
        let envelope = json!({
            "payloadType": TYPE, "payload": STANDARD.encode(&payload),
            "signatures": [{ "sig": STANDARD.encode(&signature) }],
        });
        (signature, envelope)
    }

    fn code(&self, content: (&str, Value), entry: &Value) -> Option<Code> {
        let mut whole = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&self.leaf.der) }, "tlogEntries": [entry],
            },
        });
        whole[content.0] = content.1;
        Question::new(vec![self.pki.table(TRUST)], vec![identity(Transparency::Required)])
            .code(bundle(&whole))
    }
}

fn hash(bytes: &[u8]) -> Value {
    json!({ "algorithm": "sha256", "value": hex::encode(digest(&SHA256, bytes)) })
}

/// The body of an entry of each kind for an envelope.
fn body(kind: &str, signature: &[u8], verifier: &str) -> Value {
    let payload = hash(provenance().as_bytes());
    match kind {
        "dsse" => json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": {
                "envelopeHash": hash(b"an envelope"), "payloadHash": payload,
                "signatures": [{ "signature": STANDARD.encode(signature), "verifier": STANDARD.encode(verifier) }],
            },
        }),
        _ => json!({
            "apiVersion": "0.0.2", "kind": "intoto",
            "spec": { "content": {
                "envelope": { "payloadType": TYPE, "signatures": [{
                    "publicKey": STANDARD.encode(verifier),
                    "sig": STANDARD.encode(STANDARD.encode(signature)),
                }] },
                "hash": hash(b"an envelope"), "payloadHash": payload,
            } },
        }),
    }
}

#[test]
fn a623_the_entry_of_an_envelope_names_this_very_certificate() {
    let case = Case::new();
    let (signature, envelope) = case.envelope();
    for kind in ["dsse", "intoto"] {
        for (what, verifier, expected) in case.verifiers() {
            let entry = case.pki.logged(&body(kind, &signature, &verifier), Entry::Whole);
            let code = case.code(("dsseEnvelope", envelope.clone()), &entry);
            // The library cannot even read the bare key of one kind as what it looks for.
            let refused = code.is_some() == expected.is_some();
            assert!(refused, "{kind}, {what}: {code:?}");
            if kind == "intoto" {
                assert_eq!(code, expected, "{what}");
            }
        }
    }
}

#[test]
fn a623_the_entry_of_a_message_names_this_very_certificate() {
    let case = Case::new();
    let signature = case.leaf.key.sign(MANIFEST).unwrap();
    for (what, verifier, expected) in case.verifiers() {
        let body = json!({
            "apiVersion": "0.0.1", "kind": "hashedrekord",
            "spec": { "data": { "hash": hash(MANIFEST) }, "signature": {
                "content": STANDARD.encode(&signature), "publicKey": { "content": STANDARD.encode(verifier) },
            } },
        });
        let entry = case.pki.logged(&body, Entry::Whole);
        let content = json!({ "signature": STANDARD.encode(&signature) });
        let code = case.code(("messageSignature", content), &entry);
        assert_eq!(code.is_some(), expected.is_some(), "{what}: {code:?}");
    }
}

#[test]
fn a623_an_intoto_entry_is_about_the_payload_its_type_and_the_one_signature() {
    let case = Case::new();
    let (signature, envelope) = case.envelope();
    let ours = pem("CERTIFICATE", &case.leaf.der);
    let good = body("intoto", &signature, &ours);
    let code =
        |body: &Value| case.code(("dsseEnvelope", envelope.clone()), &case.pki.logged(body, Entry::Whole));
    assert_eq!(code(&good), None);
    let mut again = good.clone();
    let one = again["spec"]["content"]["envelope"]["signatures"][0].clone();
    again["spec"]["content"]["envelope"]["signatures"].as_array_mut().unwrap().push(one);
    assert_eq!(code(&again), Some(Code::LogEntryMismatch), "two signatures");
    for (path, other) in [
        ("/spec/content/payloadHash", hash(b"another payload")),
        ("/spec/content/envelope/payloadType", json!("text/plain")),
        ("/spec/content/envelope/signatures/0/sig", json!(STANDARD.encode(STANDARD.encode(b"another")))),
    ] {
        let mut changed = good.clone();
        *changed.pointer_mut(path).unwrap() = other;
        assert_eq!(code(&changed), Some(Code::LogEntryMismatch), "{path}");
    }
}

#[test]
fn a303_a626_an_entry_is_of_the_kind_and_version_that_its_label_says() {
    let case = Case::new();
    let signature = case.leaf.key.sign(MANIFEST).unwrap();
    let whole = case.pki.bundle(&case.leaf, MANIFEST, Entry::Whole);
    let at = "/verificationMaterial/tlogEntries/0";
    let text = whole.pointer(&format!("{at}/canonicalizedBody")).unwrap().as_str().unwrap();
    let message: Value = serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
    let (by_dsse, envelope) = case.envelope();
    let ours = pem("CERTIFICATE", &case.leaf.der);
    let (dsse, intoto) = (body("dsse", &by_dsse, &ours), body("intoto", &by_dsse, &ours));
    let message_content = json!({ "signature": STANDARD.encode(&signature) });
    let mut message = message;
    message["spec"]["signature"]["content"] = json!(STANDARD.encode(&signature));
    for (body, content) in [
        (&message, ("messageSignature", &message_content)),
        (&dsse, ("dsseEnvelope", &envelope)),
        (&intoto, ("dsseEnvelope", &envelope)),
    ] {
        let content = || (content.0, content.1.clone());
        let kind = body["kind"].as_str().unwrap();
        let label = json!({ "kind": kind, "version": body["apiVersion"] });
        assert_eq!(case.code(content(), &case.pki.logged(body, Entry::Whole)), None, "{kind}");
        for (field, other) in [("kind", "rekord"), ("apiVersion", "0.0.3"), ("apiVersion", "")] {
            let mut lying = body.clone();
            lying[field] = json!(other);
            // The log entered it so; the label beside it is the one that is read.
            let mut entry = case.pki.logged(&lying, Entry::Whole);
            entry["kindVersion"] = label.clone();
            assert_eq!(case.code(content(), &entry), Some(Code::LogEntryKind), "{kind} {field} {other}");
        }
    }
}
