//! Bundles of our own making: what a change to something recorded cannot give, since it must be signed.

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CustomExtension, ExtendedKeyUsagePurpose, IsCa, KeyPair,
    KeyUsagePurpose, PublicKeyData as _, SigningKey as _,
};
use serde_json::{Value, json};

use super::Case;
use super::pki::{self, Entry, Leaf, Pki};
use super::stamp::{Authority, Form, Names, SHA512_OID, TIME_STAMPING_OID, purposes};
use crate::random::Random;

const ARTIFACT: &[u8] = b"{\"schemaVersion\":2}";
const TYPE: &str = "application/vnd.in-toto+json";
const SERVER_OID: &str = "06082b06010505070301";

type Change = (&'static str, fn(&mut CertificateParams));

/// What an issuer may be like.
const ISSUERS: [Change; 12] = [
    ("the usual", |_| {}),
    ("run out", |of| of.not_after = rcgen::date_time_ymd(2026, 11, 23)),
    ("not yet good", |of| of.not_before = rcgen::date_time_ymd(2026, 11, 25)),
    ("no authority", |of| of.is_ca = IsCa::ExplicitNoCa),
    ("silent about being one", |of| of.is_ca = IsCa::NoCa),
    ("a key for other things", |of| of.key_usages = vec![KeyUsagePurpose::DigitalSignature]),
    ("no key usage", |of| of.key_usages = vec![]),
    ("another purpose", |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("any purpose", |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    ("no purpose", |of| of.extended_key_usages = vec![]),
    ("no path below", |of| of.is_ca = IsCa::Ca(BasicConstraints::Constrained(0))),
    ("a critical extension", |of| {
        let mut extension = CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        extension.set_criticality(true);
        of.custom_extensions.push(extension);
    }),
];

/// What a leaf may be like.
const LEAVES: [Change; 7] = [
    ("the usual", |_| {}),
    ("for another day", |of| of.not_after = rcgen::date_time_ymd(2026, 11, 24)),
    ("another purpose", |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]),
    ("no purpose", |of| of.extended_key_usages = vec![]),
    ("no key usage", |of| of.key_usages = vec![]),
    ("an authority itself", |of| of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained)),
    ("a subject", |of| of.distinguished_name.push(rcgen::DnType::CommonName, "somebody")),
];

/// Mostly the first, else any.
fn mostly<T: Copy>(of: &[T], random: &mut Random) -> Option<T> {
    let first = random.below(3) > 0;
    if first { of.first().copied() } else { random.one(of).copied() }
}

/// One case.
pub(super) fn case(random: &mut Random) -> Case {
    let mut what = vec!["minted".to_owned()];
    let usual: Change = ("the usual", |_| {});
    let root = mostly(&ISSUERS, random).unwrap_or(usual);
    what.push(format!("root: {}", root.0));
    let pki = Pki::with_root(root.1);
    let key = pki::key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let shape = mostly(&LEAVES, random).unwrap_or(usual);
    what.push(format!("leaf: {}", shape.0));
    let clock = clock(random, &mut what);
    let listed = [clock.listed()];
    let (root, leaf) = if random.below(2) == 0 {
        let between = mostly(&ISSUERS, random).unwrap_or(usual);
        what.push(format!("intermediate: {}", between.0));
        let (der, issuer) = pki::between_by(pki.issuer(), between.1);
        (pki.root_of(&[&der], &listed), pki::changed_leaf(&issuer, key, shape.1))
    } else {
        (pki.root(&listed), pki::changed_leaf(pki.issuer(), key, shape.1))
    };
    let bundle = bundle(&pki, &leaf, &clock, random, &mut what);
    Case { what, bundle, root, artifact: ARTIFACT.to_vec(), log: true, sct: false }
}

fn clock(random: &mut Random, what: &mut Vec<String>) -> Authority {
    let (name, clock) = match random.below(12) {
        0 => (
            "not critical",
            Authority::changed(
                |_| {},
                |of| of.custom_extensions = vec![purposes(&[TIME_STAMPING_OID], false)],
            ),
        ),
        1 => {
            let two = |of: &mut CertificateParams| {
                of.custom_extensions = vec![purposes(&[TIME_STAMPING_OID, SERVER_OID], true)]
            };
            ("two purposes", Authority::changed(|_| {}, two))
        }
        2 => ("run out", Authority::changed(|_| {}, |of| of.not_after = rcgen::date_time_ymd(2026, 11, 23))),
        3 => (
            "a root that has run out",
            Authority::changed(|of| of.not_after = rcgen::date_time_ymd(2026, 11, 23), |_| {}),
        ),
        4 => ("by RSA", Authority::rsa()),
        _ => ("the usual", Authority::new()),
    };
    what.push(format!("clock: {name}"));
    clock
}

fn token(clock: &Authority, signature: &[u8], random: &mut Random, what: &mut Vec<String>) -> String {
    let usual = Form::default();
    let (name, form) = match random.below(12) {
        0 => ("a fraction", Form { time: "20261124120000.25Z", ..usual }),
        1 => ("by SHA-512", Form { hash: (SHA512_OID, &aws_lc_rs::digest::SHA512), ..usual }),
        2 => ("two signers", Form { signers: 2, ..usual }),
        3 => ("an extension", Form { extension: true, ..usual }),
        4 => ("another certificate named", Form { names: Names::Other, ..usual }),
        5 => ("another day", Form { time: "20261126120000Z", ..usual }),
        6 => return clock.token(b"another signature", "20261124120000Z"),
        _ => ("the usual", usual),
    };
    what.push(format!("token: {name}"));
    clock.token_of(signature, &form)
}

fn bundle(pki: &Pki, leaf: &Leaf, clock: &Authority, random: &mut Random, what: &mut Vec<String>) -> Value {
    let kind =
        *random.one(&["hashedrekord", "tiles", "dsse", "intoto", "dsse tiles"]).unwrap_or(&"hashedrekord");
    what.push(kind.to_owned());
    let payload = json!({
        "_type": "https://in-toto.io/Statement/v1", "predicateType": "https://example.com/p", "predicate": {},
        "subject": [{ "name": "a", "digest": { "sha256": hex::encode(digest(&SHA256, ARTIFACT)) } }],
    })
    .to_string();
    let in_envelope = kind != "hashedrekord" && kind != "tiles";
    let pae =
        [format!("DSSEv1 {} {TYPE} {} ", TYPE.len(), payload.len()).as_bytes(), payload.as_bytes()].concat();
    let signed = if in_envelope { pae.as_slice() } else { ARTIFACT };
    let signature = leaf.key.sign(signed).unwrap_or_default();
    let verifier = match random.below(6) {
        0 => {
            what.push("the bare key in the entry".to_owned());
            pki::pem("PUBLIC KEY", &leaf.key.subject_public_key_info())
        }
        1 => {
            what.push("another certificate of the key in the entry".to_owned());
            pki::pem("CERTIFICATE", &again(pki, &leaf.key).unwrap_or_default())
        }
        _ => pki::pem("CERTIFICATE", &leaf.der),
    };
    let mut body = body(kind, signed, &payload, (&signature, &verifier), leaf);
    if random.below(10) == 0 {
        what.push("a body of another kind".to_owned());
        body["kind"] = json!("rekord");
    }
    let second = kind.ends_with("tiles");
    let form = if second {
        Entry::WithoutPromise
    } else {
        *random.one(&[Entry::Whole, Entry::Whole, Entry::WithoutPromise]).unwrap_or(&Entry::Whole)
    };
    let mut entry = pki.logged(&body, form);
    if second && let Some(entry) = entry.as_object_mut() {
        entry.remove("integratedTime");
    }
    let mut material =
        json!({ "certificate": { "rawBytes": STANDARD.encode(&leaf.der) }, "tlogEntries": [entry] });
    if second || random.below(2) == 0 {
        let token = token(clock, &signature, random, what);
        material["timestampVerificationData"] =
            json!({ "rfc3161Timestamps": [{ "signedTimestamp": token }] });
    }
    let mut whole = json!({ "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material });
    if in_envelope {
        whole["dsseEnvelope"] = json!({
            "payloadType": TYPE, "payload": STANDARD.encode(&payload), "signatures": [{ "sig": STANDARD.encode(&signature) }],
        });
    } else {
        whole["messageSignature"] = json!({
            "messageDigest": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest(&SHA256, ARTIFACT)) },
            "signature": STANDARD.encode(&signature),
        });
    }
    whole
}

fn again(pki: &Pki, key: &KeyPair) -> Option<Vec<u8>> {
    let key = KeyPair::try_from(key.serialize_der()).ok()?;
    Some(pki::changed_leaf(pki.issuer(), key, |of| of.serial_number = Some(vec![7].into())).der)
}

fn body(
    kind: &str,
    signed: &[u8],
    payload: &str,
    (signature, verifier): (&[u8], &str),
    leaf: &Leaf,
) -> Value {
    let hash = |bytes: &[u8]| json!({ "algorithm": "sha256", "value": hex::encode(digest(&SHA256, bytes)) });
    let (signature, verifier) = (STANDARD.encode(signature), STANDARD.encode(verifier));
    match kind {
        "hashedrekord" => json!({ "apiVersion": "0.0.1", "kind": "hashedrekord", "spec": {
            "data": { "hash": hash(signed) },
            "signature": { "content": signature, "publicKey": { "content": verifier } },
        } }),
        "dsse" => json!({ "apiVersion": "0.0.1", "kind": "dsse", "spec": {
            "envelopeHash": hash(b"an envelope"), "payloadHash": hash(payload.as_bytes()),
            "signatures": [{ "signature": signature, "verifier": verifier }],
        } }),
        "intoto" => json!({ "apiVersion": "0.0.2", "kind": "intoto", "spec": { "content": {
            "envelope": { "payloadType": TYPE, "signatures": [{
                "publicKey": verifier, "sig": STANDARD.encode(signature),
            }] },
            "hash": hash(b"an envelope"), "payloadHash": hash(payload.as_bytes()),
        } } }),
        _ => json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": { "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest(&SHA256, signed)) },
            "signature": { "content": signature, "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "x509Certificate": { "rawBytes": STANDARD.encode(&leaf.der) },
            } },
        } } }),
    }
}
