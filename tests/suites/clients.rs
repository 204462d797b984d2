//! Clients: who may pull what, and those that are slow or leave.

mod issuers;
mod leaving;
mod rights;
pub(crate) mod slow;
pub(crate) mod tokens;
