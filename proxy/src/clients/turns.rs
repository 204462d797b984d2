//! The order in which passwords are hashed (A614). A hash is slow on purpose, so many wrong passwords could keep right ones
//! out: recently right ones go first, then one of each address in turn, and within an address one of each name.

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use pullgate_policy::limits;
use tokio::sync::oneshot;

use super::group::Group;

/// The turns.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Inner>>);

struct Inner {
    free: usize,
    lately: VecDeque<Waiter>,
    /// In the order of their turns.
    order: VecDeque<Group>,
    addresses: BTreeMap<Group, Address>,
    waiting: usize,
}

/// Those who wait at one address.
#[derive(Default)]
struct Address {
    /// In the order of their turns.
    order: VecDeque<String>,
    names: BTreeMap<String, VecDeque<Waiter>>,
    waiting: usize,
}

type Waiter = oneshot::Sender<Turn>;

/// One who may hash, until it is dropped.
#[must_use]
pub(super) struct Turn(Option<Turns>);

/// Too many wait already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

/// Who asks for a turn.
pub(super) enum Who<'a> {
    /// Whoever offers what was right a while ago.
    RightLately,
    /// Anybody, for a name.
    Anybody(Group, &'a str),
}

impl Turns {
    /// So many at once.
    pub(super) fn new(at_once: usize) -> Self {
        let (order, addresses) = (VecDeque::new(), BTreeMap::new());
        let inner = Inner { free: at_once, lately: VecDeque::new(), order, addresses, waiting: 0 };
        Self(Arc::new(Mutex::new(inner)))
    }

    /// Waits for a turn.
    ///
    /// # Errors
    /// [`Full`], where too many wait at this address for this name, or everywhere: also a while later, when others come.
    pub(super) async fn take(&self, who: Who<'_>) -> Result<Turn, Full> {
        let waits = {
            let mut inner = self.lock();
            if inner.free > 0 {
                inner.free -= 1;
                return Ok(Turn(Some(self.clone())));
            }
            let (sender, waits) = oneshot::channel();
            match who {
                Who::RightLately => inner.lately.push_back(sender),
                Who::Anybody(group, name) => inner.queue(group, name, sender),
            }
            waits
        };
        waits.await.map_err(|_dropped| Full)
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let inner = self.lock();
        inner.waiting + inner.lately.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn queue(&mut self, group: Group, name: &str, waiter: Waiter) {
        let address = self.addresses.entry(group).or_default();
        if address.waiting == 0 {
            self.order.push_back(group);
        }
        address.push(name, waiter);
        self.waiting += 1;
        if address.waiting > limits::PASSWORDS_WAITING_OF_ONE {
            address.drop_last_of_longest();
            self.waiting -= 1;
        }
        if self.waiting > limits::PASSWORDS_WAITING
            && let Some(most) = self.addresses.values_mut().max_by_key(|address| address.waiting)
        {
            most.drop_last_of_longest();
            self.waiting -= 1;
        }
    }

    fn next(&mut self) -> Option<Waiter> {
        if let Some(waiter) = self.lately.pop_front() {
            return Some(waiter);
        }
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
}

impl Address {
    fn push(&mut self, name: &str, waiter: Waiter) {
        match self.names.get_mut(name) {
            Some(queue) => queue.push_back(waiter),
            None => {
                self.order.push_back(name.to_owned());
                self.names.insert(name.to_owned(), VecDeque::from([waiter]));
            }
        }
        self.waiting += 1;
    }

    fn next(&mut self) -> Option<Waiter> {
        let name = self.order.pop_front()?;
        let queue = self.names.get_mut(&name)?;
        let waiter = queue.pop_front();
        self.waiting = self.waiting.saturating_sub(usize::from(waiter.is_some()));
        if queue.is_empty() {
            self.names.remove(&name);
        } else {
            self.order.push_back(name);
        }
        waiter
    }

    /// The newest of the name that has most: whoever floods, floods himself.
    fn drop_last_of_longest(&mut self) {
        let longest = self.names.iter().max_by_key(|(_, queue)| queue.len());
        let Some(name) = longest.map(|(name, _)| name.clone()) else { return };
        if let Some(queue) = self.names.get_mut(&name) {
            queue.pop_back();
            if queue.is_empty() {
                self.names.remove(&name);
                self.order.retain(|other| *other != name);
            }
        }
        self.waiting = self.waiting.saturating_sub(1);
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut inner = turns.lock();
                match inner.next() {
                    Some(next) => next,
                    // An address whose last one was dropped stands in the order still.
                    None if !inner.order.is_empty() => continue,
                    None => {
                        inner.free += 1;
                        return;
                    }
                }
            };
            // Who has left is passed over.
            match next.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                Err(mut unused) => unused.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(last: u8) -> Group {
        Group::of(std::net::IpAddr::from([192, 0, 2, last]))
    }

    /// Asks for a turn, and is in the queue when this returns.
    async fn asks(
        turns: &Turns,
        at: u8,
        name: &str,
        order: &Arc<Mutex<Vec<String>>>,
    ) -> tokio::task::JoinHandle<bool> {
        let (turns, name, order) = (turns.clone(), name.to_owned(), Arc::clone(order));
        let asked = tokio::spawn(async move {
            let who = if at == 0 { Who::RightLately } else { Who::Anybody(group(at), &name) };
            let turn = turns.take(who).await;
            if turn.is_ok() {
                order.lock().unwrap().push(format!("{name}@{at}"));
            }
            turn.is_ok()
        });
        // There is one thread: by then it waits.
        tokio::task::yield_now().await;
        asked
    }

    #[tokio::test]
    async fn a614_of_each_address_and_of_each_name_there_one_has_its_turn() {
        let (turns, order) = (Turns::new(1), Arc::default());
        let held = turns.take(Who::RightLately).await.ok().unwrap();
        let mut all = Vec::new();
        for (at, name) in [(1, "flood"), (1, "flood"), (1, "flood"), (1, "node"), (2, "other"), (0, "known")]
        {
            all.push(asks(&turns, at, name, &order).await);
        }
        drop(held);
        for one in all {
            assert!(one.await.unwrap());
        }
        let order = order.lock().unwrap().clone();
        assert_eq!(order, ["known@0", "flood@1", "other@2", "node@1", "flood@1", "flood@1"]);
        assert_eq!(turns.lock().free, 1);
        assert!(turns.lock().addresses.is_empty() && turns.lock().order.is_empty());
    }

    #[tokio::test]
    async fn a614_over_the_limit_of_an_address_the_newest_of_the_name_that_has_most_is_told_at_once() {
        let (turns, order) = (Turns::new(1), Arc::default());
        let held = turns.take(Who::RightLately).await.ok().unwrap();
        let mut flood = Vec::new();
        for _ in 0..limits::PASSWORDS_WAITING_OF_ONE {
            flood.push(asks(&turns, 1, "flood", &order).await);
        }
        assert_eq!(turns.waiting(), limits::PASSWORDS_WAITING_OF_ONE);
        let right = asks(&turns, 1, "node", &order).await;
        assert!(!flood.pop().unwrap().await.unwrap(), "it was the newest");
        assert_eq!(turns.waiting(), limits::PASSWORDS_WAITING_OF_ONE);
        assert!(!asks(&turns, 1, "flood", &order).await.await.unwrap());
        drop(held);
        assert!(right.await.unwrap());
        assert_eq!(order.lock().unwrap()[1], "node@1", "the second of all, behind one of the flood");
        for one in flood {
            assert!(one.await.unwrap());
        }
    }

    #[tokio::test]
    async fn a614_over_the_limit_of_all_the_address_that_has_most_loses_one() {
        let (turns, order) = (Turns::new(1), Arc::default());
        let held = turns.take(Who::RightLately).await.ok().unwrap();
        let addresses = u8::try_from(limits::PASSWORDS_WAITING / limits::PASSWORDS_WAITING_OF_ONE).unwrap();
        let mut all = Vec::new();
        for at in 1..=addresses {
            for _ in 0..limits::PASSWORDS_WAITING_OF_ONE {
                all.push(asks(&turns, at, "flood", &order).await);
            }
        }
        let right = asks(&turns, addresses + 1, "node", &order).await;
        assert_eq!(turns.waiting(), limits::PASSWORDS_WAITING);
        drop(held);
        assert!(right.await.unwrap());
        let mut refused = 0;
        for one in all {
            refused += usize::from(!one.await.unwrap());
        }
        assert_eq!(refused, 1);
    }

    #[tokio::test]
    async fn who_has_left_is_passed_over_and_every_turn_comes_back() {
        let (turns, order) = (Turns::new(1), Arc::default());
        let held = turns.take(Who::RightLately).await.ok().unwrap();
        let (left, stays) = (asks(&turns, 1, "left", &order).await, asks(&turns, 1, "stays", &order).await);
        left.abort();
        let _ = left.await;
        drop(held);
        assert!(stays.await.unwrap());
        assert_eq!(turns.lock().free, 1);
    }
}
