//! Log entries that the library does not read, here for the kind of key: each is about one signature by one signer (A302,
//! A303, A308).

use aws_lc_rs::digest::{SHA256, SHA384, SHA512, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogProof, Logged};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{PublicKey, Sct, TrustTable};
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle};
use crate::envelopes::{TYPE, pae, provenance};
use crate::pki::{Entry, Pki, TREE, key, pem};

struct Case {
    pki: Pki,
    signer: KeyPair,
}

impl Case {
    fn new() -> Self {
        Self { pki: Pki::new(), signer: p521() }
    }

    /// What the log says of a bundle whose signature holds.
    fn logged(&self, signed: &Value) -> Logged {
        let public = PublicKey::from_file(&self.signer.subject_public_key_info()).unwrap().remove(0);
        let question =
            Question::new(vec![self.pki.table(TRUST)], vec![]).with_key(public, Transparency::Required);
        let evidence = question.ask(vec![bundle(signed)]);
        let signatures = evidence.signatures.iter().map(|one| one.facts().logged);
        let attestations = evidence.attestations.iter().map(|one| one.facts().logged);
        signatures.chain(attestations).next().unwrap_or_else(|| panic!("{evidence:?}"))
    }

    /// A signature of the manifest and an entry with this body.
    fn with_body(&self, signature: &[u8], body: &Value) -> Value {
        let spki = self.signer.subject_public_key_info();
        let mut signed = self.pki.keyed_bundle_of(signature, &spki, MANIFEST, Entry::Whole);
        signed["verificationMaterial"]["tlogEntries"] = json!([self.pki.logged(body, Entry::Whole)]);
        signed
    }
}

fn table(root: &Value) -> TrustTable {
    TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap()
}

fn p521() -> KeyPair {
    key(&rcgen::PKCS_ECDSA_P521_SHA512)
}

fn verifier(key: &KeyPair) -> String {
    STANDARD.encode(pem("PUBLIC KEY", &key.subject_public_key_info()))
}

fn hashed(algorithm: &str, hash: impl AsRef<[u8]>) -> Value {
    json!({ "algorithm": algorithm, "value": hex::encode(hash) })
}

fn hashedrekord(hash: &Value, signature: &[u8], verifier: &str) -> Value {
    let signature = json!({ "content": STANDARD.encode(signature), "publicKey": { "content": verifier } });
    json!({
        "apiVersion": "0.0.1", "kind": "hashedrekord",
        "spec": { "data": { "hash": hash }, "signature": signature },
    })
}

const MISMATCH: Logged = Logged::No(Code::LogEntryMismatch);

#[test]
fn a303_a_hashedrekord_is_about_the_bytes_the_signature_and_the_signer() {
    let case = Case::new();
    let signature = case.signer.sign(MANIFEST).unwrap();
    let again = case.signer.sign(MANIFEST).unwrap();
    assert_ne!(signature, again, "each signature of ECDSA is another one");
    let hash = hashed("sha256", digest(&SHA256, MANIFEST));
    let other = hashed("sha256", digest(&SHA256, b"another manifest"));
    let (ours, theirs) = (verifier(&case.signer), verifier(&p521()));
    let run = |body: Value| case.logged(&case.with_body(&signature, &body));
    assert_eq!(run(hashedrekord(&hash, &signature, &ours)), Logged::Yes);
    assert_eq!(run(hashedrekord(&other, &signature, &ours)), MISMATCH, "other bytes");
    assert_eq!(run(hashedrekord(&hash, &again, &ours)), MISMATCH, "another signature");
    assert_eq!(run(hashedrekord(&hash, &signature, &theirs)), MISMATCH, "another signer");
    let both = STANDARD.encode([STANDARD.decode(&ours).unwrap(), STANDARD.decode(&theirs).unwrap()].concat());
    assert_eq!(run(hashedrekord(&hash, &signature, &both)), MISMATCH, "two signers");
}

#[test]
fn a626_an_entry_is_over_the_hash_that_the_bundle_names_and_of_the_family() {
    let case = Case::new();
    let signature = case.signer.sign(MANIFEST).unwrap();
    let run = |hash: &Value, named: Option<(&str, Vec<u8>)>| {
        let body = hashedrekord(hash, &signature, &verifier(&case.signer));
        let mut signed = case.with_body(&signature, &body);
        signed["messageSignature"]["messageDigest"] = named.map_or(
            Value::Null,
            |(algorithm, digest)| json!({ "algorithm": algorithm, "digest": STANDARD.encode(digest) }),
        );
        case.logged(&signed)
    };
    let of = |algorithm, bytes: &[u8]| digest(algorithm, bytes).as_ref().to_vec();
    let named = [
        ("SHA2_256", "sha256", of(&SHA256, MANIFEST)),
        ("SHA2_384", "sha384", of(&SHA384, MANIFEST)),
        ("SHA2_512", "sha512", of(&SHA512, MANIFEST)),
    ];
    for (label, _, digest) in &named {
        for (_, hash, hashed_by) in &named {
            let same = hash.strip_prefix("sha") == label.strip_prefix("SHA2_");
            let expected = if same { Logged::Yes } else { MISMATCH };
            let told = run(&hashed(hash, hashed_by), Some((label, digest.clone())));
            assert_eq!(told, expected, "{label} {hash}");
        }
    }
    for (_, hash, hashed_by) in &named {
        assert_eq!(run(&hashed(hash, hashed_by), None), Logged::Yes, "{hash}, and the bundle names none");
    }
    assert_eq!(run(&hashed("sha384", of(&SHA384, b"another manifest")), None), MISMATCH);
    assert_eq!(run(&hashed("sha512", of(&SHA256, MANIFEST)), None), MISMATCH, "under another name");
    assert_eq!(run(&hashed("sha1", "00"), None), MISMATCH);
}

#[test]
fn a_dsse_entry_is_about_the_payload_and_one_signature_with_its_signer() {
    let case = Case::new();
    let payload = provenance();
    let pae = pae(TYPE, payload.as_bytes());
    let (signature, again) = (case.signer.sign(&pae).unwrap(), case.signer.sign(&pae).unwrap());
    let (ours, theirs) = (verifier(&case.signer), verifier(&p521()));
    let run = |hash: &[u8], signatures: &[(&[u8], &str)]| {
        let signatures: Vec<_> = signatures
            .iter()
            .map(|(signature, verifier)| {
                json!({ "signature": STANDARD.encode(signature), "verifier": verifier })
            })
            .collect();
        let body = json!({
            "apiVersion": "0.0.1", "kind": "dsse",
            "spec": { "payloadHash": hashed("sha256", hash), "signatures": signatures },
        });
        let signed = json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "publicKey": { "hint": "" },
                "tlogEntries": [case.pki.logged(&body, Entry::Whole)],
            },
            "dsseEnvelope": {
                "payloadType": TYPE, "payload": STANDARD.encode(&payload),
                "signatures": [{ "sig": STANDARD.encode(&signature) }],
            },
        });
        case.logged(&signed)
    };
    let hash = digest(&SHA256, payload.as_bytes());
    let hash = hash.as_ref();
    assert_eq!(run(hash, &[(&signature, &ours)]), Logged::Yes);
    assert_eq!(run(hash, &[(&again, &theirs), (&signature, &ours)]), Logged::Yes, "among others");
    assert_eq!(run(hash, &[(&again, &ours)]), MISMATCH, "another signature");
    assert_eq!(run(hash, &[(&signature, &theirs)]), MISMATCH, "another signer");
    assert_eq!(run(hash, &[(&again, &ours), (&signature, &theirs)]), MISMATCH, "half of each");
    assert_eq!(run(hash, &[]), MISMATCH, "none");
    let other = digest(&SHA256, b"another payload");
    assert_eq!(run(other.as_ref(), &[(&signature, &ours)]), MISMATCH, "another payload");
}

#[test]
fn a308_a_checkpoint_of_another_tree_proves_nothing_though_the_log_signed_it() {
    let case = Case::new();
    let signed = case.pki.keyed_bundle(&case.signer, MANIFEST, Entry::Whole);
    assert_eq!(case.logged(&signed), Logged::Yes);
    let proof = "/verificationMaterial/tlogEntries/0/inclusionProof";
    let root = signed.pointer(proof).unwrap()["rootHash"].as_str().unwrap().to_owned();
    let other = STANDARD.encode(digest(&SHA256, b"another tree"));
    for (size, root) in [(2, &root), (1, &other), (2, &other)] {
        let mut changed = signed.clone();
        changed.pointer_mut(proof).unwrap()["checkpoint"]["envelope"] =
            json!(case.pki.checkpoint(TREE, size, root));
        assert_eq!(case.logged(&changed), Logged::No(Code::CheckpointMismatch), "{size} {root}");
    }
}

#[test]
fn a_checkpoint_counts_by_the_logs_own_signature_under_its_own_hint() {
    let case = Case::new();
    let signed = case.pki.keyed_bundle(&case.signer, MANIFEST, Entry::Whole);
    let path = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
    let envelope = signed.pointer(path).unwrap().as_str().unwrap();
    let (note, signature) = envelope.trim_end().rsplit_once(' ').unwrap();
    let whole = STANDARD.decode(signature).unwrap();
    let with = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = whole.clone();
        change(&mut bytes);
        let mut changed = signed.clone();
        *changed.pointer_mut(path).unwrap() = json!(format!("{note} {}\n", STANDARD.encode(bytes)));
        case.logged(&changed)
    };
    assert_eq!(with(&|_| {}), Logged::Yes);
    let invalid = Logged::No(Code::CheckpointInvalid);
    assert_eq!(with(&|bytes| bytes[0] ^= 1), invalid, "another hint");
    assert_eq!(with(&|bytes| *bytes.last_mut().unwrap() ^= 1), invalid, "another signature");
}

#[test]
fn a311_each_log_speaks_with_its_own_key_in_its_own_window() {
    let case = Case::new();
    let public = || PublicKey::from_file(&case.signer.subject_public_key_info()).unwrap().remove(0);
    let signed = case.pki.keyed_bundle(&case.signer, MANIFEST, Entry::Whole);
    let under = |root: &Value| {
        let question = Question::new(vec![table(root)], vec![]).with_key(public(), Transparency::Required);
        let evidence = question.ask(vec![bundle(&signed)]);
        let facts = evidence.signatures[0].facts();
        (facts.logged, facts.vouchers.entries.first().map(|entry| entry.log.clone()))
    };
    let ours = Some("https://log.example".to_owned());
    let mut root = case.pki.root(&[]);
    let mut other = Pki::new().root(&[])["tlogs"][0].clone();
    other["baseUrl"] = json!("https://other.example");
    root["tlogs"].as_array_mut().unwrap().insert(0, other);
    assert_eq!(under(&root), (Logged::Yes, ours.clone()), "another log before it");
    let window = |start: &str, end: &str| {
        let mut root = case.pki.root(&[]);
        root["tlogs"][0]["publicKey"]["validFor"] = json!({ "start": start, "end": end });
        under(&root)
    };
    assert_eq!(window("2026-11-24T12:00:00Z", "2026-11-24T12:00:00Z"), (Logged::Yes, ours));
    let unknown = (Logged::No(Code::LogUnknown), None);
    assert_eq!(window("2026-11-24T12:00:01Z", "2036-01-01T00:00:00Z"), unknown, "not yet");
    assert_eq!(window("2026-01-01T00:00:00Z", "2026-11-24T11:59:59Z"), unknown, "no more");
}

#[test]
fn what_the_log_vouches_with_is_told() {
    let case = Case::new();
    for (entry, by) in [
        (Entry::Whole, LogProof::InclusionAndSignedTimestamp),
        (Entry::WithoutProof, LogProof::SignedTimestamp),
    ] {
        let mut signed = case.pki.keyed_bundle(&case.signer, MANIFEST, entry);
        if entry == Entry::WithoutProof {
            // Only the first version of the format takes an entry without a proof.
            signed["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.1");
        }
        let public = PublicKey::from_file(&case.signer.subject_public_key_info()).unwrap().remove(0);
        let question =
            Question::new(vec![case.pki.table(TRUST)], vec![]).with_key(public, Transparency::Required);
        let evidence = question.ask(vec![bundle(&signed)]);
        let told: Vec<_> = evidence.signatures[0].facts().vouchers.entries.clone();
        let told: Vec<_> = told.iter().map(|entry| (entry.log.as_str(), entry.index, entry.by)).collect();
        assert_eq!(told, [("https://log.example", Some(0), by)]);
    }
}
