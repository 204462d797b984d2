//! Entries of Rekor v2 by the kinds of key and over the hashes that the library does not read: each is about one signature
//! by one signer, and has no time of its own (A302, A303, A305 to A309).

use aws_lc_rs::digest::{Algorithm, SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, LogProof, Logged};
use pullgate_policy::identity::Transparency;
use pullgate_verify::PublicKey;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::envelopes::{TYPE, pae, provenance};
use crate::pki::{Entry, Leaf, OIDC_ISSUER, Pki, SAN, TILES, key, uri, utf8};
use crate::stamp::Authority;
use crate::stamps::{Told, told};

type Kind = (&'static rcgen::SignatureAlgorithm, &'static str, &'static Algorithm, &'static str);

const P384: Kind = (&rcgen::PKCS_ECDSA_P384_SHA384, "SHA2_384", &SHA384, "PKIX_ECDSA_P384_SHA_384");
const KINDS: [Kind; 5] = [
    (&rcgen::PKCS_ECDSA_P256_SHA256, "SHA2_256", &SHA256, "PKIX_ECDSA_P256_SHA_256"),
    P384,
    (&rcgen::PKCS_ECDSA_P521_SHA512, "SHA2_512", &SHA512, "PKIX_ECDSA_P521_SHA_512"),
    (&rcgen::PKCS_ED25519, "SHA2_512", &SHA512, "PKIX_ED25519"),
    (&rcgen::PKCS_RSA_SHA256, "SHA2_256", &SHA256, "PKIX_RSA_PKCS1V15_2048_SHA256"),
];

const TIME: &str = "20261124120000Z";

/// A certificate authority, a log, a clock and a signer.
struct Case {
    pki: Pki,
    clock: Authority,
    signer: KeyPair,
    kind: Kind,
}

impl Case {
    fn new(kind: Kind) -> Self {
        Self { pki: Pki::new(), clock: Authority::new(), signer: key(kind.0), kind }
    }

    fn public(&self) -> Value {
        json!({ "publicKey": { "rawBytes": STANDARD.encode(self.signer.subject_public_key_info()) } })
    }

    /// What the log writes of a signature of `message` by `verifier`.
    fn body(&self, message: &[u8], signature: &[u8], verifier: &Value) -> Value {
        let (_, name, hash, details) = self.kind;
        let mut verifier = verifier.clone();
        verifier["keyDetails"] = json!(details);
        json!({
            "apiVersion": "0.0.2", "kind": "hashedrekord",
            "spec": { "hashedRekordV002": {
                "data": { "algorithm": name, "digest": STANDARD.encode(digest(hash, message)) },
                "signature": { "content": STANDARD.encode(signature), "verifier": verifier },
            } },
        })
    }

    /// A bundle with an entry of this body, and a timestamp where one is given.
    fn bundle(&self, signer: &Value, content: (&str, Value), body: &Value, token: Option<String>) -> Value {
        let mut entry = self.pki.logged(body, Entry::WithoutPromise);
        entry.as_object_mut().unwrap().remove("integratedTime");
        let mut material = signer.clone();
        material["tlogEntries"] = json!([entry]);
        if let Some(token) = token {
            material["timestampVerificationData"] =
                json!({ "rfc3161Timestamps": [{ "signedTimestamp": token }] });
        }
        let mut whole = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json", "verificationMaterial": material,
        });
        whole[content.0] = content.1;
        whole
    }

    /// A key's bundle of a signature of the manifest, with this body.
    fn keyed(&self, signature: &[u8], body: &Value) -> Value {
        let content = json!({ "signature": STANDARD.encode(signature) });
        self.bundle(&json!({ "publicKey": { "hint": "" } }), ("messageSignature", content), body, None)
    }

    fn question(&self) -> Question {
        let public = PublicKey::from_file(&self.signer.subject_public_key_info()).unwrap().remove(0);
        let tables = vec![self.pki.table_with(TRUST, &[self.clock.listed()])];
        Question::new(tables, vec![]).with_key(public, Transparency::Required)
    }

    fn ask(&self, signed: &Value) -> Told {
        told(&self.question().ask(vec![bundle(signed)]))
    }
}

const LOGGED_ONLY: Told = Ok((Logged::Yes, None, None));

fn stamped() -> Told {
    Ok((Logged::Yes, Some("2026-11-24T12:00:00Z".to_owned()), Some(Clock::TimestampAuthority)))
}

#[test]
fn every_kind_of_key_may_be_in_a_log_of_tiles() {
    for kind in KINDS {
        let case = Case::new(kind);
        let name = kind.3;
        let signature = case.signer.sign(MANIFEST).unwrap();
        let body = case.body(MANIFEST, &signature, &case.public());
        assert_eq!(case.ask(&case.keyed(&signature, &body)), LOGGED_ONLY, "{name}");
        let payload = provenance();
        let message = pae(TYPE, payload.as_bytes());
        let signature = case.signer.sign(&message).unwrap();
        let envelope = json!({
            "payloadType": TYPE, "payload": STANDARD.encode(&payload),
            "signatures": [{ "sig": STANDARD.encode(&signature) }],
        });
        let body = case.body(&message, &signature, &case.public());
        let token = Some(case.clock.token(&signature, TIME));
        let signer = json!({ "publicKey": { "hint": "" } });
        let signed = case.bundle(&signer, ("dsseEnvelope", envelope), &body, token);
        assert_eq!(case.ask(&signed), stamped(), "{name}");
    }
}

#[test]
fn which_log_it_is_in_is_told() {
    let case = Case::new(P384);
    let signature = case.signer.sign(MANIFEST).unwrap();
    let signed = case.keyed(&signature, &case.body(MANIFEST, &signature, &case.public()));
    let evidence = case.question().ask(vec![bundle(&signed)]);
    let told = &evidence.signatures[0].facts().vouchers.entries;
    let told: Vec<_> = told.iter().map(|entry| (entry.log.as_str(), entry.index, entry.by)).collect();
    assert_eq!(told, [("https://log.example", Some(0), LogProof::Inclusion)]);
}

#[test]
fn such_an_entry_is_about_the_bytes_the_signature_and_the_key() {
    for kind in [P384, KINDS[2], KINDS[4]] {
        let case = Case::new(kind);
        let other = key(kind.0);
        let signature = case.signer.sign(MANIFEST).unwrap();
        let theirs = other.sign(MANIFEST).unwrap();
        let ours = case.public();
        let foreign =
            json!({ "publicKey": { "rawBytes": STANDARD.encode(other.subject_public_key_info()) } });
        let certificate = json!({ "x509Certificate": { "rawBytes": ours["publicKey"]["rawBytes"].clone() } });
        let mut both = ours.clone();
        both["x509Certificate"] = certificate["x509Certificate"].clone();
        for (what, body) in [
            ("other bytes", case.body(b"another manifest", &signature, &ours)),
            ("another signature", case.body(MANIFEST, &theirs, &ours)),
            ("another key", case.body(MANIFEST, &signature, &foreign)),
            ("a certificate", case.body(MANIFEST, &signature, &certificate)),
            ("two signers", case.body(MANIFEST, &signature, &both)),
            ("no signer", case.body(MANIFEST, &signature, &json!({}))),
        ] {
            let told = case.ask(&case.keyed(&signature, &body));
            assert_eq!(told, Ok((Logged::No(Code::LogEntryMismatch), None, None)), "{} {what}", kind.3);
        }
        for path in ["/data/digest", "/data/algorithm", "/signature/content"] {
            let mut body = case.body(MANIFEST, &signature, &ours);
            let at = body.pointer_mut(&format!("/spec/hashedRekordV002{path}")).unwrap();
            *at = Value::Null;
            let told = case.ask(&case.keyed(&signature, &body));
            assert!(matches!(told, Ok((Logged::No(_), None, None))), "{} {path}: {told:?}", kind.3);
        }
    }
}

#[test]
fn such_an_entry_is_in_the_tree_of_a_checkpoint_that_the_log_signed() {
    let case = Case::new(P384);
    let signature = case.signer.sign(MANIFEST).unwrap();
    let signed = case.keyed(&signature, &case.body(MANIFEST, &signature, &case.public()));
    assert_eq!(case.ask(&signed), LOGGED_ONLY);
    let entry = "/verificationMaterial/tlogEntries/0";
    let with = |path: &str, value: Value| {
        let mut changed = signed.clone();
        *changed.pointer_mut(&format!("{entry}{path}")).unwrap() = value;
        case.ask(&changed)
    };
    let no = |code| Ok((Logged::No(code), None, None));
    assert_eq!(with("/logIndex", json!("1")), no(Code::InclusionProofInvalid));
    let other = STANDARD.encode(digest(&SHA256, b"another tree"));
    let envelope = "/inclusionProof/checkpoint/envelope";
    assert_eq!(with(envelope, json!(case.pki.checkpoint(TILES, 1, &other))), no(Code::InclusionProofInvalid));
    let root = signed.pointer(&format!("{entry}/inclusionProof/rootHash")).unwrap().as_str().unwrap();
    let theirs = Pki::new().checkpoint(TILES, 1, root);
    assert_eq!(with(envelope, json!(theirs)), no(Code::CheckpointInvalid));
    let mut unproven = signed.clone();
    unproven.pointer_mut(entry).unwrap().as_object_mut().unwrap().remove("inclusionProof");
    assert_eq!(case.ask(&unproven), no(Code::InclusionProofMissing));
}

#[test]
fn a_certificate_in_a_log_of_tiles_needs_the_time_of_a_timestamp_authority() {
    let case = Case::new(P384);
    let leaf: Leaf = case.pki.leaf(
        vec![uri(SAN)],
        &[(8, utf8(OIDC_ISSUER)), (12, utf8("https://git.example/org/app"))],
        key(P384.0),
    );
    let signature = leaf.key.sign(MANIFEST).unwrap();
    let named = json!({ "x509Certificate": { "rawBytes": STANDARD.encode(&leaf.der) } });
    let ask = |verifier: &Value, token: Option<String>| {
        let body = case.body(MANIFEST, &signature, verifier);
        let content = json!({ "signature": STANDARD.encode(&signature) });
        let signer = json!({ "certificate": { "rawBytes": STANDARD.encode(&leaf.der) } });
        let signed = case.bundle(&signer, ("messageSignature", content), &body, token);
        let tables = vec![case.pki.table_with(TRUST, &[case.clock.listed()])];
        let question = Question::new(tables, vec![identity(Transparency::Required)]);
        told(&question.ask(vec![bundle(&signed)]))
    };
    let at = |time: &str| Some(case.clock.token(&signature, time));
    assert_eq!(ask(&named, at(TIME)), stamped());
    assert_eq!(ask(&named, None), Err(Code::NoTrustedTime));
    assert_eq!(ask(&named, at("20261126120000Z")), Err(Code::TimeOutsideCertificate));
    let other = Some(case.clock.token(b"another signature", TIME));
    assert_eq!(ask(&named, other), Err(Code::TimestampMismatch));
    assert_eq!(ask(&case.public(), at(TIME)), Err(Code::LogEntryMismatch), "a key in its place");
    let stranger = case.pki.usual_leaf();
    let stranger = json!({ "x509Certificate": { "rawBytes": STANDARD.encode(&stranger.der) } });
    assert_eq!(ask(&stranger, at(TIME)), Err(Code::LogEntryMismatch), "another certificate");
}
