//! Policies of other systems, imported and judged by: nothing that the original refuses is permitted.
#![expect(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a helper of a test may fail as the test itself may"
)]

#[expect(unreachable_pub, reason = "the file belongs to a library")]
#[path = "../../../tests/src/skip.rs"]
mod skip;

mod connaisseur;
mod containers;
mod corpus;
mod documented;
mod judge;
mod kyverno;
mod notation;
mod properties;
mod sigstore;
mod transcript;
