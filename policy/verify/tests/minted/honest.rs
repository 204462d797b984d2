//! What signers really do, and the library does not read or refuses as a whole: it counts all the same.

use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, Logged};
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Item, Sct, TrustTable};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::attached::Attached;
use crate::pki::{Entry, Pki};
use crate::stamp::Authority;
use crate::stamps::{signature_of, told};

fn table(root: &Value) -> TrustTable {
    TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap()
}

fn code(root: &Value, signed: &Value) -> Option<Code> {
    Question::new(vec![table(root)], vec![identity(Transparency::Required)]).code(bundle(signed))
}

#[test]
fn a_log_may_have_a_key_on_each_curve() {
    for algorithm in [
        &rcgen::PKCS_ECDSA_P256_SHA256,
        &rcgen::PKCS_ECDSA_P384_SHA384,
        &rcgen::PKCS_ECDSA_P521_SHA512,
        &rcgen::PKCS_ED25519,
    ] {
        let pki = Pki::with_log(algorithm);
        let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
        assert_eq!(code(&pki.root(&[]), &signed), None, "{algorithm:?}");
        // Another log of the same kind, under this one's id.
        let mut other = Pki::with_log(algorithm).root(&[]);
        other["tlogs"][0]["logId"] = pki.root(&[])["tlogs"][0]["logId"].clone();
        other["certificateAuthorities"] = pki.root(&[])["certificateAuthorities"].clone();
        assert!(code(&other, &signed).is_some(), "{algorithm:?}");
    }
}

#[test]
fn a_log_that_is_listed_twice_counts_in_both_of_its_windows_and_between_them_not() {
    let pki = Pki::new();
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    let windows = |first: Value, second: Value| {
        let mut root = pki.root(&[]);
        let mut again = root["tlogs"][0].clone();
        root["tlogs"][0]["publicKey"]["validFor"] = first;
        again["publicKey"]["validFor"] = second;
        root["tlogs"].as_array_mut().unwrap().push(again);
        code(&root, &signed)
    };
    // The entry is of the 24th, at noon.
    let before = || json!({ "start": "2026-01-01T00:00:00Z", "end": "2026-11-24T00:00:00Z" });
    let then = || json!({ "start": "2026-11-24T11:00:00Z" });
    let after = || json!({ "start": "2026-11-25T00:00:00Z" });
    assert_eq!((windows(before(), then()), windows(then(), before())), (None, None));
    assert_eq!(windows(then(), then()), None);
    assert_eq!(windows(before(), after()), Some(Code::LogUnknown));
}

#[test]
fn of_several_timestamps_one_that_holds_is_enough() {
    let (pki, clock) = (Pki::new(), Authority::new());
    let mut signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Absent);
    let signature = signature_of(&signed);
    let good = clock.token(&signature, "20261124120000Z");
    let stranger = Authority::new().token(&signature, "20261124120000Z");
    let mut ask = |tokens: &[&String]| {
        let tokens: Vec<_> = tokens.iter().map(|token| json!({ "signedTimestamp": token })).collect();
        signed["verificationMaterial"]["timestampVerificationData"] = json!({ "rfc3161Timestamps": tokens });
        let tables = vec![pki.table_with(TRUST, &[clock.listed()])];
        told(&Question::new(tables, vec![identity(Transparency::None)]).ask(vec![bundle(&signed)]))
    };
    let counts = Ok((
        Logged::No(Code::LogEntryMissing),
        Some("2026-11-24T12:00:00Z".to_owned()),
        Some(Clock::TimestampAuthority),
    ));
    assert_eq!(ask(&[&good]), counts);
    assert_eq!(ask(&[&stranger, &good]), counts);
    assert_eq!(ask(&[&good, &stranger]), counts);
    assert_eq!(ask(&[&stranger]), Err(Code::TimestampUntrusted));
}

#[test]
fn an_attached_envelope_is_stamped_as_a_whole_layer() {
    let (pki, clock) = (Pki::new(), Authority::new());
    let Attached { envelope, mut annotations } = Attached::new(&pki, &pki.usual_leaf());
    annotations.remove("dev.sigstore.cosign/bundle");
    let parsed: Value = serde_json::from_slice(&envelope).unwrap();
    let signature = parsed["signatures"][0]["sig"].as_str().unwrap();
    let signature = base64::Engine::decode(&base64::engine::general_purpose::STANDARD, signature).unwrap();
    let mut ask = |over: &[u8]| {
        let token = json!({ "SignedRFC3161Timestamp": clock.token(over, "20261124120000Z") }).to_string();
        annotations.insert("dev.sigstore.cosign/rfc3161timestamp".to_owned(), token);
        let tables = vec![pki.table_with(TRUST, &[clock.listed()])];
        let question = Question::new(tables, vec![identity(Transparency::None)]);
        question.code(Item::Dsse { envelope: envelope.clone(), annotations: annotations.clone() })
    };
    assert_eq!(ask(&envelope), None);
    assert_eq!(ask(&signature), Some(Code::TimestampMismatch), "nobody stamps that");
}
