//! Trust roots from TUF repositories: of other projects, as they recorded them, and of this test's own, one fault at a
//! time.
#![expect(
    clippy::disallowed_methods,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test reads its fixtures, and its helpers may fail as the test itself may"
)]

#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/borrowed.rs"]
mod borrowed;
mod bounds;
mod files;
mod forge;
mod kept;
mod recorded;
mod roots;
#[expect(unreachable_pub, reason = "the crate of tests shows it to its suites")]
#[path = "../../../../tests/src/skip.rs"]
mod skip;
mod versions;
