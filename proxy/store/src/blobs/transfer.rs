//! The transfer: from upstream into a file, hashed on the way, followed by its readers.

use std::fs::File;
use std::future::Future;
use std::os::unix::fs::FileExt;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt};
use pullgate_policy::oci::Hasher;
use tempfile::TempPath;

use super::fault::agree;
use super::kept::{Fate, Reserved};
use super::unread::{Partial, Unread};
use super::{BlobFault, BlobFiles, Flight, FlightKey, Landed, Sender, Shared, TransferState, UpstreamError};
use crate::limits::{LINGER, PIECES};

pub(super) struct Transfer<E: UpstreamError> {
    pub(super) kept: Arc<BlobFiles>,
    pub(super) unread: Arc<Unread>,
    pub(super) key: FlightKey,
    pub(super) expected: Option<u64>,
    pub(super) silence: Duration,
    pub(super) file: Arc<File>,
    /// The path of the file; `None` for memory.
    pub(super) temp: Option<TempPath>,
    pub(super) reserved: Arc<Reserved>,
    /// Of the bytes that are written.
    pub(super) hasher: Hasher,
    pub(super) written: u64,
    pub(super) progress: Sender<E>,
    pub(super) shared: Arc<Shared<E>>,
    pub(super) flight: Flight<FlightKey, E>,
    pub(super) outlives: Outlives,
}

/// Whether a transfer goes on without a reader, and its bytes stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outlives {
    Awhile,
    /// The upstream announces another length than the manifest's (A104): no client will come back for that.
    Not,
}

/// How a transfer ended that did not fail.
enum Received {
    /// No reader is left; the next request begins another.
    Left,
    /// All of it is here, and is what its digest says.
    Whole,
}

impl<E: UpstreamError> Transfer<E> {
    /// Runs to the end, or until there was no reader for a while. Then its bytes stay as a partial blob, unless they
    /// are known to be wrong. A partial blob never counts as kept (A103).
    pub(super) async fn run<S, F, B>(mut self, source: S)
    where
        S: FnOnce(u64) -> F,
        F: Future<Output = Result<(Option<u64>, B), E>>,
        B: Stream<Item = Result<Bytes, E>>,
    {
        match self.receive(source).await {
            Ok(Received::Whole) => self.keep().await,
            Ok(Received::Left) => drop(self.park()),
            Err(fault) => {
                tracing::debug!(digest = %self.key.digest, %fault, "a blob's transfer failed");
                // Parked before the readers are told, so that a retry finds the partial blob.
                let Ending { progress, shared, flight } =
                    if fault.says_nothing_of_the_content() { self.park() } else { self.drop_file() };
                progress.send_modify(|progress| progress.stage = TransferState::Failed(fault));
                flight.land(&Arc::downgrade(&shared));
            }
        }
    }

    async fn receive<S, F, B>(&mut self, source: S) -> Result<Received, BlobFault<E>>
    where
        S: FnOnce(u64) -> F,
        F: Future<Output = Result<(Option<u64>, B), E>>,
        B: Stream<Item = Result<Bytes, E>>,
    {
        let (shared, without) = (Arc::clone(&self.shared), Arc::clone(&self.unread));
        let mut leaves = pin!(unread(&shared, &without, self.outlives));
        let mut opening = pin!(source(self.written));
        let (announced, pieces) = loop {
            tokio::select! {
                biased;
                () = &mut leaves => match self.flight.land_unread(&shared) {
                    Landed::Yes => return Ok(Received::Left),
                    Landed::Followed => leaves.set(unread(&shared, &without, self.outlives)),
                },
                opened = &mut opening => break opened.map_err(BlobFault::Upstream)?,
            }
        };
        let total = self.total(announced)?;
        if self.expected.is_some() && total != self.expected {
            self.outlives = Outlives::Not;
            leaves.set(unread(&shared, &without, self.outlives));
        }
        self.progress.send_modify(|progress| {
            progress.total = total;
            progress.stage = TransferState::Flowing;
        });
        let limit = total.unwrap_or(self.kept.blobs_max());
        let mut pieces = pin!(pieces.ready_chunks(PIECES));
        loop {
            let came = tokio::select! {
                biased;
                () = &mut leaves => match self.flight.land_unread(&shared) {
                    Landed::Yes => return Ok(Received::Left),
                    Landed::Followed => {
                        leaves.set(unread(&shared, &without, self.outlives));
                        continue;
                    }
                },
                came = tokio::time::timeout(self.silence, pieces.next()) => came.map_err(|_| BlobFault::Stalled)?,
            };
            let Some(pieces) = came else { break };
            self.take(pieces, limit).await?;
        }
        if total.is_some_and(|total| self.written < total) {
            return Err(BlobFault::Short);
        }
        if self.hasher.clone().finish() != self.key.digest {
            return Err(BlobFault::Corrupt);
        }
        Ok(Received::Whole)
    }

    /// Where the lengths disagree each reader compares with its own descriptor: the first reader's wrong size must not
    /// fail the others.
    fn total(&self, announced: Option<u64>) -> Result<Option<u64>, BlobFault<E>> {
        if self.temp.is_none() {
            // Of memory there is as much as the descriptor says.
            agree(announced, self.expected)?;
        }
        let total = announced.or(self.expected);
        // Without a descriptor the size is not vouched for, and an endless body must end somewhere (A106).
        let limit = if self.expected.is_some() { total } else { None }.unwrap_or(self.kept.blobs_max());
        if total.is_some_and(|total| total > limit) { Err(BlobFault::Long) } else { Ok(total) }
    }

    /// Writes and hashes the pieces before a fault, then returns the fault.
    async fn take(&mut self, pieces: Vec<Result<Bytes, E>>, limit: u64) -> Result<(), BlobFault<E>> {
        let (mut good, mut fault) = (Vec::with_capacity(pieces.len()), None);
        for piece in pieces {
            match piece {
                Ok(piece) if piece.is_empty() => {}
                Ok(piece) => good.push(piece),
                Err(error) => {
                    fault = Some(BlobFault::Upstream(error));
                    break;
                }
            }
        }
        let end = good.iter().fold(self.written, |sum, piece| sum.saturating_add(piece.len() as u64));
        if end > limit {
            return Err(BlobFault::Long);
        }
        if end > self.written {
            self.write(good).await?;
            self.written = end;
            self.progress.send_modify(|progress| progress.written = end);
        }
        fault.map_or(Ok(()), Err)
    }

    async fn write(&mut self, pieces: Vec<Bytes>) -> Result<(), BlobFault<E>> {
        let (file, kept) = (Arc::clone(&self.file), Arc::clone(&self.kept));
        let (reserved, mut hasher, mut at) = (Arc::clone(&self.reserved), self.hasher.clone(), self.written);
        let write = tokio::task::spawn_blocking(move || {
            reserved.arrive(pieces.iter().map(|piece| piece.len() as u64).sum());
            drop(reserved);
            for piece in pieces {
                hasher.update(&piece);
                // The next blobs go without a file for a while (A501).
                file.write_all_at(&piece, at).inspect_err(|_| kept.rest())?;
                at += piece.len() as u64;
            }
            Ok::<_, std::io::Error>(hasher)
        });
        self.hasher = write.await.map_err(|_| BlobFault::Ended)??;
        Ok(())
    }

    /// The digest matched: the readers go on at once, then the file gets its name. The flight can be joined a little
    /// longer, by requests that looked for the file just before; a lent one as long as readers come back.
    async fn keep(self) {
        self.progress.send_modify(|progress| progress.stage = TransferState::Verified);
        let Self { kept, unread: without, key, file, temp, reserved, written, shared, flight, .. } = self;
        let digest = key.digest;
        let lent = tokio::task::spawn_blocking(move || {
            let fate = match &temp {
                Some(temp) => kept.keep(&digest, (&file, temp), written, &reserved),
                None => Fate::Lent,
            };
            (fate == Fate::Lent).then_some((temp, reserved))
        });
        if let Ok(Some(_lent)) = lent.await {
            loop {
                unread(&shared, &without, Outlives::Awhile).await;
                match flight.land_unread(&shared) {
                    Landed::Yes => return,
                    Landed::Followed => {}
                }
            }
        }
        tokio::time::sleep(LINGER).await;
        flight.land(&Arc::downgrade(&shared));
    }

    fn park(self) -> Ending<E> {
        let Self {
            unread,
            key,
            file,
            temp,
            reserved,
            hasher,
            written,
            progress,
            shared,
            flight,
            outlives,
            ..
        } = self;
        // The room for the rest is given back.
        if let (Outlives::Awhile, Some(temp), Ok(())) = (outlives, temp, file.set_len(written)) {
            reserved.rest_is_off();
            unread.park(key, Partial::new(file, temp, (hasher, written), reserved));
        }
        Ending { progress, shared, flight }
    }

    fn drop_file(self) -> Ending<E> {
        let Self { progress, shared, flight, .. } = self;
        Ending { progress, shared, flight }
    }
}

/// The parts of a transfer that are needed to end it.
struct Ending<E: UpstreamError> {
    progress: Sender<E>,
    shared: Arc<Shared<E>>,
    flight: Flight<FlightKey, E>,
}

/// Waits until there was no reader for as long as a transfer goes on without one.
async fn unread<E: UpstreamError>(shared: &Shared<E>, unread: &Arc<Unread>, outlives: Outlives) {
    loop {
        shared.deserted().await;
        let slot = if outlives == Outlives::Awhile { unread.slot() } else { None };
        let Some(slot) = slot else { return };
        tokio::select! {
            () = shared.followed() => {}
            () = slot.ends() => return,
        }
    }
}
