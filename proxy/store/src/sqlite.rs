//! SQLite files: a corrupt one is moved aside, a newer one is left alone, one that cannot be used is done without (A503).

use std::fmt::Write as _;
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_encode};
use sqlx::any::AnyPoolOptions;
use sqlx::migrate::{MigrateError, Migration, MigrationType, Migrator};
use sqlx::{
    Any, AnyConnection, AnyPool, AssertSqlSafe, Connection as _, Row as _, SqlSafeStr as _, Transaction,
};

use crate::limits::{CHECK_BYTES, CORRUPT_KEPT};

mod mark;
mod read_only;

pub use self::mark::{Mark, drop_log, remove_log};
pub use self::read_only::read_only;

/// Characters of a path that a URL does not escape.
pub(crate) const PATH: &AsciiSet = &NON_ALPHANUMERIC.remove(b'/').remove(b'-').remove(b'_').remove(b'.');
/// SQLite's `SQLITE_CORRUPT` and `SQLITE_NOTADB`.
const CORRUPT: [i64; 2] = [11, 26];
/// The end of a corrupt file's name, before the time at which it was moved aside.
const CORRUPT_SUFFIX: &str = ".corrupt-";
/// SQLite's `SQLITE_ERROR`: in a migration it means that the file is not what its migrations say.
const STATEMENT: i64 = 1;

/// One of the gate's databases.
#[derive(Debug, Clone)]
pub struct Sqlite {
    /// The file.
    pub file: PathBuf,
    /// What each connection begins with.
    pub pragmas: &'static str,
    /// How long a lock of another process is waited for.
    pub lock_wait: Duration,
    /// The names and the texts of its migrations, in their order.
    pub schema: &'static [(&'static str, &'static str)],
    /// What a schema means that is not what its name says.
    pub strange: Strange,
}

/// What a schema means that is not what its name says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Strange {
    /// The file is disposable: it is corrupt, and a new one is begun.
    IsCorrupt,
    /// An unknown schema is left in place.
    StaysThere,
}

/// What there was before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Prepared {
    /// A corrupt file, which lies aside now.
    Anew,
    /// The file.
    Found,
    /// Nothing.
    Made,
}

/// Why the file is not in use.
#[derive(Debug, thiserror::Error)]
pub enum OpenFault {
    /// A later release wrote it, with this migration.
    #[error("schema {0} is newer")]
    Newer(i64),
    /// Why.
    #[error("{0}")]
    Unusable(String),
}

enum SqliteFault {
    Corrupt(String),
    Newer(i64),
    Unusable(String),
}

impl From<SqliteFault> for OpenFault {
    fn from(fault: SqliteFault) -> Self {
        match fault {
            SqliteFault::Newer(version) => Self::Newer(version),
            SqliteFault::Corrupt(error) | SqliteFault::Unusable(error) => Self::Unusable(error),
        }
    }
}

impl Sqlite {
    /// Makes the file if need be, and brings its schema up to date. A corrupt one is moved aside, loudly, and a new one
    /// begun.
    ///
    /// # Errors
    /// [`OpenFault`].
    pub async fn prepare(&self) -> Result<Prepared, OpenFault> {
        sqlx::any::install_default_drivers();
        match self.attempt().await {
            Err(SqliteFault::Corrupt(error)) => self.begin_anew(&error).await,
            attempt => Ok(attempt?),
        }
    }

    /// Moves a corrupt file aside, loudly, and begins a new one.
    ///
    /// # Errors
    /// [`OpenFault`].
    pub async fn begin_anew(&self, error: &str) -> Result<Prepared, OpenFault> {
        let aside = aside(&self.file);
        tracing::error!(file = %self.file.display(), aside = %aside.display(), error,
            "a database is corrupt: it is moved aside and kept, and a new one begun");
        move_aside(&self.file, &aside).map_err(|error| OpenFault::Unusable(error.to_string()))?;
        forget_older(&self.file);
        self.attempt().await?;
        Ok(Prepared::Anew)
    }

    /// Connections to it, made when they are needed and waited for at most `wait`. They stay open: closing the last one
    /// writes the file, at an uncontrolled moment.
    ///
    /// # Errors
    /// [`OpenFault`].
    pub fn pool(&self, connections: u32, wait: Duration) -> Result<AnyPool, OpenFault> {
        let pragmas = self.pragmas();
        AnyPoolOptions::new()
            .max_connections(connections)
            .acquire_timeout(wait)
            .idle_timeout(None)
            .max_lifetime(None)
            .after_connect(move |connection, _| {
                let pragmas = AssertSqlSafe(pragmas.clone());
                Box::pin(async move { sqlx::raw_sql(pragmas).execute(connection).await.map(drop) })
            })
            .connect_lazy(&url(&self.file))
            .map_err(|error| OpenFault::Unusable(error.to_string()))
    }

    /// Safe: of what stands in the source, and a number. The lock first: the others may meet one.
    fn pragmas(&self) -> String {
        format!("pragma busy_timeout = {}; {}", self.lock_wait.as_millis(), self.pragmas)
    }

    async fn attempt(&self) -> Result<Prepared, SqliteFault> {
        let size = private_file(&self.file)?;
        let mut connection = AnyConnection::connect(&url(&self.file)).await.map_err(|error| fault(&error))?;
        let prepared = self.check_and_migrate(&mut connection, size).await;
        let _ = connection.close().await;
        prepared.map(|()| if size == 0 { Prepared::Made } else { Prepared::Found })
    }

    async fn check_and_migrate(&self, connection: &mut AnyConnection, size: u64) -> Result<(), SqliteFault> {
        let pragmas = AssertSqlSafe(self.pragmas());
        sqlx::raw_sql(pragmas).execute(&mut *connection).await.map_err(|error| fault(&error))?;
        if size <= CHECK_BYTES {
            let row = sqlx::query("pragma quick_check(1)").fetch_one(&mut *connection).await;
            let said: String = row.and_then(|row| row.try_get(0)).map_err(|error| fault(&error))?;
            if said != "ok" {
                return Err(SqliteFault::Corrupt(said));
            }
        }
        self.migrator().run_direct(None, connection, false).await.map_err(|error| match error {
            MigrateError::VersionMissing(version) | MigrateError::VersionTooNew(version, _) => {
                SqliteFault::Newer(version)
            }
            MigrateError::Execute(error) => fault(&error),
            MigrateError::ExecuteMigration(error, _) if primary_code(&error) == Some(STATEMENT) => {
                SqliteFault::Corrupt(error.to_string())
            }
            MigrateError::ExecuteMigration(error, _) => fault(&error),
            other => match self.strange {
                Strange::IsCorrupt => SqliteFault::Corrupt(other.to_string()),
                Strange::StaysThere => SqliteFault::Unusable(other.to_string()),
            },
        })
    }

    fn migrator(&self) -> Migrator {
        let migration = |(version, (name, text)): (i64, &(&'static str, &'static str))| {
            Migration::new(version, (*name).into(), MigrationType::Simple, text.into_sql_str(), false)
        };
        Migrator::with_migrations((1..).zip(self.schema).map(migration).collect())
    }
}

/// One transaction. After a failure its connection is closed: a commit that fails for want of room leaves the transaction
/// open, and whatever came next would be written into it and never be committed.
pub async fn transact(
    pool: &AnyPool,
    work: impl AsyncFnOnce(&mut Transaction<'_, Any>) -> Result<(), sqlx::Error>,
) -> Result<(), sqlx::Error> {
    let mut connection = pool.acquire().await?;
    let mut transaction = connection.begin().await?;
    let done = match work(&mut transaction).await {
        Ok(()) => transaction.commit().await,
        Err(error) => {
            drop(transaction);
            Err(error)
        }
    };
    if done.is_err() {
        let _ = connection.close().await;
    }
    done
}

/// Whether the file itself is at fault.
pub fn is_corrupt(error: &sqlx::Error) -> bool {
    primary_code(error).is_some_and(|code| CORRUPT.contains(&code))
}

fn fault(error: &sqlx::Error) -> SqliteFault {
    if is_corrupt(error) {
        SqliteFault::Corrupt(error.to_string())
    } else {
        SqliteFault::Unusable(error.to_string())
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
fn private_file(file: &Path) -> Result<u64, SqliteFault> {
    match fs::symlink_metadata(file) {
        Ok(meta) if meta.is_file() => Ok(meta.len()),
        Ok(_) => Err(SqliteFault::Corrupt("not a regular file".to_owned())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(file)
            .map(|_| 0)
            .map_err(|error| SqliteFault::Unusable(error.to_string())),
        Err(error) => Err(SqliteFault::Unusable(error.to_string())),
    }
}

fn aside(file: &Path) -> PathBuf {
    with_suffix(file, &format!("{CORRUPT_SUFFIX}{}", jiff::Timestamp::now().as_millisecond()))
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

/// Removes the oldest that lie aside (A607). A failure is logged, and is no reason to go without a database.
fn forget_older(file: &Path) {
    if let Err(error) = remove_older(file) {
        tracing::warn!(file = %file.display(), %error, "corrupt databases that lie aside cannot be removed");
    }
}

fn remove_older(file: &Path) -> io::Result<()> {
    let (Some(folder), Some(name)) = (file.parent(), file.file_name()) else { return Ok(()) };
    let mut begins = name.as_bytes().to_vec();
    begins.extend_from_slice(CORRUPT_SUFFIX.as_bytes());
    let mut times: Vec<u64> = Vec::new();
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name();
        let time = name.as_bytes().strip_prefix(begins.as_slice());
        times.extend(time.and_then(|time| std::str::from_utf8(time).ok()?.parse::<u64>().ok()));
    }
    times.sort_unstable_by_key(|time| std::cmp::Reverse(*time));
    for time in times.into_iter().skip(CORRUPT_KEPT) {
        let old = with_suffix(file, &format!("{CORRUPT_SUFFIX}{time}"));
        for path in [with_suffix(&old, "-wal"), with_suffix(&old, "-shm"), old] {
            match fs::remove_file(&path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Ok(()) | Err(_) => {}
            }
        }
    }
    Ok(())
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}

/// `($1, $2), ($3, $4)`: both engines take numbered ones, only SQLite takes `?`.
pub fn placeholders(rows: usize, columns: usize) -> String {
    let mut text = String::with_capacity(rows * columns * 6);
    for n in 0..rows * columns {
        text.push_str(match (n, n % columns) {
            (0, _) => "(",
            (_, 0) => "), (",
            _ => ", ",
        });
        // To write into a string never fails.
        let _ = write!(text, "${}", n + 1);
    }
    text.push(')');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_numbered_through() {
        assert_eq!(placeholders(2, 3), "($1, $2, $3), ($4, $5, $6)");
    }

    #[tokio::test]
    async fn a606_after_a_commit_that_failed_the_next_transaction_is_kept() {
        let folder = tempfile::tempdir().unwrap();
        // A reference that is looked at by the commit makes it fail as a full disk does: the transaction stays open.
        const SCHEMA: &[(&str, &str)] = &[(
            "test",
            "create table parent (id bigint primary key); \
            create table child (of bigint references parent (id) deferrable initially deferred);",
        )];
        let sqlite = Sqlite {
            file: folder.path().join("test.db"),
            pragmas: "pragma journal_mode = wal; pragma foreign_keys = on;",
            lock_wait: Duration::from_secs(60),
            schema: SCHEMA,
            strange: Strange::IsCorrupt,
        };
        sqlite.prepare().await.unwrap();
        let pool = sqlite.pool(1, Duration::from_secs(60)).unwrap();
        let put = async |sql: &'static str| {
            transact(&pool, async |open| sqlx::query(sql).execute(&mut **open).await.map(drop)).await
        };
        assert!(put("insert into child values (1)").await.is_err(), "the commit fails");
        put("insert into parent values (1)").await.unwrap();
        let mut other = AnyConnection::connect(&url(&sqlite.file)).await.unwrap();
        for (table, rows) in [("parent", 1), ("child", 0)] {
            let count = AssertSqlSafe(format!("select count(*) from {table}"));
            let found: i64 = sqlx::query_scalar(count).fetch_one(&mut other).await.unwrap();
            assert_eq!(found, rows, "{table}: seen by another connection");
        }
    }

    #[tokio::test]
    async fn a607_of_corrupt_files_the_newest_stay_and_nothing_else_goes() {
        let folder = tempfile::tempdir().unwrap();
        let put = |name: &str| fs::write(folder.path().join(name), b"it is none").unwrap();
        let sqlite = Sqlite {
            file: folder.path().join("test.db"),
            pragmas: "pragma journal_mode = wal;",
            lock_wait: Duration::from_secs(60),
            schema: &[("test", "create table one (id bigint primary key);")],
            strange: Strange::IsCorrupt,
        };
        let names = || {
            let all = fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().file_name());
            all.map(|name| name.to_str().unwrap().to_owned()).collect::<std::collections::BTreeSet<_>>()
        };
        let others = ["other.db.corrupt-1", "test.db.corrupt-2.kept", "test.db.corrupt-mine", "notes"];
        others.into_iter().for_each(put);
        // One digit less is older, whatever the order of the letters.
        for time in ["9", "10", "11"] {
            put(&format!("test.db.corrupt-{time}"));
            put(&format!("test.db.corrupt-{time}-wal"));
        }
        put("test.db");
        assert_eq!(sqlite.prepare().await.unwrap(), Prepared::Anew);
        let found = names();
        assert!(others.iter().all(|name| found.contains(*name)), "{found:?}");
        assert!(
            !found.contains("test.db.corrupt-9") && !found.contains("test.db.corrupt-9-wal"),
            "{found:?}"
        );
        let stay = ["test.db.corrupt-10", "test.db.corrupt-10-wal", "test.db.corrupt-11"];
        assert!(stay.iter().all(|name| found.contains(*name)), "{found:?}");
        for _ in 0..CORRUPT_KEPT + 1 {
            put("test.db");
            sqlite.prepare().await.unwrap();
        }
        let aside = |name: &&String| {
            name.strip_prefix("test.db.corrupt-").is_some_and(|time| time.parse::<u64>().is_ok())
        };
        assert_eq!(names().iter().filter(aside).count(), CORRUPT_KEPT, "{:?}", names());
        assert!(others.iter().all(|name| names().contains(*name)), "{:?}", names());
    }
}
