//! Why nothing is written.

use super::tree::Place;
use crate::limits;

/// Why an import ends with nothing.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Fault {
    /// A file that cannot be read as what it is.
    #[error("{place}: {why}")]
    Unreadable { place: Place, why: Unread },
    /// A value of another kind.
    #[error("{place}: {wanted} is expected here")]
    Unexpected { place: Place, wanted: &'static str },
    /// The original's own reader would refuse it: it was never in force.
    #[error("{place}: {why}; its own system does not take it either, so it was never in force")]
    Invalid { place: Place, why: String },
    /// A denial that no scope can say, where something else would permit.
    #[error("{place}: {why}, and images that it refuses would be served under {under}")]
    Unscoped { place: Place, why: String, under: String },
    /// Two patterns of which neither is more specific.
    #[error("{place}: {one} and {other} both match some repositories, and no scope can say which: {hint}")]
    Tie { place: Place, one: String, other: String, hint: &'static str },
    /// Files of systems that read one another's policies in no way.
    #[error("{place}: {one} and {other} in one import: each decides by itself, so import each by itself")]
    Mixed { place: Place, one: &'static str, other: &'static str },
    /// Over a limit.
    #[error("more than {} files", limits::IMPORT_FILES)]
    Files,
    /// Over a limit.
    #[error("the scopes of these policies overlap in more than {} ways", limits::IMPORT_SCOPES)]
    Scopes,
    /// Over a limit.
    #[error("more than {} policies, rules or authorities", limits::IMPORT_PARTS)]
    Parts,
    /// Nothing in it that is a policy of a known system.
    #[error("{file}: no policy that is known here; see `pullgate policy import --help`")]
    Nothing { file: String },
    /// What was written does not load: a fault of the import itself.
    #[error("the result has faults, so nothing is written:\n{0}")]
    Unloadable(String),
}

/// Why a file cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unread {
    #[error("an alias of nothing")]
    Alias,
    #[error("nested deeper than {} levels", limits::IMPORT_DEPTH)]
    Depth,
    #[error("{0}")]
    File(String),
    #[error("not JSON, or JSON that two readers read differently")]
    Json,
    #[error("a key that is no text")]
    Key,
    #[error("a merge (`<<`), which is not read: write the fields out")]
    Merge,
    #[error("a tag, which is not read")]
    Tag,
    #[error("{} stands there twice", pullgate_policy::text::escape(.0))]
    Twice(String),
    #[error("more than {} values, those that aliases repeat among them", limits::IMPORT_VALUES)]
    Values,
    #[error("not YAML: {}", pullgate_policy::text::escape(.0))]
    Yaml(String),
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.file, self.line)
    }
}
