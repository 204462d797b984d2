//! The data port and all that is HTTP on it: connections and their limits, one request from its line to its answer, and
//! its record.
//!
//! [`handler`] reads as one request; what may leave is decided in [`pull`](crate::pull), which knows nothing of HTTP.

mod answer;
pub mod body;
mod crowd;
mod forwarded;
pub mod handler;
mod head_timeout;
pub mod listen;
mod listing;
mod pulse;
pub mod range;
pub mod record;
pub mod respond;
mod write_timeout;

pub use listen::serve;
