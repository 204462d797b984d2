//! The next waiter: upstreams in turn, the repositories of each in turn, in each the first to come (A604).

use std::collections::{BTreeMap, VecDeque};

use pullgate_policy::oci::{Registry, Repository};

/// The waiters, by upstream and repository.
pub(super) struct Turns<T> {
    order: VecDeque<Registry>,
    of: BTreeMap<Registry, OfOne<T>>,
}

struct OfOne<T> {
    order: VecDeque<Repository>,
    of: BTreeMap<Repository, VecDeque<T>>,
}

impl<T> Turns<T> {
    pub(super) fn push(&mut self, repository: &Repository, one: T) {
        let registry = repository.registry();
        let of_one = self.of.entry(registry.clone()).or_insert_with(|| {
            self.order.push_back(registry.clone());
            OfOne { order: VecDeque::new(), of: BTreeMap::new() }
        });
        let of_repository = of_one.of.entry(repository.clone()).or_insert_with(|| {
            of_one.order.push_back(repository.clone());
            VecDeque::new()
        });
        of_repository.push_back(one);
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.of.values().flat_map(|of_one| of_one.of.values()).map(VecDeque::len).sum()
    }

    /// The next waiter, if `may` allows it: then its upstream and repository go to the end.
    pub(super) fn next_if(&mut self, may: impl FnOnce(&T) -> bool) -> Option<T> {
        let registry = self.order.front()?.clone();
        let of_one = self.of.get_mut(&registry)?;
        let repository = of_one.order.front()?.clone();
        let waiting = of_one.of.get_mut(&repository)?;
        if !may(waiting.front()?) {
            return None;
        }
        let next = waiting.pop_front();
        of_one.order.pop_front();
        if waiting.is_empty() {
            of_one.of.remove(&repository);
        } else {
            of_one.order.push_back(repository);
        }
        self.order.pop_front();
        if of_one.of.is_empty() {
            self.of.remove(&registry);
        } else {
            self.order.push_back(registry);
        }
        next
    }
}

impl<T> Default for Turns<T> {
    fn default() -> Self {
        Self { order: VecDeque::new(), of: BTreeMap::new() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a604_upstreams_take_turns_then_repositories_then_who_came_first() {
        let mut turns = Turns::default();
        for n in 0..4 {
            turns.push(&"evil.example/a".parse().unwrap(), format!("evil a{n}"));
        }
        turns.push(&"evil.example/b".parse().unwrap(), "evil b".to_owned());
        turns.push(&"good.example/x".parse().unwrap(), "good 0".to_owned());
        turns.push(&"good.example/x".parse().unwrap(), "good 1".to_owned());
        let mut order = Vec::new();
        while let Some(next) = turns.next_if(|_| true) {
            order.push(next);
        }
        assert_eq!(order, ["evil a0", "good 0", "evil b", "good 1", "evil a1", "evil a2", "evil a3"]);
        assert!(turns.of.is_empty() && turns.order.is_empty());
    }

    #[test]
    fn a604_nobody_is_passed_over_who_does_not_fit_yet() {
        let mut turns = Turns::default();
        turns.push(&"a.example/a".parse().unwrap(), 9);
        turns.push(&"b.example/b".parse().unwrap(), 1);
        assert_eq!(turns.next_if(|one| *one < 5), None);
        assert_eq!(turns.next_if(|one| *one == 9), Some(9));
        assert_eq!(turns.next_if(|one| *one < 5), Some(1));
    }
}
