//! Exports of other gates as a database, to be read.

use std::fs::File;
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use pullgate_store::sqlite::OpenFault;
use sqlx::AnyPool;

use super::rows::{self, Known};
use super::{ACQUIRE, ROWS, Row, sqlite};
use crate::exported::Exported;

/// Bytes of lines that are put in together, about.
const BATCH_BYTES: usize = 4 * 1024 * 1024;

/// Why an export is not imported.
#[derive(Debug, thiserror::Error)]
pub enum ImportError {
    /// What is to be made is there.
    #[error("{} is there already: name a file that is not", .0.display())]
    Exists(PathBuf),
    /// The database cannot be made.
    #[error("the database cannot be made")]
    Open(#[from] OpenFault),
    /// A file cannot be read.
    #[error("{} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The database cannot be written.
    #[error("the database cannot be written")]
    Write(#[from] sqlx::Error),
}

/// What came of an import.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Imported {
    /// Records.
    pub records: u64,
    /// Lines that are no records.
    pub unread: u64,
}

/// Makes a database of exports or log files, in their order.
///
/// # Errors
/// [`ImportError`].
pub async fn import(from: &[PathBuf], to: &Path) -> Result<Imported, ImportError> {
    if to.exists() {
        return Err(ImportError::Exists(to.to_owned()));
    }
    let sqlite = sqlite(to);
    sqlite.prepare().await?;
    let pool = sqlite.pool(1, ACQUIRE)?;
    // No gate carries anything over here.
    sqlx::query("drop table audit_before").execute(&pool).await?;
    let (mut imported, mut known) = (Imported::default(), Known::default());
    for path in from {
        let read = |source| ImportError::Read { path: path.clone(), source };
        let (mut batch, mut bytes) = (Vec::with_capacity(ROWS), 0);
        for line in Exported::new(BufReader::new(File::open(path).map_err(read)?)) {
            match line.map_err(read)?.and_then(Row::from_line) {
                Some(row) => {
                    bytes += row.line().len();
                    batch.push(row);
                }
                None => imported.unread += 1,
            }
            if batch.len() == ROWS || bytes >= BATCH_BYTES {
                put(&pool, &mut batch, &mut imported, &mut known).await?;
                bytes = 0;
            }
        }
        put(&pool, &mut batch, &mut imported, &mut known).await?;
    }
    pool.close().await;
    Ok(imported)
}

async fn put(
    pool: &AnyPool,
    batch: &mut Vec<Row>,
    imported: &mut Imported,
    known: &mut Known,
) -> Result<(), sqlx::Error> {
    rows::insert(pool, batch, &[], known).await?;
    imported.records += batch.len() as u64;
    batch.clear();
    Ok(())
}
