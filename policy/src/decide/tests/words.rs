//! Windows of age, denials by name, one of several requirements, and what each attestation must say.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::fixture::*;
use crate::code::Code;
use crate::decide::{Outcome, judge, refused};
use crate::evidence::{AttestationFacts, SignatureFacts};
use crate::expression::Condition;
use crate::policy::{Covers, Every, Mode, Requirement, Rule};
use crate::verdict::Ground;

fn signed_at(name: &str, time: Option<Timestamp>) -> SignatureFacts {
    SignatureFacts { trusted_time: time, ..signature(by_key(name)) }
}

fn ripe(requirement: Requirement) -> Requirement {
    Requirement { min_age: Some(3 * HOUR), ..requirement }
}

#[test]
fn a661_a_signature_younger_than_min_age_is_denied_with_the_time_it_ripens() {
    let set = policy_set(vec![ripe(signed_by(&["a"], 1))]);
    let judged = |time| decided(&set, &evidence(vec![signed_at("a", time)], vec![]));
    assert!(codes(judged(Some(hours(-3)))).is_ok());
    let young = denial(judged(Some(at(-3 * 3600 + 1))));
    assert_eq!(young.first().code, Code::TooYoung);
    assert_eq!(young.ripe_at(), Some(at(1)));
    // Nobody proves an age, and none is guessed.
    let unknown = denial(judged(None));
    assert_eq!((unknown.first().code, unknown.ripe_at()), (Code::AgeUnknown, None));
    // Somebody else's signature is old enough, and no reason to wait.
    let theirs = evidence(vec![signed_at("b", Some(hours(-9)))], vec![]);
    assert_eq!(denial(decided(&set, &theirs)).ripe_at(), None);
}

#[test]
fn a661_it_is_ripe_when_the_last_of_a_threshold_and_of_all_requirements_is() {
    let two = policy_set(vec![ripe(signed_by(&["a", "b"], 2)), signed_by(&["c"], 1)]);
    let of = |a, b, c: &[SignatureFacts]| {
        let signatures =
            [vec![signed_at("a", Some(hours(a))), signed_at("b", Some(hours(b)))], c.to_vec()].concat();
        denial(decided(&two, &evidence(signatures, vec![])))
    };
    let c = [signed_at("c", None)];
    assert_eq!(of(-1, -2, &c).ripe_at(), Some(hours(2)));
    assert_eq!(of(-4, -2, &c).ripe_at(), Some(hours(1)));
    // Time alone brings no third signature.
    assert_eq!(of(-1, -2, &[]).ripe_at(), None);
}

#[test]
fn a661_with_a_greatest_age_there_is_a_window_that_may_never_come() {
    let window = Requirement { max_age: Some(5 * HOUR), ..ripe(signed_by(&["a", "b"], 2)) };
    let set = policy_set(vec![window]);
    let of = |a, b| {
        let signatures = vec![signed_at("a", Some(hours(a))), signed_at("b", Some(hours(b)))];
        decided(&set, &evidence(signatures, vec![]))
    };
    assert_eq!(permit(of(-3, -4)).valid_until(), hours(1));
    assert_eq!(denial(of(-1, -2)).ripe_at(), Some(hours(2)));
    assert_eq!(denial(of(0, -4)).ripe_at(), None, "one is too old when the other is old enough");
}

#[test]
fn a661_a_policy_denies_by_name_whatever_is_signed_and_an_exemption_opens_it() {
    let mut set = policy_set(Vec::new());
    set.policies = vec![policy("retired", "r.io/org/**", Rule::Deny("moved to r.io/new".to_owned()))];
    let signed = evidence(vec![signature(by_key("a"))], vec![]);
    let no = denial(decided(&set, &signed));
    assert_eq!(
        (no.first().code, no.first().text.as_str()),
        (Code::PolicyDenies, "denied: moved to r.io/new")
    );
    assert_eq!(no.policy().unwrap().as_str(), "retired");
    assert!(refused(&set.policies[0]).is_some());
    assert_eq!(set.enforcing_scopes(), 1);
    let mut exempt = set.clone();
    exempt.exemptions = vec![exemption(Covers::Digest(image().digest()), hours(1))];
    assert!(matches!(permit(decided(&exempt, &signed)).ground(), Ground::Exempt { .. }));
    set.policies[0].mode = Mode::Warn;
    assert!(refused(&set.policies[0]).is_none());
    let Ground::WarnOnly(would) = permit(decided(&set, &signed)).ground().clone() else {
        panic!("no warning")
    };
    assert_eq!(would.first().code, Code::PolicyDenies);
}

fn either(first: Requirement, second: Requirement) -> Requirement {
    Requirement { or: vec![second], ..first }
}

#[test]
fn one_of_several_requirements_will_do_and_none_is_all_of_their_reasons() {
    let set = policy_set(vec![either(signed_by(&["a"], 1), attested(VULN, &["b"]))]);
    let (signed, attested) = (|| signature(by_key("a")), || attestation(by_key("b"), VULN));
    for evidence in [
        evidence(vec![signed()], vec![]),
        evidence(vec![], vec![attested()]),
        evidence(vec![signed()], vec![attested()]),
    ] {
        assert!(codes(decided(&set, &evidence)).is_ok());
    }
    let nobody = evidence(vec![signature(by_key("b"))], vec![attestation(by_key("a"), VULN)]);
    let no = denial(decided(&set, &nobody));
    assert_eq!(no.reasons().count(), 1);
    assert!(
        no.skipped().iter().any(|reason| reason.text.starts_with("no attestation")),
        "{:?}",
        no.skipped()
    );
    // Whoever stands in an alternative is known to those who verify.
    let names: Vec<_> =
        set.authorities_for(&subject().repository).iter().map(|one| one.name.to_string()).collect();
    assert_eq!(names, ["a", "b"]);
}

#[test]
fn of_several_that_are_met_the_one_that_lasts_longest_counts() {
    let aged = |name, hours: u32| Requirement { max_age: Some(HOUR * hours), ..signed_by(&[name], 1) };
    for set in [
        policy_set(vec![either(aged("a", 2), aged("b", 5))]),
        policy_set(vec![either(aged("b", 5), aged("a", 2))]),
    ] {
        let signatures = vec![signed_at("a", Some(hours(-1))), signed_at("b", Some(hours(-1)))];
        let whole = Duration::from_secs(86_400);
        let set = crate::policy::PolicySet { permit_ttl: whole, ..set };
        assert_eq!(permit(decided(&set, &evidence(signatures, vec![]))).valid_until(), hours(4));
    }
}

fn scan(by: &str, tag: &str, result: &str) -> AttestationFacts {
    let mut facts = attestation(by_key(by), VULN);
    Arc::make_mut(&mut facts.statement)["predicate"]["result"] = result.into();
    AttestationFacts { source: source(tag), ..facts }
}

fn each_passes(every: Every) -> Requirement {
    let condition = Some(Condition::compile("predicate.result == 'passed'").unwrap());
    Requirement { condition, every, ..attested(VULN, &["a"]) }
}

#[test]
fn a662_where_each_must_say_so_one_that_does_not_denies() {
    let judged = |every, scans: &[AttestationFacts]| {
        codes(decided(&policy_set(vec![each_passes(every)]), &evidence(vec![], scans.to_vec()))).map(|_| ())
    };
    let both = [scan("a", "1", "passed"), scan("a", "2", "failed")];
    assert_eq!(judged(Every::One, &both), Ok(()));
    assert_eq!(judged(Every::Each, &both), Err(vec![Code::WhereFalse]));
    assert_eq!(judged(Every::Each, &[scan("a", "1", "passed"), scan("a", "2", "passed")]), Ok(()));
    // What strangers say of it is nothing here either way.
    assert_eq!(judged(Every::Each, &[scan("a", "1", "passed"), scan("b", "2", "failed")]), Ok(()));
    assert_eq!(judged(Every::Each, &[scan("b", "1", "passed")]), Err(vec![Code::UnknownAuthority]));
    assert!(judged(Every::Each, &[]).is_err());
    // What is no predicate says nothing; a stranger's is a stranger's.
    let nothing = |by: &str| {
        let mut facts = scan(by, "3", "passed");
        Arc::make_mut(&mut facts.statement)["predicate"] = 1.into();
        facts
    };
    let passed = || scan("a", "1", "passed");
    assert_eq!(judged(Every::Each, &[passed(), nothing("a")]), Err(vec![Code::PredicateInvalid]));
    assert_eq!(judged(Every::Each, &[passed(), nothing("b")]), Ok(()));
}

#[test]
fn a662_where_each_must_say_so_what_is_not_known_is_no_yes() {
    let set = policy_set(vec![each_passes(Every::Each)]);
    let whole = || evidence(vec![], vec![scan("a", "1", "passed")]);
    assert!(codes(decided(&set, &whole())).is_ok());
    let mut cut = whole();
    cut.rejected.push(rejected("x", Code::EvidenceLimit));
    assert_eq!(codes(decided(&set, &cut)).err(), Some(vec![Code::EvidenceLimit]));
    let mut unasked = whole();
    unasked.unread.push(unread(Code::UpstreamTimeout));
    for code in [Code::EvidenceTooLarge, Code::EvidenceIncomplete, Code::Internal] {
        let mut not_read = whole();
        not_read.rejected.push(rejected("x", code));
        assert_eq!(codes(decided(&set, &not_read)).err(), Some(vec![code]));
        not_read.rejected[0].code = Code::SignatureInvalid;
        assert!(codes(decided(&set, &not_read)).is_ok(), "what nobody signed says nothing");
    }
    let mut stale = whole();
    stale.rejected.push(rejected("x", Code::TrustStale));
    for evidence in [unasked, stale] {
        let outcome = judge(&set, &subject(), image().value(), &evidence, now());
        assert!(matches!(outcome, Outcome::Undecided(_)), "{outcome:?}");
    }
    assert!(set.asks_of_each(&subject().repository));
    assert!(!policy_set(vec![each_passes(Every::One)]).asks_of_each(&subject().repository));
}

#[test]
fn a662_of_an_index_and_its_children_none_may_say_no_whichever_meets_it() {
    let index = index();
    let judged = |every, own: Option<&str>, child: Option<&str>| {
        let about = |subject, result| AttestationFacts { subject, ..scan("a", result, result) };
        let own = own.map(|result| about(index.digest(), result));
        let child = child.map(|result| about(image().digest(), result));
        let facts = evidence(vec![], own.into_iter().chain(child).collect());
        let facts = crate::evidence::Evidence { subject: index.digest(), ..facts };
        let (set, subject) = (policy_set(vec![each_passes(every)]), subject_in("r.io/org/app", &index));
        codes(judge(&set, &subject, index.value(), &facts, now())).map(|_| ())
    };
    let no = || Err(vec![Code::WhereFalse]);
    for (own, child, each) in [
        (Some("passed"), None, Ok(())),
        (None, Some("passed"), Ok(())),
        (Some("passed"), Some("passed"), Ok(())),
        (Some("failed"), Some("passed"), no()),
        (Some("passed"), Some("failed"), no()),
    ] {
        assert_eq!(judged(Every::Each, own, child), each, "{own:?} {child:?}");
        assert_eq!(judged(Every::One, own, child), Ok(()), "{own:?} {child:?}");
    }
}
