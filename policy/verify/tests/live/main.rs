//! What real cosign wrote, judged: every firm case of the recorded registries (`tests/fixtures/live/cases.json`).
//!
//! A case goes the way of a pull: find, verify, decide. What does not hold yet is listed here by name with its reason,
//! and the list must be exact.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reads its fixtures, and its helpers may fail as the test itself may"
)]

mod case;
mod layout;

use std::collections::{BTreeMap, BTreeSet};

use case::{Answer, Case};

/// The groups that this package verifies.
const GROUPS: [&str; 9] = [
    "cosign2-keyed",
    "cosign2-attest",
    "cosign2-index",
    "cosign2-apart",
    "cosign2-hostile",
    "cosign3-keyed",
    "cosign3-fallback",
    "keyless2-sig",
    "keyless3-bundle",
];

/// Cases that are not firm and are answered otherwise than recorded: the answer, and why.
const OTHER_READING: [(&str, Answer, &str); 1] =
    [("kl3-late-tsa-rekor1", Answer::Deny, "A326: one proven time outside the certificate is enough")];

#[test]
fn every_firm_case_of_the_recorded_registries_holds() {
    let mut wrong = BTreeMap::new();
    let mut right: BTreeMap<String, usize> = BTreeMap::new();
    for case in case::all().iter().filter(|case| GROUPS.contains(&case.group.as_str()) && case.firm) {
        let (answer, why) = case.judge();
        if answer == case.expect {
            *right.entry(case.group.clone()).or_default() += 1;
        } else {
            wrong.insert(case.id.clone(), format!("expected {:?}, got {answer:?}: {why}", case.expect));
        }
    }
    assert!(wrong.is_empty(), "{right:?}\n{wrong:#?}");
    assert!(right.values().sum::<usize>() > 250, "{right:?}");
}

#[test]
fn the_cases_that_are_not_firm_are_answered_as_listed() {
    let open = |case: &&Case| GROUPS.contains(&case.group.as_str()) && !case.firm;
    let mut other = Vec::new();
    for case in case::all().iter().filter(open) {
        let (answer, why) = case.judge();
        if answer != case.expect {
            other.push((case.id.clone(), answer, why));
        }
    }
    let found: BTreeSet<_> = other.iter().map(|(id, answer, _)| (id.as_str(), *answer)).collect();
    let known: BTreeSet<_> = OTHER_READING.iter().map(|(id, answer, _)| (*id, *answer)).collect();
    assert_eq!(found, known, "{other:#?}");
}
