//! What vouches for the time (A301, A305, A306, A310, A325).

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{
    KeyPair as _, RSA_PKCS1_SHA256, RSA_PKCS1_SHA512, RSA_PSS_SHA256, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogProof, Logged};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{PublicKey, Sct, TrustTable};
use rcgen::PublicKeyData as _;
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, LOGGED, Pki, key};

fn asked(pki: &Pki, transparency: Transparency) -> Question {
    Question::new(vec![pki.table(TRUST)], vec![identity(transparency)])
}

#[test]
fn a_logged_signature_has_the_time_that_the_log_signed() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    for entry in [Entry::Whole, Entry::WithoutProof] {
        let evidence =
            asked(&pki, Transparency::Required).ask(vec![bundle(&pki.bundle(&leaf, MANIFEST, entry))]);
        let facts = evidence.signatures[0].facts();
        assert_eq!((facts.logged, facts.trusted_time), (Logged::Yes, Some(LOGGED.parse().unwrap())));
    }
}

#[test]
fn every_kind_of_key_may_be_logged() {
    let pki = Pki::new();
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ECDSA_P521_SHA256,
        &rcgen::PKCS_ED25519,
    ] {
        let signer = key(algorithm);
        let public = PublicKey::from_file(&signer.subject_public_key_info()).unwrap().remove(0);
        let question = Question::new(vec![pki.table(TRUST)], vec![]).with_key(public, Transparency::Required);
        let signed = pki.keyed_bundle(&signer, MANIFEST, Entry::Whole);
        let facts = question.ask(vec![bundle(&signed)]);
        let facts =
            facts.signatures.first().unwrap_or_else(|| panic!("{algorithm:?}: {facts:?}")).facts().clone();
        assert_eq!(
            (facts.logged, facts.trusted_time),
            (Logged::Yes, Some(LOGGED.parse().unwrap())),
            "{algorithm:?}"
        );
        assert_eq!(facts.vouchers.entries.len(), 1, "{algorithm:?}");
        // The entry of another key's signature of the same bytes.
        let mut mixed = signed.clone();
        let other = pki.keyed_bundle(&key(algorithm), MANIFEST, Entry::Whole);
        mixed["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
        let facts = question.ask(vec![bundle(&mixed)]);
        let logged = facts.signatures[0].facts().logged;
        assert!(matches!(logged, Logged::No(_)), "{algorithm:?}: {logged:?}");
        for change in ["inclusionPromise", "inclusionProof", "canonicalizedBody"] {
            let mut spoilt = signed.clone();
            let entry = &mut spoilt["verificationMaterial"]["tlogEntries"][0];
            entry[change] = other["verificationMaterial"]["tlogEntries"][0][change].clone();
            let logged = question.ask(vec![bundle(&spoilt)]).signatures[0].facts().logged;
            assert!(matches!(logged, Logged::No(_)), "{algorithm:?} {change}: {logged:?}");
        }
    }
}

#[test]
fn an_rsa_signature_of_either_padding_may_be_logged() {
    let pki = Pki::new();
    let signer = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    let spki = signer.public_key().as_der().unwrap().as_ref().to_vec();
    let public = || PublicKey::from_file(&spki).unwrap().remove(0);
    let question = Question::new(vec![pki.table(TRUST)], vec![]).with_key(public(), Transparency::Required);
    let paddings: [&'static dyn RsaEncoding; 4] =
        [&RSA_PKCS1_SHA256, &RSA_PKCS1_SHA512, &RSA_PSS_SHA256, &RSA_PSS_SHA512];
    for (n, padding) in paddings.into_iter().enumerate() {
        let mut signature = vec![0; signer.public_modulus_len()];
        signer.sign(padding, &SystemRandom::new(), MANIFEST, &mut signature).unwrap();
        let logged = pki.keyed_bundle_of(&signature, &spki, MANIFEST, Entry::Whole);
        let evidence = question.ask(vec![bundle(&logged)]);
        let facts = evidence.signatures.first().unwrap_or_else(|| panic!("{n}: {evidence:?}")).facts();
        assert_eq!((facts.logged, facts.trusted_time), (Logged::Yes, Some(LOGGED.parse().unwrap())), "{n}");
        // One bit of it is another: neither it nor its entry is good.
        *signature.last_mut().unwrap() ^= 1;
        let spoilt = pki.keyed_bundle_of(&signature, &spki, MANIFEST, Entry::Whole);
        assert!(question.ask(vec![bundle(&spoilt)]).signatures.is_empty(), "{n}");
    }
}

#[test]
fn a305_an_integrated_time_that_nobody_signed_is_no_time() {
    let pki = Pki::new();
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::WithoutPromise);
    for transparency in [Transparency::Required, Transparency::None] {
        assert_eq!(asked(&pki, transparency).code(bundle(&signed)), Some(Code::NoTrustedTime));
    }
}

#[test]
fn a305_an_entry_that_the_library_does_not_read_has_a_time_only_where_it_is_signed() {
    let pki = Pki::new();
    let signer = key(&rcgen::PKCS_ECDSA_P521_SHA512);
    let public = PublicKey::from_file(&signer.subject_public_key_info()).unwrap().remove(0);
    let question = Question::new(vec![pki.table(TRUST)], vec![]).with_key(public, Transparency::Required);
    for (entry, time) in [(Entry::Whole, Some(LOGGED.parse().unwrap())), (Entry::WithoutPromise, None)] {
        let evidence = question.ask(vec![bundle(&pki.keyed_bundle(&signer, MANIFEST, entry))]);
        let facts = evidence.signatures[0].facts();
        assert_eq!((facts.logged, facts.trusted_time), (Logged::Yes, time), "{entry:?}");
    }
}

#[test]
fn a306_each_entry_must_prove_itself() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let mut signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    let mut second = signed["verificationMaterial"]["tlogEntries"][0].clone();
    second.as_object_mut().unwrap().remove("inclusionProof");
    signed["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap().push(second);
    assert_eq!(asked(&pki, Transparency::Required).code(bundle(&signed)), Some(Code::InclusionProofMissing));
}

#[test]
fn a310_a325_without_an_entry_or_a_time_a_certificate_proves_nothing() {
    let pki = Pki::new();
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Absent);
    assert_eq!(asked(&pki, Transparency::Required).code(bundle(&signed)), Some(Code::LogEntryMissing));
    assert_eq!(asked(&pki, Transparency::None).code(bundle(&signed)), Some(Code::NoTrustedTime));
}

#[test]
fn a301_a302_the_entry_of_another_signature_does_not_count() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let mut signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    let other = pki.bundle(&leaf, b"another manifest", Entry::Whole);
    signed["verificationMaterial"]["tlogEntries"] = other["verificationMaterial"]["tlogEntries"].clone();
    assert_eq!(asked(&pki, Transparency::Required).code(bundle(&signed)), Some(Code::LogEntryMismatch));
}

#[test]
fn a324_a_time_ahead_of_the_gates_clock_is_no_time() {
    let pki = Pki::new();
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    let mut question = asked(&pki, Transparency::Required);
    question.now = "2026-11-24T11:55:00Z".parse().unwrap();
    assert_eq!(question.code(bundle(&signed)), None, "within the skew");
    question.now = "2026-11-24T11:54:59Z".parse().unwrap();
    assert_eq!(question.code(bundle(&signed)), Some(Code::TimeInFuture));
}

#[test]
fn a206_the_message_digest_is_a_hint_that_must_be_right() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let question = asked(&pki, Transparency::Required);
    let mut signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    signed["messageSignature"].as_object_mut().unwrap().remove("messageDigest");
    assert_eq!(question.code(bundle(&signed)), None, "absent is accepted");
    let other = pki.bundle(&leaf, b"another manifest", Entry::Whole);
    assert_eq!(question.code(bundle(&other)), Some(Code::DigestMismatch));
    let mut lying = other.clone();
    lying["messageSignature"]["messageDigest"] =
        pki.bundle(&leaf, MANIFEST, Entry::Whole)["messageSignature"]["messageDigest"].clone();
    assert!(question.code(bundle(&lying)).is_some(), "the signature is over other bytes");
}

#[test]
fn a254_the_shape_of_a_bundle_is_checked_before_anything_else() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let question = asked(&pki, Transparency::Required);
    let good = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    let changed = |change: &dyn Fn(&mut Value)| {
        let mut bad = good.clone();
        change(&mut bad);
        question.code(bundle(&bad))
    };
    let entry = good["verificationMaterial"]["tlogEntries"][0].clone();
    // Beside the log's own entry, those of logs that the table does not hold: nothing to it.
    let many = |n: u8| {
        let foreign = |n| {
            let mut foreign = entry.clone();
            foreign["logId"]["keyId"] = json!(STANDARD.encode([n; 32]));
            foreign
        };
        json!(std::iter::once(entry.clone()).chain((1..n).map(foreign)).collect::<Vec<_>>())
    };
    assert_eq!(
        changed(&|bad| bad["mediaType"] = json!("application/vnd.dev.sigstore.bundle.v0.4+json")),
        Some(Code::BundleInvalid)
    );
    assert_eq!(
        changed(&|bad| bad["verificationMaterial"]["publicKey"] = json!({ "hint": "" })),
        Some(Code::BundleInvalid)
    );
    assert_eq!(changed(&|bad| bad["dsseEnvelope"] = json!({})), Some(Code::BundleInvalid));
    assert_eq!(
        changed(&|bad| bad["verificationMaterial"]["tlogEntries"] = many(33)),
        Some(Code::BundleInvalid)
    );
    assert_eq!(changed(&|bad| bad["verificationMaterial"]["tlogEntries"] = many(32)), None);
    let tokens =
        |n: u8| json!((0..n).map(|n| json!({ "signedTimestamp": format!("{n}") })).collect::<Vec<_>>());
    let stamped = |n: u8| {
        changed(&|bad| {
            bad["verificationMaterial"]["timestampVerificationData"] =
                json!({ "rfc3161Timestamps": tokens(n) });
        })
    };
    assert_eq!(stamped(33), Some(Code::BundleInvalid));
    assert_eq!(
        changed(&|bad| {
            bad["verificationMaterial"]["tlogEntries"][0]["inclusionProof"]["hashes"] = json!(vec![""; 65]);
        }),
        Some(Code::InclusionProofInvalid)
    );
    let twice = good.to_string().replacen('{', "{\"mediaType\":\"x\",", 1);
    let twice = pullgate_verify::Item::Bundle { json: twice.into() };
    assert_eq!(question.code(twice), Some(Code::BundleInvalid), "a key twice (A126)");
}

#[test]
fn what_is_null_or_empty_may_as_well_not_be_there() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let question = asked(&pki, Transparency::Required);
    let entry = "/verificationMaterial/tlogEntries/0";
    let proof = format!("{entry}/inclusionProof");
    // The first entry of a log has no path, and the index that protobuf leaves out.
    for (path, key) in [
        ("", "dsseEnvelope"),
        ("/verificationMaterial", "publicKey"),
        ("/verificationMaterial", "x509CertificateChain"),
        ("/verificationMaterial", "timestampVerificationData"),
        ("/messageSignature", "messageDigest"),
        (entry, "logIndex"),
        (&proof, "logIndex"),
        (&proof, "hashes"),
    ] {
        let mut whole = pki.bundle(&leaf, MANIFEST, Entry::Whole);
        whole.pointer_mut(path).unwrap()[key] = Value::Null;
        assert_eq!(question.code(bundle(&whole)), None, "null {path} {key}");
        whole.pointer_mut(path).unwrap().as_object_mut().unwrap().remove(key);
        assert_eq!(question.code(bundle(&whole)), None, "no {path} {key}");
    }
    for (key, code) in [
        ("inclusionProof", Code::InclusionProofMissing),
        ("inclusionPromise", Code::NoTrustedTime),
        ("canonicalizedBody", Code::BundleInvalid),
    ] {
        let mut whole = pki.bundle(&leaf, MANIFEST, Entry::Whole);
        whole.pointer_mut(entry).unwrap()[key] = Value::Null;
        assert_eq!(question.code(bundle(&whole)), Some(code), "null {key}");
    }
    let mut empty = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    empty["messageSignature"] = Value::Null;
    assert_eq!(question.code(bundle(&empty)), Some(Code::BundleInvalid));
}

#[test]
fn a312_an_entry_twice_is_refused_and_two_bundles_of_one_signer_are_one_principal() {
    let pki = Pki::new();
    let question = asked(&pki, Transparency::Required);
    let leaf = pki.usual_leaf();
    let once = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    let mut twice = once.clone();
    let entries = twice["verificationMaterial"]["tlogEntries"].as_array_mut().unwrap();
    entries.push(entries[0].clone());
    assert_eq!(question.code(bundle(&once)), None);
    assert_eq!(question.code(bundle(&twice)), Some(Code::BundleInvalid));
    // Two bundles of one signer are two signatures, by one principal: no threshold counts them as two (A233).
    let evidence = question.ask(vec![bundle(&once), bundle(&once)]);
    let principals: Vec<_> = evidence.signatures.iter().map(|one| one.facts().principal.clone()).collect();
    assert_eq!(principals.len(), 2);
    assert_eq!(principals[0], principals[1]);
}

/// Whether a key's signature is logged, and what vouches for that.
fn vouched(root: &Value, signer: &rcgen::KeyPair, signed: &Value) -> (Logged, Vec<(Option<u64>, LogProof)>) {
    let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap();
    let public = PublicKey::from_file(&signer.subject_public_key_info()).unwrap().remove(0);
    let question = Question::new(vec![table], vec![]).with_key(public, Transparency::Required);
    let evidence = question.ask(vec![bundle(signed)]);
    let facts = evidence.signatures[0].facts();
    (facts.logged, facts.vouchers.entries.iter().map(|entry| (entry.index, entry.by)).collect())
}

#[test]
fn what_the_log_vouches_with_is_told_and_the_index_only_where_it_is_signed() {
    let pki = Pki::new();
    let signer = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    for (entry, expected) in [
        (Entry::Whole, (Some(0), LogProof::InclusionAndSignedTimestamp)),
        (Entry::WithoutPromise, (None, LogProof::Inclusion)),
        (Entry::WithoutProof, (Some(0), LogProof::SignedTimestamp)),
    ] {
        let mut signed = pki.keyed_bundle(&signer, MANIFEST, entry);
        if entry == Entry::WithoutProof {
            signed["mediaType"] = json!("application/vnd.dev.sigstore.bundle+json;version=0.1");
        }
        assert_eq!(vouched(&pki.root(&[]), &signer, &signed), (Logged::Yes, vec![expected]), "{entry:?}");
    }
}

#[test]
fn a_log_without_a_proven_time_speaks_only_while_its_window_has_no_end() {
    let pki = Pki::new();
    let signer = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let mut root = pki.root(&[]);
    root["tlogs"][0]["publicKey"]["validFor"]["end"] = json!("2036-01-01T00:00:00Z");
    let untimed = pki.keyed_bundle(&signer, MANIFEST, Entry::WithoutPromise);
    assert_eq!(vouched(&pki.root(&[]), &signer, &untimed).0, Logged::Yes);
    assert_eq!(vouched(&root, &signer, &untimed).0, Logged::No(Code::LogUnknown));
    let timed = pki.keyed_bundle(&signer, MANIFEST, Entry::Whole);
    assert_eq!(vouched(&root, &signer, &timed).0, Logged::Yes);
}
