//! stub

pub mod clients;
