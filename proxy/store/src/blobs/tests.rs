//! An upstream, a folder and readers to try blobs with.

use super::*;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::limits::STREAM_CHUNK_BYTES;
use futures_util::{StreamExt, future, stream};
use http_body::Body;
use http_body_util::BodyExt;
use tokio::sync::mpsc;

mod kept;
mod transfer;
mod unread;

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("reset")]
struct Reset;

type Fault = BlobFault<Reset>;
type Pieces = stream::Iter<std::vec::IntoIter<Result<Bytes, Reset>>>;

const MAX: u64 = 64 << 20;

struct Fixture {
    root: tempfile::TempDir,
    folder: StateFolder,
    blobs: Blobs<Reset>,
}

/// As much as nobody has a file for.
const NO_DISK: u64 = 1;

/// In which nothing outlives its readers. Where there is no disk, something lies in the way of each file.
async fn fixture(max: u64) -> Fixture {
    let bounds =
        Bounds { transfer_for: Duration::ZERO, partial_bytes: 0, memory_bytes: 0, ..Bounds::of(max) };
    fixture_with(max, (TRANSFER_SILENCE, bounds)).await
}

async fn fixture_with(max: u64, bounds: (Duration, Bounds)) -> Fixture {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(root.path()).unwrap();
    let blobs = Blobs::within(&folder, max, bounds).await;
    if max == NO_DISK {
        std::fs::remove_dir(folder.tmp()).unwrap();
        std::fs::write(folder.tmp(), b"in the way").unwrap();
    }
    Fixture { root, folder, blobs }
}

impl Fixture {
    /// What a new process sees.
    async fn restart(self) -> Self {
        let Self { root, folder, blobs } = self;
        drop((folder, blobs));
        let folder = StateFolder::open(root.path()).unwrap();
        let blobs = Blobs::new(&folder, MAX).await;
        Self { root, folder, blobs }
    }

    fn path(&self, digest: &Digest) -> PathBuf {
        self.root.path().join("blobs/sha256").join(digest.hex().get(..2).unwrap()).join(digest.hex())
    }

    fn partial_files(&self) -> usize {
        std::fs::read_dir(self.folder.tmp()).map_or(0, Iterator::count)
    }

    async fn kept(&self, bytes: &[u8]) -> Digest {
        let digest = Digest::of(bytes);
        let reader = self.blobs.fetched(key(digest), None, whole(bytes)).await.unwrap();
        assert!(read(reader).await.unwrap() == bytes);
        self.landed().await;
        assert!(self.path(&digest).exists());
        digest
    }

    /// Waits until nothing can be joined any more.
    async fn landed(&self) {
        eventually(|| self.blobs.0.flights.0.lock().is_empty()).await;
    }
}

fn key(digest: Digest) -> FlightKey {
    FlightKey { repository: "registry.example/app".parse().unwrap(), digest }
}

fn bytes(length: usize) -> Vec<u8> {
    (0..length).map(|n| u8::try_from((n * 7 + n / 251) % 256).unwrap()).collect()
}

fn pieces(bytes: &[u8]) -> Pieces {
    let pieces: Vec<_> = bytes.chunks(10_000).map(|piece| Ok(Bytes::copy_from_slice(piece))).collect();
    stream::iter(pieces)
}

/// An upstream that announces the right length and sends these bytes.
fn whole(
    bytes: &[u8],
) -> impl FnOnce(u64) -> future::Ready<Result<(Option<u64>, Pieces), Reset>> + Send + use<> {
    sends(Some(bytes.len() as u64), bytes)
}

fn sends(
    announced: Option<u64>,
    bytes: &[u8],
) -> impl FnOnce(u64) -> future::Ready<Result<(Option<u64>, Pieces), Reset>> + Send + use<> {
    let pieces = pieces(bytes);
    move |_| future::ready(Ok((announced, pieces)))
}

async fn read(reader: Reader<Reset>) -> Result<Bytes, Fault> {
    let announced = reader.selected().end - reader.selected().start;
    let body = reader.into_body();
    assert_eq!(body.size_hint().exact(), Some(announced));
    let read = body.collect().await?.to_bytes();
    assert_eq!(read.len() as u64, announced);
    Ok(read)
}

/// What came before the error that must come.
async fn read_until_cut(reader: Result<Reader<Reset>, Fault>) -> (u64, Fault) {
    let mut body = match reader {
        Ok(reader) => reader.into_body(),
        // So soon that not even an answer was begun.
        Err(fault) => return (0, fault),
    };
    let mut read = 0;
    loop {
        match body.frame().await.expect("the body ended as if it were whole") {
            Ok(frame) => read += frame.data_ref().unwrap().len() as u64,
            Err(fault) => return (read, fault),
        }
    }
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    for _ in 0..500 {
        if is_so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("it never came to be so");
}

/// An upstream that sends what the test gives it, and counts how often it is asked.
struct Hose {
    asked: Arc<AtomicUsize>,
    pieces: Option<mpsc::Receiver<Result<Bytes, Reset>>>,
}

impl Hose {
    fn new() -> (Self, mpsc::Sender<Result<Bytes, Reset>>) {
        let (sender, pieces) = mpsc::channel(16);
        (Self { asked: Arc::default(), pieces: Some(pieces) }, sender)
    }

    fn source<S>(
        &mut self,
        length: usize,
    ) -> impl FnOnce(u64) -> future::Ready<Result<(Option<u64>, S), Reset>> + Send + use<S>
    where
        S: From<Option<mpsc::Receiver<Result<Bytes, Reset>>>> + Send,
    {
        let (asked, pieces) = (Arc::clone(&self.asked), self.pieces.take());
        move |_| {
            asked.fetch_add(1, Ordering::SeqCst);
            future::ready(Ok((Some(length as u64), S::from(pieces))))
        }
    }
}

struct Hosed(Option<mpsc::Receiver<Result<Bytes, Reset>>>);

impl From<Option<mpsc::Receiver<Result<Bytes, Reset>>>> for Hosed {
    fn from(pieces: Option<mpsc::Receiver<Result<Bytes, Reset>>>) -> Self {
        Self(pieces)
    }
}

impl Stream for Hosed {
    type Item = Result<Bytes, Reset>;

    fn poll_next(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Self::Item>> {
        match &mut self.0 {
            Some(pieces) => pieces.poll_recv(context),
            None => std::task::Poll::Ready(None),
        }
    }
}
