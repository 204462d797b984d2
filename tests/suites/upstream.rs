//! Upstreams: challenges, faults, waits and lies, and how often they are asked.

mod as_they_are;
mod canary;
pub(crate) mod challenges;
pub(crate) mod faults;
pub(crate) mod lying;
mod nothing_kept;
mod one_request;
mod waits;
mod whole_costs;
