//! A trust table of loose files is a trusted root like any other, and holds what is named and nothing else.

use std::slice::from_ref;

use pullgate_policy::code::Code;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{LooseFault, LooseRoot, Sct, TrustTable};
use serde_json::Value;

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Pki, pem, usual_leaf_by};
use crate::stamp;
use crate::stamps::{signature_of, stamped};

type File = String;

fn certificates(certificates: &[&[u8]]) -> File {
    certificates.iter().map(|der| pem("CERTIFICATE", der)).collect()
}

fn log_of(pki: &Pki) -> File {
    pem("PUBLIC KEY", &pki.log_key())
}

fn table(authorities: &[File], logs: &[File], clocks: &[File]) -> TrustTable {
    let mut root = LooseRoot::default();
    authorities.iter().for_each(|file| root.with_authorities(file.as_bytes()).unwrap());
    logs.iter().for_each(|file| root.with_log(file.as_bytes()).unwrap());
    clocks.iter().for_each(|file| root.with_clock(file.as_bytes()).unwrap());
    root.table(Name::new(TRUST), Sct::None).unwrap()
}

fn code(table: TrustTable, transparency: Transparency, signed: &Value) -> Option<Code> {
    Question::new(vec![table], vec![identity(transparency)]).code(bundle(signed))
}

#[test]
fn a322_what_loose_files_name_is_trusted_and_what_they_do_not_is_not() {
    let (pki, other) = (Pki::new(), Pki::new());
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole);
    let (ca, log) = (certificates(&[pki.certificate()]), log_of(&pki));
    let (their_ca, their_log) = (certificates(&[other.certificate()]), log_of(&other));
    let asked = |authorities: &[File], logs: &[File]| {
        code(table(authorities, logs, &[]), Transparency::Required, &signed)
    };
    assert_eq!(asked(from_ref(&ca), from_ref(&log)), None);
    assert_eq!(asked(&[their_ca.clone(), ca.clone()], &[their_log.clone(), log.clone()]), None);
    assert_eq!(asked(from_ref(&their_ca), from_ref(&log)), Some(Code::CertificateUntrusted));
    assert_eq!(asked(from_ref(&ca), &[their_log]), Some(Code::LogUnknown));
    assert_eq!(asked(&[ca], &[]), Some(Code::LogUnknown));
    // Roots and what is below them, in whatever order, in one file.
    let (between, issuer) = pki.between();
    let below = pki.bundle(&usual_leaf_by(&issuer), MANIFEST, Entry::Whole);
    let files = [certificates(&[other.certificate(), &between, pki.certificate()])];
    assert_eq!(code(table(&files, &[log], &[]), Transparency::Required, &below), None);
}

#[test]
fn a_chain_of_a_timestamp_authority_tells_the_time_and_another_does_not() {
    use base64::Engine as _;
    let (pki, clock) = (Pki::new(), stamp::Authority::new());
    let signed = pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Absent);
    let signed = stamped(signed.clone(), &clock.token(&signature_of(&signed), "20261124115900Z"));
    let chain = |clock: &stamp::Authority| -> File {
        let listed = clock.listed();
        let listed = listed["certChain"]["certificates"].as_array().unwrap();
        let der = |one: &Value| {
            let text = one["rawBytes"].as_str().unwrap();
            base64::engine::general_purpose::STANDARD.decode(text).unwrap()
        };
        let all: Vec<Vec<u8>> = listed.iter().map(der).collect();
        certificates(&all.iter().map(Vec::as_slice).collect::<Vec<_>>())
    };
    let ca = [certificates(&[pki.certificate()])];
    let asked = |clocks: &[File]| code(table(&ca, &[], clocks), Transparency::None, &signed);
    assert_eq!(asked(&[chain(&clock)]), None);
    assert_eq!(asked(&[chain(&stamp::Authority::new())]), Some(Code::TimestampUntrusted));
    assert!(asked(&[]).is_some());
}

#[test]
fn a347_a_loose_file_that_is_something_else_is_refused() {
    let pki = Pki::new();
    let (between, _) = pki.between();
    let mut root = LooseRoot::default();
    assert_eq!(root.with_authorities(b"roots"), Err(LooseFault::Certificates));
    assert_eq!(root.with_authorities(log_of(&pki).as_bytes()), Err(LooseFault::Certificates));
    assert_eq!(root.with_authorities(certificates(&[&between]).as_bytes()), Err(LooseFault::Rootless));
    let ca = certificates(&[pki.certificate()]);
    assert_eq!(root.with_authorities(ca.as_bytes()), Ok(()));
    assert_eq!(root.with_authorities(ca.as_bytes()), Err(LooseFault::Twice));
    // The root first is another order than a chain has.
    let reversed = certificates(&[pki.certificate(), &between]);
    assert_eq!(root.with_clock(reversed.as_bytes()), Err(LooseFault::Rootless));
    for file in [ca, log_of(&pki) + &log_of(&Pki::new()), String::new()] {
        assert!(matches!(root.with_log(file.as_bytes()), Err(LooseFault::Key(_))), "{file}");
    }
}
