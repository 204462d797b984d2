//! Limits of the pull log, each with its unit.

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
/// Such records within a minute. Over it: summed up.
pub const AUDIT_DENIALS: u64 = 60_000;
/// Audit records of what does not exist upstream, of one client in one repository, within a minute. Over it: summed up.
pub const AUDIT_MISSING_OF_ONE: u64 = 60;
/// Such records of one client within a minute. Over it: summed up.
pub const AUDIT_MISSING_OF_A_CLIENT: u64 = 600;
/// Such records within a minute. Over it: summed up.
pub const AUDIT_MISSING: u64 = 6_000;
/// User agents of one client and day that the roll-up tells apart. Over it: one entry for the others, in the roll-up alone.
pub const AUDIT_AGENTS_OF_A_CLIENT: usize = 64;
/// Sums of refusals within a minute. Over it: one sum for each code.
pub const AUDIT_TALLY_SUMS: usize = 256;
/// Clients, codes and repositories told apart within a minute, of refusals under a policy. Over it: not counted apart.
pub const AUDIT_TALLY_DENIALS: usize = 10_000;
/// Texts of policies that were in force and are kept. Over it: the oldest go.
pub const POLICY_TEXTS: usize = 1_000;
/// Pieces of a log that are told apart: it began anew so often. Over it: not whole.
pub const LOG_PIECES: usize = 1_000;
/// Bytes of a line of an export that is read. Over it: it is no record.
pub const LOG_LINE_BYTES: usize = 1024 * 1024;
