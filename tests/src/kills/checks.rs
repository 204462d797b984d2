//! What must hold after a kill: at rest on the disk, right after the next start, and in pulls.

use std::fs;
use std::io;
use std::path::Path;

use sqlx::{AnyConnection, Connection as _};

use super::load::{by_digest, by_name};
use super::world::World;
use crate::clients::content::sha256;

/// With no gate running: databases are whole, permits are about what was signed, files are what their names say.
pub(super) fn at_rest(world: &World) -> io::Result<()> {
    world.forget();
    let state = world.state();
    if !state.is_dir() {
        return Ok(()); // killed before it made one
    }
    for entry in fs::read_dir(&state)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.contains(".corrupt-") {
            return Err(io::Error::other(format!("{name}: a database was found corrupt")));
        }
    }
    for name in ["cache.db", "audit.db"] {
        let file = state.join(name);
        if fs::metadata(&file).is_ok_and(|file| file.len() > 0) {
            let said = world.wait(integrity(&file)).map_err(io::Error::other)?;
            if said != "ok" {
                return Err(io::Error::other(format!("{name}: {said}")));
            }
        }
    }
    let permits = world.wait(permits(&state.join("cache.db"))).unwrap_or_default();
    if let Some(strange) = permits.iter().find(|digest| !world.permitted.contains_key(*digest)) {
        return Err(io::Error::other(format!("a permit is stored for {strange}, which nobody signed")));
    }
    for folder in ["blobs", "documents"] {
        named_by_their_bytes(&state.join(folder))?;
    }
    audit_lines(&world.log())
}

/// Right after a start: what was under way before is gone.
pub(super) fn after_start(world: &World) -> io::Result<()> {
    let left: Vec<_> = fs::read_dir(world.state().join("tmp"))?.filter_map(Result::ok).collect();
    if left.is_empty() { Ok(()) } else { Err(io::Error::other(format!("left over: {left:?}"))) }
}

/// Every permitted image pulls whole; nothing else is served by any route.
pub(super) fn by_pulls(world: &World, gate: &str) -> io::Result<()> {
    let ended = |what: &str, answer: Option<bool>, whole: bool| match answer {
        Some(complete) if complete == whole => Ok(()),
        Some(_) => Err(io::Error::other(format!("{what}: {}", if whole { "not served" } else { "served" }))),
        None => Err(io::Error::other(format!("{what}: no answer"))),
    };
    for (tag, _) in &world.tags {
        ended(tag, by_name(world, gate, "GET", tag)?, true)?;
    }
    for root in &world.roots {
        ended(root, by_digest(world, gate, "GET", "manifests", root, None)?, true)?;
    }
    // Children after their index, blobs after their manifests: as a client learns of them.
    for pass in ["manifests", "blobs"] {
        for (digest, bytes) in &world.permitted {
            let is_manifest =
                bytes.starts_with(b"{") && String::from_utf8_lossy(bytes).contains("\"schemaVersion\"");
            if (pass == "manifests") == is_manifest {
                let right = *digest != world.corrupt;
                ended(digest, by_digest(world, gate, "GET", pass, digest, None)?, right)?;
            }
        }
    }
    for tag in &world.unsigned_tags {
        for method in ["HEAD", "GET"] {
            ended(tag, by_name(world, gate, method, tag)?, false)?;
        }
    }
    for digest in &world.forbidden {
        for kind in ["manifests", "blobs"] {
            for method in ["HEAD", "GET"] {
                ended(digest, by_digest(world, gate, method, kind, digest, None)?, false)?;
            }
        }
    }
    Ok(())
}

async fn integrity(file: &Path) -> Result<String, sqlx::Error> {
    sqlx::any::install_default_drivers();
    let mut connection = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await?;
    let said = sqlx::query_scalar("pragma integrity_check").fetch_one(&mut connection).await;
    connection.close().await?;
    said
}

/// The digests about which permits are stored.
async fn permits(file: &Path) -> Result<Vec<String>, sqlx::Error> {
    let mut connection = AnyConnection::connect(&format!("sqlite://{}?mode=rw", file.display())).await?;
    let rows =
        sqlx::query_scalar("select key from records where kind = 'permit'").fetch_all(&mut connection).await;
    connection.close().await?;
    rows
}

/// Files under `sha256/…` are what their names say.
fn named_by_their_bytes(folder: &Path) -> io::Result<()> {
    let Ok(entries) = fs::read_dir(folder) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            named_by_their_bytes(&path)?;
            continue;
        }
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let hex = name.rsplit(['-', ':', '.']).next().unwrap_or_default();
        if hex.len() == 64 && sha256(&fs::read(&path)?) != format!("sha256:{hex}") {
            return Err(io::Error::other(format!("{}: other bytes than its name says", path.display())));
        }
        if hex.len() != 64 {
            return Err(io::Error::other(format!("{}: named by no digest", path.display())));
        }
    }
    Ok(())
}

/// Every line is a record; only the last may have been cut off.
fn audit_lines(file: &Path) -> io::Result<()> {
    let Ok(text) = fs::read_to_string(file) else { return Ok(()) };
    let whole = text.rsplit_once('\n').map_or("", |(whole, _cut)| whole);
    for line in whole.lines() {
        if serde_json::from_str::<serde_json::Value>(line).is_err() {
            return Err(io::Error::other(format!("a broken line in the pull log: {line}")));
        }
    }
    Ok(())
}
