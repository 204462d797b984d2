//! Which blobs are kept, how large they are, and which was used longest ago.

use std::collections::{BTreeMap, HashMap};

use pullgate_policy::oci::Digest;

/// One limit counts kept blobs and blobs in transfer. The announced size of a blob reserves room against other
/// transfers, but only arrived bytes evict kept blobs (A617).
#[derive(Debug)]
pub(super) struct Index {
    max: u64,
    used: u64,
    promised: u64,
    arrived: u64,
    entries: HashMap<Digest, Entry>,
    by_use: BTreeMap<u64, Digest>,
    reading: HashMap<Digest, usize>,
    next: u64,
}

#[derive(Debug, Clone, Copy)]
struct Entry {
    at: u64,
    size: u64,
}

impl Index {
    pub(super) fn new(max: u64) -> Self {
        Self {
            max,
            used: 0,
            promised: 0,
            arrived: 0,
            entries: HashMap::new(),
            by_use: BTreeMap::new(),
            reading: HashMap::new(),
            next: 0,
        }
    }

    /// Another limit from now on.
    pub(super) fn set_max(&mut self, max: u64) {
        self.max = max;
    }

    /// Bytes that are kept.
    pub(super) fn used(&self) -> u64 {
        self.used
    }

    pub(super) fn digests(&self) -> Vec<Digest> {
        self.by_use.values().copied().collect()
    }

    pub(super) fn size(&self, digest: &Digest) -> u64 {
        self.entries.get(digest).map_or(0, |entry| entry.size)
    }

    /// It is kept, and was used just now.
    pub(super) fn insert(&mut self, digest: Digest, size: u64) {
        self.remove(&digest);
        let at = self.tick();
        self.used = self.used.saturating_add(size);
        self.by_use.insert(at, digest);
        self.entries.insert(digest, Entry { at, size });
    }

    /// It was used just now. An unknown one was put there by another process.
    pub(super) fn touch(&mut self, digest: Digest, size: u64) {
        self.insert(digest, size);
    }

    pub(super) fn remove(&mut self, digest: &Digest) {
        if let Some(entry) = self.entries.remove(digest) {
            self.by_use.remove(&entry.at);
            self.used = self.used.saturating_sub(entry.size);
        }
    }

    pub(super) fn begin_reading(&mut self, digest: Digest) {
        *self.reading.entry(digest).or_default() += 1;
    }

    pub(super) fn end_reading(&mut self, digest: &Digest) {
        if let Some(readers) = self.reading.get_mut(digest) {
            *readers = readers.saturating_sub(1);
            if *readers == 0 {
                self.reading.remove(digest);
            }
        }
    }

    /// Reserves `size` bytes for a transfer.
    pub(super) fn promise(&mut self, size: u64) {
        self.promised = self.promised.saturating_add(size);
    }

    /// `size` bytes have arrived.
    pub(super) fn arrive(&mut self, size: u64) {
        self.arrived = self.arrived.saturating_add(size);
    }

    /// Ends a transfer: its reserved and arrived bytes no longer count.
    pub(super) fn release(&mut self, promised: u64, arrived: u64) {
        self.promised = self.promised.saturating_sub(promised);
        self.arrived = self.arrived.saturating_sub(arrived);
    }

    /// Whether room can be made for `size` more bytes, beside all reservations.
    pub(super) fn admits(&self, size: u64) -> bool {
        self.among(self.used.saturating_add(self.promised).saturating_add(size)).is_some()
    }

    /// The blobs whose removal makes room for `size` more bytes: the least recently used, except those that are being
    /// read (A508). `None` where that is not enough: then nothing is removed.
    pub(super) fn to_evict(&self, size: u64) -> Option<Vec<Digest>> {
        self.among(self.used.saturating_add(self.arrived).saturating_add(size))
    }

    /// Whether removing all unread blobs would free `bytes`.
    pub(super) fn can_free(&self, bytes: u64) -> bool {
        let free = self.oldest(bytes).iter().fold(0_u64, |sum, digest| sum.saturating_add(self.size(digest)));
        free >= bytes
    }

    /// The least recently used blobs that are not being read, together `bytes` or more; all of them where that is less.
    pub(super) fn oldest(&self, bytes: u64) -> Vec<Digest> {
        let mut sum = 0_u64;
        let unread = self.by_use.values().filter(|digest| !self.reading.contains_key(*digest));
        let going = unread.take_while(|digest| {
            let wanted = sum < bytes;
            sum = sum.saturating_add(self.size(digest));
            wanted
        });
        going.copied().collect()
    }

    fn among(&self, wanted: u64) -> Option<Vec<Digest>> {
        let mut over = wanted.saturating_sub(self.max);
        let mut evicted = Vec::new();
        for digest in self.by_use.values().filter(|digest| !self.reading.contains_key(*digest)) {
            if over == 0 {
                break;
            }
            over = over.saturating_sub(self.size(digest));
            evicted.push(*digest);
        }
        (over == 0).then_some(evicted)
    }

    fn tick(&mut self) -> u64 {
        self.next += 1;
        self.next
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::of(name.as_bytes())
    }

    #[test]
    fn a508_what_was_used_longest_ago_goes_first_and_nothing_that_is_read() {
        let mut index = Index::new(300);
        for name in ["a", "b", "c"] {
            index.insert(digest(name), 100);
        }
        assert_eq!(index.to_evict(0), Some(vec![]));
        assert_eq!(index.to_evict(1), Some(vec![digest("a")]));
        index.touch(digest("a"), 100);
        assert_eq!(index.to_evict(101), Some(vec![digest("b"), digest("c")]));
        index.begin_reading(digest("b"));
        assert_eq!(index.to_evict(101), Some(vec![digest("c"), digest("a")]));
        assert_eq!(index.to_evict(201), None, "b is being read");
        index.begin_reading(digest("b"));
        index.end_reading(&digest("b"));
        assert_eq!(index.to_evict(300), None, "by one more");
        index.end_reading(&digest("b"));
        assert_eq!(index.to_evict(300).map(|all| all.len()), Some(3));
        assert_eq!(index.to_evict(301), None, "more than there may ever be");
    }

    #[test]
    fn a508_what_is_on_its_way_counts() {
        let mut index = Index::new(300);
        index.insert(digest("a"), 100);
        index.promise(150);
        assert_eq!(index.to_evict(200), Some(vec![]), "nothing has come");
        assert!(index.admits(150) && !index.admits(151));
        index.arrive(150);
        assert_eq!(index.to_evict(50), Some(vec![]));
        assert_eq!(index.to_evict(51), Some(vec![digest("a")]));
        assert_eq!(index.to_evict(151), None);
        index.release(150, 150);
        assert_eq!(index.to_evict(200), Some(vec![]));
        index.insert(digest("a"), 40);
        assert_eq!((index.used(), index.size(&digest("a"))), (40, 40), "once, by its size now");
        index.remove(&digest("a"));
        assert_eq!(index.used(), 0);
    }
}
