//! One client's view of a blob.

use std::fmt;
use std::ops::{Range, RangeInclusive};
use std::pin::Pin;
use std::task::{Context, Poll};

use crate::limits::{STREAM_CHUNK_BYTES, STREAM_CHUNK_WARM_BYTES};
use bytes::{Buf, Bytes};
use futures_util::{Stream, stream};
use http_body::{Body, Frame, SizeHint};

use super::fault::agree;
use super::shared::Following;
use super::{BlobFault, Passthrough, UpstreamError};

/// A blob of known length, whose bytes are read on demand.
#[derive(Debug)]
pub struct Reader<E: UpstreamError> {
    source: Source<E>,
    total: u64,
    range: Range<u64>,
}

#[derive(Debug)]
enum Source<E: UpstreamError> {
    Passthrough(Box<Passthrough<E>>),
    Shared(Following<E>),
}

/// The range begins past the end of the blob, or holds nothing: 416.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the range is outside the blob")]
pub struct RangeOutside;

impl<E: UpstreamError> Reader<E> {
    /// Follows a file; refuses before the first byte when it is not as long as this reader's descriptor says (A104).
    pub(super) async fn follow(shared: Following<E>, expected: Option<u64>) -> Result<Self, BlobFault<E>> {
        let total = shared.total().await?;
        agree(Some(total), expected)?;
        Ok(Self { source: Source::Shared(shared), total, range: 0..total })
    }

    pub(super) fn passthrough(passthrough: Passthrough<E>) -> Self {
        let total = passthrough.total();
        Self { source: Source::Passthrough(Box::new(passthrough)), total, range: 0..total }
    }

    /// The length of the whole blob, bytes.
    #[must_use]
    pub fn total(&self) -> u64 {
        self.total
    }

    /// What will be read of it.
    #[must_use]
    pub fn selected(&self) -> &Range<u64> {
        &self.range
    }

    /// Whether it is a transfer of this reader alone, for want of a file: each range of it would cost one of its own.
    #[must_use]
    pub fn is_one_stream(&self) -> bool {
        match self.source {
            Source::Passthrough(_) => true,
            Source::Shared(_) => false,
        }
    }

    /// Reads this part only, cut at the blob's end.
    ///
    /// # Errors
    /// [`RangeOutside`].
    pub fn range(mut self, range: RangeInclusive<u64>) -> Result<Self, RangeOutside> {
        if range.is_empty() || *range.start() >= self.total {
            return Err(RangeOutside);
        }
        self.range = *range.start()..range.end().saturating_add(1).min(self.total);
        Ok(self)
    }

    /// The bytes. The last chunk comes when the whole blob is verified; an error is the end.
    #[must_use]
    pub fn into_body(self) -> BlobBody<E> {
        let remaining = self.range.end - self.range.start;
        let frames = match self.source {
            Source::Passthrough(passthrough) => passthrough.frames(self.range),
            Source::Shared(shared) => frames(shared, self.range),
        };
        BlobBody { frames, remaining }
    }
}

/// From where on a range is held back until the whole blob is verified.
pub(super) fn held_from(range: &Range<u64>) -> u64 {
    range.start.max(range.end.saturating_sub(STREAM_CHUNK_BYTES as u64))
}

pub(super) type Frames<E> = Pin<Box<dyn Stream<Item = Result<Bytes, BlobFault<E>>> + Send>>;

fn frames<E: UpstreamError>(shared: Following<E>, range: Range<u64>) -> Frames<E> {
    let (held_from, end) = (held_from(&range), range.end);
    Box::pin(stream::try_unfold((shared, range.start), move |(shared, at)| async move {
        if at >= end {
            return Ok(None);
        }
        let released = shared.released(at, held_from, end).await?;
        // A verified blob is read in larger pieces.
        let piece = if released == end { STREAM_CHUNK_WARM_BYTES } else { STREAM_CHUNK_BYTES };
        let until = released.min(at.saturating_add(piece as u64));
        let bytes = shared.read(at..until).await?;
        if until == end {
            shared.still()?;
        }
        Ok(Some((bytes, (shared, until))))
    }))
}

/// The body of an answer. `Send`, not `Sync`.
pub struct BlobBody<E: UpstreamError> {
    frames: Frames<E>,
    remaining: u64,
}

impl<E: UpstreamError> Body for BlobBody<E> {
    type Data = Bytes;
    type Error = BlobFault<E>;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BlobFault<E>>>> {
        if self.remaining == 0 {
            return Poll::Ready(None);
        }
        match self.frames.as_mut().poll_next(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(Some(Ok(bytes))) => {
                self.remaining = self.remaining.saturating_sub(bytes.remaining() as u64);
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
            Poll::Ready(Some(Err(fault))) => Poll::Ready(Some(Err(fault))),
            // Never a quiet end before the promised one.
            Poll::Ready(None) => Poll::Ready(Some(Err(BlobFault::Ended))),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.remaining == 0
    }

    fn size_hint(&self) -> SizeHint {
        SizeHint::with_exact(self.remaining)
    }
}

impl<E: UpstreamError> fmt::Debug for BlobBody<E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlobBody").field("remaining", &self.remaining).finish_non_exhaustive()
    }
}
