//! Kinds of case that other verifiers' suites have and no other test here: a clone without their data covers each
//! (`tests/fixtures/COVERAGE.md`).

use aws_lc_rs::digest::{SHA256, digest};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Sct, TrustTable};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Pki, TREE, key};
use crate::stamp::Authority;
use crate::stamps::signature_of;

/// What is forged in a proof.
type Forgery = (&'static str, fn(&mut Value));

const ENTRY: &str = "/verificationMaterial/tlogEntries/0";

fn code(pki: &Pki, bundle_: &Value) -> Option<Code> {
    Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)]).code(bundle(bundle_))
}

#[test]
fn a304_a_signed_timestamp_of_another_log_or_of_another_entry_is_refused() {
    let (pki, other) = (Pki::new(), Pki::new());
    let leaf = pki.usual_leaf();
    let signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    assert_eq!(code(&pki, &signed), None);
    let with_promise_of = |donor: &Value| {
        let mut changed = signed.clone();
        let promise = format!("{ENTRY}/inclusionPromise");
        *changed.pointer_mut(&promise).unwrap() = donor.pointer(&promise).unwrap().clone();
        code(&pki, &changed)
    };
    let by_another_log = other.bundle(&leaf, MANIFEST, Entry::Whole);
    assert_eq!(with_promise_of(&by_another_log), Some(Code::SetInvalid));
    let of_another_entry = pki.bundle(&leaf, b"another manifest", Entry::Whole);
    assert_eq!(with_promise_of(&of_another_entry), Some(Code::SetInvalid));
    assert_eq!(with_promise_of(&signed), None);
}

/// The entry as one of two leaves of a tree (RFC 6962, section 2.1), with the log's checkpoint of it.
fn of_two(pki: &Pki, signed: &Value) -> Value {
    let body =
        STANDARD.decode(signed.pointer(ENTRY).unwrap()["canonicalizedBody"].as_str().unwrap()).unwrap();
    let own = digest(&SHA256, &[&[0], body.as_slice()].concat());
    let sibling = digest(&SHA256, b"\0another entry");
    let root = STANDARD.encode(digest(&SHA256, &[&[1], own.as_ref(), sibling.as_ref()].concat()));
    let mut changed = signed.clone();
    changed.pointer_mut(ENTRY).unwrap()["inclusionProof"] = json!({
        "logIndex": "0", "rootHash": root, "treeSize": "2", "hashes": [STANDARD.encode(sibling)],
        "checkpoint": { "envelope": pki.checkpoint(TREE, 2, &root) },
    });
    changed
}

#[test]
fn a307_a_forged_path_through_a_tree_of_two_leads_nowhere() {
    let pki = Pki::new();
    let signed = of_two(&pki, &pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole));
    assert_eq!(code(&pki, &signed), None, "the honest path");
    let changes: [Forgery; 6] = [
        ("another sibling", |proof| proof["hashes"] = json!([STANDARD.encode([7; 32])])),
        ("no path", |proof| proof["hashes"] = json!([])),
        ("a path that is too long", |proof| {
            let first = proof["hashes"][0].clone();
            proof["hashes"].as_array_mut().unwrap().push(first);
        }),
        ("the other leaf", |proof| proof["logIndex"] = json!("1")),
        ("a leaf beyond the tree", |proof| proof["logIndex"] = json!("9223372036854775806")),
        ("half a hash", |proof| proof["hashes"] = json!([STANDARD.encode([7; 16])])),
    ];
    for (what, change) in changes {
        let mut changed = signed.clone();
        change(&mut changed.pointer_mut(ENTRY).unwrap()["inclusionProof"]);
        let code = code(&pki, &changed);
        let expected = [Some(Code::InclusionProofInvalid), Some(Code::BundleInvalid)];
        assert!(expected.contains(&code), "{what}: {code:?}");
    }
}

#[test]
fn a308_a_path_to_a_root_that_no_log_signed_proves_nothing() {
    let pki = Pki::new();
    let whole = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    let mut changed = of_two(&pki, &whole);
    let checkpoint = whole.pointer(ENTRY).unwrap()["inclusionProof"]["checkpoint"].clone();
    changed.pointer_mut(ENTRY).unwrap()["inclusionProof"]["checkpoint"] = checkpoint;
    assert_eq!(code(&pki, &changed), Some(Code::CheckpointMismatch));
}

#[test]
fn a332_one_timestamp_twice_is_refused() {
    let (pki, clock) = (Pki::new(), Authority::new());
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    let token = clock.token(&signature_of(&signed), "20261124120000Z");
    let with = |tokens: &[&str]| {
        let mut stamped = signed.clone();
        let listed: Vec<_> = tokens.iter().map(|token| json!({ "signedTimestamp": token })).collect();
        stamped["verificationMaterial"]["timestampVerificationData"] = json!({ "rfc3161Timestamps": listed });
        let table = pki.table_with(TRUST, &[clock.listed()]);
        Question::new(vec![table], vec![identity(Transparency::Required)]).code(bundle(&stamped))
    };
    assert_eq!(with(&[&token]), None);
    assert_eq!(with(&[&token, &token]), Some(Code::BundleInvalid));
    let second = clock.token(&signature_of(&signed), "20261124120001Z");
    assert_eq!(with(&[&token, &second]), None, "two moments are two timestamps");
}

#[test]
fn a333_a_bundle_by_a_key_counts_by_the_policy_and_in_no_other_way() {
    let pki = Pki::new();
    let signer = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let signed = pki.keyed_bundle(&signer, MANIFEST, Entry::Whole);
    assert_eq!(code(&pki, &signed), Some(Code::UnknownAuthority), "the policy names identities only");
    let public = |key: &rcgen::KeyPair| {
        pullgate_verify::PublicKey::from_file(&key.subject_public_key_info()).unwrap().remove(0)
    };
    let asked = |key| {
        Question::new(vec![pki.table(TRUST)], vec![])
            .with_key(public(key), Transparency::Required)
            .code(bundle(&signed))
    };
    assert_eq!(asked(&signer), None);
    assert!(asked(&key(&rcgen::PKCS_ECDSA_P256_SHA256)).is_some(), "another key");
}

#[test]
fn a347_an_authority_whose_chain_is_empty_or_lacks_its_root_is_refused() {
    let pki = Pki::new();
    let (between, _) = pki.between();
    let loads = |root: &Value| {
        TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).is_ok()
    };
    assert!(loads(&pki.root_of(&[&between], &[])));
    let chain = "/certificateAuthorities/0/certChain/certificates";
    for certificates in [json!([]), json!([{ "rawBytes": STANDARD.encode(&between) }])] {
        let mut root = pki.root(&[]);
        *root.pointer_mut(chain).unwrap() = certificates.clone();
        assert!(!loads(&root), "{certificates}");
    }
}
