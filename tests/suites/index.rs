//! Indexes, and what a permit for one of them grants.

mod children;
mod grants;
