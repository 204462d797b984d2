//! Why the pull log does not start, and why a record is not written.

use std::io;
use std::path::PathBuf;

use crate::key::KeyError;

/// Why the pull log does not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The log file cannot be opened.
    #[error("{} cannot be opened for writing", path.display())]
    Log {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The key of the log cannot be used.
    #[error("the key of the log")]
    Key(#[source] KeyError),
    /// A later release wrote the database, with this migration.
    #[error(
        "{} has schema {version}, which is newer than this release knows: use the newer release or move the file", path.display()
    )]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its newest migration.
        version: i64,
    },
    /// The thread that writes cannot be had.
    #[error("the thread that writes the log cannot be started")]
    Thread(#[source] io::Error),
}

/// The record could not be written, and pulls wait for that.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the audit record cannot be written")]
pub struct Unwritable;
