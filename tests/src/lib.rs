//! What the tests stand on: an upstream that can do anything wrong, a gate in the same process, images and signatures of
//! their own, and real clients.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

pub mod amplify;
pub mod asking;
pub mod audit_schema;
#[expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a helper of tests: a corpus that is named and cannot be read is a failure"
)]
pub mod borrowed;
pub mod clients;
pub mod conformance;
pub mod differ;
pub mod fuzz;
pub mod gate_in_process;
pub mod hostile;
pub mod issuer;
pub mod kills;
pub mod loopback;
pub mod made;
pub mod mutants;
#[expect(clippy::unwrap_used, reason = "a helper of tests may fail as the test itself may")]
pub mod notation;
pub mod polyglot;
pub mod random;
pub mod signing;
pub mod skip;
pub mod tuf;
pub mod upstream;
pub mod waiting;
