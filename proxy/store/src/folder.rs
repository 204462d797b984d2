//! The state folder: one process holds it, and no other user may read it.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, OFlags};

/// Bytes of a seal key.
const SEAL_KEY_BYTES: usize = 32;

/// A folder that this process holds until it is dropped.
#[derive(Debug)]
pub struct StateFolder {
    path: PathBuf,
    lock: Option<File>,
}

/// Why the folder cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Another process works in it.
    #[error("{} is held by another process", .0.display())]
    Held(PathBuf),
    /// It is not there and cannot be made, or is no folder.
    #[error("{} cannot be used as a folder", path.display())]
    Unusable {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// Why there is no seal key. Without one nothing stored could be believed after a restart.
#[derive(Debug, thiserror::Error)]
pub enum SealKeyError {
    /// It cannot be read.
    #[error("the seal key {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is not there and cannot be made.
    #[error("the seal key {} cannot be made", path.display())]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// It is something else than 32 bytes.
    #[error("the seal key {} is not {SEAL_KEY_BYTES} bytes long", .0.display())]
    Length(PathBuf),
    /// The system gave no random bytes.
    #[error("no random bytes")]
    Random,
}

impl StateFolder {
    /// Makes the folder if need be, locks it for this process and removes half-written files of a killed one (A502). A
    /// folder that cannot be written is opened all the same: the gate goes on without remembering (A501).
    ///
    /// # Errors
    /// [`FolderError`]: another process holds it, or it cannot be made.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        let unusable = |source| FolderError::Unusable { path: path.to_owned(), source };
        folder_0700(path).map_err(unusable)?;
        let lock = match lock(path) {
            Ok(lock) => Some(lock),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                return Err(FolderError::Held(path.to_owned()));
            }
            Err(error) => {
                tracing::warn!(folder = %path.display(), %error, "the state folder cannot be locked: nothing will be remembered");
                None
            }
        };
        let folder = Self { path: path.to_owned(), lock };
        if folder.lock.is_some()
            && let Err(error) = clean(&folder.tmp())
        {
            tracing::warn!(folder = %folder.tmp().display(), %error, "leftovers cannot be removed");
        }
        Ok(folder)
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The seal key in `file`, read or made. If the file lies in this folder and the folder is unusable, the key is held in
    /// memory only: nothing is remembered then, and pulls go on (A503).
    ///
    /// # Errors
    /// [`SealKeyError`].
    pub fn seal_key(&self, file: &Path) -> Result<[u8; SEAL_KEY_BYTES], SealKeyError> {
        let own = file.parent() == Some(&self.path);
        // The next start removes the leftovers of a kill there.
        let unfinished = if own { self.tmp() } else { beside(file).to_owned() };
        let error = match load_or_create_seal_key(file, &unfinished) {
            Ok(key) => return Ok(key),
            Err(error) => error,
        };
        let goes_on = match &error {
            SealKeyError::Create { .. } => true,
            SealKeyError::Read { .. } => self.lock.is_none(),
            // An operator put it there: the fault must be reported, not worked around.
            SealKeyError::Length(_) | SealKeyError::Random => false,
        };
        if !goes_on || !own {
            return Err(error);
        }
        tracing::warn!(%error, "without a seal key nothing that is remembered now counts after a restart");
        random_key()
    }

    /// Where files are written before they get their name, in the same file system.
    pub(super) fn tmp(&self) -> PathBuf {
        self.path.join("tmp")
    }
}

/// Reads the seal key, or makes one: 32 random bytes, 0600, complete or not there at all. An existing one may be a link,
/// as a mounted secret is. Until it is complete it lies in the folder `unfinished`, of the same file system.
///
/// # Errors
/// [`SealKeyError`].
fn load_or_create_seal_key(path: &Path, unfinished: &Path) -> Result<[u8; SEAL_KEY_BYTES], SealKeyError> {
    match read_key(path)? {
        Some(key) => Ok(key),
        None => create_key(path, unfinished),
    }
}

/// The folder that a file is in.
fn beside(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

fn read_key(path: &Path) -> Result<Option<[u8; SEAL_KEY_BYTES]>, SealKeyError> {
    let read = |source| SealKeyError::Read { path: path.to_owned(), source };
    // A FIFO must not hang the start.
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let file = match OpenOptions::new().read(true).custom_flags(flags).open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(read(error)),
    };
    if file.metadata().map_err(read)?.permissions().mode() & 0o007 != 0 {
        tracing::warn!(file = %path.display(), "everybody can read the seal key: who has it can forge permits");
    }
    let mut bytes = Vec::new();
    file.take(SEAL_KEY_BYTES as u64 + 1).read_to_end(&mut bytes).map_err(read)?;
    bytes.try_into().map(Some).map_err(|_| SealKeyError::Length(path.to_owned()))
}

fn create_key(path: &Path, unfinished: &Path) -> Result<[u8; SEAL_KEY_BYTES], SealKeyError> {
    let create = |source| SealKeyError::Create { path: path.to_owned(), source };
    let key = random_key()?;
    let mut temp = tempfile::NamedTempFile::new_in(unfinished).map_err(create)?;
    temp.write_all(&key).and_then(|()| temp.as_file().sync_all()).map_err(create)?;
    match temp.persist_noclobber(path) {
        Ok(_) => Ok(key),
        // Another process made the key first: its key counts.
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
            read_key(path)?.ok_or_else(|| create(error.error))
        }
        Err(error) => Err(create(error.error)),
    }
}

/// A seal key that no file has.
///
/// # Errors
/// [`SealKeyError::Random`].
pub fn random_key() -> Result<[u8; SEAL_KEY_BYTES], SealKeyError> {
    let mut key = [0; SEAL_KEY_BYTES];
    aws_lc_rs::rand::fill(&mut key).map_err(|_| SealKeyError::Random)?;
    Ok(key)
}

/// Makes a folder that only we can enter (A507). One that is there keeps its mode: it may be a mounted volume.
pub(super) fn folder_0700(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)
}

fn lock(folder: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW.bits().cast_signed();
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .custom_flags(flags)
        .open(folder.join("lock"))?;
    rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive)?;
    Ok(file)
}

fn clean(tmp: &Path) -> io::Result<()> {
    if fs::symlink_metadata(tmp).is_ok_and(|meta| !meta.is_dir()) {
        fs::remove_file(tmp)?;
    }
    folder_0700(tmp)?;
    for entry in fs::read_dir(tmp)? {
        let entry = entry?;
        if entry.file_type()?.is_dir() {
            fs::remove_dir_all(entry.path())?;
        } else {
            fs::remove_file(entry.path())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a503_a_folder_has_one_holder() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        let held = StateFolder::open(&path).unwrap();
        assert!(matches!(StateFolder::open(&path), Err(FolderError::Held(_))));
        drop(held);
        assert!(StateFolder::open(&path).is_ok());
    }

    #[test]
    fn a502_leftovers_are_removed_at_the_start() {
        let root = tempfile::tempdir().unwrap();
        drop(StateFolder::open(root.path()).unwrap());
        fs::write(root.path().join("tmp/half"), b"half").unwrap();
        fs::create_dir(root.path().join("tmp/folder")).unwrap();
        std::os::unix::fs::symlink("/etc/hostname", root.path().join("tmp/link")).unwrap();
        let folder = StateFolder::open(root.path()).unwrap();
        assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
        assert!(Path::new("/etc").is_dir());
    }

    #[test]
    fn a507_folder_and_key_are_ours_alone() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("state");
        let _folder = StateFolder::open(&path).unwrap();
        let key = path.join("seal.key");
        load_or_create_seal_key(&key, root.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&path), 0o700);
        assert_eq!(mode(&path.join("tmp")), 0o700);
        assert_eq!(mode(&path.join("lock")), 0o600);
        assert_eq!(mode(&key), 0o600);
    }

    #[test]
    fn a_seal_key_is_made_once_and_read_ever_after() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("seal.key");
        let made = load_or_create_seal_key(&path, beside(&path)).unwrap();
        assert_ne!(made, [0; 32]);
        assert_eq!(load_or_create_seal_key(&path, beside(&path)).unwrap(), made);
    }

    #[test]
    fn a502_a_seal_key_is_unfinished_only_where_the_next_start_cleans() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path()).unwrap();
        let own = root.path().join("seal.key");
        fs::remove_dir(folder.tmp()).unwrap();
        folder.seal_key(&own).unwrap();
        assert!(!own.exists(), "made anywhere else");
        fs::create_dir(folder.tmp()).unwrap();
        let made = folder.seal_key(&own).unwrap();
        assert_eq!(folder.seal_key(&own).unwrap(), made);
        assert_eq!(fs::read_dir(folder.tmp()).unwrap().count(), 0);
    }

    #[test]
    fn a_seal_key_of_another_length_is_refused() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("seal.key");
        for length in [0, 31, 33] {
            fs::write(&path, vec![1; length]).unwrap();
            assert!(
                matches!(load_or_create_seal_key(&path, beside(&path)), Err(SealKeyError::Length(_))),
                "{length}"
            );
        }
    }

    #[test]
    fn a_seal_key_that_cannot_be_made_is_an_error() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("missing/seal.key");
        assert!(matches!(load_or_create_seal_key(&path, beside(&path)), Err(SealKeyError::Create { .. })));
    }

    #[test]
    fn a503_a_key_that_its_own_folder_does_not_take_ends_with_the_process() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(&root.path().join("state")).unwrap();
        fs::remove_dir_all(folder.path()).unwrap();
        let own = folder.path().join("seal.key");
        assert_ne!(folder.seal_key(&own).unwrap(), folder.seal_key(&own).unwrap());
        // A configured key file lies elsewhere: an unusable setting is a fault.
        let named = root.path().join("missing/seal.key");
        assert!(matches!(folder.seal_key(&named), Err(SealKeyError::Create { .. })));
    }

    #[test]
    fn a504_a_key_that_is_there_and_is_none_is_not_passed_over() {
        let root = tempfile::tempdir().unwrap();
        let folder = StateFolder::open(root.path()).unwrap();
        let own = root.path().join("seal.key");
        fs::write(&own, [1; 31]).unwrap();
        assert!(matches!(folder.seal_key(&own), Err(SealKeyError::Length(_))));
        fs::write(&own, [1; 32]).unwrap();
        assert_eq!(folder.seal_key(&own).unwrap(), [1; 32]);
    }
}
