//! One fault at a time, with a certificate authority, a log and keys of the test's own.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a helper of a test may fail as the test itself may"
)]

mod anchors;
mod ask;
mod attached;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/borrowed.rs"]
mod borrowed;
mod certificates;
mod clocks;
mod envelopes;
mod honest;
mod keys;
mod logs;
mod loose;
mod named;
#[expect(dead_code, unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/notation.rs"]
mod notary;
mod notation;
mod notes;
mod older;
mod own_pki;
mod pki;
mod scts;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/skip.rs"]
mod skip;
mod stale;
mod stamp;
mod stamps;
mod suites;
mod tiles;
