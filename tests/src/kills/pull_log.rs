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
}

impl PullLog {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, inode: 0, whole: 0 }
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
            if records(&moved, self.whole)? != fs::metadata(&moved)?.len() {
                return Err(io::Error::other("a log that was moved aside ends inside a record"));
            }
            self.whole = 0;
        }
        self.inode = now.ino();
        self.whole = records(&self.path, self.whole)?;
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
        Ok(true)
    }
}

/// Reads records from there on, and tells where the last whole one ends.
fn records(file: &Path, from: u64) -> io::Result<u64> {
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
        if !record.is_ok_and(|record| record.get("time").is_some_and(Value::is_string)) {
            let line = String::from_utf8_lossy(line);
            return Err(io::Error::other(format!("no record in the pull log: {line}")));
        }
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

    const RECORD: &str = "{\"time\":\"2026-11-25T00:00:00Z\",\"verdict\":\"permit\"}\n";

    #[test]
    fn a_last_line_without_end_is_no_fault_and_a_broken_one_is() {
        let (_folder, mut whole) = log(&format!("{RECORD}{{\"time\":"));
        assert!(whole.read_on().is_ok());
        assert!(!whole.is_whole().unwrap());
        let (_folder, mut broken) = log(&format!("{{\"time\":\n{RECORD}"));
        assert!(broken.read_on().is_err());
    }

    #[test]
    fn records_that_are_gone_are_a_fault() {
        let (_folder, mut log) = log(&format!("{RECORD}{RECORD}"));
        log.read_on().unwrap();
        fs::write(&log.path, RECORD).unwrap();
        assert!(log.read_on().is_err());
    }

    #[test]
    fn a_log_that_was_moved_aside_is_read_to_its_end() {
        let (folder, mut log) = log(RECORD);
        log.read_on().unwrap();
        fs::rename(&log.path, folder.path().join("log.1")).unwrap();
        fs::write(&log.path, RECORD).unwrap();
        assert!(log.read_on().is_ok());
        fs::remove_file(folder.path().join("log.1")).unwrap();
        fs::rename(&log.path, folder.path().join("other")).unwrap();
        fs::write(&log.path, RECORD).unwrap();
        assert!(log.read_on().is_err());
    }

    #[test]
    fn a_torn_log_ends_inside_its_last_record() {
        let (_folder, mut log) = log(&format!("{RECORD}{RECORD}"));
        log.read_on().unwrap();
        assert!(log.tear(5).unwrap());
        assert!(!log.is_whole().unwrap());
        assert!(!fs::read(&log.path).unwrap().ends_with(b"\n"));
        log.read_on().unwrap();
    }
}
