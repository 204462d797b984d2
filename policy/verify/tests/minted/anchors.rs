//! From a certificate to the root, step by step: what of an authority's chain has run out, is no authority, or is for
//! something else signs nothing, although the trusted root lists it (A622).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{Sct, TrustTable};
use rcgen::{BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose};
use serde_json::{Value, json};

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Leaf, Pki, between_by, changed_leaf, key, usual_leaf_by};
use crate::stamp::Authority;

type Change = fn(&mut CertificateParams);

/// An extension that nobody knows.
fn unknown(params: &mut CertificateParams, critical: bool) {
    let mut extension = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
    extension.set_criticality(critical);
    params.custom_extensions.push(extension);
}

/// What may be wrong with an issuer, and what is said of it.
const WRONG: [(&str, Change, Code); 7] = [
    ("run out", |of| of.not_after = rcgen::date_time_ymd(2026, 11, 23), Code::CertificateExpired),
    ("not yet good", |of| of.not_before = rcgen::date_time_ymd(2026, 11, 25), Code::CertificateExpired),
    ("no authority", |of| of.is_ca = IsCa::ExplicitNoCa, Code::CertificateInvalid),
    ("silent about being one", |of| of.is_ca = IsCa::NoCa, Code::CertificateInvalid),
    (
        "a key for other things",
        |of| of.key_usages = vec![KeyUsagePurpose::DigitalSignature],
        Code::CertificateInvalid,
    ),
    (
        "another purpose",
        |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
        Code::CertificateInvalid,
    ),
    ("not understood", |of| unknown(of, true), Code::CertificateInvalid),
];

/// What is as good as the usual.
const RIGHT: [(&str, Change); 5] = [
    ("the usual", |_| {}),
    ("no purpose named", |of| of.extended_key_usages = vec![]),
    ("any purpose", |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]),
    ("several purposes", |of| of.extended_key_usages.push(ExtendedKeyUsagePurpose::ServerAuth)),
    ("an extension that nobody need know", |of| unknown(of, false)),
];

fn code_under(root: &Value, pki: &Pki, leaf: &Leaf) -> Option<Code> {
    let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap();
    let question = Question::new(vec![table], vec![identity(Transparency::Required)]);
    question.code(bundle(&pki.bundle(leaf, MANIFEST, Entry::Whole)))
}

fn code_of_between(change: Change) -> Option<Code> {
    let pki = Pki::new();
    let (between, issuer) = between_by(pki.issuer(), change);
    code_under(&pki.root_of(&[&between], &[]), &pki, &usual_leaf_by(&issuer))
}

#[test]
fn a622_an_intermediate_of_the_root_is_checked_at_the_time_of_the_signature() {
    for (what, change, expected) in WRONG {
        assert_eq!(code_of_between(change), Some(expected), "{what}");
    }
    for (what, change) in RIGHT {
        assert_eq!(code_of_between(change), None, "{what}");
    }
}

#[test]
fn a323_a622_the_root_is_held_against_everything_at_the_time_it_signed() {
    let code = |change: Change| {
        let pki = Pki::with_root(change);
        code_under(&pki.root(&[]), &pki, &pki.usual_leaf())
    };
    for (what, change, expected) in WRONG {
        assert_eq!(code(change), Some(expected), "{what}");
    }
    for (what, change) in RIGHT {
        // The usual root names no purpose.
        let several = what == "several purposes";
        assert_eq!(code(change), several.then_some(Code::CertificateInvalid), "{what}");
    }
}

/// The extension of name constraints: subtrees of these kinds of name, by their tags, permitted or excluded.
pub(crate) fn constrained(of: &mut CertificateParams, permitted: &[(u8, &str)], excluded: &[(u8, &str)]) {
    let der = |tag: u8, content: &[u8]| [&[tag, u8::try_from(content.len()).unwrap()], content].concat();
    let subtrees = |tag: u8, names: &[(u8, &str)]| {
        let each: Vec<u8> =
            names.iter().flat_map(|(kind, text)| der(0x30, &der(*kind, text.as_bytes()))).collect();
        if names.is_empty() { Vec::new() } else { der(tag, &each) }
    };
    let both = [subtrees(0xa0, permitted), subtrees(0xa1, excluded)].concat();
    let mut extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 30], der(0x30, &both));
    extension.set_criticality(true);
    of.custom_extensions.push(extension);
}

/// The usual leaf is a workflow of `https://git.example/…`.
#[test]
fn a622_name_constraints_of_every_issuer_hold_those_of_uris_too() {
    const MAIL: u8 = 0x81;
    const DNS: u8 = 0x82;
    const DIRECTORY: u8 = 0xa4;
    const URI: u8 = 0x86;
    const ADDRESS: u8 = 0x87;
    type Names<'a> = &'a [(u8, &'a str)];
    const NUMBER: u8 = 0x88;
    let cases: [(Names<'_>, Names<'_>, bool); 16] = [
        (&[(URI, "git.example")], &[], true),
        (&[(URI, ".example")], &[], true),
        (&[(URI, "other.example"), (URI, "git.example")], &[], true),
        (&[(DNS, "other.example")], &[], true),
        (&[(MAIL, "other.example")], &[], true),
        (&[(DNS, "other.example"), (URI, "git.example")], &[(URI, "evil.example")], true),
        (&[(URI, "other.example")], &[], false),
        (&[(URI, ".git.example")], &[], false),
        (&[(URI, "example")], &[], false),
        (&[(URI, "git.example")], &[(URI, "git.example")], false),
        (&[], &[(URI, "example")], false),
        (&[], &[(URI, ".example")], false),
        // Every directory name, and addresses: none of the leaf's.
        (&[(URI, "git.example"), (DIRECTORY, "0\0")], &[], true),
        (&[(URI, "git.example"), (ADDRESS, "\u{1}\u{1}\u{1}\u{1}\0\0\0\0")], &[], true),
        // A mask that is none, and a kind that is not understood.
        (&[(URI, "git.example"), (ADDRESS, "\u{1}\u{1}\u{1}\u{1}\0\u{1}\0\0")], &[], false),
        (&[(URI, "git.example"), (NUMBER, "*\u{3}")], &[], false),
    ];
    for (permitted, excluded, good) in cases {
        let expected = (!good).then_some(Code::CertificateInvalid);
        let pki = Pki::new();
        let (between, issuer) = between_by(pki.issuer(), |of| constrained(of, permitted, excluded));
        let code = code_under(&pki.root_of(&[&between], &[]), &pki, &usual_leaf_by(&issuer));
        assert_eq!(code, expected, "between: {permitted:?} {excluded:?}");
        let pki = Pki::with_root(|of| constrained(of, permitted, excluded));
        assert_eq!(code_under(&pki.root(&[]), &pki, &pki.usual_leaf()), expected, "root: {permitted:?}");
        let (between, issuer) = pki.between();
        let code = code_under(&pki.root_of(&[&between], &[]), &pki, &usual_leaf_by(&issuer));
        assert_eq!(code, expected, "above another: {permitted:?} {excluded:?}");
    }
}

#[test]
fn a622_constraints_of_names_excuse_nothing_else_of_a_path() {
    let tree: &[(u8, &str)] = &[(0x86, "git.example")];
    for (what, change, expected) in WRONG {
        let pki = Pki::new();
        let (between, issuer) = between_by(pki.issuer(), |of| {
            constrained(of, tree, &[]);
            change(of);
        });
        let code = code_under(&pki.root_of(&[&between], &[]), &pki, &usual_leaf_by(&issuer));
        assert_eq!(code, Some(expected), "between: {what}");
    }
    let pki = Pki::with_root(|of| {
        constrained(of, tree, &[]);
        of.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    });
    assert_eq!(code_under(&pki.root(&[]), &pki, &pki.usual_leaf()), None);
    let (between, issuer) = pki.between();
    let code = code_under(&pki.root_of(&[&between], &[]), &pki, &usual_leaf_by(&issuer));
    assert_eq!(code, Some(Code::CertificateInvalid), "the root allows none between");
    let stranger = Pki::with_root(|of| constrained(of, tree, &[]));
    let code = code_under(&pki.root(&[]), &pki, &stranger.usual_leaf());
    assert_eq!(code, Some(Code::CertificateUntrusted), "of the same name, by another key");
}

#[test]
fn a622_a_path_is_no_longer_than_each_issuer_allows() {
    let length = |root: u8, upper: u8| {
        let pki = Pki::with_root(|of| of.is_ca = IsCa::Ca(BasicConstraints::Constrained(root)));
        let (first, issuer) =
            between_by(pki.issuer(), |of| of.is_ca = IsCa::Ca(BasicConstraints::Constrained(upper)));
        let (second, below) = between_by(&issuer, |of| {
            of.distinguished_name = rcgen::DistinguishedName::new();
            of.distinguished_name.push(rcgen::DnType::CommonName, "test below");
        });
        let direct = code_under(&pki.root_of(&[&first], &[]), &pki, &usual_leaf_by(&issuer));
        (direct, code_under(&pki.root_of(&[&second, &first], &[]), &pki, &usual_leaf_by(&below)))
    };
    let invalid = Some(Code::CertificateInvalid);
    assert_eq!(length(2, 1), (None, None));
    assert_eq!(length(1, 1), (None, invalid), "the root allows one");
    assert_eq!(length(2, 0), (None, invalid), "the intermediate allows none");
    assert_eq!(length(0, 0), (invalid, invalid), "the root allows none");
}

#[test]
fn a622_an_intermediate_is_an_anchor_for_nobody() {
    let pki = Pki::new();
    let (between, issuer) = pki.between();
    let mut root = pki.root_of(&[&between], &[]);
    let leaf = usual_leaf_by(&issuer);
    assert_eq!(code_under(&root, &pki, &leaf), None);
    // The root of the chain is another: what the intermediate signed is worth nothing.
    let other = Pki::new().root(&[]);
    root["certificateAuthorities"][0]["certChain"]["certificates"][1] =
        other["certificateAuthorities"][0]["certChain"]["certificates"][0].clone();
    assert_eq!(code_under(&root, &pki, &leaf), Some(Code::CertificateUntrusted));
    // A chain that does not end in a root is half a chain: the table does not load.
    root["certificateAuthorities"][0]["certChain"]["certificates"].as_array_mut().unwrap().truncate(1);
    let read = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None);
    assert!(read.is_err());
}

#[test]
fn a347_a622_an_authority_that_cannot_be_used_is_named_and_spoils_no_other() {
    let pki = Pki::new();
    let (between, issuer) = pki.between();
    let good = pki.root_of(&[&between], &[]);
    let other = Pki::new();
    let (half, by_half) = other.between();
    let authority = |name: &str, certificates: Value| {
        json!({
            "uri": name, "certChain": { "certificates": certificates },
            "validFor": { "start": "2020-01-01T00:00:00Z" },
        })
    };
    for (name, certificates) in [
        ("https://half.example", json!([{ "rawBytes": STANDARD.encode(&half) }])),
        ("https://garbage.example", json!([{ "rawBytes": "AAAA" }])),
        ("https://empty.example", json!([])),
    ] {
        let mut root = good.clone();
        root["certificateAuthorities"].as_array_mut().unwrap().push(authority(name, certificates));
        let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap();
        let unusable = table.unusable("2026-11-24T00:00:00Z".parse().unwrap());
        assert_eq!(unusable.iter().map(|one| one.name.as_str()).collect::<Vec<_>>(), [name]);
        assert_eq!(code_under(&root, &pki, &usual_leaf_by(&issuer)), None, "{name}");
        let code = code_under(&root, &pki, &usual_leaf_by(&by_half));
        assert_eq!(code, Some(Code::CertificateUntrusted), "{name}");
        // A root that has no other is none.
        root["certificateAuthorities"].as_array_mut().unwrap().remove(0);
        assert!(TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).is_err());
    }
}

#[test]
fn a622_of_two_intermediates_of_one_name_each_signs_its_own() {
    let pki = Pki::new();
    let ((one, by_one), (two, by_two)) = (pki.between(), pki.between());
    let (spent, by_spent) = between_by(pki.issuer(), |of| of.not_after = rcgen::date_time_ymd(2026, 11, 1));
    let mut root = pki.root_of(&[&one], &[]);
    for between in [&two, &spent] {
        let authority = pki.root_of(&[between], &[])["certificateAuthorities"][0].clone();
        root["certificateAuthorities"].as_array_mut().unwrap().push(authority);
    }
    for (issuer, expected) in [(&by_one, None), (&by_two, None), (&by_spent, Some(Code::CertificateExpired))]
    {
        assert_eq!(code_under(&root, &pki, &usual_leaf_by(issuer)), expected);
    }
    // The same in one chain.
    let all = pki.root_of(&[&spent, &one, &two], &[]);
    for (issuer, expected) in [(&by_one, None), (&by_two, None), (&by_spent, Some(Code::CertificateExpired))]
    {
        assert_eq!(code_under(&all, &pki, &usual_leaf_by(issuer)), expected);
    }
}

#[test]
fn a622_the_path_is_good_at_each_proven_time() {
    let pki = Pki::new();
    let clock = Authority::new();
    let noon = rcgen::date_time_ymd(2026, 11, 24).replace_hour(12).unwrap();
    let code = |change: &dyn Fn(&mut CertificateParams), time: &str| {
        let (between, issuer) = between_by(pki.issuer(), change);
        let leaf = usual_leaf_by(&issuer);
        let mut signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
        let signature = crate::stamps::signature_of(&signed);
        signed["verificationMaterial"]["timestampVerificationData"] =
            json!({ "rfc3161Timestamps": [{ "signedTimestamp": clock.token(&signature, time) }] });
        let root = pki.root_of(&[&between], &[clock.listed()]);
        let table = TrustTable::from_json(Name::new(TRUST), root.to_string().as_bytes(), Sct::None).unwrap();
        Question::new(vec![table], vec![identity(Transparency::Required)]).code(bundle(&signed))
    };
    // The log's time is noon.
    let expired = Some(Code::CertificateExpired);
    assert_eq!(code(&|of| of.not_after = noon, "20261124115900Z"), None);
    assert_eq!(code(&|of| of.not_after = noon, "20261124120001Z"), expired, "run out at the later time");
    assert_eq!(code(&|of| of.not_before = noon, "20261124120001Z"), None);
    assert_eq!(code(&|of| of.not_before = noon, "20261124115900Z"), expired, "not yet good at the earlier");
}

#[test]
fn a328_a622_a_leaf_signs_and_signs_code() {
    let pki = Pki::new();
    let code = |change: Change| {
        let leaf = changed_leaf(pki.issuer(), key(&rcgen::PKCS_ECDSA_P256_SHA256), change);
        code_under(&pki.root(&[]), &pki, &leaf)
    };
    let invalid = Some(Code::CertificateInvalid);
    assert_eq!(code(|_| {}), None);
    assert_eq!(code(|of| of.key_usages.push(KeyUsagePurpose::KeyEncipherment)), None);
    assert_eq!(code(|of| of.key_usages = vec![KeyUsagePurpose::KeyEncipherment]), invalid);
    assert_eq!(code(|of| of.key_usages = vec![]), invalid);
    assert_eq!(code(|of| of.extended_key_usages = vec![]), invalid);
    assert_eq!(code(|of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::Any]), invalid);
    assert_eq!(code(|of| unknown(of, true)), invalid);
    assert_eq!(code(|of| unknown(of, false)), None);
}

#[test]
fn a628_without_a_subject_the_alternative_name_is_critical() {
    let pki = Pki::new();
    let named = |critical: bool, subject: bool| {
        let leaf = changed_leaf(pki.issuer(), key(&rcgen::PKCS_ECDSA_P256_SHA256), |of| {
            of.subject_alt_names = vec![];
            // One name, a URI (RFC 5280, section 4.2.1.6).
            let uri =
                [&[0x86, u8::try_from(crate::pki::SAN.len()).unwrap()], crate::pki::SAN.as_bytes()].concat();
            let names = [&[0x30, u8::try_from(uri.len()).unwrap()], uri.as_slice()].concat();
            let mut extension = rcgen::CustomExtension::from_oid_content(&[2, 5, 29, 17], names);
            extension.set_criticality(critical);
            of.custom_extensions.push(extension);
            if subject {
                of.distinguished_name.push(rcgen::DnType::CommonName, "somebody");
            }
        });
        code_under(&pki.root(&[]), &pki, &leaf)
    };
    assert_eq!(named(true, false), None);
    assert_eq!(named(false, false), Some(Code::CertificateInvalid));
    assert_eq!((named(true, true), named(false, true)), (None, None), "it has a subject");
}

#[test]
fn a629_without_a_demand_for_an_entry_the_first_fault_is_told() {
    let pki = Pki::new();
    let question = |transparency| Question::new(vec![pki.table(TRUST)], vec![identity(transparency)]);
    let stranger = Pki::new().usual_leaf();
    let late = pki.leaf_of([25, 26]);
    for transparency in [Transparency::None, Transparency::Optional, Transparency::Required] {
        for (leaf, expected) in
            [(&stranger, Code::CertificateUntrusted), (&late, Code::TimeOutsideCertificate)]
        {
            let signed = pki.bundle(leaf, MANIFEST, Entry::Whole);
            assert_eq!(question(transparency).code(bundle(&signed)), Some(expected), "{transparency:?}");
        }
        let mut signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
        let other = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
        signed["messageSignature"] = other["messageSignature"].clone();
        let code = question(transparency).code(bundle(&signed));
        assert_eq!(code, Some(Code::SignatureInvalid), "{transparency:?}");
    }
}
