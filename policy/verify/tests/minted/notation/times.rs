//! When a signature was made: nothing but a clock of the stores tells, and without one everything holds now (A675).

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Clock;
use pullgate_policy::evidence::notation::Form as Envelope;
use pullgate_policy::identity::TimestampAsked;
use pullgate_verify::Store;
use rcgen::{CertificateParams, KeyUsagePurpose};
use serde_json::{Value, json};

use super::{Asked, payload, usual};
use crate::notary::{Authority, Signer, protected};
use crate::stamp::{self, Carries, Form, Names, purposes};

/// A clock as the Notary Project wants one.
fn clock() -> stamp::Authority {
    clock_with(|_| {}, |_| {})
}

fn clock_with(
    of_root: impl FnOnce(&mut CertificateParams),
    of_clock: impl FnOnce(&mut CertificateParams),
) -> stamp::Authority {
    stamp::Authority::changed(
        |of| {
            of.key_usages = vec![KeyUsagePurpose::KeyCertSign];
            of_root(of);
        },
        |of| {
            of.key_usages = vec![KeyUsagePurpose::DigitalSignature];
            of_clock(of);
        },
    )
}

fn form(time: &str) -> Form<'_> {
    Form { time, carries: Carries::Signer, ..Form::default() }
}

/// The envelope with a countersignature of this form.
fn stamped(signer: &Signer, clock: &stamp::Authority, form: &Form<'_>) -> Value {
    let mut envelope = signer.jws_of(&protected(), &payload());
    let signature = URL_SAFE_NO_PAD.decode(envelope["signature"].as_str().unwrap()).unwrap();
    let token = clock.bare(&signature, form);
    envelope["header"]["io.cncf.notary.timestampSignature"] = json!(STANDARD.encode(token));
    envelope
}

fn asked(corp: &Authority, clock: &stamp::Authority) -> Asked {
    Asked::with(&[(Store::Ca, corp.root()), (Store::Tsa, clock.root())]).stamped(TimestampAsked::Always)
}

/// A certificate that ran out on the 22nd of November 2026.
fn short(of: &mut CertificateParams) {
    of.not_after = rcgen::date_time_ymd(2026, 11, 22);
}

#[test]
fn a675_without_a_timestamp_every_certificate_holds_now_whatever_the_signer_says() {
    let corp = Authority::new("corp root");
    let expired = Some(Code::CertificateExpired);
    for (form, envelope) in usual(&corp.signer_with(short)) {
        assert_eq!(Asked::of(&corp).code(form, envelope.clone()), expired);
        assert_eq!(Asked::of(&corp).at("2026-11-21T00:00:00Z").code(form, envelope), None);
    }
    for (form, envelope) in usual(&corp.signer_with(|of| of.not_before = rcgen::date_time_ymd(2026, 11, 25)))
    {
        assert_eq!(Asked::of(&corp).code(form, envelope), expired, "not yet");
    }
    for (form, envelope) in usual(&corp.signer()) {
        assert_eq!(Asked::of(&corp).at("2036-01-02T00:00:00Z").code(form, envelope), expired, "the root too");
    }
}

#[test]
fn a679_what_rests_on_certificates_alone_ends_with_the_first_of_them() {
    let corp = Authority::new("corp root");
    let (form, envelope) = usual(&corp.signer_with(short))[0].clone();
    let at = "2026-11-22T00:00:00Z";
    let facts = Asked::of(&corp).at("2026-11-21T00:00:00Z").facts(form, envelope.clone());
    assert_eq!(facts.ends, Some("2026-11-22T00:00:00.000000001Z".parse().unwrap()));
    assert_eq!(Asked::of(&corp).at(at).code(form, envelope.clone()), None, "the last moment");
    assert_eq!(
        Asked::of(&corp).at("2026-11-22T00:00:00.000000001Z").code(form, envelope),
        Some(Code::CertificateExpired)
    );
}

#[test]
fn a675_a_timestamp_proves_the_time_and_the_certificates_may_have_ended_since() {
    for clock in [clock(), clock_of_rsa()] {
        let corp = Authority::new("corp root");
        let envelope = stamped(&corp.signer_with(short), &clock, &form("20261120120000Z"));
        let bytes = envelope.to_string().into_bytes();
        let facts = asked(&corp, &clock).facts(Envelope::Jws, bytes);
        assert_eq!(facts.trusted_time, Some("2026-11-20T12:00:00Z".parse().unwrap()));
        assert_eq!((facts.vouchers.clock, facts.ends), (Some(Clock::TimestampAuthority), None));
        let late = stamped(&corp.signer_with(short), &clock, &form("20261123120000Z"));
        assert_eq!(asked(&corp, &clock).jws(&late), Some(Code::TimeOutsideCertificate));
        // Nobody asks for it: its certificates have ended.
        assert_eq!(Asked::of(&corp).jws(&envelope), Some(Code::CertificateExpired));
    }
}

fn clock_of_rsa() -> stamp::Authority {
    stamp::Authority::rsa_with(
        |of| of.key_usages = vec![KeyUsagePurpose::KeyCertSign],
        |of| of.key_usages = vec![KeyUsagePurpose::DigitalSignature],
    )
}

#[test]
fn a675_a_timestamp_is_there_when_it_is_asked_for_and_not_looked_at_otherwise() {
    let (corp, clock) = (Authority::new("corp root"), clock());
    let plain = corp.signer().jws_of(&protected(), &payload());
    assert_eq!(asked(&corp, &clock).jws(&plain), Some(Code::NoTrustedTime));
    let after = || asked(&corp, &clock).stamped(TimestampAsked::AfterExpiry);
    assert_eq!(after().jws(&plain), None);
    let ended = corp.signer_with(short);
    assert_eq!(after().jws(&ended.jws_of(&protected(), &payload())), Some(Code::NoTrustedTime));
    assert_eq!(after().jws(&stamped(&ended, &clock, &form("20261120120000Z"))), None);
    let mut odd = plain;
    odd["header"]["io.cncf.notary.timestampSignature"] = json!("AA==");
    assert_eq!(Asked::of(&corp).jws(&odd), None);
    assert_eq!(asked(&corp, &clock).jws(&odd), Some(Code::TimestampInvalid));
}

#[test]
fn a675_a_token_of_an_older_form_or_of_something_else_is_refused() {
    let (corp, clock, other) = (Authority::new("corp root"), clock(), clock());
    let signer = corp.signer();
    let time = "20261120120000Z";
    let code = |form: &Form<'_>| asked(&corp, &clock).jws(&stamped(&signer, &clock, form));
    let invalid = Some(Code::TimestampInvalid);
    assert_eq!(code(&form(time)), None);
    assert_eq!(code(&Form { carries: Carries::Nothing, ..form(time) }), invalid, "no certificate");
    assert_eq!(code(&Form { names: Names::Nobody, ..form(time) }), invalid, "no signing-certificate");
    assert_eq!(code(&Form { names: Names::Other, ..form(time) }), invalid, "another's");
    assert_eq!(code(&Form { signers: 2, ..form(time) }), invalid, "two signers");
    assert_eq!(code(&Form { version: 1, ..form(time) }), invalid, "an older version");
    let untrusted = asked(&corp, &other).jws(&stamped(&signer, &clock, &form(time)));
    assert_eq!(untrusted, Some(Code::TimestampUntrusted));
    // Of another signature: its own, made anew.
    let mut swapped = stamped(&signer, &clock, &form(time));
    let again = signer.jws_of(&protected(), &payload());
    swapped["signature"] = again["signature"].clone();
    assert_eq!(asked(&corp, &clock).jws(&swapped), Some(Code::TimestampMismatch));
    // In the answer of its server instead of alone.
    let mut whole = signer.jws_of(&protected(), &payload());
    let signature = URL_SAFE_NO_PAD.decode(whole["signature"].as_str().unwrap()).unwrap();
    whole["header"]["io.cncf.notary.timestampSignature"] = json!(clock.token_of(&signature, &form(time)));
    assert_eq!(asked(&corp, &clock).jws(&whole), invalid);
}

#[test]
fn a675_the_whole_span_of_a_timestamp_lies_within_the_certificates() {
    let (corp, clock) = (Authority::new("corp root"), clock());
    let signer = corp.signer_with(short);
    let code = |time: &str, accuracy: &str| {
        asked(&corp, &clock).jws(&stamped(&signer, &clock, &Form { accuracy, ..form(time) }))
    };
    // A second, 999 thousandths, 999 millionths.
    for (time, accuracy, good) in [
        ("20261121235959Z", "3003020101", true),
        ("20261122000000Z", "", true),
        ("20261122000000Z", "3003020101", false),
        ("20261122000000Z", "3004800203e7", false),
        ("20261122000000Z", "3004810203e7", false),
        ("20261122000001Z", "", false),
    ] {
        let expected = (!good).then_some(Code::TimeOutsideCertificate);
        assert_eq!(code(time, accuracy), expected, "{time} {accuracy}");
    }
    assert_eq!(code("20261121000000Z", "3003820101"), Some(Code::TimestampInvalid));
}

#[test]
fn a675_a_clocks_certificates_are_for_timestamps_and_held_then() {
    let corp = Authority::new("corp root");
    let signer = corp.signer();
    let code = |clock: &stamp::Authority| {
        asked(&corp, clock).jws(&stamped(&signer, clock, &form("20261120120000Z")))
    };
    let invalid = Some(Code::TimestampInvalid);
    let more = |of: &mut CertificateParams| {
        of.custom_extensions = vec![purposes(&[stamp::TIME_STAMPING_OID, "06082b06010505070303"], true)];
    };
    let lax = |of: &mut CertificateParams| {
        of.custom_extensions = vec![purposes(&[stamp::TIME_STAMPING_OID], false)];
    };
    assert_eq!(code(&clock()), None);
    assert_eq!(code(&clock_with(|_| {}, more)), invalid, "another purpose beside it");
    assert_eq!(code(&clock_with(|_| {}, lax)), invalid, "not critical");
    assert_eq!(code(&clock_with(|_| {}, |of| of.custom_extensions = vec![])), invalid, "no purpose");
    assert_eq!(code(&clock_with(|_| {}, |of| of.key_usages = vec![])), invalid, "no usage");
    assert_eq!(code(&clock_with(|of| of.key_usages = vec![], |_| {})), invalid, "a root without usage");
    let ended = clock_with(|_| {}, |of| of.not_after = rcgen::date_time_ymd(2026, 11, 19));
    assert_eq!(code(&ended), invalid, "run out then");
    // What has run out since did hold then.
    let since = clock_with(|_| {}, |of| of.not_after = rcgen::date_time_ymd(2026, 11, 21));
    assert_eq!(code(&since), None);
}

#[test]
fn a675_a_time_ahead_of_the_gates_clock_is_no_time() {
    let (corp, clock) = (Authority::new("corp root"), clock());
    let envelope = stamped(&corp.signer(), &clock, &form("20261124123000Z"));
    assert_eq!(asked(&corp, &clock).jws(&envelope), Some(Code::TimeInFuture));
    assert_eq!(asked(&corp, &clock).at("2026-11-24T12:30:00Z").jws(&envelope), None);
}
