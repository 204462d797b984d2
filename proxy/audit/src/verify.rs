//! Whether anybody altered the log: the chain of hashes, and the signed heads in it.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::hash::{self, Hash};
use crate::key::PublicKey;
use crate::note::{self, Checked, Head};
use crate::record::Kind;

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The number of the record.
    pub sequence: u64,
    /// Its time, as it says itself.
    pub time: Option<Timestamp>,
    /// What it is.
    pub what: Altered,
}

/// The time between two signed heads, as long as anything comes: five minutes, and one for a machine that is slow.
const HEADS_APART: SignedDuration = SignedDuration::from_mins(6);

/// What was done to a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Altered {
    /// The record is not as it was written.
    Changed,
    /// Records before this one are gone, of which no record tells as lost.
    Dropped,
    /// The signed head is not that of these records, or its signature does not hold.
    Head,
    /// It was not there, or stood elsewhere.
    PutIn,
    /// From this record on no head is signed, longer than the gate ever leaves its head unsigned.
    Unsigned,
    /// It is no record.
    Unreadable,
}

/// What a look at a log came to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Outcome {
    /// Records that were looked at.
    pub records: u64,
    /// Of these, those of a release that did not chain them: nothing is known of them.
    pub unchained: u64,
    /// The first record of the chain: its number and its time.
    pub first: Option<(u64, Timestamp)>,
    /// The last record up to which all holds.
    pub last: Option<(u64, Timestamp)>,
    /// The newest signed head that holds: up to this number nobody without the key altered anything.
    pub signed: Option<(u64, Timestamp)>,
    /// Signed heads that hold.
    pub heads: u64,
    /// Records that the gate itself tells as lost.
    pub lost: u64,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

/// What of a record is looked at.
#[derive(Debug, Clone, Deserialize)]
struct Link {
    time: Timestamp,
    kind: Kind,
    #[serde(default)]
    sequence: u64,
    #[serde(default)]
    before: String,
    #[serde(default)]
    lost: u64,
    #[serde(default)]
    note: Vec<String>,
}

/// Whether a start between two heads has been taken for the reason why none was signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Excuse {
    Left,
    Taken,
}

/// Follows the chain, line by line, oldest first.
#[derive(Debug)]
pub struct Verifier<'a> {
    keys: &'a [PublicKey],
    outcome: Outcome,
    /// The record before: its number, its time and the hash of its line.
    before: Option<(u64, Timestamp, Hash)>,
    /// The first record behind the newest signed head: its number and its time.
    behind: Option<(u64, Timestamp)>,
    /// Since when a head is due: a gate that was killed signs again only after its start, and is let off once.
    due: Option<(Timestamp, Excuse)>,
    /// A link that does not hold: that the record behind it fits tells which of the two was changed.
    broken: Option<Finding>,
}

impl<'a> Verifier<'a> {
    /// Begins; without keys only the chain is followed.
    #[must_use]
    pub fn new(keys: &'a [PublicKey]) -> Self {
        Self { keys, outcome: Outcome::default(), before: None, behind: None, due: None, broken: None }
    }

    /// Whether it need not go on.
    #[must_use]
    pub fn is_done(&self) -> bool {
        self.outcome.finding.is_some()
    }

    /// Signed heads that hold, up to here.
    #[must_use]
    pub fn heads(&self) -> u64 {
        self.outcome.heads
    }

    /// The next line.
    pub fn look(&mut self, line: &str) {
        if self.is_done() {
            return;
        }
        self.outcome.records += 1;
        let Ok(link) = serde_json::from_str::<Link>(line) else {
            let (sequence, time) =
                self.before.map_or((0, None), |(number, time, _)| (number + 1, Some(time)));
            self.outcome.finding =
                self.broken.take().or(Some(Finding { sequence, time, what: Altered::Unreadable }));
            return;
        };
        if link.before.is_empty() && self.before.is_none() {
            // Of a release before, or the first of all: what comes behind it tells whether it is as it was.
            self.outcome.unchained += u64::from(link.sequence != 1);
        }
        let hash = hash::hash(line.as_bytes());
        if let Some(before) = self.before {
            self.follow(before, &link);
            if self.is_done() {
                return;
            }
        }
        let heads = self.outcome.heads;
        if self.broken.is_none() {
            self.look_at_head(&link);
        }
        let is_head = self.outcome.heads > heads;
        if self.is_done() {
            return;
        }
        let this = (link.sequence, link.time);
        if link.sequence > 0 && (!link.before.is_empty() || link.sequence == 1) {
            self.outcome.first.get_or_insert(this);
            if !is_head {
                self.fall_behind(&link);
            }
        }
        if self.broken.is_none() {
            self.outcome.last = Some(this);
        }
        self.before = Some((link.sequence, link.time, hash));
    }

    fn follow(&mut self, before: (u64, Timestamp, Hash), link: &Link) {
        let (number, time, hash) = before;
        let fits = link.before == hex::encode(hash);
        if let Some(broken) = self.broken.take() {
            // The record between is what its successor says that it was: the one before it was changed. Else it was.
            let what = Altered::Changed;
            self.outcome.finding =
                Some(if fits { broken } else { Finding { sequence: number, time: Some(time), what } });
            return;
        }
        let found = |what| Some(Finding { sequence: link.sequence, time: Some(link.time), what });
        if link.sequence <= number {
            self.outcome.finding = found(Altered::PutIn);
            return;
        }
        let missing = link.sequence - number - 1;
        if link.before.is_empty() {
            // A release that did not chain wrote it; behind one that does, somebody took the hash away.
            match self.outcome.first {
                None => self.outcome.unchained += 1,
                Some(_) => self.outcome.finding = found(Altered::Changed),
            }
            return;
        }
        if missing > link.lost {
            self.outcome.finding = found(Altered::Dropped);
            return;
        }
        self.outcome.lost += missing;
        if !fits && missing == 0 {
            self.broken = Some(Finding { sequence: number, time: Some(time), what: Altered::Changed });
        }
        // Where records were lost behind their hash, the one before them is held by no link.
    }

    fn look_at_head(&mut self, link: &Link) {
        if link.kind != Kind::Checkpoint || self.keys.is_empty() {
            return;
        }
        let fits = |head: &Head| hex::encode(head.hash) == link.before && head.sequence < link.sequence;
        let signed = self.keys.iter().find_map(|key| match note::check(&link.note, key) {
            Checked::Signed(head) if fits(&head) => Some(head),
            Checked::Signed(_) | Checked::Unsigned => None,
        });
        match signed {
            Some(head) => {
                self.outcome.heads += 1;
                self.outcome.signed = Some((head.sequence, link.time));
                (self.behind, self.due) = (None, None);
            }
            None => {
                let what = Altered::Head;
                self.outcome.finding = Some(Finding { sequence: link.sequence, time: Some(link.time), what });
            }
        }
    }

    fn fall_behind(&mut self, link: &Link) {
        self.behind.get_or_insert((link.sequence, link.time));
        match (&self.due, link.kind == Kind::Start) {
            (None, _) => self.due = Some((link.time, Excuse::Left)),
            (Some((_, Excuse::Left)), true) => self.due = Some((link.time, Excuse::Taken)),
            (Some(_), _) => {}
        }
    }

    /// What no head covers though one should: who has no key can write all of it anew.
    fn uncovered(&self) -> Option<Finding> {
        let ((sequence, since), (due, _), (_, until, _)) = (self.behind?, self.due?, self.before?);
        let is_due = until.duration_since(due) > HEADS_APART;
        let is_bare = self.outcome.signed.is_none() || is_due;
        let found = Finding { sequence, time: Some(since), what: Altered::Unsigned };
        (is_bare && !self.keys.is_empty()).then_some(found)
    }

    /// What it came to.
    #[must_use]
    pub fn end(mut self) -> Outcome {
        if self.outcome.finding.is_none() {
            self.outcome.finding = self.broken.take().or_else(|| self.uncovered());
        }
        self.outcome
    }
}

#[cfg(test)]
mod tests;
