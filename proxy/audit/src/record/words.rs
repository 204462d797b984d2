//! The words of a record.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What a record is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A blob that was refused.
    BlobRefused,
    /// Blobs that were served under one root, counted.
    Blobs,
    /// The signed head of the log.
    Checkpoint,
    /// An answer to a manifest request.
    Manifest,
    /// Requests that were refused, summed up.
    Refusals,
    /// A reload of the configuration.
    Reload,
    /// A request that was refused before it was known what it is for.
    RequestRefused,
    /// What the policy of `audit.shadow` would have said of a pull, and is another thing than was said.
    Shadow,
    /// The gate began to serve.
    Start,
    /// The gate ends.
    Stop,
}

impl Kind {
    /// The word as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::BlobRefused => "blob-refused",
            Self::Blobs => "blobs",
            Self::Checkpoint => "checkpoint",
            Self::Manifest => "manifest",
            Self::Refusals => "refusals",
            Self::Reload => "reload",
            Self::RequestRefused => "request-refused",
            Self::Shadow => "shadow",
            Self::Start => "start",
            Self::Stop => "stop",
        }
    }
}

/// What was answered; of a reload, what came of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Word {
    /// 403.
    Deny,
    /// 404.
    Missing,
    /// 200. Of a reload: it is in force.
    Permit,
    /// The request could not be read. Of a reload: the old configuration stays in force.
    Refused,
    /// 503.
    Undecided,
}

impl Word {
    /// The status that nearly every such answer has.
    pub(super) fn status(self) -> u16 {
        match self {
            Self::Deny => 403,
            Self::Missing => 404,
            Self::Permit => 200,
            Self::Refused => 400,
            Self::Undecided => 503,
        }
    }

    /// The word as it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Missing => "missing",
            Self::Permit => "permit",
            Self::Refused => "refused",
            Self::Undecided => "undecided",
        }
    }
}
