//! What the tests stand on: an upstream that can do anything wrong, a gate in the same process, images and signatures of
//! their own, and real clients.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

pub mod amplify;
pub mod asking;
pub mod clients;
pub mod conformance;
pub mod differ;
pub mod fuzz;
pub mod gate_in_process;
pub mod hostile;
pub mod issuer;
pub mod kills;
pub mod made;
pub mod mutants;
pub mod polyglot;
pub mod random;
pub mod signing;
pub mod tuf;
pub mod upstream;
pub mod waiting;
