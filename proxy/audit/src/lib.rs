//! The pull log: one JSON line and one row for each answer about a manifest, each refused blob and each reload. Fields are
//! documented in `proxy/README.md`; their schema is `proxy/schema/audit.schema.json`.
//!
//! Attack ids in comments (A606) are rows of `tests/ATTACKS.md`. Nothing here knows of HTTP.

mod audit;
mod counters;
mod database;
mod facts;
mod fault;
mod id;
pub mod limits;
mod lines;
mod log;
mod queues;
pub mod read;
mod record;
mod status;
mod taken;
mod tally;
mod waits;
mod writer;

pub use audit::{Around, Audit, Refused};
pub use counters::Counters;
pub use facts::Facts;
pub use fault::{StartError, Unwritable};
pub use id::DecisionId;
pub use record::{Client, Failed, Kind, Reason, Record, Signer, Word};
pub use waits::Waits;
