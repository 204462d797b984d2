//! The vocabulary of a pull, the policy, and the one pure function that decides.
//!
//! Nothing here reads a file, a socket or the clock: bytes, evidence, policy and time come in, a verdict goes out.
//! [`decide::judge`] is the place to start reading.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.
#![warn(clippy::wildcard_enum_match_arm)]

pub mod code;
pub mod content;
pub mod decide;
pub mod evidence;
pub mod expression;
pub mod forge;
pub mod grant;
pub mod identity;
pub mod limits;
pub mod oci;
pub mod policy;
pub mod provenance;
pub mod readers;
pub mod scope;
pub mod seal;
pub mod strict_cbor;
pub mod strict_json;
pub mod text;
pub mod time;
pub mod verdict;
