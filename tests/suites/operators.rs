//! What operators read and write: their mistakes, health and metrics, and the examples in the documents.

mod admin;
mod documented;
mod mistakes;
mod pages;
