//! What the measurements share.

pub mod bare;
pub mod evidence;
pub mod verdict;
