//! Repeated refusals, summed up: a stranger cannot flood the pull log (A606).
//!
//! Within a minute the records of each (client, code, repository), of each client, and of all together are limited. The
//! excess is counted, and one record for each key reports the count at the end of the minute. The table is bounded too:
//! a stranger can invent names without end.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::net::{IpAddr, SocketAddr};

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use jiff::Timestamp;

use crate::id::DecisionId;
use crate::record::{Client, Kind, Record};

/// How much is told one by one within a minute.
#[derive(Debug, Clone, Copy)]
pub(super) struct Budget {
    /// Of one client, code and repository.
    each: u64,
    /// Of one client.
    client: u64,
    /// Of all.
    all: u64,
    /// How many of those, and how many clients, are told apart.
    keys: usize,
    /// What becomes of one that is not.
    unknown: Unknown,
}

/// What becomes of a refusal that finds no place in the table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Unknown {
    Summed,
    Whole,
}

impl Budget {
    /// Requests that were refused before any upstream was asked: whoever reaches the port can send them.
    pub(super) const STRANGERS: Self = Self {
        each: limits::AUDIT_REFUSALS_OF_ONE,
        client: limits::AUDIT_REFUSALS_OF_A_CLIENT,
        all: limits::AUDIT_REFUSALS,
        keys: limits::AUDIT_TALLY_SUMS,
        unknown: Unknown::Summed,
    };
    /// Refusals under a policy: each is a record of its own, as far as nodes in earnest ever get.
    pub(super) const GOVERNED: Self = Self {
        each: limits::AUDIT_DENIALS_OF_ONE,
        client: limits::AUDIT_DENIALS_OF_A_CLIENT,
        all: limits::AUDIT_DENIALS,
        keys: limits::AUDIT_TALLY_DENIALS,
        unknown: Unknown::Whole,
    };
    /// What does not exist upstream: names can be made up without end.
    pub(super) const MISSING: Self = Self {
        each: limits::AUDIT_MISSING_OF_ONE,
        client: limits::AUDIT_MISSING_OF_A_CLIENT,
        all: limits::AUDIT_MISSING,
        keys: limits::AUDIT_TALLY_DENIALS,
        unknown: Unknown::Summed,
    };
}

/// Refusals of this minute.
#[derive(Debug)]
pub(super) struct Tally {
    budget: Budget,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    keys: HashMap<Key, Sum>,
    clients: HashMap<String, u64>,
    /// What finds no place among the keys, by code: codes are a closed set.
    others: BTreeMap<String, Sum>,
    told: u64,
    /// Keys that have a sum.
    sums: usize,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    client: String,
    code: String,
    repository: String,
}

#[derive(Debug, Default)]
struct Sum {
    /// Those that have a record of their own.
    told: u64,
    count: u64,
    /// What is the same in all that are counted.
    of: Option<Box<Record>>,
}

impl Tally {
    pub(super) fn new(budget: Budget) -> Self {
        Self { budget, table: Mutex::default() }
    }

    /// Gives a record back that is to be written by itself; counts it else.
    pub(super) fn take(&self, record: Record) -> Option<Record> {
        let (key, budget) = (Key::of(&record), self.budget);
        let mut table = self.table();
        let told = table.keys.get(&key).map(|sum| sum.told);
        let of_client = table.clients.get(&key.client).copied();
        let has_place = (told.is_some() || table.keys.len() < budget.keys)
            && (of_client.is_some() || table.clients.len() < budget.keys);
        let within = told.unwrap_or_default() < budget.each
            && of_client.unwrap_or_default() < budget.client
            && table.told < budget.all
            && (has_place || budget.unknown == Unknown::Whole);
        if !within {
            table.sum(key, record);
            return None;
        }
        table.told = table.told.saturating_add(1);
        if has_place {
            let of_client = table.clients.entry(key.client.clone()).or_default();
            *of_client = of_client.saturating_add(1);
            let sum = table.keys.entry(key).or_default();
            sum.told = sum.told.saturating_add(1);
        }
        Some(record)
    }

    /// Counts a record that could not be written by itself.
    pub(super) fn put_back(&self, record: Record) {
        let key = Key::of(&record);
        self.table().sum(key, record);
    }

    /// A record for each sum, and a new minute.
    pub(super) fn drain(&self, now: Timestamp) -> Vec<Record> {
        let Table { keys, others, .. } = mem::take(&mut *self.table());
        keys.into_values().chain(others.into_values()).filter_map(|sum| sum.record(now)).collect()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    fn sum(&mut self, key: Key, mut record: Record) {
        let has_one = self.keys.get(&key).is_some_and(|sum| sum.of.is_some());
        let sum = if has_one || self.sums < limits::AUDIT_TALLY_SUMS {
            self.sums = self.sums.saturating_add(usize::from(!has_one));
            self.keys.entry(key).or_default()
        } else {
            (record.client, record.policy) = (None, None);
            record.repository.clear();
            record.upstream.clear();
            self.others.entry(key.code).or_default()
        };
        sum.count = sum.count.saturating_add(1);
        sum.of.get_or_insert_with(|| Box::new(record));
    }
}

impl Key {
    fn of(record: &Record) -> Self {
        Self {
            client: record.client.as_ref().map(called).unwrap_or_default(),
            code: record.reasons.first().map(|reason| reason.code.clone()).unwrap_or_default(),
            // Which registries are asked for that are not served can be told.
            repository: if record.repository.is_empty() { &record.upstream } else { &record.repository }
                .clone(),
        }
    }
}

impl Sum {
    fn record(self, now: Timestamp) -> Option<Record> {
        let first = self.of?;
        let mut record = Record::new(Kind::Refusals, &DecisionId::random(), now, first.verdict);
        record.since = Some(first.time);
        record.count = self.count;
        record.status = first.status;
        record.client = first.client.map(|client| Client {
            address: network(&client.address),
            forwarded: client.forwarded,
            names: client.names,
            user_agent: String::new(),
        });
        (record.repository, record.upstream, record.policy) =
            (first.repository, first.upstream, first.policy);
        (record.policy_revision, record.trust_revision) = (first.policy_revision, first.trust_revision);
        record.reasons = first.reasons.into_iter().take(1).collect();
        Some(record)
    }
}

/// Who a client is: its address, and the names that it proved.
fn called(client: &Client) -> String {
    let mut called = network(&client.address);
    for name in &client.names {
        called.push(' ');
        called.push_str(name);
    }
    called
}

/// An address without its port; of IPv6 the network of 64 bits, which is one client's to choose addresses from.
fn network(address: &str) -> String {
    match address.parse::<SocketAddr>().map(|address| address.ip().to_canonical()) {
        Ok(IpAddr::V4(address)) => address.to_string(),
        Ok(IpAddr::V6(address)) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{}/64", std::net::Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0))
        }
        Err(_) => address.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{Reason, Word};

    /// A refusal to the client with this number, in the repository with that one.
    fn refusal(client: u64, repository: u64) -> Record {
        let mut record =
            Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Deny);
        let [_, _, _, _, _, a, b, c] = client.to_be_bytes();
        record.client = Some(Client {
            address: format!("10.{a}.{b}.{c}:1"),
            forwarded: None,
            names: Vec::new(),
            user_agent: String::new(),
        });
        record.repository = format!("registry.test/{repository}");
        record.reasons = vec![Reason { code: "code".to_owned(), location: None, text: String::new() }];
        record
    }

    /// How many of these are told by themselves, and how many the sums count.
    fn told(budget: Budget, refusals: impl Iterator<Item = Record>) -> (u64, u64) {
        let tally = Tally::new(budget);
        let told = refusals.filter_map(|record| tally.take(record)).count() as u64;
        let sums = tally.drain(Timestamp::UNIX_EPOCH);
        assert!(tally.drain(Timestamp::UNIX_EPOCH).is_empty(), "a new minute");
        (told, sums.iter().map(|sum| sum.count).sum())
    }

    #[test]
    fn a606_one_refusal_over_each_budget_of_a_minute_is_summed_up() {
        let strangers =
            (limits::AUDIT_REFUSALS_OF_ONE, limits::AUDIT_REFUSALS_OF_A_CLIENT, limits::AUDIT_REFUSALS);
        let governed =
            (limits::AUDIT_DENIALS_OF_ONE, limits::AUDIT_DENIALS_OF_A_CLIENT, limits::AUDIT_DENIALS);
        let missing =
            (limits::AUDIT_MISSING_OF_ONE, limits::AUDIT_MISSING_OF_A_CLIENT, limits::AUDIT_MISSING);
        for (budget, (of_one, of_client, all)) in
            [(Budget::STRANGERS, strangers), (Budget::GOVERNED, governed), (Budget::MISSING, missing)]
        {
            for over in [0, 1] {
                let one = (0..of_one + over).map(|_| refusal(0, 0));
                assert_eq!(told(budget, one), (of_one, over), "{budget:?}");
                // As few of each repository as one may have, so that the client's own bound is met.
                let client = (0..of_client + over).map(|n| refusal(0, n / of_one));
                assert_eq!(told(budget, client), (of_client, over), "{budget:?}");
                let everybody = (0..all + over).map(|n| refusal(n / of_one, 0));
                assert_eq!(told(budget, everybody), (all, over), "{budget:?}");
            }
        }
    }

    #[test]
    fn a606_more_than_are_told_apart_are_summed_up_or_told_whole() {
        let keys = limits::AUDIT_TALLY_DENIALS as u64;
        let everybody = |count: u64| (0..count).map(|n| refusal(n, n));
        // Of what is missing names can be made up without end; of denials each is told, and its client is not counted.
        let few = Budget { all: u64::MAX, ..Budget::MISSING };
        assert_eq!(told(few, everybody(keys)), (keys, 0));
        assert_eq!(told(few, everybody(keys + 1)), (keys, 1));
        assert_eq!(told(Budget::GOVERNED, everybody(keys + 1)), (keys + 1, 0));
        let tally = Tally::new(Budget::GOVERNED);
        everybody(keys + 1).for_each(|record| drop(tally.take(record)));
        assert_eq!(tally.table().keys.len() as u64, keys);
        let sums = limits::AUDIT_TALLY_SUMS as u64;
        assert_eq!(told(Budget::STRANGERS, everybody(sums + 1)), (sums, 1));
    }
}
