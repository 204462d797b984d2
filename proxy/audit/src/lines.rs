//! Lines of the log, read again: where it ends, and which records came after a row.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use crate::hash::{Hash, hash};
use crate::log::{Rotation, numbered};

/// Bytes read at the end of a log, to see whether its last line is whole. No line is longer.
const TAIL_BYTES: u64 = 1024 * 1024;
/// What a record of ours begins with.
const BEGINS: &[u8] = b"{\"time\":";
/// What stands before its number, right behind its time.
const SEQUENCE: &str = "\"sequence\":";
/// What stands in a checkpoint: in a text of any other record the quotes would be escaped.
const CHECKPOINT: &[u8] = b"\"kind\":\"checkpoint\"";
/// Bytes of a line in which that is looked for.
const HEAD_BYTES: usize = 96;
/// Bytes of lines that are taken together.
const STEP_BYTES: usize = 4 * 1024 * 1024;

/// How a log ends.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct End {
    /// Bytes, as far as its lines are whole.
    pub(super) length: u64,
    /// Records that were cut off and are gone.
    pub(super) torn: u64,
    /// The number of the last record; 0 where none has one.
    pub(super) sequence: u64,
    /// The hash of its line.
    pub(super) hash: Hash,
}

impl End {
    /// The number of the last record that stands in the log, where the newest row and the newest record that was taken have
    /// these. A log in which none stands was moved away by whoever rotates it, up to one that was cut off since.
    pub(super) fn last(&self, newest_row: u64, newest_taken: u64) -> u64 {
        match self.sequence {
            0 => newest_row.min(newest_row.max(newest_taken).saturating_sub(self.torn)),
            sequence => sequence,
        }
    }
}

/// Cuts a last line that a kill or a full disk left half written (A502). Only what looks like a record of ours is cut;
/// anything else gets an end.
pub(super) fn mend(path: &Path, writing: &File) -> io::Result<End> {
    let (length, tail) = tail(path)?;
    let (whole, last) = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => tail.split_at(end.saturating_add(1)),
        None => tail.split_at(0),
    };
    let (sequence, hash) = last_of(whole);
    if last.is_empty() {
        return Ok(End { length, torn: 0, sequence, hash });
    }
    if last.starts_with(BEGINS) {
        let length = length.saturating_sub(last.len() as u64);
        writing.set_len(length)?;
        return Ok(End { length, torn: 1, sequence, hash });
    }
    let mut writing = writing;
    writing.write_all(b"\n")?;
    Ok(End { length: length.saturating_add(1), torn: 0, sequence, hash })
}

/// The number of the last record in a file, and the hash of its line; 0 where there is none.
pub(super) fn last_record(path: &Path) -> (u64, Hash) {
    tail(path).map(|(_, tail)| last_of(&tail)).unwrap_or_default()
}

/// The number of the newest checkpoint in a log, if it has one.
pub(super) fn newest_checkpoint(path: &Path) -> io::Result<Option<u64>> {
    for name in names(path) {
        let mut file = match File::open(name) {
            Ok(file) => BufReader::new(file),
            Err(error) if error.kind() == io::ErrorKind::NotFound => break,
            Err(error) => return Err(error),
        };
        let (mut newest, mut line) = (None, Vec::new());
        while (&mut file).take(TAIL_BYTES).read_until(b'\n', &mut line)? > 0 {
            if is_checkpoint(&line) {
                newest = Some(sequence(&line)).filter(|number| *number > 0).or(newest);
            }
            line.clear();
        }
        if newest.is_some() {
            return Ok(newest);
        }
    }
    Ok(None)
}

/// Whether a line is that of a checkpoint.
pub(super) fn is_checkpoint(line: &[u8]) -> bool {
    line.windows(CHECKPOINT.len()).any(|text| text == CHECKPOINT)
}

/// The files of a log, the newest first.
fn names(path: &Path) -> impl Iterator<Item = PathBuf> {
    std::iter::once(path.to_owned()).chain((1..=Rotation::PULLS.files).map(|n| numbered(path, n)))
}

fn tail(path: &Path) -> io::Result<(u64, Vec<u8>)> {
    let mut reading = File::open(path)?;
    let length = reading.metadata()?.len();
    reading.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
    let mut tail = Vec::new();
    reading.take(TAIL_BYTES).read_to_end(&mut tail)?;
    Ok((length, tail))
}

fn last_of(lines: &[u8]) -> (u64, Hash) {
    let mut numbered = lines.rsplit(|byte| *byte == b'\n').map(|line| (sequence(line), line));
    let last = numbered.find(|(number, _)| *number > 0);
    last.map_or((0, Hash::default()), |(number, line)| (number, hash(line)))
}

/// The number of a record; 0 of any other text.
fn sequence(line: &[u8]) -> u64 {
    let head = line.get(..HEAD_BYTES.min(line.len())).unwrap_or_default();
    let Some((_, rest)) = head
        .starts_with(BEGINS)
        .then(|| std::str::from_utf8(head).ok())
        .flatten()
        .and_then(|head| head.split_once(SEQUENCE))
    else {
        return 0;
    };
    let digits = rest.split(|digit: char| !digit.is_ascii_digit()).next().unwrap_or_default();
    digits.parse().unwrap_or_default()
}

/// The lines of a log after a record, oldest first.
#[derive(Debug)]
pub(super) struct Lines {
    after: u64,
    files: VecDeque<BufReader<File>>,
}

impl Lines {
    /// Opens those files of the log that can hold what came after the record with this number. Held open, they can be
    /// moved aside meanwhile.
    pub(super) fn after(path: &Path, after: u64) -> io::Result<Self> {
        let mut files = VecDeque::new();
        for name in names(path) {
            match first(&name) {
                Ok((file, first)) => {
                    files.push_front(file);
                    // 0 is a file that has just been begun, or one of a release before.
                    if first > 0 && first <= after.saturating_add(1) {
                        break;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::NotFound => break,
                Err(error) => return Err(error),
            }
        }
        Ok(Self { after, files })
    }

    /// The next lines, without their ends, each with its number. None of them is left when there are none.
    pub(super) fn next(&mut self, most: usize) -> io::Result<Vec<(u64, String)>> {
        let (mut found, mut bytes) = (Vec::new(), 0_usize);
        while found.len() < most
            && bytes < STEP_BYTES
            && let Some(file) = self.files.front_mut()
        {
            let mut line = Vec::new();
            file.read_until(b'\n', &mut line)?;
            if line.pop() != Some(b'\n') {
                self.files.pop_front();
                continue;
            }
            let number = sequence(&line);
            if number > self.after
                && let Ok(line) = String::from_utf8(line)
            {
                self.after = number;
                bytes = bytes.saturating_add(line.len());
                found.push((number, line));
            }
        }
        Ok(found)
    }
}

/// A file from its beginning, and the number of its first record.
fn first(path: &PathBuf) -> io::Result<(BufReader<File>, u64)> {
    let mut file = BufReader::new(File::open(path)?);
    let mut line = Vec::new();
    (&mut file).take(TAIL_BYTES).read_until(b'\n', &mut line)?;
    let number = sequence(&line);
    file.seek(SeekFrom::Start(0))?;
    Ok((file, number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(n: u64) -> String {
        format!("{{\"time\":\"2026-11-30T00:00:00Z\",\"sequence\":{n},\"id\":\"x\"}}\n")
    }

    fn file(path: &Path, numbers: std::ops::RangeInclusive<u64>) {
        std::fs::write(path, numbers.map(line).collect::<String>()).unwrap();
    }

    fn numbers(path: &Path, after: u64) -> Vec<u64> {
        let mut lines = Lines::after(path, after).unwrap();
        let mut found = Vec::new();
        loop {
            let step = lines.next(3).unwrap();
            if step.is_empty() {
                return found;
            }
            found.extend(step.into_iter().map(|(number, _)| number));
        }
    }

    #[test]
    fn a606_what_came_after_a_record_is_found_across_files_that_were_moved_aside() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        file(&numbered(&path, 2), 1..=10);
        file(&numbered(&path, 1), 11..=20);
        file(&path, 21..=25);
        for after in [0, 5, 10, 11, 19, 20, 24] {
            assert_eq!(numbers(&path, after), (after + 1..=25).collect::<Vec<_>>(), "{after}");
        }
        assert!(numbers(&path, 25).is_empty() && numbers(&path, 99).is_empty());
        std::fs::write(&path, "").unwrap();
        assert_eq!(numbers(&path, 18), [19, 20], "one that has just been begun");
    }

    #[test]
    fn a606_only_whole_records_with_a_number_are_made_good_from() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let text = format!(
            "other\n{{\"time\":\"t\",\"id\":1}}\n{}{{\"x\":\"\\\"sequence\\\":9\"}}\n{}",
            line(7),
            line(8).trim()
        );
        std::fs::write(&path, text).unwrap();
        assert_eq!(numbers(&path, 0), [7]);
        assert_eq!(last_record(&path), (8, hash(line(8).trim().as_bytes())));
    }
}
