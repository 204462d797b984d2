//! What a certificate log says of a certificate: while its key counts, and not in the future (A628); of several logs
//! one that the table holds is enough.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Sct, TrustTable};
use rcgen::{CertificateParams, CustomExtension, KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, LOGGED, Leaf, Pki, changed_leaf, key};

/// A certificate log.
struct Log(KeyPair);

impl Log {
    fn new() -> Self {
        Self(key(&rcgen::PKCS_ECDSA_P256_SHA256))
    }

    fn id(&self) -> Vec<u8> {
        let spki = self.0.subject_public_key_info();
        aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, &spki).as_ref().to_vec()
    }

    fn listed(&self) -> Value {
        json!({
            "baseUrl": "https://ct.example", "hashAlgorithm": "SHA2_256",
            "publicKey": {
                "rawBytes": STANDARD.encode(self.0.subject_public_key_info()),
                "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": { "start": "2026-01-01T00:00:00Z" },
            },
            "logId": { "keyId": STANDARD.encode(self.id()) },
        })
    }

    /// An SCT (RFC 6962, section 3.2) of this certificate as it was before.
    fn sct(&self, tbs: &[u8], issuer: &[u8], time: &str) -> Vec<u8> {
        let millisecond = time.parse::<Timestamp>().unwrap().as_millisecond();
        let time = u64::try_from(millisecond).unwrap().to_be_bytes();
        let issuer = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, issuer);
        let length = u32::try_from(tbs.len()).unwrap().to_be_bytes();
        let signed =
            [&[0, 0], time.as_slice(), &[0, 1], issuer.as_ref(), &length[1..], tbs, &[0, 0]].concat();
        let signature = self.0.sign(&signed).unwrap();
        [&[0], self.id().as_slice(), &time, &[0, 0, 4, 3], &vector(&signature)].concat()
    }
}

fn vector(bytes: &[u8]) -> Vec<u8> {
    [&u16::try_from(bytes.len()).unwrap().to_be_bytes(), bytes].concat()
}

/// A leaf with an SCT by each of these logs, of these times.
fn leaf(pki: &Pki, scts: &[(&Log, &str)]) -> Leaf {
    let signer = || key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let secret = signer();
    let again = || KeyPair::try_from(secret.serialize_der()).unwrap();
    let serial = |of: &mut CertificateParams| of.serial_number = Some(vec![9].into());
    let before = Certificate::from_der(&changed_leaf(pki.issuer(), again(), serial).der).unwrap();
    let tbs = before.tbs_certificate.to_der().unwrap();
    let issuer = pki.issuer().key().subject_public_key_info();
    let listed: Vec<u8> = scts.iter().flat_map(|(log, time)| vector(&log.sct(&tbs, &issuer, time))).collect();
    let list = vector(&listed);
    let mut content = vec![4];
    match u8::try_from(list.len()).unwrap() {
        short @ 0..128 => content.push(short),
        long => content.extend([0x81, long]),
    }
    content.extend(list);
    changed_leaf(pki.issuer(), again(), |of| {
        serial(of);
        let oid = [1, 3, 6, 1, 4, 1, 11129, 2, 4, 2];
        of.custom_extensions.push(CustomExtension::from_oid_content(&oid, content));
    })
}

fn code(pki: &Pki, logs: &[Value], leaf: &Leaf) -> Option<Code> {
    let mut root = pki.root(&[]);
    root["ctlogs"] = json!(logs);
    let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::Required).unwrap();
    let question = Question::new(vec![table], vec![identity(Transparency::Required)]);
    question.code(bundle(&pki.bundle(leaf, MANIFEST, Entry::Whole)))
}

const INVALID: Option<Code> = Some(Code::SctInvalid);

#[test]
fn a628_an_sct_is_not_from_the_future() {
    let (pki, log) = (Pki::new(), Log::new());
    let at = |time: &str| code(&pki, &[log.listed()], &leaf(&pki, &[(&log, time)]));
    assert_eq!(at(LOGGED), None);
    // The gate's clock is at 12:10, and may be five minutes behind.
    assert_eq!(at("2026-11-24T12:15:00Z"), None);
    assert_eq!(at("2026-11-24T12:15:00.001Z"), INVALID);
    assert_eq!(at("2027-11-24T12:00:00Z"), INVALID);
}

#[test]
fn a628_a_key_without_a_beginning_vouches_for_nothing() {
    let (pki, log) = (Pki::new(), Log::new());
    let with = |change: fn(&mut Value)| {
        let mut listed = log.listed();
        change(&mut listed["publicKey"]);
        code(&pki, &[listed], &leaf(&pki, &[(&log, LOGGED)]))
    };
    assert_eq!(with(|_| {}), None);
    assert_eq!(with(|key| drop(key.as_object_mut().unwrap().remove("validFor"))), INVALID);
    assert_eq!(with(|key| key["validFor"] = json!({ "end": "2036-01-01T00:00:00Z" })), INVALID);
    assert_eq!(with(|key| key["validFor"]["start"] = json!("2026-11-25T00:00:00Z")), INVALID, "not yet");
    // The same of the log that has the entry.
    let mut root = pki.root(&[]);
    root["tlogs"][0]["publicKey"]["validFor"] = json!({});
    let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap();
    assert_eq!(table.unusable(LOGGED.parse().unwrap()).len(), 1);
    let question = Question::new(vec![table], vec![identity(Transparency::Required)]);
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    assert_eq!(question.code(bundle(&signed)), Some(Code::LogUnknown));
}

#[test]
fn a327_of_several_scts_one_by_a_known_log_is_enough_and_none_is_refused() {
    let (pki, log, other) = (Pki::new(), Log::new(), Log::new());
    let ours = [log.listed()];
    assert_eq!(code(&pki, &ours, &leaf(&pki, &[(&other, LOGGED), (&log, LOGGED)])), None);
    assert_eq!(code(&pki, &ours, &leaf(&pki, &[(&log, LOGGED), (&other, LOGGED)])), None);
    assert_eq!(code(&pki, &ours, &leaf(&pki, &[(&other, LOGGED)])), INVALID, "the table does not hold it");
    assert_eq!(code(&pki, &ours, &leaf(&pki, &[])), Some(Code::SctMissing), "an empty list");
    assert_eq!(code(&pki, &ours, &pki.usual_leaf()), Some(Code::SctMissing));
    let late = "2027-11-24T12:00:00Z";
    assert_eq!(code(&pki, &ours, &leaf(&pki, &[(&other, LOGGED), (&log, late)])), INVALID);
}
