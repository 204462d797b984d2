//! The availability of the database as a whole.

/// Whether anything is remembered: what `/readyz` says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Availability {
    /// The last write failed: reads work, new verdicts are lost and counted. It is tried again.
    Failing,
    /// Reads and writes reach the file.
    Ready,
    /// The file cannot be used: reads are unknown, writes are lost and counted. It is tried again.
    Unavailable,
    /// The last read failed, or was too slow. It is tried again.
    Unreadable,
}

/// Whether a grant that is not found was ever given.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Grants {
    /// Nothing was lost of late: it was not.
    AllThere,
    /// Some may have been lost a short while ago (A603).
    MayBeLost,
}
