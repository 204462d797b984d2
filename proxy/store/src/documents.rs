//! Manifests and evidence by digest. Bytes from the disk are as untrusted as bytes from a socket (A506).

use std::io::{self, Read, Write};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, MutexGuard};

use crate::limits::{PERMITTED_FILES_BYTES, UNPROVEN_FILES_BYTES};
use bytes::Bytes;
use pullgate_policy::content::{DigestMismatch, Intact, Untrusted};
use pullgate_policy::limits::EVIDENCE_ITEM_BYTES;
use pullgate_policy::oci::Digest;
use tokio::sync::Semaphore;

use rustix::io::Errno;

use crate::files::Shelf;
use crate::folder::StateFolder;
use crate::limits::{DISK_RESERVE, DISK_RESERVE_SHARE, FILE_BYTES};
use crate::unknown::{Known, Unknown};

/// Documents of at most `EVIDENCE_ITEM_BYTES` in files. Each is unproven until a permit rests on it, and unproven
/// documents have a small share of their own: denied images, which any client can ask for, take no room from permitted
/// ones (A607).
#[derive(Debug, Clone)]
pub struct Documents(Arc<Inner>);

/// The folder of documents that something permitted rests on.
const PERMITTED: &str = "documents";
/// The folder of the others.
const UNPROVEN: &str = "unproven";
/// How many documents are read and written at once.
const AT_ONCE: usize = 16;

#[derive(Debug)]
struct Inner {
    permitted: Part,
    unproven: Part,
    /// Those of a folder that another process holds: they are read, and nothing of them is touched.
    beside: Vec<Shelf>,
    /// Threads that read and write: the disk does no more for more of them, and each takes memory.
    threads: Semaphore,
    lost: AtomicU64,
}

/// One kind of documents, with its limit.
#[derive(Debug)]
struct Part {
    shelf: Shelf,
    most: u64,
    /// Bytes that are there, each file at least a block. Counted as they come and go, and anew by each look at all of them.
    used: Mutex<u64>,
}

/// How many bytes there are, and may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Fill {
    /// Bytes that are there.
    pub used: u64,
    /// Bytes that may be.
    pub most: u64,
}

impl Documents {
    /// The documents of a state folder.
    #[must_use]
    pub fn new(folder: &StateFolder) -> Self {
        Self::within(folder, PERMITTED_FILES_BYTES, UNPROVEN_FILES_BYTES, Vec::new())
    }

    /// The same, and those of another state folder, which stays as it is.
    #[must_use]
    pub fn beside(folder: &StateFolder, state: &Path) -> Self {
        let others = [PERMITTED, UNPROVEN].map(|name| Shelf::of(state, name));
        Self::within(folder, PERMITTED_FILES_BYTES, UNPROVEN_FILES_BYTES, others.into())
    }

    fn within(folder: &StateFolder, permitted: u64, unproven: u64, beside: Vec<Shelf>) -> Self {
        let part = |name, most| Part { shelf: Shelf::new(folder, name), most, used: Mutex::new(0) };
        Self(Arc::new(Inner {
            permitted: part(PERMITTED, permitted),
            unproven: part(UNPROVEN, unproven),
            beside,
            threads: Semaphore::new(AT_ONCE),
            lost: AtomicU64::new(0),
        }))
    }

    /// A document whose bytes still hash to `digest`, a SHA-256 one. A file that does not is removed.
    ///
    /// # Errors
    /// [`Unknown`]: there may be one, and it cannot be read.
    pub async fn find(&self, digest: Digest) -> Known<Option<Intact<Bytes>>> {
        let inner = Arc::clone(&self.0);
        let _thread = self.0.threads.acquire().await;
        tokio::task::spawn_blocking(move || inner.find(&digest)).await.unwrap_or(Err(Unknown::read()))
    }

    /// Keeps a document as one that nothing rests on yet. A failure loses it and is counted: the current request can
    /// still be served. It is not waited for until it is on the disk: it can be had again, and is hashed whenever it is
    /// read.
    pub async fn keep(&self, document: &Intact<Bytes>) {
        let inner = Arc::clone(&self.0);
        let (digest, bytes) = (document.digest(), document.value().clone());
        let _thread = self.0.threads.acquire().await;
        let kept = tokio::task::spawn_blocking(move || inner.keep(&digest, &bytes)).await;
        match kept {
            Ok(Ok(())) => {}
            Ok(Err(error)) => {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
                tracing::debug!(%digest, %error, "a document is not kept");
            }
            Err(_) => {
                self.0.lost.fetch_add(1, Ordering::Relaxed);
            }
        }
    }

    /// Something that is permitted rests on these: they count among the permitted ones from now on. Nobody waits for it.
    pub fn rest_on(&self, digests: Vec<Digest>) {
        let inner = Arc::clone(&self.0);
        // Without it they stay where they are, and are found there.
        drop(tokio::task::spawn_blocking(move || inner.rest_on(&digests)));
    }

    /// Counts the documents, and removes the least recently used ones over the limit.
    pub async fn prune(&self) {
        let inner = Arc::clone(&self.0);
        let _ = tokio::task::spawn_blocking(move || {
            inner.permitted.prune(inner.permitted.most);
            inner.unproven.prune(inner.unproven.most);
        })
        .await;
    }

    /// How many documents could not be kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }

    /// How full it is: permitted documents, and unproven ones.
    #[must_use]
    pub fn fill(&self) -> (Fill, Fill) {
        (self.0.permitted.fill(), self.0.unproven.fill())
    }
}

impl Inner {
    fn find(&self, digest: &Digest) -> Known<Option<Intact<Bytes>>> {
        let own = match self.permitted.find(digest) {
            Ok(Some(found)) => Ok(Some(found)),
            permitted => match (self.unproven.find(digest), permitted) {
                (Ok(None), Err(unknown)) => Err(unknown),
                (unproven, _) => unproven,
            },
        };
        let others = self.beside.iter().map(|shelf| match read(shelf, digest)? {
            Some(Ok(intact)) => Ok(Some(intact)),
            Some(Err(_)) | None => Ok(None),
        });
        others.fold(own, |found, other| match (found, other) {
            (Ok(Some(found)), _) => Ok(Some(found)),
            (Ok(None), other) => other,
            (Err(unknown), Ok(None)) => Err(unknown),
            (Err(_), other) => other,
        })
    }

    fn keep(&self, digest: &Digest, bytes: &Bytes) -> io::Result<()> {
        let size = bytes.len() as u64;
        if size > EVIDENCE_ITEM_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        if self.permitted.has(digest, size) || self.unproven.has(digest, size) {
            return Ok(());
        }
        self.make_room(block(size))?;
        let mut temp = self.unproven.shelf.temp()?;
        temp.write_all(bytes)?;
        // Whatever else is in the way (a link, a shortened file) is replaced.
        self.unproven.shelf.place(&temp.into_temp_path(), digest)?;
        *self.unproven.used() += block(size);
        Ok(())
    }

    /// Makes room for `size` bytes, within the limit and on the disk, which the databases and the log need too.
    fn make_room(&self, size: u64) -> io::Result<()> {
        let Part { shelf, most, .. } = &self.unproven;
        if self.unproven.fill().used.saturating_add(size) > *most {
            self.unproven.prune(less(*most).saturating_sub(size));
        }
        let missing = || shelf.lacks(size, DISK_RESERVE, DISK_RESERVE_SHARE);
        let over = missing()?;
        if over > 0 {
            let used = self.unproven.prune(u64::MAX);
            self.unproven.prune(less(used).min(used.saturating_sub(over)));
        }
        match missing() {
            Ok(0) => Ok(()),
            Ok(_) => Err(io::ErrorKind::StorageFull.into()),
            Err(error) => Err(error),
        }
    }

    fn rest_on(&self, digests: &[Digest]) {
        for digest in digests {
            let Ok(Some((_, stamp))) = self.unproven.shelf.open(digest) else { continue };
            if self.unproven.shelf.hand_over(digest, &self.permitted.shelf).is_ok() {
                let size = block(stamp.size());
                let mut unproven = self.unproven.used();
                *unproven = unproven.saturating_sub(size);
                drop(unproven);
                *self.permitted.used() += size;
            }
        }
        if self.permitted.fill().used > self.permitted.most {
            self.permitted.prune(less(self.permitted.most));
        }
    }
}

impl Part {
    fn find(&self, digest: &Digest) -> Known<Option<Intact<Bytes>>> {
        match read(&self.shelf, digest)? {
            None => Ok(None),
            Some(Ok(intact)) => Ok(Some(intact)),
            Some(Err(mismatch)) => {
                tracing::warn!(%digest, error = %mismatch, "a stored document was altered or is not whole, and is removed");
                let _ = self.shelf.remove(digest);
                Ok(None)
            }
        }
    }

    fn has(&self, digest: &Digest, size: u64) -> bool {
        matches!(self.shelf.open(digest), Ok(Some((_, stamp))) if stamp.size() == size)
    }

    /// Removes the least recently used documents until at most `most` bytes are left, and returns how many are. A file
    /// that is read meanwhile is read to its end: only its name goes.
    fn prune(&self, most: u64) -> u64 {
        // Under the lock: the next caller counts what this one leaves.
        let mut used = self.used();
        let mut found = self.shelf.scan();
        let mut left: u64 = found.iter().map(|one| block(one.size)).sum();
        found.sort_by_key(|one| one.used);
        let mut removed = 0_usize;
        for one in found {
            if left <= most {
                break;
            }
            if self.shelf.remove(&one.digest).is_ok() {
                left = left.saturating_sub(block(one.size));
                removed += 1;
            }
        }
        if removed > 0 {
            tracing::info!(removed, left, "documents made room for others");
        }
        *used = left;
        left
    }

    fn fill(&self) -> Fill {
        Fill { used: *self.used(), most: self.most }
    }

    fn used(&self) -> MutexGuard<'_, u64> {
        self.used.lock()
    }
}

/// The file of a digest, and whether its bytes still hash to it.
fn read(shelf: &Shelf, digest: &Digest) -> Known<Option<Result<Intact<Bytes>, DigestMismatch>>> {
    let (file, stamp) = match shelf.open(digest) {
        Ok(Some(found)) => found,
        Ok(None) => return Ok(None),
        Err(error) if is_in_the_way(&error) => return Ok(None),
        Err(error) => return Err(unknown(digest, &error)),
    };
    let mut bytes = Vec::new();
    if stamp.size() <= EVIDENCE_ITEM_BYTES {
        // As many as there are: a buffer that grows is copied, and is twice there meanwhile.
        bytes.reserve_exact(usize::try_from(stamp.size()).unwrap_or(0));
        let read = file.take(EVIDENCE_ITEM_BYTES).read_to_end(&mut bytes);
        read.map_err(|error| unknown(digest, &error))?;
    }
    Ok(Some(Untrusted::new(Bytes::from(bytes)).check(digest)))
}

/// The approximate size of a file on the disk.
fn block(size: u64) -> u64 {
    size.next_multiple_of(FILE_BYTES).max(FILE_BYTES)
}

/// The target when room is made: some spare room, so that the next files need not make their own.
fn less(most: u64) -> u64 {
    most - most / 8
}

/// Whether something else lies there: a link, or a file for a folder. That is no document.
fn is_in_the_way(error: &io::Error) -> bool {
    [Errno::LOOP, Errno::NOTDIR].iter().any(|way| error.raw_os_error() == Some(way.raw_os_error()))
}

fn unknown(digest: &Digest, error: &io::Error) -> Unknown {
    tracing::debug!(%digest, %error, "a document cannot be read");
    Unknown::read()
}

#[cfg(test)]
mod tests;
