//! What meets a requirement, and what does not and why.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::fixture::*;
use crate::code::Code;
use crate::decide::judge;
use crate::evidence::{Evidence, Logged};
use crate::expression::Condition;
use crate::identity::{Name, Transparency, Uses};
use crate::limits;
use crate::oci::Digest;
use crate::policy::{Asks, Mode, PolicySet, PredicateType, Requirement, Rule};
use crate::verdict::Ground;

fn strict() -> PolicySet {
    policy_set(vec![signed_by(&["a"], 1)])
}

fn first_code(set: &PolicySet, evidence: &Evidence) -> Code {
    denial(decided(set, evidence)).first().code
}

fn first_text(set: &PolicySet, evidence: &Evidence) -> String {
    denial(decided(set, evidence)).first().text.clone()
}

#[test]
fn a_signature_by_a_named_authority_permits_the_very_subject() {
    let set = policy_set(vec![signed_by(&["ci", "a"], 1)]);
    for (principal, name) in [(by_key("a"), "a"), (by_workflow(), "ci")] {
        let facts = signature(principal);
        let blob = facts.source.blob;
        let permit = permit(decided(&set, &evidence(vec![facts], vec![])));
        assert_eq!((permit.subject(), permit.ground()), (&subject(), &Ground::Satisfied));
        let [met] = permit.met() else { panic!("{permit:?}") };
        assert_eq!(
            (&met.authorities, &met.evidence, met.location.line),
            (&vec![Name::new(name)], &vec![blob], 10)
        );
        assert_eq!(permit.valid_until(), hours(1));
    }
}

#[test]
fn a231_a246_nothing_and_a_stranger_are_told_apart() {
    let set = policy_set(vec![signed_by(&["a"], 1)]);
    assert_eq!(first_code(&set, &evidence(vec![], vec![])), Code::NoEvidence);
    assert_eq!(first_text(&set, &evidence(vec![], vec![])), "no signature by \"a\"");
    let verified = evidence(vec![signature(by_key("x"))], vec![]);
    let unverified =
        Evidence { rejected: vec![rejected("x", Code::UnknownAuthority)], ..evidence(vec![], vec![]) };
    for stranger in [verified, unverified] {
        assert_eq!(first_code(&set, &stranger), Code::UnknownAuthority);
        assert_eq!(first_text(&set, &stranger), "no signature by \"a\" (1 unknown-authority)");
    }
    let broken =
        Evidence { rejected: vec![rejected("x", Code::SignatureInvalid)], ..evidence(vec![], vec![]) };
    assert_eq!(first_code(&set, &broken), Code::NoSignature);
}

#[test]
fn the_nearest_miss_is_the_reason_however_much_junk_lies_about() {
    let mut set = policy_set(vec![Requirement { max_age: Some(HOUR), ..signed_by(&["a"], 1) }]);
    let junk = (0..50).map(|n| rejected(&format!("junk {n}"), Code::DigestMismatch)).collect();
    let mut old = signature(by_key("a"));
    old.trusted_time = Some(hours(-2));
    let mut evidence = evidence(vec![signature(by_key("x")), signature(by_key("y")), old], vec![]);
    evidence.rejected = junk;
    assert_eq!(first_code(&set, &evidence), Code::AttestationTooOld);
    assert_eq!(
        first_text(&set, &evidence),
        "no signature by \"a\" (1 attestation-too-old, 2 unknown-authority, 50 digest-mismatch)"
    );
    set.policies[0].rule = Rule::Requirements(vec![signed_by(&["a", "b", "c", "ci"], 2)]);
    assert!(first_text(&set, &evidence).starts_with("only 1 of 2 signed by \"a\" or \"b\" or 2 more ("));
}

#[test]
fn every_requirement_must_hold_and_each_unmet_one_is_a_reason_with_its_line() {
    let other = Requirement { location: location(20), ..signed_by(&["b"], 1) };
    let third = Requirement { location: location(30), ..signed_by(&["c"], 1) };
    let set = policy_set(vec![signed_by(&["a"], 1), other, third]);
    let denial = denial(decided(&set, &evidence(vec![signature(by_key("a"))], vec![])));
    let lines: Vec<_> = denial.reasons().map(|reason| reason.location.clone().unwrap().line).collect();
    assert_eq!((lines, denial.policy().unwrap().as_str()), (vec![20, 30], "production"));
    let all = evidence(["a", "b", "c"].map(|name| signature(by_key(name))).to_vec(), vec![]);
    assert_eq!(permit(decided(&set, &all)).met().len(), 3);
}

#[test]
fn a_policy_without_requirements_or_with_a_threshold_of_zero_is_never_met() {
    let good = evidence(vec![signature(by_key("a"))], vec![]);
    let denial = denial(decided(&policy_set(vec![]), &good));
    assert!(!denial.first().text.is_empty());
    assert!(codes(decided(&policy_set(vec![signed_by(&["a"], 0)]), &good)).is_err());
    assert!(codes(decided(&policy_set(vec![signed_by(&[], 1)]), &good)).is_err());
}

#[test]
fn a233_a_threshold_counts_authorities_each_met_by_another_signer() {
    let twice = |name: &str| {
        let mut again = signature(by_key(name));
        again.source = source("again");
        vec![signature(by_key(name)), again]
    };
    let both = || vec![signature(by_key("a")), signature(by_key("b"))];
    for (any_of, threshold, signatures, met) in [
        (vec!["a", "b"], 2, both(), true),
        (vec!["a", "b"], 2, twice("a"), false),
        (vec!["a", "ab"], 2, twice("a"), false),
        (vec!["a", "ab"], 2, both(), true),
        (vec!["ab", "a"], 2, both(), true),
        (vec!["ab"], 1, both(), true),
        (vec!["ab", "ab"], 2, both(), false),
        (vec!["a", "b", "c"], 3, both(), false),
        (vec!["a", "b", "c"], 2, both(), true),
    ] {
        let set = policy_set(vec![signed_by(&any_of, threshold)]);
        let outcome = codes(decided(&set, &evidence(signatures, vec![])));
        match outcome {
            Ok(permit) => {
                assert!(met, "{any_of:?}");
                assert_eq!(permit.met()[0].authorities.len(), threshold);
            }
            Err(codes) => assert!(!met && codes == [Code::Threshold], "{any_of:?} {codes:?}"),
        }
    }
}

#[test]
fn a233_two_certificates_of_one_identity_are_one_signer() {
    let mut set = policy_set(vec![signed_by(&["ci", "ci2"], 2)]);
    let mut twin = set.authorities[&Name::new("ci")].clone();
    twin.name = Name::new("ci2");
    set.authorities.insert(twin.name.clone(), twin);
    let mut again = signature(by_workflow());
    again.source = source("another certificate");
    let evidence = evidence(vec![signature(by_workflow()), again], vec![]);
    assert_eq!(codes(decided(&set, &evidence)), Err(vec![Code::Threshold]));
}

#[test]
fn a212_a213_a_predicate_type_is_met_exactly() {
    for (wanted, has, met) in [
        (PROVENANCE, PROVENANCE, true),
        (PROVENANCE, VULN, false),
        (PROVENANCE, "https://slsa.dev/provenance/v1.1", false),
        (PROVENANCE, "https://slsa.dev/provenance/", false),
        (PROVENANCE, "HTTPS://slsa.dev/provenance/v1", false),
    ] {
        let set = policy_set(vec![attested(wanted, &["ci"])]);
        let outcome = codes(decided(&set, &evidence(vec![], vec![attestation(by_workflow(), has)])));
        assert_eq!(outcome.is_ok(), met, "{has}");
        assert!(met || outcome == Err(vec![Code::PredicateType]));
    }
    let two = requires(
        Asks::Attestation([VULN, PROVENANCE].map(|uri| PredicateType::Exact(uri.to_owned())).to_vec()),
        &["ci"],
    );
    let good = evidence(vec![], vec![attestation(by_workflow(), PROVENANCE)]);
    assert!(codes(decided(&policy_set(vec![two]), &good)).is_ok());
}

#[test]
fn a214_an_attestation_is_no_signature_and_a_signature_no_attestation() {
    let attested_only = evidence(vec![], vec![attestation(by_key("a"), VULN)]);
    let signed_only = evidence(vec![signature(by_key("a"))], vec![]);
    let attestation_set = policy_set(vec![attested(VULN, &["a"])]);
    assert_eq!(codes(decided(&strict(), &attested_only)), Err(vec![Code::NotASignature]));
    assert!(codes(decided(&strict(), &signed_only)).is_ok());
    assert_eq!(codes(decided(&attestation_set, &signed_only)), Err(vec![Code::AttestationMissing]));
    assert!(codes(decided(&attestation_set, &attested_only)).is_ok());
}

#[test]
fn a215_a_predicate_is_an_object_or_empty_when_absent_or_null() {
    let set = policy_set(vec![attested(PROVENANCE, &["ci"])]);
    for predicate in ["null", "[]", "\"x\"", "1", "{}"] {
        let mut facts = attestation(by_workflow(), PROVENANCE);
        Arc::make_mut(&mut facts.statement)["predicate"] = serde_json::from_str(predicate).unwrap();
        let met = codes(decided(&set, &evidence(vec![], vec![facts]))).is_ok();
        assert_eq!(met, matches!(predicate, "{}" | "null"), "{predicate}");
    }
    let mut without = attestation(by_workflow(), PROVENANCE);
    without.statement = Arc::new(serde_json::json!({}));
    assert!(codes(decided(&set, &evidence(vec![], vec![without.clone()]))).is_ok());
    // Empty is what a condition is told, whatever it asks of it.
    for (condition, met) in [("predicate == {}", true), ("predicate.findings == 0", false)] {
        let asked = Requirement {
            condition: Some(Condition::compile(condition).unwrap()),
            ..attested(PROVENANCE, &["ci"])
        };
        let outcome = codes(decided(&policy_set(vec![asked]), &evidence(vec![], vec![without.clone()])));
        assert_eq!(outcome.is_ok(), met, "{condition}");
    }
}

#[test]
fn a235_an_authority_counts_only_where_it_is_named_and_for_what_it_may() {
    let set = policy_set(vec![attested(PROVENANCE, &["ci"])]);
    let by_a = evidence(vec![], vec![attestation(by_key("a"), PROVENANCE)]);
    assert_eq!(codes(decided(&set, &by_a)), Err(vec![Code::UnknownAuthority]));
    for (uses, signs, attests) in
        [(Uses::Both, true, true), (Uses::Signatures, true, false), (Uses::Attestations, false, true)]
    {
        let with = |requirement| {
            let mut set = policy_set(vec![requirement]);
            set.authorities.get_mut(&Name::new("a")).unwrap().uses = uses;
            set
        };
        let signature = evidence(vec![signature(by_key("a"))], vec![]);
        let signed = codes(decided(&with(signed_by(&["a"], 1)), &signature));
        let attested = codes(decided(&with(attested(PROVENANCE, &["a"])), &by_a));
        assert_eq!((signed.is_ok(), attested.is_ok()), (signs, attests), "{uses:?}");
        for refused in [signed.err(), attested.err()].into_iter().flatten() {
            assert_eq!(refused, [Code::AuthorityUse]);
        }
    }
}

#[test]
fn a310_a_log_entry_is_needed_unless_the_authority_says_otherwise() {
    for (transparency, needed) in
        [(Transparency::Required, true), (Transparency::Optional, false), (Transparency::None, false)]
    {
        let mut set = strict();
        set.authorities.get_mut(&Name::new("a")).unwrap().transparency = transparency;
        let logged = evidence(vec![signature(by_key("a"))], vec![]);
        assert!(codes(decided(&set, &logged)).is_ok());
        let mut facts = signature(by_key("a"));
        facts.logged = Logged::No(Code::LogEntryMissing);
        let outcome = codes(decided(&set, &evidence(vec![facts], vec![])));
        if needed {
            assert_eq!(outcome, Err(vec![Code::LogEntryMissing]));
        } else {
            assert!(outcome.is_ok());
        }
    }
}

#[test]
fn annotations_must_be_there_and_equal() {
    let asked = BTreeMap::from([("env".to_owned(), "prod".to_owned())]);
    let set = policy_set(vec![Requirement { annotations: asked, ..signed_by(&["a"], 1) }]);
    for (says, met) in [
        (vec![("env", "prod")], true),
        (vec![("env", "prod"), ("x", "y")], true),
        (vec![("env", "Prod")], false),
        (vec![("Env", "prod")], false),
        (vec![], false),
    ] {
        let mut facts = signature(by_key("a"));
        facts.annotations = says.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect();
        let outcome = codes(decided(&set, &evidence(vec![facts], vec![])));
        assert_eq!(outcome.is_ok(), met, "{says:?}");
        assert!(met || outcome == Err(vec![Code::AnnotationMissing]));
    }
}

#[test]
fn a219_age_counts_from_the_proven_time_alone() {
    let day = HOUR * 24;
    let set = policy_set(vec![Requirement { max_age: Some(day), ..attested(PROVENANCE, &["ci"]) }]);
    let skew = i64::try_from(limits::CLOCK_SKEW.as_secs()).unwrap();
    for (time, refused) in [
        (Some(at(-24 * 3600 + 1)), None),
        (Some(at(-24 * 3600)), Some(Code::AttestationTooOld)),
        (Some(at(skew)), None),
        (Some(at(skew + 1)), Some(Code::TimeInFuture)),
        (None, Some(Code::AgeUnknown)),
    ] {
        let mut facts = attestation(by_workflow(), PROVENANCE);
        facts.trusted_time = time;
        Arc::make_mut(&mut facts.statement)["predicate"]["finishedOn"] = now().to_string().into();
        let outcome = codes(decided(&set, &evidence(vec![], vec![facts])));
        assert_eq!(outcome.err(), refused.map(|code| vec![code]), "{time:?}");
    }
    let mut ageless = attestation(by_workflow(), PROVENANCE);
    ageless.trusted_time = Some(at(skew + 1));
    let no_age = policy_set(vec![attested(PROVENANCE, &["ci"])]);
    let outcome = codes(decided(&no_age, &evidence(vec![], vec![ageless])));
    assert_eq!(outcome, Err(vec![Code::TimeInFuture]), "also where no age is asked for");
}

#[test]
fn a220_a_permit_ends_at_max_age_of_the_newest_that_suffice() {
    let timed = |name: &str, seconds: i64| {
        let mut facts = signature(by_key(name));
        facts.trusted_time = Some(at(seconds));
        facts.source = source(&format!("{name} {seconds}"));
        facts
    };
    for (any_of, threshold, times, until) in [
        (vec!["a"], 1, vec![("a", -3600 + 60)], at(60)),
        (vec!["a"], 1, vec![("a", -3600 + 60), ("a", -3600 + 90)], at(90)),
        (vec!["a", "b"], 1, vec![("b", -3600 + 90), ("a", -3600 + 60)], at(90)),
        (vec!["a", "b"], 2, vec![("b", -3600 + 90), ("a", -3600 + 60)], at(60)),
        (vec!["a", "b", "c"], 2, vec![("a", -3600 + 30), ("b", -3600 + 60), ("c", -3600 + 90)], at(60)),
        (vec!["a"], 1, vec![("a", 200)], hours(1)),
    ] {
        let set = policy_set(vec![Requirement { max_age: Some(HOUR), ..signed_by(&any_of, threshold) }]);
        let signatures = times.iter().map(|(name, seconds)| timed(name, *seconds)).collect();
        let permit = permit(decided(&set, &evidence(signatures, vec![])));
        assert_eq!(permit.valid_until(), until, "{times:?}");
        assert!(!permit.counts(set.revisions, until));
    }
    let slow = Requirement { max_age: Some(HOUR), ..signed_by(&["b"], 1) };
    let set = policy_set(vec![signed_by(&["a"], 1), slow]);
    let both = evidence(vec![timed("a", -9999), timed("b", -3600 + 5)], vec![]);
    assert_eq!(permit(decided(&set, &both)).valid_until(), at(5), "the earliest of all requirements");
}

#[test]
fn warn_mode_serves_and_keeps_the_denial_that_would_have_been() {
    let mut set = strict();
    set.policies[0].mode = Mode::Warn;
    let warned = permit(decided(&set, &evidence(vec![signature(by_key("x"))], vec![])));
    let Ground::WarnOnly(denial) = warned.ground() else { panic!("{warned:?}") };
    assert_eq!((denial.first().code, warned.met().len()), (Code::UnknownAuthority, 0));
    assert_eq!(warned.valid_until(), hours(1));
    let good = permit(decided(&set, &evidence(vec![signature(by_key("a"))], vec![])));
    assert_eq!(good.ground(), &Ground::Satisfied);
}

#[test]
fn a155_evidence_about_another_subject_is_worth_nothing() {
    let good = evidence(vec![signature(by_key("a"))], vec![]);
    let other = Evidence { subject: Digest::of(b"another image"), ..good.clone() };
    assert_eq!(first_code(&strict(), &other), Code::NoEvidence);
    let mut facts = signature(by_key("a"));
    facts.subject = Digest::of(b"another image");
    let inside = evidence(vec![facts], vec![]);
    assert_eq!(first_text(&strict(), &inside), "no signature by \"a\" (1 subject-mismatch)");
    let mut attested_elsewhere = attestation(by_key("a"), VULN);
    attested_elsewhere.subject = Digest::of(b"another image");
    let set = policy_set(vec![attested(VULN, &["a"])]);
    assert!(codes(decided(&set, &evidence(vec![], vec![attested_elsewhere]))).is_err());
    assert!(codes(judge(&strict(), &subject(), image().value(), &good, now())).is_ok());
}
