//! The data path of Pullgate: a registry mirror that only lets signed images through.
//!
//! Start at [`pull`]: one function reads as the list of stages that a manifest goes through.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

pub mod accept;
pub mod admin;
pub mod app;
pub mod cli;
pub mod clients;
pub mod compute_pool;
pub mod effort;
pub mod evidence_budget;
pub mod health;
pub mod http;
pub mod limits;
pub mod live;
pub mod memory;
pub mod metrics;
pub mod pages;
pub mod pull;
pub mod refusal;
pub mod report;
pub mod route;
mod seal_key;
pub mod server;
pub mod shadow;
pub mod signers;
pub mod slots;
pub mod state;
#[cfg(test)]
#[path = "../upstream/src/still.rs"]
mod still;
pub mod stories;
pub mod telemetry;
mod tls;
pub mod trust;
pub mod waits;

pub use pullgate_audit as audit;
pub use pullgate_store as store;
pub use pullgate_store::clock;
pub use pullgate_upstream as upstream;
