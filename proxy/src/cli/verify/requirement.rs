//! Each requirement, judged alone by the same `decide`: a met one is shown even if another is not met.

use jiff::Timestamp;
use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::evidence::Evidence;
use pullgate_policy::oci::Document;
use pullgate_policy::policy::{
    self, Asks, Every, EvidencePasses, ForeignLayers, Governing, IndexRule, Mode, Policy, PolicySet,
    PredicateType, Rule,
};
use pullgate_policy::text;
use pullgate_policy::verdict::{Subject, Verdict};

use super::advice;
use super::report::{Reason, Requirement};

/// Tells of every requirement of the policy that governs `subject`.
pub(super) fn each(
    set: &PolicySet,
    subject: &Subject,
    document: &Document,
    evidence: &Evidence,
    now: Timestamp,
) -> Vec<Requirement> {
    let Governing::Policy(policy, _) = set.governing(&subject.repository) else { return Vec::new() };
    let Rule::Requirements(requirements) = &policy.rule else { return Vec::new() };
    let one = |requirement: &policy::Requirement| {
        let alone = alone(set, policy, requirement);
        let outcome = decide::judge(&alone, subject, document, evidence, now);
        told(set, (subject, evidence), requirement, outcome)
    };
    requirements.iter().map(one).collect()
}

/// The policy with this requirement only, and nothing that would decide without it.
fn alone(set: &PolicySet, policy: &Policy, requirement: &policy::Requirement) -> PolicySet {
    let policy = Policy {
        mode: Mode::Enforce,
        foreign_layers: ForeignLayers::Permit,
        evidence: EvidencePasses::Verified,
        // What is told of each is what its own evidence is worth.
        index: IndexRule::Itself,
        rule: Rule::Requirements(vec![requirement.clone()]),
        ..policy.clone()
    };
    PolicySet { policies: vec![policy], blocks: Vec::new(), exemptions: Vec::new(), ..set.clone() }
}

fn told(
    set: &PolicySet,
    (subject, evidence): (&Subject, &Evidence),
    requirement: &policy::Requirement,
    outcome: Outcome,
) -> Requirement {
    let mut told = Requirement {
        location: requirement.location.to_string(),
        asks: requirement.alternatives().map(asks).collect::<Vec<_>>().join(", or "),
        met: false,
        by: Vec::new(),
        reason: None,
        command: None,
        nearly: None,
    };
    match outcome {
        Outcome::Decided(Verdict::Permit(permit)) => {
            told.met = true;
            told.by = permit
                .met()
                .iter()
                .flat_map(|met| met.authorities.iter().zip(&met.identities))
                .map(|(name, identity)| format!("\"{name}\", {identity}"))
                .collect();
        }
        Outcome::Decided(Verdict::Deny(denial)) => {
            told.reason = Some(Reason::from(denial.first()));
            // Whoever nearly is the one that is named need not sign again.
            told.nearly = advice::nearly(set, requirement, evidence);
            told.command = match told.nearly {
                Some(_) => None,
                None => advice::command(set, subject, requirement),
            };
        }
        Outcome::Undecided(undecided) => {
            let code = undecided.code();
            told.reason = Some(Reason {
                code: code.to_string(),
                text: code.cause().to_owned(),
                location: Some(told.location.clone()),
            });
        }
    }
    told
}

fn asks(requirement: &policy::Requirement) -> String {
    let what = match &requirement.asks {
        Asks::Attestation(types) => format!("an attestation {}", text::escape(&PredicateType::listed(types))),
        Asks::Signature => "a signature".to_owned(),
    };
    let names: Vec<_> = requirement.any_of.iter().map(|name| format!("\"{name}\"")).collect();
    let who = match requirement.threshold {
        1 => format!("by {}", names.join(" or ")),
        threshold => format!("by {threshold} of {}", names.join(", ")),
    };
    let said: Vec<_> =
        requirement.annotations.iter().map(|(key, value)| format!(" saying {key}={value}")).collect();
    let within = requirement.max_age.map(|age| format!(" within {} s", age.as_secs()));
    let since = requirement.min_age.map(|age| format!(" since {} s", age.as_secs()));
    let age: String = since.into_iter().chain(within).collect();
    let every = match requirement.every {
        Every::One => "",
        Every::Each => " each",
    };
    let slsa = requirement.slsa.as_ref().map(|slsa| format!(" with slsa {slsa}")).unwrap_or_default();
    let condition =
        requirement.condition.as_ref().map(|one| format!(" where {}", text::escape(one.as_str())));
    format!("{what} {who}{}{age}{every}{slsa}{}", said.concat(), condition.unwrap_or_default())
}
