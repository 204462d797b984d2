//! Conditions of a requirement besides the signer, and the reasons of pieces that did not count.

use std::sync::Arc;

use super::fixture::*;
use crate::code::Code;
use crate::evidence::{AttestationFacts, Evidence, Predicate};
use crate::expression::Condition;
use crate::policy::{ClaimedReference, Requirement};
use crate::provenance::{Slsa, Source};
use crate::verdict::Permit;

/// What `requirement` alone says of one signature by `a` that claims this reference.
fn claiming(requirement: Requirement, reference: Option<&str>) -> Result<Permit, Vec<Code>> {
    let mut facts = signature(by_key("a"));
    facts.claimed_reference = reference.map(str::to_owned);
    codes(decided(&policy_set(vec![requirement]), &evidence(vec![facts], vec![])))
}

#[test]
fn a_repository_that_a_payload_names_is_told_where_it_is_another() {
    for (reference, told) in [
        (Some("r.io/org/app"), vec![]),
        (Some("r.io/org/app:v1"), vec![]),
        (Some("r.io/org/other"), vec!["r.io/org/other"]),
        (Some("r.io/org/\u{202e}"), vec!["r.io/org/\\u{202e}"]),
        (None, vec![]),
    ] {
        let permit = claiming(signed_by(&["a"], 1), reference).unwrap();
        assert_eq!(permit.met()[0].claimed, told, "{reference:?}");
    }
}

#[test]
fn a_repository_that_a_payload_names_must_be_the_judged_one_where_that_is_asked() {
    let required = || Requirement { claimed_reference: ClaimedReference::Required, ..signed_by(&["a"], 1) };
    for reference in ["r.io/org/app", "r.io/org/app:v1"] {
        assert!(claiming(required(), Some(reference)).is_ok(), "{reference}");
    }
    for reference in [Some("r.io/org/other"), Some("r.io/org/app/x"), Some("org/app"), Some(""), None] {
        let refused = claiming(required(), reference).err();
        assert_eq!(refused, Some(vec![Code::ClaimedReferenceMismatch]), "{reference:?}");
    }
}

/// Provenance by the workflow, of its own repository, with a build type.
fn provenance() -> AttestationFacts {
    let mut facts = attestation(by_workflow(), PROVENANCE);
    Arc::make_mut(&mut facts.statement)["predicate"]["buildDefinition"]["buildType"] = "docker".into();
    facts
}

fn from(source: &str) -> Option<Slsa> {
    Some(Slsa { source: Source::parse(source), ..Slsa::default() })
}

fn says(build_type: &str) -> Option<Condition> {
    let text = format!("predicate.buildDefinition.buildType == \"{build_type}\"");
    Some(Condition::compile(&text).unwrap())
}

#[test]
fn a602_a_predicate_that_was_too_large_to_keep_is_one_all_the_same() {
    let facts = AttestationFacts { predicate: Predicate::Left, ..attestation(by_workflow(), PROVENANCE) };
    let judged =
        |requirement| codes(decided(&policy_set(vec![requirement]), &evidence(vec![], vec![facts.clone()])));
    assert!(judged(attested(PROVENANCE, &["ci"])).is_ok());
    let asks = Requirement { condition: says("docker"), ..attested(PROVENANCE, &["ci"]) };
    assert_eq!(judged(asks).err(), Some(vec![Code::WhereTooLarge]));
    let asks = Requirement { slsa: from("github.com/myorg/myrepo"), ..attested(PROVENANCE, &["ci"]) };
    assert_eq!(judged(asks).err(), Some(vec![Code::WhereTooLarge]));
}

#[test]
fn slsa_and_where_are_each_asked_alone_and_both_together() {
    let (ours, others) = (|| from("github.com/myorg/myrepo"), || from("github.com/myorg/other"));
    for (slsa, condition, refused) in [
        (None, None, None),
        (ours(), None, None),
        (None, says("docker"), None),
        (ours(), says("docker"), None),
        (others(), None, Some(vec![Code::ProvenanceSource])),
        (None, says("make"), Some(vec![Code::WhereFalse])),
        (others(), says("docker"), Some(vec![Code::ProvenanceSource])),
        (ours(), says("make"), Some(vec![Code::WhereFalse])),
    ] {
        let asked = format!("{slsa:?} {condition:?}");
        let set = policy_set(vec![Requirement { slsa, condition, ..attested(PROVENANCE, &["ci"]) }]);
        let outcome = codes(decided(&set, &evidence(vec![], vec![provenance()])));
        assert_eq!(outcome.err(), refused, "{asked}");
    }
}

#[test]
fn slsa_is_met_by_provenance_alone() {
    let set =
        policy_set(vec![Requirement { slsa: from("github.com/myorg/myrepo"), ..attested(VULN, &["ci"]) }]);
    let outcome = codes(decided(&set, &evidence(vec![], vec![attestation(by_workflow(), VULN)])));
    assert_eq!(outcome.err(), Some(vec![Code::PredicateType]));
}

#[test]
fn a_signer_counts_for_every_authority_that_has_its_key_whoever_signed_last() {
    let set = policy_set(vec![signed_by(&["ab", "a"], 2)]);
    for (a, b) in [(-60, -120), (-120, -60)] {
        let (mut by_a, mut by_b) = (signature(by_key("a")), signature(by_key("b")));
        (by_a.trusted_time, by_b.trusted_time) = (Some(at(a)), Some(at(b)));
        let permit = permit(decided(&set, &evidence(vec![by_a, by_b], vec![])));
        let mut names: Vec<_> = permit.met()[0].authorities.iter().map(|name| name.as_str()).collect();
        names.sort_unstable();
        assert_eq!(names, ["a", "ab"], "{a} {b}");
    }
}

#[test]
fn a_denial_tells_each_code_that_did_not_count_once_and_not_its_own_reason_again() {
    let set = policy_set(vec![signed_by(&["a"], 1)]);
    let strangers = evidence(vec![signature(by_key("x"))], vec![attestation(by_key("a"), VULN)]);
    let broken = ["one", "two"].map(|tag| rejected(tag, Code::SignatureInvalid)).to_vec();
    let denial = denial(decided(&set, &Evidence { rejected: broken, ..strangers }));
    assert_eq!(denial.first().code, Code::UnknownAuthority);
    let skipped: Vec<_> = denial.skipped().iter().map(|one| (one.code, one.text.as_str())).collect();
    assert_eq!(
        skipped,
        [
            (Code::NotASignature, "1 piece of evidence did not count"),
            (Code::SignatureInvalid, "2 pieces of evidence did not count"),
        ]
    );
}
