//! The file or stream that lines are appended to. A line is there whole or not at all.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::LogTarget;

/// Bytes after which a log file is moved aside.
const LOG_FILE_BYTES: u64 = 100 * 1024 * 1024;
/// Files that were moved aside and are kept, `.1` the newest. The oldest goes; its records are still in the database.
const LOG_FILES_KEPT: u32 = 10;
/// Bytes read at the end of a log, to see whether its last line is whole. No line is longer.
const TAIL_BYTES: u64 = 1024 * 1024;

#[derive(Debug)]
pub(super) struct Log {
    target: LogTarget,
    output: Output,
    file_bytes: u64,
}

#[derive(Debug)]
enum Output {
    /// A regular file, with its length as far as its lines are whole.
    File(File, u64),
    /// A device or a pipe: neither cut nor moved.
    Other(File),
    Stdout,
}

impl Log {
    /// Opens or makes the log, and tells how many records at its end were cut off and are gone.
    pub(super) fn open(target: LogTarget) -> io::Result<(Self, u64)> {
        let (output, torn) = open(&target)?;
        Ok((Self { target, output, file_bytes: LOG_FILE_BYTES }, torn))
    }

    #[cfg(test)]
    pub(super) fn with_file_bytes(self, file_bytes: u64) -> Self {
        Self { file_bytes, ..self }
    }

    /// Appends lines, each with its end. When that fails nothing of them is left, so that the next line is whole.
    pub(super) fn append(&mut self, lines: &str) -> io::Result<()> {
        match &mut self.output {
            Output::File(file, length) => {
                if let Err(error) = file.write_all(lines.as_bytes()) {
                    let _ = file.set_len(*length);
                    return Err(error);
                }
                *length = length.saturating_add(lines.len() as u64);
                if *length >= self.file_bytes {
                    self.rotate();
                }
                Ok(())
            }
            Output::Other(file) => file.write_all(lines.as_bytes()),
            Output::Stdout => {
                let mut stdout = io::stdout().lock();
                stdout.write_all(lines.as_bytes())?;
                stdout.flush()
            }
        }
    }

    /// Brings what was appended to the disk, where there is one.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &self.output {
            Output::File(file, _) => file.sync_data(),
            Output::Other(_) | Output::Stdout => Ok(()),
        }
    }

    /// Opens the file anew; the old one is kept when that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        self.sync()?;
        (self.output, _) = open(&self.target)?;
        Ok(())
    }

    /// Moves a full file aside. Where that fails it grows on: lines are worth more than its size.
    fn rotate(&mut self) {
        let LogTarget::File(path) = &self.target else { return };
        for n in (1..LOG_FILES_KEPT).rev() {
            // Most of them are not there yet.
            let _ = fs::rename(numbered(path, n), numbered(path, n + 1));
        }
        let moved = fs::rename(path, numbered(path, 1));
        if let Err(error) = moved.and_then(|()| self.reopen()) {
            tracing::error!(%error, "a full log file cannot be moved aside; it grows on");
        }
    }
}

fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn open(target: &LogTarget) -> io::Result<(Output, u64)> {
    match target {
        LogTarget::File(path) => {
            let writing = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            if !writing.metadata()?.is_file() {
                return Ok((Output::Other(writing), 0));
            }
            let (length, torn) = mend(path, &writing)?;
            Ok((Output::File(writing, length), torn))
        }
        LogTarget::Stdout => Ok((Output::Stdout, 0)),
    }
}

/// Cuts a last line that a kill or a full disk left half written (A502), and tells the length then. Only what looks like
/// a record of ours is cut; anything else gets an end.
fn mend(path: &Path, writing: &File) -> io::Result<(u64, u64)> {
    let length = writing.metadata()?.len();
    let mut reading = File::open(path)?;
    let start = length.saturating_sub(TAIL_BYTES);
    reading.seek(SeekFrom::Start(start))?;
    let mut tail = Vec::new();
    reading.take(TAIL_BYTES).read_to_end(&mut tail)?;
    let last = match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(end) => tail.get(end.saturating_add(1)..).unwrap_or_default(),
        None => tail.as_slice(),
    };
    if last.is_empty() {
        return Ok((length, 0));
    }
    if last.starts_with(b"{\"time\":") {
        let whole = length.saturating_sub(last.len() as u64);
        writing.set_len(whole)?;
        return Ok((whole, 1));
    }
    let mut writing = writing;
    writing.write_all(b"\n")?;
    Ok((length.saturating_add(1), 0))
}
