//! The gate as a process: signals, memory, processors, panics.

mod amplified;
mod cost;
mod fuzzed;
pub(crate) mod memory;
mod panics;
mod read_as_json;
mod restarts;
pub(crate) mod signals;
mod wearing;
