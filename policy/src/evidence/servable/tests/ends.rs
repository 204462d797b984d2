//! What vouched for evidence may end.

use super::*;

#[test]
fn a679_what_vouched_for_evidence_has_an_end_and_so_has_its_leaving() {
    let (set, about) = (policy_set(vec![signed_by(&["a"], 1)]), fixture::subject());
    let evidence = only(PAYLOAD).unwrap();
    let counts = |ends: &[Option<Timestamp>], seconds| {
        let facts = verified(&evidence, PAYLOAD).signatures.remove(0).facts().clone();
        let each = ends.iter().map(|ends| SignatureFacts { ends: *ends, ..facts.clone() });
        let verified = fixture::evidence(each.collect(), vec![]);
        let passing = ServableEvidence::verified(&evidence, &set, &about, &verified).unwrap();
        passing.counts(&about.repository, set.revisions, fixture::at(seconds))
    };
    let soon = Some(fixture::at(60));
    assert!(counts(&[soon], 59) && !counts(&[soon], 60));
    assert!(counts(&[soon, None], 90) && counts(&[None, soon], 90), "of several the one that lasts");
}
