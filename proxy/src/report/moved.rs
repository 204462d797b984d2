//! Tags that were more than one thing.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::Serialize;

use super::fit;
use super::told::Told;

/// A tag that moved.
#[derive(Debug, Serialize)]
pub struct Moved {
    /// The repository.
    pub repository: String,
    /// The tag.
    pub tag: String,
    /// Its digests, the first one first.
    pub was: Vec<Held>,
}

/// A digest of a tag, and the pulls of it.
#[derive(Debug, Serialize)]
pub struct Held {
    /// The digest.
    pub digest: String,
    /// The first answer.
    pub first: Timestamp,
    /// The last answer.
    pub last: Timestamp,
    /// Answers.
    pub pulls: u64,
    /// Its signers.
    pub signers: BTreeSet<String>,
}

pub(super) fn of(told: &Told) -> Vec<Moved> {
    let mut tags: BTreeMap<(&str, &str), Vec<Held>> = BTreeMap::new();
    for seen in told.each().filter(|seen| !seen.image.digest.is_empty()) {
        for (tag, (first, last, pulls)) in &seen.tags {
            tags.entry((&seen.repository, tag)).or_default().push(Held {
                digest: seen.image.digest.clone(),
                first: *first,
                last: *last,
                pulls: *pulls,
                signers: seen.image.signers.clone(),
            });
        }
    }
    let moved = tags.into_iter().filter(|(_, was)| was.len() > 1);
    let one = |((repository, tag), mut was): ((&str, &str), Vec<Held>)| {
        was.sort_by(|a, b| (a.first, &a.digest).cmp(&(b.first, &b.digest)));
        Moved { repository: fit(repository), tag: fit(tag), was }
    };
    moved.map(one).collect()
}
