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

/// A note, and whether its signature holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checked {
    /// It is signed by the key.
    Signed(Head),
    /// It is not, or is no note.
    Unsigned,
}

/// Signs the head: the lines of the note.
pub(crate) fn sign(head: &Head, now: Timestamp, key: &LogKey) -> Vec<String> {
    let name = key.public().name();
    let text = format!("{name}\n{}\n{}\ntime {now:.3}\n", head.sequence, STANDARD.encode(head.hash));
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

fn read(lines: &[String], key: &PublicKey) -> Option<Head> {
    let end = lines.iter().position(String::is_empty)?;
    let (text, signatures) = lines.split_at_checked(end)?;
    let signed: String = text.iter().map(|line| format!("{line}\n")).collect();
    let by = signatures
        .iter()
        .filter_map(|line| line.strip_prefix(DASH)?.strip_prefix(key.name())?.strip_prefix(' '));
    let holds = by.filter_map(|letters| STANDARD.decode(letters).ok()).any(|bytes| {
        bytes.strip_prefix(&key.id()).is_some_and(|signature| key.verify(signed.as_bytes(), signature))
    });
    let [name, sequence, hash, ..] = text else { return None };
    if !holds || name != key.name() {
        return None;
    }
    Some(Head { sequence: sequence.parse().ok()?, hash: STANDARD.decode(hash).ok()?.try_into().ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_holds_under_its_key_and_no_changed_one_does() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::load_or_create(&folder.path().join("key"), "gate").unwrap();
        let head = Head { sequence: 7, hash: [9; 32] };
        let note = sign(&head, Timestamp::UNIX_EPOCH, &key);
        assert_eq!(check(&note, key.public()), Checked::Signed(head));
        let other = LogKey::load_or_create(&folder.path().join("other"), "gate").unwrap();
        assert_eq!(check(&note, other.public()), Checked::Unsigned);
        for line in 0..note.len() {
            let mut changed = note.clone();
            changed[line].push('0');
            assert_eq!(check(&changed, key.public()), Checked::Unsigned, "{line}");
        }
        assert_eq!(check(&[], key.public()), Checked::Unsigned);
    }
}
