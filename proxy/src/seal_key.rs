//! Whether the seal key is the one that the store was sealed with (A618).
//!
//! A writer in `state` who does not know the key could replace it and seal records of his own. A key other than that of the
//! rows is reported and not used: the process continues with a secret of its own, under which no stored record counts.

use std::path::{Path, PathBuf};

use pullgate_policy::oci::Digest;
use pullgate_policy::seal::Seal;

use crate::health::Condition;
use crate::store::folder::{self, SealKeyError};
use crate::store::{SealKey, Store};

/// The file that the key is in, and what became of it.
#[derive(Debug, Clone)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// Its content at the start, if it existed.
    held: Option<Digest>,
    at_start: SealKey,
}

/// The seal that counts in this process: of this key, unless the store was sealed with another.
///
/// # Errors
/// [`SealKeyError::Random`].
pub(crate) async fn seal(
    store: &Store,
    path: &Path,
    key: &[u8; 32],
) -> Result<(Seal, KeyFile), SealKeyError> {
    let file = |at_start| KeyFile { path: path.to_owned(), held: held(path), at_start };
    match store.database().sealed_by(&Seal::fingerprint(key)).await {
        SealKey::Own => Ok((Seal::new(key), file(SealKey::Own))),
        SealKey::Another => {
            tracing::error!(
                file = %path.display(),
                "the seal key is not the one that cache.db was sealed with: it is not used, and nothing that is remembered counts. \
                 Put the right one back, or stop the gate and remove cache.db"
            );
            Ok((Seal::new(&folder::random_key()?), file(SealKey::Another)))
        }
    }
}

/// The digest of the file's bytes: enough to see that it is another one.
fn held(path: &Path) -> Option<Digest> {
    std::fs::read(path).ok().map(|bytes| Digest::of(&bytes))
}

impl KeyFile {
    /// What `/readyz` says of it. Pulls are judged all the same.
    pub(crate) fn condition(&self) -> Condition {
        let why = match self.at_start {
            SealKey::Another => {
                "the seal key is not the one that cache.db was sealed with: nothing that is remembered counts"
            }
            SealKey::Own if self.held.is_some() && held(&self.path) != self.held => {
                "the file of the seal key was changed since the start: the next start would not believe the stored records"
            }
            SealKey::Own => return Condition::Good,
        };
        Condition::Degraded(why.to_owned())
    }
}
