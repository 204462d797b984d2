//! Of more evidence than is looked at, what comes first: what the policy asks for, the newest and the oldest in turn
//! (A141, A143).
//!
//! What a list says of its entries is a hint: it orders, it opens nothing, and it leaves nothing out by itself. Whoever
//! may push can write any date, so of each kind half of the room is for those that were there first.

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use pullgate_policy::oci::{Repository, media_type};
use pullgate_policy::policy::{Asks, Governing, PredicateType, Requirement, Rule, SIGNATURE_TYPE};

use super::interleave;
use crate::live::Live;

/// What cosign writes of a bundle beside its digest.
const BUNDLE_PREDICATE: &str = "dev.sigstore.bundle.predicateType";
/// What cosign writes of a layer of an `.att` manifest.
const LAYER_PREDICATE: &str = "predicateType";
const CREATED: &str = "org.opencontainers.image.created";

/// What the policy of a repository asks for.
#[derive(Debug, Default)]
pub(super) struct Wanted<'a>(&'a [Requirement]);

/// What is said of a piece of evidence before it is fetched.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Hint {
    predicate_type: Option<String>,
    created: Option<Timestamp>,
    kind: Kind,
}

/// What its artifact type reads like. Some registries write the config's type there.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
enum Kind {
    #[default]
    Evidence,
    Other,
}

/// In which round it is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Round {
    /// Asked for, or it does not say what it is.
    Wanted,
    /// Of a predicate type that nothing asks for.
    Unasked,
    /// Of an artifact type that is none of evidence.
    Unlikely,
}

impl<'a> Wanted<'a> {
    pub(super) fn by(live: &'a Live, repository: &Repository) -> Self {
        match live.policy().governing(repository) {
            Governing::Policy(policy, _) => match &policy.rule {
                Rule::Requirements(requirements) => Self(requirements),
                Rule::Deny(_) | Rule::InsecurePermitAnything => Self(&[]),
            },
            Governing::Unmatched(_) => Self(&[]),
        }
    }

    fn alternatives(&self) -> impl Iterator<Item = &Requirement> {
        self.0.iter().flat_map(Requirement::alternatives)
    }

    pub(super) fn asks_for_an_attestation(&self) -> bool {
        self.alternatives().any(|requirement| matches!(requirement.asks, Asks::Attestation(_)))
    }

    fn includes(&self, predicate_type: &str) -> bool {
        self.alternatives().any(|requirement| match &requirement.asks {
            Asks::Signature => predicate_type == SIGNATURE_TYPE,
            Asks::Attestation(types) => types.iter().any(|one: &PredicateType| one.is(predicate_type)),
        })
    }
}

impl Hint {
    /// By the annotations of a descriptor, and its artifact type where it has one.
    pub(super) fn of(annotations: &BTreeMap<String, String>, artifact_type: Option<&str>) -> Self {
        let text = |key: &str| annotations.get(key).filter(|text| !text.is_empty());
        let kind = if artifact_type.is_none_or(is_likely) { Kind::Evidence } else { Kind::Other };
        Self {
            predicate_type: text(BUNDLE_PREDICATE).or_else(|| text(LAYER_PREDICATE)).cloned(),
            created: text(CREATED).and_then(|text| text.parse().ok()),
            kind,
        }
    }

    fn round(&self, wanted: &Wanted<'_>) -> Round {
        match (&self.predicate_type, self.kind) {
            (Some(kind), _) if wanted.includes(kind) => Round::Wanted,
            (_, Kind::Other) => Round::Unlikely,
            (Some(_), Kind::Evidence) => Round::Unasked,
            (None, Kind::Evidence) => Round::Wanted,
        }
    }
}

fn is_likely(artifact_type: &str) -> bool {
    media_type::is_bundle(artifact_type)
        || matches!(
            artifact_type,
            media_type::DSSE
                | media_type::NOTATION_ARTIFACT
                | media_type::OCI_EMPTY
                | media_type::SIMPLE_SIGNING
        )
}

/// Orders what a list has: round by round; predicate types take turns; of each the newest and the oldest in turn. Lists
/// are written to at their end, so that what has no date is the newer the later it stands.
pub(super) fn order<T>(listed: Vec<(Hint, T)>, wanted: &Wanted<'_>) -> Vec<T> {
    type Kinds<T> = BTreeMap<Option<String>, Vec<(Option<Timestamp>, usize, T)>>;
    let mut rounds: BTreeMap<Round, Kinds<T>> = BTreeMap::new();
    for (position, (hint, one)) in listed.into_iter().enumerate() {
        let kinds = rounds.entry(hint.round(wanted)).or_default();
        kinds.entry(hint.predicate_type).or_default().push((hint.created, position, one));
    }
    let of_a_kind = |mut kind: Vec<(Option<Timestamp>, usize, T)>| {
        kind.sort_by_key(|(created, position, _)| (*created, *position));
        from_both_ends(kind.into_iter().map(|(_, _, one)| one).collect())
    };
    rounds.into_values().flat_map(|kinds| interleave(kinds.into_values().map(of_a_kind).collect())).collect()
}

fn from_both_ends<T>(mut sorted: VecDeque<T>) -> Vec<T> {
    let mut taken = Vec::with_capacity(sorted.len());
    while let Some(newest) = sorted.pop_back() {
        taken.push(newest);
        taken.extend(sorted.pop_front());
    }
    taken
}

#[cfg(test)]
mod tests {
    use super::*;

    const VULN: &str = "https://cosign.sigstore.dev/attestation/vuln/v1";

    fn hint(predicate_type: Option<&str>, created: Option<&str>) -> Hint {
        Hint {
            predicate_type: predicate_type.map(str::to_owned),
            created: created.map(|text| text.parse().unwrap()),
            kind: Kind::Evidence,
        }
    }

    fn ordered(hints: Vec<Hint>) -> Vec<usize> {
        order(hints.into_iter().enumerate().map(|(at, hint)| (hint, at)).collect(), &Wanted(&[]))
    }

    #[test]
    fn a141_the_newest_and_the_oldest_take_turns_by_date_else_by_place() {
        assert_eq!(ordered(vec![Hint::default(); 5]), [4, 0, 3, 1, 2]);
        let dated = |day: u8| hint(None, Some(&format!("2026-01-0{day}T00:00:00Z")));
        assert_eq!(ordered(vec![dated(3), dated(1), dated(2), Hint::default()]), [0, 3, 2, 1]);
    }

    #[test]
    fn a143_predicate_types_take_turns_and_those_that_nobody_asks_for_come_last() {
        let (scan, other) = (hint(Some(VULN), None), hint(Some("urn:x"), None));
        let junk = Hint { kind: Kind::Other, ..Hint::default() };
        let listed = vec![junk, scan.clone(), scan.clone(), scan, other, Hint::default()];
        assert_eq!(ordered(listed), [5, 3, 4, 1, 2, 0]);
    }

    #[test]
    fn a_hint_is_read_of_what_cosign_writes_and_what_cannot_be_read_is_none() {
        let annotations = |pairs: &[(&str, &str)]| {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let written = annotations(&[(BUNDLE_PREDICATE, VULN), (CREATED, "2026-01-01T00:00:00Z")]);
        assert_eq!(Hint::of(&written, None), hint(Some(VULN), Some("2026-01-01T00:00:00Z")));
        assert_eq!(Hint::of(&annotations(&[(LAYER_PREDICATE, VULN)]), None), hint(Some(VULN), None));
        assert_eq!(
            Hint::of(&annotations(&[(LAYER_PREDICATE, ""), (CREATED, "soon")]), None),
            Hint::default()
        );
        assert_eq!(Hint::of(&annotations(&[]), Some("application/x")).kind, Kind::Other);
        assert_eq!(Hint::of(&annotations(&[]), Some(media_type::DSSE)).kind, Kind::Evidence);
    }
}
