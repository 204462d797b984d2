//! The pull log as something that is read: beside a running gate, or a copy of its file. Nothing here writes.

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;
use pullgate_store::sqlite;
use sqlx::AnyPool;

use crate::record::Record;

mod filter;
mod moment;
mod search;
mod sums;

pub use self::filter::{Filter, Glob};
pub use self::moment::moment;
pub(crate) use self::search::lines_after;
pub use self::search::{Progress, Search, Step};
pub use self::sums::{Sum, Sums, Total};

/// Connections of a reader: a page that takes long does not hold up the next.
const CONNECTIONS: u32 = 4;
/// How long a connection is waited for.
const ACQUIRE: Duration = Duration::from_secs(5);
/// Rows of one question.
const ROWS: i64 = 500;
/// The migration that made the tables as they are read here.
const SCHEMA: i64 = 3;

/// Why the log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// There is no such file.
    #[error("{} is not there: it is `audit.db` in the gate's `state` folder, or a copy of it", .0.display())]
    Missing(PathBuf),
    /// A later release wrote it.
    #[error("{} has schema {version}, which is newer than this release knows", path.display())]
    Newer {
        /// The file.
        path: PathBuf,
        /// Its newest migration.
        version: i64,
    },
    /// An earlier release wrote it, and no gate of this one has opened it yet.
    #[error("{} was written by an earlier release: start this one's gate on it, or `audit import` its lines", .0.display())]
    Older(PathBuf),
    /// It cannot be read.
    #[error("the pull log cannot be read")]
    Unreadable(#[from] sqlx::Error),
}

/// A record that was found, with its line.
#[derive(Debug, Clone)]
pub struct Found {
    /// Its place among the records of pulls, which only grows; none of what strangers caused.
    pub position: Option<i64>,
    /// When it was written.
    pub time: Timestamp,
    /// The record.
    pub record: Record,
    /// Its line, without its end.
    pub line: String,
}

/// A pull log that is open to be read.
#[derive(Debug, Clone)]
pub struct Reader {
    pool: AnyPool,
}

impl Reader {
    /// Opens a database, or a copy of one; the gate that writes it goes on.
    ///
    /// # Errors
    /// [`ReadError`].
    pub async fn open(file: &Path) -> Result<Self, ReadError> {
        if !file.is_file() {
            return Err(ReadError::Missing(file.to_owned()));
        }
        let pool = sqlite::read_only(file, CONNECTIONS, ACQUIRE).await?;
        let version = "select coalesce(max(version), 0) from _sqlx_migrations where success";
        let version: i64 = sqlx::query_scalar(version).fetch_one(&pool).await?;
        match version {
            SCHEMA => Ok(Self { pool }),
            0..SCHEMA => Err(ReadError::Older(file.to_owned())),
            _ => Err(ReadError::Newer { path: file.to_owned(), version }),
        }
    }

    /// How many rows an earlier release wrote that are not carried over yet: they are not found.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn not_carried_over(&self) -> Result<u64, ReadError> {
        let is_there = "select count(*) from sqlite_master where type = 'table' and name = 'audit_before'";
        if sqlx::query_scalar::<_, i64>(is_there).fetch_one(&self.pool).await? == 0 {
            return Ok(0);
        }
        let rows = sqlx::query_scalar::<_, i64>("select count(*) from audit_before");
        // It may have gone since.
        Ok(rows.fetch_one(&self.pool).await.unwrap_or_default().unsigned_abs())
    }

    /// Records that a filter lets through, the newest first.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn search(&self, filter: Filter) -> Result<Search, ReadError> {
        Search::new(self.pool.clone(), filter).await
    }

    /// The roll-up: who pulled what and how often, by day, oldest first.
    #[must_use]
    pub fn sums(&self, filter: Filter) -> Sums {
        Sums::new(self.pool.clone(), filter)
    }

    /// How many requests a filter lets through, by the roll-up.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn total(&self, filter: &Filter) -> Result<Total, ReadError> {
        sums::total(&self.pool, filter).await
    }

    /// Records of pulls after a place, oldest first; none is left when there are none.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn after(&self, position: i64) -> Result<Vec<Found>, ReadError> {
        search::after(&self.pool, position).await
    }

    /// The records at these places, as far as they are kept.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn at(&self, positions: &[i64]) -> Result<Vec<Found>, ReadError> {
        search::at(&self.pool, positions).await
    }

    /// Requests that were refused before any upstream was asked, the newest first.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn strangers(&self, filter: Filter) -> Result<Vec<Found>, ReadError> {
        search::strangers(&self.pool, filter).await
    }

    /// Lines of records after a place, whatever they are, oldest first; none is left when there are none.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn lines_after(&self, position: i64) -> Result<Vec<(i64, String)>, ReadError> {
        Ok(lines_after(&self.pool, position).await?)
    }

    /// A place before every record that a filter lets through by its time: `after` begins there.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn before_first(&self, filter: &Filter) -> Result<i64, ReadError> {
        search::before_first(&self.pool, filter).await
    }

    /// The place of the newest record of a pull; 0 where there is none.
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn newest(&self) -> Result<i64, ReadError> {
        let newest = "select coalesce(max(position), 0) from audit";
        Ok(sqlx::query_scalar(newest).fetch_one(&self.pool).await?)
    }

    /// Records whose id begins so, where people were shown it: at once. The rest is found by [`Search`].
    ///
    /// # Errors
    /// [`ReadError::Unreadable`].
    pub async fn shown(&self, id: &str) -> Result<Vec<Found>, ReadError> {
        search::shown(&self.pool, id).await
    }
}
