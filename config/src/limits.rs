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
