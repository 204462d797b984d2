//! Links that break: what counts is whether each connection brings the transfer further.

use pullgate::upstream::limits;
use pullgate_tests::asking::ask;
use pullgate_tests::upstream::{Fault, RangeAnswer, When};

use super::{assert_never_whole, assert_whole};
use crate::stage::Stage;

const LENGTH: usize = 600_000;
const PROGRESS: usize = limits::BLOB_PROGRESS_BYTES as usize;

/// A stage, the bytes of a permitted layer, and its path.
async fn layer() -> (Stage, Vec<u8>, String) {
    let (stage, image, path) = Stage::with_layer_of(LENGTH).await;
    (stage, image.blobs[1].clone(), path)
}

fn gets(stage: &Stage, path: &str) -> usize {
    stage.upstream.count(&format!("GET {path}"))
}

/// Rule: a link that ends every transfer is no reason to give up while each brings some of it; one that brings less than
/// `blob_progress_bytes` each time is left after `blob_resumes`.
#[tokio::test]
async fn a103_breaks_with_progress_are_not_counted_and_those_without_are() {
    for (each, whole) in [(PROGRESS, true), (PROGRESS - 1, false)] {
        let (stage, bytes, path) = layer().await;
        stage.upstream.fail(When::on(&path), Fault::Cut(each));
        let answer = ask(stage.gate.data, "GET", &path, &[]).await;
        if whole {
            assert_whole(&answer, &bytes);
            assert_eq!(gets(&stage, &path), LENGTH.div_ceil(each));
            assert!(stage.upstream.sent() < LENGTH as u64 * 3 / 2, "{} bytes", stage.upstream.sent());
        } else {
            assert_never_whole(&answer);
            assert_eq!(gets(&stage, &path), 1 + limits::BLOB_RESUMES as usize);
        }
    }
}

/// Rule: a transfer without an announced length is as long as the manifest says, and goes on like any other.
#[tokio::test]
async fn a103_a_blob_in_chunks_goes_on_for_the_manifest_says_how_long_it_is() {
    let (stage, bytes, path) = layer().await;
    stage.upstream.fail(When::on(&path), Fault::WithoutHeader("content-length"));
    stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
    assert_whole(&ask(stage.gate.data, "GET", &path, &[]).await, &bytes);
    assert_eq!(gets(&stage, &path), 2);
    for hostile in [Fault::Surplus(1), Fault::Endless(0), Fault::Flip(-1)] {
        let (stage, _, path) = layer().await;
        stage.upstream.fail(When::on(&path), hostile);
        stage.upstream.fail(When::on(&path), Fault::WithoutHeader("content-length"));
        assert_never_whole(&ask(stage.gate.data, "GET", &path, &[]).await);
        assert_eq!(stage.gate.app().store.blobs().used(), 0);
    }
}

/// Rule: every honest answer to a request for the rest is gone on with.
#[tokio::test]
async fn a103_the_rest_is_taken_in_every_honest_form() {
    for answer in [
        RangeAnswer::AtMost(100_000),
        RangeAnswer::Sooner(1_000),
        RangeAnswer::UnknownLength,
        RangeAnswer::Unplaced,
        RangeAnswer::Whole,
    ] {
        let (stage, bytes, path) = layer().await;
        stage.upstream.fail(When::on(&path), Fault::OfRange(answer));
        stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
        assert_whole(&ask(stage.gate.data, "GET", &path, &[]).await, &bytes);
        let asked = if answer == RangeAnswer::AtMost(100_000) { 5 } else { 2 };
        assert_eq!(gets(&stage, &path), asked, "{answer:?}");
    }
}

/// Rule: who refuses a range is asked for the whole once, and what came is left out of it.
#[tokio::test]
async fn a103_where_a_range_is_refused_the_whole_is_asked_for_once() {
    for status in [400, 401, 403, 405, 416, 501] {
        let (stage, bytes, path) = layer().await;
        stage.upstream.fail(When::on(&path), Fault::OfRange(RangeAnswer::Status(status)));
        stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
        assert_whole(&ask(stage.gate.data, "GET", &path, &[]).await, &bytes);
        assert_eq!(gets(&stage, &path), 3, "{status}");
        // Its neighbour breaks off each time: once is not for ever.
        let (stage, _, path) = layer().await;
        stage.upstream.fail(When::on(&path), Fault::OfRange(RangeAnswer::Status(status)));
        stage.upstream.fail(When::on(&path), Fault::Cut(250_000));
        assert_never_whole(&ask(stage.gate.data, "GET", &path, &[]).await);
        assert_eq!(gets(&stage, &path), 3, "{status}");
    }
}

/// The hostile neighbours: another place, another length, another byte.
#[tokio::test]
async fn a102_a_rest_that_lies_is_never_a_whole_answer() {
    for (name, says) in [
        ("content-range", "bytes 250001-599999/600000"),
        ("content-range", "bytes 250000-599999/600001"),
        ("content-range", "bytes 0-9/600000"),
        ("content-length", "1"),
    ] {
        let (stage, _, path) = layer().await;
        stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
        // What has no range is cut off, too: there is no way round the lie.
        stage.upstream.fail(When::on(&path), Fault::Cut(300_000));
        stage.upstream.fail(When::on(&path), Fault::Header(name, says.to_owned()));
        assert_never_whole(&ask(stage.gate.data, "GET", &path, &[]).await);
    }
    for answer in
        [RangeAnswer::Whole, RangeAnswer::UnknownLength, RangeAnswer::Unplaced, RangeAnswer::Sooner(9)]
    {
        let (stage, _, path) = layer().await;
        stage.upstream.fail(When::on(&path), Fault::OfRange(answer));
        stage.upstream.fail(When::on(&path).times(1), Fault::Cut(250_000));
        stage.upstream.fail(When::on(&path), Fault::Flip(-1));
        assert_never_whole(&ask(stage.gate.data, "GET", &path, &[]).await);
        assert_eq!(stage.gate.app().store.blobs().used(), 0, "{answer:?}");
    }
}
