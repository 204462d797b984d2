//! The budget of one subject's evidence: bytes hashed and read, signatures checked, memory kept (A604). The rest is not
//! verified; cheap pieces come first, so that the rest is the expensive ones.

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::code::Code;
use pullgate_policy::evidence::Layout;
use pullgate_policy::identity::{Authority, By, KeyId, Name, RootsId};
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;

use crate::backend::Roots;
use crate::certificate;
use crate::fault::PieceFault;
use crate::found::{Found, Request};
use crate::material::{Signed, Signer};
use crate::trust::TrustTable;

/// Signatures that are checked for one certificate: its own, its chain's, its log's.
const CHECKS_OF_CERTIFICATE: u64 = 8;
/// Signatures that are checked for one more path to a root: at another proven time, or to another root of one name.
const CHECKS_OF_PATH: u64 = 4;
/// Signatures that a path may cost where a signature brings certificates enough to choose among: the library's own bound.
const CHECKS_OF_MAZE: u64 = 100;
/// Certificates between leaf and root that leave nothing to choose.
const PLAIN_CHAIN: usize = 2;
/// Signatures that are checked for one log entry, besides one for each line of its checkpoint.
const CHECKS_OF_ENTRY: u64 = 2;
/// Signatures that are checked for one timestamp, by each authority of a table.
const CHECKS_OF_TIMESTAMP: u64 = 4;
/// How often the library reads and hashes its input, with and without timestamps.
const LIBRARY_READS: u64 = 2;
const LIBRARY_HASHES: u64 = 4;

/// What something costs, in units that do not depend on the machine.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Cost {
    /// Bytes that are hashed.
    pub hashed: u64,
    /// Bytes that are read as JSON.
    pub parsed: u64,
    /// Signatures that are checked.
    pub checks: u64,
}

impl Cost {
    fn and(self, other: Self) -> Self {
        Self {
            hashed: self.hashed.saturating_add(other.hashed),
            parsed: self.parsed.saturating_add(other.parsed),
            checks: self.checks.saturating_add(other.checks),
        }
    }

    /// To read so many bytes.
    pub(crate) fn reading(bytes: u64) -> Self {
        Self { parsed: bytes, ..Self::default() }
    }

    /// Whether it is as much as is done without a pause (A604).
    fn is_a_turn(self) -> bool {
        self.hashed.saturating_add(self.parsed) >= limits::TURN_BYTES || self.checks >= limits::TURN_CHECKS
    }
}

/// What is left of it.
#[derive(Debug, Clone)]
pub(crate) struct Budget {
    spent: Cost,
    left: Cost,
    /// Since the last pause.
    turn: Cost,
    /// Bytes of memory for statements that are kept.
    pub(crate) statements: usize,
}

impl Default for Budget {
    fn default() -> Self {
        let left = Cost {
            hashed: limits::HASHED_BYTES,
            parsed: limits::PARSED_BYTES,
            checks: limits::SIGNATURE_CHECKS,
        };
        Self { spent: Cost::default(), left, turn: Cost::default(), statements: limits::STATEMENTS_MEMORY }
    }
}

impl Budget {
    /// Takes what something costs before it is done.
    ///
    /// # Errors
    /// `evidence-limit`, when there is not so much left: what costs less may still be done.
    pub(crate) fn take(&mut self, cost: Cost) -> Result<(), PieceFault> {
        let left = |left: u64, cost| {
            left.checked_sub(cost)
                .ok_or_else(|| PieceFault::new(Code::EvidenceLimit, "it would cost too much"))
        };
        self.left = Cost {
            hashed: left(self.left.hashed, cost.hashed)?,
            parsed: left(self.left.parsed, cost.parsed)?,
            checks: left(self.left.checks, cost.checks)?,
        };
        self.spent = self.spent.and(cost);
        self.turn = self.turn.and(cost);
        Ok(())
    }

    /// What is left for the evidence of another subject; statements are counted anew, since it keeps others.
    pub(crate) fn rest(&self) -> Self {
        Self { left: self.left, ..Self::default() }
    }

    /// What was taken of it.
    pub(crate) fn spent(&self) -> Cost {
        self.spent
    }

    /// Whether others may have a turn; then the next one begins.
    pub(crate) fn pauses(&mut self) -> bool {
        let pauses = self.turn.is_a_turn();
        if pauses {
            self.turn = Cost::default();
        }
        pauses
    }
}

/// What it costs to check one signature: the first of a piece also pays for hashing the message.
pub(crate) fn of_signature(request: &Request<'_>, signed: &Signed, first: bool) -> Cost {
    let length = signed.message.length();
    let shared = Cost { hashed: if first { length.saturating_mul(3) } else { 0 }, ..Cost::default() };
    let library = Cost {
        hashed: length.saturating_mul(LIBRARY_HASHES),
        parsed: length.saturating_mul(LIBRARY_READS),
        checks: vouchers(signed),
    };
    match &signed.signer {
        Signer::Certificate(leaf) => {
            let key = certificate::key(leaf).map(|key| key.id()).ok();
            let way = |authority: &Authority| match &authority.by {
                By::Identity { .. } => Some(Way::Table),
                By::Certificate { roots, .. } => Some(Way::Own(*roots)),
                By::Keys(keys) => key.filter(|key| keys.contains(key)).map(|_| Way::Key),
                By::Subjects { .. } => None,
            };
            let ways: BTreeSet<(&Name, Way)> = request
                .authorities
                .iter()
                .filter_map(|authority| Some((&authority.trust, way(authority)?)))
                .collect();
            let each = |(trust, way): &(&Name, Way)| {
                let roots = match way {
                    Way::Key => 0,
                    Way::Own(roots) => request.keys.roots(roots).map_or(0, Roots::namesakes),
                    Way::Table => request.trust.get(trust).map_or(0, TrustTable::namesakes),
                };
                library.and(Cost { checks: of_paths(signed, roots), ..Cost::default() })
            };
            ways.iter().map(each).fold(shared, Cost::and)
        }
        Signer::Key => {
            let keys: BTreeSet<&KeyId> = request
                .authorities
                .iter()
                .filter_map(|authority| match &authority.by {
                    By::Keys(keys) => Some(keys),
                    By::Certificate { .. } | By::Identity { .. } | By::Subjects { .. } => None,
                })
                .flatten()
                .collect();
            let key = |id| {
                let Some(key) = request.keys.get(id) else { return Cost::default() };
                let hashed = if key.hashes_anew() { length } else { 0 };
                Cost { hashed, parsed: 0, checks: key.forms() }
            };
            // Of those that are tried one has signed, if any: what vouches for it is looked at once.
            let vouched = if vouchers(signed) == 0 { Cost::default() } else { library };
            keys.into_iter().map(key).fold(shared.and(vouched), Cost::and)
        }
    }
}

/// Signatures that are checked for a certificate: its own, and those of a path at each time that may be proven, to each of
/// the roots that share a name (A624).
fn of_paths(signed: &Signed, roots: usize) -> u64 {
    let entries = signed.bundle.entries.as_deref().map_or(0, <[_]>::len);
    let times = entries.saturating_add(signed.bundle.timestamps.len()).max(1);
    let paths = times.saturating_mul(roots.max(1)) as u64;
    let is_plain = signed.bundle.intermediates().len() <= PLAIN_CHAIN;
    let (first, each) = if is_plain { (0, CHECKS_OF_PATH) } else { (CHECKS_OF_MAZE, CHECKS_OF_MAZE) };
    let more = paths.saturating_sub(1).saturating_mul(each);
    CHECKS_OF_CERTIFICATE.saturating_add(first).saturating_add(more)
}

/// By what a signature with a certificate may count under one trust table.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
enum Way {
    Key,
    Own(RootsId),
    Table,
}

fn vouchers(signed: &Signed) -> u64 {
    let entries = signed.bundle.entries.as_deref().unwrap_or_default();
    let lines = |entry: &serde_json::Value| {
        let note = entry.pointer("/inclusionProof/checkpoint/envelope").and_then(serde_json::Value::as_str);
        note.map_or(0, |note| note.bytes().filter(|byte| *byte == b'\n').count() as u64)
    };
    let entries: u64 = entries.iter().map(|entry| CHECKS_OF_ENTRY + lines(entry)).sum();
    entries + signed.bundle.timestamps.len() as u64 * CHECKS_OF_TIMESTAMP
}

/// The order in which pieces are looked at: carriers of a layout take turns, and layouts; of each the smallest first.
/// Junk in one crowds nothing out of another (A143, A604).
pub(crate) fn order(found: &[Found]) -> Vec<usize> {
    let size = |at: &usize| found.get(*at).map_or(0, |found| found.item.length());
    let mut layouts: BTreeMap<Layout, BTreeMap<Digest, Vec<usize>>> = BTreeMap::new();
    for (at, found) in found.iter().enumerate() {
        let carriers = layouts.entry(found.source.layout).or_default();
        carriers.entry(found.source.manifest).or_default().push(at);
    }
    let mut ranked: Vec<(usize, u64, usize)> = Vec::new();
    for carriers in layouts.into_values() {
        let mut of_layout: Vec<(usize, u64, usize)> = Vec::new();
        for mut pieces in carriers.into_values() {
            pieces.sort_by_key(|at| (size(at), *at));
            of_layout.extend(pieces.into_iter().enumerate().map(|(rank, at)| (rank, size(&at), at)));
        }
        of_layout.sort_unstable();
        ranked.extend(of_layout.into_iter().enumerate().map(|(rank, (_, size, at))| (rank, size, at)));
    }
    ranked.sort_unstable();
    ranked.into_iter().map(|(_, _, at)| at).collect()
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pullgate_policy::evidence::Source;

    use super::*;
    use crate::found::Item;

    fn found(layout: Layout, carrier: &[u8], size: usize) -> Found {
        let (manifest, blob) = (Digest::of(carrier), Digest::of(&size.to_be_bytes()));
        let item = Item::Bundle { json: Bytes::from(vec![0; size]) };
        Found { source: Source { layout, manifest, blob }, item }
    }

    #[test]
    fn a604_layouts_and_carriers_take_turns_and_of_each_the_smallest_comes_first() {
        let junk = |size| found(Layout::Referrers, b"junk", size);
        let mut all: Vec<Found> = (1..=5).map(junk).collect();
        all.push(found(Layout::Referrers, b"good", 50));
        all.push(found(Layout::SigTag, b"tag", 60));
        all.push(found(Layout::SigTag, b"tag", 9));
        assert_eq!(order(&all), [0, 7, 5, 6, 1, 2, 3, 4]);
    }

    #[test]
    fn a604_what_is_over_the_budget_is_refused_by_one_and_what_costs_less_is_still_done() {
        for (cost, over) in [
            (Cost { hashed: limits::HASHED_BYTES, ..Cost::default() }, Cost { hashed: 1, ..Cost::default() }),
            (Cost { parsed: limits::PARSED_BYTES, ..Cost::default() }, Cost::reading(1)),
            (
                Cost { checks: limits::SIGNATURE_CHECKS, ..Cost::default() },
                Cost { checks: 1, ..Cost::default() },
            ),
        ] {
            let mut budget = Budget::default();
            assert_eq!(
                budget.take(cost.and(over)).map_err(|fault| fault.code),
                Err(Code::EvidenceLimit),
                "{cost:?}"
            );
            assert_eq!(budget.take(cost), Ok(()));
            assert_eq!(budget.take(over).map_err(|fault| fault.code), Err(Code::EvidenceLimit), "{cost:?}");
            assert_eq!(budget.take(Cost::default()), Ok(()));
            assert_eq!(budget.spent(), cost, "what was refused was not spent");
        }
    }

    #[test]
    fn a604_what_one_subject_has_used_is_not_there_for_the_next_one() {
        let checks = |checks| Cost { checks, ..Cost::default() };
        let mut budget = Budget { statements: 0, ..Budget::default() };
        budget.take(checks(limits::SIGNATURE_CHECKS - 1)).unwrap();
        let mut rest = budget.rest();
        assert_eq!(rest.statements, limits::STATEMENTS_MEMORY, "it keeps its own");
        assert_eq!(rest.take(checks(2)).map_err(|fault| fault.code), Err(Code::EvidenceLimit));
        assert_eq!(rest.take(checks(1)), Ok(()));
    }

    #[test]
    fn a604_a_turn_ends_after_so_much_work_and_the_next_one_begins_anew() {
        let mut budget = Budget::default();
        budget.take(Cost::reading(limits::TURN_BYTES - 1)).unwrap();
        assert!(!budget.pauses());
        budget.take(Cost { hashed: 1, ..Cost::default() }).unwrap();
        assert!(budget.pauses() && !budget.pauses());
        budget.take(Cost { checks: limits::TURN_CHECKS, ..Cost::default() }).unwrap();
        assert!(budget.pauses());
    }
}
