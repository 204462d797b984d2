//! Lists of revocations: a revoked certificate counts for nothing, and not knowing is as revoked (A676).

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Revocation;
use pullgate_policy::identity::{RevocationAsked, Terms};
use pullgate_policy::limits;
use pullgate_verify::{Store, StoreFault, Stores};
use rcgen::{
    CertificateParams, CertificateRevocationListParams, CrlDistributionPoint, CrlIssuingDistributionPoint,
    CrlScope, KeyIdMethod, RevokedCertParams, SerialNumber,
};
use serde_json::json;

use super::{Asked, payload, usual};
use crate::notary::{Authority, Signer, protected_with};

const SERIAL: u64 = 7007;
const POINT: &str = "http://crl.corp.example/all.crl";

/// A list by this authority of these serial numbers; `change` makes it another one.
fn list(
    authority: &Authority,
    revoked: &[u64],
    change: impl FnOnce(&mut CertificateRevocationListParams),
) -> Vec<u8> {
    let entry = |serial: &u64| RevokedCertParams {
        serial_number: SerialNumber::from(*serial),
        revocation_time: rcgen::date_time_ymd(2026, 11, 1),
        reason_code: None,
        invalidity_date: None,
    };
    let mut params = CertificateRevocationListParams {
        this_update: rcgen::date_time_ymd(2026, 11, 1),
        next_update: rcgen::date_time_ymd(2026, 12, 1),
        crl_number: SerialNumber::from(1_u64),
        issuing_distribution_point: None,
        revoked_certs: revoked.iter().map(entry).collect(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    change(&mut params);
    params.signed_by(authority.issuer()).unwrap().der().to_vec()
}

fn pointing(of: &mut CertificateParams) {
    of.serial_number = Some(SerialNumber::from(SERIAL));
    of.crl_distribution_points = vec![CrlDistributionPoint { uris: vec![POINT.to_owned()] }];
}

fn codes(asked: impl Fn() -> Asked, signer: &Signer) -> Option<Code> {
    let [one, other] = usual(signer).map(|(form, envelope)| asked().code(form, envelope));
    assert_eq!(one, other);
    one
}

#[test]
fn a676_what_can_be_revoked_needs_a_current_list_that_does_not_name_it() {
    let (corp, twin) = (Authority::new("corp root"), Authority::new("corp root"));
    let signer = corp.signer_with(pointing);
    let under = |list: Vec<u8>| codes(|| Asked::of(&corp).listing(&list), &signer);
    let unknown = Some(Code::RevocationUnknown);
    assert_eq!(codes(|| Asked::of(&corp), &signer), unknown, "no list");
    assert_eq!(under(list(&corp, &[1, 2], |_| {})), None);
    assert_eq!(under(list(&corp, &[1, SERIAL], |_| {})), Some(Code::CertificateRevoked));
    let stale = list(&corp, &[], |of| of.next_update = rcgen::date_time_ymd(2026, 11, 24));
    assert_eq!(under(stale), unknown, "of yesterday");
    let ahead = list(&corp, &[], |of| of.this_update = rcgen::date_time_ymd(2026, 11, 25));
    assert_eq!(under(ahead), unknown, "of tomorrow");
    assert_eq!(under(list(&twin, &[], |_| {})), unknown, "by another key of the same name");
    assert_eq!(under(list(&twin, &[SERIAL], |_| {})), unknown, "which cannot revoke either");
    let not_asked = Terms { revocation: RevocationAsked::No, ..Asked::of(&corp).terms };
    assert_eq!(codes(|| Asked { terms: not_asked, ..Asked::of(&corp) }, &signer), None);
}

#[test]
fn a676_a_list_speaks_of_the_certificates_that_it_is_about() {
    let corp = Authority::new("corp root");
    let signer = corp.signer_with(pointing);
    let scoped = |point: &str, scope, revoked: &[u64]| {
        let list = list(&corp, revoked, |of| {
            let distribution_point = CrlDistributionPoint { uris: vec![point.to_owned()] };
            of.issuing_distribution_point = Some(CrlIssuingDistributionPoint { distribution_point, scope });
        });
        codes(|| Asked::of(&corp).listing(&list), &signer)
    };
    assert_eq!(scoped(POINT, None, &[]), None);
    assert_eq!(scoped(POINT, Some(CrlScope::UserCertsOnly), &[]), None);
    let unknown = Some(Code::RevocationUnknown);
    assert_eq!(scoped(POINT, Some(CrlScope::CaCertsOnly), &[]), unknown, "of authorities alone");
    assert_eq!(scoped("http://crl.corp.example/other.crl", None, &[]), unknown, "another part");
    // Whatever it is about: who is listed is revoked.
    assert_eq!(scoped(POINT, Some(CrlScope::CaCertsOnly), &[SERIAL]), Some(Code::CertificateRevoked));
}

#[test]
fn a676_a_list_counts_where_no_certificate_points_to_one() {
    let corp = Authority::new("corp root");
    let signer = corp.signer_with(|of| of.serial_number = Some(SerialNumber::from(SERIAL)));
    let seen = |asked: Asked| {
        let (form, envelope) = usual(&signer)[0].clone();
        asked.facts(form, envelope).vouchers.chained.unwrap().revocation
    };
    assert_eq!(seen(Asked::of(&corp)), Revocation::NotRevocable);
    assert_eq!(seen(Asked::of(&corp).listing(&list(&corp, &[1], |_| {}))), Revocation::NotRevoked);
    let listed = list(&corp, &[SERIAL], |_| {});
    assert_eq!(codes(|| Asked::of(&corp).listing(&listed), &signer), Some(Code::CertificateRevoked));
}

#[test]
fn a679_what_a_list_says_ends_when_the_next_one_is_due() {
    let corp = Authority::new("corp root");
    let (form, envelope) = usual(&corp.signer_with(pointing))[0].clone();
    let asked = || Asked::of(&corp).listing(&list(&corp, &[], |_| {}));
    let facts = asked().facts(form, envelope.clone());
    assert_eq!(facts.ends, Some("2026-12-01T00:00:00Z".parse().unwrap()));
    assert_eq!(asked().at("2026-11-30T23:59:59Z").code(form, envelope.clone()), None);
    assert_eq!(asked().at("2026-12-01T00:00:00Z").code(form, envelope), Some(Code::RevocationUnknown));
}

#[test]
fn a676_a_date_of_invalidity_counts_against_a_signing_authoritys_time_alone() {
    let corp = Authority::new("corp root");
    let signer = corp.signer_with(pointing);
    let list = list(&corp, &[SERIAL], |of| {
        of.revoked_certs[0].invalidity_date = Some(rcgen::date_time_ymd(2026, 10, 1));
    });
    let (scheme, signed) = ("io.cncf.notary.signingScheme", "io.cncf.notary.signingTime");
    let authentic = "io.cncf.notary.authenticSigningTime";
    let code = |at: &str| {
        let header = protected_with(&json!({
            scheme: "notary.x509.signingAuthority", signed: null, authentic: at, "crit": [scheme, authentic],
        }));
        let envelope = signer.jws_of(&header, &payload());
        Asked::with(&[(Store::SigningAuthority, corp.root())]).listing(&list).jws(&envelope)
    };
    assert_eq!(code("2026-09-30T23:59:59Z"), None);
    assert_eq!(code("2026-10-01T00:00:00Z"), Some(Code::CertificateRevoked));
    assert_eq!(codes(|| Asked::of(&corp).listing(&list), &signer), Some(Code::CertificateRevoked));
}

#[test]
fn a676_a_file_that_is_no_list_is_a_fault_and_the_number_of_lists_is_limited_by_one() {
    let corp = Authority::new("corp root");
    let mut stores = Stores::new(pullgate_policy::identity::Name::new("corp"));
    assert!(matches!(stores.add_list(b"x"), Err(StoreFault::List(_))));
    assert!(matches!(stores.add_list(corp.root()), Err(StoreFault::List(_))));
    assert_eq!(stores.add_list(corp.pem().as_bytes()), Err(StoreFault::Garbage));
    let pem = crate::notary::pem("X509 CRL", &list(&corp, &[], |_| {}));
    assert_eq!(stores.add_list(pem.repeat(limits::REVOCATION_LISTS).as_bytes()), Ok(()));
    assert_eq!(stores.add_list(pem.as_bytes()), Err(StoreFault::TooMany));
}
