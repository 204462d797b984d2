//! Remembered verdicts about a subject, and how a new one is stored.
//!
//! A record becomes a permit only through the current policy: repository, subject, both revisions, age and seal must
//! hold. A grant is worth what its root's permit is worth now (A023).

use std::collections::BTreeSet;
use std::sync::Arc;

use crate::limits::ROOTS_JUDGED;
use futures_util::future::BoxFuture;
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::evidence::collected::{CollectedEvidence, KeptOutcome};
use pullgate_policy::grant::{Grant, GrantClaim, Role};
use pullgate_policy::oci::{Digest, Document, Repository};
use pullgate_policy::seal::Sealed;
use pullgate_policy::verdict::{Denial, Ground, Permit, Permitted, Subject};
use pullgate_store::limits::GRANTS_SEARCHED;

use super::collect::Collected;
use super::order::{self, At, Cleared, Found, Leave, Reach, Standing, Walk};
use super::{Content, Judged, Pulled, Remembered};
use crate::live::Live;
use crate::memory::Denied;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::store::limits::GRANTS_READ;
use crate::store::{Grants, OrAnew as _};

/// The denial of a subject, unless an index that would grant it could not be judged, or the store cannot say whether
/// there is one: not knowing never reads like unsigned (invariant 4). A child of an index may have a tag of its own, so
/// a grant that was lost counts however the child is asked for (A603). An index that is nested too deep below a permitted
/// one is `index-too-large` (A128).
///
/// # Errors
/// The denial, or what stands in its way. A grant that could not be read a moment ago, and now can, serves the document
/// instead.
pub(super) async fn denied(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    document: &Intact<Document>,
    denial: Box<Denial>,
) -> Result<Pulled, Refusal> {
    match grant(app, live, leave, document.digest(), Role::Child).await {
        Err(refusal) => Err(refusal),
        Ok(Some(grant)) if grant.nests_too_deep() => {
            Err(Refusal::Denied(Box::new(decide::shape_denial(Code::IndexTooLarge))))
        }
        Ok(Some(grant)) => match Permitted::under_grant(grant, document.clone()) {
            Ok(permitted) => Ok(Pulled::new(Content::Permitted(Box::new(permitted)), Remembered::Hit)),
            Err(_another) => Err(Refusal::Denied(denial)),
        },
        Ok(None) => match app.store.grants_are() {
            Grants::AllThere => Err(Refusal::Denied(denial)),
            Grants::MayBeLost => Err(Refusal::undecided(Code::Storage)),
        },
    }
}

pub(super) fn is_unknown(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Undecided(undecided) if undecided.code() == Code::Storage)
}

/// A permit in memory that counts now.
async fn remembered_permit(app: &Handles, live: &Live, cleared: &Cleared) -> Option<Permit> {
    let permit = app.memory.permit(cleared.subject(), live.revisions()).await?;
    // No revision includes `permit_ttl`: a permit from before a change must not outlive the new one (A543).
    let permit = permit.as_ref().clone().within(live.policy().permit_ttl);
    permit.counts(live.revisions(), app.clock.now()).then_some(permit)
}

/// A grant in memory whose root has a permit in memory that counts now.
pub(super) async fn remembered_grant(
    app: &Handles,
    live: &Live,
    leave: &Leave,
    digest: Digest,
    role: Role,
) -> Option<Grant> {
    let repository = leave.repository();
    let remembered = app.memory.grants(repository, digest).await.unwrap_or_default();
    for claim in claims(app, &remembered, repository, &digest) {
        let root = claim.root().digest;
        if claim.role() != role || root == digest {
            continue;
        }
        let Ok(cleared) = leave.cleared(live, root) else { continue };
        if let Some(permit) = remembered_permit(app, live, &cleared).await
            && let Some(grant) = claim.confirm(permit, live.revisions(), app.clock.now())
        {
            return Some(grant);
        }
    }
    None
}

/// A permit that counts now, in memory or, where that is in reach, in the store.
pub(super) async fn permit(app: &Handles, live: &Live, cleared: &Cleared, reach: Reach) -> Option<Permit> {
    if let Some(permit) = remembered_permit(app, live, cleared).await {
        return Some(permit);
    }
    match reach {
        Reach::Nowhere | Reach::Memory => return None,
        Reach::Store | Reach::Asking => {}
    }
    let subject = cleared.subject();
    let (revisions, now, lifetime) = (live.revisions(), app.clock.now(), live.policy().permit_ttl);
    // Where the store cannot say, the verdict is reached anew.
    let sealed = app.store.permit(subject, revisions).await.or_anew()?;
    let permit = Permit::recall(&app.seal, &sealed, subject, revisions, now)
        .map(|permit| permit.within(lifetime))
        .filter(|permit| permit.counts(revisions, now));
    match &permit {
        Some(permit) => app.memory.keep_permit(permit).await,
        // An expired permit is dropped, so that it stays expired: the next process may get an earlier time, from a
        // corrected clock (A542).
        None => app.store.forget_permit(subject, revisions),
    }
    permit
}

/// A grant for `digest` in `repository` whose root is permitted now; the root is decided again where need be, from kept
/// evidence first. The search ends at the first permit and visits permitted roots first: other roots that list the
/// digest, in any number, cannot hide it (A616).
pub(super) fn grant<'a>(
    app: &'a Arc<Handles>,
    live: &'a Arc<Live>,
    leave: &'a Leave,
    digest: Digest,
    role: Role,
) -> BoxFuture<'a, Result<Option<Grant>, Refusal>> {
    // Boxed, for a root is asked about in the same order.
    Box::pin(searched(app, live, leave, digest, role))
}

async fn searched(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    digest: Digest,
    role: Role,
) -> Result<Option<Grant>, Refusal> {
    if let Some(grant) = remembered_grant(app, live, leave, digest, role).await {
        return Ok(Some(grant));
    }
    let repository = leave.repository();
    let mut search =
        Search { leave, role, tried: BTreeSet::from([digest]), left: ROOTS_JUDGED, undecided: None };
    // Those of this process; after a restart the store knows of more roots.
    let remembered = app.memory.grants(repository, digest).await.unwrap_or_default();
    if let Some(grant) = search.among(app, live, claims(app, &remembered, repository, &digest)).await {
        return Ok(Some(grant));
    }
    let mut passed = 0;
    loop {
        let stored = match app.store.grants(repository, &digest, live.revisions(), passed).await {
            Ok(stored) => stored,
            Err(unknown) => {
                search.undecided = Some(unknown.into()); // not the same as none (A603)
                break;
            }
        };
        if let Some(grant) = search.among(app, live, claims(app, &stored, repository, &digest)).await {
            return Ok(Some(grant));
        }
        passed += stored.len();
        if stored.len() < GRANTS_READ {
            break;
        }
        if passed >= GRANTS_SEARCHED || search.left == 0 {
            search.undecided.get_or_insert(Refusal::undecided(Code::Overload));
            break;
        }
    }
    // An undecided root is not a denial: the client may ask again (invariant 4).
    search.undecided.map_or(Ok(None), Err)
}

/// A search for a root that is permitted now.
struct Search<'a> {
    leave: &'a Leave,
    role: Role,
    /// Each root is tried once, and never for its own digest: an index that lists itself proves nothing.
    tried: BTreeSet<Digest>,
    /// Roots that may still be judged anew: each costs requests, and the outcome is remembered for the next search.
    left: usize,
    undecided: Option<Refusal>,
}

impl Search<'_> {
    /// The first of these claims whose root is permitted now.
    async fn among(
        &mut self,
        app: &Arc<Handles>,
        live: &Arc<Live>,
        claims: Vec<GrantClaim>,
    ) -> Option<Grant> {
        for claim in claims {
            let root = claim.root();
            if claim.role() != self.role || !self.tried.insert(root.digest) {
                continue;
            }
            match root_permit(app, live, self.leave, (root.digest, &mut self.left)).await {
                Ok(permit) => {
                    if let Some(grant) = claim.confirm(permit, live.revisions(), app.clock.now()) {
                        return Some(grant);
                    }
                }
                Err(refusal @ Refusal::Undecided(_)) => self.undecided = Some(refusal),
                Err(_) => {}
            }
        }
        None
    }
}

/// What these sealed grants claim, where their seal holds.
fn claims(app: &Handles, sealed: &[Sealed], repository: &Repository, digest: &Digest) -> Vec<GrantClaim> {
    sealed.iter().filter_map(|sealed| GrantClaim::open(&app.seal, sealed, repository, digest)).collect()
}

/// The permit of a root, as it is remembered or reached again, or what `on_undecided` gives.
async fn root_permit(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    (root, left): (Digest, &mut usize),
) -> Result<Permit, Refusal> {
    let open = match order::standing((app, live), Walk::Root, leave, At::Named(root, left)).await? {
        Standing::Found(Found::Remembered(permit) | Found::Ruled(permit)) => return Ok(*permit),
        Standing::Denied(denial) => return Err(Refusal::Denied(denial)),
        Standing::Open(open) => open,
        // No root is granted by another, or passes as evidence.
        Standing::Found(Found::Granted(_) | Found::ServableEvidence(_))
        | Standing::NotInMemory
        | Standing::Undecided(..) => return Err(Refusal::undecided(Code::Internal)),
    };
    match super::shared_verdict(app, live, &open, None).await {
        Ok(judged) => Ok(judged.permit),
        Err(Refusal::Undecided(undecided)) => {
            let found = super::fallback::resolved(app, live, &open, undecided).await?;
            match found.content {
                Content::Permitted(permitted) => Ok(permitted.permit().clone()),
                Content::Evidence(_) => Err(Refusal::undecided(Code::Internal)),
            }
        }
        Err(refusal) => Err(refusal),
    }
}

/// Keeps a permit and the evidence it rests on.
pub(super) async fn keep(
    (app, live): (&Handles, &Live),
    permit: Permit,
    evidence: Evidence,
    collected: &Collected,
    memory: Remembered,
) -> Judged {
    let subject = permit.subject();
    let outcome = match permit.ground() {
        Ground::Satisfied => KeptOutcome::Permitted,
        Ground::EachChild | Ground::Exempt { .. } | Ground::Unchecked | Ground::WarnOnly(_) => {
            KeptOutcome::NotPermitted
        }
    };
    if memory == Remembered::Miss {
        keep_evidence(app, subject, collected, outcome).await;
    }
    let manifests = collected.manifests.iter().map(|(_, digest)| *digest);
    let carried = collected.found.iter().flat_map(pullgate_verify::Found::sources).map(|source| source.blob);
    app.store.rest_on(manifests.chain(carried).collect());
    if outcome == KeptOutcome::Permitted {
        for (repository, digests) in super::collect::kept::places(live, subject, collected) {
            app.store.keep_evidence_present(repository, digests);
        }
    }
    app.memory.keep_permit(&permit).await;
    app.store.keep_permit(&permit, app.seal.seal(&permit));
    Judged { permit, evidence: Arc::new(evidence), memory }
}

/// Remembers a denial for `deny_ttl`, in memory only: a signature may arrive at any moment.
pub(super) async fn keep_denial(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    (denial, evidence): (&Denial, &Evidence),
    collected: &Collected,
) {
    app.memory.keep_denial(subject, live.revisions(), denial).await;
    if let Some(denied) = Denied::new(denial, evidence, collected.pieces()) {
        app.memory.keep_denied(subject, live.revisions(), denied).await;
    }
    keep_evidence(app, subject, collected, KeptOutcome::NotPermitted).await;
}

/// Keeps collected evidence without a verdict.
pub(super) async fn keep_fetched(app: &Handles, subject: &Subject, collected: &Collected) {
    keep_evidence(app, subject, collected, KeptOutcome::NotPermitted).await;
}

/// Keeps where evidence lay. The record of a subject that was once permitted says so for good: `last_permit` decides
/// anew by kept evidence, and a policy that was wrong for an hour must not cost that (A148). Removed evidence is not
/// kept: a withdrawn signature permits nothing, also while the upstream is away (A122).
async fn keep_evidence(app: &Handles, subject: &Subject, collected: &Collected, outcome: KeptOutcome) {
    let outcome = match outcome {
        KeptOutcome::Permitted => KeptOutcome::Permitted,
        KeptOutcome::NotPermitted => {
            let before = app.store.evidence(subject).await.ok().flatten();
            let before = before.and_then(|sealed| CollectedEvidence::open(&app.seal, &sealed, subject));
            before.map_or(KeptOutcome::NotPermitted, |before| before.outcome)
        }
    };
    let kept = CollectedEvidence {
        subject: subject.clone(),
        collected: collected.at,
        manifests: collected.manifests.clone(),
        unread: collected.unread.iter().map(|unread| (unread.layout, unread.code)).collect(),
        outcome,
    };
    app.store.keep_evidence(&kept, app.seal.seal(&kept));
}
