//! Broken blob transfers: they continue where they ended, and the client does not notice.

use pullgate::upstream::limits;
use pullgate_tests::asking::{End, ask};
use pullgate_tests::upstream::{Fault, When};

use crate::stage::Stage;

const LENGTH: usize = 600_000;

/// The ranges that the upstream was asked for.
fn ranges(stage: &Stage, path: &str) -> Vec<Option<String>> {
    let seen = stage.upstream.seen();
    let of_blob = seen.iter().filter(|seen| seen.method == "GET" && seen.target == path);
    of_blob.map(|seen| Some(seen.headers.get("range")?.to_str().unwrap().to_owned())).collect()
}

#[tokio::test]
async fn a103_a_broken_transfer_goes_on_by_range_and_the_client_gets_all_of_it() {
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&path).times(2), Fault::Cut(250_000));
    let answer = ask(stage.gate.data, "GET", &path, &[]).await;
    assert_eq!((answer.status, answer.end), (200, End::Whole));
    assert!(answer.body == image.blobs[1]);
    let asked = ranges(&stage, &path);
    assert_eq!(asked.len(), 3, "{asked:?}");
    assert!(
        asked[0].is_none()
            && asked[1..].iter().all(|range| range.as_ref().is_some_and(|range| range != "bytes=0-"))
    );
    // It is kept: nothing more is asked for.
    stage.upstream.forget();
    assert_eq!(ask(stage.gate.data, "GET", &path, &[]).await.end, End::Whole);
    assert!(ranges(&stage, &path).is_empty());
}

#[tokio::test]
async fn a102_a_wrong_byte_in_what_goes_on_is_never_a_complete_answer() {
    let (stage, _, path) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
    stage.upstream.fail(When::on(&path), Fault::Flip(-1));
    let answer = ask(stage.gate.data, "GET", &path, &[]).await;
    assert_ne!((answer.status, answer.end), (200, End::Whole));
}

#[tokio::test]
async fn a103_a_transfer_that_breaks_again_and_again_ends_and_leaves_nothing() {
    let (stage, _, path) = Stage::with_layer_of(LENGTH).await;
    stage.upstream.fail(When::on(&path), Fault::Cut(10_000));
    let answer = ask(stage.gate.data, "GET", &path, &[]).await;
    assert_ne!((answer.status, answer.end), (200, End::Whole));
    assert_eq!(ranges(&stage, &path).len(), 1 + limits::BLOB_RESUMES as usize);
    assert_eq!(stage.gate.app().store.blobs().used(), 0);
}
