//! The bodies that the gate sends.

use std::fmt;
use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::{Empty, Full};

use crate::store::{BlobBody, BlobFault};
use crate::upstream::Fault;

/// A response body.
pub enum Body {
    /// A blob that is read from its file, or as it arrives.
    Blob(Box<BlobBody<Fault>>),
    /// Nothing.
    Empty(Empty<Bytes>),
    /// Bytes that are in memory: a manifest, an error, a list.
    Full(Full<Bytes>),
}

impl Body {
    /// No bytes.
    #[must_use]
    pub fn empty() -> Self {
        Self::Empty(Empty::new())
    }

    /// These bytes.
    #[must_use]
    pub fn full(bytes: Bytes) -> Self {
        Self::Full(Full::new(bytes))
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = BlobFault<Fault>;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BlobFault<Fault>>>> {
        match self.get_mut() {
            Self::Blob(blob) => Pin::new(blob.as_mut()).poll_frame(context),
            Self::Empty(empty) => Pin::new(empty).poll_frame(context).map_err(|never| match never {}),
            Self::Full(full) => Pin::new(full).poll_frame(context).map_err(|never| match never {}),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Blob(blob) => blob.is_end_stream(),
            Self::Empty(empty) => empty.is_end_stream(),
            Self::Full(full) => full.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Blob(blob) => blob.size_hint(),
            Self::Empty(empty) => empty.size_hint(),
            Self::Full(full) => full.size_hint(),
        }
    }
}

impl fmt::Debug for Body {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Body")
    }
}
