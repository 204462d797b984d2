//! The head of the log as a signed note (C2SP signed-note, in the form of a tlog-checkpoint): the number of the last record
//! that it covers, its hash, and a signature over both.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;

use crate::hash::Hash;
use crate::key::{LogKey, PublicKey};

/// What a line of a signature begins with.
const DASH: &str = "\u{2014} ";

/// The head of the log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// The number of the last record that is covered.
    pub sequence: u64,
    /// The hash of its line.
    pub hash: Hash,
}

/// Whether there was a log before the one that begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begins {
    /// The first that this key signs.
    First,
    /// There was one, of which nothing here is borne out.
    Anew,
}

/// What a note says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Says {
    /// All up to this head is as it was written.
    Covers(Head),
    /// The log begins behind the record with this number: nothing before is covered.
    Begins(u64, Begins),
}

/// A note, and whether its signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is signed by the key.
    Signed(Says),
    /// It is not, or is no note.
    Unsigned,
}

/// The hash of no line, in the note of a beginning.
const NOTHING: Hash = [0; 32];
/// The line by which a note says that a log begins anew.
const ANEW: &str = "anew";

/// Signs what is said of the log: the lines of the note.
pub(crate) fn sign(says: &Says, now: Timestamp, key: &LogKey) -> Vec<String> {
    let name = key.public().name();
    let (sequence, hash, more) = match says {
        Says::Covers(Head { sequence, hash }) => (sequence, hash, String::new()),
        Says::Begins(after, Begins::First) => (after, &NOTHING, String::new()),
        Says::Begins(after, Begins::Anew) => (after, &NOTHING, format!("{ANEW}\n")),
    };
    let text = format!("{name}\n{sequence}\n{}\ntime {now:.3}\n{more}", STANDARD.encode(hash));
    let mut signature = key.public().id().to_vec();
    signature.extend(key.sign(text.as_bytes()));
    let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
    lines.push(String::new());
    lines.push(format!("{DASH}{name} {}", STANDARD.encode(signature)));
    lines
}

/// Checks a note, by its lines, under a key.
#[must_use]
pub fn check(lines: &[String], key: &PublicKey) -> Checked {
    read(lines, key).map_or(Checked::Unsigned, Checked::Signed)
}

/// Whether a note says that a log begins, whoever signed it: for who has no key.
pub(crate) fn claims_to_begin(lines: &[String]) -> Option<(u64, Begins)> {
    let text: Vec<String> = lines.iter().take_while(|line| !line.is_empty()).cloned().collect();
    match said(&text)? {
        Says::Begins(after, begins) => Some((after, begins)),
        Says::Covers(_) => None,
    }
}

fn said(text: &[String]) -> Option<Says> {
    let [_, sequence, hash, more @ ..] = text else { return None };
    let (sequence, hash) = (sequence.parse().ok()?, STANDARD.decode(hash).ok()?.try_into().ok()?);
    Some(match (hash, more.iter().any(|line| line == ANEW)) {
        (NOTHING, true) => Says::Begins(sequence, Begins::Anew),
        (NOTHING, false) => Says::Begins(sequence, Begins::First),
        (hash, _) => Says::Covers(Head { sequence, hash }),
    })
}

fn read(lines: &[String], key: &PublicKey) -> Option<Says> {
    let end = lines.iter().position(String::is_empty)?;
    let (text, signatures) = lines.split_at_checked(end)?;
    let signed: String = text.iter().map(|line| format!("{line}\n")).collect();
    let by = signatures
        .iter()
        .filter_map(|line| line.strip_prefix(DASH)?.strip_prefix(key.name())?.strip_prefix(' '));
    let holds = by.filter_map(|letters| STANDARD.decode(letters).ok()).any(|bytes| {
        bytes.strip_prefix(&key.id()).is_some_and(|signature| key.verify(signed.as_bytes(), signature))
    });
    let name = text.first()?;
    if holds && name == key.name() { said(text) } else { None }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_holds_under_its_key_and_no_changed_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::load_or_create(&folder.path().join("key"), "gate").unwrap();
        let other = LogKey::load_or_create(&folder.path().join("other"), "gate").unwrap();
        for says in [
            Says::Covers(Head { sequence: 7, hash: [9; 32] }),
            Says::Begins(0, Begins::First),
            Says::Begins(7, Begins::Anew),
        ] {
            let note = sign(&says, Timestamp::UNIX_EPOCH, &key);
            assert_eq!(check(&note, key.public()), Checked::Signed(says));
            assert_eq!(check(&note, other.public()), Checked::Unsigned);
            for line in 0..note.len() {
                let mut changed = note.clone();
                changed[line].push('0');
                assert_eq!(check(&changed, key.public()), Checked::Unsigned, "{line}");
            }
        }
        assert_eq!(check(&[], key.public()), Checked::Unsigned);
    }
}
