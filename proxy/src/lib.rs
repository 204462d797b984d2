//! The data path of Pullgate: a registry mirror that only lets signed images through.
//!
//! Start at [`pull`]: one function reads as the list of stages that a manifest goes through.
//!
//! An id such as (A040) in a comment names an attack, the claim that holds against it and its tests;
//! `tests/ATTACKS.md` has the rows.

pub mod admin;
pub mod app;
pub mod audit;
pub mod body;
pub mod cli;
pub mod clients;
pub mod clock;
pub mod data_port;
pub mod flight;
pub mod gate;
pub mod health;
pub mod in_flight;
pub mod live;
pub mod memory;
pub mod metrics;
pub mod places;
pub mod pull;
pub mod range;
pub mod record;
pub mod refusal;
pub mod respond;
pub mod rooms;
pub mod route;
mod seal_key;
pub mod server;
pub mod state;
#[cfg(test)]
mod still;
pub mod store;
pub mod telemetry;
pub mod trust;
pub mod upstream;
pub mod waits;
pub mod workers;
