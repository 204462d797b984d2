//! The store of the gate: sealed records, bytes by digest, blobs. It can lose anything and invent nothing.
//!
//! Records are opaque here: [`pullgate_policy::seal`] made them and only it can open them (A504). Bytes are named by
//! their digest and hashed again before they count (A505, A506). So a hand that edits the folder can cost work, not trust.
//!
//! Attack ids in comments (A504) are rows of `tests/ATTACKS.md`. Nothing here knows of registries, HTTP or verdicts.

pub mod blobs;
pub mod clock;
mod condition;
mod copy;
pub mod db;
pub mod descriptors;
pub mod documents;
mod files;
pub mod folder;
pub mod limits;
mod loss;
pub mod sqlite;
mod store;
pub mod unknown;
mod waits;

pub use blobs::{BlobBody, BlobFault, BlobSeries, Blobs, Reader};
pub use condition::Condition;
pub use db::{
    Availability, Bounds, Database, DatabaseError, GrantRank, GrantRow, Grants, RecordKey, RecordKind,
    SealKey, StoreSeries, TagKey, TagSeen, Worth,
};
pub use documents::{Documents, Fill};
pub use folder::{FolderError, StateFolder};
pub use store::{Store, StoreError};
pub use unknown::{Known, OrAnew, Unknown};
pub use waits::Waits;
