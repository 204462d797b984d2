//! What must hold of a gate that was started again: right after the start, and in pulls.

use std::fs;
use std::io;

use super::load::{Ask, End, by_digest, by_name};
use super::world::{ELSEWHERE, Gate, REPOSITORY, World};
use crate::clients::http;

/// What may stand in a state folder. Anything else was left over.
const STATE: [&str; 18] = [
    "audit.db",
    "audit.db-shm",
    "audit.db-wal",
    "audit.taken",
    "blobs",
    "cache.db",
    "cache.db-shm",
    "cache.db-wal",
    "cache.lost",
    "cache.running",
    "documents",
    "lock",
    "log.key",
    "log.pub",
    "policies",
    "seal.key",
    "tmp",
    "unproven",
];
/// How clients name a repository: without its registry, which is the default one here, and with it.
const PREFIXES: [&str; 2] = ["", "registry.test/"];

/// Right after a start: what was under way before is gone, and a record that was cut off is gone and counted.
pub(super) fn after_start(world: &mut World, gate: &Gate, torn: bool) -> io::Result<()> {
    let names = |folder| -> io::Result<Vec<String>> {
        fs::read_dir(folder)?.map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned())).collect()
    };
    let mut left = names(world.state().join("tmp"))?;
    left.extend(names(world.state())?.into_iter().filter(|name| !STATE.contains(&name.as_str())));
    if !left.is_empty() {
        return Err(io::Error::other(format!("left over: {left:?}")));
    }
    world.pull_log.read_on()?;
    if !world.pull_log.is_whole()? {
        return Err(io::Error::other("the pull log ends inside a record"));
    }
    let metrics = http::get(gate.admin(), "/metrics")?.text();
    let lost = metrics.lines().find_map(|line| line.strip_prefix("pullgate_audit_lost_total "));
    // Those in the queue too; the next record tells the number, and the one before is known.
    let lost: Option<u64> = lost.and_then(|lost| lost.parse().ok());
    if lost.is_none_or(|lost| lost < u64::from(torn)) {
        return Err(io::Error::other(format!(
            "{lost:?} records are counted as lost; one was cut off: {torn}"
        )));
    }
    Ok(())
}

/// Every permitted image pulls whole; nothing else is served by any route.
pub(super) fn by_pulls(world: &World, gate: &str) -> io::Result<()> {
    for tag in world.tags.iter().chain(&world.evidence_tags) {
        for method in ["HEAD", "GET"] {
            let ask = Ask { gate, method, repository: REPOSITORY, range: None };
            must(tag, by_name(world, &ask, tag)?, End::Whole)?;
        }
    }
    // Children after their index, blobs after their manifests: as a client learns of them.
    for kind in ["manifests", "blobs"] {
        for (digest, bytes) in world.of_kind(kind) {
            // A transfer that is found wrong before there is an answer refuses it; later it cuts it, at times before
            // its head has left.
            let right: &[End] = match *digest == world.corrupt {
                true => &[End::Cut, End::Refused, End::Short],
                false => &[End::Whole],
            };
            // A part first: of a copy that is not yet hashed again, of one that is still to be fetched.
            let last = bytes.len() as u64 - 1;
            for range in [Some((last / 2, last)), None] {
                if range.is_none() || kind == "blobs" {
                    let ask = Ask { gate, method: "GET", repository: REPOSITORY, range };
                    must_be(digest, by_digest(world, &ask, kind, digest)?, right)?;
                }
            }
        }
    }
    refused(world, gate)
}

/// By tag and by digest, as a manifest and as a blob, whole and in part, in its repository and in another.
fn refused(world: &World, gate: &str) -> io::Result<()> {
    for prefix in PREFIXES {
        for repository in [REPOSITORY, ELSEWHERE].map(|name| format!("{prefix}{name}")) {
            for method in ["HEAD", "GET"] {
                let ask = |range| Ask { gate, method, repository: &repository, range };
                for tag in &world.unsigned_tags {
                    must(tag, by_name(world, &ask(None), tag)?, End::Refused)?;
                }
                for digest in &world.forbidden {
                    for kind in ["manifests", "blobs"] {
                        must(digest, by_digest(world, &ask(None), kind, digest)?, End::Refused)?;
                    }
                    must(digest, by_digest(world, &ask(Some((0, 9))), "blobs", digest)?, End::Refused)?;
                }
            }
        }
    }
    // What is permitted here is not so elsewhere, where no signature stands.
    for root in &world.roots {
        let ask = Ask { gate, method: "GET", repository: ELSEWHERE, range: None };
        must(root, by_digest(world, &ask, "manifests", root)?, End::Refused)?;
    }
    Ok(())
}

fn must(what: &str, ended: End, right: End) -> io::Result<()> {
    must_be(what, ended, &[right])
}

fn must_be(what: &str, ended: End, right: &[End]) -> io::Result<()> {
    if right.contains(&ended) {
        Ok(())
    } else {
        Err(io::Error::other(format!("{what}: {ended:?} and not {right:?}")))
    }
}
