//! A fair queue: addresses in turn, and the names of an address in turn.

use std::collections::{BTreeMap, VecDeque};

use super::Waiter;
use crate::clients::Group;

/// The queue.
#[derive(Default)]
pub(super) struct Line {
    /// In the order of their turns.
    order: VecDeque<Group>,
    addresses: BTreeMap<Group, Address>,
    waiting: usize,
    came: u64,
}

/// The waiters of one address.
#[derive(Default)]
struct Address {
    /// In the order of their turns.
    order: VecDeque<String>,
    names: BTreeMap<String, VecDeque<Waiting>>,
    waiting: usize,
}

struct Waiting {
    /// The later it came, the higher.
    number: u64,
    waiter: Waiter,
}

impl Line {
    pub(super) fn push(&mut self, group: Group, name: &str, waiter: Waiter) {
        let address = self.addresses.entry(group).or_insert_with(|| {
            self.order.push_back(group);
            Address::default()
        });
        self.came += 1;
        address.push(name, Waiting { number: self.came, waiter });
        self.waiting += 1;
    }

    pub(super) fn waiting(&self) -> usize {
        self.waiting
    }

    pub(super) fn waiting_at(&self, group: Group) -> usize {
        self.addresses.get(&group).map_or(0, |address| address.waiting)
    }

    pub(super) fn next(&mut self) -> Option<Waiter> {
        let group = self.order.pop_front()?;
        let address = self.addresses.get_mut(&group)?;
        let waiter = address.next();
        self.waiting = self.waiting.saturating_sub(usize::from(waiter.is_some()));
        if address.waiting == 0 {
            self.addresses.remove(&group);
        } else {
            self.order.push_back(group);
        }
        waiter
    }

    /// Drops waiters that have left, else one of the address with the most waiters; of several such addresses, the one
    /// with the newest waiter. Returns whether any was dropped.
    pub(super) fn drop_one(&mut self) -> bool {
        let groups: Vec<_> = self.addresses.keys().copied().collect();
        let left = groups.into_iter().filter(|group| self.drop_left_at(*group)).count();
        if left > 0 {
            return true;
        }
        let most = self.addresses.iter().max_by_key(|(_, address)| (address.waiting, address.newest()));
        most.map(|(group, _)| *group).is_some_and(|group| self.drop_one_at(group))
    }

    /// Drops waiters of the address that have left, else the newest of the name with the most waiters, so that a flood
    /// displaces itself. Of several such names it is the one with the newest waiter, in whatever order they sort.
    /// Returns whether any was dropped.
    pub(super) fn drop_one_at(&mut self, group: Group) -> bool {
        self.drop_left_at(group) || self.change(group, Address::drop_newest_of_longest)
    }

    fn drop_left_at(&mut self, group: Group) -> bool {
        self.change(group, Address::drop_left)
    }

    /// Returns whether the change dropped a waiter.
    fn change(&mut self, group: Group, change: impl FnOnce(&mut Address)) -> bool {
        let Some(address) = self.addresses.get_mut(&group) else { return false };
        let before = address.waiting;
        change(address);
        let gone = before.saturating_sub(address.waiting);
        self.waiting = self.waiting.saturating_sub(gone);
        if address.waiting == 0 {
            self.addresses.remove(&group);
            self.order.retain(|other| *other != group);
        }
        gone > 0
    }
}

impl Address {
    fn push(&mut self, name: &str, waiting: Waiting) {
        match self.names.get_mut(name) {
            Some(queue) => queue.push_back(waiting),
            None => {
                self.order.push_back(name.to_owned());
                self.names.insert(name.to_owned(), VecDeque::from([waiting]));
            }
        }
        self.waiting += 1;
    }

    fn next(&mut self) -> Option<Waiter> {
        let name = self.order.pop_front()?;
        let queue = self.names.get_mut(&name)?;
        let waiting = queue.pop_front()?;
        self.waiting = self.waiting.saturating_sub(1);
        if queue.is_empty() {
            self.names.remove(&name);
        } else {
            self.order.push_back(name);
        }
        Some(waiting.waiter)
    }

    fn newest(&self) -> u64 {
        self.names.values().filter_map(newest).max().unwrap_or_default()
    }

    fn drop_newest_of_longest(&mut self) {
        let longest = self.names.values_mut().max_by_key(|queue| (queue.len(), newest(queue)));
        if longest.is_some_and(|queue| queue.pop_back().is_some()) {
            self.tidy();
        }
    }

    fn drop_left(&mut self) {
        self.names.values_mut().for_each(|queue| queue.retain(|waiting| !waiting.waiter.is_closed()));
        self.tidy();
    }

    fn tidy(&mut self) {
        self.names.retain(|_, queue| !queue.is_empty());
        self.order.retain(|name| self.names.contains_key(name));
        self.waiting = self.names.values().map(VecDeque::len).sum();
    }
}

fn newest(queue: &VecDeque<Waiting>) -> Option<u64> {
    queue.back().map(|waiting| waiting.number)
}
