//! Blobs that are kept, how many bytes they are, and which of them are known to be whole.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use pullgate_policy::oci::{Digest, Hasher};
use rustix::fs::FallocateFlags;
use rustix::io::Errno;
use tempfile::{NamedTempFile, TempPath};

use super::{BlobFault, Flight, Sender, Shared, Stage, UpstreamError};
use crate::store::files::{Shelf, Stamp};
use crate::store::folder::StateFolder;
use crate::store::limits::{DISK_RESERVE, DISK_REST, HASH_BYTES, KNOWN_BLOBS};

#[derive(Debug)]
pub(super) struct Kept {
    shelf: Shelf,
    blobs_max: u64,
    used: Mutex<u64>,
    known: Mutex<HashMap<Digest, Stamp>>,
    resting: Mutex<Option<Instant>>,
    full: AtomicBool,
}

/// Whether a file was hashed since the start and is still the same (A505).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Knowledge {
    Hashed,
    Unknown,
}

impl Kept {
    pub(super) fn new(folder: &StateFolder, blobs_max: u64) -> Self {
        Self {
            shelf: Shelf::new(folder, "blobs"),
            blobs_max,
            used: Mutex::new(0),
            known: Mutex::default(),
            resting: Mutex::default(),
            full: AtomicBool::new(false),
        }
    }

    pub(super) fn count(&self) {
        let mut used = lock(&self.used);
        *used = self.shelf.scan();
    }

    pub(super) fn used(&self) -> u64 {
        *lock(&self.used)
    }

    pub(super) fn blobs_max(&self) -> u64 {
        self.blobs_max
    }

    pub(super) fn open(&self, digest: &Digest) -> Option<(File, Stamp, Knowledge)> {
        let (file, stamp) = self.shelf.open(digest).ok().flatten()?;
        let hashed = lock(&self.known).get(digest) == Some(&stamp);
        Some((file, stamp, if hashed { Knowledge::Hashed } else { Knowledge::Unknown }))
    }

    /// A file for a blob of this size; none where the disk or `blobs_max` has no room for one (A501, A508).
    pub(super) fn room(&self, size: Option<u64>) -> Option<NamedTempFile> {
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
        match reserve(temp.as_file(), size) {
            Ok(()) => Some(temp),
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

    /// Gives a verified blob its name, if it fits. Otherwise it goes when its last reader has.
    pub(super) fn keep(&self, digest: &Digest, file: &File, temp: &TempPath, size: u64) {
        if file.sync_data().is_err() {
            return self.rest();
        }
        let mut used = lock(&self.used);
        let before = self.shelf.open(digest).ok().flatten().map_or(0, |(_, stamp)| stamp.size());
        let after = used.saturating_sub(before).saturating_add(size);
        if after > self.blobs_max {
            return;
        }
        match self.shelf.place(temp, digest) {
            Ok(()) => {
                *used = after;
                drop(used);
                self.learn(digest, file);
            }
            Err(error) => tracing::debug!(%digest, %error, "a blob is not kept"),
        }
    }

    fn learn(&self, digest: &Digest, file: &File) {
        let Ok(Some(stamp)) = Stamp::of(file) else { return };
        let mut known = lock(&self.known);
        if known.len() >= KNOWN_BLOBS {
            known.clear();
        }
        known.insert(*digest, stamp);
    }

    /// Removes a rotten file, unless a good one has taken its place.
    fn discard(&self, digest: &Digest, rotten: &Stamp) {
        let mut used = lock(&self.used);
        if let Ok(Some((_, stamp))) = self.shelf.open(digest)
            && stamp == *rotten
            && self.shelf.remove(digest).is_ok()
        {
            *used = used.saturating_sub(stamp.size());
        }
    }
}

/// Hashes a kept blob while it is served.
pub(super) fn check<E: UpstreamError>(
    kept: Arc<Kept>,
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
                kept.learn(&digest, &file);
                Stage::Verified
            }
            Ok(Some(_)) => {
                tracing::warn!(%digest, "a kept blob is rotten and is removed");
                match Stamp::of(&file) {
                    Ok(Some(now)) => kept.discard(&digest, &now),
                    Ok(None) | Err(_) => kept.discard(&digest, &stamp),
                }
                Stage::Failed(BlobFault::Corrupt)
            }
            Ok(None) => Stage::Failed(BlobFault::Ended),
            Err(error) => Stage::Failed(error.into()),
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

fn unchanged(file: &File, stamp: &Stamp) -> bool {
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
