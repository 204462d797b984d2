//! What holds of every policy and all evidence.

use proptest::prelude::*;
use proptest::sample::{select, subsequence};

use super::fixture::*;
use crate::code::Code;
use crate::decide::Outcome;
use crate::evidence::{AttestationFacts, Evidence, Logged, Rejected, SignatureFacts, Unread};
use crate::identity::Principal;
use crate::oci::Digest;
use crate::policy::{Mode, PolicySet, Requirement, Rule};
use crate::verdict::{Met, Verdict};

/// Everything of which evidence is made, so that pieces can be taken away or moved.
#[derive(Debug, Clone)]
struct Parts {
    signatures: Vec<SignatureFacts>,
    attestations: Vec<AttestationFacts>,
    rejected: Vec<Rejected>,
    unread: Vec<Unread>,
}

impl Parts {
    fn evidence(self) -> Evidence {
        let Self { signatures, attestations, rejected, unread } = self;
        Evidence { rejected, unread, ..evidence(signatures, attestations) }
    }
}

fn principals() -> impl Strategy<Value = Principal> {
    prop_oneof![select(vec!["a", "b", "c", "x"]).prop_map(by_key), Just(by_workflow())]
}

fn times() -> impl Strategy<Value = Option<jiff::Timestamp>> {
    proptest::option::of((-30_i64..2).prop_map(hours))
}

fn logged() -> impl Strategy<Value = Logged> {
    prop_oneof![4 => Just(Logged::Yes), 1 => Just(Logged::No(Code::LogEntryMissing))]
}

fn subjects() -> impl Strategy<Value = Digest> {
    prop_oneof![5 => Just(image().digest()), 1 => Just(Digest::of(b"another image"))]
}

fn signatures() -> impl Strategy<Value = SignatureFacts> {
    (principals(), times(), logged(), subjects(), any::<u8>()).prop_map(
        |(principal, time, logged, subject, at)| {
            let source = source(&format!("signature {at}"));
            SignatureFacts { trusted_time: time, logged, subject, source, ..signature(principal) }
        },
    )
}

fn attestations() -> impl Strategy<Value = AttestationFacts> {
    let kinds = select(vec![PROVENANCE, VULN]);
    (principals(), kinds, times(), logged(), subjects(), any::<u8>()).prop_map(
        |(principal, kind, time, logged, subject, at)| {
            let source = source(&format!("attestation {at}"));
            AttestationFacts { trusted_time: time, logged, subject, source, ..attestation(principal, kind) }
        },
    )
}

fn parts() -> impl Strategy<Value = Parts> {
    let codes = vec![Code::UnknownAuthority, Code::DigestMismatch, Code::EvidenceLimit, Code::TrustStale];
    let rejections = proptest::collection::vec((select(codes), any::<u8>()), 0..4).prop_map(|codes| {
        codes.into_iter().map(|(code, at)| rejected(&format!("rejected {at}"), code)).collect()
    });
    let unreads =
        proptest::collection::vec(select(vec![Code::UpstreamStatus, Code::UpstreamIntegrity]), 0..3)
            .prop_map(|codes| codes.into_iter().map(unread).collect());
    let signatures = proptest::collection::vec(signatures(), 0..7);
    let attestations = proptest::collection::vec(attestations(), 0..5);
    (signatures, attestations, rejections, unreads).prop_map(
        |(signatures, attestations, rejected, unread)| Parts { signatures, attestations, rejected, unread },
    )
}

fn requirements() -> impl Strategy<Value = Requirement> {
    let names = subsequence(vec!["a", "b", "c", "ab", "ci"], 1..4);
    let age = proptest::option::of((1_u32..40).prop_map(|hours| HOUR * hours));
    let kind = select(vec![None, None, Some(PROVENANCE), Some(VULN)]);
    (names, 0_usize..3, age, kind).prop_map(|(names, threshold, max_age, kind)| {
        let base = match kind {
            None => signed_by(&names, threshold),
            Some(kind) => attested(kind, &names),
        };
        Requirement { threshold, max_age, ..base }
    })
}

fn policies() -> impl Strategy<Value = PolicySet> {
    let modes = prop_oneof![3 => Just(Mode::Enforce), 1 => Just(Mode::Warn)];
    (proptest::collection::vec(requirements(), 0..3), modes).prop_map(|(requirements, mode)| {
        let mut set = policy_set(Vec::new());
        set.policies[0].mode = mode;
        set.policies[0].rule = Rule::Requirements(requirements);
        set
    })
}

/// Everything about an outcome that must not depend on chance.
#[derive(Debug, PartialEq)]
enum Seen {
    Denied(Vec<(Code, String)>),
    Permitted(String, Vec<Met>, jiff::Timestamp),
    Undecided(Code),
}

fn seen(outcome: Outcome) -> Seen {
    match outcome {
        Outcome::Decided(Verdict::Deny(denial)) => {
            Seen::Denied(denial.reasons().map(|reason| (reason.code, reason.text.clone())).collect())
        }
        Outcome::Decided(Verdict::Permit(permit)) => {
            Seen::Permitted(permit.ground().as_str().to_owned(), permit.met().to_vec(), permit.valid_until())
        }
        Outcome::Undecided(undecided) => Seen::Undecided(undecided.code()),
    }
}

/// A satisfied requirement, or an enforced permit: what evidence can bring about.
fn satisfied(outcome: &Seen) -> bool {
    matches!(outcome, Seen::Permitted(ground, ..) if ground == "satisfied")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn taking_evidence_away_never_turns_a_denial_into_a_permit(
        set in policies(),
        (whole, part) in parts().prop_flat_map(|whole| {
            let signatures = subsequence(whole.signatures.clone(), 0..=whole.signatures.len());
            let attestations = subsequence(whole.attestations.clone(), 0..=whole.attestations.len());
            let rejected = subsequence(whole.rejected.clone(), 0..=whole.rejected.len());
            let unread = subsequence(whole.unread.clone(), 0..=whole.unread.len());
            let part = (signatures, attestations, rejected, unread).prop_map(
                |(signatures, attestations, rejected, unread)| Parts { signatures, attestations, rejected, unread },
            );
            (Just(whole), part)
        }),
    ) {
        let more = seen(decided(&set, &whole.evidence()));
        let less = seen(decided(&set, &part.evidence()));
        prop_assert!(satisfied(&more) || !satisfied(&less), "{more:?} became {less:?}");
        if set.policies[0].mode == Mode::Enforce && matches!(more, Seen::Denied(_)) {
            prop_assert!(!matches!(less, Seen::Permitted(..)));
        }
        if let (Seen::Permitted(_, _, later), true) = (&more, satisfied(&less)) {
            let Seen::Permitted(_, _, earlier) = &less else { unreachable!() };
            prop_assert!(earlier <= later, "less evidence lasts no longer");
        }
    }

    #[test]
    fn a_permit_names_the_very_subject_and_counts_now(set in policies(), parts in parts()) {
        if let Outcome::Decided(Verdict::Permit(permit)) = decided(&set, &parts.evidence()) {
            prop_assert_eq!(permit.subject(), &subject());
            prop_assert!(permit.counts(set.revisions, now()));
            prop_assert!(permit.valid_until() <= hours(1));
            prop_assert!(permit.apply(index()).is_err(), "no other content can be served by it");
        }
    }

    #[test]
    fn the_order_of_evidence_never_matters(
        set in policies(),
        (one, other) in parts().prop_flat_map(|one| {
            let shuffled = (
                Just(one.signatures.clone()).prop_shuffle(),
                Just(one.attestations.clone()).prop_shuffle(),
                Just(one.rejected.clone()).prop_shuffle(),
                Just(one.unread.clone()).prop_shuffle(),
            )
                .prop_map(|(signatures, attestations, rejected, unread)| Parts { signatures, attestations, rejected, unread });
            (Just(one), shuffled)
        }),
    ) {
        prop_assert_eq!(seen(decided(&set, &one.evidence())), seen(decided(&set, &other.evidence())));
    }

    #[test]
    fn every_denial_can_be_read(set in policies(), parts in parts()) {
        if let Outcome::Decided(Verdict::Deny(denial)) = decided(&set, &parts.evidence()) {
            prop_assert!(denial.reasons().all(|reason| !reason.text.is_empty() && reason.location.is_some()));
            prop_assert!(denial.message("7f3c00112233").ends_with("; policy \"production\"; pullgate 7f3c00112233"));
        }
    }
}
