//! DSSE envelopes and in-toto statements (A207 to A214).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE};
use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Predicate;
use pullgate_policy::identity::Transparency;
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_verify::{Item, PublicKey};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question};
use crate::pki::key;

pub(crate) const TYPE: &str = "application/vnd.in-toto+json";

struct Signer {
    key: KeyPair,
    question: Question,
}

impl Signer {
    fn new() -> Self {
        let key = key(&rcgen::PKCS_ECDSA_P256_SHA256);
        let public = PublicKey::from_file(&key.subject_public_key_info()).unwrap().remove(0);
        Self { question: Question::new(vec![], vec![]).with_key(public, Transparency::Optional), key }
    }

    fn envelope(&self, kind: &str, payload: &[u8]) -> Value {
        let pae = pae(kind, payload);
        json!({
            "payloadType": kind,
            "payload": STANDARD.encode(payload),
            "signatures": [{ "keyid": "", "sig": STANDARD.encode(self.key.sign(&pae).unwrap()) }],
        })
    }

    fn code(&self, envelope: &Value) -> Option<Code> {
        self.question.code(layer(envelope))
    }

    fn code_of(&self, statement: &Value) -> Option<Code> {
        self.code(&self.envelope(TYPE, statement.to_string().as_bytes()))
    }
}

/// What the signatures of an envelope are over (DSSE, "PAE").
pub(crate) fn pae(kind: &str, payload: &[u8]) -> Vec<u8> {
    [format!("DSSEv1 {} {kind} {} ", kind.len(), payload.len()).as_bytes(), payload].concat()
}

/// A provenance of the manifest that says nothing.
pub(crate) fn provenance() -> String {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { "sha256": Digest::of(MANIFEST).hex() } }],
        "predicateType": "https://slsa.dev/provenance/v1",
        "predicate": {},
    });
    statement.to_string()
}

fn layer(envelope: &Value) -> Item {
    Item::Dsse { envelope: Bytes::from(envelope.to_string()), annotations: [].into() }
}

fn statement(predicate_type: &str) -> Value {
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": "app", "digest": { "sha256": Digest::of(MANIFEST).hex() }, "annotations": { "env": "prod" } }],
        "predicateType": predicate_type,
        "predicate": { "n": 1 },
    })
}

#[test]
fn a214_only_cosigns_predicate_type_makes_a_statement_a_signature() {
    let signer = Signer::new();
    let ask = |predicate_type: &str| {
        let envelope = signer.envelope(TYPE, statement(predicate_type).to_string().as_bytes());
        signer.question.ask(vec![layer(&envelope)])
    };
    let signature = ask("https://sigstore.dev/cosign/sign/v1");
    assert_eq!((signature.signatures.len(), signature.attestations.len()), (1, 0));
    assert_eq!(signature.signatures[0].facts().annotations["env"], "prod");
    for other in [
        "https://slsa.dev/provenance/v1",
        "https://sigstore.dev/cosign/sign/v1/",
        "https://sigstore.dev/cosign/sign/v2",
    ] {
        let attestation = ask(other);
        assert_eq!((attestation.signatures.len(), attestation.attestations.len()), (0, 1), "{other}");
        assert_eq!(attestation.attestations[0].facts().predicate_type, other);
    }
}

#[test]
fn a207_another_payload_type_is_refused_however_it_is_signed() {
    let signer = Signer::new();
    let payload = statement("https://slsa.dev/provenance/v1").to_string();
    for kind in [
        "application/json",
        "application/vnd.in-toto+json; charset=utf-8",
        "application/vnd.in-toto+JSON",
        "",
    ] {
        assert_eq!(
            signer.code(&signer.envelope(kind, payload.as_bytes())),
            Some(Code::PayloadType),
            "{kind}"
        );
    }
}

#[test]
fn a208_each_signature_of_an_att_layer_stands_alone_and_there_are_few() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let payload = statement("https://slsa.dev/provenance/v1").to_string();
    let mut envelope = signer.envelope(TYPE, payload.as_bytes());
    let foreign = stranger.envelope(TYPE, payload.as_bytes())["signatures"][0].clone();
    let own = envelope["signatures"][0].clone();
    envelope["signatures"] = json!([foreign, own]);
    assert_eq!(signer.code(&envelope), None);
    let many = |n: usize| json!(vec![own.clone(); n]);
    envelope["signatures"] = many(limits::DSSE_SIGNATURES_ATT);
    assert_eq!(signer.code(&envelope), None);
    for count in [0, limits::DSSE_SIGNATURES_ATT + 1] {
        envelope["signatures"] = many(count);
        assert_eq!(signer.code(&envelope), Some(Code::DsseSignatureCount));
    }
}

#[test]
fn a_signature_that_stands_twice_in_an_envelope_is_one_fact_and_two_signers_are_two() {
    let (signer, other) = (Signer::new(), Signer::new());
    let payload = statement("https://slsa.dev/provenance/v1").to_string();
    let mut envelope = signer.envelope(TYPE, payload.as_bytes());
    let own = envelope["signatures"][0].clone();
    let others = other.envelope(TYPE, payload.as_bytes())["signatures"][0].clone();
    let public = PublicKey::from_file(&other.key.subject_public_key_info()).unwrap().remove(0);
    let question = signer.question.with_key(public, Transparency::Optional);
    let mut facts = |signatures: Value| {
        envelope["signatures"] = signatures;
        let evidence = question.ask(vec![layer(&envelope)]);
        let signers: std::collections::BTreeSet<String> =
            evidence.attestations.iter().map(|one| format!("{:?}", one.facts().principal)).collect();
        (evidence.attestations.len(), signers.len(), evidence.rejected.len())
    };
    assert_eq!(facts(json!([own])), (1, 1, 0));
    assert_eq!(facts(json!([own, own])), (1, 1, 0));
    assert_eq!(facts(json!([own, others, own])), (2, 2, 0));
}

#[test]
fn a209_the_payload_is_decoded_once_and_strictly() {
    let signer = Signer::new();
    let payload = statement("https://slsa.dev/provenance/v1?>>>").to_string();
    let mut envelope = signer.envelope(TYPE, payload.as_bytes());
    envelope["payload"] = json!(URL_SAFE.encode(&payload));
    assert_eq!(signer.code(&envelope), None);
    envelope["payload"] = json!(format!("{}\n", STANDARD.encode(&payload)));
    assert_eq!(signer.code(&envelope), Some(Code::PayloadInvalid));
    envelope["payload"] = json!(STANDARD.encode(payload.replace("\"n\":1", "\"n\":2")));
    assert_eq!(signer.code(&envelope), Some(Code::UnknownAuthority));
}

#[test]
fn a210_a_statement_must_be_one_and_about_these_bytes() {
    let signer = Signer::new();
    let with = |key: &str, value: Value| {
        let mut changed = statement("https://slsa.dev/provenance/v1");
        changed[key] = value;
        signer.code_of(&changed)
    };
    assert_eq!(with("_type", json!("https://in-toto.io/Statement/v0.1")), None);
    assert_eq!(with("_type", json!("https://in-toto.io/Statement/v9")), Some(Code::StatementInvalid));
    assert_eq!(with("predicateType", json!("")), None, "an attestation of a type that nobody can ask for");
    for none in [json!(null), json!(1), json!({})] {
        assert_eq!(with("predicateType", none), Some(Code::StatementInvalid));
    }
    assert_eq!(with("subject", json!([])), Some(Code::StatementInvalid));
    assert_eq!(with("subject", json!([{ "name": "app" }])), Some(Code::StatementInvalid));
    let weak = json!([{ "name": "app", "digest": { "sha1": "00", "md5": "00" } }]);
    assert_eq!(with("subject", weak), Some(Code::SubjectMismatch));
    let doubled =
        statement("https://slsa.dev/provenance/v1").to_string().replacen('{', "{\"predicateType\":\"x\",", 1);
    assert_eq!(signer.code(&signer.envelope(TYPE, doubled.as_bytes())), Some(Code::StatementInvalid), "A126");
}

#[test]
fn a211_one_subject_must_agree_in_every_algorithm_that_is_computed() {
    let signer = Signer::new();
    let sha256 = Digest::of(MANIFEST).hex();
    let sha512 = Digest::sha512_of(MANIFEST).hex();
    let about = |subjects: Value| {
        let mut changed = statement("https://slsa.dev/provenance/v1");
        changed["subject"] = subjects;
        signer.code_of(&changed)
    };
    assert_eq!(about(json!([{ "digest": { "sha512": sha512 } }])), None);
    assert_eq!(about(json!([{ "digest": { "sha256": sha256, "sha512": sha512, "gitCommit": "00" } }])), None);
    let torn = json!([{ "digest": { "sha256": sha256, "sha512": Digest::sha512_of(b"other").hex() } }]);
    assert_eq!(about(torn), Some(Code::SubjectMismatch));
    // Hexadecimal digits are the same bytes in either case.
    assert_eq!(about(json!([{ "digest": { "sha256": sha256.to_uppercase() } }])), None);
    assert_eq!(about(json!([{ "name": sha256, "digest": { "sha256": "00" } }])), Some(Code::SubjectMismatch));
    let mut crowd = vec![json!({ "digest": { "sha256": "00" } }); limits::STATEMENT_SUBJECTS - 1];
    crowd.push(json!({ "digest": { "sha256": sha256 } }));
    assert_eq!(about(json!(crowd)), None);
    crowd.push(json!({ "digest": { "sha256": "00" } }));
    assert_eq!(about(json!(crowd)), Some(Code::StatementInvalid));
    let digests = |n: usize| {
        (0..n).map(|n| (format!("alg{n}"), json!("00"))).chain([("sha256".to_owned(), json!(sha256))])
    };
    let subject = |n: usize| json!([{ "digest": digests(n).collect::<serde_json::Map<_, _>>() }]);
    assert_eq!(about(subject(limits::SUBJECT_DIGESTS - 1)), None);
    assert_eq!(about(subject(limits::SUBJECT_DIGESTS)), Some(Code::StatementInvalid));
}

#[test]
fn a215_statements_that_cosign_is_tested_with_are_read_and_are_about_what_they_say() {
    let Some(folder) = crate::borrowed::folder("payloads") else { return };
    // Each envelope's payload, signed anew by a key that counts: only what it says can speak against it.
    let payload = |name: &str| {
        let file = folder.join("corpus/payloads").join(format!("{name}.json"));
        let envelope: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        STANDARD.decode(envelope["payload"].as_str().unwrap()).unwrap()
    };
    let signer = Signer::new();
    for (name, code) in [
        ("attestation-payload-valid-vuln", Code::SubjectMismatch),
        ("attestation-payload-valid-custom", Code::SubjectMismatch),
        // Malformed by a schema of its predicate, which only a `where` could ask for.
        ("attestation-payload-malformed-custom", Code::SubjectMismatch),
    ] {
        assert_eq!(signer.code(&signer.envelope(TYPE, &payload(name))), Some(code), "{name}");
    }
}

/// A list of about so many bytes, of as many objects as there can be.
fn dense(bytes: usize) -> String {
    format!("[{}]", vec![r#"{"a":0}"#; bytes / 8].join(","))
}

#[test]
fn a602_what_nobody_known_has_signed_is_not_read_and_what_somebody_has_is() {
    let (signer, stranger) = (Signer::new(), Signer::new());
    let broken = b"{\"_type\":\"https://in-toto.io/Statement/v1\",".as_slice();
    assert_eq!(signer.code(&stranger.envelope(TYPE, broken)), Some(Code::UnknownAuthority));
    assert_eq!(signer.code(&signer.envelope(TYPE, broken)), Some(Code::StatementInvalid));
    // One of sixteen is known: what all of them are over is read for it.
    let mut envelope = signer.envelope(TYPE, provenance().as_bytes());
    let mut signatures = vec![json!({ "sig": STANDARD.encode([b'x'; 64]) }); limits::DSSE_SIGNATURES_ATT - 1];
    signatures.push(envelope["signatures"][0].clone());
    envelope["signatures"] = json!(signatures);
    assert_eq!(signer.code(&envelope), None);
}

#[test]
fn a602_an_envelope_is_refused_by_the_size_of_its_values_in_memory() {
    let signer = Signer::new();
    let envelope = signer.envelope(TYPE, provenance().as_bytes());
    for (bytes, code) in [(64 * 1024, None), (1024 * 1024, Some(Code::PayloadInvalid))] {
        let text = envelope.to_string().replacen('{', &format!("{{\"junk\":{},", dense(bytes)), 1);
        let item = Item::Dsse { envelope: Bytes::from(text), annotations: [].into() };
        assert_eq!(signer.question.code(item), code, "{bytes}");
    }
}

#[test]
fn a602_a_statement_too_large_to_be_kept_counts_by_its_type_and_signer() {
    let signer = Signer::new();
    for (bytes, kept) in [(64 * 1024, Predicate::Kept), (2 * 1024 * 1024, Predicate::Left)] {
        let predicate = format!("\"predicate\":{{\"packages\":{}}}", dense(bytes));
        let text = provenance().replacen("\"predicate\":{}", &predicate, 1);
        let evidence = signer.question.ask(vec![layer(&signer.envelope(TYPE, text.as_bytes()))]);
        let facts = evidence.attestations[0].facts();
        assert_eq!(facts.predicate, kept, "{bytes}");
        assert_eq!(facts.predicate_type, "https://slsa.dev/provenance/v1");
        assert_eq!(facts.statement.get("predicate").is_some(), kept == Predicate::Kept);
        // It was read as strictly.
        let twice = text.replacen(r#"{"a":0}"#, r#"{"a":0,"a":0}"#, 1);
        assert_eq!(signer.code(&signer.envelope(TYPE, twice.as_bytes())), Some(Code::StatementInvalid));
    }
}

#[test]
fn a604_checks_over_the_budget_are_not_made_and_a_cheap_piece_counts() {
    let signer = Signer::new();
    let keys: Vec<_> = (0..64).map(|_| Signer::new().key).collect();
    let question = keys.iter().fold(signer.question, |question, key| {
        let key = PublicKey::from_file(&key.subject_public_key_info()).unwrap().remove(0);
        question.with_key(key, Transparency::Optional)
    });
    let signer = Signer { question, ..signer };
    let junk = |n: usize| {
        let mut envelope = signer.envelope(TYPE, provenance().as_bytes());
        let one = json!({ "sig": STANDARD.encode([u8::try_from(n).unwrap(); 64]) });
        envelope["signatures"] = json!(vec![one; limits::DSSE_SIGNATURES_ATT]);
        layer(&envelope)
    };
    let mut items: Vec<_> = (0..16).map(junk).collect();
    items.push(layer(&signer.envelope(TYPE, provenance().as_bytes())));
    let evidence = signer.question.ask(items);
    assert_eq!(evidence.attestations.len(), 1);
    let codes: Vec<_> = evidence.rejected.iter().map(|rejected| rejected.code).collect();
    assert!(codes.contains(&Code::EvidenceLimit) && codes.contains(&Code::UnknownAuthority), "{codes:?}");
}
