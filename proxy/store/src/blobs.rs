//! Blobs: one transfer from upstream for all requests at a time, each of which reads its own range.
//!
//! A transfer writes to a file without a name and hashes as it goes; readers follow. The last chunk of each reader's
//! range is sent only when the digest of the whole blob has matched (A027, A102): a complete body has the right bytes.
//! Otherwise the body ends in an error, the connection is cut, and nothing is kept.
//!
//! No blob is opened or fetched without its grant, from which digest, size and repository come:
//! ```compile_fail,E0308
//! use pullgate_policy::oci::Digest;
//! use pullgate_store::Blobs;
//! use pullgate_store::blobs::UpstreamError;
//! async fn without_a_grant<E: UpstreamError>(blobs: &Blobs<E>, digest: &Digest) {
//!     let _ = blobs.open(digest).await;
//! }
//! ```

use std::collections::HashMap;
use std::future::Future;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::{Mutex, MutexGuard};
use pullgate_policy::grant::Grant;
use pullgate_policy::oci::{Digest, Hasher, Repository};
use tokio::sync::watch;

mod buffers;
mod fault;
mod index;
mod kept;
mod passthrough;
mod reader;
mod scrub;
mod series;
mod shared;
#[cfg(test)]
mod tests;
mod transfer;
mod unread;

pub use self::fault::{BlobFault, UpstreamError};
use self::kept::{BlobFiles, Knowledge, Opened, Room, Wants};
use self::passthrough::Passthrough;
pub use self::reader::{BlobBody, RangeOutside, Reader};
pub use self::series::BlobSeries;
use self::shared::{Following, Progress, Shared, TransferState};
use self::transfer::{Outlives, Transfer};
use self::unread::{Bounds, Partial, Unread};
use crate::documents::Fill;
use crate::folder::StateFolder;
use crate::limits::{HASHED_FIRST_BYTES, SCRUB_EVERY, SCRUB_PAUSE, TRANSFER_SILENCE};

/// The key of a transfer. The repository is part of it: bytes that one repository's credentials opened must not serve
/// another (A026).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct FlightKey {
    /// In which repository the blob is asked for.
    pub repository: Repository,
    /// The blob.
    pub digest: Digest,
}

/// The blobs of a state folder. Clones share everything.
#[derive(Debug, Clone)]
pub struct Blobs<E: UpstreamError>(Arc<Inner<E>>);

#[derive(Debug)]
struct Inner<E: UpstreamError> {
    kept: Arc<BlobFiles>,
    unread: Arc<Unread>,
    silence: Duration,
    flights: Arc<Flights<FlightKey, E>>,
    checks: Arc<Flights<Digest, E>>,
}

impl<E: UpstreamError> Blobs<E> {
    /// The blobs of `folder`, at most `blobs_max` bytes. Counts what is there.
    pub async fn new(folder: &StateFolder, blobs_max: u64) -> Self {
        Self::within(folder, blobs_max, (TRANSFER_SILENCE, Bounds::of(blobs_max))).await
    }

    /// As [`Self::new`], with other bounds of transfers.
    async fn within(folder: &StateFolder, blobs_max: u64, (silence, bounds): (Duration, Bounds)) -> Self {
        let kept = Arc::new(BlobFiles::new(folder, blobs_max, bounds.memory_bytes));
        let counting = Arc::clone(&kept);
        // A scan that fails leaves the count at nothing: the disk's own limit is still asked before each transfer.
        let _ = tokio::task::spawn_blocking(move || counting.count()).await;
        let unread = Unread::new(bounds, kept.series().clone());
        Self(Arc::new(Inner { kept, unread, silence, flights: Arc::default(), checks: Arc::default() }))
    }

    /// Keeps at most `blobs_max` bytes from now on.
    pub async fn keep_at_most(&self, blobs_max: u64) {
        let (kept, unread) = (Arc::clone(&self.0.kept), Arc::clone(&self.0.unread));
        let fitting = tokio::task::spawn_blocking(move || {
            unread.keep_at_most(blobs_max);
            kept.keep_at_most(blobs_max);
        });
        // It ends by itself only when the process does.
        let _ = fitting.await;
    }

    /// Whether nothing is kept at the moment, for want of room or because the disk cannot be written.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.kept.is_off()
    }

    /// Whether a blob is kept. It leaves under a grant only.
    pub async fn is_kept(&self, digest: Digest) -> bool {
        self.opened(digest).await.is_some()
    }

    /// A blob that is kept, under its grant. The caller knows that the repository's own upstream has it (A026). One
    /// that changed, or was not hashed since the start, is hashed while it is served, or before where it is small,
    /// and removed when wrong (A505).
    pub async fn open(&self, grant: &Grant) -> Option<Reader<E>> {
        self.opened(grant.digest()).await
    }

    async fn opened(&self, digest: Digest) -> Option<Reader<E>> {
        let kept = Arc::clone(&self.0.kept);
        let opened = tokio::task::spawn_blocking(move || kept.open(&digest)).await.ok()??;
        let Opened { file, stamp, knowledge, reading } = opened;
        let size = stamp.size();
        let shared = match knowledge {
            Knowledge::Hashed => Following::new(Arc::new(Shared::verified(Arc::new(file), stamp, reading))),
            Knowledge::Unknown => self.0.checks.join_or(digest, |flight| {
                let (shared, progress) =
                    Shared::new(Arc::new(file), Progress::complete(size), Some(stamp), reading);
                let following = Following::new(Arc::clone(&shared));
                kept::check(Arc::clone(&self.0.kept), (digest, stamp), shared, progress, flight);
                following
            }),
        };
        if size <= HASHED_FIRST_BYTES {
            shared.checked().await.ok()?;
        }
        Reader::follow(shared, Some(size)).await.ok()
    }

    /// A blob from upstream, under its grant, which names repository and size: joins the transfer that is under way for
    /// this repository, or begins one. `source` is called at most once, with the number of bytes that are here already,
    /// and gives the announced length, if any, and all further bytes. The transfer outlives the caller: it goes on for
    /// a while after its last reader has left, and its bytes stay for a while longer.
    ///
    /// # Errors
    /// [`BlobFault`] before the first byte: the upstream's own error, or a length that is not that of the descriptor (A104).
    pub async fn fetch<S, F, B>(&self, grant: &Grant, source: S) -> Result<Reader<E>, BlobFault<E>>
    where
        S: FnOnce(u64) -> F + Send + 'static,
        F: Future<Output = Result<(Option<u64>, B), E>> + Send + 'static,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        let key = FlightKey { repository: grant.repository().clone(), digest: grant.digest() };
        self.fetched(key, Some(grant.size()), source).await
    }

    async fn fetched<S, F, B>(
        &self,
        key: FlightKey,
        expected: Option<u64>,
        source: S,
    ) -> Result<Reader<E>, BlobFault<E>>
    where
        S: FnOnce(u64) -> F + Send + 'static,
        F: Future<Output = Result<(Option<u64>, B), E>> + Send + 'static,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        if let Some(following) = self.0.flights.join(&key) {
            match Reader::follow(following, expected).await {
                // What befell a transfer that others began is not this reader's fault: he begins another one.
                Err(fault) if fault.may_pass() => {}
                reader => return reader,
            }
        }
        let Some(room) = self.room(expected).await else {
            return Passthrough::begin(key.digest, expected, self.0.silence, || source(0))
                .await
                .map(Reader::passthrough);
        };
        let following =
            self.0.flights.join_or(key.clone(), |flight| self.begin(&key, expected, source, room, flight));
        Reader::follow(following, expected).await
    }

    /// A file and its room: partial blobs without a reader are removed before kept blobs.
    async fn room(&self, size: Option<u64>) -> Option<Room> {
        let wanting = |wants| {
            let kept = Arc::clone(&self.0.kept);
            tokio::task::spawn_blocking(move || kept.room(size, wants))
        };
        let mut room = wanting(Wants::FreeDisk).await.ok().flatten();
        if room.is_none() {
            self.0.unread.give_back();
            room = wanting(Wants::AnyDisk).await.ok().flatten();
        }
        room.or_else(|| self.0.kept.in_memory(size))
    }

    /// Bytes that are kept.
    #[must_use]
    pub fn used(&self) -> u64 {
        self.0.kept.used()
    }

    /// How full it is. One that is being read stays, so it may be more for a while.
    #[must_use]
    pub fn fill(&self) -> Fill {
        Fill { used: self.0.kept.used(), most: self.0.kept.blobs_max() }
    }

    /// Bytes of memory that blobs take where no file can be had.
    #[must_use]
    pub fn memory(&self) -> u64 {
        self.0.kept.memory_used()
    }

    /// What is counted of them.
    #[must_use]
    pub fn series(&self) -> BlobSeries {
        self.0.kept.series().clone()
    }

    /// Hashes kept blobs, slowly and for ever, and removes altered ones: rot is found before a client asks (A505).
    pub async fn scrub(&self) {
        loop {
            let rest = tokio::time::sleep(SCRUB_EVERY);
            scrub::pass(&self.0.kept, SCRUB_PAUSE).await;
            rest.await;
        }
    }

    fn begin<S, F, B>(
        &self,
        key: &FlightKey,
        expected: Option<u64>,
        source: S,
        room: Room,
        flight: Flight<FlightKey, E>,
    ) -> Following<E>
    where
        S: FnOnce(u64) -> F + Send + 'static,
        F: Future<Output = Result<(Option<u64>, B), E>> + Send + 'static,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        let Room { file, temp, reserved } = room;
        let partial = if temp.is_some() { self.0.unread.take(key) } else { None };
        let (file, temp, hasher, written) = match partial.map(Partial::uncounted) {
            Some((file, temp, hasher, written)) => (file, Some(temp), hasher, written),
            None => (Arc::new(file), temp, Hasher::like(&key.digest), 0),
        };
        reserved.arrive(written);
        let reading = self.0.kept.read(key.digest);
        let (shared, progress) = Shared::new(Arc::clone(&file), Progress::opening(written), None, reading);
        let following = Following::new(Arc::clone(&shared));
        let transfer = Transfer {
            kept: Arc::clone(&self.0.kept),
            unread: Arc::clone(&self.0.unread),
            key: key.clone(),
            expected,
            silence: self.0.silence,
            file,
            temp,
            reserved: Arc::new(reserved),
            hasher,
            written,
            progress,
            shared,
            flight,
            outlives: Outlives::Awhile,
        };
        tokio::spawn(transfer.run(source));
        following
    }
}

/// What is under way. It does not keep anything alive: readers do.
#[derive(Debug)]
struct Flights<K, E: UpstreamError>(Mutex<HashMap<K, Weak<Shared<E>>>>);

impl<K, E: UpstreamError> Default for Flights<K, E> {
    fn default() -> Self {
        Self(Mutex::new(HashMap::new()))
    }
}

/// A flight's place in the table; dropped with the task that flies it.
#[derive(Debug)]
struct Flight<K: std::hash::Hash + Eq, E: UpstreamError> {
    flights: Arc<Flights<K, E>>,
    key: K,
}

impl<K: std::hash::Hash + Eq + Clone, E: UpstreamError> Flights<K, E> {
    fn join(&self, key: &K) -> Option<Following<E>> {
        joinable(&self.lock(), key)
    }

    fn join_or(self: &Arc<Self>, key: K, begin: impl FnOnce(Flight<K, E>) -> Following<E>) -> Following<E> {
        let mut flights = self.lock();
        if let Some(following) = joinable(&flights, &key) {
            return following;
        }
        let following = begin(Flight { flights: Arc::clone(self), key: key.clone() });
        flights.insert(key, following.downgrade());
        following
    }
}

type Table<K, E> = HashMap<K, Weak<Shared<E>>>;

impl<K, E: UpstreamError> Flights<K, E> {
    fn lock(&self) -> MutexGuard<'_, Table<K, E>> {
        self.0.lock()
    }
}

/// Followed while the table is locked, so that no other task takes it for unread and ends it.
fn joinable<K: std::hash::Hash + Eq, E: UpstreamError>(
    flights: &Table<K, E>,
    key: &K,
) -> Option<Following<E>> {
    let shared = flights.get(key).and_then(Weak::upgrade).filter(|shared| shared.is_joinable())?;
    Some(Following::new(shared))
}

/// Whether a flight has left the table.
enum Landed {
    /// Somebody follows it.
    Followed,
    Yes,
}

impl<K: std::hash::Hash + Eq, E: UpstreamError> Flight<K, E> {
    /// Leaves the table, unless another flight has taken the place.
    fn land(self, readers: &Weak<Shared<E>>) {
        self.leave(&mut self.flights.lock(), readers);
    }

    /// As [`Self::land`], if it has no follower.
    fn land_unread(&self, shared: &Arc<Shared<E>>) -> Landed {
        let mut flights = self.flights.lock();
        if shared.is_followed() {
            return Landed::Followed;
        }
        self.leave(&mut flights, &Arc::downgrade(shared));
        Landed::Yes
    }

    fn leave(&self, flights: &mut Table<K, E>, readers: &Weak<Shared<E>>)
    where
        K: std::hash::Hash + Eq,
    {
        if flights.get(&self.key).is_some_and(|there| there.ptr_eq(readers)) {
            flights.remove(&self.key);
        }
    }
}

type Sender<E> = watch::Sender<Progress<E>>;
