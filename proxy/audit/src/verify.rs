//! Whether anybody altered the log: the chain of hashes, and the signed heads in it.
//!
//! A gate that finds another end than it left begins anew, and signs that it does: what came before is then a piece by
//! itself, which holds or does not.

use jiff::{SignedDuration, Timestamp};
use serde::Deserialize;

use crate::hash::{self, Hash};
use crate::key::PublicKey;
use crate::limits::LOG_PIECES;
use crate::note::{self, Begins, Checked, Head, Says};
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
    /// The log begins anew with this record, and what was before is not here.
    Missing,
    /// It was not there, or stood elsewhere.
    PutIn,
    /// It begins anew once more than is told apart.
    TooManyPieces,
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
    /// Records that the gate itself tells as lost.
    pub lost: u64,
    /// Its pieces, oldest first: one, unless it began anew.
    pub pieces: Vec<Piece>,
}

/// A part of a log that hangs together, as far as it holds.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Piece {
    /// That the gate signed that the log begins here, where it did.
    pub begins: Option<Begins>,
    /// The first record of the chain: its number and its time.
    pub first: Option<(u64, Timestamp)>,
    /// The last record up to which all holds.
    pub last: Option<(u64, Timestamp)>,
    /// The newest signed head that holds: up to this number nobody without the key altered anything.
    pub signed: Option<(u64, Timestamp)>,
    /// Signed heads that hold.
    pub heads: u64,
    /// The first thing that is wrong.
    pub finding: Option<Finding>,
}

impl Outcome {
    /// The first thing that is wrong anywhere.
    #[must_use]
    pub fn finding(&self) -> Option<&Finding> {
        self.pieces.iter().find_map(|piece| piece.finding.as_ref())
    }
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

/// Whether a later head can still cover what none covers yet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Later {
    Never,
    Perhaps,
}

/// Follows the chain, line by line, oldest first.
#[derive(Debug)]
pub struct Verifier<'a> {
    keys: &'a [PublicKey],
    outcome: Outcome,
    /// The piece that is followed.
    piece: Piece,
    /// The record before: its number, its time and the hash of its line.
    before: Option<(u64, Timestamp, Hash)>,
    /// The first record behind the newest signed head: its number and its time.
    behind: Option<(u64, Timestamp)>,
    /// The time without a head, from when to when: a gate that was killed signs again only after its start, and is let off
    /// once.
    due: Option<(Timestamp, Timestamp, Excuse)>,
    /// A link that does not hold: that the record behind it fits tells which of the two was changed.
    broken: Option<Finding>,
}

impl<'a> Verifier<'a> {
    /// Begins; without keys only the chain is followed.
    #[must_use]
    pub fn new(keys: &'a [PublicKey]) -> Self {
        let (outcome, piece) = (Outcome::default(), Piece::default());
        Self { keys, outcome, piece, before: None, behind: None, due: None, broken: None }
    }

    /// The piece that is followed, counted from 0, and the signed heads in it that hold, up to here.
    #[must_use]
    pub fn heads(&self) -> (usize, u64) {
        (self.outcome.pieces.len(), self.piece.heads)
    }

    /// The record that was looked at last, where all holds up to there.
    #[must_use]
    pub(crate) fn end_so_far(&self) -> Option<Head> {
        let whole = self.piece.finding.is_none() && self.broken.is_none();
        self.before.filter(|_| whole).map(|(sequence, _, hash)| Head { sequence, hash })
    }

    /// The next line.
    pub fn look(&mut self, line: &str) {
        self.outcome.records += 1;
        let Ok(link) = serde_json::from_str::<Link>(line) else {
            let (sequence, time) =
                self.before.map_or((0, None), |(number, time, _)| (number + 1, Some(time)));
            self.find(sequence, time, Altered::Unreadable);
            return;
        };
        let hash = hash::hash(line.as_bytes());
        if let Some(begins) = self.begins(&link) {
            if self.before.is_some() && self.outcome.pieces.len() + 1 >= LOG_PIECES {
                self.find(link.sequence, Some(link.time), Altered::TooManyPieces);
                return;
            }
            self.begin(begins, &link);
        } else if self.piece.finding.is_some() {
            return;
        } else {
            self.go_on(&link);
        }
        if self.piece.finding.is_none() {
            if self.broken.is_none() {
                self.piece.last = Some((link.sequence, link.time));
            }
            self.before = Some((link.sequence, link.time, hash));
        }
    }

    /// Whether the gate says in this record that its log begins; one without a key can only take its word.
    fn begins(&self, link: &Link) -> Option<Begins> {
        if link.kind != Kind::Checkpoint || !link.before.is_empty() {
            return None;
        }
        let said = |key| match note::check(&link.note, key) {
            Checked::Signed(Says::Begins(after, begins)) => Some((after, begins)),
            Checked::Signed(Says::Covers(_)) | Checked::Unsigned => None,
        };
        let claimed = match self.keys {
            [] => note::claims_to_begin(&link.note),
            keys => keys.iter().find_map(said),
        };
        // One that was signed once is put in nowhere else.
        let is_next = self.before.is_none_or(|(number, ..)| link.sequence > number);
        claimed.filter(|(after, _)| after.checked_add(1) == Some(link.sequence) && is_next).map(|(_, is)| is)
    }

    /// A new piece. What is behind the newest head of the one before is covered by none any more.
    fn begin(&mut self, begins: Begins, link: &Link) {
        let before = self.before.map(|(number, ..)| number);
        let is_first = before.is_none() && self.piece == Piece::default();
        if !is_first {
            let gap = before.map_or(0, |number| link.sequence.saturating_sub(number).saturating_sub(1));
            if gap > link.lost {
                self.find(link.sequence, Some(link.time), Altered::Dropped);
            }
            self.outcome.lost += gap.min(link.lost);
            self.close(Later::Never);
        }
        let heads = u64::from(!self.keys.is_empty());
        let first = Some((link.sequence, link.time));
        self.piece = Piece { begins: Some(begins), first, heads, ..Piece::default() };
        self.piece.signed = first.filter(|_| heads > 0);
        (self.before, self.behind, self.due) = (None, None, None);
        if is_first && begins == Begins::Anew {
            // It is followed all the same: what holds from here on is told too.
            self.outcome.pieces.push(missing(link));
        }
    }

    fn go_on(&mut self, link: &Link) {
        if link.before.is_empty() && self.before.is_none() {
            // Of a release before, or the first of all: what comes behind it tells whether it is as it was.
            self.outcome.unchained += u64::from(link.sequence != 1);
        }
        if let Some(before) = self.before {
            self.follow(before, link);
        }
        let heads = self.piece.heads;
        if self.broken.is_none() && self.piece.finding.is_none() {
            self.look_at_head(link);
        }
        if self.piece.finding.is_some() || link.sequence == 0 {
            return;
        }
        if !link.before.is_empty() || link.sequence == 1 {
            self.piece.first.get_or_insert((link.sequence, link.time));
        }
        if self.piece.heads == heads {
            self.fall_behind(link);
        }
    }

    fn follow(&mut self, before: (u64, Timestamp, Hash), link: &Link) {
        let (number, time, hash) = before;
        let fits = link.before == hex::encode(hash);
        if let Some(broken) = self.broken.take() {
            // The record between is what its successor says that it was: the one before it was changed. Else it was.
            let what = Altered::Changed;
            self.piece.finding =
                Some(if fits { broken } else { Finding { sequence: number, time: Some(time), what } });
            return;
        }
        if link.sequence <= number {
            self.find(link.sequence, Some(link.time), Altered::PutIn);
            return;
        }
        let missing = link.sequence - number - 1;
        if link.before.is_empty() {
            // A release that did not chain wrote it; behind one that does, somebody took the hash away.
            match self.piece.first {
                None => self.outcome.unchained += 1,
                Some(_) => self.find(link.sequence, Some(link.time), Altered::Changed),
            }
            return;
        }
        if missing > link.lost {
            self.find(link.sequence, Some(link.time), Altered::Dropped);
            return;
        }
        self.outcome.lost += missing;
        if !fits && missing == 0 {
            self.broken = Some(Finding { sequence: number, time: Some(time), what: Altered::Changed });
        }
        if !fits && missing > 0 {
            // Where records were lost behind their hash, the one before them is held by no link, and by no later head.
            self.piece.finding = self.uncovered(Later::Perhaps);
        }
    }

    fn look_at_head(&mut self, link: &Link) {
        if link.kind != Kind::Checkpoint || self.keys.is_empty() {
            return;
        }
        let fits = |head: &Head| hex::encode(head.hash) == link.before && head.sequence < link.sequence;
        let signed = self.keys.iter().find_map(|key| match note::check(&link.note, key) {
            Checked::Signed(Says::Covers(head)) if fits(&head) => Some(head),
            Checked::Signed(Says::Covers(_) | Says::Begins(..)) | Checked::Unsigned => None,
        });
        match signed {
            Some(head) => {
                self.piece.heads += 1;
                self.piece.signed = Some((head.sequence, link.time));
                (self.behind, self.due) = (None, None);
            }
            None => self.find(link.sequence, Some(link.time), Altered::Head),
        }
    }

    fn fall_behind(&mut self, link: &Link) {
        self.behind.get_or_insert((link.sequence, link.time));
        let now = link.time;
        // Times that run backwards are no less time without a head.
        self.due = Some(match (self.due, link.kind == Kind::Start) {
            (None, _) => (now, now, Excuse::Left),
            (Some((_, _, Excuse::Left)), true) => (now, now, Excuse::Taken),
            (Some((from, to, excuse)), _) => (from.min(now), to.max(now), excuse),
        });
    }

    /// What no head covers though one should: who has no key can write all of it anew.
    fn uncovered(&self, later: Later) -> Option<Finding> {
        let ((sequence, since), (from, to, _)) = (self.behind?, self.due?);
        let is_due = to.duration_since(from) > HEADS_APART;
        let is_bare = self.piece.signed.is_none() || is_due || later == Later::Never;
        let found = Finding { sequence, time: Some(since), what: Altered::Unsigned };
        (is_bare && !self.keys.is_empty()).then_some(found)
    }

    /// Keeps the first thing that is wrong with the piece.
    fn find(&mut self, sequence: u64, time: Option<Timestamp>, what: Altered) {
        if self.piece.finding.is_none() {
            self.piece.finding = self.broken.take().or(Some(Finding { sequence, time, what }));
        }
    }

    fn close(&mut self, later: Later) {
        if self.piece.finding.is_none() {
            self.piece.finding = self.broken.take().or_else(|| self.uncovered(later));
        }
        self.broken = None;
        self.outcome.pieces.push(std::mem::take(&mut self.piece));
    }

    /// What it came to.
    #[must_use]
    pub fn end(mut self) -> Outcome {
        if self.outcome.records > 0 {
            self.close(Later::Perhaps);
        }
        self.outcome
    }
}

/// The piece of which nothing is here.
fn missing(link: &Link) -> Piece {
    let finding = Finding { sequence: link.sequence, time: Some(link.time), what: Altered::Missing };
    Piece { finding: Some(finding), ..Piece::default() }
}

#[cfg(test)]
mod tests;
