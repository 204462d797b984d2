//! Certificates and stores: a chain is whole and in order, and one of it lies in the store of its scheme's kind (A673,
//! A674).

use pullgate_policy::code::Code;
use pullgate_policy::identity::{Principal, RevocationAsked, Subject, Subjects, Terms};
use pullgate_policy::limits;
use pullgate_verify::{Store, StoreFault, Stores};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose as Purpose, IsCa,
    KeyUsagePurpose as Usage,
};
use serde_json::json;

use super::{Asked, payload, usual};
use crate::notary::{Authority, Signer, protected_with};
use crate::pki::{between_by, key};

type Change = fn(&mut CertificateParams);

fn codes(asked: impl Fn() -> Asked, signer: &Signer) -> [Option<Code>; 2] {
    usual(signer).map(|(form, envelope)| asked().code(form, envelope))
}

#[test]
fn a673_a_leaf_is_for_signing_code_and_for_nothing_that_is_excluded() {
    let corp = Authority::new("corp root");
    let cases: [(&str, Change, bool); 14] = [
        ("as it should be", |_| {}, true),
        ("no purpose", |of| of.extended_key_usages = vec![], true),
        (
            "a purpose of its own",
            |of| of.extended_key_usages.push(Purpose::Other(vec![1, 3, 6, 1, 4, 1, 99999, 1])),
            true,
        ),
        (
            "that alone",
            |of| of.extended_key_usages = vec![Purpose::Other(vec![1, 3, 6, 1, 4, 1, 99999, 1])],
            true,
        ),
        ("commitment", |of| of.key_usages.push(Usage::ContentCommitment), true),
        ("any purpose", |of| of.extended_key_usages.push(Purpose::Any), false),
        ("servers", |of| of.extended_key_usages.push(Purpose::ServerAuth), false),
        ("clients", |of| of.extended_key_usages.push(Purpose::ClientAuth), false),
        ("mail", |of| of.extended_key_usages.push(Purpose::EmailProtection), false),
        ("timestamps", |of| of.extended_key_usages.push(Purpose::TimeStamping), false),
        ("answers of OCSP", |of| of.extended_key_usages.push(Purpose::OcspSigning), false),
        ("no usage", |of| of.key_usages = vec![], false),
        ("a usage more", |of| of.key_usages.push(Usage::KeyEncipherment), false),
        ("an authority", |of| of.is_ca = IsCa::Ca(BasicConstraints::Unconstrained), false),
    ];
    for (what, change, good) in cases {
        let expected = (!good).then_some(Code::CertificateInvalid);
        let signer = corp.signer_with(change);
        assert_eq!(codes(|| Asked::of(&corp), &signer), [expected; 2], "{what}");
    }
}

#[test]
fn a673_no_other_extension_is_evaluated_as_the_specification_says() {
    let corp = Authority::new("corp root");
    let unknown = corp.signer_with(|of| {
        let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
        unknown.set_criticality(true);
        of.custom_extensions.push(unknown);
    });
    assert_eq!(codes(|| Asked::of(&corp), &unknown), [None; 2]);
}

#[test]
fn a673_a_chain_is_whole_in_order_and_ends_in_a_root() {
    let (corp, other) = (Authority::new("corp root"), Authority::new("corp root"));
    let signer = corp.signer();
    let [leaf, root] = <[Vec<u8>; 2]>::try_from(signer.certificates.clone()).unwrap();
    let stranger = other.root().to_vec();
    let invalid = Some(Code::CertificateInvalid);
    let mut signer = signer;
    for (what, certificates, expected) in [
        ("as it should be", vec![leaf.clone(), root.clone()], None),
        ("no root", vec![leaf.clone()], invalid),
        ("the root twice", vec![leaf.clone(), root.clone(), root.clone()], invalid),
        ("a stranger behind it", vec![leaf.clone(), root.clone(), stranger.clone()], invalid),
        ("a root of the same name", vec![leaf.clone(), stranger], invalid),
        ("out of order", vec![root.clone(), leaf.clone()], invalid),
        ("bytes", vec![leaf.clone(), vec![0x30, 0]], invalid),
        ("nothing", vec![], invalid),
        ("eleven", [&[leaf][..], &vec![root; limits::CHAIN_LENGTH][..]].concat(), invalid),
    ] {
        signer = signer.under(certificates);
        assert_eq!(codes(|| Asked::of(&corp), &signer), [expected; 2], "{what}");
    }
}

#[test]
fn a673_an_issuer_is_an_authority_critically_and_allows_what_stands_below() {
    let corp = Authority::new("corp root");
    let cases: [(&str, Change, bool); 5] = [
        ("as it should be", |_| {}, true),
        ("no path below", |of| of.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)), true),
        ("not for certificates", |of| of.key_usages = vec![Usage::DigitalSignature], false),
        ("no usage", |of| of.key_usages = vec![], false),
        ("no authority", |of| of.is_ca = IsCa::ExplicitNoCa, false),
    ];
    for (what, change, good) in cases {
        let (between, issuer) = between_by(corp.issuer(), |of| {
            of.key_usages = vec![Usage::KeyCertSign];
            change(of);
        });
        let signer = corp.signer_below(&issuer, &[between], |_| {});
        let expected = (!good).then_some(Code::CertificateInvalid);
        assert_eq!(codes(|| Asked::of(&corp), &signer), [expected; 2], "{what}");
    }
}

#[test]
fn a672_a_key_of_another_kind_signs_nothing() {
    let corp = Authority::new("corp root");
    let ed25519 = key(&rcgen::PKCS_ED25519);
    let params = CertificateParams::new(Vec::<String>::new()).unwrap();
    let leaf = params.signed_by(&ed25519, corp.issuer()).unwrap().der().to_vec();
    let signer = corp.signer().under(vec![leaf, corp.root().to_vec()]);
    for code in codes(|| Asked::with(&[(Store::Ca, corp.root())]).anybody(), &signer) {
        assert!(matches!(code, Some(Code::CertificateInvalid | Code::KeyUnsupported)), "{code:?}");
    }
}

#[test]
fn a674_one_certificate_of_the_chain_is_in_the_store_byte_for_byte() {
    let (corp, twin) = (Authority::new("corp root"), Authority::new("corp root"));
    let signer = corp.signer();
    assert_eq!(codes(|| Asked::of(&corp), &signer), [None; 2]);
    let untrusted = [Some(Code::CertificateUntrusted); 2];
    assert_eq!(codes(|| Asked::of(&twin), &signer), untrusted, "all names equal");
    let tsa = || Asked::with(&[(Store::Tsa, corp.root()), (Store::Ca, twin.root())]);
    assert_eq!(codes(tsa, &signer), untrusted, "the store of clocks");
    let signing = || Asked::with(&[(Store::SigningAuthority, corp.root())]);
    assert_eq!(codes(signing, &signer), untrusted, "the store of the other scheme");
}

#[test]
fn a674_whoever_holds_a_cas_certificate_is_not_its_own_clock() {
    let corp = Authority::new("corp root");
    let (scheme, signed) = ("io.cncf.notary.signingScheme", "io.cncf.notary.signingTime");
    let authentic = "io.cncf.notary.authenticSigningTime";
    let header = protected_with(&json!({
        scheme: "notary.x509.signingAuthority", signed: null,
        authentic: "2026-02-01T00:00:00Z", "crit": [scheme, authentic],
    }));
    let envelope = corp.signer().jws_of(&header, &payload());
    let signing = || Asked::with(&[(Store::SigningAuthority, corp.root())]);
    assert_eq!(signing().jws(&envelope), None);
    assert_eq!(Asked::of(&corp).jws(&envelope), Some(Code::CertificateUntrusted));
    // The time that the authority tells is one to reckon ages by.
    let bytes = envelope.to_string().into_bytes();
    let facts = signing().facts(pullgate_policy::evidence::notation::Form::Jws, bytes);
    assert_eq!(facts.trusted_time, Some("2026-02-01T00:00:00Z".parse().unwrap()));
}

#[test]
fn a674_a_subject_is_asked_by_whole_attributes_and_a_doubled_one_is_nobodys() {
    let corp = Authority::new("corp root");
    let asked = |text: &str| {
        let subjects = Subjects::AnyOf(vec![Subject::asked(text).unwrap()]);
        Asked { subjects, ..Asked::of(&corp) }
    };
    let stranger = [Some(Code::UnknownAuthority); 2];
    let signer = corp.signer();
    assert_eq!(codes(|| asked("C=DE, ST=Berlin, O=Granary"), &signer), [None; 2]);
    assert_eq!(codes(|| asked("C=DE, ST=Berlin, O=Granary, CN=other"), &signer), stranger);
    assert_eq!(codes(|| asked("C=DE, ST=Berlin, O=granary"), &signer), stranger);
    assert_eq!(codes(|| Asked::of(&corp).anybody(), &signer), [None; 2]);
    let mail = corp.signer_with(|of| {
        let kind = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        of.distinguished_name.push(kind, rcgen::DnValue::Ia5String("a@corp.example".try_into().unwrap()));
    });
    assert_eq!(codes(|| Asked::of(&corp), &mail), [None; 2], "an attribute that is not asked for");
    let control = corp.signer_with(|of| {
        of.distinguished_name.push(DnType::OrganizationalUnitName, "a\u{202e}b");
    });
    assert_eq!(codes(|| Asked::of(&corp), &control), [Some(Code::IdentityMalformed); 2]);
}

#[test]
fn a674_what_was_verified_on_other_terms_is_a_strangers() {
    let corp = Authority::new("corp root");
    let (form, envelope) = usual(&corp.signer())[0].clone();
    let facts = Asked::of(&corp).facts(form, envelope);
    let Principal::Notation(signer) = facts.principal else { panic!("{:?}", facts.principal) };
    assert_eq!(signer.terms.revocation, RevocationAsked::Yes);
    assert_eq!(signer.terms, Terms { ..Asked::of(&corp).terms });
}

#[test]
fn a674_a_store_holds_authorities_or_roots_and_each_kind_its_own() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let add = |held: &[(Store, Vec<u8>)]| {
        let mut stores = Stores::new(pullgate_policy::identity::Name::new("corp"));
        held.iter().try_for_each(|(store, file)| stores.add(*store, file))
    };
    let (root, leaf) = (corp.root().to_vec(), signer.certificates[0].clone());
    assert_eq!(add(&[(Store::Ca, root.clone()), (Store::Tsa, root.clone())]), Ok(()));
    assert_eq!(add(&[(Store::Ca, corp.pem().into_bytes())]), Ok(()));
    let is = |held: &[(Store, Vec<u8>)], fault: fn(&StoreFault) -> bool| {
        assert!(add(held).as_ref().is_err_and(fault), "{:?}", add(held));
    };
    is(&[(Store::Ca, leaf.clone())], |fault| matches!(fault, StoreFault::NoAnchor(_)));
    is(&[(Store::Tsa, leaf)], |fault| matches!(fault, StoreFault::NoRoot(_)));
    is(&[(Store::Ca, root.clone()), (Store::SigningAuthority, root)], |fault| {
        matches!(fault, StoreFault::Twice(_))
    });
    is(&[(Store::Ca, b" \n".to_vec())], |fault| *fault == StoreFault::Empty);
    is(&[(Store::Ca, b"x".to_vec())], |fault| *fault == StoreFault::Garbage);
    let private = b"-----BEGIN PRIVATE KEY-----\nAA==\n-----END PRIVATE KEY-----\n".to_vec();
    is(&[(Store::Ca, private)], |fault| *fault == StoreFault::PrivateKey);
    let many = corp.pem().repeat(limits::STORE_CERTIFICATES + 1).into_bytes();
    is(&[(Store::Ca, many)], |fault| *fault == StoreFault::TooMany);
    assert_eq!(add(&[(Store::Ca, corp.pem().repeat(limits::STORE_CERTIFICATES).into_bytes())]), Ok(()));
}
