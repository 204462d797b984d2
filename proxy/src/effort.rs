//! Where the time of a verdict goes: into waiting for the upstream, or into this machine. `on_undecided` does not apply
//! to a `deadline` that the subject's own evidence caused: an attacker must not profit from a failure that he causes
//! (A612).
//!
//! The time in which a task computes, or waits for a thread, counts for its subject, wherever in the gate that is:
//! callers need not count it.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use pullgate_policy::verdict::Subject;

tokio::task_local! {
    /// The subject that this task works for.
    static WORKS_FOR: (Efforts, Subject);
}

/// What verdicts in work have computed so far.
#[derive(Clone, Default)]
pub struct Efforts(Arc<Mutex<HashMap<Subject, Effort>>>);

#[derive(Default)]
struct Effort {
    /// Works about the same subject: pulls, looks, verdicts.
    works: usize,
    /// Those that compute now, or wait for their turn to.
    computing: usize,
    since: Option<Instant>,
    spent: Duration,
    /// Those that wait for a slot, which are scarce only while others compute.
    queued: usize,
    /// Subjects whose verdicts it waits for.
    waits_for: Vec<Subject>,
}

/// Whether this machine has a thread free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Threads {
    /// All are taken.
    Busy,
    /// One is free.
    Free,
}

/// A work, until it is dropped.
struct InWork(Efforts, Subject);

/// Its computing, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Computing(Efforts, Subject);

/// Its waiting for a place, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Queued(Efforts, Subject);

/// Its waiting for another verdict, until it is dropped.
#[derive(Debug)]
#[must_use]
pub struct Waiting(Efforts, Subject, Subject);

/// What this task does from here on is computing, of whomever it works for.
pub fn computing() -> Option<Computing> {
    WORKS_FOR.try_with(|(efforts, subject)| efforts.computes(subject)).ok()
}

/// This task waits for a place.
pub fn queued() -> Option<Queued> {
    let queued = |(efforts, subject): &(Efforts, Subject)| {
        efforts.change(subject, |effort| effort.queued += 1);
        Queued(efforts.clone(), subject.clone())
    };
    WORKS_FOR.try_with(queued).ok()
}

/// This task waits for what another computes about `other`.
pub fn waits_for(other: &Subject) -> Option<Waiting> {
    let waits = |(efforts, subject): &(Efforts, Subject)| {
        efforts.change(subject, |effort| effort.waits_for.push(other.clone()));
        Waiting(efforts.clone(), subject.clone(), other.clone())
    };
    WORKS_FOR.try_with(waits).ok()
}

impl Efforts {
    /// Does a work on behalf of `subject`.
    pub async fn work_for<T>(&self, subject: &Subject, work: impl Future<Output = T>) -> T {
        self.lock().entry(subject.clone()).or_default().works += 1;
        let _in_work = InWork(self.clone(), subject.clone());
        // On the heap: it is moved through several layers here.
        WORKS_FOR.scope((self.clone(), subject.clone()), Box::pin(work)).await
    }

    /// Whether a verdict is late because of computing: it computes now, or did for half of its time, or waits for a
    /// verdict that does, or for a slot while all threads are taken.
    #[must_use]
    pub fn is_its_own_fault(&self, subject: &Subject, threads: Threads) -> bool {
        let (efforts, mut seen) = (self.lock(), HashSet::new());
        let mut looked_at = vec![subject];
        while let Some(one) = looked_at.pop() {
            let Some(effort) = efforts.get(one).filter(|_| seen.insert(one)) else { continue };
            if effort.computing > 0
                || effort.spent >= limits::VERDICT_DEADLINE / 2
                || effort.queued > 0 && threads == Threads::Busy
            {
                return true;
            }
            looked_at.extend(&effort.waits_for);
        }
        false
    }

    fn computes(&self, subject: &Subject) -> Computing {
        self.change(subject, |effort| {
            effort.computing += 1;
            effort.since.get_or_insert_with(Instant::now);
        });
        Computing(self.clone(), subject.clone())
    }

    fn change(&self, subject: &Subject, change: impl FnOnce(&mut Effort)) {
        if let Some(effort) = self.lock().get_mut(subject) {
            change(effort);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Effort>> {
        self.0.lock()
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let mut efforts = self.0.lock();
        if let Some(effort) = efforts.get_mut(&self.1) {
            effort.works = effort.works.saturating_sub(1);
            if effort.works == 0 {
                efforts.remove(&self.1);
            }
        }
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        self.0.change(&self.1, |effort| {
            effort.computing = effort.computing.saturating_sub(1);
            if effort.computing == 0
                && let Some(since) = effort.since.take()
            {
                effort.spent = effort.spent.saturating_add(since.elapsed());
            }
        });
    }
}

impl Drop for Queued {
    fn drop(&mut self) {
        self.0.change(&self.1, |effort| effort.queued = effort.queued.saturating_sub(1));
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.change(&self.1, |effort| {
            if let Some(at) = effort.waits_for.iter().position(|other| *other == self.2) {
                effort.waits_for.swap_remove(at);
            }
        });
    }
}

impl fmt::Debug for Efforts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Efforts").field("subjects", &self.lock().len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use pullgate_policy::oci::Digest;

    use super::*;

    fn subject(n: u8) -> Subject {
        Subject { repository: "r.io/a".parse().unwrap(), digest: Digest::of(&[n]) }
    }

    #[tokio::test]
    async fn a612_a_verdict_is_late_by_its_own_fault_where_it_computes() {
        let (efforts, one, other) = (Efforts::default(), subject(1), subject(2));
        let late = |subject| efforts.is_its_own_fault(subject, Threads::Free);
        assert!(!late(&one));
        let again = efforts.work_for(&one, async {
            efforts
                .work_for(&one, async {
                    assert!(!late(&one), "it waits for the upstream");
                    let computing = computing();
                    assert!(late(&one) && !late(&other));
                    drop(computing);
                })
                .await;
            assert!(!late(&one), "a moment's work");
            efforts.lock().get_mut(&one).unwrap().spent = limits::VERDICT_DEADLINE / 2;
            assert!(late(&one));
        });
        again.await;
        assert!(efforts.lock().is_empty());
        assert!(computing().is_none(), "nobody's");
    }

    #[tokio::test]
    async fn a612_waiting_for_a_verdict_that_computes_is_no_wait_for_an_upstream() {
        let (efforts, one, other) = (Efforts::default(), subject(1), subject(2));
        let late = |threads| efforts.is_its_own_fault(&one, threads);
        efforts
            .work_for(&one, async {
                let place = queued();
                assert!(late(Threads::Busy) && !late(Threads::Free));
                drop(place);
                let waits = waits_for(&other);
                assert!(!late(Threads::Busy));
                efforts
                    .work_for(&other, async {
                        let _in_a_ring = waits_for(&one);
                        assert!(!late(Threads::Busy));
                        let _computing = computing();
                        assert!(late(Threads::Free));
                    })
                    .await;
                assert!(!late(Threads::Busy), "it is done");
                drop(waits);
                assert!(efforts.lock()[&one].waits_for.is_empty());
            })
            .await;
        assert!(efforts.lock().is_empty());
    }
}
