//! Blobs: under a grant, whole or in a range, and by whom else they may be had.

pub(crate) mod content;
mod resumed;
mod room;
mod strays;
