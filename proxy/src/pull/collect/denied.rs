//! A denial that is known again by what it rests on: after `deny_ttl` the layouts are asked anew, and the same evidence
//! is not verified once more to the same end (A604).

use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Rejected, Source, Unread};
use pullgate_policy::verdict::Denial;

use super::Collected;

/// A denial, and what was collected for it.
#[derive(Debug)]
pub struct Denied {
    denial: Denial,
    found: Vec<Source>,
    rejected: Vec<Rejected>,
    unread: Vec<Unread>,
}

impl Denied {
    /// None where another hour may say something else of the same evidence.
    #[must_use]
    pub fn new(denial: &Denial, evidence: &Evidence, collected: &Collected) -> Option<Self> {
        let may_change = |rejected: &Rejected| {
            matches!(rejected.code, Code::Internal | Code::TimeInFuture | Code::TrustStale)
        };
        if evidence.rejected.iter().any(may_change) {
            return None;
        }
        Some(Self {
            denial: denial.clone(),
            found: sources(collected),
            rejected: collected.rejected.clone(),
            unread: collected.unread.clone(),
        })
    }

    /// Whether this is the same evidence: every piece by the digests of itself and its carrier, from the same layout.
    #[must_use]
    pub fn rests_on(&self, collected: &Collected) -> bool {
        self.found == sources(collected)
            && self.rejected == collected.rejected
            && self.unread == collected.unread
    }

    /// The bytes that its lists and their texts take.
    #[must_use]
    pub fn held(&self) -> usize {
        let details = self.rejected.iter().map(|rejected| rejected.detail.len()).sum::<usize>();
        size_of_val(self.found.as_slice())
            + size_of_val(self.rejected.as_slice())
            + size_of_val(self.unread.as_slice())
            + details
    }

    /// The denial.
    #[must_use]
    pub fn denial(&self) -> &Denial {
        &self.denial
    }
}

fn sources(collected: &Collected) -> Vec<Source> {
    collected.found.iter().map(|found| found.source).collect()
}
