//! What must hold on the disk when no gate runs.

use std::fs;
use std::io;
use std::path::Path;

use sqlx::{AnyConnection, Connection as _};
use tempfile::TempDir;

use super::world::World;
use crate::clients::content::sha256;

/// A database, and what a killed process leaves beside it: the next one must make it whole (sqlite.org/wal.html).
const DATABASES: [[&str; 2]; 2] = [["cache.db", "cache.db-wal"], ["audit.db", "audit.db-wal"]];

/// What was found.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rest {
    /// Permits that are stored.
    pub(super) permits: usize,
}

impl Rest {
    /// Databases are whole, permits and grants are about what was signed, files are what their names say.
    pub(super) fn look(world: &mut World) -> io::Result<Self> {
        world.forget();
        world.pull_log.read_on()?;
        let state = world.state();
        if !state.is_dir() {
            return Ok(Self { permits: 0 }); // killed before it made one
        }
        nothing_was_moved_aside(&state)?;
        for folder in ["blobs", "documents", "unproven"] {
            named_by_their_bytes(&state.join(folder))?;
        }
        let copies = TempDir::with_prefix("pullgate-kills-copy-")?;
        for [database, log] in DATABASES {
            if copied(&state, copies.path(), database, log)? {
                let said = world.wait(integrity(&copies.path().join(database))).map_err(io::Error::other)?;
                if said != "ok" {
                    return Err(io::Error::other(format!("{database}: {said}")));
                }
            }
        }
        let cache = copies.path().join("cache.db");
        if !cache.exists() {
            return Ok(Self { permits: 0 });
        }
        let roots = world.wait(roots(&cache)).map_err(io::Error::other)?;
        let strange =
            roots.permits.iter().chain(&roots.grants).find(|digest| !world.ever_signed.contains(*digest));
        match strange {
            Some(digest) => {
                Err(io::Error::other(format!("a permit or a grant rests on {digest}, which nobody signed")))
            }
            None => Ok(Self { permits: roots.permits.len() }),
        }
    }
}

fn nothing_was_moved_aside(state: &Path) -> io::Result<()> {
    for entry in fs::read_dir(state)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(".corrupt-") {
            return Err(io::Error::other(format!("{name}: a database was found corrupt")));
        }
    }
    Ok(())
}

/// Copies a database that has begun. The one in its place is left as the kill left it: to make it whole is the gate's.
fn copied(state: &Path, to: &Path, database: &str, log: &str) -> io::Result<bool> {
    if !fs::metadata(state.join(database)).is_ok_and(|file| file.len() > 0) {
        return Ok(false);
    }
    fs::copy(state.join(database), to.join(database))?;
    if state.join(log).exists() {
        fs::copy(state.join(log), to.join(log))?;
    }
    Ok(true)
}

async fn open(file: &Path) -> Result<AnyConnection, sqlx::Error> {
    sqlx::any::install_default_drivers();
    AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await
}

async fn integrity(file: &Path) -> Result<String, sqlx::Error> {
    let mut connection = open(file).await?;
    let said = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await;
    connection.close().await?;
    said
}

/// On which digests stored permits and grants rest.
#[derive(Debug, Default)]
struct Roots {
    permits: Vec<String>,
    grants: Vec<String>,
}

async fn roots(file: &Path) -> Result<Roots, sqlx::Error> {
    let mut connection = open(file).await?;
    let tables = "select count(*) from sqlite_master where name in ('records', 'grants')";
    let mut roots = Roots::default();
    // None where the kill came before the tables.
    if sqlx::query_scalar::<_, i64>(tables).fetch_one(&mut connection).await? == 2 {
        let permits = "select key from records where kind = 'permit'";
        roots.permits = sqlx::query_scalar(permits).fetch_all(&mut connection).await?;
        roots.grants =
            sqlx::query_scalar("select distinct root from grants").fetch_all(&mut connection).await?;
    }
    connection.close().await?;
    Ok(roots)
}

/// Files under `sha256/…` are what their names say.
fn named_by_their_bytes(folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) }; // not made yet
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            named_by_their_bytes(&path)?;
            continue;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if sha256(&fs::read(&path)?) != format!("sha256:{name}") {
            return Err(io::Error::other(format!("{}: other bytes than its name says", path.display())));
        }
    }
    Ok(())
}
