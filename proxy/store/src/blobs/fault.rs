//! What can be wrong with a blob.

use std::error::Error;
use std::io;
use std::sync::Arc;

/// An upstream's error: shared by all readers of a transfer, so it can be cloned.
pub trait UpstreamError: Error + Clone + Send + Sync + 'static {}

impl<E: Error + Clone + Send + Sync + 'static> UpstreamError for E {}

/// Why a blob does not come, or ends before its end.
#[derive(Debug, Clone, thiserror::Error)]
pub enum BlobFault<E: UpstreamError> {
    /// The whole came and is not what its digest says (A102).
    #[error("the bytes do not hash to the digest")]
    Corrupt,
    /// The transfer ended without a word: the process is going down.
    #[error("the transfer was given up")]
    Ended,
    /// More bytes came than were announced (A104, A106).
    #[error("more bytes came than were announced")]
    Long,
    /// Fewer bytes came than were announced (A103).
    #[error("fewer bytes came than were announced")]
    Short,
    /// The announced length is not the descriptor's size (A104).
    #[error("{announced} bytes are announced, the descriptor says {expected}")]
    Size {
        /// The upstream's length, or the file's, bytes.
        announced: u64,
        /// The descriptor's size, bytes.
        expected: u64,
    },
    /// No byte came for too long.
    #[error("no byte came for too long")]
    Stalled,
    /// The file could not be written or read (A501).
    #[error("the blob's file failed")]
    Storage(#[source] Arc<io::Error>),
    /// Neither the upstream nor a descriptor gives the length, and there is no file to buffer the blob in.
    #[error("the length is not known")]
    Unknown,
    /// The upstream failed.
    #[error("the upstream failed")]
    Upstream(#[source] E),
}

impl<E: UpstreamError> BlobFault<E> {
    /// Whether another transfer may well do better.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Corrupt | Self::Ended | Self::Long | Self::Short | Self::Stalled | Self::Upstream(_) => {
                true
            }
            Self::Size { .. } | Self::Storage(_) | Self::Unknown => false,
        }
    }

    /// Whether the bytes so far may be the beginning of the right ones.
    pub(super) fn says_nothing_of_the_content(&self) -> bool {
        match self {
            Self::Ended | Self::Short | Self::Stalled | Self::Upstream(_) => true,
            Self::Corrupt | Self::Long | Self::Size { .. } | Self::Storage(_) | Self::Unknown => false,
        }
    }
}

impl<E: UpstreamError> From<io::Error> for BlobFault<E> {
    fn from(error: io::Error) -> Self {
        Self::Storage(Arc::new(error))
    }
}

/// The length, if the upstream's and the descriptor's agree.
pub(super) fn agree<E: UpstreamError>(
    announced: Option<u64>,
    expected: Option<u64>,
) -> Result<Option<u64>, BlobFault<E>> {
    match (announced, expected) {
        (Some(announced), Some(expected)) if announced != expected => {
            Err(BlobFault::Size { announced, expected })
        }
        (announced, expected) => Ok(announced.or(expected)),
    }
}
