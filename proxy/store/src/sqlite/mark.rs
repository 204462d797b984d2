//! Detects another process that wrote into a database's file: the same file, with other content.
//!
//! Only the process that holds the state folder writes there, so a modification time that its own writes do not explain
//! is another process's: a copy was put over the file, or a part was overwritten. SQLite does not check for that; its
//! write-ahead log would be applied to content that it does not belong to.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::Path;

use super::with_suffix;

/// The file as it was after the last write of this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Mark {
    seconds: i64,
    nanoseconds: i64,
    bytes: u64,
}

impl Mark {
    /// The file as it is now; `None` where it is missing.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(file).ok()?;
        Some(Self { seconds: meta.mtime(), nanoseconds: meta.mtime_nsec(), bytes: meta.len() })
    }

    /// Whether the file is another than this. A missing or unreadable file does not count as another.
    #[must_use]
    pub fn is_of_another(self, file: &Path) -> bool {
        Self::of(file).is_some_and(|now| now != self)
    }
}

/// Empties the write-ahead log of an overwritten file before its connections are closed: the last one would apply it to
/// the new content.
///
/// # Errors
/// It exists and cannot be truncated.
pub fn drop_log(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(with_suffix(file, "-wal")) {
        Ok(log) => log.set_len(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes the files of that log after its connections are closed.
pub fn remove_log(file: &Path) {
    for suffix in ["-wal", "-shm"] {
        // Empty by now: where one stays, SQLite finds nothing in it.
        let _ = fs::remove_file(with_suffix(file, suffix));
    }
}
