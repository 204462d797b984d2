//! When signed bytes are read, and how much of them is kept.

use std::sync::Arc;

use crate::budget::{Budget, Cost};
use crate::claim::Claim;
use crate::fault::PieceFault;
use crate::material::Says;

/// The claim of a piece, read when the first of its signatures holds; read again where that one was a stranger's, for
/// whom less is kept.
pub(crate) struct Reading<'a> {
    says: &'a Says,
    read: Option<(Keep, Result<Arc<Claim>, PieceFault>)>,
}

/// Whether a predicate is kept: no requirement reads the predicate of a signer whom the policy does not name (A602).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Keep {
    Nothing,
    Predicate,
}

impl<'a> Reading<'a> {
    pub(crate) fn new(says: &'a Says) -> Self {
        Self { says, read: None }
    }

    pub(crate) fn claim(&mut self, keep: Keep, budget: &mut Budget) -> Result<Arc<Claim>, PieceFault> {
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

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pullgate_policy::evidence::Predicate;
    use pullgate_policy::limits;

    use super::*;
    use crate::artifact::SharedArtifact;

    fn statement(length: usize) -> Says {
        let text = format!(
            r#"{{"_type":"https://in-toto.io/Statement/v1","subject":[{{"digest":{{"sha256":"00"}}}}],"predicateType":"a","predicate":{{"text":"{}"}}}}"#,
            "x".repeat(length)
        );
        Says::Statement(SharedArtifact::of(Bytes::from(text)))
    }

    /// Whether the predicate was kept; takes its memory from the budget.
    fn read(length: usize, budget: &mut Budget) -> Predicate {
        match &*Reading::new(&statement(length)).claim(Keep::Predicate, budget).unwrap() {
            Claim::Statement(statement) => statement.predicate,
            Claim::Manifest | Claim::Payload(_) => panic!("no statement"),
        }
    }

    #[test]
    fn a602_a_statement_over_the_memory_is_kept_without_its_predicate() {
        let mut first = Budget::default();
        assert_eq!(read(limits::STATEMENTS_MEMORY / 2, &mut first), Predicate::Kept);
        let left = first.statements;
        let after = || {
            let mut budget = Budget::default();
            budget.statements = left;
            budget
        };
        let kept = |length: &usize| read(*length, &mut after()) == Predicate::Kept;
        let most = (left - 4096..=left).rev().step_by(16).find(kept).unwrap();
        let most = (most..most + 16).rev().find(kept).unwrap();
        let mut budget = after();
        assert_eq!((read(most, &mut budget), budget.statements < 16), (Predicate::Kept, true));
        assert_eq!(read(most + 1, &mut after()), Predicate::Left);
        assert_eq!(read(0, &mut budget), Predicate::Left);
    }
}
