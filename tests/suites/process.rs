//! The gate as a process: signals, memory, processors, panics.

mod amplified;
mod cost;
mod fuzzed;
mod memory;
mod panics;
mod read_as_json;
mod signals;
mod wearing;
