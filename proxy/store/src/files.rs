//! Files named by digest, under one folder. Names come from parsed digests only, and no link is ever followed (A505, A507).

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use pullgate_policy::oci::Digest;
use rustix::fs::{AtFlags, Mode, OFlags};
use tempfile::{NamedTempFile, TempPath};

use crate::folder::{StateFolder, folder_0700};

/// One kind of content in the state folder: `NAME/sha256/ab/HEX`.
#[derive(Debug)]
pub(super) struct Shelf {
    state: PathBuf,
    name: &'static str,
    tmp: PathBuf,
}

/// Tells whether a file is still the one that was hashed (A505).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    size: u64,
    modified: (i64, i64),
    changed: (i64, i64),
}

impl Stamp {
    /// The stamp of an open file; `None` unless it is a regular file with one name.
    pub(super) fn of(file: &File) -> io::Result<Option<Self>> {
        let meta = file.metadata()?;
        let plain = meta.is_file() && meta.nlink() == 1;
        Ok(plain.then(|| Self {
            device: meta.dev(),
            inode: meta.ino(),
            size: meta.size(),
            modified: (meta.mtime(), meta.mtime_nsec()),
            changed: (meta.ctime(), meta.ctime_nsec()),
        }))
    }

    pub(super) fn size(&self) -> u64 {
        self.size
    }
}

/// A file that was found there.
#[derive(Debug, Clone, Copy)]
pub(super) struct OnShelf {
    pub(super) digest: Digest,
    pub(super) size: u64,
    /// When it was read or written last, seconds: as exactly as the file system tells (`relatime` tells the day).
    pub(super) used: i64,
}

#[derive(Clone, Copy)]
enum Missing {
    Fails,
    IsMade,
}

impl Shelf {
    pub(super) fn new(folder: &StateFolder, name: &'static str) -> Self {
        Self { state: folder.path().to_owned(), name, tmp: folder.tmp() }
    }

    /// The same of a folder that another process holds: for reading.
    pub(super) fn of(state: &Path, name: &'static str) -> Self {
        Self { state: state.to_owned(), name, tmp: state.join("tmp") }
    }

    /// Opens a file for reading; `None` when it is missing, is a link or a FIFO, or has a second name.
    pub(super) fn open(&self, digest: &Digest) -> io::Result<Option<(File, Stamp)>> {
        match self.open_any(digest) {
            Ok(file) => Ok(Stamp::of(&file)?.map(|stamp| (file, stamp))),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn open_any(&self, digest: &Digest) -> io::Result<File> {
        let folder = self.folder(digest, Missing::Fails)?;
        // NONBLOCK: opening a FIFO must not wait for its other end.
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        Ok(rustix::fs::openat(folder, digest.hex(), flags, Mode::empty())?.into())
    }

    /// A new file without a name that counts: 0600, exclusive, gone when dropped.
    pub(super) fn temp(&self) -> io::Result<NamedTempFile> {
        folder_0700(&self.tmp)?;
        NamedTempFile::new_in(&self.tmp)
    }

    /// Gives a complete file its name, in place of whatever had it.
    pub(super) fn place(&self, temp: &TempPath, digest: &Digest) -> io::Result<()> {
        let folder = self.folder(digest, Missing::IsMade)?;
        Ok(rustix::fs::renameat(rustix::fs::CWD, &**temp, folder, digest.hex())?)
    }

    /// Gives a file to another shelf, in place of whatever it has there.
    pub(super) fn hand_over(&self, digest: &Digest, to: &Self) -> io::Result<()> {
        let from = self.folder(digest, Missing::Fails)?;
        let to = to.folder(digest, Missing::IsMade)?;
        Ok(rustix::fs::renameat(from, digest.hex(), to, digest.hex())?)
    }

    /// Removes a name; whether it was there does not matter.
    pub(super) fn remove(&self, digest: &Digest) -> io::Result<()> {
        match self
            .folder(digest, Missing::Fails)
            .and_then(|folder| Ok(rustix::fs::unlinkat(folder, digest.hex(), AtFlags::empty())?))
        {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            Ok(()) | Err(_) => Ok(()),
        }
    }

    /// All files: at the start, never while serving. A file without a digest for its name is not ours.
    pub(super) fn scan(&self) -> Vec<OnShelf> {
        let entries = |path: &Path| fs::read_dir(path).into_iter().flatten().flatten();
        let algorithms = entries(&self.state.join(self.name));
        let found = algorithms.flat_map(|algorithm| {
            let name = algorithm.file_name().to_string_lossy().into_owned();
            let prefixes = entries(&algorithm.path());
            prefixes.flat_map(move |prefix| entries(&prefix.path())).filter_map(move |entry| {
                let meta = entry.metadata().ok().filter(fs::Metadata::is_file)?;
                let digest = format!("{name}:{}", entry.file_name().to_str()?).parse().ok()?;
                Some(OnShelf { digest, size: meta.len(), used: meta.atime().max(meta.mtime()) })
            })
        });
        found.collect()
    }

    /// Bytes that must be freed before `size` more fit and enough is left to others: `leave`, or `1 / part` of the disk
    /// where that is less.
    pub(super) fn lacks(&self, size: u64, leave: u64, part: u64) -> io::Result<u64> {
        let stat = rustix::fs::statvfs(&self.state)?;
        let all = stat.f_blocks.saturating_mul(stat.f_frsize);
        let free = stat.f_bavail.saturating_mul(stat.f_frsize);
        Ok(size.saturating_add(leave.min(all / part.max(1))).saturating_sub(free))
    }

    /// Walks down without following links: the folder might have been prepared by another hand.
    fn folder(&self, digest: &Digest, missing: Missing) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let mut at = rustix::fs::open(&self.state, flags, Mode::empty())?;
        let hex = digest.hex();
        let prefix = hex.get(..2).unwrap_or_default();
        for step in [self.name, digest.algorithm(), prefix] {
            at = match rustix::fs::openat(&at, step, flags | OFlags::NOFOLLOW, Mode::empty()) {
                Err(error) if error == rustix::io::Errno::NOENT && matches!(missing, Missing::IsMade) => {
                    match rustix::fs::mkdirat(&at, step, Mode::RWXU) {
                        Ok(()) => {}
                        Err(error) if error == rustix::io::Errno::EXIST => {}
                        Err(error) => return Err(error.into()),
                    }
                    rustix::fs::openat(&at, step, flags | OFlags::NOFOLLOW, Mode::empty())?
                }
                opened => opened?,
            };
        }
        Ok(at)
    }
}
