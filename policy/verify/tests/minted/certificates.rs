//! Whom a certificate names (A232, A238 to A241, A251).

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{Identity, Principal, SanKind, Transparency};
use pullgate_policy::limits;
use pullgate_verify::PublicKey;
use rcgen::{
    BasicConstraints, CertificateParams, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
    PublicKeyData as _, SanType,
};
use serde_json::json;

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Leaf, OIDC_ISSUER, Pki, SAN, key, uri, utf8};

fn question(pki: &Pki) -> Question {
    Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)])
}

/// What comes of a certificate with these names and extensions.
fn named(names: Vec<SanType>, extensions: &[(u64, Vec<u8>)], key: KeyPair) -> Result<Identity, Code> {
    let pki = Pki::new();
    let leaf = pki.leaf(names, extensions, key);
    let evidence = question(&pki).ask(vec![bundle(&pki.bundle(&leaf, MANIFEST, Entry::Whole))]);
    match evidence.signatures.first().map(|signature| signature.facts().principal.clone()) {
        Some(Principal::Identity(identity)) => Ok(identity),
        _ => Err(evidence.rejected[0].code),
    }
}

fn p256() -> KeyPair {
    key(&rcgen::PKCS_ECDSA_P256_SHA256)
}

fn issuer() -> (u64, Vec<u8>) {
    (8, utf8(OIDC_ISSUER))
}

#[test]
fn a239_a_name_keeps_its_kind() {
    let uri = named(vec![uri(SAN)], &[issuer()], p256()).unwrap();
    assert_eq!((uri.kind, uri.san.as_str(), uri.issuer.as_str()), (SanKind::Uri, SAN, OIDC_ISSUER));
    let email = SanType::Rfc822Name("https://git.example/org/app".try_into().unwrap());
    assert_eq!(named(vec![email], &[issuer()], p256()).unwrap().kind, SanKind::Email);
    let other = SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 57264, 1, 7], "foo!oidc.local".into()));
    let other = named(vec![other], &[issuer()], p256()).unwrap();
    assert_eq!((other.kind, other.san.as_str()), (SanKind::OtherName, "foo!oidc.local"));
}

#[test]
fn a239_none_several_and_other_kinds_of_name_are_no_identity() {
    let dns = SanType::DnsName("git.example".try_into().unwrap());
    let foreign = SanType::OtherName((vec![1, 2, 3, 4], "foo".into()));
    for names in [
        vec![],
        vec![uri(SAN), uri("https://git.example/evil")],
        vec![dns.clone(), uri(SAN)],
        vec![dns],
        vec![foreign],
    ] {
        assert_eq!(named(names, &[issuer()], p256()), Err(Code::IdentityAmbiguous));
    }
}

#[test]
fn a238_an_identity_that_is_too_long_or_cannot_be_shown_is_none() {
    let of_length = |length: usize| uri(&"a".repeat(length));
    let limit = limits::IDENTITY_BYTES;
    assert!(named(vec![of_length(limit)], &[issuer()], p256()).is_ok());
    let other = |text: &str| SanType::OtherName((vec![1, 3, 6, 1, 4, 1, 57264, 1, 7], text.into()));
    for name in
        [of_length(limit + 1), uri("a\u{1b}[1mb"), uri("a\nb"), uri("a\0b"), other("a\u{202e}b"), uri("")]
    {
        assert_eq!(named(vec![name], &[issuer()], p256()), Err(Code::IdentityMalformed));
    }
    assert_eq!(named(vec![uri(SAN)], &[(8, utf8("a\nb"))], p256()), Err(Code::IdentityMalformed));
}

#[test]
fn a241_issuer_extensions_that_disagree_or_cannot_be_read_are_refused() {
    let v1 = |text: &str| (1, text.as_bytes().to_vec());
    assert_eq!(named(vec![uri(SAN)], &[v1(OIDC_ISSUER)], p256()).unwrap().issuer, OIDC_ISSUER);
    assert!(named(vec![uri(SAN)], &[v1(OIDC_ISSUER), issuer()], p256()).is_ok());
    assert_eq!(named(vec![uri(SAN)], &[v1("https://other"), issuer()], p256()), Err(Code::IssuerConflict));
    let trailing = (8, [utf8(OIDC_ISSUER), vec![0]].concat());
    let bare = (8, OIDC_ISSUER.as_bytes().to_vec());
    for extensions in [&[trailing][..], &[bare], &[]] {
        assert_eq!(
            named(vec![uri(SAN)], extensions, p256()),
            Err(Code::CertificateInvalid),
            "{extensions:?}"
        );
    }
}

#[test]
fn a242_claims_are_read_by_fulcios_names() {
    let claims = [
        issuer(),
        (5, b"org/app".to_vec()),
        (12, utf8("https://git.example/org/app")),
        (11, utf8("self-hosted")),
    ];
    let read = named(vec![uri(SAN)], &claims, p256()).unwrap().claims;
    let expected = [
        ("github_workflow_repository", "org/app"),
        ("runner_environment", "self-hosted"),
        ("source_repository_uri", "https://git.example/org/app"),
    ];
    assert_eq!(read, expected.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
    assert!(read.keys().all(|name| pullgate_policy::identity::CLAIMS.contains(&name.as_str())));
}

#[test]
fn a232_a_certificate_around_a_listed_key_is_a_signature_by_that_key_alone() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let listed = || PublicKey::from_file(&leaf.key.subject_public_key_info()).unwrap().remove(0);
    let other = PublicKey::from_file(&p256().subject_public_key_info()).unwrap().remove(0);
    let item = || bundle(&pki.bundle(&leaf, MANIFEST, Entry::Whole));
    let none = || Question::new(vec![pki.table(TRUST)], vec![]);
    for transparency in [Transparency::Required, Transparency::Optional] {
        let evidence = none().with_key(listed(), transparency).ask(vec![item()]);
        let facts = evidence.signatures[0].facts();
        assert_eq!(facts.principal, Principal::Key(listed().id()));
        assert_eq!(facts.logged, Logged::Yes);
    }
    let by_other = none().with_key(other, Transparency::Optional);
    assert_eq!(by_other.code(item()), Some(Code::UnknownAuthority));
    assert_eq!(question(&pki).code(item()), None);
    // Whoever has neither the key nor its signature has nothing of the certificate.
    let mut forged = pki.bundle(&leaf, b"something else", Entry::Whole);
    forged["messageSignature"] =
        pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole)["messageSignature"].clone();
    let by_key = none().with_key(listed(), Transparency::Optional);
    assert_eq!(by_key.code(bundle(&forged)), Some(Code::SignatureInvalid));
}

#[test]
fn a233_a_listed_key_and_the_name_in_its_certificate_are_one_signer() {
    let pki = Pki::new();
    let leaf = pki.usual_leaf();
    let listed = PublicKey::from_file(&leaf.key.subject_public_key_info()).unwrap().remove(0);
    let both = question(&pki).with_key(listed, Transparency::Optional);
    let evidence = both.ask(vec![bundle(&pki.bundle(&leaf, MANIFEST, Entry::Whole))]);
    let signers: Vec<_> = evidence.signatures.iter().map(|one| one.facts().principal.clone()).collect();
    assert!(matches!(signers.as_slice(), [Principal::Identity(_), Principal::Key(_)]), "{signers:?}");
    let share =
        |one: &Principal, other: &Principal| one.marks().iter().any(|mark| other.marks().contains(mark));
    assert!(share(&signers[0], &signers[1]));
    // Another name, and another key.
    let leaf = pki.leaf(vec![uri("https://git.example/other")], &[issuer()], p256());
    let evidence = both.ask(vec![bundle(&pki.bundle(&leaf, MANIFEST, Entry::Whole))]);
    let other = evidence.signatures[0].facts().principal.clone();
    assert!(!share(&other, &signers[0]) && !share(&other, &signers[1]));
}

#[test]
fn a251_a_key_that_is_not_accepted_in_a_certificate_is_named() {
    let code = named(vec![uri(SAN)], &[issuer()], key(&rcgen::PKCS_ECDSA_P521_SHA512));
    assert_eq!(code, Err(Code::KeyUnsupported));
}

#[test]
fn a322_a_certificate_of_another_instance_is_not_trusted() {
    let (pki, other) = (Pki::new(), Pki::new());
    let leaf = other.usual_leaf();
    let signed = pki.bundle(&leaf, MANIFEST, Entry::Whole);
    assert_eq!(question(&pki).code(bundle(&signed)), Some(Code::CertificateUntrusted));
}

#[test]
fn a329_crossed_chains_end_and_are_invalid() {
    let pki = Pki::new();
    let authority = |name: &str| {
        let mut params = CertificateParams::new(Vec::<String>::new()).unwrap();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign];
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.not_before = rcgen::date_time_ymd(2026, 1, 1);
        params.not_after = rcgen::date_time_ymd(2036, 1, 1);
        params
    };
    // Two names, and each key of one signed by each of the other: every path leads on, and none to the root.
    let issuers = |name: &str| -> Vec<_> {
        (0..3).map(|_| Issuer::new(authority(name), key(&rcgen::PKCS_ECDSA_P256_SHA256))).collect()
    };
    let (left, right) = (issuers("left"), issuers("right"));
    let mut crossed = Vec::new();
    for (of_left, of_right) in left.iter().flat_map(|one| right.iter().map(move |other| (one, other))) {
        for (subject, issuer, name) in [(of_left, of_right, "left"), (of_right, of_left, "right")] {
            crossed.push(authority(name).signed_by(subject.key(), issuer).unwrap().der().to_vec());
        }
    }
    let mut leaf = CertificateParams::new(Vec::<String>::new()).unwrap();
    leaf.subject_alt_names = vec![uri(SAN)];
    leaf.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    leaf.extended_key_usages = vec![ExtendedKeyUsagePurpose::CodeSigning];
    leaf.not_before = rcgen::date_time_ymd(2026, 11, 24);
    leaf.not_after = rcgen::date_time_ymd(2026, 11, 25);
    let signer = p256();
    let der = leaf.signed_by(&signer, &left[0]).unwrap().der().to_vec();
    let mut signed = pki.bundle(&Leaf { der: der.clone(), key: signer }, MANIFEST, Entry::WithoutProof);
    let chain: Vec<_> = std::iter::once(der)
        .chain(crossed.into_iter().take(limits::CHAIN_LENGTH - 1))
        .map(|der| json!({ "rawBytes": STANDARD.encode(der) }))
        .collect();
    assert_eq!(chain.len(), limits::CHAIN_LENGTH);
    signed["verificationMaterial"]["x509CertificateChain"]["certificates"] = json!(chain);
    let code = question(&pki).code(bundle(&signed));
    assert!(matches!(code, Some(Code::CertificateInvalid | Code::CertificateUntrusted)), "{code:?}");
    let twin = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::WithoutProof);
    assert_eq!(question(&pki).code(bundle(&twin)), None);
}
