//! A denial that is recognised by its evidence: after `deny_ttl` the layouts are asked anew, and the same evidence is
//! not verified a second time (A604).

use pullgate_policy::code::Code;
use pullgate_policy::evidence::{Evidence, Rejected, Source, Unread};
use pullgate_policy::verdict::Denial;

/// A denial, and the evidence that was collected for it.
#[derive(Debug)]
pub struct Denied {
    denial: Denial,
    pieces: Pieces,
}

/// The collected evidence: the digests of each piece and its carrier, and the layout.
#[derive(Debug, PartialEq, Eq)]
pub struct Pieces {
    /// What was found.
    pub found: Vec<Source>,
    /// What could not be read.
    pub rejected: Vec<Rejected>,
    /// Layouts that could not be asked.
    pub unread: Vec<Unread>,
}

impl Denied {
    /// `None` where the verdict on the same evidence may change with time.
    #[must_use]
    pub fn new(denial: &Denial, evidence: &Evidence, pieces: Pieces) -> Option<Self> {
        let may_change = |rejected: &Rejected| {
            matches!(rejected.code, Code::Internal | Code::TimeInFuture | Code::TrustStale)
        };
        if evidence.rejected.iter().any(may_change) {
            return None;
        }
        Some(Self { denial: denial.clone(), pieces })
    }

    /// Whether this is the same evidence.
    #[must_use]
    pub fn rests_on(&self, pieces: &Pieces) -> bool {
        self.pieces == *pieces
    }

    /// The bytes that its lists and their texts take.
    #[must_use]
    pub fn held(&self) -> usize {
        let Pieces { found, rejected, unread } = &self.pieces;
        let details = rejected.iter().map(|rejected| rejected.detail.len()).sum::<usize>();
        size_of_val(found.as_slice())
            + size_of_val(rejected.as_slice())
            + size_of_val(unread.as_slice())
            + details
    }

    /// The denial.
    #[must_use]
    pub fn denial(&self) -> &Denial {
        &self.denial
    }
}
