//! Losses: grants that are missing and may have existed.
//!
//! For a while after a loss, a missing grant counts as unknown (A603). Losses are: a database that was removed, moved
//! aside or sealed under another key, a machine that went down, a failed write. A killed process loses nothing: grants
//! are written before the answer ([`crate::Database::written`]), and the kernel keeps written data.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;

use crate::limits::LOST_FOR;
use jiff::Timestamp;
use tokio::time::Instant;

use crate::limits::LOSS_NOTED_EVERY;

/// When the last loss was: the next process reads it.
const LOST: &str = "cache.lost";
/// There while a gate runs: which start of the machine it runs under.
const RUNNING: &str = "cache.running";
/// The id of this start of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";
/// Files that an earlier gate leaves behind.
const TRACES: [&str; 4] = ["audit.db", "blobs", "documents", LOST];

/// Whether, and when, grants may have been lost.
#[derive(Debug)]
pub(super) struct Loss {
    folder: PathBuf,
    until: Mutex<Option<Instant>>,
    noted: Mutex<Option<Instant>>,
}

impl Loss {
    /// Reads how the previous process ended: in good order, killed, or with the machine.
    pub(super) fn open(folder: &Path) -> Self {
        let loss = Self { folder: folder.to_owned(), until: Mutex::default(), noted: Mutex::default() };
        if let Some(left) = left_of(&read(&folder.join(LOST)), Timestamp::now()) {
            loss.counts_for(left);
        }
        let (before, boot) = (read(&folder.join(RUNNING)), read(Path::new(BOOT)));
        if !before.is_empty() && before != boot {
            loss.mark("the machine went down under the gate");
        }
        // A folder that cannot be written remembers nothing either.
        let _ = write(&folder.join(RUNNING), &boot);
        loss
    }

    /// Whether a gate has been here before.
    pub(super) fn is_first(folder: &Path) -> bool {
        TRACES.iter().all(|name| fs::symlink_metadata(folder.join(name)).is_err())
    }

    /// From now on, for a while, a missing grant may have been lost.
    pub(super) fn mark(&self, why: &'static str) {
        self.counts_for(LOST_FOR);
        let mut noted = self.noted.lock();
        if noted.is_some_and(|at| at.elapsed() < LOSS_NOTED_EVERY) {
            return;
        }
        *noted = Some(Instant::now());
        drop(noted);
        tracing::warn!(
            why,
            "grants may be lost: for a while a blob without one is undecided, and not denied"
        );
        let _ = write(&self.folder.join(LOST), &Timestamp::now().as_millisecond().to_string());
    }

    /// Whether a grant that is not there may have been lost.
    pub(super) fn is_recent(&self) -> bool {
        let until = *self.until.lock();
        until.is_some_and(|until| Instant::now() < until)
    }

    /// The process ends in good order, with all writes done.
    pub(super) fn close(&self) {
        let _ = fs::remove_file(self.folder.join(RUNNING));
        if !self.is_recent() {
            let _ = fs::remove_file(self.folder.join(LOST));
        }
    }

    fn counts_for(&self, time: Duration) {
        *self.until.lock() = Instant::now().checked_add(time);
    }
}

/// How long a loss that was noted at `noted` still counts. A time ahead of the clock is one of a clock that was set back.
fn left_of(noted: &str, now: Timestamp) -> Option<Duration> {
    let noted = Timestamp::from_millisecond(noted.trim().parse().ok()?).ok()?;
    match Duration::try_from(now.duration_since(noted)) {
        Ok(age) => LOST_FOR.checked_sub(age).filter(|left| !left.is_zero()),
        Err(_ahead) => Some(LOST_FOR),
    }
}

fn read(file: &Path) -> String {
    fs::read_to_string(file).unwrap_or_default()
}

fn write(file: &Path, text: &str) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::OpenOptionsExt as _;
    let flags = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
    let mut options = fs::OpenOptions::new();
    let mut file =
        options.write(true).create(true).truncate(true).mode(0o600).custom_flags(flags).open(file)?;
    file.write_all(text.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a603_what_is_lost_is_unknown_for_a_while_and_no_longer() {
        let root = tempfile::tempdir().unwrap();
        let loss = Loss::open(root.path());
        assert!(!loss.is_recent());
        loss.mark("a test");
        let bit = Duration::from_millis(10);
        tokio::time::advance(LOST_FOR - bit).await;
        assert!(loss.is_recent());
        tokio::time::advance(bit).await;
        assert!(!loss.is_recent());
    }

    #[tokio::test]
    async fn a603_the_next_process_knows_of_a_loss_and_of_a_machine_that_went_down() {
        let root = tempfile::tempdir().unwrap();
        let loss = Loss::open(root.path());
        loss.mark("a test");
        loss.close();
        assert!(Loss::open(root.path()).is_recent(), "of a loss, after an end in good order");
        fs::remove_file(root.path().join(LOST)).unwrap();
        assert!(!Loss::open(root.path()).is_recent(), "killed under the same start of the machine");
        write(&root.path().join(RUNNING), "another start").unwrap();
        assert!(Loss::open(root.path()).is_recent(), "the machine went down");
    }

    #[test]
    fn a603_a_loss_is_as_old_as_it_was_noted_and_young_where_the_clock_was_set_back() {
        let now: Timestamp = "2026-11-30T12:00:00Z".parse().unwrap();
        let noted = |seconds: i64| (now.as_millisecond() - seconds * 1000).to_string();
        let whole = i64::try_from(LOST_FOR.as_secs()).unwrap();
        assert_eq!(left_of(&noted(0), now), Some(LOST_FOR));
        assert_eq!(left_of(&noted(whole - 1), now), Some(Duration::from_secs(1)));
        assert_eq!(left_of(&noted(whole), now), None);
        assert_eq!(left_of(&noted(-3600), now), Some(LOST_FOR));
        for nothing in ["", "x", "99999999999999999999"] {
            assert_eq!(left_of(nothing, now), None, "{nothing}");
        }
    }
}
