//! Where the files of a TUF repository come from.

use std::collections::BTreeMap;

use pullgate_policy::limits;
use pullgate_policy::strict_json::{self, JsonFault};

use super::fault::{FetchFault, RefreshFault};

/// A TUF repository. Both answer `None` where there is no such file, and read no more than `bytes_max` bytes.
pub trait Repository: Sync {
    /// The metadata file of this name, which is one component.
    fn metadata(
        &self,
        name: &str,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, FetchFault>> + Send;

    /// The target file of this name, whose components are harmless.
    fn target(
        &self,
        name: &str,
        bytes_max: u64,
    ) -> impl Future<Output = Result<Option<Vec<u8>>, FetchFault>> + Send;
}

/// A file of a repository, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct File {
    pub(super) name: String,
    pub(super) bytes: Vec<u8>,
}

/// Reads a metadata file if there is one. A repository that reads more than it should is not believed either (A345).
pub(super) async fn metadata<R: Repository>(
    repository: &R,
    name: &str,
    bytes_max: u64,
) -> Result<Option<File>, RefreshFault> {
    let read =
        repository.metadata(name, bytes_max).await.map_err(|fault| RefreshFault::fetching(name, fault))?;
    bounded(name, read, bytes_max)
}

/// Reads a target file if there is one.
pub(super) async fn target<R: Repository>(
    repository: &R,
    name: &str,
    bytes_max: u64,
) -> Result<Option<File>, RefreshFault> {
    let read =
        repository.target(name, bytes_max).await.map_err(|fault| RefreshFault::fetching(name, fault))?;
    bounded(name, read, bytes_max)
}

fn bounded(name: &str, read: Option<Vec<u8>>, bytes_max: u64) -> Result<Option<File>, RefreshFault> {
    match read {
        Some(bytes) if bytes.len() as u64 > bytes_max => {
            Err(RefreshFault::fetching(name, FetchFault::TooLarge))
        }
        // The library keeps every value that it does not know (A602).
        Some(bytes) if strict_json::fits(&bytes, limits::JSON_MEMORY) == Err(JsonFault::Values) => {
            Err(RefreshFault::fetching(name, FetchFault::TooLarge))
        }
        Some(bytes) => Ok(Some(File { name: name.to_owned(), bytes })),
        None => Ok(None),
    }
}

/// A repository in memory: the kept files of a refresh. It never waits.
#[derive(Debug, Default)]
pub(super) struct AtHand {
    pub(super) metadata: BTreeMap<String, Vec<u8>>,
    pub(super) target: Vec<u8>,
}

impl Repository for AtHand {
    async fn metadata(&self, name: &str, _: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        Ok(self.metadata.get(name).cloned())
    }

    async fn target(&self, _: &str, _: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        Ok(Some(self.target.clone()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a602_metadata_whose_values_take_more_than_is_read_is_too_large() {
        for (bytes, whole) in [(64 * 1024, true), (1024 * 1024, false)] {
            let text = format!("[{}]", vec![r#"{"a":0}"#; bytes / 8].join(","));
            let read = bounded("targets.json", Some(text.into_bytes()), limits::TUF_TARGETS_BYTES);
            assert_eq!(read.map(|file| file.is_some()).unwrap_or(false), whole, "{bytes}");
        }
    }
}
