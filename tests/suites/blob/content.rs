//! Blobs: under a grant, whole or in a range, and never a complete body that is wrong.

use std::path::{Path, PathBuf};

use pullgate_tests::asking::{Answer, End};
use pullgate_tests::made::{Made, fresh};
use pullgate_tests::upstream::{Fault, RangeAnswer, When};
use pullgate_tests::waiting::until;

use crate::stage::{KEYED, Stage, assert_denied, assert_serves, assert_undecided, blob};

pub(crate) const MIB: usize = 1 << 20;

/// A permitted image with a layer of so many bytes; its manifest has been pulled.
pub(crate) async fn permitted(stage: &Stage, length: usize) -> Made {
    let image = Made::image_of_bytes(length);
    let tag = fresh();
    image.tag(&stage.upstream, "org/app", &tag);
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", &tag).await, &image);
    image
}

async fn range(stage: &Stage, digest: &str, range: &str) -> Answer {
    stage.gate.get_with(&blob("org/app", digest), &[("range", range)]).await
}

/// Nothing of the blob is on disk, once the gate has tidied up behind the client.
async fn assert_nothing_kept(stage: &Stage, digest: &str) {
    let kept = || kept(&stage.gate.path("state"), digest.trim_start_matches("sha256:"));
    until("nothing of the blob is on disk", || kept().is_empty()).await;
}

/// No blob has that name; what came of it may lie aside for who comes back.
fn assert_no_blob(stage: &Stage, digest: &str) {
    let kept = kept(&stage.gate.path("state"), digest.trim_start_matches("sha256:"));
    assert!(kept.iter().all(|path| path.parent().is_some_and(|folder| folder.ends_with("tmp"))), "{kept:?}");
}

/// The files of a digest, and those that are being written.
pub(crate) fn kept(state: &Path, hex: &str) -> Vec<PathBuf> {
    let (mut folders, mut found) = (vec![state.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.strip_prefix(state).unwrap().display().to_string();
            if path.is_dir() {
                folders.push(path);
            } else if name.replace('/', "").contains(hex) || name.starts_with("tmp/") {
                found.push(path);
            }
        }
    }
    found
}

#[tokio::test]
async fn a_granted_blob_is_served_with_get_and_head() {
    let stage = Stage::new().await;
    let image = permitted(&stage, 200_000).await;
    let length = image.blobs[1].len().to_string();
    for _ in 0..2 {
        let get = stage.blob("org/app", &image.layer()).await;
        assert_eq!((get.status, get.end), (200, End::Whole));
        assert!(get.body == image.blobs[1]);
        let head = stage.gate.head(&blob("org/app", &image.layer())).await;
        assert_eq!((head.status, head.body.len()), (200, 0));
        for answer in [get, head] {
            assert_eq!(answer.header("content-length"), Some(length.as_str()));
            assert_eq!(answer.header("docker-content-digest"), Some(image.layer().as_str()));
            assert_eq!(answer.header("content-type"), Some("application/octet-stream"));
            assert_eq!(answer.header("accept-ranges"), Some("bytes"));
            assert_eq!(answer.header("oci-namespace"), Some("registry.test"));
        }
    }
}

#[tokio::test]
async fn a025_a_blob_without_a_grant_is_403_and_one_that_is_not_there_is_404() {
    let stage = Stage::new().await;
    let granted = permitted(&stage, 1000).await;
    let unsigned = stage.unsigned("org/app", "bad");
    let stray = stage.upstream.blob("org/app", b"stray");
    assert_denied(&stage.manifest("org/app", "bad").await);
    for digest in [unsigned.layer(), unsigned.config(), stray.clone()] {
        assert_denied(&stage.blob("org/app", &digest).await);
        assert_eq!(stage.gate.head(&blob("org/app", &digest)).await.status, 403);
        assert_denied(&range(&stage, &digest, "bytes=0-0").await);
    }
    let missing = stage.blob("org/app", &Made::image().layer()).await;
    assert_eq!((missing.status, missing.code().as_str()), (404, "BLOB_UNKNOWN"));
    assert_eq!(stage.blob("org/app", &granted.layer()).await.status, 200);
}

#[tokio::test]
async fn a025_the_answer_is_the_same_with_and_without_the_blob_in_the_cache() {
    let stage = Stage::new().await;
    let image = permitted(&stage, 1000).await;
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    stage.upstream.blob("org/other", &image.blobs[1]);
    let stray = stage.upstream.blob("org/other", b"stray");
    let text = |answer: &Answer| answer.message().split("pullgate").next().unwrap().to_owned();
    let cached = stage.blob("org/other", &image.layer()).await;
    let uncached = stage.blob("org/other", &stray).await;
    assert_denied(&cached);
    assert_eq!((cached.status, text(&cached)), (uncached.status, text(&uncached)));
    let gone = stage.blob("org/third", &image.layer()).await;
    assert_eq!(gone.status, 404);
}

#[tokio::test]
async fn a026_a_cached_blob_is_served_in_another_repository_only_when_that_has_it() {
    let stage = Stage::new().await;
    let image = permitted(&stage, 1000).await;
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    // A manifest of another repository names the layer and is permitted there; the layer is not there.
    stage.upstream.manifest("org/other", &image.media_type, &image.bytes);
    stage.sign("org/other", &image);
    assert_serves(&stage.manifest("org/other", &image.digest()).await, &image);
    assert_eq!(stage.blob("org/other", &image.layer()).await.status, 404);
    stage.upstream.forget();
    stage.upstream.blob("org/other", &image.blobs[1]);
    let target = blob("org/other", &image.layer());
    assert_eq!(stage.gate.get(&target).await.status, 200);
    assert_eq!(
        stage.upstream.count(&format!("GET {target}")),
        0,
        "the copy serves once the repository answered for it"
    );
}

#[tokio::test]
async fn a024_a_manifest_never_leaves_by_the_blob_route() {
    let stage = Stage::new().await;
    let permitted = permitted(&stage, 1000).await;
    let denied = stage.unsigned("org/app", "bad");
    // Some registries answer for manifests there.
    for image in [&permitted, &denied] {
        stage.upstream.blob("org/app", &image.bytes);
    }
    assert_eq!(stage.gate.head(&crate::stage::manifest("org/app", &denied.digest())).await.status, 403);
    for image in [&permitted, &denied] {
        let answer = stage.blob("org/app", &image.digest()).await;
        assert_eq!((answer.status, answer.code().as_str()), (404, "BLOB_UNKNOWN"));
        assert_eq!(stage.gate.head(&blob("org/app", &image.digest())).await.status, 404);
        assert_eq!(range(&stage, &image.digest(), "bytes=0-").await.status, 404);
    }
    // One that the gate has not seen is a blob without a grant.
    let unseen = Made::image();
    stage.upstream.blob("org/app", &unseen.bytes);
    assert_denied(&stage.blob("org/app", &unseen.digest()).await);
}

#[tokio::test]
async fn a134_a_manifest_listed_as_a_layer_does_not_leave_by_the_blob_route() {
    let stage = Stage::new().await;
    let denied = stage.unsigned("org/app", "bad");
    stage.upstream.blob("org/app", &denied.bytes);
    assert_denied(&stage.manifest("org/app", "bad").await);
    let layer = pullgate_tests::made::Layer::new("application/octet-stream", denied.bytes.clone());
    let carrier = Made::image_of(vec![layer]);
    carrier.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &carrier);
    assert_serves(&stage.manifest("org/app", "v1").await, &carrier);
    assert_eq!(stage.blob("org/app", &denied.digest()).await.status, 404);
    assert_denied(&stage.manifest("org/app", &denied.digest()).await);
    assert_eq!(stage.blob("org/app", &carrier.config()).await.status, 200);
}

#[tokio::test]
async fn a028_ranges_are_honoured_one_at_a_time() {
    let stage = Stage::new().await;
    let image = permitted(&stage, 200_000).await;
    let (layer, bytes) = (image.layer(), image.blobs[1].clone());
    for round in ["cold", "warm"] {
        for (wanted, first, last) in [
            ("bytes=0-9", 0, 9),
            ("bytes=100-", 100, 199_999),
            ("bytes=-10", 199_990, 199_999),
            ("bytes=199999-199999", 199_999, 199_999),
            ("bytes=65535-65536", 65_535, 65_536),
            ("bytes=0-99999999999999999999", 0, 199_999),
        ] {
            let answer = range(&stage, &layer, wanted).await;
            assert_eq!((answer.status, answer.end), (206, End::Whole), "{round} {wanted}");
            assert!(answer.body == bytes[first..=last], "{round} {wanted}");
            assert_eq!(answer.header("content-range"), Some(format!("bytes {first}-{last}/200000").as_str()));
        }
        for wanted in ["bytes=200000-", "bytes=-0", "bytes=18446744073709551616-"] {
            let answer = range(&stage, &layer, wanted).await;
            assert_eq!(
                (answer.status, answer.header("content-range")),
                (416, Some("bytes */200000")),
                "{wanted}"
            );
        }
        for wanted in
            ["bytes=0-1,3-4", "bytes=5-2", "bytes=a-b", "items=0-1", "bytes=-", "bytes=0-0, 0-0, 0-0"]
        {
            let answer = range(&stage, &layer, wanted).await;
            assert_eq!(answer.status, 200, "{wanted}");
            assert!(answer.body == bytes);
        }
    }
    assert!(stage.upstream.seen().iter().all(|seen| !seen.headers.contains_key("range")), "A027");
}

#[tokio::test]
async fn a102_a_wrong_byte_anywhere_in_a_blob_is_never_a_complete_answer() {
    let stage = Stage::new().await;
    for place in [0, 500_000, -1] {
        let image = permitted(&stage, MIB).await;
        stage.upstream.fail(When::on("blobs"), Fault::Flip(place));
        for _ in 0..2 {
            let before = stage.upstream.count("GET /v2/org/app/blobs/");
            let answer = stage.blob("org/app", &image.layer()).await;
            assert_eq!((answer.status, answer.end), (200, End::Cut), "{place}");
            assert!(answer.body.len() < MIB);
            assert_eq!(stage.upstream.count("GET /v2/org/app/blobs/"), before + 1, "asked again");
            assert_nothing_kept(&stage, &image.layer()).await;
        }
        stage.upstream.heal();
        let answer = stage.blob("org/app", &image.layer()).await;
        assert_eq!((answer.status, answer.end), (200, End::Whole));
        assert!(answer.body == image.blobs[1]);
    }
}

#[tokio::test]
async fn a027_a_range_of_a_corrupt_blob_is_never_complete_wherever_it_lies() {
    let stage = Stage::new().await;
    for (place, wanted, length) in
        [(-1, "bytes=0-9", 10), (0, "bytes=1000000-1000009", 10), (-1, "bytes=0-0", 1), (0, "bytes=-1", 1)]
    {
        let image = permitted(&stage, MIB).await;
        stage.upstream.fail(When::on("blobs"), Fault::Flip(place));
        let answer = range(&stage, &image.layer(), wanted).await;
        assert_eq!((answer.status, answer.end), (206, End::Cut), "{wanted}");
        assert!(answer.body.len() < length);
        assert_nothing_kept(&stage, &image.layer()).await;
        stage.upstream.heal();
        let answer = range(&stage, &image.layer(), wanted).await;
        assert_eq!((answer.status, answer.end, answer.body.len()), (206, End::Whole, length));
    }
}

#[tokio::test]
async fn a103_a_blob_that_ends_early_is_never_a_complete_answer() {
    let stage = Stage::new().await;
    for fault in [
        Fault::Cut(0),
        Fault::Cut(1),
        Fault::Cut(MIB / 8),
        Fault::Short(0),
        Fault::Short(1),
        Fault::Short(MIB - 1),
    ] {
        let image = permitted(&stage, MIB).await;
        stage.upstream.fail(When::on("blobs"), fault.clone());
        // There is no way on.
        stage.upstream.fail(When::on("blobs"), Fault::OfRange(RangeAnswer::Status(416)));
        for answer in
            [stage.blob("org/app", &image.layer()).await, range(&stage, &image.layer(), "bytes=0-9").await]
        {
            assert!(
                answer.status == 503 || answer.end == End::Cut,
                "{fault:?}: {} {:?}",
                answer.status,
                answer.end
            );
        }
        assert_no_blob(&stage, &image.layer());
        stage.upstream.heal();
        assert_eq!(stage.blob("org/app", &image.layer()).await.end, End::Whole);
    }
}

#[tokio::test]
async fn a104_a_blob_of_another_length_than_the_manifest_says_is_refused() {
    let stage = Stage::new().await;
    for length in ["1048575", "1048577", "0"] {
        let image = permitted(&stage, MIB).await;
        stage
            .upstream
            .fail(When::on("GET /v2/org/app/blobs"), Fault::Header("content-length", length.to_owned()));
        assert_undecided(&stage.blob("org/app", &image.layer()).await);
        assert_nothing_kept(&stage, &image.layer()).await;
        stage.upstream.heal();
    }
    for fault in [Fault::Surplus(1), Fault::Surplus(MIB), Fault::Endless(0)] {
        let image = permitted(&stage, MIB).await;
        stage.upstream.fail(When::on("GET /v2/org/app/blobs"), fault);
        let answer = stage.blob("org/app", &image.layer()).await;
        assert!(answer.status == 503 || answer.end == End::Cut);
        assert!(answer.body.len() < MIB);
        assert_nothing_kept(&stage, &image.layer()).await;
        stage.upstream.heal();
        assert_eq!(stage.blob("org/app", &image.layer()).await.end, End::Whole);
    }
}

#[tokio::test]
async fn a108_an_encoded_blob_is_refused_before_its_first_byte() {
    let stage = Stage::new().await;
    let image = permitted(&stage, 1000).await;
    stage.upstream.fail(When::on("blobs"), Fault::Header("content-encoding", "gzip".to_owned()));
    assert_undecided(&stage.blob("org/app", &image.layer()).await);
    stage.upstream.heal();
    stage.upstream.fail(When::on("blobs"), Fault::Header("content-encoding", "identity".to_owned()));
    assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
}

#[tokio::test]
async fn a_blob_is_fetched_once_and_kept_over_a_restart() {
    let mut stage = Stage::new().await;
    let image = permitted(&stage, 300_000).await;
    assert!(stage.blob("org/app", &image.layer()).await.body == image.blobs[1]);
    stage.upstream.forget();
    assert!(stage.blob("org/app", &image.layer()).await.body == image.blobs[1]);
    stage.gate.restart().await;
    assert!(stage.blob("org/app", &image.layer()).await.body == image.blobs[1]);
    assert_eq!(stage.upstream.seen().len(), 0);
}

#[tokio::test]
async fn a505_a_blob_that_rotted_on_disk_is_never_a_complete_answer_and_is_fetched_again() {
    let mut stage = Stage::new().await;
    // What is small is hashed before its first byte leaves: nobody sees that it had rotted.
    let (small, image) = (permitted(&stage, 300_000).await, permitted(&stage, 32 * MIB).await);
    for image in [&small, &image] {
        assert_eq!(stage.blob("org/app", &image.layer()).await.status, 200);
    }
    stage.gate.stop().await;
    for image in [&small, &image] {
        let file = kept(&stage.gate.path("state"), image.layer().trim_start_matches("sha256:")).remove(0);
        let mut bytes = std::fs::read(&file).unwrap();
        *bytes.last_mut().unwrap() ^= 1;
        std::fs::write(&file, bytes).unwrap();
    }
    stage.gate.start_again().await;
    let mended = stage.blob("org/app", &small.layer()).await;
    assert_eq!((mended.status, mended.end), (200, End::Whole));
    assert!(mended.body == small.blobs[1]);
    let rotten = stage.blob("org/app", &image.layer()).await;
    assert!(rotten.end == End::Cut || rotten.body == image.blobs[1], "never whole and wrong");
    let again = stage.blob("org/app", &image.layer()).await;
    assert_eq!((again.status, again.end), (200, End::Whole));
    assert!(again.body == image.blobs[1]);
}

#[tokio::test]
async fn a_blob_over_blobs_max_is_fetched_once_for_all_and_not_kept() {
    let stage = Stage::with(KEYED, |setup| setup.cache("blobs_max = \"1MiB\"")).await;
    let (small, large) = (permitted(&stage, MIB / 2).await, permitted(&stage, MIB + 1).await);
    for image in [&small, &large] {
        let target = blob("org/app", &image.layer());
        for _ in 0..2 {
            let answer = stage.gate.get(&target).await;
            assert_eq!((answer.status, answer.end), (200, End::Whole));
            assert!(answer.body == image.blobs[1]);
        }
        assert_eq!(stage.upstream.count(&format!("GET {target}")), 1);
    }
    assert_no_blob(&stage, &large.layer());
    assert_eq!(stage.gate.app().store.blobs().used(), MIB as u64 / 2);
    // What is not kept is hashed all the same.
    let other = permitted(&stage, MIB + 2).await;
    stage.upstream.fail(When::on("blobs"), Fault::Flip(-1));
    assert_eq!(stage.blob("org/app", &other.layer()).await.end, End::Cut);
}

#[tokio::test]
async fn an_empty_blob_is_served() {
    let stage = Stage::new().await;
    let image =
        Made::image_of(vec![pullgate_tests::made::Layer::new(pullgate_tests::made::LAYER, Vec::new())]);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let answer = stage.blob("org/app", &image.layer()).await;
    assert_eq!((answer.status, answer.body.len(), answer.end), (200, 0, End::Whole));
    assert_eq!(range(&stage, &image.layer(), "bytes=0-").await.status, 416);
}
