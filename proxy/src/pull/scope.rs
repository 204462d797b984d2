//! Refusals before the upstream is asked.

use pullgate_policy::code::Code;
use pullgate_policy::decide;
use pullgate_policy::oci::{Digest, Repository};
use pullgate_policy::policy::{Governing, Unmatched};

use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::store::Grants;

/// Refuses a repository that no scope matches under `unmatched = "deny"`, and one whose policy denies everything.
pub(super) fn governed(live: &Live, repository: &Repository) -> Result<(), Refusal> {
    match live.policy().governing(repository) {
        Governing::Unmatched(Unmatched::Deny) => Err(Refusal::Denied(Box::new(decide::unmatched()))),
        Governing::Policy(policy, _) => match decide::refused(policy) {
            Some(denial) => Err(Refusal::Denied(Box::new(denial))),
            None => Ok(()),
        },
        Governing::Unmatched(Unmatched::Permit | Unmatched::Warn) => Ok(()),
    }
}

/// Whether an exemption names this where no scope does: a repository, a digest, or what an exempt digest brought with it.
///
/// # Errors
/// Undecided, where the store cannot say.
pub(super) async fn exempt(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Option<&Digest>,
) -> Result<bool, Refusal> {
    let (policy, now) = (live.policy(), app.clock.now());
    if policy.opens(repository, digest, now) {
        return Ok(true);
    }
    let Some(digest) = digest.filter(|_| policy.exempts_a_digest(now)) else { return Ok(false) };
    // Whether the root of the grant is exempt is asked where the grant is.
    if app.memory.grants(repository, *digest).await.is_some_and(|grants| !grants.is_empty()) {
        return Ok(true);
    }
    // Where the store cannot answer, or has lost grants, the answer is undecided and no denial (A603).
    let stored = app.store.grants(repository, digest, live.revisions(), 0).await?;
    match (stored.is_empty(), app.store.grants_are()) {
        (false, _) => Ok(true),
        (true, Grants::AllThere) => Ok(false),
        (true, Grants::MayBeLost) => Err(Refusal::undecided(Code::Storage)),
    }
}

/// Refuses a blocked digest: on every route, whatever else speaks for it (A409).
pub(super) fn not_blocked(live: &Live, digest: &Digest) -> Result<(), Refusal> {
    match live.policy().block(digest) {
        Some(block) => Err(Refusal::Denied(Box::new(decide::block_denial(block)))),
        None => Ok(()),
    }
}
