//! Which clients may read which repositories (`[clients]`). The client's name was proven before.

use crate::oci::Repository;
use crate::scope::{Scope, glob_matches};

/// Who may read what.
#[derive(Debug, Clone, Default)]
pub struct Readers(Vec<Allowance>);

/// Some clients and what they may read.
#[derive(Debug, Clone)]
pub struct Allowance {
    /// Globs over names of clients: `*` stands for any characters.
    pub who: Vec<String>,
    /// Repositories.
    pub read: Vec<Scope>,
}

impl Readers {
    /// Rules, of which one match suffices; without rules, every client that proved a name may read everything.
    #[must_use]
    pub fn new(rules: Vec<Allowance>) -> Self {
        Self(rules)
    }

    /// Whether a client that proved each of `names` may read `repository`. Without a name the answer is no, whatever
    /// the rules say.
    #[must_use]
    pub fn allow(&self, names: &[String], repository: &Repository) -> bool {
        let reads = |rule: &Allowance| rule.read.iter().any(|scope| scope.matches(repository));
        !names.is_empty() && (self.0.is_empty() || self.0.iter().any(|rule| rule.names(names) && reads(rule)))
    }

    /// Tells whether a client that proved to be each of `names` may read anything at all.
    #[must_use]
    pub fn know(&self, names: &[String]) -> bool {
        !names.is_empty() && (self.0.is_empty() || self.0.iter().any(|rule| rule.names(names)))
    }
}

impl Allowance {
    fn names(&self, names: &[String]) -> bool {
        names.iter().any(|name| self.who.iter().any(|glob| glob_matches(glob, name)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rule(who: &[&str], read: &[&str]) -> Allowance {
        Allowance {
            who: who.iter().map(|glob| (*glob).to_owned()).collect(),
            read: read.iter().map(|scope| Scope::parse(scope).unwrap()).collect(),
        }
    }

    fn allow(readers: &Readers, names: &[&str], repository: &str) -> bool {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let (registry, path) = repository.split_once('/').unwrap();
        readers.allow(&names, &Repository::new(registry.parse().unwrap(), path).unwrap())
    }

    #[test]
    fn a063_a_client_reads_what_a_rule_names_for_it_and_nothing_else() {
        let readers = Readers::new(vec![
            rule(&["node-*"], &["**"]),
            rule(&["ci", "ci-*-builder"], &["ghcr.io/myorg/**"]),
        ]);
        for (names, repository, may) in [
            (&["node-1"][..], "docker.io/library/alpine", true),
            (&["node-"], "docker.io/library/alpine", true),
            (&["node"], "docker.io/library/alpine", false),
            (&["my-node-1"], "docker.io/library/alpine", false),
            (&["ci"], "ghcr.io/myorg/app", true),
            (&["ci"], "ghcr.io/myorg-evil/app", false),
            (&["ci"], "docker.io/library/alpine", false),
            (&["ci-a-builder"], "ghcr.io/myorg/app", true),
            (&["ci-a-builder-x"], "ghcr.io/myorg/app", false),
            (&["CI"], "ghcr.io/myorg/app", false),
            (&["stranger", "ci"], "ghcr.io/myorg/app", true),
            (&[], "ghcr.io/myorg/app", false),
        ] {
            assert_eq!(allow(&readers, names, repository), may, "{names:?} {repository}");
        }
    }

    #[test]
    fn a_client_is_known_that_a_rule_names_or_any_at_all_where_there_are_no_rules() {
        let known = |readers: &Readers, names: &[&str]| {
            readers.know(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>())
        };
        let readers = Readers::new(vec![rule(&["node-*"], &["**"]), rule(&["ci"], &["ghcr.io/**"])]);
        for (names, is) in [
            (&["node-1"][..], true),
            (&["ci"], true),
            (&["stranger", "ci"], true),
            (&["stranger"], false),
            (&[], false),
        ] {
            assert_eq!(known(&readers, names), is, "{names:?}");
        }
        assert!(known(&Readers::default(), &["anybody"]));
        assert!(!known(&Readers::default(), &[]));
    }

    #[test]
    fn a063_without_rules_whoever_proved_a_name_reads_everything_and_nobody_else_does() {
        assert!(allow(&Readers::default(), &["anybody"], "ghcr.io/myorg/app"));
        assert!(!allow(&Readers::default(), &[], "ghcr.io/myorg/app"));
    }
}
