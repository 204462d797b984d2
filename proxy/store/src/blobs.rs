//! Blobs: one transfer from upstream for all who ask at once, read by each from where it likes.
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
use std::collections::hash_map::Entry;
use std::fs::File;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use pullgate_policy::grant::Grant;
use pullgate_policy::limits::BETWEEN_BYTES_BLOB;
use pullgate_policy::oci::{Digest, Repository};
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

pub use self::fault::{BlobFault, UpstreamError};
use self::kept::{BlobFiles, Knowledge, Opened, Room};
use self::passthrough::Passthrough;
pub use self::reader::{BlobBody, RangeOutside, Reader};
pub use self::series::BlobSeries;
use self::shared::{Progress, Shared, TransferState};
use self::transfer::Transfer;
use crate::documents::Fill;
use crate::folder::StateFolder;
use crate::limits::{HASHED_FIRST_BYTES, SCRUB_EVERY, SCRUB_PAUSE};

/// What one upstream request is about. The repository is part of it: bytes that one repository's credentials opened are
/// nothing to another (A026).
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
    pause: Duration,
    flights: Arc<Flights<FlightKey, E>>,
    checks: Arc<Flights<Digest, E>>,
}

impl<E: UpstreamError> Blobs<E> {
    /// The blobs of `folder`, of which at most `blobs_max` bytes are kept. Counts what is there.
    pub async fn new(folder: &StateFolder, blobs_max: u64) -> Self {
        Self::with_pause(folder, blobs_max, BETWEEN_BYTES_BLOB).await
    }

    /// As [`Self::new`], with another longest pause between two pieces from upstream.
    async fn with_pause(folder: &StateFolder, blobs_max: u64, pause: Duration) -> Self {
        let kept = Arc::new(BlobFiles::new(folder, blobs_max));
        let counting = Arc::clone(&kept);
        // A scan that fails leaves the count at nothing: the disk's own limit is still asked before each transfer.
        let _ = tokio::task::spawn_blocking(move || counting.count()).await;
        Self(Arc::new(Inner { kept, pause, flights: Arc::default(), checks: Arc::default() }))
    }

    /// Whether nothing is kept at the moment, for want of room or because the disk cannot be written.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.0.kept.is_off()
    }

    /// Whether a blob is kept: of use to nobody without a grant.
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
            Knowledge::Hashed => Arc::new(Shared::verified(Arc::new(file), stamp, reading)),
            Knowledge::Unknown => self.0.checks.join_or(digest, |flight| {
                let (shared, progress) =
                    Shared::new(Arc::new(file), Progress::complete(size), Some(stamp), reading);
                kept::check(Arc::clone(&self.0.kept), (digest, stamp), Arc::clone(&shared), progress, flight);
                shared
            }),
        };
        if size <= HASHED_FIRST_BYTES {
            shared.checked().await.ok()?;
        }
        Reader::follow(shared, Some(size)).await.ok()
    }

    /// A blob from upstream, under its grant, which says of which repository it is and how many bytes it has: joins
    /// the transfer that is under way for this repository, or begins one. `source` is called at most once and gives
    /// the announced length, if any, and the bytes from the first to the last. It does not end with the caller: only
    /// when every reader has left is the transfer given up.
    ///
    /// # Errors
    /// [`BlobFault`] before the first byte: the upstream's own error, or a length that is not that of the descriptor (A104).
    pub async fn fetch<S, F, B>(&self, grant: &Grant, source: S) -> Result<Reader<E>, BlobFault<E>>
    where
        S: FnOnce() -> F + Send + 'static,
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
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<(Option<u64>, B), E>> + Send + 'static,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        if let Some(shared) = self.0.flights.join(&key) {
            return Reader::follow(shared, expected).await;
        }
        let kept = Arc::clone(&self.0.kept);
        let room = tokio::task::spawn_blocking(move || kept.room(expected)).await.ok().flatten();
        let file = room.and_then(|room| room.temp.reopen().ok().map(|file| (room, file)));
        let Some((room, file)) = file else {
            return Passthrough::begin(key.digest, expected, self.0.pause, source)
                .await
                .map(Reader::passthrough);
        };
        let shared = self
            .0
            .flights
            .join_or(key.clone(), |flight| self.begin(&key, expected, source, (room, file), flight));
        Reader::follow(shared, expected).await
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

    /// What is counted of them.
    #[must_use]
    pub fn series(&self) -> BlobSeries {
        self.0.kept.series().clone()
    }

    /// Hashes what is kept, slowly and for ever, and removes what has changed: rot is found before somebody asks (A505).
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
        (room, file): (Room, File),
        flight: Flight<FlightKey, E>,
    ) -> Arc<Shared<E>>
    where
        S: FnOnce() -> F + Send + 'static,
        F: Future<Output = Result<(Option<u64>, B), E>> + Send + 'static,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        let file = Arc::new(file);
        let reading = self.0.kept.read(key.digest);
        let (shared, progress) = Shared::new(Arc::clone(&file), Progress::opening(), None, reading);
        let transfer = Transfer {
            kept: Arc::clone(&self.0.kept),
            digest: key.digest,
            expected,
            pause: self.0.pause,
            file,
            temp: room.temp.into_temp_path(),
            reserved: Arc::new(room.reserved),
            progress,
            readers: Arc::downgrade(&shared),
            flight,
        };
        tokio::spawn(transfer.run(source));
        shared
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
    fn join(&self, key: &K) -> Option<Arc<Shared<E>>> {
        let flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.get(key).and_then(Weak::upgrade).filter(|shared| shared.is_joinable())
    }

    fn join_or(
        self: &Arc<Self>,
        key: K,
        begin: impl FnOnce(Flight<K, E>) -> Arc<Shared<E>>,
    ) -> Arc<Shared<E>> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let under_way = flights.get(&key).and_then(Weak::upgrade).filter(|shared| shared.is_joinable());
        if let Some(shared) = under_way {
            return shared;
        }
        let shared = begin(Flight { flights: Arc::clone(self), key: key.clone() });
        flights.insert(key, Arc::downgrade(&shared));
        shared
    }
}

impl<K: std::hash::Hash + Eq, E: UpstreamError> Flight<K, E> {
    /// Leaves the table, unless another flight has taken the place.
    fn land(self, readers: &Weak<Shared<E>>) {
        let mut flights = self.flights.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Entry::Occupied(entry) = flights.entry(self.key)
            && entry.get().ptr_eq(readers)
        {
            entry.remove();
        }
    }
}

type Sender<E> = watch::Sender<Progress<E>>;
