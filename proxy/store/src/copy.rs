//! A copy of a database that another process may be writing.

use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::percent_encode;
use sqlx::{AnyConnection, AssertSqlSafe, Connection as _};

use crate::sqlite::PATH;

/// Why a database is not copied.
#[derive(Debug, thiserror::Error)]
#[error("{} cannot be copied: {why}", file.display())]
pub struct CopyFault {
    file: PathBuf,
    why: String,
}

/// Copies the committed rows into a new file; does nothing where there is no database. Its writer does not wait.
///
/// # Errors
/// [`CopyFault`].
pub(crate) async fn copy(from: &Path, to: &Path, lock_wait: Duration) -> Result<(), CopyFault> {
    match std::fs::symlink_metadata(from) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(CopyFault { file: from.to_owned(), why: error.to_string() }),
        Ok(_) => {}
    }
    sqlx::any::install_default_drivers();
    copied(from, to, lock_wait)
        .await
        .map_err(|error| CopyFault { file: from.to_owned(), why: error.to_string() })
}

async fn copied(from: &Path, to: &Path, lock_wait: Duration) -> Result<(), sqlx::Error> {
    let url = format!("sqlite://{}?mode=ro", percent_encode(from.as_os_str().as_bytes(), PATH));
    let mut connection = AnyConnection::connect(&url).await?;
    let wait = AssertSqlSafe(format!("pragma busy_timeout = {}", lock_wait.as_millis()));
    sqlx::raw_sql(wait).execute(&mut connection).await?;
    let into = to.to_string_lossy().into_owned();
    let copied = sqlx::query("vacuum into $1").bind(into).execute(&mut connection).await;
    let _ = connection.close().await;
    copied.map(drop)
}
