//! The order in which passwords are hashed (A614). A hash is slow on purpose, so many wrong passwords could keep right
//! ones out: recently right ones go first, then those for names in the file, then the rest. The longer wait of the rest
//! does not reveal which names are in the file: every wrong password that had to wait is answered after the same time.

use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use tokio::sync::oneshot;

use super::group::Group;

mod line;

use line::Line;

/// The turns.
#[derive(Clone)]
pub(super) struct Turns(Arc<Mutex<Inner>>);

struct Inner {
    free: usize,
    lately: std::collections::VecDeque<Waiter>,
    named: Line,
    /// All names that are not in the file count as one.
    made_up: Line,
}

type Waiter = oneshot::Sender<Turn>;

/// The right to hash, until it is dropped.
#[must_use]
pub(super) struct Turn(Option<Turns>);

/// Who asks for a turn.
#[derive(Clone, Copy)]
pub(super) enum Who<'a> {
    /// A client with a password that was right a while ago.
    RightLately,
    /// Any client, for a name in the file.
    Named(Group, &'a str),
    /// Any client, for another name.
    MadeUp(Group),
}

/// The answer to a request for a turn.
pub(super) enum TurnAnswer {
    /// The turn.
    Free(Turn),
    /// It waits; an error where too many do, at its address or everywhere: also a while later, when others come.
    Waits(oneshot::Receiver<Turn>),
}

impl Turns {
    /// With `at_once` turns at a time.
    pub(super) fn new(at_once: usize) -> Self {
        let (named, made_up) = (Line::default(), Line::default());
        Self(Arc::new(Mutex::new(Inner { free: at_once, lately: Default::default(), named, made_up })))
    }

    /// Asks for a turn.
    pub(super) fn ask(&self, who: Who<'_>) -> TurnAnswer {
        let mut inner = self.lock();
        if inner.free > 0 {
            inner.free -= 1;
            return TurnAnswer::Free(Turn(Some(self.clone())));
        }
        let (sender, waits) = oneshot::channel();
        match who {
            Who::RightLately => inner.lately.push_back(sender),
            Who::Named(group, name) => {
                inner.named.push(group, name, sender);
                inner.make_room(group);
            }
            Who::MadeUp(group) => {
                inner.made_up.push(group, "", sender);
                inner.make_room(group);
            }
        }
        TurnAnswer::Waits(waits)
    }

    /// How many wait.
    #[cfg(test)]
    pub(super) fn waiting(&self) -> usize {
        let inner = self.lock();
        inner.named.waiting() + inner.made_up.waiting() + inner.lately.len()
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock()
    }
}

impl Inner {
    /// The limits count attempts for any name, so that the time at which the queue empties does not reveal names
    /// either.
    fn make_room(&mut self, group: Group) {
        if self.named.waiting_at(group) + self.made_up.waiting_at(group) > limits::PASSWORDS_WAITING_OF_ONE
            && !self.made_up.drop_one_at(group)
        {
            self.named.drop_one_at(group);
        }
        if self.named.waiting() + self.made_up.waiting() > limits::PASSWORDS_WAITING
            && !self.made_up.drop_one()
        {
            self.named.drop_one();
        }
    }

    fn next(&mut self) -> Option<Waiter> {
        let lately = self.lately.pop_front();
        lately.or_else(|| self.named.next()).or_else(|| self.made_up.next())
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        let Some(turns) = self.0.take() else { return };
        loop {
            let next = {
                let mut inner = turns.lock();
                let Some(next) = inner.next() else {
                    inner.free += 1;
                    return;
                };
                next
            };
            // A waiter that has left is passed over.
            match next.send(Self(Some(turns.clone()))) {
                Ok(()) => return,
                Err(mut unused) => unused.0 = None,
            }
        }
    }
}

#[cfg(test)]
mod tests;
