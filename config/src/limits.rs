//! Limits of configuration files, and what counts where they are silent, each with its unit.

use std::time::Duration;

use pullgate_policy::limits::MIB;

/// How long a trust table with `tuf` counts after its metadata has expired, unless configured. Over it: `trust-stale`.
pub const TRUST_MAX_AGE: Duration = Duration::from_secs(7 * 86_400);
/// The longest `first_byte` and `first_byte_blob` of an upstream. Over it: `limit-exceeded` at load.
pub const FIRST_BYTE_MAX: Duration = Duration::from_secs(120);
/// Bytes of an issuer's discovery document, and of its keys. Over it: the keys are not taken.
pub const ISSUER_BYTES: u64 = 128 * 1024;
/// The cost of a bcrypt hash in `htpasswd`, at most: each step doubles the time. Over it: a load error.
pub const BCRYPT_COST_MAX: u32 = 14;
/// Bytes of a credential helper's answer, and of any secret file.
pub const CREDENTIAL_BYTES: u64 = 64 * 1024;
/// Bytes that the blob store keeps unless configured. A blob over it is not kept: it lies on the disk while it is read.
pub const BLOBS_MAX: u64 = 20 * 1024 * MIB;
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
/// Least bytes of `audit.retain_max`. Under it: `size-invalid` at load.
pub const AUDIT_RETAIN_MAX_LEAST: u64 = 16 * MIB;
/// Bytes of a configuration or policy file.
pub const CONFIG_FILE_BYTES: u64 = 4 * MIB;
/// Files of one `pullgate policy import`. Over it, as over the next ones: nothing is written.
pub const IMPORT_FILES: usize = 1_024;
/// Bytes of a file that is imported.
pub const IMPORT_FILE_BYTES: u64 = 4 * MIB;
/// Values of such a file, those that aliases repeat among them; each 64 bytes of a text count as one.
pub const IMPORT_VALUES: usize = 200_000;
/// Levels of nesting in such a file.
pub const IMPORT_DEPTH: usize = 64;
/// Policies and rules of one import, and authorities that they name.
pub const IMPORT_PARTS: usize = 1_024;
/// Scopes of one import, those that two of them have in common among them.
pub const IMPORT_SCOPES: usize = 1_024;
/// Ways to choose one requirement of each of several authorities. Over it the first authority alone is imported.
pub const IMPORT_CHOICES: usize = 16;
