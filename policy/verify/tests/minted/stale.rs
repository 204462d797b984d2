//! A trust table that is too old to be believed, and one that was never fetched (A342).

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Logged;
use pullgate_policy::identity::{Name, Transparency};
use pullgate_verify::{PublicKey, TrustTable};
use rcgen::PublicKeyData as _;

use crate::ask::{MANIFEST, Question, TRUST, bundle, identity};
use crate::pki::{Entry, Pki, key};

const STALE_FROM: &str = "2026-11-24T12:10:00Z";

fn question(tables: Vec<TrustTable>) -> Question {
    Question::new(tables, vec![identity(Transparency::Required)])
}

fn keyless(pki: &Pki) -> pullgate_verify::Item {
    bundle(&pki.bundle(&pki.usual_leaf(), MANIFEST, Entry::Whole))
}

#[test]
fn a342_a_keyless_signature_under_a_stale_table_is_neither_good_nor_bad() {
    let pki = Pki::new();
    let table = || pki.table(TRUST).stale_from(Some(STALE_FROM.parse().unwrap()));
    let mut question = question(vec![table()]);
    assert_eq!(question.code(keyless(&pki)), Some(Code::TrustStale));
    question.now = "2026-11-24T12:09:59Z".parse().unwrap();
    assert_eq!(question.code(keyless(&pki)), None, "the second before");
}

#[test]
fn a342_a_table_that_was_never_fetched_is_as_a_stale_one() {
    let pki = Pki::new();
    assert_eq!(question(vec![]).code(keyless(&pki)), Some(Code::TrustStale));
    assert_eq!(question(vec![pki.table(TRUST)]).code(keyless(&pki)), None);
}

#[test]
fn a342_a_table_that_does_not_know_the_certificate_hides_no_stale_one() {
    let pki = Pki::new();
    let mut question = question(vec![Pki::new().table("other")]);
    let mut other = identity(Transparency::Required);
    other.trust = Name::new("other");
    question.authorities.push(other);
    assert_eq!(question.code(keyless(&pki)), Some(Code::TrustStale));
    // And one that does know it is enough.
    question.trust = question.trust.with(pki.table("other"));
    assert_eq!(question.code(keyless(&pki)), None);
}

/// A signature by a key with an entry in the log.
fn keyed(pki: &Pki, tables: Vec<TrustTable>, transparency: Transparency) -> (Option<Logged>, Option<Code>) {
    let signer = key(&rcgen::PKCS_ECDSA_P256_SHA256);
    let public = PublicKey::from_file(&signer.subject_public_key_info()).unwrap().remove(0);
    let question = Question::new(tables, vec![]).with_key(public, transparency);
    let evidence = question.ask(vec![bundle(&pki.keyed_bundle(&signer, MANIFEST, Entry::Whole))]);
    let logged = evidence.signatures.first().map(|signature| signature.facts().logged);
    (logged, evidence.rejected.first().map(|rejected| rejected.code))
}

#[test]
fn a342_a_key_counts_under_a_stale_table_unless_its_log_was_never_had() {
    let pki = Pki::new();
    let stale = || vec![pki.table(TRUST).stale_from(Some(STALE_FROM.parse().unwrap()))];
    let run = |tables, transparency| keyed(&pki, tables, transparency);
    assert_eq!(run(stale(), Transparency::Required), (Some(Logged::Yes), None));
    assert_eq!(
        run(vec![], Transparency::Required),
        (Some(Logged::No(Code::TrustStale)), Some(Code::TrustStale))
    );
    assert_eq!(run(vec![], Transparency::Optional), (Some(Logged::No(Code::LogUnknown)), None));
}
