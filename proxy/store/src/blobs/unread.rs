//! Transfers and partial blobs without a reader, kept for a client that comes back. They are bounded in number, room
//! and time, and are the first to be removed for want of room.

use std::collections::VecDeque;
use std::fs::File;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use pullgate_policy::oci::Hasher;
use tempfile::TempPath;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio::task::AbortHandle;

use super::FlightKey;
use super::kept::{Reserved, unchanged};
use super::series::BlobSeries;
use crate::files::Stamp;
use crate::limits::{
    BLOBS_MEMORY_BYTES, PARTIAL_BLOBS, PARTIAL_FOR, PARTIAL_SHARE, UNREAD_FOR, UNREAD_TRANSFERS,
};

/// The beginning of a blob, and the state of its hash. Only a transfer that continues it can use it.
#[derive(Debug)]
pub(super) struct Partial {
    file: Arc<File>,
    temp: TempPath,
    hasher: Hasher,
    written: u64,
    reserved: Arc<Reserved>,
    /// The stamp of the file when it was left here: an altered file is discarded (A618).
    stamp: Option<Stamp>,
}

impl Partial {
    pub(super) fn new(
        file: Arc<File>,
        temp: TempPath,
        (hasher, written): (Hasher, u64),
        reserved: Arc<Reserved>,
    ) -> Self {
        let stamp = Stamp::of(&file).ok().flatten();
        Self { file, temp, hasher, written, reserved, stamp }
    }

    fn is_as_it_was(&self) -> bool {
        self.stamp.is_some_and(|stamp| unchanged(&self.file, &stamp))
    }

    /// Gives up its reservation: the transfer that continues it counts the bytes.
    pub(super) fn uncounted(self) -> (Arc<File>, TempPath, Hasher, u64) {
        drop(self.reserved);
        (self.file, self.temp, self.hasher, self.written)
    }
}

/// How long, and how much.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    pub(super) transfer_for: Duration,
    pub(super) partial_for: Duration,
    pub(super) partial_bytes: u64,
    pub(super) memory_bytes: u64,
}

impl Bounds {
    pub(super) fn of(blobs_max: u64) -> Self {
        let partial_bytes = blobs_max / PARTIAL_SHARE;
        let memory_bytes = BLOBS_MEMORY_BYTES;
        Self { transfer_for: UNREAD_FOR, partial_for: PARTIAL_FOR, partial_bytes, memory_bytes }
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Unread {
    pub(super) bounds: Bounds,
    partial_bytes: AtomicU64,
    transfers: Arc<Semaphore>,
    give_back: Notify,
    partial: Mutex<VecDeque<Lying>>,
    series: BlobSeries,
}

#[derive(Debug)]
struct Lying {
    key: FlightKey,
    partial: Partial,
    _ends: Timer,
}

/// Ends with what it is for.
#[derive(Debug)]
struct Timer(AbortHandle);

impl Drop for Timer {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// A transfer's leave to go on without a reader.
#[derive(Debug)]
pub(super) struct Slot {
    unread: Arc<Unread>,
    _permit: OwnedSemaphorePermit,
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.unread.series.unread.dec();
    }
}

impl Slot {
    /// Until its time is over, or others want the room.
    pub(super) async fn ends(&self) {
        tokio::select! {
            () = tokio::time::sleep(self.unread.bounds.transfer_for) => {}
            () = self.unread.give_back.notified() => {}
        }
    }
}

impl Unread {
    pub(super) fn new(bounds: Bounds, series: BlobSeries) -> Arc<Self> {
        let transfers = Arc::new(Semaphore::new(UNREAD_TRANSFERS));
        let partial_bytes = AtomicU64::new(bounds.partial_bytes);
        let (give_back, partial) = (Notify::new(), Mutex::default());
        Arc::new(Self { bounds, partial_bytes, transfers, give_back, partial, series })
    }

    /// The part of `blobs_max` that beginnings of blobs may take, from now on.
    pub(super) fn keep_at_most(&self, blobs_max: u64) {
        self.partial_bytes.store(blobs_max / PARTIAL_SHARE, Ordering::Relaxed);
        let mut lying = self.lock();
        let gone = self.over(&mut lying);
        self.tell(&lying);
        drop(lying);
        drop(gone);
    }

    /// Those that go because there are too many, or too many bytes.
    fn over(&self, lying: &mut VecDeque<Lying>) -> Vec<Lying> {
        let most = self.partial_bytes.load(Ordering::Relaxed);
        let mut gone = Vec::new();
        while lying.len() > PARTIAL_BLOBS || bytes(lying) > most {
            gone.extend(lying.pop_front());
        }
        gone
    }

    /// For one more transfer, if there may be one.
    pub(super) fn slot(self: &Arc<Self>) -> Option<Slot> {
        let permit = Arc::clone(&self.transfers).try_acquire_owned().ok()?;
        self.series.unread.inc();
        Some(Slot { unread: Arc::clone(self), _permit: permit })
    }

    /// Others want the room: what lies here goes, and what goes on ends.
    pub(super) fn give_back(&self) {
        self.give_back.notify_waiters();
        let lying = std::mem::take(&mut *self.lock());
        self.tell(&self.lock());
        drop(lying);
    }

    /// Lets the beginning of a blob lie here for a while; in place of another beginning of the same. The oldest are
    /// removed where there are too many, or too many bytes.
    pub(super) fn park(self: &Arc<Self>, key: FlightKey, partial: Partial) {
        if partial.written == 0 || partial.written > self.partial_bytes.load(Ordering::Relaxed) {
            return;
        }
        let ends = self.end_of(&key);
        let mut lying = self.lock();
        let another = lying.iter().position(|one| one.key == key).and_then(|at| lying.remove(at));
        lying.push_back(Lying { key, partial, _ends: ends });
        let gone = self.over(&mut lying);
        self.tell(&lying);
        drop(lying);
        drop((another, gone));
    }

    /// What lies here of a blob.
    pub(super) fn take(&self, key: &FlightKey) -> Option<Partial> {
        let mut lying = self.lock();
        let at = lying.iter().position(|one| one.key == *key)?;
        let one = lying.remove(at)?;
        self.tell(&lying);
        drop(lying);
        Some(one.partial).filter(Partial::is_as_it_was)
    }

    fn end_of(self: &Arc<Self>, key: &FlightKey) -> Timer {
        let (unread, key, time): (Weak<Self>, _, _) =
            (Arc::downgrade(self), key.clone(), self.bounds.partial_for);
        let ends = async move {
            tokio::time::sleep(time).await;
            if let Some(unread) = unread.upgrade() {
                drop(unread.take(&key));
            }
        };
        Timer(tokio::spawn(ends).abort_handle())
    }

    fn tell(&self, lying: &VecDeque<Lying>) {
        self.series.partial.set(i64::try_from(bytes(lying)).unwrap_or(i64::MAX));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Lying>> {
        self.partial.lock()
    }
}

fn bytes(lying: &VecDeque<Lying>) -> u64 {
    lying.iter().map(|one| one.partial.written).sum()
}
