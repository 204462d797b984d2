//! The file or stream that lines are appended to. A line is there whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use crate::lines::{self, End};
use pullgate_config::AuditLog;

/// How large a log file gets, and how many that were moved aside are kept.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rotation {
    /// Bytes after which a file is moved aside.
    pub(super) file_bytes: u64,
    /// Files that were moved aside and are kept, `.1` the newest. The oldest goes.
    pub(super) files: u32,
}

impl Rotation {
    /// Of the pull log; rotated records are still in the database.
    pub(super) const PULLS: Self = Self { file_bytes: 100 * 1024 * 1024, files: 10 };
    /// Of what strangers cause: a share of its own, so that it moves no record of a pull away (A606).
    pub(super) const STRANGERS: Self = Self { file_bytes: 16 * 1024 * 1024, files: 3 };
}

#[derive(Debug)]
pub(super) struct Log {
    target: AuditLog,
    output: Output,
    rotation: Rotation,
}

#[derive(Debug)]
enum Output {
    /// A regular file, with its length as far as its lines are whole.
    File(File, u64),
    /// A device or a pipe: neither cut nor moved.
    Other(File),
    Stdout,
    Nowhere,
}

/// A change of the file by another process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Happened {
    /// It was renamed, as log rotation does.
    Moved,
    /// It was deleted with its content.
    Removed,
    /// It was cut.
    Cut,
}

impl Log {
    /// Opens or makes the log, and tells what stands at its end.
    pub(super) fn open(target: AuditLog, rotation: Rotation) -> io::Result<(Self, End)> {
        let (output, mut end) = open(&target)?;
        if let (AuditLog::File(path), Output::File(..), 0) = (&target, &output, end.sequence) {
            // Moved aside a moment ago: what stands at the end stands there.
            (end.sequence, end.hash) = lines::last_record(&numbered(path, 1));
        }
        Ok((Self { target, output, rotation }, end))
    }

    /// A log that keeps no line.
    pub(super) fn nowhere() -> Self {
        Self { target: AuditLog::Stdout, output: Output::Nowhere, rotation: Rotation::STRANGERS }
    }

    /// The file that lines can be read from again, if there is one.
    pub(super) fn file(&self) -> Option<PathBuf> {
        match (&self.output, &self.target) {
            (Output::File(..), AuditLog::File(path)) => Some(path.clone()),
            (Output::File(..) | Output::Other(_) | Output::Stdout | Output::Nowhere, _) => None,
        }
    }

    #[cfg(test)]
    pub(super) fn with_file_bytes(mut self, file_bytes: u64) -> Self {
        self.rotation.file_bytes = file_bytes;
        self
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
                if *length >= self.rotation.file_bytes {
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
            Output::Nowhere => Ok(()),
        }
    }

    /// Syncs the appended lines to the disk, where there is a file.
    pub(super) fn sync(&mut self) -> io::Result<()> {
        match &self.output {
            Output::File(file, _) => file.sync_data(),
            Output::Other(_) | Output::Stdout | Output::Nowhere => Ok(()),
        }
    }

    /// Looks whether the file is still the one under its name, and begins a new one where it is not: lines would be
    /// lost in an unlinked file (A606).
    ///
    /// # Errors
    /// No new one can be begun.
    pub(super) fn look(&mut self) -> io::Result<Option<Happened>> {
        let (Output::File(file, length), AuditLog::File(path)) = (&mut self.output, &self.target) else {
            return Ok(None);
        };
        let open = file.metadata()?;
        match fs::metadata(path) {
            Ok(named) if is_same(&named, &open) && named.len() >= *length => Ok(None),
            Ok(named) if is_same(&named, &open) => {
                *length = named.len();
                Ok(Some(Happened::Cut))
            }
            Ok(_) | Err(_) => {
                let happened = if open.nlink() == 0 { Happened::Removed } else { Happened::Moved };
                self.reopen()?;
                Ok(Some(happened))
            }
        }
    }

    /// Opens the file anew; the old one is kept when that fails.
    pub(super) fn reopen(&mut self) -> io::Result<()> {
        if matches!(self.output, Output::Nowhere) {
            return Ok(());
        }
        self.sync()?;
        (self.output, _) = open(&self.target)?;
        Ok(())
    }

    /// Moves a full file aside. Where that fails it grows on: lines are worth more than its size.
    fn rotate(&mut self) {
        let AuditLog::File(path) = &self.target else { return };
        for n in (1..self.rotation.files).rev() {
            // Most of them are not there yet.
            let _ = fs::rename(numbered(path, n), numbered(path, n + 1));
        }
        let moved = fs::rename(path, numbered(path, 1));
        if let Err(error) = moved.and_then(|()| self.reopen()) {
            tracing::error!(%error, "a full log file cannot be moved aside; it grows on");
        }
    }
}

/// The name of a file that was moved aside.
pub(super) fn numbered(path: &Path, n: u32) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{n}"));
    name.into()
}

fn is_same(one: &Metadata, other: &Metadata) -> bool {
    (one.dev(), one.ino()) == (other.dev(), other.ino())
}

fn open(target: &AuditLog) -> io::Result<(Output, End)> {
    match target {
        AuditLog::File(path) => {
            let writing = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
            if !writing.metadata()?.is_file() {
                return Ok((Output::Other(writing), End::default()));
            }
            let end = lines::mend(path, &writing)?;
            Ok((Output::File(writing, end.length), end))
        }
        AuditLog::Stdout => Ok((Output::Stdout, End::default())),
    }
}
