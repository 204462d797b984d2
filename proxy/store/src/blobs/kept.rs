//! Kept blobs, their size, and which of them were hashed by this process.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Instant;

use parking_lot::{Mutex, MutexGuard};
use pullgate_policy::oci::{Digest, Hasher};
use tempfile::TempPath;
use tokio::sync::Semaphore;

mod room;

pub(super) use self::room::{Fate, Reserved, Room, Wants};
use super::index::Index;
use super::series::BlobSeries;
use super::{BlobFault, Flight, Sender, Shared, TransferState, UpstreamError};
use crate::descriptors;
use crate::files::{Shelf, Stamp};
use crate::folder::StateFolder;
use crate::limits::{DISK_REST, GOING, HASH_BYTES, KNOWN_BLOBS};

#[derive(Debug)]
pub(super) struct BlobFiles {
    shelf: Shelf,
    blobs_max: AtomicU64,
    index: Mutex<Index>,
    /// KiB of blobs for which no file can be had.
    memory: Arc<Semaphore>,
    series: BlobSeries,
    known: Mutex<HashMap<Digest, Stamp>>,
    resting: Mutex<Option<Instant>>,
    full: AtomicBool,
}

/// A kept blob, opened.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) file: File,
    pub(super) stamp: Stamp,
    pub(super) knowledge: Knowledge,
    pub(super) reading: Reading,
}

/// A reader of this blob, which keeps it from eviction.
#[derive(Debug)]
pub(super) struct Reading {
    kept: Arc<BlobFiles>,
    digest: Digest,
}

impl Drop for Reading {
    fn drop(&mut self) {
        lock(&self.kept.index).end_reading(&self.digest);
    }
}

/// Whether a file was hashed since the start and is still the same (A505).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Hashed,
    Unknown,
}

impl BlobFiles {
    pub(super) fn new(folder: &StateFolder, blobs_max: u64, memory: u64) -> Self {
        let memory = usize::try_from(memory / 1024).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS);
        Self {
            shelf: Shelf::new(folder, "blobs"),
            blobs_max: AtomicU64::new(blobs_max),
            index: Mutex::new(Index::new(blobs_max)),
            memory: Arc::new(Semaphore::new(memory)),
            series: BlobSeries::default(),
            known: Mutex::default(),
            resting: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Scans the folder, the least recently read blob first.
    pub(super) fn count(&self) {
        let mut found = self.shelf.scan();
        found.sort_by_key(|one| one.used);
        let mut index = lock(&self.index);
        for one in found {
            index.insert(one.digest, one.size);
        }
        // `blobs_max` may have become smaller since.
        self.evict(&mut index, 0);
        self.tell(&index);
    }

    /// Keeps at most `blobs_max` bytes from now on. The least recently used blobs are removed until the rest fits;
    /// those that are being read are removed when the next blob needs room.
    pub(super) fn keep_at_most(&self, blobs_max: u64) {
        self.blobs_max.store(blobs_max, Ordering::Relaxed);
        lock(&self.index).set_max(blobs_max);
        loop {
            // In steps: a request meanwhile waits for one step, not for all.
            let mut index = lock(&self.index);
            let over = index.used().saturating_sub(blobs_max);
            let going: Vec<_> = index.oldest(over).into_iter().take(GOING).collect();
            if going.is_empty() || !self.remove(&mut index, going) {
                return;
            }
        }
    }

    pub(super) fn used(&self) -> u64 {
        lock(&self.index).used()
    }

    /// What it counts.
    pub(super) fn series(&self) -> &BlobSeries {
        &self.series
    }

    /// Everything that is kept, in no order.
    pub(super) fn digests(&self) -> Vec<Digest> {
        lock(&self.index).digests()
    }

    fn tell(&self, index: &Index) {
        self.series.kept.set(i64::try_from(index.used()).unwrap_or(i64::MAX));
    }

    pub(super) fn read(self: &Arc<Self>, digest: Digest) -> Reading {
        lock(&self.index).begin_reading(digest);
        Reading { kept: Arc::clone(self), digest }
    }

    /// Makes room for `size` more bytes, if that can be.
    fn evict(&self, index: &mut Index, size: u64) -> bool {
        let Some(evicted) = index.to_evict(size) else { return false };
        self.remove(index, evicted)
    }

    fn remove(&self, index: &mut Index, going: Vec<Digest>) -> bool {
        for digest in going {
            match self.shelf.remove(&digest) {
                Ok(()) => {
                    index.remove(&digest);
                    lock(&self.known).remove(&digest);
                    self.series.evicted.inc();
                    tracing::debug!(%digest, "a blob made room for others");
                }
                Err(error) => {
                    tracing::warn!(%digest, %error, "a blob cannot be removed");
                    return false;
                }
            }
        }
        self.tell(index);
        true
    }

    pub(super) fn blobs_max(&self) -> u64 {
        self.blobs_max.load(Ordering::Relaxed)
    }

    pub(super) fn open(self: &Arc<Self>, digest: &Digest) -> Option<Opened> {
        // Before the look-up, so that a blob is not evicted between look-up and read.
        let reading = self.read(*digest);
        let (file, stamp) = match self.shelf.open(digest) {
            Ok(Some((file, _))) if descriptors::is_reserved(&file) => return None,
            Ok(Some(found)) => found,
            Ok(None) => {
                lock(&self.index).remove(digest);
                return None;
            }
            // It may lie there yet, where no more files can be opened at the moment.
            Err(_) => return None,
        };
        lock(&self.index).touch(*digest, stamp.size());
        let hashed = lock(&self.known).get(digest) == Some(&stamp);
        let knowledge = if hashed { Knowledge::Hashed } else { Knowledge::Unknown };
        Some(Opened { file, stamp, knowledge, reading })
    }

    /// As [`Self::open`], without counting as a use: the blob keeps its place in the order of eviction.
    pub(super) fn look(self: &Arc<Self>, digest: &Digest) -> Option<(File, Stamp, Reading)> {
        let reading = self.read(*digest);
        let (file, stamp) = self.shelf.open(digest).ok().flatten()?;
        Some((file, stamp, reading))
    }

    /// A file could not be written: no write is tried for a while.
    pub(super) fn rest(&self) {
        if lock(&self.resting).replace(Instant::now()).is_none() {
            tracing::warn!("a blob cannot be written: for a while they pass through and are not kept");
        }
    }

    fn is_resting(&self) -> bool {
        let mut resting = lock(&self.resting);
        let rests = resting.is_some_and(|since| since.elapsed() < DISK_REST);
        if !rests {
            *resting = None;
        }
        rests
    }

    /// Whether blobs are kept as far as they fit; not while the disk has no room or cannot be written (A501).
    pub(super) fn is_off(&self) -> bool {
        self.full.load(Ordering::Relaxed) || self.is_resting()
    }

    /// Gives a verified blob its name, if it fits. Otherwise it is lent. The arrived bytes were hashed, not the file:
    /// it is hashed when it is first read (A618). No client waits for this.
    pub(super) fn keep(
        &self,
        digest: &Digest,
        (file, temp): (&File, &TempPath),
        size: u64,
        reserved: &Reserved,
    ) -> Fate {
        if size > self.blobs_max() {
            return Fate::Lent;
        }
        if file.sync_data().is_err() {
            self.rest();
            return Fate::Lent;
        }
        // From here on it counts as kept, no longer as a transfer.
        reserved.release();
        let mut index = lock(&self.index);
        let before = index.size(digest);
        // Readers of the present file read on; the second copy of the same bytes is dropped (A618).
        if before == size && matches!(self.shelf.open(digest), Ok(Some((_, stamp))) if stamp.size() == size) {
            return Fate::Kept;
        }
        if !self.evict(&mut index, size.saturating_sub(before)) {
            return Fate::Lent;
        }
        match self.shelf.place(temp, digest) {
            Ok(()) => {
                index.insert(*digest, size);
                self.tell(&index);
                lock(&self.known).remove(digest);
                Fate::Kept
            }
            Err(error) => {
                tracing::debug!(%digest, %error, "a blob is not kept");
                Fate::Lent
            }
        }
    }

    /// The file with this stamp was hashed, and had it before and after.
    fn learn(&self, digest: &Digest, stamp: Stamp) {
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_BLOBS {
            known.clear();
        }
        known.insert(*digest, stamp);
    }

    /// Removes a rotten file, unless a good one has taken its place.
    pub(super) fn discard(&self, digest: &Digest, rotten: &Stamp) {
        let mut index = lock(&self.index);
        if let Ok(Some((_, stamp))) = self.shelf.open(digest)
            && stamp == *rotten
            && self.shelf.remove(digest).is_ok()
        {
            index.remove(digest);
            self.tell(&index);
            self.series.rotten.inc();
        }
    }
}

/// Hashes a kept blob while it is served.
pub(super) fn check<E: UpstreamError>(
    kept: Arc<BlobFiles>,
    (digest, stamp): (Digest, Stamp),
    shared: Arc<Shared<E>>,
    progress: Sender<E>,
    flight: Flight<Digest, E>,
) {
    let readers = Arc::downgrade(&shared);
    let file = shared.file();
    drop(shared);
    tokio::task::spawn_blocking(move || {
        let stage = match hash(&digest, &file, &progress) {
            Ok(Some(found)) if found == digest && unchanged(&file, &stamp) => {
                kept.learn(&digest, stamp);
                TransferState::Verified
            }
            Ok(Some(_)) => {
                tracing::warn!(%digest, "a kept blob is rotten and is removed");
                match Stamp::of(&file) {
                    Ok(Some(now)) => kept.discard(&digest, &now),
                    Ok(None) | Err(_) => kept.discard(&digest, &stamp),
                }
                TransferState::Failed(BlobFault::Corrupt)
            }
            Ok(None) => TransferState::Failed(BlobFault::Ended),
            Err(error) => TransferState::Failed(error.into()),
        };
        progress.send_modify(|progress| progress.stage = stage);
        flight.land(&readers);
    });
}

pub(super) fn unchanged(file: &File, stamp: &Stamp) -> bool {
    matches!(Stamp::of(file), Ok(Some(now)) if now == *stamp)
}

/// The digest of a file; `None` when no reader is left.
fn hash<E: UpstreamError>(digest: &Digest, file: &File, progress: &Sender<E>) -> io::Result<Option<Digest>> {
    let (mut hasher, mut at) = (Hasher::like(digest), 0_u64);
    let mut chunk = vec![0; HASH_BYTES];
    loop {
        if progress.is_closed() {
            return Ok(None);
        }
        let read = file.read_at(&mut chunk, at)?;
        match chunk.get(..read) {
            Some([]) | None => return Ok(Some(hasher.finish())),
            Some(bytes) => hasher.update(bytes),
        }
        at += read as u64;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_hashes_are_remembered_and_with_one_more_all_are_anew() {
        let root = tempfile::tempdir().unwrap();
        let kept = BlobFiles::new(&StateFolder::open(root.path()).unwrap(), 0, 0);
        let file = File::create(root.path().join("file")).unwrap();
        let stamp = || Stamp::of(&file).unwrap().unwrap();
        let learn = |n: usize| kept.learn(&Digest::of(&n.to_be_bytes()), stamp());
        (0..KNOWN_BLOBS).for_each(learn);
        assert_eq!(lock(&kept.known).len(), KNOWN_BLOBS);
        learn(KNOWN_BLOBS);
        assert_eq!(lock(&kept.known).len(), 1);
    }
}
