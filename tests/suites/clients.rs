//! Clients: who may pull what, and those that are slow or leave.

mod issuers;
mod leaving;
mod rights;
mod slow;
mod tokens;
