//! What stands without evidence: scopes, unmatched, block, exempt, foreign layers.

use super::fixture::*;
use crate::code::Code;
use crate::content::Intact;
use crate::decide::{judge, without_evidence};
use crate::evidence::Evidence;
use crate::oci::{Digest, Document};
use crate::policy::{Covers, ForeignLayers, Mode, PolicySet, Rule, Unmatched};
use crate::scope::Scope;
use crate::verdict::{Ground, Permit, Verdict};

fn strict() -> PolicySet {
    policy_set(vec![signed_by(&["a"], 1)])
}

/// A permit or the first code, without evidence; none where evidence must be looked at.
fn standing(set: &PolicySet, repository: &str, document: &Intact<Document>) -> Option<Result<Permit, Code>> {
    without_evidence(set, &subject_in(repository, document), document.value(), now()).map(|verdict| {
        match verdict {
            Verdict::Permit(permit) => Ok(permit),
            Verdict::Deny(denial) => Err(denial.first().code),
        }
    })
}

#[test]
fn the_most_specific_scope_governs_and_a_neighbour_does_not() {
    let mut set = strict();
    set.policies.push(policy("dev", "r.io/org/dev/**", Rule::InsecurePermitAnything));
    let dev = standing(&set, "r.io/org/dev/x", &image()).unwrap().unwrap();
    assert_eq!((dev.policy().unwrap().as_str(), dev.ground()), ("dev", &Ground::Unchecked));
    assert_eq!(standing(&set, "r.io/org/app", &image()), None, "production asks for evidence");
    assert_eq!(standing(&set, "r.io/org-evil/app", &image()).unwrap(), Err(Code::ScopeUnmatched));
}

#[test]
fn a_permit_without_evidence_ends_with_permit_ttl() {
    let mut set = strict();
    set.unmatched = Unmatched::Permit;
    let permit = standing(&set, "r.io/other/x", &image()).unwrap().unwrap();
    assert_eq!(permit.valid_until(), hours(1));
    assert!(permit.counts(set.revisions, now()) && !permit.counts(set.revisions, hours(1)));
}

#[test]
fn an_unmatched_repository_is_denied_warned_of_or_permitted_as_the_policy_says() {
    let mut set = strict();
    assert_eq!(standing(&set, "r.io/other/x", &image()).unwrap(), Err(Code::ScopeUnmatched));
    set.unmatched = Unmatched::Warn;
    let warned = standing(&set, "r.io/other/x", &image()).unwrap().unwrap();
    let Ground::WarnOnly(denial) = warned.ground() else { panic!("{warned:?}") };
    assert_eq!(denial.first().code, Code::ScopeUnmatched);
    set.unmatched = Unmatched::Permit;
    let permitted = standing(&set, "r.io/other/x", &image()).unwrap().unwrap();
    assert_eq!((permitted.ground(), permitted.policy()), (&Ground::Unchecked, None));
}

#[test]
fn a062_an_exemption_opens_what_it_names_where_no_scope_matches_and_no_more() {
    let mut set = strict();
    let whole = Covers::Scopes(vec![Scope::parse("r.io/other/x").unwrap()]);
    for covers in [Covers::Digest(image().digest()), whole] {
        let by_digest = matches!(covers, Covers::Digest(_));
        set.exemptions = vec![exemption(covers, hours(9))];
        let exempt = standing(&set, "r.io/other/x", &image()).unwrap().unwrap();
        assert!(matches!(exempt.ground(), Ground::Exempt { .. }));
        let other = standing(&set, "r.io/other/x", &index()).unwrap();
        assert_eq!(other.is_err(), by_digest, "another digest");
        let elsewhere = standing(&set, "r.io/other/y", &image()).unwrap();
        assert_eq!(elsewhere.is_ok(), by_digest, "another repository");
        set.exemptions[0].until = now();
        assert_eq!(standing(&set, "r.io/other/x", &image()).unwrap(), Err(Code::ScopeUnmatched), "ended");
        set.exemptions[0].until = hours(9);
        set.blocks = vec![block(image().digest())];
        assert_eq!(standing(&set, "r.io/other/x", &image()).unwrap(), Err(Code::Blocked));
        set.blocks.clear();
    }
    set.unmatched = Unmatched::Warn;
    set.exemptions = vec![exemption(Covers::Digest(image().digest()), hours(9))];
    let exempt = standing(&set, "r.io/other/x", &image()).unwrap().unwrap();
    assert!(matches!(exempt.ground(), Ground::Exempt { .. }));
}

#[test]
fn a409_a_block_wins_over_exemption_warn_unmatched_and_good_signatures() {
    let good = evidence(vec![signature(by_key("a"))], vec![]);
    let (subject, image) = (subject(), image());
    let exempted = exemption(Covers::Digest(image.digest()), hours(9));
    let mut warn = strict();
    warn.policies[0].mode = Mode::Warn;
    let open = PolicySet { unmatched: Unmatched::Permit, policies: Vec::new(), ..strict() };
    let exempt = PolicySet { exemptions: vec![exempted], ..strict() };
    for mut set in [strict(), warn, open, exempt] {
        assert!(codes(judge(&set, &subject, image.value(), &good, now())).is_ok());
        for digest in [image.digest(), layer(), Digest::of(b"{}"), Digest::sha512_of(image.value().bytes())] {
            set.blocks = vec![block(digest)];
            let denied = codes(judge(&set, &subject, image.value(), &good, now()));
            assert_eq!(denied, Err(vec![Code::Blocked]), "{digest}");
        }
        set.blocks = vec![block(Digest::of(b"another image"))];
        assert!(codes(judge(&set, &subject, image.value(), &good, now())).is_ok());
    }
}

#[test]
fn a409_an_index_is_not_denied_for_a_blocked_child_which_is_denied_itself() {
    let mut set = policy_set(vec![]);
    set.policies[0].rule = Rule::InsecurePermitAnything;
    set.blocks = vec![block(image().digest())];
    assert!(standing(&set, "r.io/org/app", &index()).unwrap().is_ok());
    assert_eq!(standing(&set, "r.io/org/app", &image()).unwrap(), Err(Code::Blocked));
    set.blocks = vec![block(index().digest())];
    assert_eq!(standing(&set, "r.io/org/app", &index()).unwrap(), Err(Code::Blocked));
}

#[test]
fn a408_an_exemption_counts_to_its_last_second_and_not_after() {
    let until = hours(100);
    let covers =
        [Covers::Digest(image().digest()), Covers::Scopes(vec![Scope::parse("r.io/org/*").unwrap()])];
    for covers in covers {
        let set = PolicySet { exemptions: vec![exemption(covers, until)], ..strict() };
        let none = |at| Evidence::none(image().digest(), at);
        let last = at(100 * 3600 - 1);
        let permitted = permit(judge(&set, &subject(), image().value(), &none(last), last));
        assert!(matches!(permitted.ground(), Ground::Exempt { location, .. } if location.line == 95));
        assert_eq!(permitted.valid_until(), until, "A220: not a moment of permit_ttl longer");
        assert!(permitted.counts(set.revisions, last) && !permitted.counts(set.revisions, until));
        let first = denial(judge(&set, &subject(), image().value(), &none(until), until));
        assert_eq!(first.first().code, Code::NoEvidence);
    }
}

#[test]
fn a408_an_exemption_covers_what_it_names_and_the_longest_counts() {
    let mut set = strict();
    set.exemptions = vec![exemption(Covers::Scopes(vec![Scope::parse("r.io/org/other").unwrap()]), hours(9))];
    assert_eq!(standing(&set, "r.io/org/app", &image()), None);
    set.exemptions = vec![exemption(Covers::Digest(Digest::of(b"another image")), hours(9))];
    assert_eq!(standing(&set, "r.io/org/app", &image()), None);
    let ours = || Covers::Digest(image().digest());
    set.exemptions = vec![exemption(ours(), at(60)), exemption(ours(), at(120)), exemption(ours(), at(90))];
    assert_eq!(standing(&set, "r.io/org/app", &image()).unwrap().unwrap().valid_until(), at(120));
}

#[test]
fn a130_a_foreign_layer_is_denied_without_evidence_unless_the_policy_permits_it() {
    let mut set = strict();
    assert_eq!(standing(&set, "r.io/org/app", &foreign_image()).unwrap(), Err(Code::ForeignLayer));
    set.policies[0].foreign_layers = ForeignLayers::Permit;
    assert_eq!(standing(&set, "r.io/org/app", &foreign_image()), None);
    set.policies[0].rule = Rule::InsecurePermitAnything;
    assert!(standing(&set, "r.io/org/app", &foreign_image()).unwrap().is_ok());
    set.policies[0].foreign_layers = ForeignLayers::Deny;
    assert_eq!(standing(&set, "r.io/org/app", &foreign_image()).unwrap(), Err(Code::ForeignLayer));
}

#[test]
fn a130_a_foreign_layer_is_a_warning_in_warn_mode_with_and_without_requirements() {
    let mut set = strict();
    set.policies[0].mode = Mode::Warn;
    let document = foreign_image();
    let subject = subject_in("r.io/org/app", &document);
    let mut signed = signature(by_key("a"));
    signed.subject = document.digest();
    let good = Evidence { subject: document.digest(), ..evidence(vec![signed], vec![]) };
    for rule in [set.policies[0].rule.clone(), Rule::InsecurePermitAnything] {
        set.policies[0].rule = rule;
        let warned = permit(judge(&set, &subject, document.value(), &good, now()));
        let Ground::WarnOnly(denial) = warned.ground() else { panic!("{warned:?}") };
        assert_eq!(denial.reasons().map(|reason| reason.code).collect::<Vec<_>>(), [Code::ForeignLayer]);
    }
}
