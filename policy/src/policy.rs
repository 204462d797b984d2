//! The policy as checked values. `config` builds it from text; this module defines its meaning.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::identity::{Authority, Name};
use crate::oci::{Digest, Repository};
use crate::scope::Scope;

mod changes;
mod exempt;
pub mod named;
mod predicate;
mod requirement;
pub use predicate::{IndexRule, PredicateType, SIGNATURE_TYPE};
pub use requirement::{Asks, ClaimedReference, Every, Requirement};

/// The content hash of a policy (its text and the bytes of its keys) or of the trust roots.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Revision(Digest);

impl Revision {
    /// The revision of these parts, in this order; lengths are hashed too, so that no two lists of parts are one.
    #[must_use]
    pub fn of<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut hasher = crate::oci::Hasher::sha256();
        for part in parts {
            hasher.update(&(part.len() as u64).to_be_bytes());
            hasher.update(part);
        }
        Self(hasher.finish())
    }
}

impl std::fmt::Display for Revision {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        std::fmt::Display::fmt(&self.0, f)
    }
}

/// The two revisions that a verdict is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub struct Revisions {
    /// Of the policy.
    pub policy: Revision,
    /// Of all trust roots and the verifier.
    pub trust: Revision,
}

/// A place in a policy file.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Location {
    /// The file's name as people know it, without its folder.
    pub file: Arc<str>,
    /// The line, from 1.
    pub line: u32,
}

impl std::fmt::Display for Location {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}

/// All policies of a gate.
#[derive(Debug, Clone)]
pub struct PolicySet {
    /// Its revisions.
    pub revisions: Revisions,
    /// What a repository gets that no scope matches.
    pub unmatched: Unmatched,
    /// Whom the policies may name.
    pub authorities: BTreeMap<Name, Authority>,
    /// The policies.
    pub policies: Vec<Policy>,
    /// Digests that nobody gets.
    pub blocks: Vec<Block>,
    /// Dated holes.
    pub exemptions: Vec<Exemption>,
    /// How long a permit counts from the moment its evidence was collected.
    pub permit_ttl: Duration,
}

/// What a repository gets that no scope matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unmatched {
    /// A denial, without a request upstream.
    Deny,
    /// Content, unchecked.
    Permit,
    /// Content, unchecked, with a warning.
    Warn,
}

/// One `[[policy]]`.
#[derive(Debug, Clone)]
pub struct Policy {
    /// Its name.
    pub name: Name,
    /// Where it stands.
    pub location: Location,
    /// The repositories it governs.
    pub scopes: Vec<Scope>,
    /// Whether a denial denies.
    pub mode: Mode,
    /// What is done when no verdict can be reached.
    pub on_undecided: OnUndecided,
    /// Whether layers may come from `urls`.
    pub foreign_layers: ForeignLayers,
    /// Which evidence leaves without a verdict of its own.
    pub evidence: EvidencePasses,
    /// By what an index is judged.
    pub index: IndexRule,
    /// What it asks for.
    pub rule: Rule,
}

/// Whether a denial denies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mode {
    /// It does.
    Enforce,
    /// The content is served with a warning, and the denial is recorded.
    Warn,
}

/// What is done when no verdict can be reached because the upstream could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OnUndecided {
    /// 503.
    Deny,
    /// Serve unchecked.
    InsecurePermit,
    /// Serve the same digest if kept evidence, at most this old, permits it under the current policy.
    LastPermit(Duration),
}

/// Whether layers may come from `urls`, past the gate (A130).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ForeignLayers {
    /// They are a finding.
    Deny,
    /// They are not.
    Permit,
}

/// Which evidence leaves without a verdict of its own (A601).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EvidencePasses {
    /// That in which something by an authority of the policy was verified, about a subject of the same repository.
    Verified,
    /// Evidence by any signer, if the manifest is nothing but evidence.
    WellFormed,
}

/// What a policy asks for.
#[derive(Debug, Clone)]
pub enum Rule {
    /// Nothing can meet it: whatever is there is denied, for this reason.
    Deny(String),
    /// Nothing is required; `check` and the gate warn of it loudly.
    InsecurePermitAnything,
    /// All of these; never empty (an empty list would permit, so [`crate::decide`] denies on one).
    Requirements(Vec<Requirement>),
}

impl Rule {
    /// Whether it can say no.
    #[must_use]
    pub fn refuses(&self) -> bool {
        match self {
            Self::Deny(_) | Self::Requirements(_) => true,
            Self::InsecurePermitAnything => false,
        }
    }
}

/// One `[[block]]`.
#[derive(Debug, Clone)]
pub struct Block {
    /// What is blocked, on every route.
    pub digest: Digest,
    /// Why, in the operator's words.
    pub reason: String,
    /// Where it stands.
    pub location: Location,
}

/// One `[[exempt]]`.
#[derive(Debug, Clone)]
pub struct Exemption {
    /// What it covers.
    pub covers: Covers,
    /// The first moment at which it no longer counts.
    pub until: Timestamp,
    /// Who answers for it.
    pub owner: String,
    /// Why, in the owner's words.
    pub reason: String,
    /// Where it stands.
    pub location: Location,
}

/// What an exemption covers.
#[derive(Debug, Clone)]
pub enum Covers {
    /// One digest, in every repository.
    Digest(Digest),
    /// Every digest of these repositories.
    Scopes(Vec<Scope>),
}

/// Which policy governs a repository.
#[derive(Debug, Clone, Copy)]
pub enum Governing<'a> {
    /// This one, by this scope.
    Policy(&'a Policy, &'a Scope),
    /// None.
    Unmatched(Unmatched),
}

impl PolicySet {
    /// The policy that governs `repository`: the one with the most specific scope that matches.
    #[must_use]
    pub fn governing(&self, repository: &Repository) -> Governing<'_> {
        self.policies
            .iter()
            .flat_map(|policy| policy.scopes.iter().map(move |scope| (policy, scope)))
            .filter(|(_, scope)| scope.matches(repository))
            .min_by(|(_, a), (_, b)| a.specificity(b))
            .map_or(Governing::Unmatched(self.unmatched), |(policy, scope)| Governing::Policy(policy, scope))
    }

    /// The block on `digest`, if there is one.
    #[must_use]
    pub fn block(&self, digest: &Digest) -> Option<&Block> {
        self.blocks.iter().find(|block| block.digest == *digest)
    }

    /// The exemption that covers the subject at `now`: of several, the one that lasts longest.
    #[must_use]
    pub fn exemption(&self, repository: &Repository, digest: &Digest, now: Timestamp) -> Option<&Exemption> {
        self.exemptions
            .iter()
            .filter(|exemption| now < exemption.until && exemption.covers.includes(repository, digest))
            .max_by_key(|exemption| exemption.until)
    }

    /// The authorities that the requirements for `repository` name: what verification must know of.
    #[must_use]
    pub fn authorities_for(&self, repository: &Repository) -> Vec<&Authority> {
        let Governing::Policy(policy, _) = self.governing(repository) else { return Vec::new() };
        let Rule::Requirements(requirements) = &policy.rule else { return Vec::new() };
        let alternatives = requirements.iter().flat_map(Requirement::alternatives);
        let names: std::collections::BTreeSet<_> = alternatives.flat_map(|one| &one.any_of).collect();
        names.into_iter().filter_map(|name| self.authorities.get(name)).collect()
    }

    /// Whether a requirement applies to every attestation about an image of this repository: then all of them must be
    /// read.
    #[must_use]
    pub fn asks_of_each(&self, repository: &Repository) -> bool {
        let Governing::Policy(Policy { rule: Rule::Requirements(requirements), .. }, _) =
            self.governing(repository)
        else {
            return false;
        };
        requirements.iter().flat_map(Requirement::alternatives).any(|one| one.every == Every::Each)
    }

    /// How many scopes are enforced; a gate without one refuses nothing (A410).
    #[must_use]
    pub fn enforcing_scopes(&self) -> usize {
        self.policies
            .iter()
            .filter(|policy| policy.mode == Mode::Enforce && policy.rule.refuses())
            .map(|policy| policy.scopes.len())
            .sum()
    }
}

impl Covers {
    fn includes(&self, repository: &Repository, digest: &Digest) -> bool {
        match self {
            Self::Digest(covered) => covered == digest,
            Self::Scopes(scopes) => scopes.iter().any(|scope| scope.matches(repository)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decide::tests::fixture::{exemption, hours, location, now, policy, policy_set, signed_by};

    fn governing(set: &PolicySet, repository: &str) -> Option<String> {
        match set.governing(&repository.parse().unwrap()) {
            Governing::Policy(policy, _) => Some(policy.name.to_string()),
            Governing::Unmatched(_) => None,
        }
    }

    #[test]
    fn the_most_specific_scope_governs_wherever_it_stands_in_the_file() {
        let scopes = [
            ("all", "**"),
            ("registry", "r.io/**"),
            ("org", "r.io/org/*"),
            ("half", "r.io/org/ap*"),
            ("one", "r.io/org/app"),
        ];
        let policies: Vec<_> =
            scopes.iter().map(|(name, scope)| policy(name, scope, Rule::InsecurePermitAnything)).collect();
        let forth = PolicySet { policies: policies.clone(), ..policy_set(Vec::new()) };
        let back = PolicySet { policies: policies.into_iter().rev().collect(), ..forth.clone() };
        for set in [forth, back] {
            for (repository, name) in [
                ("r.io/org/app", "one"),
                ("r.io/org/apple", "half"),
                ("r.io/org/other", "org"),
                ("r.io/org/app/deep", "registry"),
                ("docker.io/alpine", "all"),
            ] {
                assert_eq!(governing(&set, repository).as_deref(), Some(name), "{repository}");
            }
        }
        assert_eq!(governing(&policy_set(Vec::new()), "r.io/other/app"), None);
    }

    #[test]
    fn of_exemptions_that_overlap_the_one_that_lasts_longest_counts() {
        let mut set = policy_set(Vec::new());
        let digest = Digest::of(b"x");
        set.exemptions = [1, 3, 2].map(|end| exemption(Covers::Digest(digest), hours(end))).to_vec();
        let repository = "r.io/org/app".parse().unwrap();
        assert_eq!(set.exemption(&repository, &digest, now()).unwrap().until, hours(3));
        assert!(set.exemption(&repository, &digest, hours(3)).is_none());
        assert!(set.exemption(&repository, &Digest::of(b"y"), now()).is_none());
    }

    #[test]
    fn verification_learns_of_the_named_authorities_only() {
        let set = policy_set(vec![signed_by(&["b", "a"], 1), signed_by(&["a", "nobody"], 1)]);
        let names = |repository: &str| {
            let authorities = set.authorities_for(&repository.parse().unwrap());
            authorities.iter().map(|one| one.name.to_string()).collect::<Vec<_>>()
        };
        assert_eq!(names("r.io/org/app"), ["a", "b"]);
        assert!(names("r.io/other/app").is_empty());
    }

    #[test]
    fn a410_scopes_that_enforce_are_counted() {
        let mut set = policy_set(vec![signed_by(&["a"], 1)]);
        set.policies.push(policy("open", "r.io/open/**", Rule::InsecurePermitAnything));
        assert_eq!(set.enforcing_scopes(), 1);
        set.policies[0].mode = Mode::Warn;
        assert_eq!(set.enforcing_scopes(), 0);
    }

    #[test]
    fn a_place_and_a_revision_are_shown_so_that_people_can_look_them_up() {
        assert_eq!(location(7).to_string(), "policy.toml:7");
        // SHA-256 of nothing: a list without parts.
        let nothing = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
        assert_eq!(Revision::of([]).to_string(), nothing);
    }

    #[test]
    fn a_revision_tells_any_two_lists_of_parts_apart() {
        let of = |parts: &[&str]| Revision::of(parts.iter().map(|part| part.as_bytes()));
        assert_eq!(of(&["a", "b"]), of(&["a", "b"]));
        for other in [&["ab"][..], &["a", "b", ""], &["b", "a"], &["", "ab"], &[]] {
            assert_ne!(of(&["a", "b"]), of(other), "{other:?}");
        }
    }
}
