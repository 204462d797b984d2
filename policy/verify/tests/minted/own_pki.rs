//! Certificates of a policy's own authorities (A660): the anchors are those of its `ca` file and nothing else, and all of a
//! path holds at each proven time. The trust table's authority is another one throughout; its log tells the time.

use std::collections::BTreeSet;

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{
    AltName, Authority, By, Certified, Holder, Name, Principal, RootsId, Transparency, Uses,
};
use pullgate_policy::limits;
use pullgate_verify::{PublicKey, Roots, RootsFault};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, KeyUsagePurpose,
    PublicKeyData as _, SanType,
};

use crate::anchors::constrained;
use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Leaf, Pki, between_by, changed_leaf, key, pem, uri};
use crate::stamp;
use crate::stamps::{signature_of, stamped};

type Change = fn(&mut CertificateParams);

fn file(certificates: &[&[u8]]) -> String {
    certificates.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

fn authority(roots: RootsId, transparency: Transparency) -> Authority {
    let names = BTreeSet::from([AltName::Email("ci@corp.example".to_owned())]);
    let by = By::Certificate { roots, holder: Holder { subject: None, names } };
    Authority { name: Name::new("ci"), uses: Uses::Both, transparency, trust: Name::new(TRUST), by }
}

fn p256() -> rcgen::KeyPair {
    key(&rcgen::PKCS_ECDSA_P256_SHA256)
}

/// A company's certificate, as its tools write it: a subject, and names of several kinds.
fn company(of: &mut CertificateParams) {
    of.distinguished_name.push(DnType::OrganizationName, "Corp");
    of.distinguished_name.push(DnType::CommonName, "ci");
    of.custom_extensions.clear();
    of.subject_alt_names = vec![
        SanType::Rfc822Name("ci@corp.example".try_into().unwrap()),
        SanType::DnsName("ci.corp.example".try_into().unwrap()),
        uri("spiffe://corp.example/ci"),
        SanType::IpAddress([10, 0, 0, 7].into()),
    ];
}

/// The company's authority, and the services of a trust table that has another.
struct Company {
    pki: Pki,
    services: Pki,
}

impl Company {
    fn new() -> Self {
        Self::with_root(|_| {})
    }

    fn with_root(change: impl FnOnce(&mut CertificateParams)) -> Self {
        Self { pki: Pki::with_root(change), services: Pki::new() }
    }

    fn leaf(&self, change: impl FnOnce(&mut CertificateParams)) -> Leaf {
        changed_leaf(self.pki.issuer(), p256(), |of| {
            company(of);
            change(of);
        })
    }

    fn question(&self, ca: &[&[u8]], transparency: Transparency) -> Question {
        let mut question = Question::new(vec![self.services.table(TRUST)], vec![]);
        let roots = question.keys.insert_roots(Roots::from_pem(file(ca).as_bytes()).unwrap());
        question.authorities.push(authority(roots, transparency));
        question
    }

    /// Why a logged signature by this leaf does not count under these certificates; none where it does.
    fn code_under(&self, ca: &[&[u8]], leaf: &Leaf) -> Option<Code> {
        let signed = self.services.bundle(leaf, MANIFEST, Entry::Whole);
        self.question(ca, Transparency::Required).code(bundle(&signed))
    }

    fn code(&self, leaf: &Leaf) -> Option<Code> {
        self.code_under(&[self.pki.certificate()], leaf)
    }
}

#[test]
fn a660_a_certificate_that_leads_to_the_roots_of_the_file_names_its_holder() {
    let company = Company::new();
    let leaf = company.leaf(|_| {});
    let question = company.question(&[company.pki.certificate()], Transparency::Required);
    let signed = company.services.bundle(&leaf, MANIFEST, Entry::Whole);
    let evidence = question.ask(vec![bundle(&signed)]);
    let facts = evidence.signatures[0].facts();
    let Principal::Certificate(Certified { subject, names, .. }) = &facts.principal else {
        panic!("{:?}", facts.principal)
    };
    assert_eq!((subject.as_str(), facts.logged), ("CN=ci,O=Corp", Logged::Yes));
    let names: Vec<_> = names.iter().map(AltName::as_str).collect();
    assert_eq!(names, ["ci.corp.example", "ci@corp.example", "spiffe://corp.example/ci"]);
    assert!(question.authorities[0].recognises(&facts.principal).is_ok());
}

#[test]
fn a660_no_anchor_but_those_of_the_file_counts() {
    let company = Company::new();
    let leaf = company.leaf(|_| {});
    assert_eq!(company.code(&leaf), None);
    // The trust table's own authority, which is good for every identity under it.
    let theirs = changed_leaf(company.services.issuer(), p256(), self::company);
    assert_eq!(company.code(&theirs), Some(Code::CertificateUntrusted));
    // One of the same name and another key, also where its root travels with the signature.
    let twin = Pki::new();
    let stranger = changed_leaf(twin.issuer(), p256(), self::company);
    assert_eq!(company.code(&stranger), Some(Code::CertificateUntrusted));
    let mut signed = company.services.bundle(&stranger, MANIFEST, Entry::WithoutProof);
    let root = serde_json::json!({ "rawBytes": base64(twin.certificate()) });
    signed["verificationMaterial"]["x509CertificateChain"]["certificates"].as_array_mut().unwrap().push(root);
    let question = company.question(&[company.pki.certificate()], Transparency::Required);
    assert_eq!(question.code(bundle(&signed)), Some(Code::CertificateUntrusted));
}

fn base64(bytes: &[u8]) -> String {
    use base64::Engine as _;
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

#[test]
fn a660_a_leaf_is_in_its_window_for_signing_code_and_no_authority() {
    let wrong: [(&str, Change, Code); 8] = [
        ("run out", |of| of.not_after = rcgen::date_time_ymd(2026, 11, 23), Code::TimeOutsideCertificate),
        ("not yet", |of| of.not_before = rcgen::date_time_ymd(2026, 11, 25), Code::TimeOutsideCertificate),
        (
            "another purpose",
            |of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth],
            Code::CertificateInvalid,
        ),
        ("no purpose", |of| of.extended_key_usages = vec![], Code::CertificateInvalid),
        (
            "a key for other things",
            |of| of.key_usages = vec![KeyUsagePurpose::KeyEncipherment],
            Code::CertificateInvalid,
        ),
        ("no usage", |of| of.key_usages = vec![], Code::CertificateInvalid),
        (
            "an authority",
            |of| {
                of.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
                of.key_usages = vec![KeyUsagePurpose::DigitalSignature, KeyUsagePurpose::KeyCertSign];
            },
            Code::CertificateInvalid,
        ),
        (
            "a critical extension that nobody knows",
            |of| {
                let mut unknown = rcgen::CustomExtension::from_oid_content(&[1, 2, 3, 4], vec![5, 0]);
                unknown.set_criticality(true);
                of.custom_extensions.push(unknown);
            },
            Code::CertificateInvalid,
        ),
    ];
    let company = Company::new();
    for (what, change, expected) in wrong {
        assert_eq!(company.code(&company.leaf(change)), Some(expected), "{what}");
    }
    assert_eq!(company.code(&company.leaf(|_| {})), None);
    // The root's own key, in the root's own certificate.
    let mut root = company.leaf(|_| {});
    root.der = company.pki.certificate().to_vec();
    assert!(company.code(&root).is_some());
}

#[test]
fn a660_without_a_proven_time_nothing_counts() {
    let company = Company::new();
    let leaf = company.leaf(|_| {});
    let question = |transparency| company.question(&[company.pki.certificate()], transparency);
    let unlogged = company.services.bundle(&leaf, MANIFEST, Entry::Absent);
    let code = |transparency| question(transparency).code(bundle(&unlogged));
    assert_eq!(code(Transparency::None), Some(Code::NoTrustedTime));
    assert_eq!(code(Transparency::Required), Some(Code::LogEntryMissing));
    // Inclusion without a signed time proves that it is there, not since when.
    let timeless = company.services.bundle(&leaf, MANIFEST, Entry::WithoutPromise);
    for transparency in [Transparency::None, Transparency::Required] {
        assert_eq!(question(transparency).code(bundle(&timeless)), Some(Code::NoTrustedTime));
    }
    // By the log of nobody that is trusted.
    let elsewhere = Pki::new().bundle(&leaf, MANIFEST, Entry::Whole);
    assert_eq!(question(Transparency::Required).code(bundle(&elsewhere)), Some(Code::LogUnknown));
}

#[test]
fn a660_a_timestamp_authority_may_tell_the_time() {
    let company = Company::new();
    let (leaf, clock) = (company.leaf(|_| {}), stamp::Authority::new());
    let signed = company.services.bundle(&leaf, MANIFEST, Entry::Absent);
    let code = |time: &str, transparency| {
        let table = company.services.table_with(TRUST, &[clock.listed()]);
        let mut question = Question::new(vec![table], vec![]);
        let roots = Roots::from_pem(file(&[company.pki.certificate()]).as_bytes()).unwrap();
        let roots = question.keys.insert_roots(roots);
        question.authorities.push(authority(roots, transparency));
        question.code(bundle(&stamped(signed.clone(), &clock.token(&signature_of(&signed), time))))
    };
    assert_eq!(code("20261124115900Z", Transparency::None), None);
    assert_eq!(code("20261124115900Z", Transparency::Required), Some(Code::LogEntryMissing));
    // When the certificate had run out.
    assert_eq!(code("20261126120000Z", Transparency::None), Some(Code::TimeOutsideCertificate));
}

#[test]
fn a660_an_intermediate_leads_on_and_is_held_against_everything() {
    let company = Company::new();
    let code = |change: Change| {
        let (between, issuer) = between_by(company.pki.issuer(), change);
        let leaf = changed_leaf(&issuer, p256(), self::company);
        // From the file, and from the signature.
        let listed = company.code_under(&[&between, company.pki.certificate()], &leaf);
        let mut signed = company.services.bundle(&leaf, MANIFEST, Entry::WithoutProof);
        let listed_with = serde_json::json!({ "rawBytes": base64(&between) });
        let chain = &mut signed["verificationMaterial"]["x509CertificateChain"]["certificates"];
        chain.as_array_mut().unwrap().push(listed_with);
        let question = company.question(&[company.pki.certificate()], Transparency::Required);
        assert_eq!(question.code(bundle(&signed)), listed);
        listed
    };
    assert_eq!(code(|_| {}), None);
    let spent = code(|of| of.not_after = rcgen::date_time_ymd(2026, 11, 23));
    assert_eq!(spent, Some(Code::CertificateExpired));
    let purpose = code(|of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert_eq!(purpose, Some(Code::CertificateInvalid));
    let usage = code(|of| of.key_usages = vec![KeyUsagePurpose::DigitalSignature]);
    assert_eq!(usage, Some(Code::CertificateInvalid));
    // Without it there is no way to the root.
    let (_, issuer) = company.pki.between();
    let leaf = changed_leaf(&issuer, p256(), self::company);
    assert_eq!(company.code(&leaf), Some(Code::CertificateUntrusted));
}

#[test]
fn a660_the_root_holds_at_the_proven_time_too() {
    let spent = Company::with_root(|of| of.not_after = rcgen::date_time_ymd(2026, 11, 23));
    assert_eq!(spent.code(&spent.leaf(|_| {})), Some(Code::CertificateExpired));
    let short = Company::with_root(|of| of.is_ca = IsCa::Ca(BasicConstraints::Constrained(0)));
    assert_eq!(short.code(&short.leaf(|_| {})), None);
    let (between, issuer) = short.pki.between();
    let leaf = changed_leaf(&issuer, p256(), company);
    let code = short.code_under(&[&between, short.pki.certificate()], &leaf);
    assert_eq!(code, Some(Code::CertificateInvalid));
}

const MAIL: u8 = 0x81;
const DIRECTORY: u8 = 0xa4;
const ADDRESS: u8 = 0x87;
/// `O=Corp`, and `O=Evil`.
const CORP: &str = "0\u{f}1\r0\u{b}\u{6}\u{3}U\u{4}\n\u{c}\u{4}Corp";
const EVIL: &str = "0\u{f}1\r0\u{b}\u{6}\u{3}U\u{4}\n\u{c}\u{4}Evil";

#[test]
fn a622_a660_directory_names_addresses_and_mailboxes_are_held_against_constraints() {
    type Names<'a> = &'a [(u8, &'a str)];
    let cases: [(Names<'_>, Names<'_>, bool); 11] = [
        (&[(DIRECTORY, CORP)], &[], true),
        (&[(DIRECTORY, EVIL)], &[], false),
        (&[(DIRECTORY, EVIL), (DIRECTORY, CORP)], &[], true),
        (&[], &[(DIRECTORY, EVIL)], true),
        (&[], &[(DIRECTORY, CORP)], false),
        (&[(ADDRESS, "\n\0\0\0\0\0\0\0")], &[], true),
        (&[(DIRECTORY, CORP), (ADDRESS, "\u{b}\0\0\u{7}\u{7f}\0\0\0")], &[], false),
        (&[(DIRECTORY, CORP)], &[(ADDRESS, "\n\0\0\0\0\0\0\0")], false),
        (&[(MAIL, "corp.example")], &[], true),
        (&[(MAIL, "evil.example")], &[], false),
        (&[], &[(MAIL, "corp.example")], false),
    ];
    for (permitted, excluded, good) in cases {
        let company = Company::with_root(|of| constrained(of, permitted, excluded));
        let expected = (!good).then_some(Code::CertificateInvalid);
        assert_eq!(company.code(&company.leaf(|_| {})), expected, "{permitted:?} {excluded:?}");
    }
    // An address in the subject is one where no alternative name is (RFC 5280, section 4.2.1.10).
    let company = Company::with_root(|of| constrained(of, &[(MAIL, "corp.example")], &[]));
    for (address, good) in [("ci@corp.example", true), ("ci@evil.example", false)] {
        let leaf = company.leaf(|of| {
            of.subject_alt_names.remove(0);
            let kind = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
            of.distinguished_name.push(kind, rcgen::DnValue::Ia5String(address.try_into().unwrap()));
        });
        let expected = (!good).then_some(Code::CertificateInvalid);
        assert_eq!(company.code(&leaf), expected, "{address}");
    }
}

#[test]
fn a238_a_name_that_could_be_shown_as_another_spoils_the_certificate() {
    let company = Company::new();
    let strange = company.leaf(|of| {
        of.distinguished_name.push(DnType::OrganizationalUnitName, "a\u{202e}b");
    });
    assert_eq!(company.code(&strange), Some(Code::IdentityMalformed));
    let strange = company.leaf(|of| of.subject_alt_names.push(uri("spiffe://corp.example/\u{1b}")));
    assert_eq!(company.code(&strange), Some(Code::IdentityMalformed));
}

#[test]
fn a233_a_listed_key_in_a_companys_certificate_signs_once() {
    let company = Company::new();
    let leaf = company.leaf(|_| {});
    let listed = PublicKey::from_file(&leaf.key.subject_public_key_info()).unwrap().remove(0);
    let question = company.question(&[company.pki.certificate()], Transparency::Required);
    let question = question.with_key(listed, Transparency::Required);
    let signed = company.services.bundle(&leaf, MANIFEST, Entry::Whole);
    let evidence = question.ask(vec![bundle(&signed)]);
    let marks: Vec<_> = evidence.signatures.iter().map(|one| one.facts().principal.marks()).collect();
    assert_eq!(marks.len(), 2);
    assert!(marks[0].iter().any(|mark| marks[1].contains(mark)));
}

#[test]
fn a233_one_certificate_under_a_trust_table_and_under_the_file_is_one_signer() {
    let pki = Pki::new();
    let claims = changed_leaf(pki.issuer(), p256(), |of| {
        of.subject_alt_names = vec![SanType::Rfc822Name("ci@corp.example".try_into().unwrap())];
    });
    let mut question = Question::new(vec![pki.table(TRUST)], vec![identity(Transparency::Required)]);
    let roots = Roots::from_pem(file(&[pki.certificate()]).as_bytes()).unwrap();
    let roots = question.keys.insert_roots(roots);
    question.authorities.push(authority(roots, Transparency::Required));
    let evidence = question.ask(vec![bundle(&pki.bundle(&claims, MANIFEST, Entry::Whole))]);
    let principals: Vec<_> = evidence.signatures.iter().map(|one| &one.facts().principal).collect();
    let [Principal::Identity(_), Principal::Certificate(_)] = principals.as_slice() else {
        panic!("{principals:?}")
    };
    assert!(principals[0].marks().iter().any(|mark| principals[1].marks().contains(mark)));
}

#[test]
fn a604_each_root_of_one_name_is_counted_where_a_certificate_may_lead_to_it() {
    let company = Company::new();
    let (root, twin) = (company.pki.certificate().to_vec(), Pki::new().certificate().to_vec());
    let named = |of: &mut CertificateParams| of.distinguished_name.push(DnType::CommonName, "other");
    let other = Pki::with_root(named).certificate().to_vec();
    let signed = company.services.bundle(&company.leaf(|_| {}), MANIFEST, Entry::Whole);
    let checks = |ca: &[&[u8]]| {
        let question = company.question(ca, Transparency::Required);
        assert_eq!(question.code(bundle(&signed)), None);
        question.checks(bundle(&signed))
    };
    let alone = checks(&[&root]);
    assert_eq!(checks(&[&root, &other]), alone);
    let more = checks(&[&root, &twin]) - alone;
    assert!(more > 0);
    let third = Pki::new().certificate().to_vec();
    assert_eq!(checks(&[&twin, &root, &third]), alone + 2 * more);
}

#[test]
fn a347_half_a_file_of_certificates_is_none() {
    let company = Company::new();
    let root = company.pki.certificate();
    let (between, issuer) = company.pki.between();
    let leaf = changed_leaf(&issuer, p256(), self::company);
    let read = |text: &str| Roots::from_pem(text.as_bytes()).map(|_| ()).map_err(|fault| fault.to_string());
    for whole in [file(&[root]), file(&[&between, root]), file(&[root, &between, root])] {
        assert_eq!(read(&whole), Ok(()));
    }
    let fault = |text: &str| Roots::from_pem(text.as_bytes()).unwrap_err();
    assert_eq!(fault(" \n"), RootsFault::Empty);
    assert_eq!(fault("roots"), RootsFault::Garbage);
    assert_eq!(fault(&(file(&[root]) + &pem("PUBLIC KEY", b"x"))), RootsFault::Garbage);
    assert_eq!(fault(&(file(&[root]) + &pem("CERTIFICATE", b"x"))), RootsFault::Garbage);
    assert_eq!(fault(&(file(&[root]) + &pem("PRIVATE KEY", b"x"))), RootsFault::PrivateKey);
    assert!(matches!(fault(&file(&[&between])), RootsFault::Rootless(_)));
    assert!(matches!(fault(&file(&[root, &between, &leaf.der])), RootsFault::NoAuthority(_)));
    let other = Company::with_root(|of| of.is_ca = IsCa::ExplicitNoCa);
    assert!(matches!(fault(&file(&[other.pki.certificate()])), RootsFault::NoAuthority(_)));
    let tls = Company::with_root(|of| of.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth]);
    assert!(matches!(fault(&file(&[tls.pki.certificate()])), RootsFault::NoAuthority(_)));
    let many: Vec<_> = (0..=limits::CA_CERTIFICATES).map(|_| Pki::new()).collect();
    let many: Vec<_> = many.iter().map(Pki::certificate).collect();
    assert_eq!(fault(&file(&many)), RootsFault::TooMany);
    assert_eq!(read(&file(&many[1..])), Ok(()));
}
