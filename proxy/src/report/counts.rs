//! Answers, counted.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

/// The name under which the rest is counted.
const OTHERS: &str = "(others)";
/// Signers of one group that are named.
const SIGNERS: usize = 100;

/// Answers about manifests.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub pulls: u64,
    /// Served without a warning.
    pub permitted: u64,
    /// Refused.
    pub refused: u64,
    /// Served with a warning.
    pub warned: u64,
    /// No verdict could be reached.
    pub undecided: u64,
    /// It does not exist upstream.
    pub missing: u64,
}

impl Counts {
    /// Counts answers with this verdict, on this ground.
    pub(super) fn add(&mut self, (verdict, ground): (&str, &str), count: u64) {
        let to = match (verdict, ground) {
            ("permit", "warn-only") => &mut self.warned,
            ("permit", _) => &mut self.permitted,
            ("undecided", _) => &mut self.undecided,
            ("missing", _) => &mut self.missing,
            _ => &mut self.refused,
        };
        *to = to.saturating_add(count);
        self.pulls = self.pulls.saturating_add(count);
    }
}

/// Answers of one day.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Day {
    /// As a calendar has it, UTC.
    pub day: String,
    /// Their number.
    #[serde(flatten)]
    pub counts: Counts,
}

impl Day {
    /// The day of so many days since 1970.
    pub(super) fn of(days: i64, counts: Counts) -> Self {
        let at = Timestamp::from_second(days.saturating_mul(86_400)).unwrap_or_default();
        Self { day: at.strftime("%Y-%m-%d").to_string(), counts }
    }
}

/// Answers that have something in common.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Group {
    /// The value that they have in common.
    pub name: String,
    /// Their number.
    #[serde(flatten)]
    pub counts: Counts,
    /// Signers of the served images.
    pub signers: BTreeSet<String>,
    /// The last of them.
    pub last: Timestamp,
}

/// Groups by name, as many as are told apart.
#[derive(Debug)]
pub(super) struct Groups {
    most: usize,
    all: BTreeMap<String, Group>,
}

impl Groups {
    pub(super) fn new(most: usize) -> Self {
        Self { most, all: BTreeMap::new() }
    }

    /// The group of a name, or that of all others.
    pub(super) fn of(&mut self, name: String) -> &mut Group {
        let has_place = self.all.len() < self.most || self.all.contains_key(&name);
        let name = if has_place { name } else { OTHERS.to_owned() };
        self.all.entry(name.clone()).or_insert_with(|| Group {
            name,
            counts: Counts::default(),
            signers: BTreeSet::new(),
            last: Timestamp::MIN,
        })
    }

    /// Those with most pulls first.
    pub(super) fn sorted(&self) -> Vec<Group> {
        let mut all: Vec<Group> = self.all.values().cloned().collect();
        all.sort_by(|a, b| (Reverse(a.counts.pulls), &a.name).cmp(&(Reverse(b.counts.pulls), &b.name)));
        all
    }
}

impl Group {
    pub(super) fn signed<'a>(&mut self, signers: impl Iterator<Item = &'a str>) {
        for signer in signers {
            if self.signers.len() < SIGNERS && !self.signers.contains(signer) {
                self.signers.insert(super::fit(signer));
            }
        }
    }
}
