//! Clients that pull everything at random, and look at each answer.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::world::{REPOSITORY, World, target};
use crate::clients::content::sha256;
use crate::clients::http::{self, Answer};
use crate::random::Random;

/// How long a client waits that found no gate.
const RETRY: Duration = Duration::from_millis(1);

/// What the clients got.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) answers: u64,
    pub(super) whole: u64,
    pub(super) cut: u64,
}

/// How a request ended, where nothing was wrong with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    /// The right bytes, all of them; of a HEAD, their length.
    Whole,
    /// A beginning of the right bytes, and the connection ended.
    Short,
    /// Another status than 200 and 206.
    Refused,
    /// The connection ended before there was an answer.
    Cut,
    /// Nobody listens.
    Absent,
}

/// How something is asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ask<'a> {
    pub(super) gate: &'a str,
    pub(super) method: &'a str,
    pub(super) repository: &'a str,
    pub(super) range: Option<(u64, u64)>,
}

/// Pulls while `work` is done, which ends the gate; an answer that must not be is the error.
pub(super) fn meanwhile(
    world: &World,
    gate: &str,
    clients: &[u64],
    work: impl FnOnce() -> io::Result<()>,
) -> io::Result<Counts> {
    let over = AtomicBool::new(false);
    let [answers, whole, cut] = [0; 3].map(AtomicU64::new);
    let pull = |seed: u64| {
        let mut random = Random::new(seed);
        while !over.load(Ordering::Relaxed) {
            match one(world, gate, &mut random)? {
                End::Whole => {
                    answers.fetch_add(1, Ordering::Relaxed);
                    whole.fetch_add(1, Ordering::Relaxed);
                }
                End::Refused => {
                    answers.fetch_add(1, Ordering::Relaxed);
                }
                End::Short | End::Cut => {
                    cut.fetch_add(1, Ordering::Relaxed);
                }
                End::Absent => thread::sleep(RETRY),
            }
        }
        Ok::<(), io::Error>(())
    };
    let pull = &pull;
    thread::scope(|scope| {
        let pulling: Vec<_> = clients.iter().map(|seed| scope.spawn(move || pull(*seed))).collect();
        let worked = work();
        over.store(true, Ordering::Relaxed);
        for client in pulling {
            client.join().map_err(|_| io::Error::other("a client panicked"))??;
        }
        worked
    })?;
    let [answers, whole, cut] = [answers, whole, cut].map(AtomicU64::into_inner);
    Ok(Counts { answers, whole, cut })
}

/// One request for anything.
fn one(world: &World, gate: &str, random: &mut Random) -> io::Result<End> {
    let method = if random.below(3) == 0 { "HEAD" } else { "GET" };
    let ask = Ask { gate, method, repository: REPOSITORY, range: None };
    let any = |names: &[String], random: &mut Random| random.one(names).cloned().unwrap_or_default();
    match random.below(9) {
        0 | 1 => by_name(world, &ask, &any(&world.tags, random)),
        2 => by_name(world, &ask, &any(&world.unsigned_tags, random)),
        3 => {
            let to = if random.below(2) == 0 { &world.forbidden_roots } else { &world.roots };
            world.move_tag(&any(to, random));
            by_name(world, &ask, "moving")
        }
        4 => {
            let kind = if random.below(2) == 0 { "blobs" } else { "manifests" };
            by_digest(world, &ask, kind, &any(&world.forbidden, random))
        }
        5 => by_name(world, &ask, &any(&world.evidence_tags, random)),
        _ => {
            let digests: Vec<String> = world.permitted.keys().cloned().collect();
            let digest = any(&digests, random);
            // Mostly by its own route, at times by the other.
            let kind = if random.below(4) == 0 { "manifests" } else { "blobs" };
            let length = world.permitted.get(&digest).map_or(0, Vec::len) as u64;
            let first = random.below(length.max(1));
            let range =
                (random.below(3) == 0 && kind == "blobs").then(|| (first, first + random.below(100_000)));
            match by_digest(world, &Ask { range, ..ask }, kind, &digest)? {
                // Never whole, whoever lives: no sign of a kill.
                End::Short if digest == world.corrupt => Ok(End::Refused),
                end => Ok(end),
            }
        }
    }
}

/// By tag: whatever it means at the moment, what comes is one of the permitted.
pub(super) fn by_name(world: &World, ask: &Ask<'_>, tag: &str) -> io::Result<End> {
    let path = target(ask.repository, "manifests", tag);
    let answer = match http::call(ask.gate, ask.method, &path, &[], &[]) {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    if answer.status != 200 {
        return Ok(End::Refused);
    }
    let told = answer.header("docker-content-digest").unwrap_or_default().to_owned();
    match world.permitted.get(&told) {
        Some(bytes) => compared(ask.method, &path, &answer, bytes),
        None => Err(wrong(ask.method, &path, &format!("200 for {told}, which nobody signed"))),
    }
}

/// By digest: never what is forbidden, never another byte than the right one.
pub(super) fn by_digest(world: &World, ask: &Ask<'_>, kind: &str, digest: &str) -> io::Result<End> {
    let path = target(ask.repository, kind, digest);
    let header = ask.range.map(|(first, last)| format!("bytes={first}-{last}"));
    let headers: Vec<(&str, &str)> = header.iter().map(|value| ("Range", value.as_str())).collect();
    let answer = match http::call(ask.gate, ask.method, &path, &headers, &[]) {
        Ok(answer) => answer,
        Err(error) => return no_answer(error),
    };
    if !matches!(answer.status, 200 | 206) {
        return Ok(End::Refused);
    }
    let Some(bytes) = world.permitted.get(digest) else {
        return Err(wrong(ask.method, &path, &format!("{} for what nobody signed", answer.status)));
    };
    let part = match (ask.range, answer.status) {
        (Some((first, last)), 206) => {
            let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            bytes.get(index(first)..index(last).saturating_add(1).min(bytes.len())).unwrap_or_default()
        }
        (Some(_) | None, _) => bytes,
    };
    compared(ask.method, &path, &answer, part)
}

/// An answer that is as long as it says must be the very bytes; one that broke off, a beginning of them.
fn compared(method: &str, path: &str, answer: &Answer, bytes: &[u8]) -> io::Result<End> {
    let announced: usize =
        answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
    if announced != bytes.len() {
        return Err(wrong(method, path, &format!("{announced} bytes announced, {} are right", bytes.len())));
    }
    if method == "HEAD" {
        return Ok(End::Whole);
    }
    if !bytes.starts_with(&answer.body) {
        return Err(wrong(
            method,
            path,
            &format!("a wrong byte in {} ({})", answer.body.len(), sha256(&answer.body)),
        ));
    }
    Ok(if answer.body.len() == announced { End::Whole } else { End::Short })
}

fn no_answer(error: io::Error) -> io::Result<End> {
    match error.kind() {
        io::ErrorKind::ConnectionRefused => Ok(End::Absent),
        // A gate that hangs is wrong; one that is gone is not.
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => Err(error),
        _ => Ok(End::Cut),
    }
}

fn wrong(method: &str, path: &str, what: &str) -> io::Error {
    io::Error::other(format!("{method} {path}: {what}"))
}
