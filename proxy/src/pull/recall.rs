//! Remembered verdicts about a subject, and how a new one is stored.
//!
//! A record becomes a permit only through the current policy: repository, subject, both revisions, age and seal must
//! hold. A grant is worth what its root's permit is worth now (A023).

use std::collections::BTreeSet;
use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::evidence::kept::{Kept, KeptOutcome};
use pullgate_policy::grant::{Grant, GrantClaim, Role};
use pullgate_policy::limits::{GRANTS_SEARCHED, ROOTS_JUDGED};
use pullgate_policy::oci::{Digest, Document, Reference, Repository};
use pullgate_policy::seal::Sealed;
use pullgate_policy::verdict::{Denial, Ground, Permit, Permitted, Subject, Verdict};

use super::collect::Collected;
use super::{Content, Judged, Pulled, Remembered, permitted, resolve, scope};
use crate::live::Live;
use crate::memory::Denied;
use crate::metrics::CacheResult;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::store::limits::GRANTS_READ;
use crate::store::{Grants, OrAnew as _};

/// What is remembered of a subject.
#[derive(Debug)]
pub(super) enum Recalled {
    /// A verdict that needs no evidence now.
    Found(Box<Pulled>),
    /// Nothing: the evidence decides.
    Nothing,
    /// The store could not say whether there is a grant: the evidence may permit, and cannot deny (A603).
    Unknown,
}

/// A verdict that needs no evidence now: an exemption, an unchecked repository, a stored permit, a grant of a root that is
/// permitted now, or a denial of the last moments.
pub(super) async fn content(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    subject: &Subject,
    document: &Intact<Document>,
    asked_by: &Reference,
) -> Result<Recalled, Refusal> {
    let found = |content, memory| Ok(Recalled::Found(Box::new(Pulled::new(content, memory))));
    if let Some(verdict) = decide::without_evidence(live.policy(), subject, document.value(), app.clock.now())
    {
        return match verdict {
            Verdict::Permit(permit) => found(permitted(permit, document)?, Remembered::Miss),
            Verdict::Deny(denial) => Err(Refusal::Denied(Box::new(denial))),
        };
    }
    let own = permit(app, live, subject).await;
    app.metrics.cache("verdicts", if own.is_some() { CacheResult::Hit } else { CacheResult::Miss });
    if let Some(permit) = own {
        return found(permitted(permit, document)?, Remembered::Hit);
    }
    let grant = Box::pin(grant(app, live, &subject.repository, subject.digest, Role::Child)).await;
    let unknown = grant.as_ref().err().is_some_and(
        |refusal| matches!(refusal, Refusal::Undecided(undecided) if undecided.code() == Code::Storage),
    );
    if let Ok(Some(grant)) = grant
        && let Ok(permitted) = Permitted::under_grant(grant, document.clone())
    {
        return found(Content::Permitted(Box::new(permitted)), Remembered::Hit);
    }
    match app.memory.denial(subject, live.revisions()).await {
        Some(denial) => {
            let denial = Box::new(denial.as_ref().clone());
            let denied = denied(app, live, (subject, document), denial, asked_by).await?;
            Ok(Recalled::Found(Box::new(denied)))
        }
        None if unknown => Ok(Recalled::Unknown),
        None => Ok(Recalled::Nothing),
    }
}

/// The denial of a subject, unless an index that would grant it could not be judged, or the store cannot say whether
/// there is one: not knowing never reads like unsigned (invariant 4). Who asks by digest may have its index already,
/// and a grant that was lost with it (A603). An index that is nested too deep below a permitted one is
/// `index-too-large` (A128).
///
/// # Errors
/// The denial, or what stands in its way. Only a grant that could not be read a moment ago, and now can, is none.
pub(super) async fn denied(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    (subject, document): (&Subject, &Intact<Document>),
    denial: Box<Denial>,
    asked_by: &Reference,
) -> Result<Pulled, Refusal> {
    match Box::pin(grant(app, live, &subject.repository, subject.digest, Role::Child)).await {
        // Who begins with a tag has no index yet, and is told what is known of the image itself.
        Err(refusal) if is_unknown(&refusal) && matches!(asked_by, Reference::Tag(_)) => {
            Err(Refusal::Denied(denial))
        }
        Err(refusal) => Err(refusal),
        Ok(Some(grant)) if grant.nests_too_deep() => {
            Err(Refusal::Denied(Box::new(decide::shape_denial(Code::IndexTooLarge))))
        }
        Ok(Some(grant)) => match Permitted::under_grant(grant, document.clone()) {
            Ok(permitted) => Ok(Pulled::new(Content::Permitted(Box::new(permitted)), Remembered::Hit)),
            Err(_another) => Err(Refusal::Denied(denial)),
        },
        Ok(None) if may_be_lost(app, asked_by) => Err(Refusal::undecided(Code::Storage)),
        Ok(None) => Err(Refusal::Denied(denial)),
    }
}

fn is_unknown(refusal: &Refusal) -> bool {
    matches!(refusal, Refusal::Undecided(undecided) if undecided.code() == Code::Storage)
}

/// Whether a pull that is under way may have lost the grant of what it asks for. A pull begins with a tag: that one is
/// judged by its own evidence.
fn may_be_lost(app: &Handles, asked_by: &Reference) -> bool {
    match asked_by {
        Reference::Digest(_) => app.store.grants_are() == Grants::MayBeLost,
        Reference::Tag(_) => false,
    }
}

/// A permit in memory that counts now.
pub(super) async fn remembered_permit(app: &Handles, live: &Live, subject: &Subject) -> Option<Permit> {
    let permit = app.memory.permit(subject, live.revisions()).await?;
    // The lifetime stands in the configuration, of which no revision knows: a permit of before must not outlive it (A543).
    let permit = permit.as_ref().clone().within(live.policy().permit_ttl);
    permit.counts(live.revisions(), app.clock.now()).then_some(permit)
}

/// A grant in memory whose root has a permit in memory that counts now.
pub(super) async fn remembered_grant(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
    role: Role,
) -> Option<Grant> {
    let remembered = app.memory.grants(repository, digest).await.unwrap_or_default();
    for claim in claims(app, &remembered, repository, &digest) {
        let root = claim.root();
        if claim.role() != role || root.digest == digest || scope::not_blocked(live, &root.digest).is_err() {
            continue;
        }
        if let Some(permit) = remembered_permit(app, live, &root).await
            && let Some(grant) = claim.confirm(permit, live.revisions(), app.clock.now())
        {
            return Some(grant);
        }
    }
    None
}

/// A stored permit that counts now.
async fn permit(app: &Handles, live: &Live, subject: &Subject) -> Option<Permit> {
    if let Some(permit) = remembered_permit(app, live, subject).await {
        return Some(permit);
    }
    let (revisions, now, lifetime) = (live.revisions(), app.clock.now(), live.policy().permit_ttl);
    // Where the store cannot say, the verdict is reached anew.
    let sealed = app.store.permit(subject, revisions).await.or_anew()?;
    let permit = Permit::recall(&app.seal, &sealed, subject, revisions, now)
        .map(|permit| permit.within(lifetime))
        .filter(|permit| permit.counts(revisions, now));
    match &permit {
        Some(permit) => app.memory.keep_permit(permit).await,
        // What has ended stays so: the next process may be told an earlier time, by a clock that was mended (A542).
        None => app.store.forget_permit(subject, revisions),
    }
    permit
}

/// A grant for `digest` in `repository` whose root is permitted now; the root is decided again where need be, from kept
/// evidence first. The search ends at the first permit, and looks first at what was permitted: however many other roots list
/// the digest, they hide none that is (A616).
pub(super) async fn grant(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    digest: Digest,
    role: Role,
) -> Result<Option<Grant>, Refusal> {
    if let Some(grant) = remembered_grant(app, live, repository, digest, role).await {
        return Ok(Some(grant));
    }
    let mut search = Search { role, tried: BTreeSet::from([digest]), judged: 0, undecided: None };
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
        if passed >= GRANTS_SEARCHED || search.judged >= ROOTS_JUDGED {
            search.undecided.get_or_insert(Refusal::undecided(Code::Overload));
            break;
        }
    }
    // An undecided root is not a denial: the client may ask again (invariant 4).
    search.undecided.map_or(Ok(None), Err)
}

/// A search for a root that is permitted now.
struct Search {
    role: Role,
    /// A root is tried once, and none grants itself: an index that lists its own digest proves nothing.
    tried: BTreeSet<Digest>,
    /// Roots that had to be judged anew.
    judged: usize,
    undecided: Option<Refusal>,
}

impl Search {
    /// The first of these whose root is permitted now.
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
            match Box::pin(self.permit(app, live, &root)).await {
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

    /// The permit of a root, as it is remembered, or reached again. Each root that must be judged costs requests, so
    /// that one question judges no more than [`ROOTS_JUDGED`]; what comes of them is remembered for the next.
    async fn permit(
        &mut self,
        app: &Arc<Handles>,
        live: &Arc<Live>,
        root: &Subject,
    ) -> Result<Permit, Refusal> {
        scope::not_blocked(live, &root.digest)?;
        if let Some(permit) = permit(app, live, root).await {
            return Ok(permit);
        }
        if let Some(denial) = app.memory.denial(root, live.revisions()).await {
            return Err(Refusal::Denied(Box::new(denial.as_ref().clone())));
        }
        if self.judged >= ROOTS_JUDGED {
            return Err(Refusal::undecided(Code::Overload));
        }
        self.judged += 1;
        root_judged(app, live, root).await
    }
}

/// What these sealed grants claim, where their seal holds.
fn claims(app: &Handles, sealed: &[Sealed], repository: &Repository, digest: &Digest) -> Vec<GrantClaim> {
    sealed.iter().filter_map(|sealed| GrantClaim::open(&app.seal, sealed, repository, digest)).collect()
}

/// The permit of a root, reached again, or what `on_undecided` gives.
async fn root_judged(app: &Arc<Handles>, live: &Arc<Live>, root: &Subject) -> Result<Permit, Refusal> {
    let document = resolve::by_digest(app, live, &root.repository, root.digest).await?;
    if let Some(denial) = decide::blocked(live.policy(), root, document.value()) {
        return Err(Refusal::Denied(Box::new(denial)));
    }
    match decide::without_evidence(live.policy(), root, document.value(), app.clock.now()) {
        Some(Verdict::Permit(permit)) => return Ok(permit),
        Some(Verdict::Deny(denial)) => return Err(Refusal::Denied(Box::new(denial))),
        None => {}
    }
    match super::shared_verdict(app, live, root, &document, (None, None)).await {
        Ok(judged) => Ok(judged.permit),
        Err(Refusal::Undecided(undecided)) => {
            let found = super::fallback::resolved(app, live, root, &document, undecided).await?;
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
    app: &Handles,
    permit: Permit,
    evidence: Evidence,
    collected: &Collected,
    memory: Remembered,
) -> Judged {
    let subject = permit.subject();
    let outcome = match permit.ground() {
        Ground::Satisfied => KeptOutcome::Permitted,
        Ground::Exempt { .. } | Ground::Unchecked | Ground::WarnOnly(_) => KeptOutcome::NotPermitted,
    };
    if memory == Remembered::Miss {
        keep_evidence(app, subject, collected, outcome);
    }
    let manifests = collected.manifests.iter().map(|(_, digest)| *digest);
    let carried = collected.found.iter().map(|found| found.source.blob);
    app.store.rest_on(manifests.chain(carried).collect());
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
    keep_evidence(app, subject, collected, KeptOutcome::NotPermitted);
}

fn keep_evidence(app: &Handles, subject: &Subject, collected: &Collected, outcome: KeptOutcome) {
    let kept = Kept {
        subject: subject.clone(),
        collected: collected.at,
        manifests: collected.manifests.clone(),
        unread: collected.unread.iter().map(|unread| (unread.layout, unread.code)).collect(),
        outcome,
    };
    app.store.keep_evidence(&kept, app.seal.seal(&kept));
}
