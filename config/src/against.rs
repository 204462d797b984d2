//! Which policy would govern a repository: what `check --against` says, without a network.

use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Registry, Repository};
use pullgate_policy::policy::{
    Asks, Block, ClaimedReference, Covers, Every, Exemption, Governing, Mode, Policy, PredicateType,
    Requirement, Rule, Unmatched,
};
use pullgate_policy::text;

use crate::config::{Config, Upstream};
use crate::value::written;

/// What a configuration requires of one repository.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Against {
    /// The canonical repository.
    pub repository: Repository,
    /// The name of the policy that governs it and the scope that won; `None` where no scope matches.
    pub policy: Option<(String, String)>,
    /// The requirements, each a line with its place in the file, then blocks, exemptions and refusals that apply.
    pub requirements: Vec<String>,
}

/// Finds the policy, scope and requirements that govern `repository`, and the block or exemption of `digest`, if given.
#[must_use]
pub fn against(config: &Config, repository: &Repository, digest: Option<Digest>, now: Timestamp) -> Against {
    let set = &config.policy.set;
    let mut lines = Vec::new();
    lines.extend(digest.and_then(|digest| set.block(&digest)).map(blocked));
    let repository = &canonical(config, repository);
    if !config.upstreams.contains_key(repository.registry()) {
        lines.push(format!("refused: there is no [upstream.\"{}\"]", repository.registry()));
    }
    let policy = match set.governing(repository) {
        Governing::Policy(policy, scope) => {
            lines.extend(asked(policy));
            Some((policy.name.to_string(), scope.to_string()))
        }
        Governing::Unmatched(unmatched) => {
            lines.push(no_scope(unmatched).to_owned());
            None
        }
    };
    let exemptions = set.exemptions.iter().filter(|one| covers(one, repository, digest));
    lines.extend(exemptions.map(|one| exempt(one, now)));
    Against { repository: repository.clone(), policy, requirements: lines }
}

/// The repository under its registry's own name, as a request by an alias is judged.
fn canonical(config: &Config, repository: &Repository) -> Repository {
    let asked = repository.registry().as_str();
    let named = |(_, upstream): &(&Registry, &Upstream)| upstream.aliases.iter().any(|alias| alias == asked);
    let registry = config.upstreams.iter().find(named).map(|(registry, _)| registry.clone());
    let renamed = registry.and_then(|registry| Repository::new(registry, repository.path()).ok());
    renamed.unwrap_or_else(|| repository.clone())
}

fn asked(policy: &Policy) -> Vec<String> {
    let mut lines = match &policy.rule {
        Rule::Deny(reason) => vec![format!("{}: refused: {}", policy.location, text::escape(reason))],
        Rule::InsecurePermitAnything => {
            vec![format!("{}: nothing (insecure_permit_anything)", policy.location)]
        }
        Rule::Requirements(requirements) => requirements
            .iter()
            .map(|one| one.alternatives().map(requirement).collect::<Vec<_>>().join("; or "))
            .collect(),
    };
    match policy.mode {
        Mode::Enforce => {}
        Mode::Warn => {
            lines.push(format!("{}: mode \"warn\": denied images are served with a warning", policy.location))
        }
    }
    lines
}

fn requirement(one: &Requirement) -> String {
    let what = match &one.asks {
        Asks::Attestation(types) => format!("attestation {}", PredicateType::listed(types)),
        Asks::Signature => "signature".to_owned(),
    };
    let names: Vec<String> = one.any_of.iter().map(|name| format!("\"{name}\"")).collect();
    let who = match (one.threshold, names.as_slice()) {
        (1, [only]) => only.clone(),
        (threshold, _) => format!("{threshold} of {}", names.join(", ")),
    };
    let annotation = |(key, value): (&String, &String)| {
        format!(", with {} = \"{}\"", text::escape(key), text::escape(value))
    };
    let with: String = one.annotations.iter().map(annotation).collect();
    let named = match one.claimed_reference {
        ClaimedReference::Reported => "",
        ClaimedReference::Required => ", whose payload names this repository",
    };
    let old = |age: Option<_>, most: &str| age.map(|age| format!(", at {most} {} old", written(age)));
    let age = [old(one.min_age, "least"), old(one.max_age, "most")].into_iter().flatten().collect::<String>();
    let every = match one.every {
        Every::One => "",
        Every::Each => ", each of them",
    };
    let slsa = one.slsa.as_ref().map(|slsa| format!(", slsa {slsa}")).unwrap_or_default();
    let condition =
        one.condition.as_ref().map(|condition| format!(", where {}", text::escape(condition.as_str())));
    format!(
        "{}: {what} by {who}{with}{named}{age}{every}{slsa}{}",
        one.location,
        condition.unwrap_or_default()
    )
}

fn no_scope(unmatched: Unmatched) -> &'static str {
    match unmatched {
        Unmatched::Deny => "unmatched = \"deny\": refused, and the upstream is not asked",
        Unmatched::Permit => "unmatched = \"permit\": served, unchecked",
        Unmatched::Warn => "unmatched = \"warn\": served with a warning, unchecked",
    }
}

fn covers(exemption: &Exemption, repository: &Repository, asked: Option<Digest>) -> bool {
    match &exemption.covers {
        Covers::Digest(digest) => asked == Some(*digest),
        Covers::Scopes(scopes) => scopes.iter().any(|scope| scope.matches(repository)),
    }
}

fn blocked(one: &Block) -> String {
    format!("{}: refused: blocked: {}", one.location, text::escape(&one.reason))
}

fn exempt(one: &Exemption, now: Timestamp) -> String {
    let (owner, until) = (text::escape(&one.owner), one.until);
    if now < until {
        format!("{}: exempt until {until} by {owner}", one.location)
    } else {
        format!("{}: exempt no more: it ended {until}; by {owner}", one.location)
    }
}
