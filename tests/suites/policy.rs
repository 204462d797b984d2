//! The policy, and the trust that it rests on: reloads, revisions, and ways around it.

mod canary;
mod doors;
mod reload;
mod revisions;
mod trust_tables;
mod whole_claims;
mod words;
