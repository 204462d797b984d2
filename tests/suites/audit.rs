//! The pull log, and all else that leaves besides content.

mod output;
mod records;
mod stories;
