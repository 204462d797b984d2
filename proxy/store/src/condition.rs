//! How a part of a gate is, as `/readyz` says it.

/// How a part of the gate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It works less well than it should; pulls are judged.
    Degraded(String),
    /// It is as it should be.
    Good,
    /// Pulls cannot be judged, or not be remembered.
    Unready(String),
}
