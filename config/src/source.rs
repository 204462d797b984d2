//! Where files come from: the disk, or memory in tests and demonstrations. Nothing else of this crate reads a file.

use std::collections::BTreeMap;
use std::fs;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use zeroize::Zeroize as _;

/// A place with files.
pub trait Source {
    /// Reads a whole file.
    ///
    /// # Errors
    /// [`Unreadable`]: also where it is longer than `most` bytes.
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unreadable>;

    /// The whole path that a name means, for people.
    fn whole(&self, path: &Path) -> PathBuf {
        path.to_owned()
    }
}

/// What a file holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Content {
    /// Its bytes.
    pub bytes: Vec<u8>,
    /// Who may read it.
    pub readers: Readers,
}

impl Drop for Content {
    /// It may be a secret (A548).
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

/// Who may read a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Readers {
    /// Every user of the machine.
    Everybody,
    /// Its owner, and perhaps its group.
    Few,
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// There is none.
    #[error("there is no such file")]
    Missing,
    /// A folder, a pipe or a device.
    #[error("it is not a regular file")]
    NotAFile,
    /// Not a text.
    #[error("it is not UTF-8 text")]
    NotText,
    /// What the system said.
    #[error("{0}")]
    System(String),
    /// Longer than it may be.
    #[error("it is longer than {0} bytes")]
    TooLarge(u64),
}

/// The disk.
#[derive(Debug, Clone, Copy, Default)]
pub struct Disk;

impl Source for Disk {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unreadable> {
        // Asked before it is opened: opening a pipe would wait for a writer, and hang a start or a reload (A403).
        if !fs::metadata(path)?.is_file() {
            return Err(Unreadable::NotAFile);
        }
        let file = fs::File::open(path)?;
        let metadata = file.metadata()?;
        // The whole capacity at once: the old copies of a growing buffer would not be overwritten.
        let length = usize::try_from(metadata.len().min(most)).unwrap_or_default();
        let mut bytes = Vec::with_capacity(length.saturating_add(1));
        file.take(most.saturating_add(1)).read_to_end(&mut bytes)?;
        if bytes.len() as u64 > most {
            return Err(Unreadable::TooLarge(most));
        }
        let readers =
            if metadata.permissions().mode() & 0o004 == 0 { Readers::Few } else { Readers::Everybody };
        Ok(Content { bytes, readers })
    }

    fn whole(&self, path: &Path) -> PathBuf {
        std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
    }
}

impl From<io::Error> for Unreadable {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::NotFound => Self::Missing,
            _ => Self::System(error.to_string()),
        }
    }
}

/// Files in memory, by path.
#[derive(Debug, Clone, Default)]
pub struct Memory(BTreeMap<PathBuf, Content>);

impl Memory {
    /// The same, with one more file that few may read.
    #[must_use]
    pub fn with(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), Content { bytes: bytes.into(), readers: Readers::Few });
        self
    }

    /// The same, with one more file that everybody may read.
    #[must_use]
    pub fn with_open(mut self, path: impl Into<PathBuf>, bytes: impl Into<Vec<u8>>) -> Self {
        self.0.insert(path.into(), Content { bytes: bytes.into(), readers: Readers::Everybody });
        self
    }
}

impl Source for Memory {
    fn read(&self, path: &Path, most: u64) -> Result<Content, Unreadable> {
        let content = self.0.get(path).ok_or(Unreadable::Missing)?;
        if content.bytes.len() as u64 > most { Err(Unreadable::TooLarge(most)) } else { Ok(content.clone()) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a403_what_is_no_file_is_not_opened() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Disk.read(folder.path(), 10), Err(Unreadable::NotAFile));
        assert_eq!(Disk.read(&folder.path().join("none"), 10), Err(Unreadable::Missing));
        let pipe = folder.path().join("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status().unwrap();
        assert!(made.success());
        assert_eq!(Disk.read(&pipe, 10), Err(Unreadable::NotAFile));
    }

    #[test]
    fn a_file_is_read_up_to_its_limit_and_not_beyond() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"0123456789").unwrap();
        assert_eq!(Disk.read(&path, 10).unwrap().bytes, b"0123456789");
        assert_eq!(Disk.read(&path, 9), Err(Unreadable::TooLarge(9)));
        let memory = Memory::default().with("file", "0123456789");
        assert_eq!(memory.read(Path::new("file"), 9), Err(Unreadable::TooLarge(9)));
        assert_eq!(memory.read(Path::new("file"), 10).unwrap().readers, Readers::Few);
    }

    #[test]
    fn a415_a_file_that_everybody_may_read_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs::write(&path, b"x").unwrap();
        for (mode, readers) in [(0o600, Readers::Few), (0o640, Readers::Few), (0o644, Readers::Everybody)] {
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            assert_eq!(Disk.read(&path, 10).unwrap().readers, readers);
        }
    }
}
