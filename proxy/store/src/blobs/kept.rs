//! Blobs that are kept, how many bytes they are, and which of them are known to be whole.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pullgate_policy::oci::{Digest, Hasher};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use super::index::Index;
use super::series::BlobSeries;
use super::{BlobFault, Flight, Sender, Shared, TransferState, UpstreamError};
use crate::files::{Shelf, Stamp};
use crate::folder::StateFolder;
use crate::limits::{DISK_RESERVE, DISK_REST, HASH_BYTES, KNOWN_BLOBS};

#[derive(Debug)]
pub(super) struct BlobFiles {
    shelf: Shelf,
    blobs_max: u64,
    index: Mutex<Index>,
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

/// Somebody reads this blob: it is not evicted.
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

/// A file for a blob that is on its way, and its room.
#[derive(Debug)]
pub(super) struct Room {
    pub(super) temp: NamedTempFile,
    pub(super) reserved: Reserved,
}

/// Bytes that were promised, and how many of them have come.
#[derive(Debug)]
pub(super) struct Reserved {
    kept: Arc<BlobFiles>,
    size: u64,
    arrived: AtomicU64,
}

impl Reserved {
    /// So many more bytes are here: now others make room for them. Where all others are being read, there is more than
    /// may be for a while: who was let in is not cut off.
    pub(super) fn arrive(&self, size: u64) {
        self.arrived.fetch_add(size, Ordering::Relaxed);
        let mut index = lock(&self.kept.index);
        index.arrive(size);
        self.kept.evict(&mut index, 0);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        lock(&self.kept.index).release(self.size, self.arrived.load(Ordering::Relaxed));
    }
}

/// Whether a file was hashed since the start and is still the same (A505).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Hashed,
    Unknown,
}

impl BlobFiles {
    pub(super) fn new(folder: &StateFolder, blobs_max: u64) -> Self {
        Self {
            shelf: Shelf::new(folder, "blobs"),
            blobs_max,
            index: Mutex::new(Index::new(blobs_max)),
            series: BlobSeries::default(),
            known: Mutex::default(),
            resting: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    /// Learns what is there, the one that was read longest ago first.
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
        for digest in evicted {
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
        self.blobs_max
    }

    pub(super) fn open(self: &Arc<Self>, digest: &Digest) -> Option<Opened> {
        // Before it is looked for: what is found is not evicted any more.
        let reading = self.read(*digest);
        let Some((file, stamp)) = self.shelf.open(digest).ok().flatten() else {
            lock(&self.index).remove(digest);
            return None;
        };
        lock(&self.index).touch(*digest, stamp.size());
        let hashed = lock(&self.known).get(digest) == Some(&stamp);
        let knowledge = if hashed { Knowledge::Hashed } else { Knowledge::Unknown };
        Some(Opened { file, stamp, knowledge, reading })
    }

    /// The same for a look that is no use: the blob keeps its place in the order of those that go.
    pub(super) fn look(self: &Arc<Self>, digest: &Digest) -> Option<(File, Stamp, Reading)> {
        let reading = self.read(*digest);
        let (file, stamp) = self.shelf.open(digest).ok().flatten()?;
        Some((file, stamp, reading))
    }

    /// A file for a blob of this size; none where the disk or `blobs_max` has no room for one, though what was used longest
    /// ago would go (A501, A508). Nothing goes before bytes have come: a size is only what somebody says (A617).
    pub(super) fn room(self: &Arc<Self>, size: Option<u64>) -> Option<Room> {
        let size = size.unwrap_or(0);
        if size > self.blobs_max || self.is_resting() {
            return None;
        }
        let full = self.shelf.free().ok()? < size.saturating_add(DISK_RESERVE);
        if full && !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!("the disk has too little room for blobs: they pass through and are not kept");
        }
        if full {
            return None;
        }
        self.full.store(false, Ordering::Relaxed);
        let temp = self.shelf.temp().inspect_err(|_| self.rest()).ok()?;
        let mut index = lock(&self.index);
        if !index.admits(size) {
            return None;
        }
        index.promise(size);
        drop(index);
        let reserved = Reserved { kept: Arc::clone(self), size, arrived: AtomicU64::new(0) };
        match reserve(temp.as_file(), size) {
            Ok(()) => Some(Room { temp, reserved }),
            Err(_full) => {
                self.rest();
                None
            }
        }
    }

    /// A file could not be written: none is tried for a while.
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

    /// Gives a verified blob its name, if it fits. Otherwise it goes when its last reader has. That it is whole is
    /// known of the bytes that came: what lies there is hashed as it is read for the first time (A618).
    pub(super) fn keep(
        &self,
        digest: &Digest,
        file: &File,
        temp: &TempPath,
        size: u64,
        reserved: Arc<Reserved>,
    ) {
        if file.sync_data().is_err() {
            return self.rest();
        }
        drop(reserved);
        let mut index = lock(&self.index);
        let before = index.size(digest);
        // Whoever reads the one that is there reads on: another of the same bytes is none too many (A618).
        if before == size && matches!(self.shelf.open(digest), Ok(Some((_, stamp))) if stamp.size() == size) {
            return;
        }
        if !self.evict(&mut index, size.saturating_sub(before)) {
            return;
        }
        match self.shelf.place(temp, digest) {
            Ok(()) => {
                index.insert(*digest, size);
                self.tell(&index);
                lock(&self.known).remove(digest);
            }
            Err(error) => tracing::debug!(%digest, %error, "a blob is not kept"),
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

/// Takes the room at once: a disk that fills up while a blob is under way must not cut a pull short (A501). A file system
/// that cannot is believed to have the room.
fn reserve(file: &File, size: u64) -> io::Result<()> {
    if size == 0 {
        return Ok(());
    }
    match rustix::fs::fallocate(file, FallocateFlags::KEEP_SIZE, 0, size) {
        Err(error) if error != Errno::OPNOTSUPP && error != Errno::NOSYS => Err(error.into()),
        Ok(()) | Err(_) => Ok(()),
    }
}

pub(super) fn unchanged(file: &File, stamp: &Stamp) -> bool {
    matches!(Stamp::of(file), Ok(Some(now)) if now == *stamp)
}

/// The digest of a file; none when nobody waits for it any more.
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
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
