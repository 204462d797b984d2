//! The last good copies on disk, one file for each table. A copy is verified again from the pinned root when it is read
//! (A504).

use std::fs::{self, DirBuilder};
use std::io::{self, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use aws_lc_rs::digest;
use jiff::Timestamp;
use pullgate_config::TrustRefresh;
use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_verify::refresh::{RefreshFault, VerifiedRefresh};

use super::mirror::from_disk;

/// The folder of the copies.
#[derive(Debug, Clone)]
pub struct Copies {
    state: PathBuf,
    keep: Keep,
}

/// Whether refreshed tables are written to the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Keep {
    /// It is only used: this process does not hold the state folder.
    No,
    /// It is.
    Yes,
}

/// What tells one writing of a file from the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp(u64, i64, i64, u64);

impl Copies {
    /// The copies in a state folder.
    #[must_use]
    pub fn of(state: &Path, keep: Keep) -> Self {
        Self { state: state.to_owned(), keep }
    }

    /// Reads the copy of a table; `None` where there is no copy.
    ///
    /// # Errors
    /// [`RefreshFault`]: the copy does not follow from the root.
    pub fn read(
        &self,
        name: &Name,
        refresh: &TrustRefresh,
    ) -> Result<Option<(VerifiedRefresh, Timestamp)>, RefreshFault> {
        let wrong = |why| RefreshFault::Unreachable { file: "the kept copy".to_owned(), why };
        let most = limits::TUF_KEPT_BYTES.saturating_mul(2);
        let bytes = from_disk(&self.file(name), most).map_err(|_| wrong("it cannot be read"))?;
        bytes
            .map(|bytes| VerifiedRefresh::from_json(&refresh.anchor, refresh.target.clone(), &bytes))
            .transpose()
    }

    /// Writes the copy of a table: whole or not at all (A502), and readable by the gate's user only (A507).
    ///
    /// # Errors
    /// What the system said.
    pub fn write(&self, name: &Name, kept: &VerifiedRefresh, refreshed: Timestamp) -> io::Result<()> {
        match self.keep {
            Keep::No => return Ok(()),
            Keep::Yes => {}
        }
        // Left-overs in `tmp` are removed at the start of a gate.
        let (file, temporary) = (self.file(name), self.state.join("tmp"));
        for folder in [file.parent().unwrap_or(&self.state), &temporary] {
            DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        let mut written = tempfile::NamedTempFile::new_in(&temporary)?;
        written.write_all(kept.to_json(refreshed).as_bytes())?;
        written.as_file().sync_all()?;
        written.persist(&file).map(|_| ()).map_err(|error| error.error)
    }

    pub(crate) fn stamp(&self, name: &Name) -> Option<Stamp> {
        let found = fs::metadata(self.file(name)).ok()?;
        Some(Stamp(found.ino(), found.mtime(), found.mtime_nsec(), found.len()))
    }

    /// A name of the policy file is any text; a file's is made from it, and is not it, unless it is harmless.
    fn file(&self, name: &Name) -> PathBuf {
        let harmless = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let text = name.as_str();
        let plain = (1..=64).contains(&text.len()) && text.bytes().all(harmless);
        let file = if plain {
            format!("{text}.json")
        } else {
            format!("{}.sha256.json", hex::encode(digest::digest(&digest::SHA256, text.as_bytes())))
        };
        self.state.join("trust").join(file)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a507_the_file_of_a_table_is_one_file_of_the_folder() {
        let copies = Copies::of(Path::new("/state"), Keep::Yes);
        let file = |name: &str| copies.file(&Name::new(name));
        assert_eq!(file("corp-1"), Path::new("/state/trust/corp-1.json"));
        for name in ["..", "../x", "/etc/passwd", "a/b", "Corp", "a.b", "é", &"x".repeat(65)] {
            let file = file(name);
            assert_eq!(file.parent(), Some(Path::new("/state/trust")), "{name}");
            assert_eq!(file.file_name().unwrap().len(), 64 + ".sha256.json".len());
        }
        assert_ne!(file("a b"), file("a  b"));
    }
}
