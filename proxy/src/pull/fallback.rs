//! What `on_undecided` allows when the upstream could not be asked (A148).

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::decide::fallback;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::oci::{Document, Reference};
use pullgate_policy::policy::{OnUndecided, PolicySet};
use pullgate_policy::verdict::{Subject, Undecided};

use super::order::{self, At, Grants, Leave, Open, Standing, Walk};
use super::{Pull, Pulled, Remembered, collect, permitted, recall, resolve, serve, verify};
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;

/// The reference could not be resolved, or not in time: the digest itself, or the last one seen of the tag, within
/// `last_permit`.
pub(super) async fn without_resolving(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    (leave, pull): (&Leave, &Pull),
    code: Code,
) -> Result<Pulled, Refusal> {
    let undecided = Undecided::new(code);
    let setting = fallback::setting(live.policy(), &pull.repository);
    if !fallback::applies(&undecided) && !fallback::bridges(setting, &undecided) {
        return Err(Refusal::Undecided(undecided));
    }
    let digest = match (&pull.reference, setting) {
        (Reference::Digest(digest), _) => Some(*digest),
        (Reference::Tag(tag), OnUndecided::LastPermit(age)) => {
            match app.store.tag(&pull.repository, tag, pull.accept, age).await? {
                Some(digest) => Some(digest),
                // Another client asked for it, by other types: the tag is the same.
                None => app.store.tag_of_anybody(&pull.repository, tag, age).await?,
            }
        }
        // Where the policy only warns, the digest that the tag had a moment ago is served, though its evidence hangs.
        (Reference::Tag(tag), OnUndecided::Deny | OnUndecided::InsecurePermit)
            if fallback::warns(live.policy(), &pull.repository) =>
        {
            app.memory.tag(&pull.repository, tag, pull.accept).await
        }
        (Reference::Tag(_), OnUndecided::Deny | OnUndecided::InsecurePermit) => None,
    };
    let Some(digest) = digest else { return Err(Refusal::Undecided(undecided)) };
    // The upstream was not the cause: the evidence, or this machine, took so long (A612).
    let is_own_fault = |digest| {
        let subject = Subject { repository: pull.repository.clone(), digest };
        code == Code::Deadline && app.efforts.is_its_own_fault(&subject, app.compute_pool.threads())
    };
    if is_own_fault(digest) {
        return Err(Refusal::Undecided(undecided));
    }
    let Some(document) = resolve::held(app, &pull.repository, &digest).await? else {
        return Err(Refusal::Undecided(undecided));
    };
    let subject = Subject { repository: pull.repository.clone(), digest: document.digest() };
    if is_own_fault(subject.digest) {
        return Err(Refusal::Undecided(undecided));
    }
    // A permit or grant that still counts needs no fallback.
    let mut found = match order::standing((app, live), Walk::Last, leave, At::Here(&document)).await? {
        Standing::Found(found) => Pulled::found(found, &document)?,
        Standing::Denied(denial) => recall::denied(app, live, leave, &document, denial).await?,
        Standing::Open(open) | Standing::Undecided(_, open) => resolved(app, live, &open, undecided).await?,
        Standing::NotInMemory => return Err(Refusal::Undecided(undecided)),
    };
    found.undecided = Some(code);
    serve::remember(app, &found.content).await;
    Ok(found)
}

/// The evidence could not be asked for: a permit by kept evidence under the current policy, or by the policy's
/// `insecure_permit`. Such a permit is for this answer, and never stored. It does not apply where the store could not
/// answer: one grave cause is enough (A148, A603).
pub(super) async fn resolved(
    app: &Handles,
    live: &Arc<Live>,
    open: &Open,
    undecided: Undecided,
) -> Result<Pulled, Refusal> {
    let (subject, document) = (open.subject(), open.document());
    if open.grants() == Grants::Unknown {
        return Err(Refusal::undecided(Code::Storage));
    }
    let (policy, now) = (live.policy(), app.clock.now());
    let setting = fallback::setting(policy, &subject.repository);
    let permit = match setting {
        _ if !fallback::bridges(setting, &undecided) => None,
        OnUndecided::Deny => None,
        OnUndecided::InsecurePermit => {
            fallback::insecure_permit(policy, subject, document.value(), &undecided, now)
        }
        OnUndecided::LastPermit(age) => {
            match collect::kept::find_with_outcome(app, live, subject, age, now).await? {
                None => None,
                Some((kept, outcome)) => {
                    let evidence = verify::evidence(app, live, subject, document, &kept).await?;
                    let judged = subject.clone();
                    let judge = move |policy: &PolicySet, document: &Document, evidence: &Evidence| {
                        fallback::last_permit(policy, &judged, document, (evidence, outcome), now)
                    };
                    verify::decided(app, live, (&subject.repository, document), evidence, judge).await?.0
                }
            }
        }
    };
    let warned = || fallback::warned(policy, subject, document.value(), &undecided, now);
    let Some(permit) = permit.or_else(warned) else { return Err(Refusal::Undecided(undecided)) };
    let content = permitted(permit, document)?;
    Ok(Pulled { undecided: Some(undecided.code()), ..Pulled::new(content, Remembered::Kept) })
}
