//! Whether the file that is open is still the one under its name: SQLite writes on into one that has none (A606).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use sqlx::AnyPool;

/// Device and inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Identity(u64, u64);

/// A database that is open.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) pool: AnyPool,
    file: Option<Identity>,
    /// Bytes that it had: it never shrinks by itself.
    bytes: u64,
    /// Its write-ahead log, as it was seen last.
    log: Option<Identity>,
}

impl Opened {
    pub(super) fn new(path: &Path, pool: AnyPool) -> Self {
        let mut opened = Self { pool, file: look(path).map(|(file, _)| file), bytes: 0, log: None };
        let _ = opened.is_there(path);
        opened
    }

    /// Whether it is still under its name, and not cut.
    pub(super) fn is_there(&mut self, path: &Path) -> bool {
        match look(path) {
            Some((file, bytes)) if Some(file) == self.file && bytes >= self.bytes => {
                self.bytes = bytes;
                self.log = look(&beside(path, "-wal")).map(|(log, _)| log);
                true
            }
            Some(_) | None => false,
        }
    }

    /// Closes it. What is in its write-ahead log goes into the file, wherever that is now; what is left of the log under the
    /// old name would be taken for the next file's.
    pub(super) async fn leave(self, path: &Path) {
        let _ = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.pool).await;
        self.pool.close().await;
        let log = beside(path, "-wal");
        if self.log.is_some() && look(&log).map(|(log, _)| log) == self.log {
            let _ = fs::remove_file(log);
            let _ = fs::remove_file(beside(path, "-shm"));
        }
    }
}

fn look(path: &Path) -> Option<(Identity, u64)> {
    let file = fs::symlink_metadata(path).ok()?;
    Some((Identity(file.dev(), file.ino()), file.len()))
}

fn beside(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
