//! Refusals before the upstream is asked.

use pullgate_policy::decide;
use pullgate_policy::policy::{Governing, Unmatched};

use crate::live::Live;
use crate::refusal::Refusal;

/// Refuses a repository that no scope matches under `unmatched = "deny"`.
pub(super) fn governed(live: &Live, repository: &pullgate_policy::oci::Repository) -> Result<(), Refusal> {
    match live.policy().governing(repository) {
        Governing::Unmatched(Unmatched::Deny) => Err(Refusal::Denied(Box::new(decide::unmatched()))),
        Governing::Unmatched(Unmatched::Permit | Unmatched::Warn) | Governing::Policy(..) => Ok(()),
    }
}

/// Refuses a blocked digest: on every route, whatever else speaks for it (A409).
pub(super) fn not_blocked(live: &Live, digest: &pullgate_policy::oci::Digest) -> Result<(), Refusal> {
    match live.policy().block(digest) {
        Some(block) => Err(Refusal::Denied(Box::new(decide::block_denial(block)))),
        None => Ok(()),
    }
}
