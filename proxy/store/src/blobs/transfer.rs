//! The transfer: from upstream into a file, hashed on the way, followed by its readers.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use pullgate_policy::oci::{Digest, Hasher};
use tempfile::TempPath;

use super::kept::Reserved;
use super::{BlobFault, BlobFiles, Flight, FlightKey, Sender, Shared, TransferState, UpstreamError};
use crate::limits::{LINGER, PIECES};

pub(super) struct Transfer<E: UpstreamError> {
    pub(super) kept: Arc<BlobFiles>,
    pub(super) digest: Digest,
    pub(super) expected: Option<u64>,
    pub(super) pause: Duration,
    pub(super) file: Arc<File>,
    pub(super) temp: TempPath,
    pub(super) reserved: Arc<Reserved>,
    pub(super) progress: Sender<E>,
    pub(super) readers: Weak<Shared<E>>,
    pub(super) flight: Flight<FlightKey, E>,
}

impl<E: UpstreamError> Transfer<E> {
    /// Runs to the end, or until nobody reads any more; then the file goes as it came (A103: no part is ever kept).
    pub(super) async fn run<S, F, B>(self, source: S)
    where
        S: FnOnce() -> F,
        F: Future<Output = Result<(Option<u64>, B), E>>,
        B: Stream<Item = Result<Bytes, E>>,
    {
        let received = tokio::select! {
            biased;
            () = self.progress.closed() => None,
            received = self.receive(source) => Some(received),
        };
        match received {
            Some(Ok(size)) => self.keep(size).await,
            Some(Err(fault)) => {
                tracing::debug!(digest = %self.digest, %fault, "a blob's transfer failed");
                self.progress.send_modify(|progress| progress.stage = TransferState::Failed(fault));
                self.flight.land(&self.readers);
            }
            None => self.flight.land(&self.readers),
        }
    }

    async fn receive<S, F, B>(&self, source: S) -> Result<u64, BlobFault<E>>
    where
        S: FnOnce() -> F,
        F: Future<Output = Result<(Option<u64>, B), E>>,
        B: Stream<Item = Result<Bytes, E>>,
    {
        let (announced, pieces) = source().await.map_err(BlobFault::Upstream)?;
        // Where they disagree each reader is told by its own descriptor: the first one's lie is not the others' failure.
        let total = announced.or(self.expected);
        // Without a descriptor nobody vouches for a size, and an endless body must end somewhere (A106).
        let limit = if self.expected.is_some() { total } else { None }.unwrap_or(self.kept.blobs_max());
        if total.is_some_and(|total| total > limit) {
            return Err(BlobFault::Long);
        }
        let limit = total.unwrap_or(limit);
        self.progress.send_modify(|progress| {
            progress.total = total;
            progress.stage = TransferState::Flowing;
        });
        let mut pieces = pin!(pieces.ready_chunks(PIECES));
        let (mut hasher, mut written) = (Hasher::like(&self.digest), 0_u64);
        while let Some(pieces) =
            tokio::time::timeout(self.pause, pieces.next()).await.map_err(|_| BlobFault::Stalled)?
        {
            let pieces: Vec<Bytes> =
                pieces.into_iter().collect::<Result<_, E>>().map_err(BlobFault::Upstream)?;
            let end = pieces.iter().fold(written, |sum, piece| sum.saturating_add(piece.len() as u64));
            if end > limit {
                return Err(BlobFault::Long);
            }
            hasher = self.write(hasher, pieces, written).await?;
            written = end;
            self.progress.send_modify(|progress| progress.written = written);
        }
        if total.is_some_and(|total| written < total) {
            return Err(BlobFault::Short);
        }
        if hasher.finish() != self.digest {
            return Err(BlobFault::Corrupt);
        }
        Ok(written)
    }

    async fn write(&self, mut hasher: Hasher, pieces: Vec<Bytes>, at: u64) -> Result<Hasher, BlobFault<E>> {
        let (file, kept) = (Arc::clone(&self.file), Arc::clone(&self.kept));
        let reserved = Arc::clone(&self.reserved);
        let write = tokio::task::spawn_blocking(move || {
            let mut at = at;
            reserved.arrive(pieces.iter().map(|piece| piece.len() as u64).sum());
            drop(reserved);
            for piece in pieces {
                hasher.update(&piece);
                // Those who come next go without a file for a while (A501).
                file.write_all_at(&piece, at).inspect_err(|_| kept.rest())?;
                at += piece.len() as u64;
            }
            Ok::<_, std::io::Error>(hasher)
        });
        Ok(write.await.map_err(|_| BlobFault::Ended)??)
    }

    /// The digest matched: the readers go on at once, then the file gets its name. The flight can be joined a little
    /// longer, by those who looked for the file just before.
    async fn keep(self, size: u64) {
        let join = self.readers.upgrade();
        self.progress.send_modify(|progress| progress.stage = TransferState::Verified);
        let Self { kept, digest, file, temp, reserved, readers, flight, .. } = self;
        let _ = tokio::task::spawn_blocking(move || kept.keep(&digest, &file, &temp, size, reserved)).await;
        if join.is_some() {
            tokio::time::sleep(LINGER).await;
        }
        flight.land(&readers);
    }
}
