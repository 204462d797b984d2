//! Trust roots from a TUF repository (The Update Framework, specification 1.0.34, section 5).
//!
//! [`refresh`] goes from a pinned root and the kept result of the last refresh to the current trusted root: the whole
//! of it, or a [`RefreshFault`] and no change. It asks a [`Repository`] for files and reads no clock: `now` is an
//! argument. Besides `backend` this is the only module that names the library below it.

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
    /// The result of the last refresh: no version may be lower.
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
/// [`RefreshFault`] names the first thing that was wrong; then the kept result stays in force, unchanged (A341).
pub async fn refresh<R: Repository>(order: &Refresh<'_, R>) -> Result<VerifiedRefresh, RefreshFault> {
    let newest = chain::walk(order).await?;
    update::below(order, newest).await
}
