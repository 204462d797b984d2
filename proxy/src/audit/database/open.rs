//! Opening `audit.db`: a corrupt file is moved aside and kept, a newer one is left alone.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{AnyConnection, AnyPool, Connection as _, Row as _, SqlSafeStr as _};

/// `full`: a record that was acknowledged survives the loss of power, at one sync for a batch.
const PRAGMAS: &str = "pragma busy_timeout = 2000; pragma journal_mode = wal; pragma synchronous = full; pragma trusted_schema = off;";
/// How long a connection is waited for.
const ACQUIRE: Duration = Duration::from_secs(3);
/// Largest file whose pages are all checked when it is opened, bytes: a start takes seconds, not minutes.
const CHECK_BYTES: u64 = 64 * 1024 * 1024;
/// What a path keeps as it is in a URL.
const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
/// SQLite's `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
const CORRUPT: [i64; 2] = [11, 26];
/// SQLite's `SQLITE_ERROR`: in a migration it means that the file is not what its migrations say.
const STATEMENT: i64 = 1;

/// What became of opening the file.
#[derive(Debug)]
pub(super) enum Opening {
    /// A later release wrote it, with this migration.
    Newer(i64),
    Ready(AnyPool),
    /// Why.
    Unusable(String),
}

enum Fault {
    Corrupt(String),
    Newer(i64),
    Unusable(String),
}

pub(super) async fn open(file: &Path) -> Opening {
    sqlx::any::install_default_drivers();
    let mut attempt = prepare(file).await;
    if let Err(Fault::Corrupt(error)) = &attempt {
        let aside = aside(file);
        tracing::error!(file = %file.display(), aside = %aside.display(), error,
            "audit.db is corrupt: it is moved aside and kept, and a new one begun");
        attempt = match move_aside(file, &aside) {
            Ok(()) => prepare(file).await,
            Err(error) => Err(Fault::Unusable(error.to_string())),
        };
    }
    match attempt {
        Ok(()) => match pool(file) {
            Ok(pool) => Opening::Ready(pool),
            Err(error) => Opening::Unusable(error.to_string()),
        },
        Err(Fault::Newer(version)) => Opening::Newer(version),
        Err(Fault::Corrupt(error) | Fault::Unusable(error)) => Opening::Unusable(error),
    }
}

/// Whether the file itself is at fault.
pub(super) fn is_corrupt(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| CORRUPT.contains(&code))
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
        // Nothing else is known to be its fault; what is not understood is not moved.
        other => Fault::Unusable(other.to_string()),
    })
}

fn migrator() -> Migrator {
    let audit = include_str!("../migrations/0001_audit.sql").into_sql_str();
    Migrator::with_migrations(vec![Migration::new(1, "audit".into(), MigrationType::Simple, audit, false)])
}

fn pool(file: &Path) -> Result<AnyPool, sqlx::Error> {
    AnyPoolOptions::new()
        .max_connections(1)
        .acquire_timeout(ACQUIRE)
        .after_connect(|connection, _| {
            Box::pin(async move { sqlx::raw_sql(PRAGMAS).execute(connection).await.map(drop) })
        })
        .connect_lazy(&url(file))
}

fn fault(error: &sqlx::Error) -> Fault {
    if is_corrupt(error) { Fault::Corrupt(error.to_string()) } else { Fault::Unusable(error.to_string()) }
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
