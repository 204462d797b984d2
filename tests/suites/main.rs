//! A running gate before an upstream in the same process: each test is a claim about what a client gets, and each accept
//! has its refuse beside it. `tests/ATTACKS.md` maps attack ids to these tests.
#![expect(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::string_slice,
    reason = "a helper of a test may fail as the test itself may"
)]

mod audit;
mod blob;
mod clients;
mod evidence;
mod index;
mod listing;
mod manifest;
mod operators;
mod policy;
mod process;
mod replay;
mod stage;
mod store;
mod upstream;
mod wire;
