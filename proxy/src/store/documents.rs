//! Manifests and evidence by digest. What is read back is as untrusted as what comes from a socket (A506).

use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::limits::EVIDENCE_ITEM_BYTES;
use pullgate_policy::oci::Digest;

use super::files::Shelf;
use super::folder::StateFolder;

/// Documents of at most `EVIDENCE_ITEM_BYTES` in files.
#[derive(Debug, Clone)]
pub struct Documents(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    shelf: Shelf,
    lost: AtomicU64,
}

impl Documents {
    /// The documents of a state folder.
    #[must_use]
    pub fn new(folder: &StateFolder) -> Self {
        Self(Arc::new(Inner { shelf: Shelf::new(folder, "documents"), lost: AtomicU64::new(0) }))
    }

    /// A document whose bytes still hash to `digest`, a SHA-256 one. A file that does not is removed.
    pub async fn find(&self, digest: Digest) -> Option<Intact<Bytes>> {
        let inner = Arc::clone(&self.0);
        tokio::task::spawn_blocking(move || inner.find(&digest)).await.ok().flatten()
    }

    /// Keeps a document. When that fails it is lost and counted: who has it now can still be served.
    pub async fn keep(&self, document: &Intact<Bytes>) {
        let inner = Arc::clone(&self.0);
        let (digest, bytes) = (document.digest(), document.value().clone());
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

    /// Removes what was used longest ago until at most `most` bytes are left.
    pub async fn prune(&self, most: u64) {
        let inner = Arc::clone(&self.0);
        let removed = tokio::task::spawn_blocking(move || inner.prune(most)).await.unwrap_or_default();
        if removed > 0 {
            tracing::info!(removed, "documents made room for others");
        }
    }

    /// How many documents could not be kept.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.0.lost.load(Ordering::Relaxed)
    }
}

impl Inner {
    fn find(&self, digest: &Digest) -> Option<Intact<Bytes>> {
        let (file, stamp) = self.shelf.open(digest).ok().flatten()?;
        let mut bytes = Vec::new();
        if stamp.size() <= EVIDENCE_ITEM_BYTES {
            file.take(EVIDENCE_ITEM_BYTES).read_to_end(&mut bytes).ok()?;
        }
        match Untrusted::new(Bytes::from(bytes)).check(digest) {
            Ok(intact) => Some(intact),
            Err(mismatch) => {
                tracing::warn!(%digest, error = %mismatch, "a stored document was altered and is removed");
                let _ = self.shelf.remove(digest);
                None
            }
        }
    }

    /// A file that is read meanwhile is read to its end: only its name goes.
    fn prune(&self, most: u64) -> usize {
        let mut found = self.shelf.scan();
        let mut left: u64 = found.iter().map(|one| one.size).sum();
        found.sort_by_key(|one| one.used);
        let over = found.into_iter().take_while(|one| {
            let goes = left > most;
            left = left.saturating_sub(one.size);
            goes
        });
        over.filter(|one| self.shelf.remove(&one.digest).is_ok()).count()
    }

    fn keep(&self, digest: &Digest, bytes: &Bytes) -> io::Result<()> {
        if bytes.len() as u64 > EVIDENCE_ITEM_BYTES {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        // Whatever else is in the way (a link, a shortened file) is replaced.
        if let Ok(Some((_, stamp))) = self.shelf.open(digest)
            && stamp.size() == bytes.len() as u64
        {
            return Ok(());
        }
        let mut temp = self.shelf.temp()?;
        temp.write_all(bytes)?;
        temp.as_file().sync_data()?;
        self.shelf.place(&temp.into_temp_path(), digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;
    use std::path::{Path, PathBuf};

    fn path(root: &Path, digest: &Digest) -> PathBuf {
        root.join("documents/sha256").join(digest.hex().get(..2).unwrap()).join(digest.hex())
    }

    fn document(bytes: &'static [u8]) -> Intact<Bytes> {
        Untrusted::new(Bytes::from_static(bytes)).hash()
    }

    #[tokio::test]
    async fn of_too_many_bytes_those_used_longest_ago_go() {
        let root = tempfile::tempdir().unwrap();
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        let kept: Vec<_> = [&b"first"[..], b"other", b"third"].map(document).into();
        for (age, one) in [30, 10, 20].into_iter().zip(&kept) {
            documents.keep(one).await;
            let file = std::fs::File::open(path(root.path(), &one.digest())).unwrap();
            let used = std::time::SystemTime::now() - std::time::Duration::from_secs(age * 86_400);
            file.set_times(std::fs::FileTimes::new().set_accessed(used).set_modified(used)).unwrap();
        }
        let mut left = Vec::new();
        for most in [15, 14, 5, 4] {
            documents.prune(most).await;
            let there = kept.iter().filter(|one| path(root.path(), &one.digest()).exists());
            left.push(there.map(|one| one.value().to_vec()).collect::<Vec<_>>());
        }
        let (first, other, third) = (b"first".to_vec(), b"other".to_vec(), b"third".to_vec());
        assert_eq!(
            left,
            [vec![first, other.clone(), third.clone()], vec![other.clone(), third], vec![other], vec![]]
        );
    }

    #[tokio::test]
    async fn a_document_is_found_after_a_restart() {
        let root = tempfile::tempdir().unwrap();
        let kept = document(b"manifest");
        let folder = StateFolder::open(root.path()).unwrap();
        Documents::new(&folder).keep(&kept).await;
        drop(folder);
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        let found = documents.find(kept.digest()).await.unwrap();
        assert_eq!(found.value(), kept.value());
        assert_eq!(found.digest(), kept.digest());
        let mode = std::fs::metadata(path(root.path(), &kept.digest())).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert_eq!(documents.lost(), 0);
    }

    #[tokio::test]
    async fn a506_altered_bytes_are_absent_and_removed() {
        let root = tempfile::tempdir().unwrap();
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        let kept = document(b"manifest");
        documents.keep(&kept).await;
        let file = path(root.path(), &kept.digest());
        std::fs::write(&file, b"manifesT").unwrap();
        assert!(documents.find(kept.digest()).await.is_none());
        assert!(!file.exists());
        documents.keep(&kept).await;
        assert!(documents.find(kept.digest()).await.is_some());
    }

    #[tokio::test]
    async fn a506_shortened_grown_and_swapped_documents_are_absent_and_kept_anew() {
        let root = tempfile::tempdir().unwrap();
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        let kept = document(b"manifest");
        let file = path(root.path(), &kept.digest());
        for content in [&b""[..], b"manif", b"manifest and more", b"MANIFEST"] {
            documents.keep(&kept).await;
            let modified = std::fs::metadata(&file).unwrap().modified().unwrap();
            std::fs::write(&file, content).unwrap();
            std::fs::File::options().write(true).open(&file).unwrap().set_modified(modified).unwrap();
            assert!(documents.find(kept.digest()).await.is_none(), "{content:?}");
        }
        documents.keep(&kept).await;
        assert!(documents.find(kept.digest()).await.is_some());
        std::fs::remove_file(&file).unwrap();
        rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
            .unwrap();
        assert!(documents.find(kept.digest()).await.is_none(), "and nobody waits for its other end");
        documents.keep(&kept).await;
        assert!(documents.find(kept.digest()).await.is_some());
    }

    #[tokio::test]
    async fn a505_links_are_not_followed() {
        let root = tempfile::tempdir().unwrap();
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        let kept = document(b"manifest");
        documents.keep(&kept).await;
        let file = path(root.path(), &kept.digest());
        let elsewhere = root.path().join("elsewhere");
        std::fs::rename(&file, &elsewhere).unwrap();
        std::os::unix::fs::symlink(&elsewhere, &file).unwrap();
        assert!(documents.find(kept.digest()).await.is_none());
        std::fs::remove_file(&file).unwrap();
        std::fs::hard_link(&elsewhere, &file).unwrap();
        assert!(documents.find(kept.digest()).await.is_none());
        assert_eq!(std::fs::read(&elsewhere).unwrap(), b"manifest");
    }

    #[tokio::test]
    async fn a501_what_cannot_be_kept_is_counted() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path()).unwrap();
        std::fs::write(root.path().join("documents"), b"in the way").unwrap();
        let documents = Documents::new(&folder);
        let lost = document(b"manifest");
        documents.keep(&lost).await;
        assert_eq!(documents.lost(), 1);
        assert!(documents.find(lost.digest()).await.is_none());
    }

    #[tokio::test]
    async fn a_document_over_the_limit_is_not_kept() {
        let root = tempfile::tempdir().unwrap();
        let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
        for (over, lost) in [(0, 0), (1, 1)] {
            let size = usize::try_from(EVIDENCE_ITEM_BYTES).unwrap() + over;
            let bytes = Untrusted::new(Bytes::from(vec![0; size])).hash();
            documents.keep(&bytes).await;
            assert_eq!(documents.lost(), lost);
            assert_eq!(documents.find(bytes.digest()).await.is_some(), lost == 0);
        }
    }
}
