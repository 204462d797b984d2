//! Trust roots from a TUF repository (The Update Framework, specification 1.0.34, section 5).
//!
//! [`refresh`] goes from a pinned root, and from what was kept of the last refresh, to the trusted root of today: all of
//! it, or a [`RefreshFault`] and nothing. It asks a [`Repository`] for files and reads no clock: `now` is an argument.
//! Besides `backend` this is the only module that names the library below it.

use jiff::Timestamp;

mod chain;
mod fault;
mod keys;
mod name;
mod repository;
mod search;
mod update;
mod verified;

pub use chain::Anchor;
pub use fault::{FetchFault, RefreshFault};
pub use name::TargetName;
pub use repository::Repository;
pub use verified::{VerifiedRefresh, Versions};

/// What a refresh starts from.
#[derive(Debug)]
pub struct Refresh<'a, R> {
    /// The root that the operator pinned.
    pub anchor: &'a Anchor,
    /// What the last refresh left: the floor under every version.
    pub kept: Option<&'a VerifiedRefresh>,
    /// Where the files are.
    pub repository: &'a R,
    /// The file that is wanted.
    pub target: TargetName,
    /// What expiry is measured by.
    pub now: Timestamp,
}

/// Brings a trusted root up to date.
///
/// # Errors
/// [`RefreshFault`] names the first thing that was wrong; then what was kept stays as it is, whole (A341).
pub async fn refresh<R: Repository>(order: &Refresh<'_, R>) -> Result<VerifiedRefresh, RefreshFault> {
    let newest = chain::walk(order).await?;
    update::below(order, newest).await
}
