//! What is kept: lost, locked, forged, on a full disk, and for which repository it counts.

mod disk;
mod lost;
pub(crate) mod state;
mod unknown;
mod upgrades;
mod whose;
