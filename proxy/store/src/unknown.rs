//! The third answer of a store: it could not say.
//!
//! An absent record is a *no* for grants, and for everything else that a pull may rest on; a read that was slow,
//! failed, or met no database does not mean absent (A603). So a read has three outcomes, and the type makes its caller
//! handle each:
//!
//! ```compile_fail,E0308
//! use pullgate_store::Database;
//! use pullgate_policy::oci::{Digest, Repository};
//! async fn is_granted(database: &Database, repository: &Repository, child: &Digest) -> bool {
//!     let grants: Vec<_> = database.grants_for(repository, child).await;
//!     !grants.is_empty()
//! }
//! ```
//! Only the store can make this answer:
//! ```compile_fail,E0423
//! let made_up = pullgate_store::Unknown(());
//! ```
//! It becomes UNDECIDED (`storage`), which `on_undecided` never softens, and nothing else.

/// The store could not say whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the store could not be read")]
pub struct Unknown(());

/// An answer of the store, if it could be read.
pub type Known<T> = Result<T, Unknown>;

impl Unknown {
    /// A read that did not come to its end.
    pub(super) const fn read() -> Self {
        Self(())
    }
}

/// For reads whose missing row costs work and does not mean *no*: an unknown value is asked for or decided anew.
pub trait OrAnew<T> {
    /// Takes unknown for absent.
    fn or_anew(self) -> Option<T>;
}

impl<T> OrAnew<T> for Known<Option<T>> {
    fn or_anew(self) -> Option<T> {
        self.unwrap_or_else(|Unknown(())| None)
    }
}
