//! Evidence: where it is found, what counts of it, and what of it leaves.

mod archives;
mod borrowed;
mod conformance;
mod crowd;
mod hidden;
mod layouts;
mod looks;
mod notation;
mod passing;
mod payloads;
mod recorded;
pub(crate) mod subject;
mod too_much;
mod vouched;
