//! A file that may still grow, with its progress and state of verification.

use std::fs::File;
use std::io::{self, IoSliceMut};
use std::ops::{Deref, Range};
use std::os::unix::fs::FileExt;
use std::sync::{Arc, Weak};

use bytes::Bytes;
use rustix::io::{ReadWriteFlags, preadv2};
use tokio::sync::watch;

use super::buffers::Lent;
use super::kept::{Reading, unchanged};
use super::{BlobFault, Sender, UpstreamError};
use crate::files::Stamp;

/// How far a blob is.
#[derive(Debug, Clone)]
pub(super) struct Progress<E: UpstreamError> {
    pub(super) total: Option<u64>,
    pub(super) written: u64,
    pub(super) stage: TransferState<E>,
}

/// The state of a blob's transfer.
#[derive(Debug, Clone)]
pub(super) enum TransferState<E: UpstreamError> {
    Failed(BlobFault<E>),
    Flowing,
    Opening,
    Verified,
}

/// Shared by the readers of one blob. When the last one drops it, hashing of a kept file stops; a transfer goes on for
/// a while.
#[derive(Debug)]
pub(super) struct Shared<E: UpstreamError> {
    file: Arc<File>,
    progress: watch::Receiver<Progress<E>>,
    followers: watch::Sender<usize>,
    /// The stamp of a kept file when it was hashed; `None` for a file that is still written.
    stamp: Option<Stamp>,
    _reading: Reading,
}

/// A present or coming reader.
#[derive(Debug)]
pub(super) struct Following<E: UpstreamError>(Arc<Shared<E>>);

impl<E: UpstreamError> Following<E> {
    pub(super) fn new(shared: Arc<Shared<E>>) -> Self {
        shared.followers.send_modify(|followers| *followers += 1);
        Self(shared)
    }

    pub(super) fn downgrade(&self) -> Weak<Shared<E>> {
        Arc::downgrade(&self.0)
    }
}

impl<E: UpstreamError> Deref for Following<E> {
    type Target = Shared<E>;

    fn deref(&self) -> &Shared<E> {
        &self.0
    }
}

impl<E: UpstreamError> Drop for Following<E> {
    fn drop(&mut self) {
        self.0.followers.send_modify(|followers| *followers = followers.saturating_sub(1));
    }
}

impl<E: UpstreamError> Progress<E> {
    /// `written` bytes are there; the upstream has not answered for the others yet.
    pub(super) fn opening(written: u64) -> Self {
        Self { total: None, written, stage: TransferState::Opening }
    }

    /// All bytes are there and not yet verified.
    pub(super) fn complete(size: u64) -> Self {
        Self { total: Some(size), written: size, stage: TransferState::Flowing }
    }
}

impl<E: UpstreamError> Shared<E> {
    pub(super) fn new(
        file: Arc<File>,
        progress: Progress<E>,
        stamp: Option<Stamp>,
        reading: Reading,
    ) -> (Arc<Self>, Sender<E>) {
        let (sender, progress) = watch::channel(progress);
        let followers = watch::Sender::new(0);
        (Arc::new(Self { file, progress, followers, stamp, _reading: reading }), sender)
    }

    pub(super) fn verified(file: Arc<File>, stamp: Stamp, reading: Reading) -> Self {
        let size = stamp.size();
        let progress = Progress { total: Some(size), written: size, stage: TransferState::Verified };
        let (progress, followers) = (watch::channel(progress).1, watch::Sender::new(0));
        Self { file, progress, followers, stamp: Some(stamp), _reading: reading }
    }

    /// Until nobody follows.
    pub(super) async fn deserted(&self) {
        // The sender is here, so this cannot fail.
        let _ = self.followers.subscribe().wait_for(|followers| *followers == 0).await;
    }

    /// Until somebody follows.
    pub(super) async fn followed(&self) {
        let _ = self.followers.subscribe().wait_for(|followers| *followers > 0).await;
    }

    pub(super) fn is_followed(&self) -> bool {
        *self.followers.borrow() > 0
    }

    /// Whether the file is still the one that was hashed. It is checked after the last piece of a range was read and
    /// before it leaves, so that no client gets the whole of a blob that was altered meanwhile (A618).
    pub(super) fn still(&self) -> Result<(), BlobFault<E>> {
        match &self.stamp {
            Some(stamp) if !unchanged(&self.file, stamp) => Err(BlobFault::Corrupt),
            Some(_) | None => Ok(()),
        }
    }

    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Whether a newcomer can still get the blob from here.
    pub(super) fn is_joinable(&self) -> bool {
        match self.progress.borrow().stage {
            TransferState::Failed(_) => false,
            TransferState::Flowing | TransferState::Opening => self.progress.has_changed().is_ok(),
            TransferState::Verified => true,
        }
    }

    /// The blob's length, as soon as it is known. An empty blob has no chunk to hold back, so its end is waited for.
    pub(super) async fn total(&self) -> Result<u64, BlobFault<E>> {
        let progress = self
            .wait(|progress| match progress.stage {
                TransferState::Failed(_) | TransferState::Verified => true,
                TransferState::Flowing => progress.total.is_some_and(|total| total > 0),
                TransferState::Opening => false,
            })
            .await?;
        Ok(progress.total.unwrap_or(progress.written))
    }

    /// Waits until the bytes are verified or the transfer failed.
    pub(super) async fn checked(&self) -> Result<(), BlobFault<E>> {
        self.wait(|progress| matches!(progress.stage, TransferState::Failed(_) | TransferState::Verified))
            .await
            .map(drop)
    }

    /// Up to where bytes may be let go to a reader at `at` whose range ends at `end`: beyond `held_from` only when the
    /// whole blob is verified.
    pub(super) async fn released(&self, at: u64, held_from: u64, end: u64) -> Result<u64, BlobFault<E>> {
        let limit = |progress: &Progress<E>| match progress.stage {
            TransferState::Verified => end,
            TransferState::Failed(_) | TransferState::Flowing | TransferState::Opening => {
                progress.written.min(held_from)
            }
        };
        let progress = self
            .wait(|progress| matches!(progress.stage, TransferState::Failed(_)) || limit(progress) > at)
            .await?;
        Ok(limit(&progress))
    }

    async fn wait(&self, enough: impl FnMut(&Progress<E>) -> bool) -> Result<Progress<E>, BlobFault<E>> {
        let mut progress = self.progress.clone();
        let reached = progress.wait_for(enough).await.map_err(|_| BlobFault::Ended)?.clone();
        match reached.stage {
            TransferState::Failed(fault) => Err(fault),
            TransferState::Flowing | TransferState::Opening | TransferState::Verified => Ok(reached),
        }
    }

    /// Reads a part that is there. Bytes in the page cache are read on this thread, which costs less than a hand-over;
    /// only reads that would block go to another thread.
    pub(super) async fn read(&self, range: Range<u64>) -> Result<Bytes, BlobFault<E>> {
        let length = usize::try_from(range.end - range.start).map_err(io::Error::other)?;
        let mut lent = Lent::of(length);
        let filled = at_once(&self.file, lent.bytes_mut(), range.start);
        if filled == length {
            return Ok(Bytes::from_owner(lent));
        }
        let file = Arc::clone(&self.file);
        let read = tokio::task::spawn_blocking(move || {
            let rest = lent.bytes_mut().get_mut(filled..).unwrap_or_default();
            file.read_exact_at(rest, range.start + filled as u64)?;
            Ok::<_, io::Error>(Bytes::from_owner(lent))
        });
        Ok(read.await.map_err(|_| BlobFault::Ended)??)
    }
}

/// Fills as much as can be had without waiting (`RWF_NOWAIT`, preadv2(2)); nothing on a file system that does not know it.
fn at_once(file: &File, bytes: &mut [u8], from: u64) -> usize {
    let mut filled = 0;
    while let Some(rest) = bytes.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        let read = preadv2(file, &mut [IoSliceMut::new(rest)], from + filled as u64, ReadWriteFlags::NOWAIT);
        match read {
            Ok(0) | Err(_) => break,
            Ok(read) => filled += read,
        }
    }
    filled
}
