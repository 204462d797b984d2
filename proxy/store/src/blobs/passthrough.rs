//! A blob straight from upstream to one client, where no file can be had: a full disk (A501), a blob over `blobs_max`
//! (A508). It is hashed from byte 0, and the last chunk of the range is held back until the digest matches.

use std::fmt;
use std::future::Future;
use std::ops::Range;
use std::pin::Pin;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use futures_util::{Stream, StreamExt, stream};
use pullgate_policy::oci::{Digest, Hasher};

use super::fault::agree;
use super::reader::{Frames, held_from};
use super::{BlobFault, UpstreamError};

type Pieces<E> = Pin<Box<dyn Stream<Item = Result<Bytes, E>> + Send>>;

pub(super) struct Passthrough<E: UpstreamError> {
    pieces: Pieces<E>,
    digest: Digest,
    total: u64,
    pause: Duration,
}

struct Relay<E: UpstreamError> {
    pieces: Pieces<E>,
    digest: Digest,
    hasher: Hasher,
    total: u64,
    pause: Duration,
    at: u64,
    held: BytesMut,
    range: Range<u64>,
    stage: Phase,
}

#[derive(Clone, Copy)]
enum Phase {
    Done,
    Relaying,
}

impl<E: UpstreamError> Passthrough<E> {
    /// Asks the upstream. An empty blob is read to its end here: there is nothing of it to hold back.
    pub(super) async fn begin<S, F, B>(
        digest: Digest,
        expected: Option<u64>,
        pause: Duration,
        source: S,
    ) -> Result<Self, BlobFault<E>>
    where
        S: FnOnce() -> F,
        F: Future<Output = Result<(Option<u64>, B), E>>,
        B: Stream<Item = Result<Bytes, E>> + Send + 'static,
    {
        let (announced, pieces) = source().await.map_err(BlobFault::Upstream)?;
        let total = agree(announced, expected)?.ok_or(BlobFault::Unknown)?;
        let pieces: Pieces<E> = Box::pin(pieces);
        if total > 0 {
            return Ok(Self { pieces, digest, total, pause });
        }
        let mut frames = Self { pieces, digest, total, pause }.frames(0..0);
        match frames.next().await {
            Some(Err(fault)) => Err(fault),
            Some(Ok(_)) | None => Ok(Self { pieces: Box::pin(stream::empty()), digest, total, pause }),
        }
    }

    pub(super) fn total(&self) -> u64 {
        self.total
    }

    pub(super) fn frames(self, range: Range<u64>) -> Frames<E> {
        let passing = Relay {
            hasher: Hasher::like(&self.digest),
            pieces: self.pieces,
            digest: self.digest,
            total: self.total,
            pause: self.pause,
            at: 0,
            held: BytesMut::new(),
            range,
            stage: Phase::Relaying,
        };
        Box::pin(stream::try_unfold(passing, |mut passing| async move {
            Ok(passing.next().await?.map(|bytes| (bytes, passing)))
        }))
    }
}

impl<E: UpstreamError> Relay<E> {
    async fn next(&mut self) -> Result<Option<Bytes>, BlobFault<E>> {
        match self.stage {
            Phase::Done => return Ok(None),
            Phase::Relaying => {}
        }
        loop {
            let piece = tokio::time::timeout(self.pause, self.pieces.next()).await;
            match piece.map_err(|_| BlobFault::Stalled)? {
                Some(piece) => {
                    let released = self.take(piece.map_err(BlobFault::Upstream)?)?;
                    if !released.is_empty() {
                        return Ok(Some(released));
                    }
                }
                None => return self.finish(),
            }
        }
    }

    /// Hashes a piece, and lets go what of it lies in the range and before its last chunk.
    fn take(&mut self, mut piece: Bytes) -> Result<Bytes, BlobFault<E>> {
        let (start, end) = (self.at, self.at.saturating_add(piece.len() as u64));
        if end > self.total {
            return Err(BlobFault::Long);
        }
        self.hasher.update(&piece);
        self.at = end;
        let within = |limit: u64| usize::try_from(limit.clamp(start, end) - start).unwrap_or(usize::MAX);
        let (first, held, last) =
            (within(self.range.start), within(held_from(&self.range)), within(self.range.end));
        piece.truncate(last);
        self.held.extend_from_slice(&piece.split_off(held.min(piece.len())));
        piece.advance(first.min(piece.len()));
        Ok(piece)
    }

    fn finish(&mut self) -> Result<Option<Bytes>, BlobFault<E>> {
        self.stage = Phase::Done;
        if self.at < self.total {
            return Err(BlobFault::Short);
        }
        if self.hasher.clone().finish() != self.digest {
            return Err(BlobFault::Corrupt);
        }
        let held = self.held.split().freeze();
        Ok((!held.is_empty()).then_some(held))
    }
}

impl<E: UpstreamError> fmt::Debug for Passthrough<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Passthrough")
            .field("digest", &self.digest)
            .field("total", &self.total)
            .finish_non_exhaustive()
    }
}
