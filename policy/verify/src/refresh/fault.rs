//! Why a refresh brought nothing.

use jiff::Timestamp;
use pullgate_policy::limits;
use sigstore_tuf::Error;

/// Why a file could not be had. A missing file is an answer, not a failure of the transport.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FetchFault {
    /// More bytes than were asked for.
    #[error("more bytes than may be read")]
    TooLarge,
    /// No answer, or an unusable one.
    #[error("no answer: {0}")]
    Unreachable(&'static str),
}

/// Why a refresh was refused. Names of roles and files are from signed metadata or our own; escape them where they are
/// shown.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RefreshFault {
    /// More lists of targets than may be read (A345).
    #[error("more than {} lists of targets would have to be read", limits::TUF_DELEGATIONS)]
    Delegations,
    /// Expired metadata: the repository is dead, or an attacker withholds newer metadata (A342).
    #[error("the {role} metadata expired at {at}")]
    Expired {
        /// Which.
        role: String,
        /// When.
        at: Timestamp,
    },
    /// Not the metadata that it should be.
    #[error("{file} cannot be read: {why}")]
    Malformed {
        /// The file.
        file: String,
        /// For people.
        why: String,
    },
    /// Not the bytes or the version that the file above it lists (A344).
    #[error("{file} is not what the metadata above it lists: {why}")]
    Mismatch {
        /// The file.
        file: String,
        /// For people.
        why: String,
    },
    /// The repository does not have a file that it must have.
    #[error("{file} is missing")]
    Missing {
        /// The file.
        file: String,
    },
    /// An older version than the trusted one (A341).
    #[error("{role} goes back from version {known} to {offered}")]
    Rollback {
        /// Which.
        role: String,
        /// The version that is known.
        known: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// A root that does not follow the one before it by one (A343).
    #[error("root {offered} was offered after root {known}")]
    RootVersion {
        /// The version that is known.
        known: u64,
        /// The version that was offered.
        offered: u64,
    },
    /// More roots than one refresh may go through (A345).
    #[error("more than {} new roots", limits::TUF_ROTATIONS)]
    Rotations,
    /// Not signed by as many different keys as the role demands (A343).
    #[error("the {role} metadata is not signed by as many different keys as it must be")]
    Threshold {
        /// Which.
        role: String,
    },
    /// More bytes than a file of its kind may have (A345).
    #[error("{file} is too large")]
    TooLarge {
        /// The file.
        file: String,
    },
    /// A file could not be had.
    #[error("{file} cannot be had: {why}")]
    Unreachable {
        /// The file.
        file: String,
        /// For people.
        why: &'static str,
    },
    /// No list of targets has the file that is wanted.
    #[error("no list of targets has {file}")]
    Unlisted {
        /// The file.
        file: String,
    },
}

impl RefreshFault {
    /// The stable code, for logs and metrics.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Delegations => "trust-delegations",
            Self::Expired { .. } => "trust-expired",
            Self::Malformed { .. } => "trust-malformed",
            Self::Mismatch { .. } => "trust-mismatch",
            Self::Missing { .. } | Self::Unlisted { .. } => "trust-missing",
            Self::Rollback { .. } | Self::RootVersion { .. } => "trust-rollback",
            Self::Rotations => "trust-rotations",
            Self::Threshold { .. } => "trust-threshold",
            Self::TooLarge { .. } => "trust-too-large",
            Self::Unreachable { .. } => "trust-unreachable",
        }
    }

    pub(super) fn malformed(file: &str, why: impl Into<String>) -> Self {
        Self::Malformed { file: file.to_owned(), why: why.into() }
    }

    pub(super) fn mismatch(file: &str, why: impl Into<String>) -> Self {
        Self::Mismatch { file: file.to_owned(), why: why.into() }
    }

    pub(super) fn missing(file: &str) -> Self {
        Self::Missing { file: file.to_owned() }
    }

    pub(super) fn threshold(role: &str) -> Self {
        Self::Threshold { role: role.to_owned() }
    }

    pub(super) fn fetching(file: &str, fault: FetchFault) -> Self {
        let file = file.to_owned();
        match fault {
            FetchFault::TooLarge => Self::TooLarge { file },
            FetchFault::Unreachable(why) => Self::Unreachable { file, why },
        }
    }

    /// What the library says of `file`.
    pub(super) fn of(file: &str, error: Error) -> Self {
        match error {
            Error::ThresholdNotMet { role, .. } | Error::DuplicateSignature { role, .. } => {
                Self::Threshold { role }
            }
            Error::Rollback { role, trusted, new } => Self::Rollback { role, known: trusted, offered: new },
            Error::BadRootVersion { trusted, new } => Self::RootVersion { known: trusted, offered: new },
            Error::Expired { role, expires } => Self::Expired { role, at: expires },
            Error::IntegrityMismatch(why) => Self::mismatch(file, why),
            other => Self::malformed(file, other.to_string()),
        }
    }
}
