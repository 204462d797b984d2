//! The one writer: a bounded queue, drained into transactions.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::limits::LOST_FOR;
use jiff::Timestamp;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::seal::Sealed;
use sqlx::AnyPool;
use tokio::sync::{mpsc, oneshot};

use super::marked::Marked;
use super::{Counts, GrantRow, RecordKey, TagKey, Transaction, Worth};
use crate::limits::{ROWS_PER_STATEMENT, WRITE_AGAIN, WRITE_BATCH, WRITE_QUEUE};
use crate::loss::Loss;
use crate::sqlite::transact;

mod prune;
mod statements;

pub use self::prune::Bounds;
pub(super) use self::prune::Pruned;
use self::prune::prune;
use self::statements::{forget, grants, is_granted, owner, presence, record, seal, tag, tried};

#[derive(Debug)]
pub(super) enum Write {
    Flush(oneshot::Sender<()>),
    Forget(RecordKey),
    Grants {
        rows: Vec<GrantRow>,
        stored: i64,
    },
    /// A manifest of evidence passed with these blobs.
    Owner {
        repository: Repository,
        manifest: Digest,
        blobs: Vec<Digest>,
        stored: i64,
    },
    Presence {
        repository: Repository,
        digest: Digest,
        media_type: Option<&'static str>,
        seen: i64,
    },
    /// Drops one step of the rows over these bounds.
    Prune {
        bounds: Bounds,
        reply: oneshot::Sender<Pruned>,
    },
    /// A permit rests on what lies there under these digests.
    RestOn {
        repository: Repository,
        digests: Vec<Digest>,
    },
    /// The fingerprint of the key that seals from now on.
    Seal(String),
    /// A child of an index that need not be asked for soon again.
    Tried {
        repository: Repository,
        child: Digest,
    },
    Record {
        key: RecordKey,
        worth: Worth,
        sealed: Sealed,
        collected: i64,
        stored: i64,
    },
    Tag {
        key: TagKey,
        digest: Digest,
        seen: i64,
        reply: oneshot::Sender<Option<Digest>>,
    },
}

impl Write {
    /// Whether its loss would mean a *no*.
    pub(super) fn is_grant(&self) -> bool {
        matches!(self, Self::Grants { .. } | Self::Owner { .. })
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    queue: mpsc::Sender<Write>,
    waiting: Arc<AtomicUsize>,
    pool: AnyPool,
    counts: Arc<Counts>,
    loss: Arc<Loss>,
    marked: Arc<Marked>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Health {
    Failing,
    Good,
}

impl Writer {
    pub(super) fn start(pool: AnyPool, marked: Marked, counts: Arc<Counts>, loss: Arc<Loss>) -> Self {
        let (queue, writes) = mpsc::channel(WRITE_QUEUE);
        let (waiting, marked) = (Arc::new(AtomicUsize::new(0)), Arc::new(marked));
        let task = Task {
            marked: Arc::clone(&marked),
            pool: pool.clone(),
            waiting: Arc::clone(&waiting),
            counts: Arc::clone(&counts),
            loss: Arc::clone(&loss),
        };
        tokio::spawn(task.run(writes));
        Self { queue, waiting, pool, counts, loss, marked }
    }

    /// Never waits: a pull must not be as slow as the disk. A write that the queue does not take is lost.
    pub(super) fn enqueue(&self, write: Write) {
        self.waiting.fetch_add(1, Ordering::AcqRel);
        if let Err(error) = self.queue.try_send(write) {
            self.waiting.fetch_sub(1, Ordering::AcqRel);
            self.counts.lose(1);
            if error.into_inner().is_grant() {
                self.loss.mark("more is to be written than the database takes");
            }
        }
    }

    pub(super) fn is_behind(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Whether another process wrote into the file.
    pub(super) async fn is_overwritten(&self) -> bool {
        self.marked.is_overwritten().await
    }

    pub(super) async fn flush(&self) {
        let (done, written) = oneshot::channel();
        if self.queue.send(Write::Flush(done)).await.is_ok() {
            let _ = written.await;
        }
    }

    pub(super) async fn close(&self) {
        self.pool.close().await;
    }
}

struct Task {
    marked: Arc<Marked>,
    pool: AnyPool,
    waiting: Arc<AtomicUsize>,
    counts: Arc<Counts>,
    loss: Arc<Loss>,
}

impl Task {
    async fn run(self, mut writes: mpsc::Receiver<Write>) {
        let mut health = Health::Good;
        let mut batch = Vec::with_capacity(WRITE_BATCH);
        loop {
            let received = match health {
                Health::Good => writes.recv_many(&mut batch, WRITE_BATCH).await,
                // A load balancer may send no more pulls to an unready gate: only this probe finds out that writes work
                // again.
                Health::Failing => {
                    let received = writes.recv_many(&mut batch, WRITE_BATCH);
                    match tokio::time::timeout(WRITE_AGAIN, received).await {
                        Ok(received) => received,
                        Err(_elapsed) => {
                            let probed = transact(&self.pool, async |open| probe(open).await);
                            if let Some(probed) = self.marked.write(probed).await {
                                health = self.told(probed, 0, health);
                            }
                            continue;
                        }
                    }
                }
            };
            if received == 0 {
                break;
            }
            let mut flushed = Vec::new();
            let mut rows = Vec::with_capacity(batch.len());
            for write in batch.drain(..) {
                match write {
                    Write::Flush(done) => flushed.push(done),
                    write => rows.push(write),
                }
            }
            let count = rows.len();
            if count > 0 {
                health = self.write(rows, health).await;
            }
            self.waiting.fetch_sub(count, Ordering::AcqRel);
            for done in flushed {
                let _ = done.send(());
            }
        }
    }

    /// Says once that writing fails and once that it works again.
    async fn write(&self, rows: Vec<Write>, before: Health) -> Health {
        let (count, grants) = (rows.len() as u64, rows.iter().any(Write::is_grant));
        let written = self
            .marked
            .write(transact(&self.pool, async |open| apply(open, rows, (&self.counts, &self.loss)).await))
            .await;
        let Some(written) = written else {
            // The keeper opens it anew.
            self.counts.lose(count);
            if grants {
                self.loss.mark("the database was written over");
            }
            return before;
        };
        if grants && written.is_err() {
            self.loss.mark("a write failed");
        }
        self.told(written, count, before)
    }

    fn told(&self, written: Result<(), sqlx::Error>, count: u64, before: Health) -> Health {
        self.counts.failing.store(written.is_err(), Ordering::Relaxed);
        match written {
            Ok(()) if before == Health::Failing => {
                tracing::info!("the database can be written again");
                Health::Good
            }
            Ok(()) => Health::Good,
            Err(error) => {
                self.counts.lose(count);
                self.counts.note(&error);
                if before == Health::Good {
                    tracing::warn!(%error, "the database cannot be written: new verdicts are not remembered");
                }
                Health::Failing
            }
        }
    }
}

/// Whether a grant of this time, in milliseconds, may be that of a pull under way. One ahead of the clock may.
fn is_of_a_pull_under_way(stored: i64) -> bool {
    let age = Timestamp::now().as_millisecond().saturating_sub(stored);
    u128::try_from(age).map_or(true, |age| age < LOST_FOR.as_millis())
}

/// Writes a row that is never read.
async fn probe(transaction: &mut Transaction<'_>) -> Result<(), sqlx::Error> {
    let row = "insert into records (kind, repository, key, revisions, body, mac, collected, stored) \
               values ('probe', '', '', '', '', x'', 0, 0) on conflict (kind, repository, key, revisions) \
               do update set stored = records.stored + 1";
    sqlx::query(row).execute(&mut **transaction).await.map(drop)
}

async fn apply(
    transaction: &mut Transaction<'_>,
    writes: Vec<Write>,
    (counts, loss): (&Counts, &Loss),
) -> Result<(), sqlx::Error> {
    for write in writes {
        match write {
            Write::Flush(_) => {}
            Write::Forget(key) => forget(transaction, &key).await?,
            Write::Grants { rows, stored } => {
                for rows in rows.chunks(ROWS_PER_STATEMENT) {
                    grants(transaction, rows, stored).await?;
                }
            }
            Write::Owner { repository, manifest, blobs, stored } => {
                for blobs in blobs.chunks(ROWS_PER_STATEMENT) {
                    owner(transaction, &repository, (&manifest, blobs), stored).await?;
                }
            }
            Write::Presence { repository, digest, media_type, seen } => {
                presence(transaction, &repository, &digest, (media_type, seen)).await?;
            }
            Write::Prune { bounds, reply } => {
                let step = prune(transaction, bounds).await?;
                counts.bytes.store(step.bytes, Ordering::Relaxed);
                if step.youngest_grant.is_some_and(is_of_a_pull_under_way) {
                    loss.mark("grants made room for others");
                }
                let _ = reply.send(step.pruned);
            }
            Write::RestOn { repository, digests } => {
                for digest in &digests {
                    is_granted(transaction, &repository, digest).await?;
                }
            }
            Write::Seal(fingerprint) => seal(transaction, fingerprint).await?,
            Write::Tried { repository, child } => tried(transaction, &repository, &child).await?,
            Write::Record { key, worth, sealed, collected, stored } => {
                record(transaction, (&key, worth), sealed, collected, stored).await?;
            }
            Write::Tag { key, digest, seen, reply } => {
                let before = tag(transaction, &key, &digest, seen).await?;
                let _ = reply.send(before);
            }
        }
    }
    Ok(())
}
