//! Checkpoints: by the log of the entry, in its name, about its tree (A625), and small (A624).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_policy::limits;
use pullgate_verify::{Sct, TrustTable};
use rcgen::SigningKey as _;
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Leaf, Pki, TILES, TREE};
use crate::stamp::Authority;

const NOTE: &str = "/verificationMaterial/tlogEntries/0/inclusionProof/checkpoint/envelope";
const LOG: &str = "/verificationMaterial/tlogEntries/0/logId/keyId";

/// A root with the log of the entry and another one, and a signature in the first, of either kind of log.
struct Case {
    pki: Pki,
    other: Pki,
    clock: Authority,
    leaf: Leaf,
    origin: &'static str,
}

impl Case {
    fn both() -> [Self; 2] {
        [TREE, TILES].map(|origin| {
            let pki = Pki::new();
            let leaf = pki.usual_leaf();
            Self { pki, other: Pki::new(), clock: Authority::new(), leaf, origin }
        })
    }

    fn table(&self) -> TrustTable {
        let mut root = self.pki.root(&[self.clock.listed()]);
        let mut other = self.other.root(&[])["tlogs"][0].clone();
        other["baseUrl"] = json!("https://other.example");
        root["tlogs"].as_array_mut().unwrap().push(other);
        TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap()
    }

    fn signed(&self) -> Value {
        if self.origin == TREE {
            return self.pki.bundle(&self.leaf, MANIFEST, Entry::Whole);
        }
        let signature = self.leaf.key.sign(MANIFEST).unwrap();
        let body = json!({ "apiVersion": "0.0.2", "kind": "hashedrekord", "spec": { "hashedRekordV002": {
            "data": { "algorithm": "SHA2_256", "digest": STANDARD.encode(digest(&SHA256, MANIFEST)) },
            "signature": { "content": STANDARD.encode(&signature), "verifier": {
                "keyDetails": "PKIX_ECDSA_P256_SHA_256",
                "x509Certificate": { "rawBytes": STANDARD.encode(&self.leaf.der) },
            } },
        } } });
        let mut entry = self.pki.logged(&body, Entry::WithoutPromise);
        entry.as_object_mut().unwrap().remove("integratedTime");
        let token = self.clock.token(&signature, "20261124120000Z");
        json!({
            "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
            "verificationMaterial": {
                "certificate": { "rawBytes": STANDARD.encode(&self.leaf.der) }, "tlogEntries": [entry],
                "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": token }] },
            },
            "messageSignature": { "signature": STANDARD.encode(&signature) },
        })
    }

    fn code(&self, signed: &Value) -> Option<Code> {
        let question = Question::new(vec![self.table()], vec![identity(Transparency::Required)]);
        question.code(bundle(signed))
    }

    /// With another note in the place of the log's; it is made from the lines that are signed.
    fn with_note(&self, note: impl FnOnce(&str) -> String) -> Option<Code> {
        let mut signed = self.signed();
        let envelope = signed.pointer(NOTE).unwrap().as_str().unwrap().to_owned();
        let (text, _) = envelope.split_once("\n\n").unwrap();
        *signed.pointer_mut(NOTE).unwrap() = json!(note(&format!("{text}\n")));
        self.code(&signed)
    }
}

#[test]
fn a625_a_checkpoint_is_by_the_log_of_the_entry_and_in_its_name() {
    let invalid = Some(Code::CheckpointInvalid);
    for case in Case::both() {
        let (ours, theirs, origin) = (&case.pki, &case.other, case.origin);
        assert_eq!(case.code(&case.signed()), None, "{origin}");
        let whole = |text: &str, line: String| format!("{text}\n{line}");
        assert_eq!(case.with_note(|text| whole(text, ours.line("log.example", text))), None, "signed anew");
        let other = case.with_note(|text| whole(text, theirs.line("log.example", text)));
        assert_eq!(other, invalid, "{origin}: the other log, in this one's name");
        let named = case.with_note(|text| whole(text, ours.line("other.example", text)));
        assert_eq!(named, invalid, "{origin}: another name in the line");
        let both = case.with_note(|text| {
            let text = text.replacen("log.example", "other.example", 1);
            whole(&text, theirs.line("other.example", &text))
        });
        assert_eq!(both, invalid, "{origin}: a checkpoint of the other log altogether");
        let swapped = if origin == TREE { TILES } else { TREE };
        let form = case.with_note(|text| {
            let text = text.replacen(origin, swapped, 1);
            whole(&text, ours.line("log.example", &text))
        });
        assert_eq!(form, invalid, "{origin}: the origin of another kind of log");
    }
}

#[test]
fn a625_a_log_of_tiles_signs_in_the_name_of_its_address_and_witnesses_beside_it() {
    let [_, case] = Case::both();
    let (ours, theirs) = (&case.pki, &case.other);
    let witnessed = case.with_note(|text| {
        format!("{text}\n{}{}", theirs.line("witness.example", text), ours.line("log.example", text))
    });
    assert_eq!(witnessed, None, "a witness before it");
    let spoilt = case.with_note(|text| {
        let forged = ours.line("log.example", "something else");
        format!("{text}\n{forged}{}", ours.line("log.example", text))
    });
    assert_eq!(spoilt, Some(Code::CheckpointInvalid), "the log's line is one, and it does not hold");
    for origin in ["log.example:443", "https://log.example", "Log.example", " log.example"] {
        let code = case.with_note(|text| {
            let text = text.replacen(TILES, origin, 1);
            format!("{text}\n{}", ours.line("log.example", &text))
        });
        assert!(code.is_some(), "{origin}");
    }
}

#[test]
fn a625_the_log_that_an_entry_names_is_one_of_the_table() {
    for case in Case::both() {
        for (id, expected) in [
            (json!(STANDARD.encode([7; 32])), Code::LogUnknown),
            (json!(""), Code::BundleInvalid),
            (Value::Null, Code::BundleInvalid),
        ] {
            let mut signed = case.signed();
            *signed.pointer_mut(LOG).unwrap() = id.clone();
            assert_eq!(case.code(&signed), Some(expected), "{} {id}", case.origin);
        }
        let mut signed = case.signed();
        *signed.pointer_mut(LOG).unwrap() = json!(STANDARD.encode(case.other.log_id()));
        assert!(case.code(&signed).is_some(), "{}: the other log", case.origin);
    }
}

#[test]
fn a624_a_checkpoint_has_so_many_lines_and_so_many_bytes() {
    let [_, case] = Case::both();
    let with_lines = |count: usize| {
        case.with_note(|text| {
            let witnesses = case.other.line("witness.example", text).repeat(count - 1);
            format!("{text}\n{witnesses}{}", case.pki.line("log.example", text))
        })
    };
    assert_eq!(with_lines(limits::CHECKPOINT_SIGNATURES), None);
    assert_eq!(with_lines(limits::CHECKPOINT_SIGNATURES + 1), Some(Code::CheckpointInvalid));
    // Lines of a checkpoint may have extensions before its signatures; a signature's length differs by a byte or two.
    let with_bytes = |bytes: usize| loop {
        let mut length = 0;
        let code = case.with_note(|text| {
            let line = case.pki.line("log.example", text).len();
            let filler = "x".repeat(bytes - text.len() - line - 2);
            let text = format!("{text}{filler}\n");
            let note = format!("{text}\n{}", case.pki.line("log.example", &text));
            length = note.len();
            note
        });
        if length == bytes {
            return code;
        }
    };
    assert_eq!(with_bytes(limits::CHECKPOINT_BYTES), None);
    assert_eq!(with_bytes(limits::CHECKPOINT_BYTES + 1), Some(Code::CheckpointInvalid));
}

#[test]
fn a626_a_log_of_tiles_names_the_hash_that_goes_with_the_key() {
    let [_, case] = Case::both();
    let mut named = case.signed();
    let digest = STANDARD.encode(digest(&aws_lc_rs::digest::SHA512, MANIFEST));
    named["messageSignature"]["messageDigest"] = json!({ "algorithm": "SHA2_512", "digest": digest });
    assert!(case.code(&named).is_some(), "the bundle names another hash than the entry");
    named["messageSignature"]["messageDigest"] = json!({ "algorithm": "SHA2_256", "digest": STANDARD.encode(aws_lc_rs::digest::digest(&SHA256, MANIFEST)) });
    assert_eq!(case.code(&named), None);
}
