//! The sums of a walk over the roll-up.

use std::collections::BTreeMap;

use super::counts::{Counts, Groups};
use super::fit;
use super::images::{Image, Images, Seen};
use super::strangers::{Counted, Signer, Signers};
use crate::audit::Facts;
use crate::audit::read::Sum;

/// All that was told.
#[derive(Debug)]
pub(super) struct Told {
    pub(super) total: Counts,
    pub(super) days: BTreeMap<i64, Counts>,
    pub(super) repositories: Groups,
    pub(super) clients: Groups,
    pub(super) gates: Groups,
    pub(super) shadow: Images,
    images: Images,
    signers: Signers,
    /// A record of each way in which signatures counted for nothing: by repository and signers.
    pub(super) samples: BTreeMap<(String, String), i64>,
    most: usize,
}

impl Told {
    pub(super) fn new(most: usize) -> Self {
        Self {
            total: Counts::default(),
            days: BTreeMap::new(),
            repositories: Groups::new(most),
            clients: Groups::new(most),
            gates: Groups::new(most),
            shadow: Images::new(most),
            images: Images::new(most),
            signers: Signers::new(most),
            samples: BTreeMap::new(),
            most,
        }
    }

    /// Counts what came of the same facts in one day.
    pub(super) fn add(&mut self, sum: &Sum) {
        match sum.facts.kind.as_ref() {
            "manifest" => self.images.add(sum),
            // Answers that were summed up: it is not told about what each was.
            "refusals" => {}
            "shadow" => return self.shadow.add(sum),
            _ => return,
        }
        let facts = &sum.facts;
        let answer = (facts.verdict.as_ref(), facts.ground.as_str());
        let counted = match answer {
            ("permit", "warn-only") => Counted::No,
            ("permit", _) => Counted::Yes,
            _ => Counted::No,
        };
        self.total.add(answer, sum.count);
        self.days.entry(sum.day).or_default().add(answer, sum.count);
        let groups = [
            (&mut self.repositories, fit(&facts.repository)),
            (&mut self.clients, client(facts)),
            (&mut self.gates, fit(&facts.gate)),
        ];
        for (groups, name) in groups {
            let group = groups.of(name);
            group.counts.add(answer, sum.count);
            group.last = group.last.max(sum.last);
            if counted == Counted::Yes {
                group.signed(facts.signers.lines());
            }
        }
        self.signers.add(facts, counted, sum.count);
        if counted == Counted::No && !facts.signers.is_empty() {
            let key = (facts.repository.clone(), facts.signers.clone());
            if self.samples.len() < self.most || self.samples.contains_key(&key) {
                let newest = self.samples.entry(key).or_insert(sum.position);
                *newest = (*newest).max(sum.position);
            }
        }
    }

    /// The manifests that are so.
    pub(super) fn images(&self, are: impl Fn(&Seen) -> bool) -> Vec<Image> {
        self.images.images(are)
    }

    /// Each manifest.
    pub(super) fn each(&self) -> impl Iterator<Item = &Seen> {
        self.images.each()
    }

    /// The signers.
    pub(super) fn signers(&self) -> Vec<Signer> {
        self.signers.sorted()
    }

    /// Answers about manifests that are not told apart.
    pub(super) fn left_out(&self) -> u64 {
        self.images.left_out
    }
}

/// The client: its proven names, else its address.
pub(super) fn client(facts: &Facts) -> String {
    fit(&if facts.names.is_empty() { facts.client.clone() } else { facts.names.replace('\n', ", ") })
}
