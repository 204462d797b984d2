//! A repository of files in memory, which remembers what it was asked for.

use std::collections::BTreeMap;
use std::path::Path;
use std::pin::pin;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use parking_lot::Mutex;
use pullgate_verify::refresh::{
    Anchor, FetchFault, Refresh, RefreshFault, Repository, TargetName, VerifiedRefresh, refresh,
};

#[derive(Debug, Default)]
pub(crate) struct Files {
    pub(crate) metadata: BTreeMap<String, Vec<u8>>,
    pub(crate) targets: BTreeMap<String, Vec<u8>>,
    pub(crate) asked: Mutex<Vec<String>>,
    /// Whether it honours the number of bytes that it is asked for.
    pub(crate) unbounded: bool,
}

impl Files {
    /// The files of a folder; those below `targets/` are targets.
    pub(crate) fn read(folder: &Path) -> Self {
        let mut files = Self::default();
        for name in names(folder) {
            files.metadata.insert(name.clone(), std::fs::read(folder.join(&name)).unwrap());
        }
        let targets = folder.join("targets");
        for folder in folders(&targets) {
            for name in names(&targets.join(&folder)) {
                let bytes = std::fs::read(targets.join(&folder).join(&name)).unwrap();
                let name = if folder.is_empty() { name } else { format!("{folder}/{name}") };
                files.targets.insert(name, bytes);
            }
        }
        files
    }

    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().clone()
    }

    fn answer(
        &self,
        files: &BTreeMap<String, Vec<u8>>,
        name: &str,
        bytes_max: u64,
    ) -> Result<Option<Vec<u8>>, FetchFault> {
        self.asked.lock().push(name.to_owned());
        match files.get(name) {
            Some(bytes) if bytes.len() as u64 > bytes_max && !self.unbounded => Err(FetchFault::TooLarge),
            found => Ok(found.cloned()),
        }
    }
}

impl Repository for Files {
    async fn metadata(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        self.answer(&self.metadata, name, bytes_max)
    }

    async fn target(&self, name: &str, bytes_max: u64) -> Result<Option<Vec<u8>>, FetchFault> {
        self.answer(&self.targets, name, bytes_max)
    }
}

fn names(folder: &Path) -> Vec<String> {
    let Ok(entries) = std::fs::read_dir(folder) else { return Vec::new() };
    let files = entries.map(Result::unwrap).filter(|entry| entry.file_type().unwrap().is_file());
    files.map(|entry| entry.file_name().into_string().unwrap()).collect()
}

fn folders(folder: &Path) -> Vec<String> {
    let below = std::fs::read_dir(folder).into_iter().flatten().map(Result::unwrap);
    let below = below.filter(|entry| entry.file_type().unwrap().is_dir());
    below.map(|entry| entry.file_name().into_string().unwrap()).chain([String::new()]).collect()
}

/// Refreshes from files that never wait.
pub(crate) fn refreshed(
    anchor: &Anchor,
    kept: Option<&VerifiedRefresh>,
    files: &Files,
    now: Timestamp,
) -> Result<VerifiedRefresh, RefreshFault> {
    target(anchor, kept, files, now, TargetName::TRUSTED_ROOT)
}

pub(crate) fn target(
    anchor: &Anchor,
    kept: Option<&VerifiedRefresh>,
    files: &Files,
    now: Timestamp,
    target: TargetName,
) -> Result<VerifiedRefresh, RefreshFault> {
    let order = Refresh { anchor, kept, repository: files, target, now };
    match pin!(refresh(&order)).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => done,
        Poll::Pending => unreachable!("files are at hand"),
    }
}

/// The code of the fault; none where there is none.
pub(crate) fn code(result: Result<VerifiedRefresh, RefreshFault>) -> Option<&'static str> {
    result.err().map(|fault| fault.code())
}
