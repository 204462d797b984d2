//! Opening `cache.db`: a corrupt file is moved aside, a newer one is left alone, one that cannot be used is done without.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection, Row, SqlSafeStr};

use super::DatabaseError;
use crate::store::limits::{CHECK_BYTES, READ_WAIT, READERS};

/// WAL lets readers go on under the writer; `normal` may lose the last transactions with the power, never the file.
const PRAGMAS: &str = "pragma busy_timeout = 250; pragma journal_mode = wal; pragma synchronous = normal; \
    pragma trusted_schema = off;";

/// What a path keeps as it is in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');

/// SQLite's `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
const CORRUPT: [i64; 2] = [11, 26];
/// SQLite's `SQLITE_ERROR`: in a migration it means that the file is not what its migrations say.
const STATEMENT: i64 = 1;

pub(super) enum Opening {
    Ready { readers: AnyPool, writer: AnyPool },
    Unavailable,
}

#[derive(Debug, thiserror::Error)]
enum Fault {
    #[error("{0}")]
    Corrupt(String),
    #[error("schema {0} is newer")]
    Newer(i64),
    #[error("{0}")]
    Unusable(String),
}

pub(super) async fn open(file: &Path) -> Result<Opening, DatabaseError> {
    sqlx::any::install_default_drivers();
    let mut attempt = prepare(file).await;
    if let Err(Fault::Corrupt(error)) = &attempt {
        let aside = aside(file);
        tracing::warn!(file = %file.display(), aside = %aside.display(), error,
            "the database is corrupt: it is moved aside and a new one begun; verdicts are decided again");
        attempt = match move_aside(file, &aside) {
            Ok(()) => prepare(file).await,
            Err(error) => Err(Fault::Unusable(error.to_string())),
        };
    }
    match attempt {
        Ok(()) => Ok(pools(file).unwrap_or_else(|error| unavailable(file, &error.to_string()))),
        Err(Fault::Newer(version)) => Err(DatabaseError::Newer(version)),
        Err(Fault::Corrupt(error) | Fault::Unusable(error)) => Ok(unavailable(file, &error)),
    }
}

fn unavailable(file: &Path, error: &str) -> Opening {
    tracing::warn!(file = %file.display(), error, "the database cannot be used: nothing will be remembered");
    Opening::Unavailable
}

/// Makes the file if need be, looks whether it is whole, and brings its schema up to date.
async fn prepare(file: &Path) -> Result<(), Fault> {
    let size = private_file(file)?;
    let mut connection = AnyConnection::connect(&url(file)).await.map_err(|error| fault(&error))?;
    let prepared = check_and_migrate(&mut connection, size).await;
    let _ = connection.close().await;
    prepared
}

async fn check_and_migrate(connection: &mut AnyConnection, size: u64) -> Result<(), Fault> {
    sqlx::raw_sql(PRAGMAS).execute(&mut *connection).await.map_err(|error| fault(&error))?;
    if size <= CHECK_BYTES {
        let row = sqlx::query("pragma quick_check(1)").fetch_one(&mut *connection).await;
        let said: String = row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))?;
        if said != "ok" {
            return Err(Fault::Corrupt(said));
        }
    }
    migrator().run_direct(None, connection, false).await.map_err(|error| match error {
        MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
            Fault::Newer(version)
        }
        MigrateError::Execute(error) => fault(&error),
        MigrateError::ExecuteMigration(error, _) if primary_code(&error) == Some(STATEMENT) => {
            Fault::Corrupt(error.to_string())
        }
        MigrateError::ExecuteMigration(error, _) => fault(&error),
        // A schema that is not what its name says: the file is disposable, so a new one is begun.
        other => Fault::Corrupt(other.to_string()),
    })
}

fn migrator() -> Migrator {
    let cache = include_str!("../migrations/0001_cache.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "cache".into(), MigrationType::Simple, cache, false)])
}

fn pools(file: &Path) -> Result<Opening, sqlx::Error> {
    let pool = |connections| {
        AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(READ_WAIT)
            .after_connect(|connection, _| {
                Box::pin(async move { sqlx::raw_sql(PRAGMAS).execute(connection).await.map(drop) })
            })
            .connect_lazy(&url(file))
    };
    Ok(Opening::Ready { readers: pool(READERS)?, writer: pool(1)? })
}

fn fault(error: &sqlx::Error) -> Fault {
    match primary_code(error) {
        Some(code) if CORRUPT.contains(&code) => Fault::Corrupt(error.to_string()),
        _ => Fault::Unusable(error.to_string()),
    }
}

/// SQLite's error code without what extends it.
fn primary_code(error: &sqlx::Error) -> Option<i64> {
    let code: i64 = error.as_database_error()?.code()?.parse().ok()?;
    Some(code & 0xff)
}

fn url(file: &Path) -> String {
    format!("sqlite://{}?mode=rw", percent_encode(file.as_os_str().as_bytes(), PATH))
}

/// Makes the file 0600 before SQLite would make it readable (its `-wal` and `-shm` take the mode over), and tells its size.
fn private_file(file: &Path) -> Result<u64, Fault> {
    match fs::symlink_metadata(file) {
        Ok(meta) if meta.is_file() => Ok(meta.len()),
        Ok(_) => Err(Fault::Corrupt("not a regular file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map(|_| 0)
            .map_err(|error| Fault::Unusable(error.to_string())),
        Err(error) => Err(Fault::Unusable(error.to_string())),
    }
}

fn aside(file: &Path) -> PathBuf {
    with_suffix(file, &format!(".corrupt-{}", jiff::Timestamp::now().as_millisecond()))
}

fn move_aside(file: &Path, aside: &Path) -> io::Result<()> {
    fs::rename(file, aside)?;
    for suffix in ["-wal", "-shm"] {
        match fs::rename(with_suffix(file, suffix), with_suffix(aside, suffix)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
