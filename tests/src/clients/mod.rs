//! Real parts: registries, clients and signing tools as they are installed, and the gate as it is built, each a process
//! of its own on loopback. Everything that is started is stopped, by process id, when its value is dropped.
//!
//! What is not installed is skipped by name: see [`crate::skip`] for the protocol with `tests/run`.

pub mod conformance;
pub mod containerd;
pub mod containers;
pub mod content;
pub mod cosign;
pub mod dockerd;
pub mod forwarder;
pub mod gate;
pub mod http;
pub mod image;
pub mod notation;
pub mod oci_tools;
pub mod process;
pub mod registry;
pub mod skip;
pub mod tool;

pub use containerd::Containerd;
pub use containers::{Containers, Trust};
pub use content::Content;
pub use dockerd::Dockerd;
pub use forwarder::Forwarder;
pub use gate::{Gate, Port, Settings};
pub use process::Outcome;
pub use registry::{ReferrersRegistry, Registry};
pub use skip::have;
