//! The pull log: one JSON line and one row for each answer about a manifest, each refused blob and each reload. Fields are
//! documented in `proxy/README.md`; their schema is `proxy/schema/audit.schema.json`.
//!
//! Attack ids in comments (A606) are rows of `tests/ATTACKS.md`. Nothing here knows of HTTP.

mod audit;
mod chain;
mod counters;
mod database;
mod exported;
mod facts;
mod fault;
mod hash;
mod id;
mod key;
pub mod limits;
mod lines;
mod log;
pub mod note;
mod queues;
pub mod read;
mod record;
mod status;
mod taken;
mod tally;
pub mod texts;
pub mod verify;
pub mod vsa;
mod waits;
mod writer;

pub use audit::{Around, Audit, Refused};
pub use counters::Counters;
pub use database::{ImportError, Imported, import};
pub use exported::Exported;
pub use facts::Facts;
pub use fault::{StartError, Unwritable};
pub use hash::{Hash, hash};
pub use id::DecisionId;
pub use key::{KeyError, LogKey, PublicKey, host};
pub use record::{Client, Failed, Identity, Kind, Reason, Record, Signer, Word};
pub use waits::Waits;
