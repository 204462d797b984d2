//! What a signature rests on may end, and the permit with it (A679).

use jiff::Timestamp;

use super::fixture::*;
use crate::code::Code;
use crate::decide::judge;
use crate::evidence::SignatureFacts;
use crate::policy::{PolicySet, Requirement};

fn ending(name: &str, tag: &str, ends: Option<Timestamp>) -> SignatureFacts {
    let source = source(tag);
    SignatureFacts { ends, source, ..signature(by_key(name)) }
}

fn until(set: &PolicySet, signatures: Vec<SignatureFacts>) -> Timestamp {
    permit(decided(set, &evidence(signatures, vec![]))).valid_until()
}

#[test]
fn a679_a_permit_ends_with_the_first_that_it_needs_and_as_late_as_it_may() {
    let one = policy_set(vec![signed_by(&["a", "b"], 1)]);
    let two = policy_set(vec![signed_by(&["a", "b"], 2)]);
    let aged = policy_set(vec![Requirement { max_age: Some(2 * HOUR), ..signed_by(&["a", "b"], 1) }]);
    let (soon, later) = (Some(at(60)), Some(at(90)));
    let end = |set: &PolicySet, ends: [Option<Timestamp>; 2]| {
        let mut both = vec![ending("a", "1", ends[0]), ending("b", "2", ends[1])];
        let known = until(set, both.clone());
        both.reverse();
        assert_eq!(until(set, both), known, "in whatever order they come");
        known
    };
    assert_eq!(end(&one, [soon, later]), at(90));
    assert_eq!(end(&one, [soon, None]), hours(1), "the usual end of a permit");
    assert_eq!(end(&two, [soon, later]), at(60));
    assert_eq!(end(&two, [None, later]), at(90));
    // Signed an hour ago.
    assert_eq!(end(&aged, [soon, soon]), at(60));
    assert_eq!(end(&aged, [None, Some(hours(9))]), hours(1));
    let again = vec![ending("a", "1", soon), ending("a", "2", later)];
    assert_eq!(until(&one, again), at(90), "of one signer the one that lasts");
}

#[test]
fn a679_what_has_ended_counts_no_longer_whenever_it_was_verified() {
    let set = policy_set(vec![signed_by(&["a"], 1)]);
    let facts = evidence(vec![ending("a", "1", Some(at(60)))], vec![]);
    let judged = |seconds| codes(judge(&set, &subject(), image().value(), &facts, at(seconds)));
    assert!(judged(59).is_ok_and(|permit| permit.valid_until() == at(60)));
    assert_eq!(judged(60), Err(vec![Code::SignatureExpired]));
}

#[test]
fn a679_where_it_will_have_ended_before_it_is_old_enough_nothing_is_ripe() {
    let set = policy_set(vec![Requirement { min_age: Some(2 * HOUR), ..signed_by(&["a"], 1) }]);
    let ripe = |ends| denial(decided(&set, &evidence(vec![ending("a", "1", ends)], vec![]))).ripe_at();
    assert_eq!(ripe(None), Some(hours(1)));
    assert_eq!(ripe(Some(hours(2))), Some(hours(1)));
    assert_eq!(ripe(Some(hours(1))), None);
}
