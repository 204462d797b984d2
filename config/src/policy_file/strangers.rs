//! Whether strangers can be whom a pattern means (A404).

use std::collections::BTreeSet;

use pullgate_policy::identity::WholeRegex;
use pullgate_policy::limits;
use regex_automata::dfa::dense::DFA;
use regex_automata::dfa::{Automaton as _, dense};
use regex_automata::nfa::thompson;
use regex_automata::util::primitives::StateID;
use regex_automata::{Anchored, Input};

/// Identities that strangers have or could have: an expression that matches one of them admits any signer (A404). The
/// first two have no form at all, the others the forms in which certificates are issued to everyone.
const STRANGERS: [&str; 6] = [
    "3fJ9x!",
    "q7",
    "zq7x@kd83m.example",
    "https://kd83m.example/q/7#z",
    "https://github.com/zq7x/kd83m/.github/workflows/wv5.yml@refs/heads/jy2",
    "https://gitlab.com/zq7x/kd83m//.gitlab-ci.yml@refs/heads/jy2",
];

/// Issuers that strangers have or could have, the public ones of every kind of account among them.
const ISSUERS: [&str; 6] = [
    "q7",
    "https://kd83m.example",
    "https://kd83m.example/q/7",
    "https://zq7x-kd83m.auth0.com/",
    "https://accounts.google.com",
    "https://token.actions.githubusercontent.com/zq7x-kd83m",
];

/// Workflows and pipelines of one stranger, who calls repositories, files and branches as he likes; but no pipeline lies
/// in a hidden folder, so that a workflow's path under any host is not taken for one.
const WORKFLOWS: [&str; 2] = [
    r"https://github\.com/zq7x-kd83m/[A-Za-z0-9._-]+/\.github/workflows/[A-Za-z0-9._-]+@refs/(?:heads|tags)/[A-Za-z0-9._/-]+",
    r"https://gitlab\.com/zq7x-kd83m/[A-Za-z0-9._/-]+//(?:[A-Za-z0-9_-][A-Za-z0-9._-]*/)*[A-Za-z0-9._-]+@refs/(?:heads|tags)/[A-Za-z0-9._/-]+",
];

/// How many of some strangers a pattern means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Met {
    All,
    None,
    Some,
}

fn met(regex: &WholeRegex, strangers: &[&str]) -> Met {
    match strangers.iter().filter(|stranger| regex.matches(stranger)).count() {
        0 => Met::None,
        all if all == strangers.len() => Met::All,
        _ => Met::Some,
    }
}

/// How many of the strangers' identities a pattern matches.
pub(super) fn of(regex: &WholeRegex) -> Met {
    met(regex, &STRANGERS)
}

/// How many of the strangers' issuers a pattern matches.
pub(super) fn issuers(regex: &WholeRegex) -> Met {
    met(regex, &ISSUERS)
}

/// Tells whether what stands before the workflow or the branch matches a repository of a stranger, who can give a workflow
/// and a branch any name: `https://github\.com/.*@refs/heads/main` is met by everybody's `main`.
pub(super) fn leaves_owner_open(pattern: &str) -> bool {
    const BEFORE: [(&str, &str); 3] = [
        (r"/\.github/", "https://github.com/zq7x/kd83m"),
        ("/.github/", "https://github.com/zq7x/kd83m"),
        ("//", "https://gitlab.com/zq7x/kd83m"),
    ];
    let matched =
        |head: &str, stranger: &str| WholeRegex::new(head).is_ok_and(|regex| regex.matches(stranger));
    let before = |(cut, stranger): (&str, &str)| {
        pattern.rsplit_once(cut).is_some_and(|(head, _)| matched(head, stranger))
    };
    let workflow = pattern.rsplit_once("@refs").is_some_and(|(head, _)| {
        STRANGERS
            .iter()
            .filter_map(|one| one.rsplit_once("@refs"))
            .any(|(stranger, _)| matched(head, stranger))
    });
    workflow
        || BEFORE.into_iter().any(before)
        || WORKFLOWS.iter().any(|theirs| have_one_in_common(pattern, theirs))
}

/// Pairs of states that are looked at, of two patterns of a few hundred states each.
const PAIRS: usize = 1 << 16;

/// Whether one text is matched whole by both patterns. Both are run at once, over every byte that either tells apart; where
/// a pattern is too large for that, the texts above are all that is tried.
fn have_one_in_common(pattern: &str, theirs: &str) -> bool {
    let (Some(ours), Some(theirs)) = (automaton(pattern), automaton(theirs)) else { return false };
    let start = |dfa: &DFA<Vec<u32>>| dfa.start_state_forward(&Input::new("").anchored(Anchored::Yes)).ok();
    let (Some(one), Some(other)) = (start(&ours), start(&theirs)) else { return false };
    let mut seen = BTreeSet::<(StateID, StateID)>::from([(one, other)]);
    let mut open = vec![(one, other)];
    while let Some((one, other)) = open.pop() {
        let ends = |dfa: &DFA<Vec<u32>>, state| dfa.is_match_state(dfa.next_eoi_state(state));
        if ends(&ours, one) && ends(&theirs, other) {
            return true;
        }
        for byte in 0..=u8::MAX {
            let next = (ours.next_state(one, byte), theirs.next_state(other, byte));
            let dead = ours.is_dead_state(next.0) || theirs.is_dead_state(next.1);
            if !dead && seen.len() < PAIRS && seen.insert(next) {
                open.push(next);
            }
        }
    }
    false
}

/// A pattern over whole texts.
fn automaton(pattern: &str) -> Option<DFA<Vec<u32>>> {
    let config = dense::Config::new()
        .dfa_size_limit(Some(limits::REGEX_BYTES))
        .determinize_size_limit(Some(limits::REGEX_BYTES));
    let whole = |text: &str| {
        dense::Builder::new()
            .configure(config.clone())
            .thompson(thompson::Config::new().nfa_size_limit(Some(limits::REGEX_BYTES)))
            .build(text)
            .ok()
    };
    whole(&format!("\\A(?:{pattern})\\z")).or_else(|| whole(&format!("\\A(?:{pattern}\n)\\z")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a404_a_pattern_that_any_repository_meets_is_told_from_one_that_names_its_owner() {
        for (pattern, expected) in [
            (r"https://github\.com/.*@refs/heads/main", true),
            (r"https://github\.com/.+/\.github/workflows/release\.yml@refs/heads/main", true),
            (r"https://github\.com/[^/]+/[^/]+/\.github/workflows/ci\.yml@refs/tags/v1", true),
            (r"https://gitlab\.com/.*//\.gitlab-ci\.yml@refs/heads/main", true),
            (r"https://github\.com/myorg/.*/\.github/workflows/release\.yml@refs/heads/main", false),
            (r"https://github\.com/myorg/app/\.github/workflows/.*@refs/heads/main", false),
            (r"https://gitlab\.com/myorg/.*//\.gitlab-ci\.yml@refs/heads/main", false),
            (r".*@corp\.example", false),
            (r".*/corp/shop/\.github/workflows/release\.yml@refs/heads/main", false),
            (r".*/app/\.github/workflows/release\.yml@refs/heads/main", true),
            (r"https://gitlab\.com/[^/]+/app//ci/.*@refs/heads/main", true),
            // The owner of a repository or workflow of that name (A404).
            (r"https://github\.com/[^/]+/app/\.github/workflows/ci\.yml@refs/heads/main", true),
            (r"https://github\.com/[a-z0-9-]+/app/\.github/workflows/.*@refs/tags/v1\..*", true),
            (r"https://github\.com/(?:myorg|[a-z].*)/app/.*", true),
            (r"https://github\.com/.*/app/\.github/workflows/ci\.yml@refs/heads/main", true),
            (r"(?x) https://github\.com/ \w.* /app/ .* # anybody's", true),
            (r"https://gitlab\.com/[^/]+/app//\.gitlab-ci\.yml@refs/heads/main", true),
            (r"https://github\.com/my[a-z]+/app/\.github/workflows/ci\.yml@refs/heads/main", false),
            (r"https://github\.com/(?:myorg|other)/[^/]+/\.github/workflows/ci\.yml@refs/heads/.*", false),
            (r"https://github\.com/myorg/[^/]+/\.github/workflows/[^/]+@refs/tags/v[0-9.]+", false),
        ] {
            assert_eq!(leaves_owner_open(pattern), expected, "{pattern}");
        }
    }

    #[test]
    fn an_issuer_that_strangers_have_is_told_from_those_of_one_enterprise() {
        let met = |pattern: &str| issuers(&WholeRegex::new(pattern).unwrap());
        assert_eq!(met(r"https://token\.actions\.[a-z]+\.ghe\.com"), Met::None);
        assert_eq!(met(r"https://(?:a|b)\.corp\.example"), Met::None);
        assert_eq!(met(r"https://.*\.example"), Met::Some);
        assert_eq!(met(r"https://token\.actions\.githubusercontent\.com(?:/.*)?"), Met::Some);
        assert_eq!(met(".*"), Met::All);
    }
}
