//! Timestamps as RFC 3161 has them, sections 2.3 and 2.4.2 (A627), and the honest forms of the field beside them.

use aws_lc_rs::digest::SHA512;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Clock, Logged};
use pullgate_policy::identity::Transparency;
use rcgen::{CertificateParams, IsCa};
use serde_json::json;

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Pki};
use crate::stamp::{Authority, Form, Names, SHA512_OID, TIME_STAMPING_OID, purposes};
use crate::stamps::{Told, signature_of, told};

const SERVER_OID: &str = "06082b06010505070301";

/// What a signature with nothing but a timestamp is worth.
fn ask(clock: &Authority, form: &Form<'_>) -> Told {
    let pki = Pki::new();
    let mut signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Absent);
    let token = clock.token_of(&signature_of(&signed), form);
    signed["verificationMaterial"]["timestampVerificationData"] =
        json!({ "rfc3161Timestamps": [{ "signedTimestamp": token }] });
    let table = pki.table_with(TRUST, &[clock.listed()]);
    told(&Question::new(vec![table], vec![identity(Transparency::None)]).ask(vec![bundle(&signed)]))
}

fn at(time: &str) -> Told {
    let missing = Logged::No(Code::LogEntryMissing);
    Ok((missing, Some(time.to_owned()), Some(Clock::TimestampAuthority)))
}

const NOON: &str = "2026-11-24T12:00:00Z";

#[test]
fn a627_an_authoritys_certificate_is_for_timestamps_and_for_nothing_else() {
    let with = |oids: &'static [&'static str], critical: bool| {
        let change = |of: &mut CertificateParams| of.custom_extensions = vec![purposes(oids, critical)];
        ask(&Authority::changed(|_| {}, change), &Form::default())
    };
    let untrusted = Err(Code::TimestampUntrusted);
    assert_eq!(with(&[TIME_STAMPING_OID], true), at(NOON));
    assert_eq!(with(&[TIME_STAMPING_OID], false), untrusted, "not critical");
    assert_eq!(with(&[TIME_STAMPING_OID, SERVER_OID], true), untrusted, "a second purpose");
    assert_eq!(with(&[TIME_STAMPING_OID, TIME_STAMPING_OID], true), untrusted, "the same twice");
    assert_eq!(with(&[SERVER_OID], true), untrusted, "another");
    let none = ask(&Authority::changed(|_| {}, |of| of.custom_extensions = vec![]), &Form::default());
    assert_eq!(none, untrusted, "none at all");
}

#[test]
fn a627_a_token_has_one_signer_and_says_by_which_certificate() {
    let clock = Authority::new();
    let invalid = Err(Code::TimestampInvalid);
    assert_eq!(ask(&clock, &Form::default()), at(NOON));
    assert_eq!(ask(&clock, &Form { signers: 2, ..Form::default() }), invalid, "two signers");
    assert_eq!(ask(&clock, &Form { signers: 0, ..Form::default() }), invalid, "no signer");
    assert_eq!(ask(&clock, &Form { names: Names::Nobody, ..Form::default() }), invalid, "no certificate");
    assert_eq!(ask(&clock, &Form { names: Names::Other, ..Form::default() }), invalid, "another certificate");
}

#[test]
fn an_honest_token_may_have_fractions_extensions_sha512_and_an_rsa_key() {
    let clock = Authority::new();
    let timed = |time| ask(&clock, &Form { time, ..Form::default() });
    assert_eq!(timed("20261124120000.5Z"), at("2026-11-24T12:00:00.5Z"));
    assert_eq!(timed("20261124120000.123456Z"), at("2026-11-24T12:00:00.123456Z"));
    for malformed in
        ["20261124120000", "20261124120000.Z", "2026112412Z", "20261324120000Z", "2026-11-24T12Z"]
    {
        assert_eq!(timed(malformed), Err(Code::TimestampInvalid), "{malformed}");
    }
    let sha512 = Form { hash: (SHA512_OID, &SHA512), ..Form::default() };
    assert_eq!(ask(&clock, &sha512), at(NOON));
    assert_eq!(ask(&clock, &Form { extension: true, ..Form::default() }), at(NOON));
    assert_eq!(ask(&Authority::rsa(), &Form::default()), at(NOON));
}

#[test]
fn a622_the_root_of_a_timestamp_authority_has_not_run_out_and_is_one() {
    let with_root =
        |change: fn(&mut CertificateParams)| ask(&Authority::changed(change, |_| {}), &Form::default());
    let untrusted = Err(Code::TimestampUntrusted);
    assert_eq!(with_root(|_| {}), at(NOON));
    assert_eq!(with_root(|of| of.not_after = rcgen::date_time_ymd(2026, 11, 23)), untrusted);
    assert_eq!(with_root(|of| of.is_ca = IsCa::ExplicitNoCa), untrusted);
    let clock = Authority::changed(|_| {}, |of| of.not_after = rcgen::date_time_ymd(2026, 11, 23));
    assert_eq!(ask(&clock, &Form::default()), untrusted, "the clock's own certificate");
}
