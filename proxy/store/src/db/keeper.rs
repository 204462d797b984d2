//! Keeps `cache.db` open: an unusable one is tried again, a missing or corrupt one is created anew, and both are reported.
//! Meanwhile every read is unknown (A603).

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Weak};

use arc_swap::ArcSwapOption;
use sqlx::AnyPool;

use super::marked::Marked;
use super::open::{self, Identity, Look, Opened};
use super::writer::Writer;
use super::{Availability, Counts, DatabaseError};
use crate::limits::LOOK_EVERY;
use crate::loss::Loss;
use crate::sqlite::{self, Prepared};
use crate::waits::Waits;

/// The database, open or not.
#[derive(Debug)]
pub(super) struct Keeper {
    file: PathBuf,
    pub(super) waits: Waits,
    open: ArcSwapOption<Open>,
    pub(super) counts: Arc<Counts>,
    pub(super) loss: Arc<Loss>,
    /// There never was a file, nor a gate before this one: a grant that is not in memory was never given.
    first: AtomicBool,
    closed: AtomicBool,
}

/// An open database.
#[derive(Debug)]
pub(super) struct Open {
    pub(super) pool: AnyPool,
    pub(super) writer: Writer,
    identity: Identity,
}

impl Keeper {
    /// Opens the file as far as it can be, and keeps it open.
    pub(super) async fn start(folder: &Path, waits: Waits) -> Result<Arc<Self>, DatabaseError> {
        let file = folder.join("cache.db");
        let absent =
            fs::symlink_metadata(&file).is_err_and(|error| error.kind() == std::io::ErrorKind::NotFound);
        let first = absent && Loss::is_first(folder);
        let keeper = Arc::new(Self {
            file,
            waits,
            open: ArcSwapOption::empty(),
            counts: Arc::default(),
            loss: Arc::new(Loss::open(folder)),
            first: AtomicBool::new(first),
            closed: AtomicBool::new(false),
        });
        keeper.try_open(Look::AsItIs, Said::Loudly).await?;
        tokio::spawn(keep(Arc::downgrade(&keeper)));
        Ok(keeper)
    }

    pub(super) fn open(&self) -> Option<Arc<Open>> {
        self.open.load_full()
    }

    /// Whether there was never anything to be found, so that a read that meets no database is answered all the same.
    pub(super) fn is_first(&self) -> bool {
        self.first.load(Ordering::Relaxed)
    }

    pub(super) fn availability(&self) -> Availability {
        match self.open.load().as_deref() {
            None => Availability::Unavailable,
            Some(_) if self.counts.failing.load(Ordering::Relaxed) => Availability::Failing,
            Some(_) if self.counts.unreadable.load(Ordering::Relaxed) => Availability::Unreadable,
            Some(_) => Availability::Ready,
        }
    }

    async fn try_open(&self, look: Look, said: Said) -> Result<(), DatabaseError> {
        match open::open(&self.file, look, self.waits).await? {
            Ok(Opened { readers, writer, identity, prepared }) => {
                let lost = match prepared {
                    Prepared::Anew => true,
                    Prepared::Made => !self.is_first(),
                    Prepared::Found => false,
                };
                if lost {
                    self.loss.mark("the database is a new one");
                }
                self.first.store(false, Ordering::Relaxed);
                self.counts.unreadable.store(false, Ordering::Relaxed);
                self.counts.failing.store(false, Ordering::Relaxed);
                let marked = Marked::new(&self.file);
                let writer = Writer::start(writer, marked, Arc::clone(&self.counts), Arc::clone(&self.loss));
                self.open.store(Some(Arc::new(Open { pool: readers, writer, identity })));
            }
            Err(error) if said == Said::Loudly => {
                tracing::warn!(file = %self.file.display(), error,
                    "the database cannot be used: nothing is remembered until it can");
            }
            Err(_said_before) => {}
        }
        Ok(())
    }

    async fn look(&self) {
        let again = match self.open() {
            None => Some(Look::AsItIs),
            Some(open) => self.look_at(&open).await,
        };
        let Some(mut look) = again else { return };
        let was = self.open.swap(None);
        let said = if was.is_some() { Said::Loudly } else { Said::Before };
        if let Some(open) = was {
            // First: a connection that is closed later would take the new one's files for its own.
            look = open.leave(&self.file, look, self.waits).await;
        }
        if self.closed.load(Ordering::Relaxed) {
            return;
        }
        match self.try_open(look, said).await {
            Ok(()) if self.open.load().is_some() => tracing::info!("the database is in use again"),
            Ok(()) => {}
            Err(error) if said == Said::Loudly => tracing::warn!(%error, "the database cannot be used"),
            Err(_said_before) => {}
        }
    }

    /// How the file is to be opened again, if it is.
    async fn look_at(&self, open: &Open) -> Option<Look> {
        if !open.identity.still_is(self.file.clone()).await {
            tracing::error!(file = %self.file.display(),
                "the database was removed, moved or replaced under the gate: the present file is used");
            self.loss.mark("the database was removed, moved or replaced");
            self.counts.files_lost.inc();
            return Some(Look::AsItIs);
        }
        if open.is_overwritten().await {
            tracing::error!(file = %self.file.display(),
                "the database was written over under the gate: the present file is used");
            self.loss.mark("the database was written over");
            self.counts.files_lost.inc();
            self.counts.corrupt.store(false, Ordering::Relaxed);
            return Some(Look::Overwritten);
        }
        if self.counts.corrupt.swap(false, Ordering::Relaxed) {
            return Some(Look::Corrupt);
        }
        if self.counts.unreadable.load(Ordering::Relaxed) {
            // A load balancer may send no more pulls to an unready gate: only this probe finds out that reads work
            // again.
            let probe = sqlx::query(
                "select (select count(*) from (select 1 from grants limit 1)) + \
                (select count(*) from (select 1 from records limit 1))",
            );
            let probed = tokio::time::timeout(self.waits.known, probe.fetch_all(&open.pool)).await;
            self.counts.unreadable.store(!matches!(probed, Ok(Ok(_))), Ordering::Relaxed);
        }
        None
    }

    pub(super) async fn close(&self) {
        self.closed.store(true, Ordering::Relaxed);
        if let Some(open) = self.open.swap(None) {
            open.close(self.waits).await;
        }
        self.loss.close();
    }
}

/// Whether a fault was logged before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Said {
    Before,
    Loudly,
}

async fn keep(keeper: Weak<Keeper>) {
    loop {
        tokio::time::sleep(LOOK_EVERY).await;
        match keeper.upgrade() {
            Some(keeper) if !keeper.closed.load(Ordering::Relaxed) => keeper.look().await,
            Some(_) | None => return,
        }
    }
}

impl Open {
    /// Whether another process wrote into the file.
    pub(super) async fn is_overwritten(&self) -> bool {
        self.writer.is_overwritten().await
    }

    /// Closes the file to open it anew, and tells how: one that was written over keeps nothing of the write-ahead log.
    async fn leave(&self, file: &Path, look: Look, waits: Waits) -> Look {
        if look != Look::Overwritten {
            self.close(waits).await;
            return look;
        }
        if let Err(error) = sqlite::drop_log(file) {
            tracing::warn!(%error, "the log of an overwritten database stays: the file is moved aside with it");
            self.close(waits).await;
            return Look::Corrupt;
        }
        let closed = self.close(waits).await;
        sqlite::remove_log(file);
        // A connection that is still open would share its locks and its index of the log with the new ones.
        if closed == Closed::All { look } else { Look::Corrupt }
    }

    /// Writes the queue and closes the file.
    async fn close(&self, waits: Waits) -> Closed {
        let _ = tokio::time::timeout(waits.flush, self.writer.flush()).await;
        let closed = tokio::time::timeout(waits.flush, async {
            self.pool.close().await;
            self.writer.close().await;
        });
        if closed.await.is_ok() { Closed::All } else { Closed::Some }
    }
}

/// What became of the connections of a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Closed {
    All,
    Some,
}
