//! Blobs that are asked for in parts, or only for their size.

use std::fs;

use pullgate_tests::asking::{Answer, End, ask};
use pullgate_tests::made::Made;
use pullgate_tests::upstream::{Fault, When};

use super::{assert_never_whole, assert_whole};
use crate::stage::{KEYED, Stage, assert_denied, assert_serves, blob};

const LENGTH: usize = 4 << 20;
const PART: usize = 512 << 10;

/// A stage whose cache is smaller than its permitted layer.
async fn too_large() -> (Stage, Made, String) {
    let stage = Stage::with(KEYED, |setup| setup.cache("blobs_max = \"1MiB\"")).await;
    let image = Made::image_of_bytes(LENGTH);
    image.tag(&stage.upstream, "org/app", "v1");
    stage.sign("org/app", &image);
    assert_serves(&stage.manifest("org/app", "v1").await, &image);
    let path = blob("org/app", &image.layer());
    (stage, image, path)
}

/// All parts, beside each other.
async fn parts(stage: &Stage, path: &str) -> Vec<Answer> {
    let one = |n: usize| {
        let (address, target) = (stage.gate.data, path.to_owned());
        let range = format!("bytes={}-{}", n * PART, (n + 1) * PART - 1);
        tokio::spawn(async move { ask(address, "GET", &target, &[("range", &range)]).await })
    };
    let asked: Vec<_> = (0..LENGTH / PART).map(one).collect();
    let mut answers = Vec::new();
    for one in asked {
        answers.push(one.await.unwrap());
    }
    answers
}

/// Rule: ranges and readers of a blob share one transfer, also where it is larger than the cache; no request costs one of
/// its own.
#[tokio::test]
async fn a508_ranges_of_a_blob_over_blobs_max_cost_one_transfer() {
    let (stage, image, path) = too_large().await;
    let answers = parts(&stage, &path).await;
    assert!(answers.iter().all(|answer| (answer.status, answer.end) == (206, End::Whole)));
    assert!(answers.iter().flat_map(|answer| answer.body.to_vec()).eq(image.blobs[1].iter().copied()));
    // One after the other, too, and the whole.
    assert_whole(&stage.gate.get(&path).await, &image.blobs[1]);
    assert_eq!(stage.upstream.count(&format!("GET {path}")), 1);
    assert_eq!(stage.gate.app().store.blobs().used(), 0, "it is not kept");
    // Its hostile neighbour.
    let (stage, _, path) = too_large().await;
    stage.upstream.fail(When::on(&path), Fault::Flip(-1));
    let answers = parts(&stage, &path).await;
    assert!(answers.iter().all(|answer| answer.end == End::Cut || answer.status == 503));
}

/// More than there is memory for, where no file can be had.
const BEYOND_MEMORY: usize = (pullgate::store::limits::BLOBS_MEMORY_BYTES + 1) as usize;

/// A stage whose state folder takes no file.
async fn without_files(length: usize) -> (Stage, Made, String) {
    let (stage, image, path) = Stage::with_layer_of(length).await;
    let tmp = stage.gate.path("state/tmp");
    fs::remove_dir_all(&tmp).unwrap();
    fs::write(&tmp, b"in the way").unwrap();
    (stage, image, path)
}

/// Rule: on a full disk, too, those who ask at once share one transfer; a range of what is too large for memory is answered
/// by the whole, in one stream, and costs one transfer and not one for each range.
#[tokio::test]
async fn a501_without_a_file_nodes_share_memory_and_beyond_it_a_range_gets_the_whole() {
    let (stage, image, path) = without_files(LENGTH).await;
    let answers = parts(&stage, &path).await;
    assert!(answers.iter().flat_map(|answer| answer.body.to_vec()).eq(image.blobs[1].iter().copied()));
    assert_eq!(stage.upstream.count(&format!("GET {path}")), 1);
    for (fault, whole) in [(None, true), (Some(Fault::Flip(-1)), false)] {
        let (stage, image, path) = without_files(BEYOND_MEMORY).await;
        if let Some(fault) = fault {
            stage.upstream.fail(When::on(&path), fault);
        }
        let answer = stage.gate.get_with(&path, &[("range", "bytes=1000-1999")]).await;
        if whole {
            assert_whole(&answer, &image.blobs[1]);
            assert_eq!(stage.upstream.count(&format!("GET {path}")), 1);
        } else {
            assert_never_whole(&answer);
        }
    }
}

/// Rule: HEAD costs a HEAD at most. The grant has the size; bytes of another are not served.
#[tokio::test]
async fn a104_head_of_a_cold_blob_is_answered_by_its_grant_and_begins_no_transfer() {
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    for _ in 0..3 {
        let answer = stage.gate.head(&path).await;
        let length = LENGTH.to_string();
        assert_eq!((answer.status, answer.header("content-length")), (200, Some(length.as_str())));
        assert_eq!(answer.header("docker-content-digest"), Some(image.layer().as_str()));
    }
    assert_eq!((stage.upstream.count(&format!("GET {path}")), stage.upstream.count(&path)), (0, 1));
    // Its neighbours: without a grant, not there, of another length, and an upstream that cannot be asked.
    let unsigned = stage.unsigned("org/app", "bad");
    assert_denied(&stage.manifest("org/app", "bad").await);
    assert_eq!(stage.gate.head(&blob("org/app", &unsigned.layer())).await.status, 403);
    for (fault, status) in [
        (Fault::Header("content-length", (LENGTH - 1).to_string()), 200),
        (Fault::Header("content-length", "0".to_owned()), 200),
        (Fault::Status(500), 503),
        (Fault::Status(404), 404),
    ] {
        let (stage, _, path) = Stage::with_layer_of(LENGTH).await;
        stage.upstream.fail(When::on(&path), fault);
        let head = stage.gate.head(&path).await;
        assert_eq!(head.status, status);
        if status == 200 {
            assert_eq!(head.header("content-length"), Some(LENGTH.to_string().as_str()));
        }
        assert_ne!(stage.gate.get(&path).await.status, 200);
    }
}
