//! What people who run mirrors, and people who sign, report: each kind by its rule, with a scripted upstream or a layout of
//! our own, beside its hostile neighbour, which is refused as ever.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as the test itself may"
)]

mod attested;
mod exempt;
mod signing;
#[path = "../suites/stage.rs"]
#[expect(dead_code, reason = "the suites use more of it")]
mod stage;
mod transfers;
