//! Changes of files, as the system reports them.

use std::collections::BTreeSet;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use notify::event::{AccessKind, AccessMode, EventKind, ModifyKind};
use notify::{Event, RecursiveMode, Watcher as _};
use parking_lot::Mutex;
use tokio::sync::Notify;

/// How long files must rest before they are read: editors write in several steps.
const SETTLE: Duration = Duration::from_millis(250);
/// How long a file that is open for writing is waited for: half of a policy can be a valid policy.
const WRITER_MAX: Duration = Duration::from_secs(10);

/// Watches folders, not files: a mounted ConfigMap changes by a symlink beside them.
pub(super) struct Folders {
    watcher: Option<notify::RecommendedWatcher>,
    followed: Vec<PathBuf>,
    written: Written,
}

/// Names of files that were written to and not yet closed.
type Written = Arc<Mutex<BTreeSet<OsString>>>;

impl Folders {
    /// Notifies of each change; logs once where the host gives no events, and files are read every `poll` only.
    pub(super) fn new(changed: Arc<Notify>, poll: Duration) -> Self {
        let written = Written::default();
        let seen = Arc::clone(&written);
        let watcher = notify::recommended_watcher(move |event: notify::Result<Event>| {
            if event.is_ok_and(|event| is_change(&event, &seen)) {
                changed.notify_one();
            }
        });
        if let Err(error) = &watcher {
            tracing::warn!(%error, seconds = poll.as_secs(), "file events are not to be had; files are read on a schedule");
        }
        Self { watcher: watcher.ok(), followed: Vec::new(), written }
    }

    pub(super) fn follow(&mut self, files: &[PathBuf], config: &Path) {
        let Some(watcher) = &mut self.watcher else { return };
        for file in files.iter().map(PathBuf::as_path).chain([config]) {
            let folder = match file.parent() {
                Some(parent) if !parent.as_os_str().is_empty() => parent.to_owned(),
                Some(_) | None => PathBuf::from("."),
            };
            if !self.followed.contains(&folder) && watcher.watch(&folder, RecursiveMode::NonRecursive).is_ok()
            {
                self.followed.push(folder);
            }
        }
    }

    /// Returns when these files are not open for writing, or one is held open for too long.
    pub(super) async fn rested(&self, files: &[PathBuf], config: &Path) {
        let names: BTreeSet<&OsStr> =
            files.iter().map(PathBuf::as_path).chain([config]).filter_map(Path::file_name).collect();
        let begun = Instant::now();
        loop {
            tokio::time::sleep(SETTLE).await;
            let mut written = self.written.lock();
            if !written.iter().any(|name| names.contains(name.as_os_str())) {
                return;
            }
            if begun.elapsed() >= WRITER_MAX {
                // Its writer died, or means what stands there.
                written.clear();
                return;
            }
        }
    }
}

/// Whether files may be others now. Reading one is an event too; without this a reload would cause the next.
fn is_change(event: &Event, written: &Written) -> bool {
    let names = event.paths.iter().filter_map(|path| path.file_name());
    let mut written = written.lock();
    match event.kind {
        EventKind::Modify(ModifyKind::Data(_)) => written.extend(names.map(OsStr::to_owned)),
        EventKind::Access(AccessKind::Close(AccessMode::Write))
        | EventKind::Modify(ModifyKind::Name(_))
        | EventKind::Remove(_) => names.for_each(|name| {
            written.remove(name);
        }),
        EventKind::Access(_) => return false,
        EventKind::Any | EventKind::Create(_) | EventKind::Modify(_) | EventKind::Other => {}
    }
    true
}
