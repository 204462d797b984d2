//! Whether somebody else wrote into a database's file: it is the same file, with other content.
//!
//! Only the process that holds the state folder writes there, so that a time of change that none of its own writes explains
//! is another hand's: a copy put over the file in its place, a part of it overwritten. SQLite does not look for that; its
//! write-ahead log would be laid over content that it does not belong to.

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
    /// The file as it is now; nothing where there is none.
    #[must_use]
    pub fn of(file: &Path) -> Option<Self> {
        let meta = fs::symlink_metadata(file).ok()?;
        Some(Self { seconds: meta.mtime(), nanoseconds: meta.mtime_nsec(), bytes: meta.len() })
    }

    /// Whether the file is another than this. One that is gone, or cannot be looked at, is no sign of that.
    #[must_use]
    pub fn is_of_another(self, file: &Path) -> bool {
        Self::of(file).is_some_and(|now| now != self)
    }
}

/// Takes away what is in the write-ahead log of a file that was overwritten, before its connections are closed: the last one
/// would lay it over what is there now.
///
/// # Errors
/// It is there and cannot be cut.
pub fn drop_log(file: &Path) -> io::Result<()> {
    match OpenOptions::new().write(true).open(with_suffix(file, "-wal")) {
        Ok(log) => log.set_len(0),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Removes what is left of that log when its connections are closed.
pub fn remove_log(file: &Path) {
    for suffix in ["-wal", "-shm"] {
        // Empty by now: where one stays, SQLite finds nothing in it.
        let _ = fs::remove_file(with_suffix(file, suffix));
    }
}
