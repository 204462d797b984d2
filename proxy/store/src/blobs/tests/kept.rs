//! What is kept, and what a hand on the disk can do to it.

use super::*;

use std::os::unix::fs::FileExt;

#[tokio::test]
async fn a505_a_kept_blob_is_hashed_again_after_a_restart() {
    let fixture = fixture(MAX).await;
    let blob = bytes(400_000);
    let digest = fixture.kept(&blob).await;
    let fixture = fixture.restart().await;
    assert_eq!(fixture.blobs.used(), 400_000);
    assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob);
}

#[tokio::test]
async fn a505_a_rotten_byte_is_found_cut_and_removed() {
    let fixture = fixture(MAX).await;
    let blob = bytes(400_000);
    let digest = fixture.kept(&blob).await;
    // Once in the same process, where the stamp tells, and once after a restart.
    let mut fixture = fixture;
    for range in [0..=399_999, 0..=9] {
        let mut rotten = blob.clone();
        rotten[390_000] ^= 1;
        std::fs::write(fixture.path(&digest), &rotten).unwrap();
        let reader = fixture.blobs.opened(digest).await.ok_or(BlobFault::Corrupt);
        let (_, fault) = read_until_cut(reader.map(|reader| reader.range(range).unwrap())).await;
        assert!(matches!(fault, BlobFault::Corrupt));
        assert!(!fixture.path(&digest).exists());
        assert_eq!(fixture.blobs.used(), 0);
        assert!(fixture.blobs.opened(digest).await.is_none());
        fixture.kept(&blob).await;
        fixture = fixture.restart().await;
    }
}

#[tokio::test]
async fn a505_shortened_replaced_and_linked_files_are_not_served() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let digest = fixture.kept(&blob).await;
    let path = fixture.path(&digest);
    let elsewhere = fixture.root.path().join("elsewhere");
    std::fs::write(&path, &blob[..50_000]).unwrap();
    let reader = fixture.blobs.opened(digest).await.ok_or(BlobFault::Corrupt);
    assert!(matches!(read_until_cut(reader).await.1, BlobFault::Corrupt));
    assert!(!path.exists());
    std::fs::write(&elsewhere, &blob).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &path).unwrap();
    assert!(fixture.blobs.opened(digest).await.is_none());
    std::fs::remove_file(&path).unwrap();
    std::fs::hard_link(&elsewhere, &path).unwrap();
    assert!(fixture.blobs.opened(digest).await.is_none());
    std::fs::remove_file(&path).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, rustix::fs::Mode::RWXU, 0)
        .unwrap();
    assert!(fixture.blobs.opened(digest).await.is_none());
    // A transfer puts the right file in its place.
    let reader = fixture.blobs.fetched(key(digest), None, whole(&blob)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
    eventually(|| std::fs::symlink_metadata(&path).is_ok_and(|meta| meta.is_file())).await;
}

#[tokio::test]
async fn a505_content_that_was_swapped_under_the_same_size_and_times_is_found() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let digest = fixture.kept(&blob).await;
    let path = fixture.path(&digest);
    // Known to be whole: nothing but the stamp asks for the hash.
    assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob);
    let modified = std::fs::metadata(&path).unwrap().modified().unwrap();
    let mut swapped = blob.clone();
    swapped[1] ^= 1;
    std::fs::write(&path, &swapped).unwrap();
    File::options().write(true).open(&path).unwrap().set_modified(modified).unwrap();
    assert_eq!(std::fs::metadata(&path).unwrap().modified().unwrap(), modified);
    let reader = fixture.blobs.opened(digest).await.ok_or(BlobFault::Corrupt);
    assert!(matches!(read_until_cut(reader).await.1, BlobFault::Corrupt));
    assert!(!path.exists());
}

#[tokio::test]
async fn a505_a_file_that_has_grown_or_was_put_in_the_others_place_is_not_served() {
    let fixture = fixture(MAX).await;
    let (blob, other) = (bytes(100_000), bytes(90_000));
    let (digest, others) = (fixture.kept(&blob).await, fixture.kept(&other).await);
    let path = fixture.path(&digest);
    std::fs::write(&path, [&blob[..], b"more"].concat()).unwrap();
    let reader = fixture.blobs.opened(digest).await.ok_or(BlobFault::Corrupt);
    assert!(matches!(read_until_cut(reader).await.1, BlobFault::Corrupt));
    assert!(!path.exists());
    // A whole blob of the gate's own, under the name of another.
    std::fs::rename(fixture.path(&others), &path).unwrap();
    let reader = fixture.blobs.opened(digest).await.ok_or(BlobFault::Corrupt);
    assert!(matches!(read_until_cut(reader).await.1, BlobFault::Corrupt));
    assert!(!path.exists());
    assert!(fixture.blobs.opened(others).await.is_none());
}

#[tokio::test]
async fn a505_a507_a_folder_that_is_a_link_is_not_entered() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let digest = fixture.kept(&blob).await;
    let folder = fixture.path(&digest).parent().unwrap().to_owned();
    let elsewhere = fixture.root.path().join("elsewhere");
    std::fs::rename(&folder, &elsewhere).unwrap();
    std::os::unix::fs::symlink(&elsewhere, &folder).unwrap();
    assert!(fixture.blobs.opened(digest).await.is_none());
    // Nor is anything written through it: the blob passes and is not kept.
    let before = std::fs::read_dir(&elsewhere).unwrap().count();
    let reader = fixture.blobs.fetched(key(digest), None, whole(&blob)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
    fixture.landed().await;
    assert_eq!(std::fs::read_dir(&elsewhere).unwrap().count(), before);
    assert_eq!(fixture.partial_files(), 0);
}

#[tokio::test]
async fn a508_what_does_not_fit_is_streamed_and_not_kept() {
    let fixture = fixture(250_000).await;
    let first = bytes(200_000);
    fixture.kept(&first).await;
    let over = bytes(250_001);
    let digest = Digest::of(&over);
    let reader = fixture.blobs.fetched(key(digest), Some(250_001), whole(&over)).await.unwrap();
    assert!(read(reader).await.unwrap() == over);
    eventually(|| fixture.partial_files() == 0).await;
    assert!(fixture.blobs.opened(digest).await.is_none());
    assert_eq!((fixture.blobs.used(), fixture.blobs.series().evicted.get()), (200_000, 0));
}

#[tokio::test]
async fn a508_what_was_used_longest_ago_makes_room_and_the_cap_holds() {
    let fixture = fixture(250_000).await;
    let blobs: Vec<Vec<u8>> = (0..3).map(|n| bytes(100_000 + n)).collect();
    let (first, second) = (fixture.kept(&blobs[0]).await, fixture.kept(&blobs[1]).await);
    assert!(read(fixture.blobs.opened(first).await.unwrap()).await.unwrap() == blobs[0]);
    let third = fixture.kept(&blobs[2]).await;
    assert!(!fixture.path(&second).exists());
    assert!(fixture.blobs.opened(second).await.is_none());
    for (digest, blob) in [(first, &blobs[0]), (third, &blobs[2])] {
        assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob.as_slice());
    }
    assert_eq!((fixture.blobs.used(), fixture.blobs.series().evicted.get()), (200_002, 1));
}

#[tokio::test]
async fn a508_what_is_being_read_stays_and_what_finds_no_room_passes_through() {
    let fixture = fixture(250_000).await;
    let (blob, other) = (bytes(200_000), bytes(100_000));
    let digest = fixture.kept(&blob).await;
    let reader = fixture.blobs.opened(digest).await.unwrap();
    let passes = fixture.blobs.fetched(key(Digest::of(&other)), Some(100_000), whole(&other)).await.unwrap();
    assert!(read(passes).await.unwrap() == other);
    eventually(|| fixture.partial_files() == 0).await;
    assert!(fixture.path(&digest).exists() && fixture.blobs.used() == 200_000);
    assert!(read(reader).await.unwrap() == blob);
    // Nobody reads it now.
    fixture.kept(&other).await;
    assert!(!fixture.path(&digest).exists());
    assert_eq!(fixture.blobs.used(), 100_000);
}

#[tokio::test]
async fn a508_a_new_process_keeps_the_order_of_the_one_before_and_a_smaller_cap() {
    let fixture = fixture(MAX).await;
    let blobs: Vec<Vec<u8>> = (0..4).map(|n| bytes(100_000 + n)).collect();
    let mut digests = Vec::new();
    for blob in &blobs {
        digests.push(fixture.kept(blob).await);
    }
    // Read last: 2, 0, 3, 1.
    for (at, which) in [2, 0, 3, 1].into_iter().enumerate() {
        let file = File::options().write(true).open(fixture.path(&digests[which])).unwrap();
        let time = std::time::UNIX_EPOCH + Duration::from_secs(1_800_000_000 + at as u64);
        file.set_times(std::fs::FileTimes::new().set_accessed(time).set_modified(time)).unwrap();
    }
    let Fixture { root, folder, blobs } = fixture;
    drop((folder, blobs));
    let folder = StateFolder::open(root.path()).unwrap();
    let blobs = Blobs::new(&folder, 250_000).await;
    let fixture = Fixture { root, folder, blobs };
    assert_eq!((fixture.blobs.used(), fixture.blobs.series().evicted.get()), (200_004, 2));
    let there: Vec<bool> = digests.iter().map(|digest| fixture.path(digest).exists()).collect();
    assert_eq!(there, [false, true, false, true]);
}

#[tokio::test]
async fn a501_without_a_folder_blobs_pass_through() {
    let fixture = fixture(MAX).await;
    std::fs::remove_dir(fixture.root.path().join("tmp")).unwrap();
    std::fs::write(fixture.root.path().join("tmp"), b"in the way").unwrap();
    let blob = bytes(300_000);
    let reader = fixture.blobs.fetched(key(Digest::of(&blob)), Some(300_000), whole(&blob)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
}

#[tokio::test]
async fn a507_a_kept_blob_is_ours_alone() {
    use std::os::unix::fs::PermissionsExt;
    let fixture = fixture(MAX).await;
    let digest = fixture.kept(b"blob").await;
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = fixture.path(&digest);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(path.parent().unwrap()), 0o700);
}

#[tokio::test]
async fn a505_rot_below_the_file_system_is_found_by_the_scrub_before_anybody_asks() {
    let fixture = fixture(MAX).await;
    let (blob, other) = (bytes(3_000_000), bytes(100_000));
    let (rotten, good) = (fixture.kept(&blob).await, fixture.kept(&other).await);
    scrub::pass(&fixture.blobs.0.kept, Duration::ZERO).await;
    assert!(fixture.path(&rotten).exists() && fixture.path(&good).exists());
    let mut changed = blob.clone();
    changed[2_999_999] ^= 1;
    std::fs::write(fixture.path(&rotten), &changed).unwrap();
    scrub::pass(&fixture.blobs.0.kept, Duration::ZERO).await;
    assert!(!fixture.path(&rotten).exists() && fixture.path(&good).exists());
    let series = fixture.blobs.series();
    assert_eq!((series.rotten.get(), series.kept.get(), fixture.blobs.used()), (1, 100_000, 100_000));
}

#[tokio::test]
async fn a617_a_false_size_takes_no_room_until_its_bytes_have_come() {
    let fixture = fixture(1_000_000).await;
    let mut digests = Vec::new();
    for n in 0..9 {
        digests.push(fixture.kept(&bytes(100_000 + n)).await);
    }
    let there = |fixture: &Fixture| digests.iter().filter(|digest| fixture.path(digest).exists()).count();
    // The descriptor and the upstream say a million bytes, and nothing comes.
    let other = Digest::of(b"promised");
    let (pieces, promised) = mpsc::channel::<Result<Bytes, Reset>>(1);
    let stream =
        stream::unfold(promised, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces)));
    let source = move |_| future::ready(Ok((Some(1_000_000), Box::pin(stream))));
    let reader = fixture.blobs.fetched(key(other), Some(1_000_000), source).await.unwrap();
    assert_eq!(there(&fixture), 9);
    // Who comes meanwhile finds the room promised, and is kept in the end where there is some.
    let late = bytes(50_000);
    let passes = fixture.blobs.fetched(key(Digest::of(&late)), Some(50_000), whole(&late)).await.unwrap();
    assert!(read(passes).await.unwrap() == late);
    assert_eq!(there(&fixture), 9);
    // Only as many go as there are bytes.
    pieces.send(Ok(Bytes::from(vec![0; 200_000]))).await.unwrap();
    eventually(|| there(&fixture) == 7).await;
    drop(pieces);
    assert!(matches!(read_until_cut(Ok(reader)).await.1, BlobFault::Short));
    assert_eq!(there(&fixture), 7);
    fixture.landed().await;
    fixture.kept(&bytes(200_000)).await;
    assert_eq!(there(&fixture), 7, "what was on its way is so no more");
}

#[tokio::test]
async fn a618_a_kept_blob_that_is_altered_while_it_is_sent_is_never_whole() {
    let blob = bytes(3 << 20);
    for put_back in [blob[0], blob[0] ^ 1] {
        let fixture = fixture(MAX).await;
        let digest = fixture.kept(&blob).await;
        assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob);
        let mut body = fixture.blobs.opened(digest).await.unwrap().into_body();
        let mut sent = body.frame().await.unwrap().unwrap().data_ref().unwrap().len();
        let file = File::options().write(true).open(fixture.path(&digest)).unwrap();
        let modified = file.metadata().unwrap().modified().unwrap();
        file.write_all_at(&[blob[0] ^ 1], 2 << 20).unwrap();
        file.write_all_at(&[put_back], 2 << 20).unwrap();
        file.set_modified(modified).unwrap();
        let cut = loop {
            match body.frame().await.expect("never a quiet end") {
                Ok(frame) => sent += frame.data_ref().unwrap().len(),
                Err(fault) => break fault,
            }
        };
        assert!(matches!(cut, BlobFault::Corrupt) && sent < blob.len(), "{cut:?}");
        // Its neighbour, that nobody alters, is whole.
        let other = fixture.kept(&bytes(2 << 20)).await;
        for _ in 0..2 {
            assert!(read(fixture.blobs.opened(other).await.unwrap()).await.is_ok());
        }
    }
}

#[tokio::test]
async fn a618_what_a_transfer_left_counts_only_once_it_was_read_back() {
    let fixture = fixture(MAX).await;
    let blob = bytes(2 << 20);
    let digest = Digest::of(&blob);
    let (pieces, promised) = mpsc::channel::<Result<Bytes, Reset>>(1);
    let stream =
        stream::unfold(promised, async |mut pieces| pieces.recv().await.map(|piece| (piece, pieces)));
    let source = move |_| future::ready(Ok((Some(2 << 20), Box::pin(stream))));
    let reader = fixture.blobs.fetched(key(digest), Some(2 << 20), source).await.unwrap();
    pieces.send(Ok(Bytes::copy_from_slice(&blob[..1 << 20]))).await.unwrap();
    let unfinished = || std::fs::read_dir(fixture.folder.tmp()).unwrap().next().unwrap().unwrap().path();
    eventually(|| std::fs::read(unfinished()).unwrap().starts_with(&blob[..1 << 20])).await;
    File::options().write(true).open(unfinished()).unwrap().write_all_at(&[!blob[9]], 9).unwrap();
    pieces.send(Ok(Bytes::copy_from_slice(&blob[1 << 20..]))).await.unwrap();
    drop(pieces);
    let _ = read(reader).await;
    fixture.landed().await;
    let kept = fixture.blobs.opened(digest).await.unwrap();
    assert!(matches!(read_until_cut(Ok(kept)).await.1, BlobFault::Corrupt));
    eventually(|| !fixture.path(&digest).exists()).await;
    fixture.kept(&blob).await;
    assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob);
}
