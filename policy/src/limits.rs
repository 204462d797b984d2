//! Every limit, once, with its unit. What crossing one means stands beside it and in `SECURITY.md`'s table of limits.
//!
//! Sizes are bytes after transfer framing is removed; nothing is ever decompressed.

use std::time::Duration;

/// Bytes of one MiB.
pub const MIB: u64 = 1024 * 1024;

/// Bytes of a manifest, an index, a page of referrers. Over it: `manifest-too-large`.
pub const MANIFEST_BYTES: u64 = 4 * MIB;
/// Nesting of JSON that is read. Over it: `manifest-invalid` or `payload-invalid`.
pub const JSON_DEPTH: usize = 64;
/// JSON values of one manifest or index. Over it: `manifest-invalid`.
pub const MANIFEST_VALUES: usize = 100_000;
/// Bytes of memory that the values of one JSON text take: of evidence, a list, a trusted root, a token. Over it:
/// `payload-invalid`, `bundle-invalid`, or as of what is not JSON.
pub const JSON_MEMORY: usize = 32 * MIB as usize;
/// Layers of one manifest. Over it: `manifest-invalid`.
pub const LAYERS_PER_MANIFEST: usize = 1_000;
/// Children of one index. Over it: `index-too-large`.
pub const INDEX_CHILDREN: usize = 1_000;
/// Nesting of indexes. Over it: `index-too-large`, unless the inner index has a signature of its own.
pub const INDEX_DEPTH: usize = 3;
/// Largest size that a descriptor may claim, 2^53: what every JSON reader can hold.
pub const DESCRIPTOR_SIZE: u64 = 1 << 53;
/// Bytes of one annotation's value in evidence. Over it: `payload-invalid`.
pub const ANNOTATION_BYTES: usize = 256 * 1024;

/// Distinct digests fetched for one verdict: manifests of evidence and what they carry, 127 bundles, with what was
/// fetched before to find out whether the subject leaves as evidence itself. The rest: `evidence-limit`.
pub const EVIDENCE_FETCHES: usize = 256;
/// Manifests among them. The rest: `evidence-limit`.
pub const EVIDENCE_MANIFESTS: usize = 128;
/// Attestation manifests whose signatures are looked for, and children of an index whose own are. The rest: not looked at.
pub const ATTESTATION_MANIFESTS: usize = 16;
/// Signatures and attestations read for one subject. The rest: `evidence-limit`.
pub const SIGNATURES_MAX: usize = 512;
/// Bytes of one piece of evidence: a document of 32 MiB in base64. Over it: `evidence-too-large`.
pub const EVIDENCE_ITEM_BYTES: u64 = 44 * MIB;
/// Bytes of a payload that the library is given. Over it: it is not asked, and the checks after it decide alone.
pub const LIBRARY_BYTES: u64 = 12 * MIB;
/// Bytes of a simple-signing payload. Over it: `evidence-too-large`.
pub const EVIDENCE_SIGNATURE_BYTES: u64 = MIB;
/// Bytes of all manifests that carry evidence of one subject. The rest: `evidence-limit`.
pub const EVIDENCE_CARRIERS_BYTES: u64 = 8 * MIB;
/// Bytes of all evidence of one subject. The rest: `evidence-limit`.
pub const EVIDENCE_BYTES: u64 = 64 * MIB;
/// Bytes that are hashed for the evidence of one subject: each message once for each algorithm, and again where an algorithm
/// knows no other way. The rest: `evidence-limit`.
pub const HASHED_BYTES: u64 = 512 * MIB;
/// Bytes that are read as JSON for the evidence of one subject: each as often as it is read. The rest: `evidence-limit`.
pub const PARSED_BYTES: u64 = 384 * MIB;
/// Signatures that are checked for the evidence of one subject: by each key in each form, those of certificates, logs and
/// timestamp authorities too. The rest: `evidence-limit`.
pub const SIGNATURE_CHECKS: u64 = 8_192;
/// Bytes that are hashed and read for one subject before another one has its turn.
pub const TURN_BYTES: u64 = 16 * MIB;
/// Signatures that are checked for one subject before another one has its turn.
pub const TURN_CHECKS: u64 = 256;
/// Bytes that are hashed or read as JSON where others are answered. Over it: on a thread of its own.
pub const OFF_THREAD_BYTES: usize = 64 * 1024;
/// Bytes of memory of the values of one statement that the library reads. Over it: as above.
pub const STATEMENT_MEMORY: usize = 32 * MIB as usize;
/// Bytes of memory of the statements that are kept for one subject, for `where` and `slsa`. Over it: `where-too-large`.
pub const STATEMENTS_MEMORY: usize = 32 * MIB as usize;
/// Bytes of the config of a manifest that passes as evidence. Over it: judged as an image.
pub const EVIDENCE_CONFIG_BYTES: u64 = 64 * 1024;
/// Subjects that are looked up of those that a piece of evidence names, before it leaves. The rest: not looked at.
pub const EVIDENCE_SUBJECTS_NAMED: usize = 32;
/// Subjects among them for which it is tried, those first that are known in the repository. The rest: not looked at.
pub const EVIDENCE_SUBJECTS: usize = 4;
/// Manifests of evidence that are remembered for one blob, the last that were asked for. The rest: not looked at.
pub const EVIDENCE_OF_BLOB: usize = 4;
/// Pages of a referrers list. Over it: `referrers-incomplete`.
pub const REFERRERS_PAGES: usize = 20;
/// Bytes of all pages of a referrers list. Over it: `referrers-incomplete`.
pub const REFERRERS_BYTES: usize = 8 * MIB as usize;
/// Referrers of one subject that may be looked at. The rest: `evidence-limit`.
pub const REFERRERS_LISTED: usize = 1_024;

/// Subjects of one in-toto statement. Over it: `statement-invalid`.
pub const STATEMENT_SUBJECTS: usize = 1_024;
/// Digests of one subject. Over it: `statement-invalid`.
pub const SUBJECT_DIGESTS: usize = 32;
/// Log entries of one bundle. Over it: `bundle-invalid`.
pub const LOG_ENTRIES: usize = 32;
/// Timestamps of one bundle. Over it: `bundle-invalid`.
pub const TIMESTAMPS: usize = 32;
/// Signatures of a DSSE envelope in a bundle. Any other count: `dsse-signature-count`.
pub const DSSE_SIGNATURES_BUNDLE: usize = 1;
/// Signatures of a DSSE envelope in an `.att` layer. Over it: `dsse-signature-count`.
pub const DSSE_SIGNATURES_ATT: usize = 16;
/// Hashes of an inclusion proof. Over it: `inclusion-proof-invalid`.
pub const INCLUSION_PATH: usize = 64;
/// Bytes of a log's checkpoint (A624). Over it: `checkpoint-invalid`.
pub const CHECKPOINT_BYTES: usize = 8 << 10;
/// Signature lines of a checkpoint: the log's, and those of witnesses (A624). Over it: `checkpoint-invalid`.
pub const CHECKPOINT_SIGNATURES: usize = 16;
/// Certificates of a chain. Over it: `certificate-invalid`.
pub const CHAIN_LENGTH: usize = 10;
/// Bytes of one certificate. Over it: `certificate-invalid`.
pub const CERTIFICATE_BYTES: usize = 64 * 1024;
/// Bytes of a key file. Over it: `key-unsupported`.
pub const KEY_FILE_BYTES: u64 = MIB;
/// Bits of an RSA modulus, at least.
pub const RSA_BITS_MIN: u32 = 2048;
/// Bits of an RSA modulus, at most.
pub const RSA_BITS_MAX: u32 = 4096;
/// Bytes of an identity (a certificate's SAN). Over it: `identity-malformed`.
pub const IDENTITY_BYTES: usize = 2 * 1024;
/// Bytes of a `where` expression. Over it: `where-cost` at load.
pub const WHERE_TEXT_BYTES: usize = 4 * 1024;
/// Nesting of a `where` expression. Over it: `where-cost` at load.
pub const WHERE_NESTING: usize = 32;
/// Entries of a list that is written out behind `in` inside a comprehension. Over it: `where-cost` at load.
pub const WHERE_LIST: usize = 32;
/// Bytes of what a `where` expression names of a statement. Over it: `where-too-large`.
pub const WHERE_BYTES: usize = 16 * MIB as usize;
/// Entries of one list or object in it. Over it: `where-too-large`.
pub const WHERE_ITEMS: usize = 100_000;
/// Bytes of it where a comprehension names a document again, or builds a list. Over it: `where-too-large`.
pub const WHERE_AGAIN_BYTES: usize = MIB as usize;
/// Entries of one list or object in it, there. Over it: `where-too-large`.
pub const WHERE_AGAIN_ITEMS: usize = 10_000;
/// Bytes of a compiled regular expression. Over it: a load error.
pub const REGEX_BYTES: usize = MIB as usize;
/// How far a proven time may lie ahead of our clock. Over it: `time-in-future`.
pub const CLOCK_SKEW: Duration = Duration::from_secs(5 * 60);

/// Bytes of one root of a TUF repository. Over it: the refresh is refused, `trust-too-large`.
pub const TUF_ROOT_BYTES: u64 = 512_000;
/// Roots that one refresh may go through. Over it: the refresh is refused, `trust-rotations`.
pub const TUF_ROTATIONS: u64 = 256;
/// Bytes of a TUF timestamp. Over it: the refresh is refused, `trust-too-large`.
pub const TUF_TIMESTAMP_BYTES: u64 = 16_384;
/// Bytes of a TUF snapshot. Over it: the refresh is refused, `trust-too-large`.
pub const TUF_SNAPSHOT_BYTES: u64 = 2_000_000;
/// Bytes of one list of TUF targets. Over it: the refresh is refused, `trust-too-large`.
pub const TUF_TARGETS_BYTES: u64 = 5_000_000;
/// Lists of targets that one refresh may read. Over it: the refresh is refused, `trust-delegations`.
pub const TUF_DELEGATIONS: usize = 32;
/// Bytes of a trusted root that a TUF repository holds. Over it: the refresh is refused, `trust-too-large`.
pub const TRUSTED_ROOT_BYTES: u64 = 4 * MIB;
/// Bytes of a kept copy of a TUF repository. Over it: it is not read, or the refresh is refused, `trust-too-large`.
pub const TUF_KEPT_BYTES: u64 = 32 * MIB;
/// Time for one refresh of a trust root, all files together. Over it: the refresh is refused, `trust-unreachable`.
pub const TUF_REFRESH: Duration = Duration::from_secs(120);
/// How long a trust table with `tuf` counts after its metadata has expired, unless configured. Over it: `trust-stale`.
pub const TRUST_MAX_AGE: Duration = Duration::from_secs(7 * 86_400);
/// How long a manifest request waits for its verdict; the work goes on. Over it: undecided, `deadline`.
pub const VERDICT_DEADLINE: Duration = Duration::from_secs(15);
/// How long a verdict may be worked on after its client has been answered. Over it: the job ends.
pub const BACKGROUND_DEADLINE: Duration = Duration::from_secs(120);
/// Bytes of memory of all verdicts in work: evidence and its manifests. Over it: new ones wait, then undecided, `overload`.
pub const IN_FLIGHT_BYTES: u64 = 192 * MIB;
/// Bytes of them for one upstream, where there are no others; of what others leave, half. Over it: as above.
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
/// Bytes of memory for what each repository's own upstream gave. Over it: the least used goes (it is still in the store).
pub const PRESENCE_BYTES: u64 = 12 * MIB;
/// Bytes of memory for each of eleven small things: tags, names of answers, children of indexes and how many were asked
/// for, other names of a digest, what is a manifest, what was granted lately, what evidence passes, what does not,
/// whose an evidence's blobs are, and what denials rest on. Over it: the least used goes, and is looked up again.
pub const NAMES_BYTES: u64 = 4 * MIB;
/// Verdicts in work for one upstream. Over it: they queue.
pub const VERDICTS_MAX: usize = 64;
/// Verdicts about one upstream that wait for their turn. Over it: undecided, `overload`.
pub const QUEUE_MAX: usize = 1_024;
/// Questions of clients to one upstream at once: manifests, lists, whether a blob exists. Verdicts in work and blobs
/// under way are counted apart. Over it: undecided, `overload`.
pub const QUESTIONS_MAX: usize = 2_048;
/// Time to connect to an upstream.
pub const CONNECT: Duration = Duration::from_secs(5);
/// Time for a TLS handshake, with an upstream or with a client. Over it: the connection is closed.
pub const TLS_HANDSHAKE: Duration = Duration::from_secs(5);
/// Time until the response head of an endpoint, while another one can be asked instead.
pub const FIRST_BYTE: Duration = Duration::from_secs(8);
/// The same of the last or only endpoint, and of a blob while another one can be asked, unless configured.
pub const FIRST_BYTE_LAST: Duration = Duration::from_secs(25);
/// The same of a blob from the only or the last endpoint, unless configured.
pub const FIRST_BYTE_BLOB: Duration = Duration::from_secs(60);
/// The longest `first_byte` and `first_byte_blob` of an upstream. Over it: `limit-exceeded` at load.
pub const FIRST_BYTE_MAX: Duration = Duration::from_secs(120);
/// Pause between two pieces of a blob from an upstream. Over it: its connection is left, the rest asked for over another.
pub const BETWEEN_BYTES_BLOB: Duration = Duration::from_secs(10);
/// Pause between two pieces of a manifest or evidence from an upstream.
pub const BETWEEN_BYTES: Duration = Duration::from_secs(5);
/// Time for the whole body of a manifest, a list or a piece of evidence, plus one second for each
/// [`ANSWER_BYTES_PER_SECOND`] that arrived. Over it: undecided, `upstream-timeout`.
pub const ANSWER_TIME: Duration = Duration::from_secs(10);
/// Bytes that extend [`ANSWER_TIME`] by one second.
pub const ANSWER_BYTES_PER_SECOND: usize = 64 * 1024;
/// Time in which a blob's transfer is waited for, and after which it is looked how much came.
pub const BLOB_WINDOW: Duration = Duration::from_secs(10);
/// Bytes of a blob that come in that time at least. Below it: its connection is left, and the rest asked for over another.
pub const BLOB_WINDOW_BYTES: usize = 10 * 1024;
/// Repeats of one upstream request (connect errors, 502, 503, 504).
pub const UPSTREAM_RETRIES: usize = 2;
/// How long an endpoint that failed is asked after the others; doubled with each failure.
pub const ENDPOINT_REST: Duration = Duration::from_secs(10);
/// The longest that it is.
pub const ENDPOINT_REST_MAX: Duration = Duration::from_secs(60);
/// How often the rest of one blob is asked for when its transfer breaks without progress. Over it: the transfer ends.
pub const BLOB_RESUMES: u32 = 3;
/// Bytes of a blob between two breaks that are progress: what came before is not counted against it any more.
pub const BLOB_PROGRESS_BYTES: u64 = 16 * 1024;
/// Redirects followed for one upstream request. Over it: `redirect-refused`.
pub const REDIRECTS: usize = 5;
/// Bytes of an upstream's response head. Over it: `upstream-protocol`.
pub const UPSTREAM_HEADER_BYTES: usize = 64 * 1024;
/// Headers of an upstream's response. Over it: `upstream-protocol`.
pub const UPSTREAM_HEADERS: usize = 100;
/// Interim answers (1xx) before an upstream's answer. Over it: `upstream-protocol`.
pub const UPSTREAM_INTERIM: usize = 8;
/// Bytes of a `WWW-Authenticate` header. Over it: `upstream-unauthorized`.
pub const CHALLENGE_BYTES: usize = 4 * 1024;
/// Bytes of a token service's answer. Over it: `upstream-unauthorized`.
pub const TOKEN_BODY_BYTES: u64 = MIB;
/// Bytes of a token. Over it: `upstream-unauthorized`.
pub const TOKEN_BYTES: usize = 64 * 1024;
/// Longest life of a token, whatever the service says.
pub const TOKEN_LIFE_MAX: Duration = Duration::from_secs(3600);
/// Shortest life of a token, whatever the service says.
pub const TOKEN_LIFE_MIN: Duration = Duration::from_secs(10);
/// Bytes read of an upstream's error body, which is never passed on.
pub const ERROR_BODY_BYTES: u64 = 64 * 1024;
/// Bytes of name and password in a client's request, encoded. Over it: 401.
pub const CREDENTIAL_TEXT_BYTES: usize = 4 * 1024;
/// Bytes of a client's bearer token. Over it: 401.
pub const CLIENT_TOKEN_BYTES: usize = 16 * 1024;
/// How far the clock of a token's issuer may be off. Over it: 401.
pub const CLIENT_TOKEN_SKEW: Duration = Duration::from_secs(60);
/// Bytes of the claim that names the client. Over it: 401.
pub const CLIENT_CLAIM_BYTES: usize = 512;
/// Bytes of an issuer's discovery document, and of its keys. Over it: the keys are not taken.
pub const ISSUER_BYTES: u64 = 128 * 1024;
/// Keys of one issuer. Over it: the keys are not taken.
pub const ISSUER_KEYS: usize = 64;
/// Keys of the fitting kind that are tried on a token that names none. Over it: 401.
pub const ISSUER_KEYS_TRIED: usize = 8;
/// Time for one fetch of an issuer's keys, both documents together.
pub const ISSUER_FETCH: Duration = Duration::from_secs(10);
/// How long an issuer's keys are taken for the newest.
pub const ISSUER_REFRESH: Duration = Duration::from_secs(3600);
/// The shortest time between two fetches from one issuer, whatever tokens arrive.
pub const ISSUER_PAUSE: Duration = Duration::from_secs(60);
/// How long the last good keys count while the issuer does not answer. Over it: undecided, `issuer-unreachable`.
pub const ISSUER_MAX_AGE: Duration = Duration::from_secs(24 * 3600);
/// The cost of a bcrypt hash in `htpasswd`, at most: each step doubles the time. Over it: a load error.
pub const BCRYPT_COST_MAX: u32 = 14;
/// Time for a client's password that has to wait for its turn, including its hash. Over it: undecided, `overload`. A
/// wrong password that had to wait gets the same answer at the same time.
pub const PASSWORD_WAIT: Duration = Duration::from_secs(10);
/// Passwords of one client address (of IPv6, of its first 64 bits) that wait to be hashed. Over it: the newest is
/// undecided, `overload`; of names that are not in the file first, then of the name that has most.
pub const PASSWORDS_WAITING_OF_ONE: usize = 64;
/// Passwords of all clients that wait to be hashed. Over it: the same, at the address that has most.
pub const PASSWORDS_WAITING: usize = 1_024;
/// Time for a credential helper.
pub const CREDENTIAL_HELPER: Duration = Duration::from_secs(10);
/// Bytes of a credential helper's answer, and of any secret file.
pub const CREDENTIAL_BYTES: u64 = 64 * 1024;
/// Bytes of a client's request head. Over it: 431.
pub const REQUEST_HEAD_BYTES: usize = 64 * 1024;
/// Headers of a client's request. Over it: 431.
pub const REQUEST_HEADERS: usize = 100;
/// Bytes of a request target. Over it: 414.
pub const TARGET_BYTES: usize = 8 * 1024;
/// Media types of a client's `Accept`, all its lines together. Over it: 400.
pub const ACCEPT_TYPES: usize = 1_000;
/// Bytes of them. Over it: 400. Nothing of them is kept but which of the known types they name.
pub const ACCEPT_BYTES: usize = 48 * 1024;
/// Bytes of one query value. Over it: 400.
pub const QUERY_VALUE_BYTES: usize = 1024;
/// Answers on one connection of a client; the last one ends it, so that none lives for ever.
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
/// Bytes of one piece of a blob that is streamed.
pub const STREAM_CHUNK_BYTES: usize = 64 * 1024;
/// The same of a blob that is cached and verified.
pub const STREAM_CHUNK_WARM_BYTES: usize = 128 * 1024;
/// Bytes that the blob store keeps unless configured. A blob over it is not kept: it lies on the disk while it is read.
pub const BLOBS_MAX: u64 = 20 * 1024 * MIB;
/// Bytes on the disk that something permitted rests on. Over it: what was used longest ago goes, and is fetched again.
pub const PERMITTED_FILES_BYTES: u64 = 4 * 1024 * MIB;
/// Bytes of the others, denied ones among them. Over it: as above.
pub const UNPROVEN_FILES_BYTES: u64 = 256 * MIB;
/// Entries of the memory of denials and absences. Over it: the oldest goes.
pub const NEGATIVE_ENTRIES: u64 = 10_000;
/// Unread children of permitted indexes that the gate reads before it refuses a blob, and asks one repository for in
/// `deny_ttl`. Over it: undecided, `overload`.
pub const CHILDREN_READ_FOR_BLOB: usize = 32;
/// Of these, those that cannot be had before it stops, and says that it cannot tell.
pub const CHILDREN_FAILED_FOR_BLOB: usize = 8;
/// How long after grants may have been lost one that is not found is unknown, as long as a pull. Over it: denied.
pub const LOST_FOR: Duration = Duration::from_secs(10 * 60);
/// Roots of one digest that a search looks at, first those that were permitted. Over it, where none of them is:
/// undecided, `overload`.
pub const GRANTS_SEARCHED: usize = 1_024;
/// Those among them that one request has judged anew. Over it: undecided, `overload`; the next request goes on from there.
pub const ROOTS_JUDGED: usize = 32;
/// How long a tag's digest is believed, unless configured.
pub const TAG_TTL: Duration = Duration::from_secs(60);
/// How long a permit counts, unless configured.
pub const PERMIT_TTL: Duration = Duration::from_secs(3600);
/// How long a denial counts, unless configured.
pub const DENY_TTL: Duration = Duration::from_secs(30);
/// The longest `tag_ttl`. Over it: `limit-exceeded` at load.
pub const TAG_TTL_MAX: Duration = Duration::from_secs(3600);
/// The longest `permit_ttl`. Over it: `limit-exceeded` at load.
pub const PERMIT_TTL_MAX: Duration = Duration::from_secs(24 * 3600);
/// The longest `deny_ttl`. Over it: `limit-exceeded` at load.
pub const DENY_TTL_MAX: Duration = Duration::from_secs(30);
/// Bytes of a repository with its registry. Over it: 400.
pub const NAME_BYTES: usize = 255;
/// Path components of a repository. Over it: 400.
pub const NAME_COMPONENTS: usize = 32;
/// Bytes of a tag. Over it: 404.
pub const TAG_BYTES: usize = 128;
/// Characters of a denial's message.
pub const MESSAGE_BYTES: usize = 200;
/// Characters of a denial's reason phrase.
pub const REASON_PHRASE_BYTES: usize = 100;
/// Characters of a `Warning` header's text.
pub const WARNING_BYTES: usize = 200;
/// Bytes of one field of a log or audit record. Over it: cut and marked.
pub const LOG_FIELD_BYTES: usize = 1024;
/// Audit records that wait to be written. Over it: `audit.on_failure` says.
pub const AUDIT_QUEUE: usize = 4_096;
/// Audit records of requests that were refused before any upstream was asked, that wait to be written. Over it: summed up.
pub const AUDIT_REFUSALS_QUEUE: usize = 1_024;
/// Such records of one client, code and repository within a minute. Over it: summed up.
pub const AUDIT_REFUSALS_OF_ONE: u64 = 10;
/// Such records of one client within a minute. Over it: summed up.
pub const AUDIT_REFUSALS_OF_A_CLIENT: u64 = 120;
/// Such records within a minute. Over it: summed up.
pub const AUDIT_REFUSALS: u64 = 600;
/// Rows of such records that are kept. Over it: the oldest go.
pub const AUDIT_REFUSALS_ROWS: i64 = 100_000;
/// Audit records of refusals to one client, by one code, in one repository, within a minute. Over it: summed up.
pub const AUDIT_DENIALS_OF_ONE: u64 = 1_000;
/// Such records of one client within a minute. Over it: summed up.
pub const AUDIT_DENIALS_OF_A_CLIENT: u64 = 10_000;
/// Least bytes of `audit.retain_max`. Under it: `size-invalid` at load.
pub const AUDIT_RETAIN_MAX_LEAST: u64 = 16 * MIB;
/// Such records within a minute. Over it: summed up.
pub const AUDIT_DENIALS: u64 = 60_000;
/// Audit records of what does not exist upstream, of one client in one repository, within a minute. Over it: summed up.
pub const AUDIT_MISSING_OF_ONE: u64 = 60;
/// Such records of one client within a minute. Over it: summed up.
pub const AUDIT_MISSING_OF_A_CLIENT: u64 = 600;
/// Such records within a minute. Over it: summed up.
pub const AUDIT_MISSING: u64 = 6_000;
/// Sums of refusals within a minute. Over it: one sum for each code.
pub const AUDIT_TALLY_SUMS: usize = 256;
/// Clients, codes and repositories told apart within a minute, of refusals under a policy. Over it: not counted apart.
pub const AUDIT_TALLY_DENIALS: usize = 10_000;
/// Bytes of a configuration or policy file.
pub const CONFIG_FILE_BYTES: u64 = 4 * MIB;
