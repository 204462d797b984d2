//! Clients that pull everything at random, and look at each answer.

use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use super::world::{World, target};
use crate::clients::content::sha256;
use crate::clients::http::{self, Answer};
use crate::random::Random;

/// What the clients got.
#[derive(Debug, Default)]
pub(super) struct Counts {
    pub(super) answers: u64,
    pub(super) whole: u64,
}

/// Pulls for so long; an answer that must not be is the error.
pub(super) fn until(moment: Duration, world: &World, gate: &str, clients: &[u64]) -> io::Result<Counts> {
    let (over, answers, whole) = (AtomicBool::new(false), AtomicU64::new(0), AtomicU64::new(0));
    let (over, answers, whole) = (&over, &answers, &whole);
    let work = move |seed: u64| {
        let mut random = Random::new(seed);
        while !over.load(Ordering::Relaxed) {
            if let Some(complete) = one(world, gate, &mut random)? {
                answers.fetch_add(1, Ordering::Relaxed);
                whole.fetch_add(u64::from(complete), Ordering::Relaxed);
            }
        }
        Ok::<(), io::Error>(())
    };
    thread::scope(|scope| {
        let pulling: Vec<_> = clients
            .iter()
            .map(|seed| {
                let seed = *seed;
                scope.spawn(move || work(seed))
            })
            .collect();
        thread::sleep(moment);
        over.store(true, Ordering::Relaxed);
        for client in pulling {
            client.join().map_err(|_| io::Error::other("a client panicked"))??;
        }
        Ok(Counts { answers: answers.load(Ordering::Relaxed), whole: whole.load(Ordering::Relaxed) })
    })
}

/// One request; none when there was no answer, as of a gate that is not there.
fn one(world: &World, gate: &str, random: &mut Random) -> io::Result<Option<bool>> {
    let method = if random.below(3) == 0 { "HEAD" } else { "GET" };
    let digests: Vec<&String> = world.permitted.keys().collect();
    match random.below(8) {
        0 | 1 => {
            let Some((tag, _)) = random.one(&world.tags).cloned() else { return Ok(None) };
            Ok(by_name(world, gate, method, &tag)?)
        }
        2 => {
            let Some(tag) = random.one(&world.unsigned_tags).cloned() else { return Ok(None) };
            Ok(by_name(world, gate, method, &tag)?)
        }
        3 => {
            let (forbidden, roots) =
                (random.one(&world.forbidden).cloned(), random.one(&world.roots).cloned());
            if let (Some(forbidden), Some(root)) = (forbidden, roots) {
                world.move_tag(if random.below(2) == 0 { &forbidden } else { &root });
            }
            Ok(by_name(world, gate, method, "moving")?)
        }
        4 => {
            let Some(digest) = random.one(&world.forbidden).cloned() else { return Ok(None) };
            let kind = if random.below(2) == 0 { "blobs" } else { "manifests" };
            Ok(by_digest(world, gate, method, kind, &digest, None)?)
        }
        _ => {
            let Some(digest) = random.one(&digests).map(|digest| (*digest).clone()) else { return Ok(None) };
            let kind = if random.below(4) == 0 { "manifests" } else { "blobs" };
            let length = world.permitted.get(&digest).map_or(0, Vec::len) as u64;
            let first = random.below(length.max(1));
            let range =
                (random.below(3) == 0 && kind == "blobs").then(|| (first, first + random.below(100_000)));
            Ok(by_digest(world, gate, method, kind, &digest, range)?)
        }
    }
}

/// By tag: whatever it means at the moment, what comes is one of the permitted.
pub(super) fn by_name(world: &World, gate: &str, method: &str, tag: &str) -> io::Result<Option<bool>> {
    let path = target("manifests", tag);
    let Ok(answer) = http::call(gate, method, &path, &[], &[]) else { return Ok(None) };
    if answer.status != 200 {
        return Ok(Some(false));
    }
    let told = answer.header("docker-content-digest").unwrap_or_default().to_owned();
    if !world.permitted.contains_key(&told) {
        return Err(wrong(method, &path, &format!("200 for {told}, which nobody signed")));
    }
    whole(method, &path, &answer, world.permitted.get(&told).map(Vec::as_slice).unwrap_or_default())
}

/// By digest: never what is forbidden, never another byte than the right one.
pub(super) fn by_digest(
    world: &World,
    gate: &str,
    method: &str,
    kind: &str,
    digest: &str,
    range: Option<(u64, u64)>,
) -> io::Result<Option<bool>> {
    let path = target(kind, digest);
    let header = range.map(|(first, last)| format!("bytes={first}-{last}"));
    let headers: Vec<(&str, &str)> = header.iter().map(|value| ("Range", value.as_str())).collect();
    let Ok(answer) = http::call(gate, method, &path, &headers, &[]) else { return Ok(None) };
    if !matches!(answer.status, 200 | 206) {
        return Ok(Some(false));
    }
    let Some(bytes) = world.permitted.get(digest) else {
        return Err(wrong(method, &path, &format!("{} for what nobody signed", answer.status)));
    };
    let part = match (range, answer.status) {
        (Some((first, last)), 206) => {
            let index = |at: u64| usize::try_from(at).unwrap_or(usize::MAX);
            bytes.get(index(first)..index(last).saturating_add(1).min(bytes.len())).unwrap_or_default()
        }
        (Some(_) | None, _) => bytes,
    };
    whole(method, &path, &answer, part)
}

/// An answer that is as long as it says must be the very bytes; one that broke off, a beginning of them.
fn whole(method: &str, path: &str, answer: &Answer, bytes: &[u8]) -> io::Result<Option<bool>> {
    let announced: usize =
        answer.header("content-length").and_then(|length| length.parse().ok()).unwrap_or(usize::MAX);
    if announced != bytes.len() {
        return Err(wrong(method, path, &format!("{announced} bytes announced, {} are right", bytes.len())));
    }
    if method == "HEAD" {
        return Ok(Some(true));
    }
    let complete = answer.body.len() == announced;
    if complete && answer.body != bytes {
        return Err(wrong(method, path, &format!("whole, and wrong: {}", sha256(&answer.body))));
    }
    Ok(Some(complete))
}

fn wrong(method: &str, path: &str, what: &str) -> io::Error {
    io::Error::other(format!("{method} {path}: {what}"))
}
