//! When what was signed is read, and how much of it is kept.

use std::sync::Arc;

use crate::budget::{Budget, Cost};
use crate::claim::Claim;
use crate::fault::Fault;
use crate::material::Says;

/// What a piece says, read once, when the first of its signatures was found to hold; once more where that was a stranger's,
/// for whom less of it is kept.
pub(crate) struct Reading<'a> {
    says: &'a Says,
    read: Option<(Keep, Result<Arc<Claim>, Fault>)>,
}

/// Whether a predicate is kept: what nobody whom the policy names has signed no requirement asks about (A602).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keep {
    Nothing,
    Predicate,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(says: &'a Says) -> Self {
        Self { says, read: None }
    }

    pub(crate) fn claim(&mut self, keep: Keep, budget: &mut Budget) -> Result<Arc<Claim>, Fault> {
        if let Some((_, read)) = self.read.as_ref().filter(|(kept, _)| *kept >= keep) {
            return read.clone();
        }
        let length = match self.says {
            Says::Manifest => 0,
            Says::Payload(bytes) | Says::Statement(bytes) => bytes.length(),
        };
        // Twice where it turns out to be too large to be kept.
        budget.take(Cost::reading(length.saturating_mul(2)))?;
        let memory = match keep {
            Keep::Nothing => 0,
            Keep::Predicate => budget.statements,
        };
        let read = Claim::read(self.says, memory).map(Arc::new);
        if let Ok(Claim::Statement(statement)) = read.as_deref() {
            budget.statements = budget.statements.saturating_sub(statement.takes);
        }
        self.read.insert((keep, read)).1.clone()
    }
}
