//! Where the files of a TUF repository are read: below one URL, or in one folder.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use pullgate_config::TrustLocation;
use pullgate_verify::refresh::{FetchFault, Repository};

use crate::upstream::{Fault, Files};

/// A TUF repository: metadata at its top, targets under `targets/`.
#[derive(Debug)]
pub(super) enum Mirror {
    Folder(PathBuf),
    Web(Box<Files>),
}

impl Mirror {
    /// # Errors
    /// What is wrong with the URL.
    pub(super) fn at(location: &TrustLocation) -> Result<Self, &'static str> {
        match location {
            TrustLocation::Folder(path) => Ok(Self::Folder(path.clone())),
            TrustLocation::Url(url) => Files::below(url, None).map(|files| Self::Web(Box::new(files))),
        }
    }

    async fn read(&self, name: &str, most: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        match self {
            Self::Folder(folder) => from_disk(&folder.join(name), most),
            Self::Web(files) => match files.read(name, most).await {
                Ok(found) => Ok(found.map(Vec::from)),
                Err(fault) => Err(told(fault)),
            },
        }
    }
}

impl Repository for Mirror {
    async fn metadata(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        self.read(name, bytes_max).await
    }

    async fn target(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        self.read(&format!("targets/{name}"), bytes_max).await
    }
}

/// Only a regular file is read: a pipe would wait for a writer for ever.
pub(super) fn from_disk(path: &std::path::Path, most: u64) -> Result<Option<Vec<u8>>, FetchFault> {
    match fs::metadata(path) {
        Ok(found) if found.is_file() => {}
        Ok(_) => return Err(FetchFault::Unreachable("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(_) => return Err(FetchFault::Unreachable("it cannot be read")),
    }
    let mut bytes = Vec::new();
    let read =
        fs::File::open(path).and_then(|file| file.take(most.saturating_add(1)).read_to_end(&mut bytes));
    match read {
        Ok(_) if bytes.len() as u64 > most => Err(FetchFault::TooLarge),
        Ok(_) => Ok(Some(bytes)),
        Err(_) => Err(FetchFault::Unreachable("it cannot be read")),
    }
}

/// The fault quotes nothing that the mirror sent (A170).
fn told(fault: Fault) -> FetchFault {
    FetchFault::Unreachable(match fault {
        Fault::TooLarge => return FetchFault::TooLarge,
        Fault::Encoding => "it came encoded",
        Fault::Integrity => "it was cut off",
        Fault::RedirectRefused => "a redirect, or an address that is not public",
        Fault::Status(_) => "a status that says nothing",
        Fault::Timeout => "no answer in time",
        Fault::Tls => "TLS failed",
        Fault::Unreachable => "no connection",
        Fault::Internal
        | Fault::NotFound
        | Fault::NotShown
        | Fault::Overload
        | Fault::Protocol
        | Fault::RealmRefused
        | Fault::Unauthorized => "not the answer of a mirror",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a345_a_file_is_read_to_its_limit_and_no_further_and_a_folder_is_none() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("timestamp.json");
        fs::write(&path, [b'x'; 10]).unwrap();
        assert_eq!(from_disk(&path, 10).unwrap().unwrap().len(), 10);
        assert_eq!(from_disk(&path, 9), Err(FetchFault::TooLarge));
        assert_eq!(from_disk(&folder.path().join("none"), 9), Ok(None));
        assert!(matches!(from_disk(folder.path(), 9), Err(FetchFault::Unreachable(_))));
    }
}
