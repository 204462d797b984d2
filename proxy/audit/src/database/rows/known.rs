//! Facts that need no query: those in the table, and how many user agents a client had in a day.

use std::borrow::Cow;
use std::collections::hash_map::RandomState;
use std::collections::{HashMap, HashSet};
use std::hash::BuildHasher as _;

use crate::facts::{Facts, Name};
use crate::limits::AUDIT_AGENTS_OF_A_CLIENT;

/// Facts of a day that are in the table, so that they are not written again. Over it: forgotten, and written again.
const KNOWN: usize = 20_000;
/// Clients of a day whose user agents are counted. Over it: forgotten, and counted anew.
const CLIENTS: usize = 10_000;
/// The user agents of a client that has too many.
const OTHERS: &str = "(others)";

/// What is known of facts.
#[derive(Debug, Default)]
pub(in crate::database) struct Known {
    facts: HashSet<(i64, Name)>,
    /// User agents by day and client, as keyed hashes that clients cannot predict.
    agents: HashMap<(i64, u64), HashSet<u64>>,
    hashes: RandomState,
}

impl Known {
    pub(in crate::database) fn forget(&mut self) {
        self.facts.clear();
    }

    pub(super) fn has(&self, facts: (i64, Name)) -> bool {
        self.facts.contains(&facts)
    }

    pub(super) fn add(&mut self, facts: (i64, Name)) {
        if self.facts.len() >= KNOWN {
            self.forget();
        }
        self.facts.insert(facts);
    }

    /// The facts as they are distinguished: a client with ever new user agents must not make facts without end (A606).
    pub(super) fn told_apart<'a>(&mut self, day: i64, facts: &'a Facts) -> Cow<'a, Facts> {
        let client = (day, self.hashes.hash_one(&facts.client));
        let agent = self.hashes.hash_one(&facts.agent);
        if self.agents.len() >= CLIENTS && !self.agents.contains_key(&client) {
            self.agents.clear();
        }
        let agents = self.agents.entry(client).or_default();
        if agents.contains(&agent) {
            return Cow::Borrowed(facts);
        }
        if agents.len() < AUDIT_AGENTS_OF_A_CLIENT {
            agents.insert(agent);
            return Cow::Borrowed(facts);
        }
        Cow::Owned(Facts { agent: OTHERS.to_owned(), ..facts.clone() })
    }
}
