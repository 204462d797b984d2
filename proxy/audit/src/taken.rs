//! The number of records that were taken: the next start counts those that a kill left unwritten (A606).
//!
//! Where pulls do not wait for their record, an answer may leave before its line is written. The number of each record that
//! is taken goes to a small file first; a process that is killed leaves it there, for the kernel has it. It is not synced:
//! a loss of power may leave an older number, and then less is counted.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};

/// Numbers that are written side by side, so that threads that overtake each other do not take one back.
const PLACES: u64 = 64;
/// Bytes of a number.
const BYTES: usize = 8;

#[derive(Debug)]
pub(super) struct Taken {
    file: Option<File>,
    last: AtomicU64,
}

impl Taken {
    /// Opens or makes the file, and tells how many were taken before. Without it nothing is counted after a kill.
    pub(super) fn open(path: &Path) -> (Self, u64) {
        let (file, last) = match open(path) {
            Ok((file, last)) => (Some(file), last),
            Err(error) => {
                tracing::warn!(%error, "records that a kill loses will not be counted: look at the state folder");
                (None, 0)
            }
        };
        (Self { file, last: AtomicU64::new(last) }, last)
    }

    /// Goes on from this number.
    pub(super) fn go_on_from(&self, number: u64) {
        self.last.fetch_max(number, Ordering::AcqRel);
    }

    /// One more is taken.
    pub(super) fn one(&self) {
        let number = self.last.fetch_add(1, Ordering::AcqRel).saturating_add(1);
        if let Some(file) = &self.file {
            let place = (number % PLACES).saturating_mul(BYTES as u64);
            // A failed write loses the count only; the pull goes on.
            let _ = file.write_all_at(&number.to_le_bytes(), place);
        }
    }
}

fn open(path: &Path) -> io::Result<(File, u64)> {
    let file =
        OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let mut last = 0;
    for place in 0..PLACES {
        let mut bytes = [0; BYTES];
        if file.read_exact_at(&mut bytes, place.saturating_mul(BYTES as u64)).is_err() {
            break;
        }
        last = u64::from_le_bytes(bytes).max(last);
    }
    // A place that was never written reads as nothing.
    file.set_len(PLACES.saturating_mul(BYTES as u64))?;
    Ok((file, last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a606_what_was_taken_is_known_to_the_next_process() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("taken");
        for (before, more) in [(0, 3), (3, 200), (203, 0), (203, 1)] {
            let (taken, last) = Taken::open(&path);
            assert_eq!(last, before);
            (0..more).for_each(|_| taken.one());
        }
        let (taken, last) = Taken::open(&path);
        taken.go_on_from(1_000);
        taken.one();
        assert_eq!((last, Taken::open(&path).1), (204, 1_001));
    }
}
