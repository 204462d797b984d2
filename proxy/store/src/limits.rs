//! Limits of the store, each with its unit.

use std::time::Duration;

use pullgate_policy::limits::MIB;

/// Writes that wait for the database. Over it: lost and counted.
pub const WRITE_QUEUE: usize = 1_024;
/// Writes of one transaction.
pub const WRITE_BATCH: usize = 128;
/// The pause before the database is tried again after a failed write.
pub const WRITE_AGAIN: Duration = Duration::from_secs(2);
/// How long a write waits for its connection, which the previous write may still hold on a busy machine. No pull waits for a
/// write. Over it: lost and counted.
pub const WRITE_WAIT: Duration = Duration::from_secs(5);
/// Rows of one insert statement.
pub const ROWS_PER_STATEMENT: usize = 100;
/// The wait for a read that can be redone at the cost of work, or for a lock on the database. Over it: unknown, and
/// asked anew.
pub const READ_WAIT: Duration = Duration::from_millis(250);
/// The wait for a read whose missing row would mean a *no*. Over it: unknown, undecided, `storage`.
pub const KNOWN_WAIT: Duration = Duration::from_secs(2);
/// How long the answer to a manifest waits until its grants are written. Over it: it leaves, and they may be lost.
pub const GRANTS_WAIT: Duration = Duration::from_secs(1);
/// How often the database file is checked, and an unusable database is tried again.
pub const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How often, at most, a loss is noted for the next process.
pub const LOSS_NOTED_EVERY: Duration = Duration::from_secs(5);
/// How long the store and the pull log are waited for at a shutdown. Over it: the queue is lost.
pub const FLUSH_WAIT: Duration = Duration::from_secs(5);
/// Connections that read.
pub const READERS: u32 = 4;
/// Grants read for one child at once: a base layer has many roots.
pub const GRANTS_READ: usize = 64;
/// Bytes of `cache.db`, or half of the free space on a small disk. Over it: rows that nothing permitted rests on go
/// first.
pub const DATABASE_BYTES: u64 = 1024 * 1024 * 1024;
/// Rows of one of its tables. Over it: as above.
pub const DATABASE_ROWS: i64 = 500_000;
/// Those among them on which nothing permitted rests. Over it: the oldest go.
pub const DATABASE_UNPROVEN_ROWS: i64 = 100_000;
/// How often the database's rows and bytes are counted.
pub const DATABASE_LOOK_EVERY: Duration = Duration::from_secs(20);
/// The part of the database's bytes that is kept free for writes between two counts, as a divisor.
pub const DATABASE_MARGIN: u64 = 8;
/// The part of the free space of a small disk that the database takes, as a divisor.
pub const DATABASE_DISK_SHARE: u64 = 2;
/// Rows that are dropped at once, so that other writes need not wait for all of them.
pub const ROWS_PRUNED_AT_ONCE: i64 = 2_000;
/// How long the other writes have between two such steps.
pub const PRUNE_PAUSE: Duration = Duration::from_millis(50);
/// Unproven rows of each kind that stay even where there is no room: pulls under way use them.
pub const UNPROVEN_ROWS_LEAST: i64 = 2_000;
/// How often documents are counted anew.
pub const PRUNE_EVERY: Duration = Duration::from_secs(60 * 60);
/// Largest database whose pages are all checked when it is opened, bytes: a start takes seconds, not minutes.
pub const CHECK_BYTES: u64 = 64 * 1024 * 1024;
/// Corrupt files of one database that lie aside. Over it: the oldest goes.
pub const CORRUPT_KEPT: usize = 3;
/// Blobs that are removed at once where `blobs_max` has become smaller, while others wait for the index.
pub const GOING: usize = 64;
/// Blobs whose hash is remembered. Over it: all are hashed anew when next served.
pub const KNOWN_BLOBS: usize = 65_536;
/// Bytes that blobs leave free on the disk, for the databases and the log.
pub const DISK_RESERVE: u64 = 64 * 1024 * 1024;
/// Documents leave as much, or this part of a small disk where that is less.
pub const DISK_RESERVE_SHARE: u64 = 4;
/// The part of the files that the process may open that no connection of a client takes, as a divisor. Over it: the next one
/// waits in the kernel.
pub const DESCRIPTORS_FOR_PULLS_SHARE: u64 = 4;
/// Files of those that the process may open that are left to the admin port, reloads, the databases and the logs. Over it:
/// what needs a connection to an upstream is undecided, `overload`.
pub const DESCRIPTORS_RESERVED: u64 = 32;
/// The part of them where there are few, as a divisor.
pub const DESCRIPTORS_RESERVED_SHARE: u64 = 8;
/// Bytes that the smallest file takes on the disk, about.
pub const FILE_BYTES: u64 = 4096;
/// How long no file is tried after one could not be written.
pub const DISK_REST: Duration = Duration::from_secs(30);
/// How long a transfer goes on after its last reader has left, and a blob that is not kept can be joined after that.
pub const UNREAD_FOR: Duration = Duration::from_secs(60);
/// Such transfers at once. Over it: the next one ends with its last reader, and its bytes are kept as a partial blob.
pub const UNREAD_TRANSFERS: usize = 16;
/// How long a partial blob is kept for a client that comes back: longer than the longest pause of a kubelet.
pub const PARTIAL_FOR: Duration = Duration::from_secs(15 * 60);
/// Partial blobs that are kept. Over it: the oldest goes.
pub const PARTIAL_BLOBS: usize = 32;
/// The part of `blobs_max` that they take, as a divisor. Over it: the oldest goes. Where others want the room: all go.
pub const PARTIAL_SHARE: u64 = 2;
/// Bytes of memory for blobs while the disk is full, so that concurrent requests share a transfer. Over it: each
/// request is one stream of its own, also for a range.
pub const BLOBS_MEMORY_BYTES: u64 = 64 * 1024 * 1024;
/// The longest silence of a blob's transfer, over all its connections. Over it: the transfer ends.
pub const TRANSFER_SILENCE: Duration = Duration::from_secs(120);
/// How long a finished transfer can still be joined by a request that looked for the file before the end.
pub const LINGER: Duration = Duration::from_millis(250);
/// Pieces of an upstream's body that are written at once.
pub const PIECES: usize = 4;
/// Bytes up to which a kept blob that must be hashed is so before its first byte leaves: an altered blob is then
/// fetched again, and not cut off.
pub const HASHED_FIRST_BYTES: u64 = 1024 * 1024;
/// Idle buffers for pieces of blobs that are kept for the next transfer.
pub const BUFFERS_IDLE: usize = 64;
/// How often, at most, all kept blobs are hashed anew.
pub const SCRUB_EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// The pause after each [`SCRUB_BYTES`]: about 16 MiB a second.
pub const SCRUB_PAUSE: Duration = Duration::from_millis(60);
/// Bytes that are hashed between two pauses.
pub const SCRUB_BYTES: usize = 1024 * 1024;
/// Bytes read at once when a kept blob is hashed.
pub const HASH_BYTES: usize = 256 * 1024;
/// Manifests of evidence that are remembered for one blob, the last that were asked for. The rest: not looked at.
pub const EVIDENCE_OF_BLOB: usize = 4;
/// Bytes of one piece of a blob that is streamed.
pub const STREAM_CHUNK_BYTES: usize = 64 * 1024;
/// Bytes of one piece of a blob that is cached and verified.
pub const STREAM_CHUNK_WARM_BYTES: usize = 128 * 1024;
/// Bytes of documents that a permit rests on. Over it: the least recently used go, and are fetched again.
pub const PERMITTED_FILES_BYTES: u64 = 4 * 1024 * MIB;
/// Bytes of the others, denied ones among them. Over it: as above.
pub const UNPROVEN_FILES_BYTES: u64 = 256 * MIB;
/// How long after a possible loss a missing grant is unknown: as long as a pull. Over it: denied.
pub const LOST_FOR: Duration = Duration::from_secs(10 * 60);
/// Roots of one digest that a search visits, permitted ones first. Over it, where none of them is: undecided,
/// `overload`.
pub const GRANTS_SEARCHED: usize = 1_024;
