//! Shared parts of the measurements.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

pub mod bare;
pub mod evidence;
pub mod verdict;
