//! How many files the process may have open: sockets, blobs, the database.

use rustix::process::{Resource, getrlimit, setrlimit};

/// The limit that is asked for where the host sets none: Linux grants no more by default (`fs.nr_open`).
const WHERE_UNLIMITED: u64 = 1 << 20;

/// Takes all that the host grants: shells and service managers begin with 1,024, for programs that cannot count further.
pub(super) fn raise() {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(WHERE_UNLIMITED);
    if limit.current.is_none_or(|current| current >= most) {
        return;
    }
    limit.current = Some(most);
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(%error, most, "no more files may be open than before");
    }
}

/// So many may be.
pub(super) fn most() -> u64 {
    getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX)
}
