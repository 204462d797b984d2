//! Signatures by keys of the policy, in cosign's layout (A201, A202, A205, A231, A233, A252).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_verify::{Item, PublicKey, Sct, TrustTable};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::json;

use crate::ask::{MANIFEST, Question, TRUST};
use crate::pki::key;

fn public(key: &KeyPair) -> PublicKey {
    PublicKey::from_file(&key.subject_public_key_info()).unwrap().remove(0)
}

fn question(keys: &[&KeyPair]) -> Question {
    let none = Question::new(vec![], vec![]);
    keys.iter().fold(none, |question, key| question.with_key(public(key), Transparency::Optional))
}

fn payload(subject: &Digest) -> Vec<u8> {
    let payload = json!({
        "critical": {
            "identity": { "docker-reference": "registry.example/app" },
            "image": { "docker-manifest-digest": subject.to_string() },
            "type": "cosign container image signature",
        },
        "optional": { "env": "prod", "n": 1 },
    });
    payload.to_string().into_bytes()
}

fn layer(payload: &[u8], signature: &[u8]) -> Item {
    let annotation = ("dev.cosignproject.cosign/signature".to_owned(), STANDARD.encode(signature));
    Item::SimpleSigning { payload: Bytes::copy_from_slice(payload), annotations: [annotation].into() }
}

fn signed(key: &KeyPair, subject: &Digest) -> Item {
    let payload = payload(subject);
    layer(&payload, &key.sign(&payload).unwrap())
}

#[test]
fn a201_each_kind_of_key_signs_and_a_changed_bit_does_not() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ED25519,
    ] {
        let key = key(algorithm);
        let payload = payload(&Digest::of(MANIFEST));
        let signature = key.sign(&payload).unwrap();
        assert_eq!(question(&[&key]).code(layer(&payload, &signature)), None, "{algorithm:?}");
        let mut flipped = signature.clone();
        let last = flipped.len() - 1;
        flipped[last] ^= 1;
        assert_eq!(
            question(&[&key]).code(layer(&payload, &flipped)),
            Some(Code::UnknownAuthority),
            "{algorithm:?}"
        );
        // In no encoding that is read: not a stranger's.
        let longer = [signature.as_slice(), &[0]].concat();
        assert_eq!(
            question(&[&key]).code(layer(&payload, &longer)),
            Some(Code::SignatureInvalid),
            "A252 {algorithm:?}"
        );
    }
}

#[test]
fn the_payload_says_what_the_fact_says() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let evidence = question(&[&key]).ask(vec![signed(&key, &Digest::of(MANIFEST))]);
    let facts = evidence.signatures[0].facts();
    assert_eq!(facts.subject, Digest::of(MANIFEST));
    assert_eq!(facts.claimed_reference.as_deref(), Some("registry.example/app"));
    assert_eq!(facts.annotations, BTreeMap::from([("env".to_owned(), "prod".to_owned())]));
    assert_eq!((facts.logged, facts.trusted_time), (Logged::No(Code::LogUnknown), None));
}

#[test]
fn a202_a_perfect_signature_of_another_digest_is_a_digest_mismatch() {
    let (ours, stranger) = (key(&rcgen::PKCS_ECDSA_P256_SHA256), key(&rcgen::PKCS_ECDSA_P256_SHA256));
    let other = Digest::of(b"another manifest");
    assert_eq!(question(&[&ours]).code(signed(&ours, &other)), Some(Code::DigestMismatch));
    let code = question(&[&ours]).code(signed(&stranger, &other));
    assert_eq!(code, Some(Code::UnknownAuthority), "what a stranger says of another digest is not looked at");
    let sha512 = Digest::sha512_of(MANIFEST);
    assert_eq!(question(&[&ours]).code(signed(&ours, &sha512)), Some(Code::DigestMismatch));
}

#[test]
fn a231_one_bad_signature_spoils_no_good_one_and_each_keeps_its_reason() {
    let (ours, stranger) = (key(&rcgen::PKCS_ECDSA_P256_SHA256), key(&rcgen::PKCS_ED25519));
    let subject = Digest::of(MANIFEST);
    let broken = Item::Unread { code: Code::EvidenceIncomplete, detail: "cut".to_owned() };
    let evidence = question(&[&ours]).ask(vec![signed(&stranger, &subject), broken, signed(&ours, &subject)]);
    assert_eq!(evidence.signatures.len(), 1);
    let codes: Vec<_> = evidence.rejected.iter().map(|rejected| rejected.code).collect();
    assert_eq!(codes, [Code::UnknownAuthority, Code::EvidenceIncomplete]);
}

#[test]
fn a_log_entry_that_cannot_be_read_takes_nothing_from_a_signature_that_needs_none() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let Item::SimpleSigning { payload, mut annotations } = signed(&key, &Digest::of(MANIFEST)) else {
        unreachable!()
    };
    annotations.insert("dev.sigstore.cosign/bundle".to_owned(), "{}".to_owned());
    annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), "{}".to_owned());
    assert_eq!(question(&[&key]).code(Item::SimpleSigning { payload, annotations }), None);
}

#[test]
fn a141_what_is_over_the_limit_is_named_and_not_read() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let subject = Digest::of(MANIFEST);
    let unread = Item::Unread { code: Code::Unsupported, detail: String::new() };
    let mut items = vec![unread; limits::SIGNATURES_MAX];
    items.push(signed(&key, &subject));
    let evidence = question(&[&key]).ask(items.clone());
    assert_eq!(evidence.rejected.last().map(|rejected| rejected.code), Some(Code::EvidenceLimit));
    items.remove(0);
    assert_eq!(question(&[&key]).ask(items).signatures.len(), 1);
}

#[test]
fn a_manifest_that_is_not_the_subject_yields_nothing() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let other = Digest::of(b"another manifest");
    let evidence = question(&[&key]).ask_about(other, vec![signed(&key, &other)]);
    assert!(evidence.signatures.is_empty());
    assert_eq!(evidence.rejected[0].code, Code::Internal);
}

#[test]
fn a_key_that_nobody_asks_for_signs_nothing() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    assert_eq!(question(&[]).code(signed(&key, &Digest::of(MANIFEST))), Some(Code::UnknownAuthority));
}

#[test]
fn limits_of_a_layer_are_crossed_by_one() {
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let question = question(&[&key]);
    let item = |padding: usize| {
        let payload = [payload(&Digest::of(MANIFEST)), vec![b' '; padding]].concat();
        layer(&payload, &key.sign(&payload).unwrap())
    };
    let room =
        usize::try_from(limits::EVIDENCE_SIGNATURE_BYTES).unwrap() - payload(&Digest::of(MANIFEST)).len();
    assert_eq!(question.code(item(room)), None);
    assert_eq!(question.code(item(room + 1)), Some(Code::EvidenceTooLarge));
    let annotated = |length: usize| {
        let Item::SimpleSigning { payload, mut annotations } = item(0) else { unreachable!() };
        annotations.insert("note".to_owned(), "a".repeat(length));
        Item::SimpleSigning { payload, annotations }
    };
    assert_eq!(question.code(annotated(limits::ANNOTATION_BYTES)), None);
    assert_eq!(question.code(annotated(limits::ANNOTATION_BYTES + 1)), Some(Code::PayloadInvalid));
}

#[test]
fn a330_a_timestamp_of_another_signature_gives_no_time_and_spoils_nothing() {
    let Some(fixtures) = crate::borrowed::folder("timestamps") else { return };
    let staging = std::fs::read(fixtures.join("bundles/roots/staging.json")).unwrap();
    let table = || TrustTable::from_json(Name::new(TRUST), &staging, Sct::Required).unwrap();
    let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut seen = 0;
    for file in std::fs::read_dir(fixtures.join("corpus/timestamps")).unwrap() {
        let path = file.unwrap().path();
        let token = json!({ "SignedRFC3161Timestamp": STANDARD.encode(std::fs::read(&path).unwrap()) });
        let Item::SimpleSigning { payload, mut annotations } = signed(&key, &Digest::of(MANIFEST)) else {
            panic!("no layer");
        };
        annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), token.to_string());
        let question = Question::new(vec![table()], vec![]).with_key(public(&key), Transparency::None);
        let evidence = question.ask(vec![Item::SimpleSigning { payload, annotations }]);
        assert_eq!(evidence.signatures[0].facts().trusted_time, None, "{}", path.display());
        seen += 1;
    }
    assert_eq!(seen, 3);
}
