//! The kept copy of a refresh: the files that it read, so that they can be checked again from the pinned root. A file on a
//! disk is trusted no more than a mirror (A504).

use std::pin::pin;
use std::task::{Context, Poll, Waker};

use jiff::Timestamp;
use pullgate_policy::identity::Name;
use pullgate_policy::limits;
use pullgate_policy::strict_json;
use serde_json::{Value, json};

use super::chain::Anchor;
use super::fault::RefreshFault;
use super::name::TargetName;
use super::repository::{AtHand, File};
use super::{Refresh, refresh};
use crate::encoding;
use crate::trust::{Sct, TrustFault, TrustTable};

/// The name of a kept file in faults.
const FILE: &str = "the kept copy";
/// The form in which it is written.
const FORM: u64 = 1;

/// One complete refresh: every part of it was verified together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct VerifiedRefresh {
    pub(super) summary: Versions,
    pub(super) roots: Vec<File>,
    pub(super) timestamp: File,
    pub(super) snapshot: File,
    pub(super) targets: File,
    pub(super) delegated: Vec<File>,
    pub(super) target: File,
}

/// The versions of a refresh's metadata.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The newest root's.
    pub root: u64,
    /// The timestamp's.
    pub timestamp: u64,
    /// The snapshot's.
    pub snapshot: u64,
    /// The list of targets'.
    pub targets: u64,
    /// When the first of them runs out.
    pub expires: Timestamp,
}

impl VerifiedRefresh {
    /// Versions and expiry.
    #[must_use]
    pub fn versions(&self) -> Versions {
        self.summary
    }

    /// The bytes of the target.
    #[must_use]
    pub fn target(&self) -> &[u8] {
        &self.target.bytes
    }

    /// The trust table that the target is.
    ///
    /// # Errors
    /// [`TrustFault`]: a repository may be sound and hold something else (A347).
    pub fn table(&self, name: Name, sct: Sct) -> Result<TrustTable, TrustFault> {
        TrustTable::from_json(name, self.target(), sct)
    }

    /// Writes it down, with the time at which it was refreshed.
    #[must_use]
    pub fn to_json(&self, refreshed: Timestamp) -> String {
        let file = |file: &File| json!({ "name": file.name, "bytes": encoding::encode(&file.bytes) });
        let metadata: Vec<Value> = self.metadata().map(file).collect();
        json!({
            "form": FORM,
            "refreshed": refreshed.to_string(),
            "metadata": metadata,
            "target": encoding::encode(&self.target.bytes),
        })
        .to_string()
    }

    /// Reads what [`Self::to_json`] wrote, and verifies all of it again from the pinned root; expiry is not looked at.
    /// Also gives the time of the refresh, which is not signed.
    ///
    /// # Errors
    /// [`RefreshFault`]: then it is no trust root, whoever wrote it.
    pub fn from_json(
        anchor: &Anchor,
        target: TargetName,
        bytes: &[u8],
    ) -> Result<(Self, Timestamp), RefreshFault> {
        if bytes.len() as u64 > limits::TUF_KEPT_BYTES.saturating_mul(2) {
            return Err(RefreshFault::TooLarge { file: FILE.to_owned() });
        }
        let value =
            strict_json::parse(bytes).map_err(|fault| RefreshFault::malformed(FILE, fault.to_string()))?;
        let (repository, refreshed) =
            parsed(&value).ok_or_else(|| RefreshFault::malformed(FILE, "another form"))?;
        let order = Refresh { anchor, kept: None, repository: &repository, target, now: Timestamp::MIN };
        let kept = at_once(refresh(&order)).ok_or_else(|| RefreshFault::malformed(FILE, "it waits"))??;
        Ok((kept, refreshed))
    }

    pub(super) fn roots(&self) -> &[File] {
        &self.roots
    }

    /// Bytes of all of it.
    pub(super) fn size(&self) -> u64 {
        self.metadata().chain([&self.target]).map(|file| file.bytes.len() as u64).sum()
    }

    fn metadata(&self) -> impl Iterator<Item = &File> {
        self.roots.iter().chain([&self.timestamp, &self.snapshot, &self.targets]).chain(&self.delegated)
    }
}

fn parsed(value: &Value) -> Option<(AtHand, Timestamp)> {
    if value.get("form")?.as_u64()? != FORM {
        return None;
    }
    let mut repository =
        AtHand { target: encoding::standard(value.get("target")?.as_str()?)?, ..AtHand::default() };
    for file in value.get("metadata")?.as_array()? {
        let bytes = encoding::standard(file.get("bytes")?.as_str()?)?;
        repository.metadata.insert(file.get("name")?.as_str()?.to_owned(), bytes);
    }
    Some((repository, value.get("refreshed")?.as_str()?.parse().ok()?))
}

/// Runs what never waits.
fn at_once<T>(work: impl Future<Output = T>) -> Option<T> {
    match pin!(work).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(done) => Some(done),
        Poll::Pending => None,
    }
}
