//! Timestamp, snapshot, targets and the target itself under the newest root (TUF 5.4 to 5.7).
//!
//! The library compares versions, expiry, lengths and hashes; that enough different keys signed is checked here too.

use jiff::{SignedDuration, Timestamp};
use pullgate_policy::limits;
use sigstore_tuf::metadata::{Snapshot, Timestamp as TimestampRole};
use sigstore_tuf::{Error, Metadata, Role, Targets, TrustedMetadataSet};

use super::chain::Newest;
use super::fault::RefreshFault;
use super::repository::{self, File, Repository};
use super::search::{self, Found};
use super::{Refresh, VerifiedRefresh, Versions, keys};

impl<R> Refresh<'_, R> {
    /// The time that the library is given: it takes metadata to be good at the very second of its expiry, and the
    /// specification does not (TUF 5.3.10, 5.4.4).
    pub(super) fn strictly(&self) -> Timestamp {
        self.now.checked_add(SignedDuration::from_nanos(1)).unwrap_or(Timestamp::MAX)
    }
}

/// The metadata that is trusted so far, and its files.
pub(super) struct Work<'a, R> {
    pub(super) order: &'a Refresh<'a, R>,
    pub(super) now: Timestamp,
    pub(super) set: TrustedMetadataSet,
}

/// Goes down from the newest root to the target.
pub(super) async fn below<R: Repository>(
    order: &Refresh<'_, R>,
    newest: Newest,
) -> Result<VerifiedRefresh, RefreshFault> {
    let name = "root.json";
    let set = TrustedMetadataSet::from_root(&newest.bytes).map_err(|error| RefreshFault::of(name, error))?;
    let mut work = Work { order, now: order.strictly(), set };
    if let Some(kept) = order.kept {
        work.remember(kept);
    }
    let timestamp = work.timestamp().await?;
    let snapshot = work.snapshot().await?;
    let targets = work.targets().await?;
    let Found { target, delegated } = search::target(&mut work).await?;
    let kept = VerifiedRefresh {
        summary: work.summary()?,
        roots: newest.roots,
        timestamp,
        snapshot,
        targets,
        delegated,
        target,
    };
    if kept.size() > limits::TUF_KEPT_BYTES {
        return Err(RefreshFault::TooLarge { file: "the repository".to_owned() });
    }
    Ok(kept)
}

impl<R: Repository> Work<'_, R> {
    /// Takes the kept versions for a floor, even expired ones. Kept metadata that the newest root's keys have not
    /// signed sets no floor: that is how a repository recovers from stolen keys (TUF 5.3.11).
    fn remember(&mut self, kept: &VerifiedRefresh) {
        let _ = self.take_timestamp(&kept.timestamp, Timestamp::MIN);
        let _ = self.take_snapshot(&kept.snapshot, Timestamp::MIN);
    }

    async fn timestamp(&mut self) -> Result<File, RefreshFault> {
        let file = self.read("timestamp.json", limits::TUF_TIMESTAMP_BYTES).await?;
        match self.take_timestamp(&file, self.now)? {
            Taken::New => Ok(file),
            // An equal version changes nothing: the trusted metadata stays (TUF 5.4.3.1), unless it has expired.
            Taken::Same => {
                self.set
                    .check_timestamp_expired(self.now)
                    .map_err(|error| RefreshFault::of(&file.name, error))?;
                Ok(self.order.kept.map_or(file, |kept| kept.timestamp.clone()))
            }
        }
    }

    async fn snapshot(&mut self) -> Result<File, RefreshFault> {
        let listed = self.set.timestamp().and_then(TimestampRole::snapshot_meta);
        let version = listed.ok_or_else(|| RefreshFault::missing("snapshot.json"))?.version;
        let name = self.versioned(version, "snapshot");
        if let Some(kept) = self.order.kept
            && self.take_snapshot(&kept.snapshot, self.now).is_ok()
        {
            return Ok(File { name, bytes: kept.snapshot.bytes.clone() });
        }
        let file = self.read(&name, limits::TUF_SNAPSHOT_BYTES).await?;
        self.take_snapshot(&file, self.now)?;
        Ok(file)
    }

    async fn targets(&mut self) -> Result<File, RefreshFault> {
        let version = self.listed("targets").ok_or_else(|| RefreshFault::missing("targets.json"))?;
        let name = self.versioned(version, "targets");
        if let Some(kept) = self.order.kept
            && self.take_targets(&kept.targets).is_ok()
        {
            return Ok(File { name, bytes: kept.targets.bytes.clone() });
        }
        let file = self.read(&name, limits::TUF_TARGETS_BYTES).await?;
        self.take_targets(&file)?;
        Ok(file)
    }

    fn take_timestamp(&mut self, file: &File, now: Timestamp) -> Result<Taken, RefreshFault> {
        let mut set = self.set.clone();
        match set.update_timestamp(&file.bytes, now) {
            Ok(()) => {
                self.signed::<TimestampRole>(file, "timestamp")?;
                self.set = set;
                Ok(Taken::New)
            }
            Err(Error::EqualVersion { .. }) => Ok(Taken::Same),
            Err(error) => Err(RefreshFault::of(&file.name, error)),
        }
    }

    fn take_snapshot(&mut self, file: &File, now: Timestamp) -> Result<(), RefreshFault> {
        let mut set = self.set.clone();
        set.update_snapshot(&file.bytes, now).map_err(|error| RefreshFault::of(&file.name, error))?;
        self.signed::<Snapshot>(file, "snapshot")?;
        self.set = set;
        Ok(())
    }

    fn take_targets(&mut self, file: &File) -> Result<(), RefreshFault> {
        let mut set = self.set.clone();
        set.update_targets(&file.bytes, self.now).map_err(|error| RefreshFault::of(&file.name, error))?;
        self.signed::<Targets>(file, "targets")?;
        self.set = set;
        Ok(())
    }

    fn signed<T: Role>(&self, file: &File, name: &str) -> Result<(), RefreshFault> {
        let metadata =
            Metadata::<T>::from_slice(&file.bytes).map_err(|error| RefreshFault::of(&file.name, error))?;
        let root = self.set.root();
        let role = root.role(name).ok_or_else(|| RefreshFault::threshold(name))?;
        keys::enough(&metadata, &root.keys, role, name)
    }

    /// Reads a metadata file that must be there.
    pub(super) async fn read(&self, name: &str, bytes_max: u64) -> Result<File, RefreshFault> {
        let read = repository::metadata(self.order.repository, name, bytes_max).await?;
        read.ok_or_else(|| RefreshFault::missing(name))
    }

    /// The version of a list of targets that the snapshot lists.
    pub(super) fn listed(&self, role: &str) -> Option<u64> {
        Some(self.set.snapshot()?.meta.get(&format!("{role}.json"))?.version)
    }

    /// The file of a role: with its version in front where the repository keeps all versions (TUF 6.2).
    pub(super) fn versioned(&self, version: u64, role: &str) -> String {
        if self.set.root().consistent_snapshot {
            format!("{version}.{role}.json")
        } else {
            format!("{role}.json")
        }
    }

    fn summary(&self) -> Result<Versions, RefreshFault> {
        let none = || RefreshFault::missing("targets.json");
        let timestamp = self.set.timestamp().ok_or_else(none)?;
        let snapshot = self.set.snapshot().ok_or_else(none)?;
        let targets = self.set.targets_role("targets").ok_or_else(none)?;
        let root = self.set.root();
        let expires = [root.expires, timestamp.expires, snapshot.expires, targets.expires];
        Ok(Versions {
            root: root.version,
            timestamp: timestamp.version,
            snapshot: snapshot.version,
            targets: targets.version,
            expires: expires.into_iter().min().unwrap_or(Timestamp::MIN),
        })
    }
}

enum Taken {
    New,
    Same,
}
