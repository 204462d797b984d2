//! Limits of the gate, each with its unit: clients' connections and requests, verdicts in work, memory.

use std::time::Duration;

use pullgate_policy::limits::MIB;

/// Time for one refresh of a trust root, all files together. Over it: the refresh is refused, `trust-unreachable`.
pub const TUF_REFRESH: Duration = Duration::from_secs(120);
/// How long a manifest request waits for its verdict; the work goes on. Over it: undecided, `deadline`.
pub const VERDICT_DEADLINE: Duration = Duration::from_secs(15);
/// Bytes of memory of all verdicts in work: evidence and its manifests. Over it: new ones wait, then undecided, `overload`.
pub const IN_FLIGHT_BYTES: u64 = 192 * MIB;
/// Bytes of them that all verdicts about one upstream hold together when no other upstream is in use; otherwise half of
/// the remainder. Over it: as above.
pub const IN_FLIGHT_BYTES_OF_ONE: u64 = IN_FLIGHT_BYTES / 2;
/// Bytes of them for one repository, alone at its upstream; of what others leave, three quarters. Over it: as above.
pub const IN_FLIGHT_BYTES_OF_REPOSITORY: u64 = IN_FLIGHT_BYTES_OF_ONE / 4 * 3;
/// Bytes of memory that a verdict is given room for when it begins; more only where there is room.
pub const VERDICT_BYTES: u64 = MIB;
/// Bytes of memory that work takes that computes: reading and verifying. Over it: it waits for its turn.
pub const WORK_BYTES: u64 = 80 * MIB;
/// Bytes of small blobs of evidence that passed. Over it: the least used goes, and is read from the disk again.
pub const PASSING_BYTES: u64 = 24 * MIB;
/// Bytes of manifests that are remembered as they were read, three times their own size each. Over it: the least used goes,
/// and is read from the disk again.
pub const DOCUMENTS_BYTES: u64 = 24 * MIB;
/// Bytes of memory for permits. Over it: the least used goes (it is still in the store).
pub const PERMITS_BYTES: u64 = 20 * MIB;
/// Bytes of memory for denials. Over it: the oldest goes.
pub const DENIALS_BYTES: u64 = 16 * MIB;
/// Bytes of memory for grants, all roots of a digest together. Over it: the least used goes (it is still in the store).
pub const GRANTS_BYTES: u64 = 20 * MIB;
/// Bytes of memory for the digests that each repository's own upstream gave. Over it: the least used goes (it is still
/// in the store).
pub const PRESENCE_BYTES: u64 = 12 * MIB;
/// Bytes of memory for each of eleven small caches: tags, ids of answers, children of indexes and their counts, other
/// names of a digest, which digests are manifests, recent grants, evidence that passes, evidence that does not, owners
/// of evidence blobs, and the evidence of denials. Over it: the least used goes, and is looked up again.
pub const NAMES_BYTES: u64 = 4 * MIB;
/// Verdicts in work for one upstream. Over it: they queue.
pub const VERDICTS_MAX: usize = 64;
/// Verdicts about one upstream that wait for their turn. Over it: undecided, `overload`.
pub const QUEUE_MAX: usize = 1_024;
/// Questions of clients to one upstream at once: manifests, lists, whether a blob exists. Verdicts in work and blobs
/// under way are counted apart. Over it: undecided, `overload`.
pub const QUESTIONS_MAX: usize = 2_048;
/// Bytes of name and password in a client's request, encoded. Over it: 401.
pub const CREDENTIAL_TEXT_BYTES: usize = 4 * 1024;
/// Time for one fetch of an issuer's keys, both documents together.
pub const ISSUER_FETCH: Duration = Duration::from_secs(10);
/// How long an issuer's keys are taken for the newest.
pub const ISSUER_REFRESH: Duration = Duration::from_secs(3600);
/// The shortest time between two fetches from one issuer, whatever tokens arrive.
pub const ISSUER_PAUSE: Duration = Duration::from_secs(60);
/// How long the last good keys count while the issuer does not answer. Over it: undecided, `issuer-unreachable`.
pub const ISSUER_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// Time for a client's password that has to wait for its turn, including its hash. Over it: undecided, `overload`. A
/// wrong password that had to wait gets the same answer at the same time.
pub const PASSWORD_WAIT: Duration = Duration::from_secs(10);
/// Passwords of one client address (of IPv6, of its first 64 bits) that wait to be hashed. Over it: the newest is
/// undecided, `overload`; of names that are not in the file first, then of the name that has most.
pub const PASSWORDS_WAITING_OF_ONE: usize = 64;
/// Passwords of all clients that wait to be hashed. Over it: the same, at the address that has most.
pub const PASSWORDS_WAITING: usize = 1_024;
/// Bytes of a client's request head. Over it: 431.
pub const REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Headers of a client's request. Over it: 431.
pub const REQUEST_HEADERS: usize = 100;
/// Media types of a client's `Accept`, all its lines together. Over it: 400.
pub const ACCEPT_TYPES: usize = 1_000;
/// Bytes of them. Over it: 400. Only the known types among them are kept.
pub const ACCEPT_BYTES: usize = 48 * 1024;
/// Bytes of one query value. Over it: 400.
pub const QUERY_VALUE_BYTES: usize = 1024;
/// Answers on one connection of a client; the last one ends it, so that no connection lives for ever.
pub const REQUESTS_PER_CONNECTION: usize = 1_000;
/// Time for a client's request head from its first byte, or the connection's beginning. Over it: the connection is closed.
pub const HEADER_TIMEOUT: Duration = Duration::from_secs(10);
/// Silence of a client on the data port between an answer and its next request. Over it: the connection is closed.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(90);
/// Pause in which a client takes no byte of a body. Over it: the connection is cut.
pub const CLIENT_WRITE_IDLE: Duration = Duration::from_secs(60);
/// Connections of the data port, or a quarter of the files that may be open, if that is less. Over it: the longest silent
/// one of the address that has most is closed; where none is silent the next one waits.
pub const CONNECTIONS_MAX: usize = 8_192;
/// Addresses (of IPv6, the first 64 bits) among which the connections are shared at least; where more are connected,
/// among all of them. An address with more than its share loses a busy connection to an address with less, when no
/// silent connection is left.
pub const CONNECTIONS_SHARES: usize = 4;
/// Busy connections of one address that no other address takes, however many there are.
pub const CONNECTIONS_KEPT: usize = 16;
/// Connections that are accepted and wait for a place. Over it: the longest waiting of the address that has most is closed.
pub const CONNECTIONS_WAITING: usize = 256;
/// How long a client is silent before its connection may be closed to make room.
pub const CONNECTION_SILENCE: Duration = Duration::from_secs(1);
/// Connections that wait in the kernel, as far as `net.core.somaxconn` allows. Over it: clients retry after a pause.
pub const ACCEPT_QUEUE: u32 = 4_096;
/// How long a connection that was accepted before SIGTERM may take to ask for the first time.
pub const FIRST_REQUEST_AT_STOP: Duration = Duration::from_secs(1);
/// Time for pulls under way after SIGTERM.
pub const DRAIN_TIMEOUT: Duration = Duration::from_secs(30);
/// Entries of the memory of denials and absences. Over it: the oldest goes.
pub const NEGATIVE_ENTRIES: u64 = 10_000;
/// Unread children of permitted indexes that the gate reads before it refuses a blob, and asks one repository for in
/// `deny_ttl`. Over it: undecided, `overload`.
pub const CHILDREN_READ_FOR_BLOB: usize = 32;
/// Of these, those that cannot be had before it stops, and says that it cannot tell.
pub const CHILDREN_FAILED_FOR_BLOB: usize = 8;
/// Roots among them that one request judges anew. Over it: undecided, `overload`; the next request goes on from there.
pub const ROOTS_JUDGED: usize = 32;
/// Hops of `Forwarded` or `X-Forwarded-For` that are read, the nearest first. Over it: the last that was read counts.
pub const FORWARDED_HOPS: usize = 16;
/// Stories of clients that are told apart at once. Over it: those that are idle go, then all.
pub const STORIES: usize = 8_192;
/// Bytes of a list of images that a command reads. Over it: refused.
pub const IMAGE_LIST_BYTES: u64 = 4 * MIB;
/// Answered pulls that wait to be judged by the policy of `audit.shadow`. Over it: counted as `skipped`, and not judged.
pub const SHADOW_QUEUE: usize = 1_024;
/// How long after its answer a pull is judged by that policy at the earliest: the answer has left by then.
pub const SHADOW_AFTER: Duration = Duration::from_millis(100);
/// Manifests whose verdict by that policy is remembered. Over it: the oldest are forgotten, and judged again.
pub const SHADOW_REMEMBERED: usize = 1_024;
/// Bytes of memory for that. Over it: as above.
pub const SHADOW_BYTES: usize = 8 * 1024 * 1024;
/// Clients of one such manifest whose pulls are recorded with it. Over it: counted, and not recorded.
pub const SHADOW_CLIENTS: usize = 1_024;
/// For how long.
pub const SHADOW_REMEMBERED_FOR: Duration = Duration::from_secs(60);
/// Bytes of one file of a runtime that `node-config` and `doctor` read. Over it: `config-unread`.
pub const NODE_FILE_BYTES: u64 = MIB;
/// Entries of one folder of a node, or processes of it, that they look at. Over it: `config-unread`.
pub const NODE_FOLDER_ENTRIES: usize = 4_096;
/// Files that containerd's configuration imports, of those that they follow. Over it: `config-unread`.
pub const NODE_IMPORTS: usize = 64;
/// Images of a node that `doctor` judges. Over it: `images-unlisted`.
pub const NODE_IMAGES: usize = 2_000;
/// Time for a program of a runtime that `doctor` runs. Over it: killed, `not-probed` or `images-unlisted`.
pub const NODE_PROGRAM: Duration = Duration::from_secs(120);
/// Bytes of what such a program says that are read. Over it: the rest is passed over.
pub const NODE_PROGRAM_BYTES: u64 = 4 * MIB;
/// Time for the gate's own answer to `doctor`. Over it: `gate-unreachable`.
pub const CANARY_ANSWER: Duration = Duration::from_secs(15);
/// How far two clocks may be apart before `doctor` tells of it.
pub const CLOCK_APART: Duration = Duration::from_secs(120);
/// Manifests, and as many repositories, clients and signers, that a report tells apart. Over it: counted together.
pub const REPORT_ENTRIES: usize = 100_000;
/// Clients of one manifest that a report names. Over it: counted together.
pub const REPORT_CLIENTS_OF_ONE: usize = 1_000;
