//! Transfers go on: what breaks, waits or is asked for in parts costs no pull.

use pullgate_tests::asking::{Answer, End};

mod breaks;
mod crowded;
mod leaving;
mod parts;
mod waits;

#[track_caller]
fn assert_whole(answer: &Answer, bytes: &[u8]) {
    assert_eq!((answer.status, answer.end, answer.body.len()), (200, End::Whole, bytes.len()));
    assert!(answer.body == bytes);
}

#[track_caller]
fn assert_never_whole(answer: &Answer) {
    assert!(answer.status == 503 || answer.end == End::Cut, "{} {:?}", answer.status, answer.end);
}
