//! From the pinned root to the newest, one version at a time, each signed by the one before it and by itself
//! (TUF 5.3). The library's own walk does not know keys by their content, nor the bare points of old repositories.

use std::fmt;

use pullgate_policy::limits;
use sigstore_tuf::{Metadata, Role as _, Root};

use super::fault::RefreshFault;
use super::repository::{self, File, Repository};
use super::{Refresh, keys};

const SIGSTORE: &[u8] = include_bytes!("../../roots/sigstore/root.json");
const GITHUB: &[u8] = include_bytes!("../../roots/github/root.json");

/// The roles that a root must speak of.
const ROLES: [&str; 4] = ["root", "timestamp", "snapshot", "targets"];

/// A root that is believed because the operator pinned it. Its expiry does not matter: newer ones follow from it.
#[derive(Clone)]
pub struct Anchor {
    bytes: Vec<u8>,
    root: Metadata<Root>,
}

impl Anchor {
    /// Reads a TUF `root.json`.
    ///
    /// # Errors
    /// [`RefreshFault`] where it is not a root, or not signed by its own keys: a truncated file is a fault of the
    /// configuration.
    pub fn new(bytes: &[u8]) -> Result<Self, RefreshFault> {
        if bytes.len() as u64 > limits::TUF_ROOT_BYTES {
            return Err(RefreshFault::TooLarge { file: "root.json".to_owned() });
        }
        Ok(Self { bytes: bytes.to_vec(), root: read(bytes, "root.json")? })
    }

    /// The root of the public-good instance, as of this release.
    ///
    /// # Errors
    /// None in a release: a test reads it.
    pub fn sigstore() -> Result<Self, RefreshFault> {
        Self::new(SIGSTORE)
    }

    /// The root of GitHub's instance, as of this release.
    ///
    /// # Errors
    /// None in a release: a test reads it.
    pub fn github() -> Result<Self, RefreshFault> {
        Self::new(GITHUB)
    }

    /// Its version.
    #[must_use]
    pub fn version(&self) -> u64 {
        self.root.signed().version
    }

    /// Its bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

impl fmt::Debug for Anchor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Anchor").field("version", &self.version()).finish_non_exhaustive()
    }
}

/// The newest root, and those that led to it from the anchor.
pub(super) struct Newest {
    pub(super) root: Metadata<Root>,
    pub(super) bytes: Vec<u8>,
    pub(super) roots: Vec<File>,
}

/// Walks from the anchor through the kept roots to the newest root of the repository.
pub(super) async fn walk<R: Repository>(order: &Refresh<'_, R>) -> Result<Newest, RefreshFault> {
    let Anchor { bytes, root } = order.anchor.clone();
    let mut newest = Newest { root, bytes, roots: Vec::new() };
    for file in order.kept.into_iter().flat_map(super::VerifiedRefresh::roots) {
        // Kept roots are verified again, since they are files on a disk. The anchor replaces those before it.
        if follow(&mut newest, file.clone()).is_err() && !newest.roots.is_empty() {
            break;
        }
    }
    for _ in 0..limits::TUF_ROTATIONS {
        let name = file_name(newest.root.signed().version.saturating_add(1));
        match repository::metadata(order.repository, &name, limits::TUF_ROOT_BYTES).await? {
            Some(file) => follow(&mut newest, file)?,
            None => {
                // Only the last one has to be fresh (TUF 5.3.10): old ones are stepping stones.
                let root = newest.root.signed();
                return if root.is_expired(order.strictly()) {
                    Err(RefreshFault::Expired { role: "root".to_owned(), at: root.expires })
                } else {
                    Ok(newest)
                };
            }
        }
    }
    Err(RefreshFault::Rotations)
}

fn file_name(version: u64) -> String {
    format!("{version}.root.json")
}

/// Takes the next root (TUF 5.3.4 and 5.3.5).
fn follow(newest: &mut Newest, file: File) -> Result<(), RefreshFault> {
    let next = parse(&file.bytes, &file.name)?;
    let (known, offered) = (newest.root.signed(), next.signed());
    if known.version.checked_add(1) != Some(offered.version) {
        return Err(RefreshFault::RootVersion { known: known.version, offered: offered.version });
    }
    // By the trusted keys first: the new root's own keys prove only who wrote it.
    signed_by(&next, known)?;
    signed_by(&next, offered)?;
    newest.bytes.clone_from(&file.bytes);
    newest.roots.push(file);
    newest.root = next;
    Ok(())
}

fn read(bytes: &[u8], name: &str) -> Result<Metadata<Root>, RefreshFault> {
    let root = parse(bytes, name)?;
    signed_by(&root, root.signed())?;
    Ok(root)
}

fn parse(bytes: &[u8], name: &str) -> Result<Metadata<Root>, RefreshFault> {
    let root = Metadata::<Root>::from_slice(bytes).map_err(|error| RefreshFault::of(name, error))?;
    for role in ROLES {
        if root.signed().role(role).is_none_or(|keys| keys.threshold == 0) {
            let why = format!("no key, or any key, may sign for the role {role}");
            return Err(RefreshFault::malformed(name, why));
        }
    }
    Ok(root)
}

fn signed_by(root: &Metadata<Root>, judge: &Root) -> Result<(), RefreshFault> {
    let role = judge.role("root").ok_or_else(|| RefreshFault::threshold("root"))?;
    keys::enough(root, &judge.keys, role, "root")
}
