//! The verdicts of the policy of `audit.shadow` beside those of the policy in force.

use prometheus_client::encoding::EncodeLabelSet;

/// A policy's verdict on a pull: the values of a metric's labels.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Said {
    /// It is refused.
    Deny,
    /// It is served.
    Permit,
    /// There was no place in the queue: it was not judged.
    Skipped,
    /// The content or evidence for it was not kept.
    Unknown,
    /// It is served with a warning.
    Warn,
}

impl Said {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Deny => "deny",
            Self::Permit => "permit",
            Self::Skipped => "skipped",
            Self::Unknown => "unknown",
            Self::Warn => "warn",
        }
    }
}

/// Labels of the counter.
#[derive(Clone, Debug, Hash, PartialEq, Eq, EncodeLabelSet)]
pub(super) struct ShadowLabels {
    pub(super) was: &'static str,
    pub(super) would_be: &'static str,
}
