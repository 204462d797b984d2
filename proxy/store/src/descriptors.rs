//! File descriptors: the last ones are reserved for the admin port, reloads and the databases.

use std::os::fd::{AsFd, AsRawFd};

use rustix::process::{Resource, getrlimit};

use crate::limits::{DESCRIPTORS_FOR_PULLS_SHARE, DESCRIPTORS_RESERVED, DESCRIPTORS_RESERVED_SHARE};

/// Whether this descriptor is one of those that are reserved for the admin port, reloads and the databases. A new
/// descriptor is always the lowest that is free (open(2)), so its number tells how many are in use at least.
#[must_use]
pub fn is_reserved(file: &impl AsFd) -> bool {
    let number = u64::try_from(file.as_fd().as_raw_fd()).unwrap_or(0);
    getrlimit(Resource::Nofile).current.is_some_and(|most| number >= most.saturating_sub(reserved(most)))
}

/// Whether too many are in use to accept another client, whose requests need further ones.
#[must_use]
pub fn are_scarce(file: &impl AsFd) -> bool {
    rustix::io::fcntl_dupfd_cloexec(file, 0).map_or(true, |copy| {
        let number = u64::try_from(copy.as_raw_fd()).unwrap_or(0);
        getrlimit(Resource::Nofile)
            .current
            .is_some_and(|most| number >= most - most / DESCRIPTORS_FOR_PULLS_SHARE)
    })
}

fn reserved(most: u64) -> u64 {
    DESCRIPTORS_RESERVED.min(most / DESCRIPTORS_RESERVED_SHARE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn so_many_are_reserved_and_of_few_a_part() {
        for (most, expected) in [(1 << 20, DESCRIPTORS_RESERVED), (256, 32), (255, 31), (64, 8)] {
            assert_eq!(reserved(most), expected, "{most}");
        }
    }

    #[test]
    fn the_first_descriptors_are_not_reserved() {
        let file = tempfile::tempfile().unwrap();
        assert!(!is_reserved(&file) && !are_scarce(&file));
    }
}
