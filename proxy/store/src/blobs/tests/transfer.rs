//! What a transfer lets through, to whom, and when it ends.

use tokio::sync::Notify;

use super::*;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_readers_cost_one_transfer() {
    let fixture = fixture(MAX).await;
    let blob = bytes(300_000);
    let digest = Digest::of(&blob);
    let asked = Arc::new(AtomicUsize::new(0));
    let readers = (0..100_u64).map(|n| {
        let (blobs, blob, asked) = (fixture.blobs.clone(), blob.clone(), Arc::clone(&asked));
        tokio::spawn(async move {
            let pieces = pieces(&blob);
            let source = move |_| {
                asked.fetch_add(1, Ordering::SeqCst);
                async move {
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    Ok((Some(300_000), pieces))
                }
            };
            let reader = blobs.fetched(key(digest), Some(300_000), source).await.unwrap();
            let range = n * 2_000..=299_999 - n;
            let (start, end) =
                (usize::try_from(*range.start()).unwrap(), usize::try_from(*range.end()).unwrap());
            assert!(read(reader.range(range).unwrap()).await.unwrap() == blob[start..=end]);
        })
    });
    for reader in readers.collect::<Vec<_>>() {
        reader.await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    eventually(|| fixture.path(&digest).exists()).await;
    assert_eq!(fixture.blobs.used(), 300_000);
    assert_eq!(fixture.partial_files(), 0);
    assert!(read(fixture.blobs.opened(digest).await.unwrap()).await.unwrap() == blob);
}

#[tokio::test]
async fn a102_a_wrong_last_byte_never_completes_a_body() {
    let fixture = fixture(MAX).await;
    let good = bytes(1 << 20);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    let digest = Digest::of(&good);
    let reader = fixture.blobs.fetched(key(digest), None, whole(&bad)).await;
    let (read_bytes, fault) = read_until_cut(reader).await;
    assert!(matches!(fault, BlobFault::Corrupt));
    assert!(read_bytes <= (1 << 20) - STREAM_CHUNK_BYTES as u64);
    assert!(fixture.blobs.opened(digest).await.is_none());
    eventually(|| fixture.partial_files() == 0).await;
    let again = fixture.blobs.fetched(key(digest), None, whole(&good)).await.unwrap();
    assert!(read(again).await.unwrap() == good);
}

#[tokio::test]
async fn a027_a_range_of_a_corrupt_blob_never_completes() {
    let good = bytes(1 << 20);
    let mut bad = good.clone();
    *bad.last_mut().unwrap() ^= 1;
    for max in [MAX, NO_DISK] {
        for (range, most) in
            [(0..=9, 0), (0..=99_999, 100_000 - STREAM_CHUNK_BYTES as u64), (1_000_000..=u64::MAX, 0)]
        {
            let fixture = fixture(max).await;
            let expected = Some(1 << 20);
            let reader = fixture.blobs.fetched(key(Digest::of(&good)), expected, whole(&bad)).await;
            let (read_bytes, fault) =
                read_until_cut(reader.map(|reader| reader.range(range.clone()).unwrap())).await;
            assert!(matches!(fault, BlobFault::Corrupt), "{range:?}");
            assert!(read_bytes <= most, "{range:?}");
            let reader = fixture.blobs.fetched(key(Digest::of(&good)), expected, whole(&good)).await.unwrap();
            let (start, end) = (*range.start(), (*range.end()).min((1 << 20) - 1));
            let (start, end) = (usize::try_from(start).unwrap(), usize::try_from(end).unwrap());
            assert!(read(reader.range(range).unwrap()).await.unwrap() == good[start..=end]);
        }
    }
}

#[tokio::test]
async fn a028_ranges_are_cut_at_the_end_and_refused_outside() {
    let fixture = fixture(MAX).await;
    let blob = bytes(1_000);
    let digest = fixture.kept(&blob).await;
    for range in [1_000..=1_000, u64::MAX..=u64::MAX, std::ops::RangeInclusive::new(5, 2)] {
        let reader = fixture.blobs.opened(digest).await.unwrap();
        assert_eq!(reader.range(range).unwrap_err(), RangeOutside);
    }
    let reader = fixture.blobs.opened(digest).await.unwrap().range(999..=u64::MAX).unwrap();
    assert_eq!(reader.total(), 1_000);
    assert!(read(reader).await.unwrap() == blob[999..]);
}

#[tokio::test]
async fn a103_a104_short_and_long_bodies_are_cut_and_not_kept() {
    let blob = bytes(200_000);
    let digest = Digest::of(&blob);
    for max in [MAX, NO_DISK] {
        let fixture = fixture(max).await;
        for cut in [0, 1, 199_999] {
            let source = sends(Some(200_000), &blob[..cut]);
            let reader = fixture.blobs.fetched(key(digest), Some(200_000), source).await;
            let (read_bytes, fault) = read_until_cut(reader).await;
            assert!(matches!(fault, BlobFault::Short) && read_bytes < 200_000, "{cut}");
        }
        let longer = [blob.as_slice(), b"x"].concat();
        for announced in [Some(200_000), None] {
            let source = sends(announced, &longer);
            let reader = fixture.blobs.fetched(key(digest), Some(200_000), source).await;
            let (read_bytes, fault) = read_until_cut(reader).await;
            assert!(matches!(fault, BlobFault::Long) && read_bytes < 200_000);
        }
        assert!(fixture.blobs.opened(digest).await.is_none());
        eventually(|| fixture.partial_files() == 0).await;
    }
}

#[tokio::test]
async fn a104_a_length_unlike_the_descriptor_is_refused_before_the_first_byte() {
    let blob = bytes(1_000);
    for max in [MAX, NO_DISK] {
        let fixture = fixture(max).await;
        for expected in [0, 999, 1_001, 1 << 53] {
            let refused = fixture.blobs.fetched(key(Digest::of(&blob)), Some(expected), whole(&blob)).await;
            assert!(matches!(refused, Err(BlobFault::Size { announced: 1_000, .. })), "{expected}");
        }
    }
}

#[tokio::test]
async fn the_first_readers_wrong_descriptor_is_not_the_others_failure() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let (mut hose, pieces) = Hose::new();
    let digest = Digest::of(&blob);
    let liar = fixture.blobs.fetched(key(digest), Some(5), hose.source::<Hosed>(100_000));
    let honest = async {
        tokio::task::yield_now().await;
        fixture.blobs.fetched(key(digest), Some(100_000), whole(&blob)).await
    };
    let (liar, honest) = tokio::join!(liar, honest);
    assert!(matches!(liar, Err(BlobFault::Size { announced: 100_000, expected: 5 })));
    let honest = honest.unwrap();
    let _ = pieces.send(Ok(Bytes::from(blob.clone()))).await;
    drop(pieces);
    assert!(read(honest).await.unwrap() == blob);
}

#[tokio::test]
async fn an_upstreams_error_reaches_every_reader_and_is_not_remembered() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let digest = Digest::of(&blob);
    let fails = |_| future::ready(Err::<(Option<u64>, Pieces), _>(Reset));
    let failed = fixture.blobs.fetched(key(digest), None, fails).await;
    assert!(matches!(failed, Err(BlobFault::Upstream(Reset))));
    let (mut hose, pieces) = Hose::new();
    let reader = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(100_000)).await.unwrap();
    pieces.send(Err(Reset)).await.unwrap();
    assert!(matches!(read_until_cut(Ok(reader)).await.1, BlobFault::Upstream(Reset)));
    let reader = fixture.blobs.fetched(key(digest), None, whole(&blob)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
}

#[tokio::test]
async fn who_began_a_transfer_may_leave_and_the_others_go_on() {
    let fixture = fixture(MAX).await;
    let blob = bytes(200_000);
    let digest = Digest::of(&blob);
    let (mut hose, pieces) = Hose::new();
    let leader = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(200_000)).await.unwrap();
    let follower = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(200_000)).await.unwrap();
    pieces.send(Ok(Bytes::copy_from_slice(&blob[..100_000]))).await.unwrap();
    let mut leader = leader.into_body();
    assert!(leader.frame().await.unwrap().is_ok());
    drop(leader);
    pieces.send(Ok(Bytes::copy_from_slice(&blob[100_000..]))).await.unwrap();
    drop(pieces);
    assert!(read(follower).await.unwrap() == blob);
    assert_eq!(hose.asked.load(Ordering::SeqCst), 1);
}

#[tokio::test]
async fn a_transfer_that_nobody_reads_is_given_up() {
    let fixture = fixture(MAX).await;
    let blob = bytes(200_000);
    let digest = Digest::of(&blob);
    let (mut hose, pieces) = Hose::new();
    let one = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(200_000)).await.unwrap();
    let two = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(200_000)).await.unwrap();
    pieces.send(Ok(Bytes::copy_from_slice(&blob[..100_000]))).await.unwrap();
    drop(one);
    tokio::time::sleep(Duration::from_millis(50)).await;
    assert!(!pieces.is_closed());
    assert_eq!(fixture.partial_files(), 1);
    drop(two);
    tokio::time::timeout(Duration::from_secs(5), pieces.closed()).await.unwrap();
    eventually(|| fixture.partial_files() == 0).await;
    let reader = fixture.blobs.fetched(key(digest), None, whole(&blob)).await.unwrap();
    assert!(read(reader).await.unwrap() == blob);
}

#[tokio::test]
async fn a_stalled_upstream_cuts_the_body() {
    for max in [MAX, NO_DISK] {
        let fixture =
            fixture_with(max, (Duration::from_millis(100), Bounds { memory_bytes: 0, ..Bounds::of(max) }))
                .await;
        let blobs = &fixture.blobs;
        let (mut hose, pieces) = Hose::new();
        pieces.send(Ok(Bytes::from(bytes(100_000)))).await.unwrap();
        let source = hose.source::<Hosed>(200_000);
        let reader = blobs.fetched(key(Digest::of(b"never")), Some(200_000), source).await;
        let (read_bytes, fault) = read_until_cut(reader).await;
        assert!(matches!(fault, BlobFault::Stalled) && read_bytes == 100_000);
        drop(pieces);
    }
}

#[tokio::test]
async fn an_empty_blob_is_verified_before_it_is_answered() {
    for max in [MAX, 0] {
        let fixture = fixture(max).await;
        let reader = fixture.blobs.fetched(key(Digest::of(b"")), Some(0), whole(b"")).await.unwrap();
        assert!(read(reader).await.unwrap().is_empty());
        let wrong = fixture.blobs.fetched(key(Digest::of(b"x")), Some(0), whole(b"")).await;
        assert!(matches!(wrong, Err(BlobFault::Corrupt)));
    }
}

#[tokio::test]
async fn a_length_that_nobody_knows_is_found_out_before_the_answer() {
    let fixture = fixture(MAX).await;
    let blob = bytes(200_000);
    let reader = fixture.blobs.fetched(key(Digest::of(&blob)), None, sends(None, &blob)).await.unwrap();
    assert_eq!(reader.total(), 200_000);
    assert!(read(reader).await.unwrap() == blob);
}

#[tokio::test]
async fn a106_an_endless_body_is_cut() {
    let fixture = fixture(1 << 20).await;
    for (announced, expected) in [(None, None), (None, Some(1_000_000)), (Some(1 << 40), None)] {
        let endless = move |_| {
            let zeros = stream::repeat(Ok::<_, Reset>(Bytes::from_static(&[0; 4_096])));
            future::ready(Ok((announced, zeros.boxed())))
        };
        let reader = fixture.blobs.fetched(key(Digest::of(b"x")), expected, endless).await;
        assert!(matches!(read_until_cut(reader).await.1, BlobFault::Long));
    }
}

#[tokio::test]
async fn a026_another_repository_does_not_join_a_transfer() {
    let fixture = fixture(MAX).await;
    let blob = bytes(100_000);
    let digest = Digest::of(&blob);
    let (mut hose, pieces) = Hose::new();
    let reader = fixture.blobs.fetched(key(digest), None, hose.source::<Hosed>(100_000)).await.unwrap();
    let other = FlightKey { repository: "registry.example/other".parse().unwrap(), digest };
    let refuses = |_| future::ready(Err::<(Option<u64>, Pieces), _>(Reset));
    assert!(matches!(fixture.blobs.fetched(other, None, refuses).await, Err(BlobFault::Upstream(Reset))));
    drop((reader, pieces));
}

#[tokio::test]
async fn a545_a_transfer_that_panics_is_cut_and_the_next_one_starts_anew() {
    let fixture = fixture(MAX).await;
    let blob = bytes(300_000);
    let digest = Digest::of(&blob);
    let both = Arc::new(Notify::new());
    let panics = || {
        let both = Arc::clone(&both);
        let pieces = pieces(&blob).enumerate().then(move |(n, piece)| {
            let both = Arc::clone(&both);
            async move {
                if n == 20 {
                    both.notified().await;
                    panic!("injected");
                }
                piece
            }
        });
        move |_| future::ready(Ok((Some(300_000), pieces)))
    };
    let reader = fixture.blobs.fetched(key(digest), Some(300_000), panics()).await;
    let waits = fixture.blobs.fetched(key(digest), Some(300_000), panics()).await;
    both.notify_one();
    let (read_bytes, fault) = read_until_cut(reader).await;
    assert!(matches!(fault, BlobFault::Ended), "{fault:?}");
    assert!(read_bytes < 300_000);
    // Though somebody still holds on to the one that died.
    let again = fixture.blobs.fetched(key(digest), Some(300_000), whole(&blob)).await.unwrap();
    assert!(read(again).await.unwrap() == blob);
    let (read_bytes, _) = read_until_cut(waits).await;
    assert!(read_bytes < 300_000);
    eventually(|| fixture.partial_files() == 0).await;
}
