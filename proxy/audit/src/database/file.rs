//! Whether the open file is still the one under its name, and as it was left: SQLite goes on writing into an unlinked
//! file, and into one that another process overwrote (A606).

use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use pullgate_store::sqlite::{self, Mark};
use sqlx::AnyPool;

use super::rows;

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
    /// As the last write of this process left it.
    left: Option<Mark>,
    /// Rows that it had then.
    rows: u64,
}

/// What became of the file that is open.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is under its name, as it was left.
    There,
    /// It is not, or it was cut.
    Gone,
    /// Another process wrote into it.
    Overwritten,
}

impl Opened {
    pub(super) async fn new(path: &Path, pool: AnyPool) -> Self {
        let file = look(path).map(|(file, _)| file);
        let mut opened = Self { pool, file, bytes: 0, log: None, left: None, rows: 0 };
        if opened.is_there(path) {
            opened.note(path).await;
        }
        opened
    }

    /// What became of it since the last write of this process.
    pub(super) fn look(&mut self, path: &Path) -> Found {
        if !self.is_there(path) {
            return Found::Gone;
        }
        match self.left {
            Some(left) if left.is_of_another(path) => Found::Overwritten,
            Some(_) | None => Found::There,
        }
    }

    /// Whether it is still under its name, and not cut: asked right behind a write too.
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

    /// This process has written, and does so no more until it has looked again.
    pub(super) async fn note(&mut self, path: &Path) {
        if let Ok(rows) = rows::count(&self.pool).await {
            self.rows = rows;
        }
        self.left = Mark::of(path);
    }

    /// How many rows it had before it was found as it is.
    pub(super) async fn rows_before(&self, found: Found) -> u64 {
        match found {
            Found::There | Found::Gone => rows::count(&self.pool).await.unwrap_or(self.rows),
            // The readable content is no longer its own.
            Found::Overwritten => self.rows,
        }
    }

    /// Closes it. The write-ahead log is written into the file, wherever that is now, unless another process overwrote
    /// it; a log that stays under the old name would be taken for the next file's.
    pub(super) async fn leave(self, path: &Path, found: Found) {
        match found {
            Found::There | Found::Gone => {
                let _ = sqlx::query("pragma wal_checkpoint(truncate)").execute(&self.pool).await;
                self.pool.close().await;
                let log = beside(path, "-wal");
                if self.log.is_some() && look(&log).map(|(log, _)| log) == self.log {
                    sqlite::remove_log(path);
                }
            }
            Found::Overwritten => {
                if let Err(error) = sqlite::drop_log(path) {
                    tracing::warn!(%error, "the log of an overwritten database stays: it may be laid over what is there now");
                }
                self.pool.close().await;
                sqlite::remove_log(path);
            }
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
