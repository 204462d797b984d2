//! The questions of the order, and how often each was asked.

use std::sync::atomic::{AtomicU64, Ordering};

/// The questions, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Question {
    /// Can the clock be believed?
    Clock,
    /// Does a policy govern the repository?
    Scope,
    /// Is the digest blocked that is asked for?
    Block,
    /// What does the policy say of the document without evidence?
    Rule,
    /// Is a permit remembered?
    Permit,
    /// Does a root grant it that is permitted now?
    Grant,
    /// Was it denied a moment ago?
    Denial,
    /// Is it evidence, and nothing else?
    ServableEvidence,
    /// What does its evidence say?
    Evidence,
}

/// How often each question was asked: a pull that nothing is remembered of asks each once.
#[derive(Debug, Default)]
pub struct Counts([AtomicU64; 9]);

impl Counts {
    pub(in crate::pull) fn count(&self, question: Question) {
        if let Some(count) = self.0.get(question as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// How often each was asked, in their order.
    #[must_use]
    pub fn all(&self) -> [u64; 9] {
        self.0.each_ref().map(|count| count.load(Ordering::Relaxed))
    }
}
