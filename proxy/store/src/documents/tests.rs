use super::*;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

fn path(root: &Path, digest: &Digest) -> PathBuf {
    root.join("unproven/sha256").join(digest.hex().get(..2).unwrap()).join(digest.hex())
}

fn document(bytes: &'static [u8]) -> Intact<Bytes> {
    Untrusted::new(Bytes::from_static(bytes)).hash()
}

/// A document of one block, another one for each number.
fn numbered(n: u32) -> Intact<Bytes> {
    Untrusted::new(Bytes::from(n.to_string())).hash()
}

fn aged(file: &Path, days: u64) {
    let file = std::fs::File::open(file).unwrap();
    let used = std::time::SystemTime::now() - std::time::Duration::from_secs(days * 86_400);
    file.set_times(std::fs::FileTimes::new().set_accessed(used).set_modified(used)).unwrap();
}

async fn there(documents: &Documents, numbers: std::ops::Range<u32>) -> Vec<u32> {
    let mut found = Vec::new();
    for n in numbers {
        if documents.find(numbered(n).digest()).await.unwrap().is_some() {
            found.push(n);
        }
    }
    found
}

#[tokio::test]
async fn a607_bytes_are_counted_as_they_come_and_those_used_longest_ago_go_at_once() {
    let root = tempfile::tempdir().unwrap();
    let documents =
        Documents::within(&StateFolder::open(root.path()).unwrap(), u64::MAX, 8 * FILE_BYTES, Vec::new());
    for n in 0..8 {
        documents.keep(&numbered(n)).await;
        aged(&path(root.path(), &numbered(n).digest()), u64::from(100 - n));
    }
    assert_eq!(documents.fill().1.used, 8 * FILE_BYTES, "what fits stays");
    documents.keep(&numbered(8)).await;
    let found = there(&documents, 0..9).await;
    assert!(found.len() <= 8 && found.contains(&8) && !found.contains(&0), "{found:?}");
    assert_eq!(documents.fill().1.used, found.len() as u64 * FILE_BYTES);
    // The same by what another run has left.
    let documents = Documents::within(&StateFolder::open(&root.path().join("x")).unwrap(), 0, 0, Vec::new());
    assert_eq!(documents.fill().1.used, 0);
}

#[tokio::test]
async fn a607_what_nothing_rests_on_takes_no_room_from_what_is_permitted() {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(root.path()).unwrap();
    let documents = Documents::within(&folder, 4 * FILE_BYTES, 8 * FILE_BYTES, Vec::new());
    documents.keep(&numbered(0)).await;
    documents.0.rest_on(&[numbered(0).digest()]);
    for n in 1..50 {
        documents.keep(&numbered(n)).await;
    }
    assert!(documents.find(numbered(0).digest()).await.unwrap().is_some());
    let (permitted, unproven) = documents.fill();
    assert_eq!(permitted.used, FILE_BYTES);
    assert!(unproven.used <= unproven.most, "{unproven:?}");
    // Of what is permitted there is not more than may be either, after a restart too.
    let many: Vec<_> = (100..110).map(|n| numbered(n).digest()).collect();
    for n in 100..110 {
        documents.keep(&numbered(n)).await;
        documents.0.rest_on(&many);
    }
    let permitted = documents.fill().0;
    assert!(permitted.used <= permitted.most, "{permitted:?}");
    let documents = Documents::within(&folder, 2 * FILE_BYTES, FILE_BYTES, Vec::new());
    documents.prune().await;
    assert_eq!(documents.fill().0.used, 2 * FILE_BYTES);
    assert_eq!(documents.fill().1.used, FILE_BYTES);
    assert_eq!(documents.lost(), 0);
}

#[tokio::test]
async fn a_document_is_found_after_a_restart() {
    let root = tempfile::tempdir().unwrap();
    let kept = document(b"manifest");
    let folder = StateFolder::open(root.path()).unwrap();
    Documents::new(&folder).keep(&kept).await;
    drop(folder);
    let documents = Documents::new(&StateFolder::open(root.path()).unwrap());
    let found = documents.find(kept.digest()).await.unwrap().unwrap();
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
    assert!(documents.find(kept.digest()).await.unwrap().is_none());
    assert!(!file.exists());
    documents.keep(&kept).await;
    assert!(documents.find(kept.digest()).await.unwrap().is_some());
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
        assert!(documents.find(kept.digest()).await.unwrap().is_none(), "{content:?}");
    }
    documents.keep(&kept).await;
    assert!(documents.find(kept.digest()).await.unwrap().is_some());
    std::fs::remove_file(&file).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &file, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert!(documents.find(kept.digest()).await.unwrap().is_none(), "and nobody waits for its other end");
    documents.keep(&kept).await;
    assert!(documents.find(kept.digest()).await.unwrap().is_some());
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
    assert!(documents.find(kept.digest()).await.unwrap().is_none());
    std::fs::remove_file(&file).unwrap();
    std::fs::hard_link(&elsewhere, &file).unwrap();
    assert!(documents.find(kept.digest()).await.unwrap().is_none());
    assert_eq!(std::fs::read(&elsewhere).unwrap(), b"manifest");
}

#[tokio::test]
async fn a501_what_cannot_be_kept_is_counted() {
    let root = tempfile::tempdir().unwrap();
    let folder = StateFolder::open(root.path()).unwrap();
    std::fs::write(root.path().join("unproven"), b"in the way").unwrap();
    let documents = Documents::new(&folder);
    let lost = document(b"manifest");
    documents.keep(&lost).await;
    assert_eq!(documents.lost(), 1);
    assert!(documents.find(lost.digest()).await.unwrap().is_none());
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
        assert_eq!(documents.find(bytes.digest()).await.unwrap().is_some(), lost == 0);
    }
}

#[test]
fn a603_what_the_system_cannot_read_is_unknown() {
    for errno in [Errno::IO, Errno::ACCESS, Errno::MFILE, Errno::NFILE, Errno::STALE] {
        assert!(!is_in_the_way(&errno.into()), "{errno:?}");
    }
    for errno in [Errno::LOOP, Errno::NOTDIR] {
        assert!(is_in_the_way(&errno.into()), "{errno:?}");
    }
}
