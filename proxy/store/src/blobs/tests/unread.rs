//! What goes on, or lies here, without a reader.

use std::os::unix::fs::FileExt as _;

use super::*;
use crate::limits::{PARTIAL_BLOBS, UNREAD_TRANSFERS};

const LONG: Duration = Duration::from_secs(3600);

fn bounds(transfer_for: Duration, partial_for: Duration) -> Bounds {
    Bounds { transfer_for, partial_for, ..Bounds::of(MAX) }
}

async fn with(bounds: Bounds) -> Fixture {
    fixture_with(MAX, (TRANSFER_SILENCE, bounds)).await
}

/// Sends what is missing, and remembers from where.
fn rest(
    blob: &[u8],
    from: &Arc<Mutex<Vec<u64>>>,
) -> impl FnOnce(u64) -> future::Ready<Result<(Option<u64>, Pieces), Reset>> + Send + use<> {
    let (blob, asked) = (blob.to_vec(), Arc::clone(from));
    move |from| {
        asked.lock().push(from);
        let missing = blob.get(usize::try_from(from).unwrap()..).unwrap_or_default();
        future::ready(Ok((Some(blob.len() as u64), pieces(missing))))
    }
}

/// A transfer whose only reader has left after half of it, and what feeds it.
async fn left(fixture: &Fixture, blob: &[u8]) -> mpsc::Sender<Result<Bytes, Reset>> {
    let (mut hose, pieces) = Hose::new();
    let source = hose.source::<Hosed>(blob.len());
    let reader = fixture.blobs.fetched(key(Digest::of(blob)), None, source).await.unwrap();
    pieces.send(Ok(Bytes::copy_from_slice(&blob[..blob.len() / 2]))).await.unwrap();
    let mut body = reader.into_body();
    assert!(body.frame().await.unwrap().is_ok());
    pieces
}

#[tokio::test]
async fn a_transfer_outlives_its_last_reader_and_is_kept_or_joined() {
    let fixture = with(bounds(LONG, LONG)).await;
    let (kept, joined) = (bytes(300_000), bytes(300_001));
    for blob in [&kept, &joined] {
        let pieces = left(&fixture, blob).await;
        let feeds = || async {
            pieces.send(Ok(Bytes::copy_from_slice(&blob[blob.len() / 2..]))).await.unwrap();
        };
        let digest = Digest::of(blob);
        if blob == &joined {
            let (mut other, _never) = Hose::new();
            let back = fixture.blobs.fetched(key(digest), None, other.source::<Hosed>(7)).await.unwrap();
            feeds().await;
            drop(pieces);
            assert!(read(back).await.unwrap() == *blob);
            assert_eq!(other.asked.load(Ordering::SeqCst), 0, "no transfer of its own");
        } else {
            feeds().await;
            drop(pieces);
        }
        eventually(|| fixture.path(&digest).exists()).await;
    }
    fixture.landed().await;
    assert_eq!((fixture.blobs.series().unread.get(), fixture.partial_files()), (0, 0));
}

#[tokio::test]
async fn a_transfer_without_readers_ends_and_the_next_one_goes_on_where_it_was() {
    let fixture = with(bounds(Duration::from_millis(20), LONG)).await;
    let (blob, asked) = (bytes(300_000), Arc::default());
    let pieces = left(&fixture, &blob).await;
    tokio::time::timeout(Duration::from_secs(60), pieces.closed()).await.unwrap();
    eventually(|| fixture.blobs.series().partial.get() == 150_000).await;
    let back = fixture.blobs.fetched(key(Digest::of(&blob)), None, rest(&blob, &asked)).await.unwrap();
    assert!(read(back).await.unwrap() == blob);
    assert_eq!((asked.lock().as_slice(), fixture.blobs.series().partial.get()), (&[150_000][..], 0));
    fixture.landed().await;
    assert!(fixture.path(&Digest::of(&blob)).exists());
}

#[tokio::test]
async fn what_came_of_a_transfer_that_broke_is_gone_on_with_and_of_one_that_lied_is_not() {
    for (fault, from) in [(Some(Reset), 100_000), (None, 100_000)] {
        let fixture = with(bounds(LONG, LONG)).await;
        let (blob, asked) = (bytes(300_000), Arc::default());
        let (mut hose, pieces) = Hose::new();
        let source = hose.source::<Hosed>(blob.len());
        let cut = fixture.blobs.fetched(key(Digest::of(&blob)), None, source).await;
        pieces.send(Ok(Bytes::copy_from_slice(&blob[..100_000]))).await.unwrap();
        if let Some(fault) = fault {
            pieces.send(Err(fault)).await.unwrap();
        }
        drop(pieces);
        read_until_cut(cut).await;
        let back = fixture.blobs.fetched(key(Digest::of(&blob)), None, rest(&blob, &asked)).await.unwrap();
        assert!(read(back).await.unwrap() == blob);
        assert_eq!(asked.lock().as_slice(), [from]);
    }
    // Of a wrong byte, a longer body and another length nothing stays.
    let blob = bytes(300_000);
    let mut wrong = blob.clone();
    wrong[299_999] ^= 1;
    let longer = [blob.as_slice(), b"x"].concat();
    for (announced, sent) in [(Some(300_000), wrong), (None, longer.clone()), (Some(300_001), longer)] {
        let fixture = with(bounds(LONG, LONG)).await;
        let asked = Arc::default();
        let liar = sends(announced, &sent);
        read_until_cut(fixture.blobs.fetched(key(Digest::of(&blob)), Some(300_000), liar).await).await;
        eventually(|| fixture.partial_files() == 0).await;
        fixture.landed().await;
        let again = fixture.blobs.fetched(key(Digest::of(&blob)), Some(300_000), rest(&blob, &asked)).await;
        assert!(read(again.unwrap()).await.unwrap() == blob);
        assert_eq!(asked.lock().as_slice(), [0]);
    }
}

#[tokio::test]
async fn a102_a_wrong_beginning_never_completes_a_body_and_the_next_transfer_is_anew() {
    let fixture = with(bounds(Duration::ZERO, LONG)).await;
    let (blob, asked) = (bytes(300_000), Arc::default());
    let mut wrong = blob.clone();
    wrong[0] ^= 1;
    let (mut hose, pieces) = Hose::new();
    let source = hose.source::<Hosed>(300_000);
    let cut = fixture.blobs.fetched(key(Digest::of(&blob)), None, source).await;
    pieces.send(Ok(Bytes::copy_from_slice(&wrong[..100_000]))).await.unwrap();
    drop(pieces);
    read_until_cut(cut).await;
    let second = fixture.blobs.fetched(key(Digest::of(&blob)), None, rest(&blob, &asked)).await;
    assert!(matches!(read_until_cut(second).await.1, BlobFault::Corrupt));
    fixture.landed().await;
    let third = fixture.blobs.fetched(key(Digest::of(&blob)), None, rest(&blob, &asked)).await.unwrap();
    assert!(read(third).await.unwrap() == blob);
    assert_eq!(asked.lock().as_slice(), [100_000, 0]);
}

#[tokio::test]
async fn a618_a_beginning_that_was_altered_where_it_lay_is_none() {
    let fixture = with(bounds(Duration::ZERO, LONG)).await;
    let (blob, asked) = (bytes(300_000), Arc::default());
    drop(left(&fixture, &blob).await);
    eventually(|| fixture.blobs.series().partial.get() == 150_000).await;
    let file = std::fs::read_dir(fixture.folder.tmp()).unwrap().next().unwrap().unwrap().path();
    File::options().write(true).open(file).unwrap().write_all_at(&[!blob[9]], 9).unwrap();
    let back = fixture.blobs.fetched(key(Digest::of(&blob)), None, rest(&blob, &asked)).await.unwrap();
    assert!(read(back).await.unwrap() == blob);
    assert_eq!(asked.lock().as_slice(), [0]);
}

#[tokio::test]
async fn a026_what_one_repository_left_is_nothing_to_another() {
    let fixture = with(bounds(Duration::ZERO, LONG)).await;
    let (blob, asked) = (bytes(300_000), Arc::default());
    drop(left(&fixture, &blob).await);
    eventually(|| fixture.blobs.series().partial.get() == 150_000).await;
    let other =
        FlightKey { repository: "registry.example/other".parse().unwrap(), digest: Digest::of(&blob) };
    let reader = fixture.blobs.fetched(other, None, rest(&blob, &asked)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
    assert_eq!(asked.lock().as_slice(), [0]);
}

#[tokio::test]
async fn what_lies_here_goes_after_its_time() {
    let fixture = with(bounds(Duration::ZERO, Duration::from_millis(200))).await;
    drop(left(&fixture, &bytes(300_000)).await);
    eventually(|| fixture.blobs.series().partial.get() == 150_000).await;
    eventually(|| fixture.blobs.series().partial.get() == 0 && fixture.partial_files() == 0).await;
}

#[tokio::test]
async fn so_many_transfers_go_on_without_a_reader_and_one_more_ends_with_its_own() {
    let fixture = with(bounds(LONG, LONG)).await;
    let mut feeds = Vec::new();
    for n in 0..UNREAD_TRANSFERS {
        feeds.push(left(&fixture, &bytes(300_000 + n)).await);
    }
    let slots = i64::try_from(UNREAD_TRANSFERS).unwrap();
    eventually(|| fixture.blobs.series().unread.get() == slots).await;
    let one_more = left(&fixture, &bytes(200_000)).await;
    tokio::time::timeout(Duration::from_secs(60), one_more.closed()).await.unwrap();
    assert!(feeds.iter().all(|feed| !feed.is_closed()));
}

#[tokio::test]
async fn so_many_beginnings_lie_here_and_so_many_bytes_and_the_oldest_go_for_more() {
    let fixture = with(bounds(Duration::ZERO, LONG)).await;
    let lies = |fixture: &Fixture, length: usize| {
        fixture.blobs.0.unread.take(&key(Digest::of(&bytes(length)))).map(drop).is_some()
    };
    for n in 0..=PARTIAL_BLOBS {
        drop(left(&fixture, &bytes(200_000 + n)).await);
        eventually(|| fixture.partial_files() == (n + 1).min(PARTIAL_BLOBS)).await;
    }
    assert!(!lies(&fixture, 200_000) && lies(&fixture, 200_001));
    // Half of what is kept at most.
    let most = Bounds { partial_bytes: 250_001, ..bounds(Duration::ZERO, LONG) };
    let fixture = with(most).await;
    for (length, files) in [(200_000, 1), (300_000, 2), (200_002, 2)] {
        drop(left(&fixture, &bytes(length)).await);
        eventually(|| fixture.partial_files() == files).await;
    }
    eventually(|| fixture.blobs.series().partial.get() == 250_001).await;
    assert!(!lies(&fixture, 200_000) && lies(&fixture, 300_000) && lies(&fixture, 200_002));
}

#[tokio::test]
async fn what_befell_a_transfer_that_another_began_is_no_fault_of_who_joined_it() {
    let fixture = with(bounds(LONG, LONG)).await;
    let blob = bytes(100_000);
    let digest = Digest::of(&blob);
    let fails = Arc::new(tokio::sync::Notify::new());
    let told = Arc::clone(&fails);
    let source = move |_| async move {
        told.notified().await;
        Err::<(Option<u64>, Pieces), _>(Reset)
    };
    let (first, second) = (fixture.blobs.clone(), fixture.blobs.clone());
    let first = tokio::spawn(async move { first.fetched(key(digest), None, source).await.map(drop) });
    eventually(|| !fixture.blobs.0.flights.0.lock().is_empty()).await;
    let good = whole(&blob);
    let second = tokio::spawn(async move { second.fetched(key(digest), None, good).await });
    tokio::time::sleep(Duration::from_millis(20)).await;
    fails.notify_one();
    assert!(matches!(first.await.unwrap(), Err(BlobFault::Upstream(Reset))));
    assert!(read(second.await.unwrap().unwrap()).await.unwrap() == blob);
}

#[tokio::test]
async fn a508_readers_of_a_blob_over_blobs_max_share_one_transfer_that_is_not_kept() {
    let bounds = Bounds { transfer_for: Duration::from_millis(300), ..Bounds::of(1_000) };
    let fixture = fixture_with(1_000, (TRANSFER_SILENCE, bounds)).await;
    let (blob, asked) = (bytes(300_000), Arc::default());
    for range in [0..=99_999, 100_000..=199_999, 200_000..=u64::MAX] {
        let reader =
            fixture.blobs.fetched(key(Digest::of(&blob)), Some(300_000), rest(&blob, &asked)).await.unwrap();
        let (start, end) = (*range.start(), (*range.end()).min(299_999));
        let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
        assert!(read(reader.range(range).unwrap()).await.unwrap() == blob[start..=end]);
    }
    assert_eq!(asked.lock().as_slice(), [0]);
    fixture.landed().await;
    eventually(|| fixture.partial_files() == 0).await;
    assert_eq!((fixture.blobs.used(), fixture.path(&Digest::of(&blob)).exists()), (0, false));
}

#[tokio::test]
async fn a501_without_a_file_readers_share_the_memory_there_is_and_more_is_one_stream() {
    let bounds =
        Bounds { transfer_for: Duration::from_millis(300), memory_bytes: 300 << 10, ..Bounds::of(NO_DISK) };
    let fixture = fixture_with(NO_DISK, (TRANSFER_SILENCE, bounds)).await;
    for (length, one_stream) in [(300 << 10, false), ((300 << 10) + 1, true)] {
        let (blob, asked) = (bytes(length), Arc::default());
        for _ in 0..2 {
            let expected = Some(length as u64);
            let reader =
                fixture.blobs.fetched(key(Digest::of(&blob)), expected, rest(&blob, &asked)).await.unwrap();
            assert_eq!(reader.is_one_stream(), one_stream);
            assert!(read(reader).await.unwrap() == blob);
        }
        assert_eq!(asked.lock().len(), if one_stream { 2 } else { 1 });
        fixture.landed().await;
    }
    // What is announced to be longer takes none of it.
    let (blob, longer) = (bytes(100_000), bytes(200_000));
    let lies =
        fixture.blobs.fetched(key(Digest::of(&blob)), Some(100_000), sends(Some(200_000), &longer)).await;
    assert!(matches!(lies, Err(BlobFault::Size { .. })));
}
