//! Room for blobs that are on their way: what `blobs_max` and the disk have, and what makes some.

use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{FallocateFlags, MemfdFlags};
use rustix::io::Errno;
use tempfile::TempPath;
use tokio::sync::OwnedSemaphorePermit;

use super::{BlobFiles, Index, lock};
use crate::descriptors;
use crate::limits::{BLOBS_MEMORY_BYTES, DISK_RESERVE, DISK_RESERVE_SHARE};

/// A file for a blob that is on its way, and its room.
#[derive(Debug)]
pub(in crate::blobs) struct Room {
    pub(in crate::blobs) file: File,
    /// The path of the file; `None` for memory.
    pub(in crate::blobs) temp: Option<TempPath>,
    pub(in crate::blobs) reserved: Reserved,
}

/// What becomes of a blob that has come whole.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::blobs) enum Fate {
    /// It is kept, within `blobs_max`.
    Kept,
    /// `blobs_max` has no room for it: it lies on the disk as long as it is read, and a while longer.
    Lent,
}

/// Whether the disk has all the room, or kept blobs are removed as the bytes arrive.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Roomy,
    Tight,
}

/// Bytes that were promised, and how many of them have come.
#[derive(Debug)]
pub(in crate::blobs) struct Reserved {
    kept: Arc<BlobFiles>,
    fate: Fate,
    disk: Disk,
    promised: AtomicU64,
    arrived: AtomicU64,
    _memory: Option<OwnedSemaphorePermit>,
}

impl Reserved {
    /// `size` more bytes have arrived, and kept blobs make room for them. Where all of those are being read, the limit
    /// is exceeded for a while: an admitted transfer is not cut off.
    pub(in crate::blobs) fn arrive(&self, size: u64) {
        let mut index = lock(&self.kept.index);
        if self.fate == Fate::Kept {
            self.arrived.fetch_add(size, Ordering::Relaxed);
            index.arrive(size);
            self.kept.evict(&mut index, 0);
        }
        if self.disk == Disk::Tight {
            let missing = self.kept.missing(0).unwrap_or(0);
            self.kept.free_disk(&mut index, missing);
        }
    }

    /// No more than has come is on its way any more.
    pub(in crate::blobs) fn rest_is_off(&self) {
        let arrived = self.arrived.load(Ordering::Relaxed);
        let promised = self.promised.fetch_min(arrived, Ordering::Relaxed);
        lock(&self.kept.index).release(promised.saturating_sub(arrived), 0);
    }

    /// Nothing of it is on its way any more.
    pub(super) fn release(&self) {
        let (promised, arrived) =
            (self.promised.swap(0, Ordering::Relaxed), self.arrived.swap(0, Ordering::Relaxed));
        lock(&self.kept.index).release(promised, arrived);
    }
}

impl Drop for Reserved {
    fn drop(&mut self) {
        self.release();
    }
}

/// Whether there is room, and what would have to go for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::blobs) enum Wants {
    /// Nothing that is kept goes for want of disk.
    FreeDisk,
    /// The least recently used blobs are removed where the disk has too little room, as the bytes arrive.
    AnyDisk,
}

impl BlobFiles {
    /// A file for a blob of this size; `None` where the disk has no room even if unread blobs were removed (A501).
    /// Where `blobs_max` has no room it is lent (A508). No blob is removed before bytes have arrived: an announced size
    /// proves nothing (A617).
    pub(in crate::blobs) fn room(self: &Arc<Self>, size: Option<u64>, wants: Wants) -> Option<Room> {
        let size = size.unwrap_or(0);
        if self.is_resting() {
            return None;
        }
        let missing = self.missing(size).ok()?;
        let disk = if missing == 0 { Disk::Roomy } else { Disk::Tight };
        if disk == Disk::Tight && wants == Wants::FreeDisk {
            return None;
        }
        let full = disk == Disk::Tight && !lock(&self.index).can_free(missing);
        if full && !self.full.swap(true, Ordering::Relaxed) {
            tracing::warn!("the disk has too little room for blobs: they pass through and are not kept");
        }
        if full {
            return None;
        }
        self.full.store(false, Ordering::Relaxed);
        let temp = self.shelf.temp().inspect_err(|_| self.rest()).ok()?;
        if descriptors::is_reserved(temp.as_file()) {
            return None;
        }
        let mut index = lock(&self.index);
        let fate = if size <= self.blobs_max() && index.admits(size) { Fate::Kept } else { Fate::Lent };
        let promised = if fate == Fate::Kept { size } else { 0 };
        index.promise(promised);
        drop(index);
        let reserved = self.reserved((fate, disk), promised, None);
        match reserve(temp.as_file(), size.saturating_sub(missing)) {
            Ok(()) => {
                let (file, temp) = temp.into_parts();
                Some(Room { file, temp: Some(temp), reserved })
            }
            Err(_full) => {
                self.rest();
                None
            }
        }
    }

    /// Memory for a blob of this size, where there is no room for a file: concurrent requests then still share one
    /// transfer (A501). `None` where there is too little.
    pub(in crate::blobs) fn in_memory(self: &Arc<Self>, size: Option<u64>) -> Option<Room> {
        let kibibytes = u32::try_from(size?.div_ceil(1024)).ok()?;
        let memory = Arc::clone(&self.memory).try_acquire_many_owned(kibibytes).ok()?;
        let file = File::from(rustix::fs::memfd_create("blob", MemfdFlags::CLOEXEC).ok()?);
        if descriptors::is_reserved(&file) {
            return None;
        }
        let reserved = self.reserved((Fate::Lent, Disk::Roomy), 0, Some(memory));
        Some(Room { file, temp: None, reserved })
    }

    /// Bytes of memory that such blobs take now.
    pub(in crate::blobs) fn memory_used(&self) -> u64 {
        let left = u64::try_from(self.memory.available_permits()).unwrap_or(u64::MAX).saturating_mul(1024);
        BLOBS_MEMORY_BYTES.saturating_sub(left)
    }

    fn reserved(
        self: &Arc<Self>,
        (fate, disk): (Fate, Disk),
        promised: u64,
        memory: Option<OwnedSemaphorePermit>,
    ) -> Reserved {
        let (promised, arrived) = (AtomicU64::new(promised), AtomicU64::new(0));
        Reserved { kept: Arc::clone(self), fate, disk, promised, arrived, _memory: memory }
    }

    /// Bytes by which the disk is short for `size` more, beside the room for others.
    fn missing(&self, size: u64) -> io::Result<u64> {
        self.shelf.lacks(size, DISK_RESERVE, DISK_RESERVE_SHARE)
    }

    /// Removes the least recently used blobs until `missing` bytes are freed, as far as possible.
    fn free_disk(&self, index: &mut Index, missing: u64) {
        if missing > 0 {
            let going = index.oldest(missing);
            self.remove(index, going);
        }
    }
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
