//! Real clients pull through a running gate: what is signed arrives, what is not is refused in words that the client
//! itself shows, and nobody goes around. What is not installed here is skipped by name (`tests/src/clients/skip.rs`).

mod buildah;
mod conformance;
mod containerd;
mod cosign;
mod crane;
mod docker;
mod loads;
mod oras;
mod podman;
mod private_ca;
mod secured;
mod skopeo;
mod stage;
mod unpack;
