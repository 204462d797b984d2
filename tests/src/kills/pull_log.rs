//! The pull log, read as it grows.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// A pull log and how far it was found whole.
#[derive(Debug)]
pub(super) struct PullLog {
    path: PathBuf,
    inode: u64,
    whole: u64,
    /// The number of the last record.
    last: u64,
}

impl PullLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, inode: 0, whole: 0, last: 0 }
    }

    /// Every new line is a record, what was there is there still, and only a last line may have no end.
    pub(super) fn read_on(&mut self) -> io::Result<()> {
        let Ok(now) = fs::metadata(&self.path) else { return Ok(()) }; // not begun
        if self.inode != now.ino() && self.whole > 0 {
            // It was full and moved aside; what came after the last look stands there.
            let mut moved = self.path.as_os_str().to_owned();
            moved.push(".1");
            let moved = PathBuf::from(moved);
            if fs::metadata(&moved).map(|file| file.ino()).ok() != Some(self.inode) {
                return Err(io::Error::other("the pull log is another file, and the one before is gone"));
            }
            if records(&moved, self.whole, &mut self.last)? != fs::metadata(&moved)?.len() {
                return Err(io::Error::other("a log that was moved aside ends inside a record"));
            }
            self.whole = 0;
        }
        self.inode = now.ino();
        self.whole = records(&self.path, self.whole, &mut self.last)?;
        Ok(())
    }

    pub(super) fn exists(&self) -> bool {
        self.path.exists()
    }

    /// Whether the last line has its end.
    pub(super) fn is_whole(&self) -> io::Result<bool> {
        Ok(fs::metadata(&self.path)?.len() == self.whole)
    }

    /// Cuts the last record off inside, as a machine that loses its power may; not where there is none to cut.
    pub(super) fn tear(&mut self, random: u64) -> io::Result<bool> {
        /// What tells a record from other text stays.
        const KEPT: u64 = 16;
        if !self.path.exists() || !self.is_whole()? {
            return Ok(false);
        }
        let text = fs::read(&self.path)?;
        let before = text.strip_suffix(b"\n").unwrap_or_default();
        let begins = before.iter().rposition(|byte| *byte == b'\n').map_or(0, |end| end as u64 + 1);
        let room = (before.len() as u64).saturating_sub(begins + KEPT);
        if room == 0 {
            return Ok(false);
        }
        OpenOptions::new().write(true).open(&self.path)?.set_len(begins + KEPT + random % room)?;
        self.whole = begins;
        self.last = 0;
        let kept = text.get(..usize::try_from(begins).unwrap_or_default()).unwrap_or_default();
        for line in kept.split_inclusive(|byte| *byte == b'\n') {
            let record: Value = serde_json::from_slice(line).map_err(io::Error::other)?;
            self.last = record.get("sequence").and_then(Value::as_u64).unwrap_or_default();
        }
        Ok(true)
    }
}

/// Reads records from there on, and tells where the last whole one ends. They are numbered through: what is left out
/// was lost and is told.
fn records(file: &Path, from: u64, last: &mut u64) -> io::Result<u64> {
    let mut open = File::open(file)?;
    if open.metadata()?.len() < from {
        return Err(io::Error::other(format!("{}: records that were whole are gone", file.display())));
    }
    open.seek(SeekFrom::Start(from))?;
    let mut text = Vec::new();
    open.read_to_end(&mut text)?;
    let end = text.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    for line in text.get(..end).unwrap_or_default().split_inclusive(|byte| *byte == b'\n') {
        let record: Result<Value, _> = serde_json::from_slice(line);
        let Some(record) = record.ok().filter(|record| record.get("time").is_some_and(Value::is_string))
        else {
            let line = String::from_utf8_lossy(line);
            return Err(io::Error::other(format!("no record in the pull log: {line}")));
        };
        let number = |key| record.get(key).and_then(Value::as_u64).unwrap_or_default();
        if number("sequence") != last.saturating_add(number("lost")).saturating_add(1) {
            return Err(io::Error::other(format!("after {last} comes a gap that is not told: {record}")));
        }
        *last = number("sequence");
    }
    Ok(from + end as u64)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn log(text: &str) -> (tempfile::TempDir, PullLog) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        fs::write(&path, text).unwrap();
        (folder, PullLog::new(path))
    }

    fn record(sequence: u64) -> String {
        format!("{{\"time\":\"2026-11-25T00:00:00Z\",\"sequence\":{sequence},\"verdict\":\"permit\"}}\n")
    }

    #[test]
    fn a_last_line_without_end_is_no_fault_and_a_broken_one_is() {
        let (_folder, mut whole) = log(&format!("{}{{\"time\":", record(1)));
        assert!(whole.read_on().is_ok());
        assert!(!whole.is_whole().unwrap());
        let (_folder, mut broken) = log(&format!("{{\"time\":\n{}", record(1)));
        assert!(broken.read_on().is_err());
    }

    #[test]
    fn records_that_are_gone_are_a_fault() {
        let (_folder, mut log) = log(&[record(1), record(2)].concat());
        log.read_on().unwrap();
        fs::write(&log.path, record(1)).unwrap();
        assert!(log.read_on().is_err());
    }

    #[test]
    fn a_gap_is_a_fault_unless_it_is_told() {
        let told = "{\"time\":\"2026-11-25T00:00:00Z\",\"sequence\":5,\"lost\":3}\n";
        let (_folder, mut log) = log(&[record(1), told.to_owned()].concat());
        log.read_on().unwrap();
        for sequence in [5, 7] {
            let text = [record(1), told.to_owned(), record(sequence)].concat();
            fs::write(&log.path, text).unwrap();
            assert!(log.read_on().is_err(), "{sequence}");
        }
    }

    #[test]
    fn a_log_that_was_moved_aside_is_read_to_its_end() {
        let (folder, mut log) = log(&record(1));
        log.read_on().unwrap();
        fs::rename(&log.path, folder.path().join("log.1")).unwrap();
        fs::write(&log.path, record(2)).unwrap();
        assert!(log.read_on().is_ok());
        fs::remove_file(folder.path().join("log.1")).unwrap();
        fs::rename(&log.path, folder.path().join("other")).unwrap();
        fs::write(&log.path, record(3)).unwrap();
        assert!(log.read_on().is_err());
    }

    #[test]
    fn a_torn_log_ends_inside_its_last_record() {
        let (_folder, mut log) = log(&[record(1), record(2)].concat());
        log.read_on().unwrap();
        assert!(log.tear(5).unwrap());
        assert!(!log.is_whole().unwrap());
        assert!(!fs::read(&log.path).unwrap().ends_with(b"\n"));
        log.read_on().unwrap();
    }
}
