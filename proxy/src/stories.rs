//! What one client asks for under one root is one story: it has an id, and the blobs that are served on it are counted.

use std::collections::HashMap;
use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::{Mutex, MutexGuard};
use pullgate_policy::oci::{Digest, Repository};

use crate::audit::{Client, DecisionId, Kind, Record, Word};
use crate::limits::STORIES;

/// How long a story waits for its next request: a pull that is resumed later is another one.
const IDLE: Duration = Duration::from_secs(600);
/// How long no blob has been served before a story's blobs are recorded.
const QUIET: Duration = Duration::from_secs(60);
/// Digits of an id.
const DIGITS: usize = 16;

/// The stories of this moment.
#[derive(Debug, Default)]
pub struct Stories {
    keys: RandomState,
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    stories: HashMap<u64, Story>,
    /// Those that made room while their blobs were not told of.
    left: Vec<Story>,
    /// Blobs of stories that found no place there either.
    others: u64,
}

#[derive(Debug)]
struct Story {
    id: String,
    last: Instant,
    /// Blobs that are not recorded yet.
    blobs: u64,
    of: Option<Box<Of>>,
}

/// The owner of a story, for the record of its blobs.
#[derive(Debug)]
struct Of {
    client: Client,
    repository: Repository,
    root: Digest,
}

/// Which stories are recorded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Told {
    /// All: the gate ends.
    All,
    /// Those that have gone quiet.
    Quiet,
}

impl Stories {
    /// Gives a record the id of its story.
    pub fn tell(&self, record: &mut Record) {
        let root = record.root.as_ref().or(record.digest.as_ref()).unwrap_or(&record.reference);
        let Some(client) = &record.client else { return };
        let key = self.key(client, &record.repository, root);
        self.story(key, |story| story.id.clone_into(&mut record.story));
    }

    /// Counts a blob that is served under a root.
    pub fn blob(&self, client: Client, repository: &Repository, root: &Digest) {
        let key = self.key(&client, &repository.to_string(), &root.to_string());
        self.story(key, |story| {
            story.blobs = story.blobs.saturating_add(1);
            story
                .of
                .get_or_insert_with(|| Box::new(Of { client, repository: repository.clone(), root: *root }));
        });
    }

    /// The records of blobs that were served, one for each story.
    pub fn blobs(&self, told: Told, now: Timestamp) -> Vec<Record> {
        let mut table = self.table();
        let is_told = |story: &Story| told == Told::All || story.last.elapsed() >= QUIET;
        let mut records: Vec<Record> =
            table.left.drain(..).filter_map(|mut story| story.record(now)).collect();
        let quiet = table.stories.values_mut().filter(|story| is_told(story));
        records.extend(quiet.filter_map(|story| story.record(now)));
        if table.others > 0 {
            let mut record = Record::new(Kind::Blobs, &DecisionId::random(), now, Word::Permit);
            record.count = std::mem::take(&mut table.others);
            records.push(record);
        }
        records
    }

    /// Of one address there may be many ports, and it is one client.
    fn key(&self, client: &Client, repository: &str, root: &str) -> u64 {
        let address = client.forwarded.as_deref().unwrap_or(&client.address);
        let host = match &client.forwarded {
            Some(_) => address,
            None => address.rsplit_once(':').map_or(address, |(host, _)| host),
        };
        self.keys.hash_one((host, &client.names, repository, root))
    }

    fn story(&self, key: u64, told: impl FnOnce(&mut Story)) {
        let mut table = self.table();
        if table.stories.len() >= STORIES && !table.stories.contains_key(&key) {
            table.make_room(|story| story.last.elapsed() >= IDLE);
            if table.stories.len() >= STORIES {
                // Then the next request of each begins another one.
                table.make_room(|_| true);
            }
        }
        let begun = || Story { id: id(), last: Instant::now(), blobs: 0, of: None };
        let story = table.stories.entry(key).or_insert_with(begun);
        if story.last.elapsed() >= IDLE && story.blobs == 0 {
            *story = begun();
        }
        story.last = Instant::now();
        told(story);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock()
    }
}

impl Table {
    /// Lets stories go. What was served on them is told of all the same: one by one, as far as there is room for that.
    fn make_room(&mut self, goes: impl Fn(&Story) -> bool) {
        for (_, story) in self.stories.extract_if(|_, story| goes(story)) {
            match story.blobs {
                0 => {}
                _ if self.left.len() < STORIES => self.left.push(story),
                blobs => self.others = self.others.saturating_add(blobs),
            }
        }
    }
}

impl Story {
    /// The record of the blobs that were served on it and are not told of yet.
    fn record(&mut self, now: Timestamp) -> Option<Record> {
        let Of { client, repository, root } = *self.of.take()?;
        let mut record = Record::new(Kind::Blobs, &DecisionId::random(), now, Word::Permit);
        record.count = std::mem::take(&mut self.blobs);
        self.id.clone_into(&mut record.story);
        record.upstream = repository.registry().to_string();
        record.repository = repository.to_string();
        record.root = Some(root.to_string());
        record.client = Some(client);
        Some(record)
    }
}

fn id() -> String {
    let random = DecisionId::random();
    random.as_str().get(..DIGITS).unwrap_or_default().to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(address: &str) -> Client {
        Client { address: address.to_owned(), forwarded: None, names: Vec::new(), user_agent: String::new() }
    }

    fn story(stories: &Stories, address: &str, root: &str) -> String {
        let mut record =
            Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Permit);
        (record.client, record.root) = (Some(client(address)), Some(root.to_owned()));
        record.repository = "registry.test/org/app".to_owned();
        stories.tell(&mut record);
        record.story
    }

    #[test]
    fn what_one_client_asks_for_under_one_root_is_one_story() {
        let (stories, root) = (Stories::default(), format!("sha256:{}", "1".repeat(64)));
        let first = story(&stories, "10.0.0.1:1", &root);
        assert_eq!(first.len(), DIGITS);
        assert_eq!(story(&stories, "10.0.0.1:2", &root), first, "another connection");
        assert_ne!(story(&stories, "10.0.0.2:1", &root), first, "another client");
        assert_ne!(story(&stories, "10.0.0.1:1", "sha256:2"), first, "another image");
        let repository = "registry.test/org/app".parse().unwrap();
        (0..3).for_each(|_| stories.blob(client("10.0.0.1:3"), &repository, &root.parse().unwrap()));
        assert!(stories.blobs(Told::Quiet, Timestamp::UNIX_EPOCH).is_empty(), "it goes on");
        let told = stories.blobs(Told::All, Timestamp::UNIX_EPOCH);
        assert!(matches!(told.as_slice(), [one] if one.count == 3 && one.story == first), "{told:?}");
        assert!(stories.blobs(Told::All, Timestamp::UNIX_EPOCH).is_empty(), "once");
    }

    #[test]
    fn over_the_limit_of_stories_each_begins_anew() {
        let stories = Stories::default();
        let first = story(&stories, "10.0.0.1:1", "0");
        (1..STORIES).for_each(|n| drop(story(&stories, "10.0.0.1:1", &n.to_string())));
        assert_eq!(story(&stories, "10.0.0.1:1", "0"), first, "as many as may be");
        story(&stories, "10.0.0.1:1", "over");
        assert_ne!(story(&stories, "10.0.0.1:1", "0"), first);
    }
    #[test]
    fn blobs_of_stories_that_make_room_are_told_of_all_the_same() {
        let (stories, repository) = (Stories::default(), "registry.test/org/app".parse().unwrap());
        let serve = |n: usize| stories.blob(client("10.0.0.1:1"), &repository, &Digest::of(&n.to_be_bytes()));
        let told = || stories.blobs(Told::All, Timestamp::UNIX_EPOCH);
        // One over the limit: all make room.
        (0..=STORIES).for_each(serve);
        let counts = |records: &[Record]| records.iter().map(|record| record.count).sum::<u64>();
        let records = told();
        assert_eq!((records.len(), counts(&records)), (STORIES + 1, STORIES as u64 + 1));
        assert!(records.iter().all(|record| record.root.is_some()));
        // What makes room more often than it is told of is counted together.
        (0..=2 * STORIES).for_each(serve);
        let records = told();
        assert_eq!(counts(&records), 2 * STORIES as u64 + 1);
        assert_eq!(records.iter().filter(|record| record.root.is_none()).count(), 1);
        assert!(told().is_empty());
    }
}
