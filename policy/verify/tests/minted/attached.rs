//! A layer of an `.att` manifest by the holder of a certificate, with a log entry of the oldest kind, which the library
//! does not read.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::identity::Transparency;
use pullgate_policy::oci::Digest;
use pullgate_verify::Item;
use rcgen::SigningKey as _;
use serde_json::json;

use crate::ask::{Question, TRUST, identity};
use crate::envelopes::{TYPE, pae, provenance};
use crate::pki::{Entry, Leaf, Pki, pem, usual_leaf_by};

pub(crate) struct Attached {
    pub(crate) envelope: Bytes,
    pub(crate) annotations: BTreeMap<String, String>,
}

impl Attached {
    pub(crate) fn new(pki: &Pki, leaf: &Leaf) -> Self {
        let payload = provenance();
        let signature = leaf.key.sign(&pae(TYPE, payload.as_bytes())).unwrap();
        let envelope = json!({
            "payloadType": TYPE, "payload": STANDARD.encode(&payload),
            "signatures": [{ "sig": STANDARD.encode(&signature) }],
        })
        .to_string();
        let sha256 =
            |text: &str| json!({ "algorithm": "sha256", "value": Digest::of(text.as_bytes()).hex() });
        let certificate = pem("CERTIFICATE", &leaf.der);
        let body = json!({
            "apiVersion": "0.0.1", "kind": "intoto",
            "spec": {
                "content": { "hash": sha256(&envelope), "payloadHash": sha256(&payload) },
                "publicKey": STANDARD.encode(&certificate),
            },
        });
        let entry = pki.logged(&body, Entry::WithoutProof);
        let log = STANDARD.decode(entry["logId"]["keyId"].as_str().unwrap()).unwrap();
        let time: i64 = entry["integratedTime"].as_str().unwrap().parse().unwrap();
        let kept = json!({
            "SignedEntryTimestamp": entry["inclusionPromise"]["signedEntryTimestamp"],
            "Payload": {
                "body": entry["canonicalizedBody"], "integratedTime": time,
                "logIndex": 0, "logID": hex::encode(log),
            },
        });
        let annotations = BTreeMap::from([
            ("dev.sigstore.cosign/certificate".to_owned(), certificate),
            ("dev.sigstore.cosign/bundle".to_owned(), kept.to_string()),
        ]);
        Self { envelope: Bytes::from(envelope), annotations }
    }
}

#[test]
fn an_unlisted_authority_leads_to_the_root_where_it_travels_along() {
    let pki = Pki::new();
    let (between, issuer) = pki.between();
    let question = Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)]);
    let code = |chain: &[&[u8]]| {
        let Attached { envelope, mut annotations, .. } = Attached::new(&pki, &usual_leaf_by(&issuer));
        let chain: String = chain.iter().map(|der| pem("CERTIFICATE", der)).collect();
        annotations.insert("dev.sigstore.cosign/chain".to_owned(), chain);
        question.code(Item::Dsse { envelope, annotations })
    };
    assert_eq!(code(&[&between]), None);
    let (unrelated, _) = pki.between();
    assert_eq!(code(&[&unrelated, &between]), None, "among others");
    assert_eq!(code(&[]), Some(Code::CertificateUntrusted));
    assert_eq!(code(&[&unrelated]), Some(Code::CertificateUntrusted));
}

#[test]
fn a_certificate_must_be_good_at_the_time_that_such_an_entry_has() {
    let pki = Pki::new();
    let question = Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)]);
    let outside = Some(Code::TimeOutsideCertificate);
    for (days, expected) in [([24, 25], None), ([1, 30], None), ([23, 24], outside), ([25, 26], outside)] {
        let Attached { envelope, annotations, .. } = Attached::new(&pki, &pki.leaf_of(days));
        assert_eq!(question.code(Item::Dsse { envelope, annotations }), expected, "{days:?}");
    }
}

#[test]
fn such_an_entry_is_about_the_certificate_and_the_signature_must_hold() {
    let pki = Pki::new();
    let question = Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)]);
    let (ours, theirs) = (Attached::new(&pki, &pki.usual_leaf()), Attached::new(&pki, &pki.usual_leaf()));
    let code = |one: &Attached, annotations: &BTreeMap<String, String>| {
        question.code(Item::Dsse { envelope: one.envelope.clone(), annotations: annotations.clone() })
    };
    assert_eq!(code(&ours, &ours.annotations), None);
    // Everything is of the other signer, but the envelope with its signature.
    assert_eq!(code(&ours, &theirs.annotations), Some(Code::LogEntryMismatch));
    let mut mixed = ours.annotations.clone();
    let key = "dev.sigstore.cosign/certificate";
    mixed.insert(key.to_owned(), theirs.annotations[key].clone());
    assert_eq!(code(&ours, &mixed), Some(Code::LogEntryMismatch));
}
