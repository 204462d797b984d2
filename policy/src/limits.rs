//! Limits of content and of names, each once, with its unit. What crossing one means stands beside it and in `SECURITY.md`'s
//! table of limits. Limits of transport, of files and of the pull log stand in `limits` of their package.
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

/// Distinct digests fetched for one verdict: manifests of evidence and their layers (127 bundles), and those fetched
/// before to find out whether the subject leaves as evidence itself. The rest: `evidence-limit`.
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
/// Bytes of a simple-signing payload, or of an envelope of Notation's. Over it: `evidence-too-large`.
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
/// Subjects among them that are tried, those first that are known in the repository. The rest: not looked at.
pub const EVIDENCE_SUBJECTS: usize = 4;
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
/// Nesting of CBOR that is read. Over it: `envelope-invalid`.
pub const CBOR_DEPTH: usize = 16;
/// CBOR values of one envelope, labels too. Over it: `envelope-invalid`.
pub const CBOR_ITEMS: usize = 1_000;
/// Certificates in one timestamp of a Notation signature. Over it: `timestamp-invalid`.
pub const TIMESTAMP_CERTIFICATES: usize = 32;
/// Signatures that are checked to find the way from a timestamp's certificate to a root. Over it: `timestamp-untrusted`.
pub const TIMESTAMP_STEPS: usize = 32;
/// Certificates in the stores of one `x509` trust table. Over it: `store-invalid`.
pub const STORE_CERTIFICATES: usize = 256;
/// Lists of revocations in one `x509` trust table. Over it: `store-invalid`.
pub const REVOCATION_LISTS: usize = 64;
/// Bytes of one list of revocations. Over it: `store-invalid`.
pub const REVOCATION_LIST_BYTES: u64 = 16 * MIB;
/// Certificates that one list of revocations names. Over it: `store-invalid`.
pub const REVOKED_CERTIFICATES: usize = 1_000_000;
/// Bytes of a subject that an authority asks for. Over it: `subject-invalid`.
pub const SUBJECT_BYTES: usize = 2 * 1024;
/// Attributes of a subject. Over it: `subject-invalid`; of a certificate: it is nobody whom a policy can name.
pub const SUBJECT_ATTRIBUTES: usize = 32;
/// Certificates of a chain. Over it: `certificate-invalid`.
pub const CHAIN_LENGTH: usize = 10;
/// Certificates in one `ca` file. Over it: `ca-invalid`.
pub const CA_CERTIFICATES: usize = 32;
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
/// Bytes of a client's bearer token. Over it: 401.
pub const CLIENT_TOKEN_BYTES: usize = 16 * 1024;
/// How far the clock of a token's issuer may be off. Over it: 401.
pub const CLIENT_TOKEN_SKEW: Duration = Duration::from_secs(60);
/// Bytes of the claim that names the client. Over it: 401.
pub const CLIENT_CLAIM_BYTES: usize = 512;
/// Keys of one issuer. Over it: the keys are not taken.
pub const ISSUER_KEYS: usize = 64;
/// Keys of the fitting kind that are tried on a token that names none. Over it: 401.
pub const ISSUER_KEYS_TRIED: usize = 8;
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
