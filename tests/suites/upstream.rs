//! Upstreams: challenges, faults, waits and lies, and how often they are asked.

mod canary;
mod challenges;
mod faults;
mod lying;
mod nothing_kept;
mod one_request;
mod waits;
mod whole_costs;
