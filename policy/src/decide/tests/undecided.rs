//! Evidence that could not be fetched: undecided, and the effect of `on_undecided`.

use super::fixture::*;
use crate::code::Code;
use crate::decide::fallback::{applies, insecure_permit, last_permit};
use crate::decide::{Outcome, judge};
use crate::evidence::Evidence;
use crate::evidence::collected::KeptOutcome;
use crate::policy::{Mode, OnUndecided, PolicySet};
use crate::verdict::{Ground, Undecided};

fn strict() -> PolicySet {
    policy_set(vec![signed_by(&["a"], 1)])
}

fn undecided(set: &PolicySet, evidence: &Evidence) -> Option<Code> {
    match decided(set, evidence) {
        Outcome::Undecided(undecided) => Some(undecided.code()),
        Outcome::Decided(_) => None,
    }
}

#[test]
fn a146_a147_a_layout_that_failed_undoes_a_denial_and_never_a_permit() {
    let failed = |mut evidence: Evidence| {
        evidence.unread = vec![unread(Code::UpstreamStatus)];
        evidence
    };
    let (good, bad) =
        (evidence(vec![signature(by_key("a"))], vec![]), evidence(vec![signature(by_key("x"))], vec![]));
    assert!(codes(decided(&strict(), &failed(good.clone()))).is_ok());
    assert_eq!(undecided(&strict(), &failed(bad.clone())), Some(Code::EvidenceUnavailable));
    assert_eq!(codes(decided(&strict(), &bad)), Err(vec![Code::UnknownAuthority]));
    let mut warn = strict();
    warn.policies[0].mode = Mode::Warn;
    assert_eq!(
        undecided(&warn, &failed(bad)),
        Some(Code::EvidenceUnavailable),
        "warn mode does not guess either"
    );
    assert!(codes(decided(&warn, &failed(good))).is_ok());
}

#[test]
fn a148_a342_a_cause_that_on_undecided_must_not_cover_keeps_its_name() {
    for (codes, expected) in [
        (vec![Code::UpstreamTimeout], Code::EvidenceUnavailable),
        (vec![Code::UpstreamTimeout, Code::UpstreamIntegrity], Code::UpstreamIntegrity),
        (vec![Code::RedirectRefused, Code::UpstreamTimeout], Code::RedirectRefused),
    ] {
        let evidence =
            Evidence { unread: codes.into_iter().map(unread).collect(), ..evidence(vec![], vec![]) };
        assert_eq!(undecided(&strict(), &evidence), Some(expected));
        assert_eq!(applies(&Undecided::new(expected)), expected == Code::EvidenceUnavailable);
    }
    let stale = Evidence { rejected: vec![rejected("x", Code::TrustStale)], ..evidence(vec![], vec![]) };
    assert_eq!(undecided(&strict(), &stale), Some(Code::TrustStale));
    let saved = Evidence { rejected: stale.rejected, ..evidence(vec![signature(by_key("a"))], vec![]) };
    assert!(codes(decided(&strict(), &saved)).is_ok());
}

#[test]
fn a141_too_much_evidence_is_a_denial_even_when_a_layout_failed() {
    for signatures in [vec![], vec![signature(by_key("x"))], vec![signature(by_key("b"))]] {
        let mut over = evidence(signatures, vec![]);
        over.rejected = vec![rejected("the rest", Code::EvidenceLimit)];
        over.unread = vec![unread(Code::UpstreamStatus)];
        for set in [strict(), policy_set(vec![signed_by(&["a", "b"], 2)])] {
            assert_eq!(codes(decided(&set, &over)), Err(vec![Code::EvidenceLimit]));
        }
    }
    let mut enough = evidence(vec![signature(by_key("a"))], vec![]);
    enough.rejected = vec![rejected("the rest", Code::EvidenceLimit)];
    assert!(codes(decided(&strict(), &enough)).is_ok());
}

#[test]
fn a130_a_foreign_layer_is_denied_whatever_failed() {
    let document = foreign_image();
    let subject = subject_in("r.io/org/app", &document);
    let mut none = Evidence::none(document.digest(), now());
    none.unread = vec![unread(Code::UpstreamStatus)];
    let outcome = codes(judge(&strict(), &subject, document.value(), &none, now()));
    assert_eq!(outcome, Err(vec![Code::ForeignLayer]));
}

#[test]
fn a541_a543_evidence_older_than_permit_ttl_or_from_the_future_decides_nothing() {
    let old = |seconds| Evidence { collected: at(seconds), ..evidence(vec![signature(by_key("a"))], vec![]) };
    let permit = permit(decided(&strict(), &old(-3599)));
    assert_eq!(permit.valid_until(), at(1), "deciding again renews nothing");
    assert_eq!(undecided(&strict(), &old(-3600)), Some(Code::EvidenceUnavailable));
    assert_eq!(undecided(&strict(), &old(1)), Some(Code::ClockImplausible));
    assert!(!applies(&Undecided::new(Code::ClockImplausible)));
}

fn lenient(on_undecided: OnUndecided) -> PolicySet {
    let mut set = strict();
    set.policies[0].on_undecided = on_undecided;
    set
}

#[test]
fn a148_last_permit_needs_a_former_permit_that_still_holds_within_its_age() {
    let day = OnUndecided::LastPermit(HOUR * 24);
    let kept = |seconds, name: &str| Evidence {
        collected: at(seconds),
        ..evidence(vec![signature(by_key(name))], vec![])
    };
    let mut blocked = lenient(day);
    blocked.blocks = vec![block(layer())];
    let (good, before) = (kept(-7200, "a"), KeptOutcome::Permitted);
    for (why, set, evidence, outcome, served) in [
        ("it holds", lenient(day), &good, before, true),
        ("the last second", lenient(day), &kept(-86_399, "a"), before, true),
        ("too old", lenient(day), &kept(-86_400, "a"), before, false),
        ("from the future", lenient(day), &kept(1, "a"), before, false),
        ("never permitted", lenient(day), &good, KeptOutcome::NotPermitted, false),
        ("no longer trusted", lenient(day), &kept(-7200, "x"), before, false),
        ("blocked", blocked, &good, before, false),
        ("not asked for", lenient(OnUndecided::Deny), &good, before, false),
        ("something else asked for", lenient(OnUndecided::InsecurePermit), &good, before, false),
    ] {
        let permit = last_permit(&set, &subject(), image().value(), (evidence, outcome), now());
        assert_eq!(permit.is_some(), served, "{why}");
        if let Some(permit) = permit {
            assert_eq!((permit.ground(), permit.valid_until()), (&Ground::Satisfied, at(1)), "{why}");
            assert!(permit.counts(set.revisions, now()));
        }
    }
}

#[test]
fn a148_insecure_permit_is_only_for_an_upstream_that_could_not_be_asked() {
    let set = lenient(OnUndecided::InsecurePermit);
    let ask = |set: &PolicySet, code| {
        insecure_permit(set, &subject(), image().value(), &Undecided::new(code), now())
    };
    for code in Code::ALL.iter().copied() {
        let reachable = matches!(
            code,
            Code::Deadline
                | Code::EvidenceUnavailable
                | Code::UpstreamStatus
                | Code::UpstreamTimeout
                | Code::UpstreamUnauthorized
                | Code::UpstreamUnreachable
        );
        assert_eq!(ask(&set, code).is_some(), reachable, "{code}");
    }
    let permit = ask(&set, Code::UpstreamTimeout).unwrap();
    assert_eq!((permit.ground(), permit.valid_until()), (&Ground::Unchecked, at(1)));
    assert!(ask(&strict(), Code::UpstreamTimeout).is_none());
    let mut blocked = set.clone();
    blocked.blocks = vec![block(image().digest())];
    assert!(ask(&blocked, Code::UpstreamTimeout).is_none());
    let (document, timeout) = (foreign_image(), Undecided::new(Code::UpstreamTimeout));
    let subject = subject_in("r.io/org/app", &document);
    assert!(insecure_permit(&set, &subject, document.value(), &timeout, now()).is_none());
    let elsewhere = subject_in("r.io/other/app", &image());
    assert!(insecure_permit(&set, &elsewhere, image().value(), &timeout, now()).is_none());
}
