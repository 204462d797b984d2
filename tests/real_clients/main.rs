//! Real clients pull through a running gate: what is signed arrives, what is not is refused in words that the client
//! itself shows, and nobody goes around. What is not installed here is skipped by name (`tests/src/clients/skip.rs`).

mod around;
mod buildah;
mod builders;
mod conformance;
mod containerd;
mod containerd_two;
mod cosign;
mod crane;
mod docker;
mod helm;
mod loads;
mod notation;
mod oras;
mod pages;
mod podman;
mod private_ca;
mod regctl;
mod secured;
mod skopeo;
mod stage;
mod unpack;
