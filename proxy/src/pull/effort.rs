//! Where the time of a verdict goes: into waiting for the upstream, or into this machine. A `deadline` that one's own
//! evidence brought about is nothing that `on_undecided` softens: who causes a failure must not profit from it (A612).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use pullgate_policy::limits;
use pullgate_policy::verdict::Subject;

/// What verdicts in work have computed so far.
#[derive(Clone, Default)]
pub struct Efforts(Arc<Mutex<HashMap<Subject, Effort>>>);

#[derive(Default)]
struct Effort {
    /// Verdicts about the same subject, under several revisions.
    verdicts: usize,
    /// Those that compute now, or wait for their turn to.
    computing: usize,
    since: Option<Instant>,
    spent: Duration,
}

/// A verdict in work, until it is dropped.
#[must_use]
pub struct InWork(Efforts, Subject);

/// Its computing, until it is dropped.
#[must_use]
pub struct Computing(Efforts, Subject);

impl Efforts {
    /// A verdict begins.
    pub fn begin(&self, subject: &Subject) -> InWork {
        self.lock().entry(subject.clone()).or_default().verdicts += 1;
        InWork(self.clone(), subject.clone())
    }

    /// It computes from here on.
    pub fn computes(&self, subject: &Subject) -> Computing {
        if let Some(effort) = self.lock().get_mut(subject) {
            effort.computing += 1;
            effort.since.get_or_insert_with(Instant::now);
        }
        Computing(self.clone(), subject.clone())
    }

    /// Whether a verdict is late for what it computes: it does so now, or has for half of its time.
    #[must_use]
    pub fn is_its_own_fault(&self, subject: &Subject) -> bool {
        self.lock()
            .get(subject)
            .is_some_and(|effort| effort.computing > 0 || effort.spent >= limits::VERDICT_DEADLINE / 2)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Subject, Effort>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for InWork {
    fn drop(&mut self) {
        let mut efforts = self.0.lock();
        if let Some(effort) = efforts.get_mut(&self.1) {
            effort.verdicts = effort.verdicts.saturating_sub(1);
            if effort.verdicts == 0 {
                efforts.remove(&self.1);
            }
        }
    }
}

impl Drop for Computing {
    fn drop(&mut self) {
        if let Some(effort) = self.0.lock().get_mut(&self.1) {
            effort.computing = effort.computing.saturating_sub(1);
            if effort.computing == 0
                && let Some(since) = effort.since.take()
            {
                effort.spent = effort.spent.saturating_add(since.elapsed());
            }
        }
    }
}

impl fmt::Debug for Efforts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Efforts").field("verdicts", &self.lock().len()).finish()
    }
}

impl fmt::Debug for InWork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("InWork")
    }
}

impl fmt::Debug for Computing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Computing")
    }
}

#[cfg(test)]
mod tests {
    use pullgate_policy::oci::Digest;

    use super::*;

    #[test]
    fn a612_a_verdict_is_late_by_its_own_fault_where_it_computes_or_has_for_half_of_its_time() {
        let efforts = Efforts::default();
        let subject = |n: u8| Subject { repository: "r.io/a".parse().unwrap(), digest: Digest::of(&[n]) };
        let (one, other) = (subject(1), subject(2));
        assert!(!efforts.is_its_own_fault(&one));
        let (work, again) = (efforts.begin(&one), efforts.begin(&one));
        assert!(!efforts.is_its_own_fault(&one), "it waits for the upstream");
        let computing = efforts.computes(&one);
        assert!(efforts.is_its_own_fault(&one) && !efforts.is_its_own_fault(&other));
        drop((computing, work));
        assert!(!efforts.is_its_own_fault(&one), "a moment's work");
        efforts.lock().get_mut(&one).unwrap().spent = limits::VERDICT_DEADLINE / 2;
        assert!(efforts.is_its_own_fault(&one));
        drop(again);
        assert!(efforts.lock().is_empty());
    }
}
