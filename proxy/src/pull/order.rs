//! The one order of the questions whether content may leave. Every caller walks here: the pull that memory alone can
//! answer, the pull that goes on, the root of a grant, the last permit, `pullgate verify`, a replay. The order of this
//! page is the security argument, and the types keep it:
//!
//! 1. Clock (A418), scope (A062), block (A409): [`leave`]. Nothing is resolved, remembered or opened without a [`Leave`].
//! 2. Rule: the policy without evidence, on the document and its parts: block, exemption, shape. It comes before any
//!    remembered answer, where the document is here; before its evidence in any case.
//! 3. Permit, grant, denial: the remembered answers. Only a `Cleared` subject has its permit looked up.
//! 4. Servable: whether it is evidence, and nothing else.
//! 5. Evidence: to collect it, to decide by kept evidence or to ask `on_undecided` takes an [`Open`], which 1 to 4 give.
//!
//! None of these proofs can be made elsewhere:
//! ```compile_fail,E0451
//! use pullgate::pull::order::Leave;
//! let leave = Leave { repository: "docker.io/library/alpine".parse().unwrap() };
//! ```
//! ```compile_fail,E0451
//! use pullgate::pull::order::Open;
//! fn forge(other: Open) -> Open {
//!     Open { ..other }
//! }
//! ```
//! `Walk::reach` says which walk skips which of 3 and 4, and how far each goes for an answer. No walk skips 1 or 2.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::servable::{NotServable, ServableEvidence};
use pullgate_policy::grant::Role;
use pullgate_policy::oci::{Digest, Document, Repository};
use pullgate_policy::verdict::{Denial, Permit, Permitted, Subject, Undecided, Verdict};

use super::collect::servable::{self, Looked, Unpassed};
use super::handles::Handles;
use super::{recall, resolve, scope};
use crate::clock::Plausible;
use crate::live::Live;
use crate::metrics::CacheResult;
use crate::refusal::Refusal;

mod questions;

pub use questions::{Counts, Question};

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Walk {
    /// `pullgate verify`: nothing remembered counts.
    Afresh,
    /// A pull, before it joins others: from memory, at once or not at all.
    Fast,
    /// A pull whose upstream could not be asked.
    Last,
    /// A pull.
    Pull,
    /// A past pull, judged again by another policy: by kept evidence, and nothing remembered counts.
    Replay,
    /// The root of a grant.
    Root,
}

/// The questions that some walks skip.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Remembered {
    Permit,
    Grant,
    Denial,
    ServableEvidence,
}

/// How far a walk goes for an answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Reach {
    /// Nowhere: the question is skipped.
    Nowhere,
    /// To memory.
    Memory,
    /// To the store.
    Store,
    /// To the upstream.
    Asking,
}

impl Walk {
    const fn reach(self, question: Remembered) -> Reach {
        match (question, self) {
            (Remembered::Permit, Self::Fast) => Reach::Memory,
            (Remembered::Permit, Self::Last | Self::Pull | Self::Root) => Reach::Store,
            (Remembered::Grant, Self::Fast) => Reach::Memory,
            // The root of a grant is decided again where need be.
            (Remembered::Grant, Self::Last | Self::Pull) => Reach::Asking,
            // A root that is itself granted does not count: its own root would decide.
            (Remembered::Grant, Self::Root) => Reach::Nowhere,
            (Remembered::Denial, Self::Last | Self::Pull | Self::Root) => Reach::Memory,
            (Remembered::ServableEvidence, Self::Afresh | Self::Pull) => Reach::Asking,
            // Evidence grants nothing, and these walks cannot fetch what it consists of.
            (Remembered::ServableEvidence, Self::Fast | Self::Last | Self::Root) => Reach::Nowhere,
            (Remembered::Denial, Self::Afresh | Self::Fast) => Reach::Nowhere,
            (Remembered::Grant | Remembered::Permit, Self::Afresh) | (_, Self::Replay) => Reach::Nowhere,
        }
    }
}

/// Leave to go on about a repository: the clock is plausible, and a policy or `unmatched` lets it be asked for.
#[derive(Debug, Clone)]
pub struct Leave {
    repository: Repository,
}

/// A subject that no block names.
#[derive(Debug)]
pub(super) struct Cleared(Subject);

/// Only its evidence can decide whether it may leave.
#[derive(Debug, Clone)]
pub struct Open {
    subject: Subject,
    document: Intact<Document>,
    /// Why it does not leave as evidence, if it looks like evidence.
    unpassed: Option<Unpassed>,
    grants: Grants,
}

/// Whether the store confirmed that there is no grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Grants {
    /// No grant counts now, its root could not be judged, or no grant was asked for.
    Asked,
    /// It could not: the evidence may permit, and cannot deny (A603).
    Unknown,
}

/// What a walk comes to.
#[derive(Debug)]
pub enum Standing {
    /// It was denied lately, or looks like evidence and holds a blocked part.
    Denied(Box<Denial>),
    /// It leaves.
    Found(Found),
    /// Memory alone cannot answer.
    NotInMemory,
    /// Its evidence decides.
    Open(Open),
    /// It could not be found out whether it is evidence that passes.
    Undecided(Undecided, Open),
}

/// The ground on which it leaves.
#[derive(Debug)]
pub enum Found {
    /// A grant, whose root is permitted now.
    Granted(Box<Permitted<Document>>),
    /// It is nothing but evidence.
    ServableEvidence(Arc<ServableEvidence>),
    /// A remembered permit that counts now.
    Remembered(Box<Permit>),
    /// A permit by the policy without evidence.
    Ruled(Box<Permit>),
}

/// Where the document is.
#[derive(Debug)]
pub enum At<'a> {
    /// Here.
    Here(&'a Intact<Document>),
    /// It is read or fetched where nothing remembered answers, as long as the count lasts. A remembered permit suffices
    /// before: it was given under these very revisions, which include blocks and exemptions.
    Named(Digest, &'a mut usize),
}

/// Leave to go on about `repository`, and about `digest` if the request names one.
///
/// # Errors
/// Undecided, where the clock is implausible; the denial of an ungoverned repository, or of a blocked digest.
pub async fn leave(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Option<&Digest>,
) -> Result<Leave, Refusal> {
    app.asked.count(Question::Clock);
    if app.clock.plausible() == Plausible::No {
        return Err(Refusal::undecided(Code::ClockImplausible)); // every age would be a guess (A418)
    }
    app.asked.count(Question::Scope);
    // An ungoverned repository must not be a way to probe an upstream (A062): an exemption opens what it names only.
    if let Err(unmatched) = scope::governed(live, repository)
        && !scope::exempt(app, live, repository, digest).await?
    {
        return Err(unmatched);
    }
    app.asked.count(Question::Block);
    if let Some(digest) = digest {
        scope::not_blocked(live, digest)?;
    }
    Ok(Leave { repository: repository.clone() })
}

/// The standing of a document, or of a root by its digest, before its evidence is asked for.
///
/// # Errors
/// The denial of the rule; or why there is no answer.
pub async fn standing(
    (app, live): (&Arc<Handles>, &Arc<Live>),
    walk: Walk,
    leave: &Leave,
    at: At<'_>,
) -> Result<Standing, Refusal> {
    let cleared = match &at {
        At::Here(document) => {
            let subject = leave.subject(document.digest());
            match rule(app, live, &subject, document) {
                Ok(Some(permit)) => return Ok(Standing::Found(Found::Ruled(Box::new(permit)))),
                Ok(None) => {}
                // No scope or exemption names it; it may still be granted by a root that an exemption names.
                Err(Refusal::Denied(denial))
                    if matches!(denial.first().code, Code::PolicyDenies | Code::ScopeUnmatched) =>
                {
                    return match granted(app, live, walk, leave, document).await {
                        (Some(permitted), _) => Ok(Standing::Found(Found::Granted(Box::new(permitted)))),
                        (None, _) => Err(Refusal::Denied(denial)),
                    };
                }
                Err(refusal) => return Err(refusal),
            }
            Cleared(subject)
        }
        At::Named(digest, _) => leave.cleared(live, *digest)?,
    };
    if let Some(permit) = permit(app, live, walk, &cleared).await {
        return Ok(Standing::Found(Found::Remembered(Box::new(permit))));
    }
    let mut grants = Grants::Asked;
    if let At::Here(document) = &at {
        match granted(app, live, walk, leave, document).await {
            (Some(permitted), _) => return Ok(Standing::Found(Found::Granted(Box::new(permitted)))),
            (None, asked) => grants = asked,
        }
    }
    if walk.reach(Remembered::Denial) != Reach::Nowhere {
        app.asked.count(Question::Denial);
        if let Some(denial) = app.memory.denial(cleared.subject(), live.revisions()).await {
            return Ok(Standing::Denied(Box::new(denial.as_ref().clone())));
        }
    }
    let Cleared(subject) = cleared;
    let document = match at {
        At::Here(document) => document.clone(),
        At::Named(digest, left) => {
            *left = left.checked_sub(1).ok_or(Refusal::undecided(Code::Overload))?;
            let document = resolve::by_digest(app, live, &subject.repository, digest).await?;
            if let Some(permit) = rule(app, live, &subject, &document)? {
                return Ok(Standing::Found(Found::Ruled(Box::new(permit))));
            }
            document
        }
    };
    passed(app, live, walk, Open { subject, document, unpassed: None, grants }).await
}

/// The permit that the policy gives without evidence, if it says anything.
///
/// # Errors
/// Its denial: a block wins over everything that is remembered (A409), a shape that no mode serves over every grant (A130).
fn rule(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    document: &Intact<Document>,
) -> Result<Option<Permit>, Refusal> {
    app.asked.count(Question::Rule);
    match decide::without_evidence(live.policy(), subject, document.value(), app.clock.now()) {
        Some(Verdict::Permit(permit)) => Ok(Some(permit)),
        Some(Verdict::Deny(denial)) => Err(Refusal::Denied(Box::new(denial))),
        None => Ok(None),
    }
}

async fn permit(app: &Handles, live: &Live, walk: Walk, cleared: &Cleared) -> Option<Permit> {
    let reach = walk.reach(Remembered::Permit);
    if reach == Reach::Nowhere {
        return None;
    }
    app.asked.count(Question::Permit);
    let permit = recall::permit(app, live, cleared, reach).await;
    match walk {
        Walk::Last | Walk::Pull => {
            app.metrics
                .cache("verdicts", if permit.is_some() { CacheResult::Hit } else { CacheResult::Miss });
        }
        // A root's permit is not counted as a verdict, and the fast walk's miss is followed by a pull, which counts.
        Walk::Afresh | Walk::Fast | Walk::Replay | Walk::Root => {}
    }
    permit
}

/// The document under a grant of a root that is permitted now. What else stood in the way than the store is asked about once
/// more where the evidence denies ([`recall::denied`]).
async fn granted(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    walk: Walk,
    leave: &Leave,
    document: &Intact<Document>,
) -> (Option<Permitted<Document>>, Grants) {
    let digest = document.digest();
    let grant = match walk.reach(Remembered::Grant) {
        Reach::Nowhere => return (None, Grants::Asked),
        Reach::Memory => {
            app.asked.count(Question::Grant);
            Ok(recall::remembered_grant(app, live, leave, digest, Role::Child).await)
        }
        Reach::Store | Reach::Asking => {
            app.asked.count(Question::Grant);
            recall::grant(app, live, leave, digest, Role::Child).await
        }
    };
    match grant {
        Ok(Some(grant)) => (Permitted::under_grant(grant, document.clone()).ok(), Grants::Asked),
        Err(refusal) if recall::is_unknown(&refusal) => (None, Grants::Unknown),
        Ok(None) | Err(_) => (None, Grants::Asked),
    }
}

async fn passed(app: &Arc<Handles>, live: &Arc<Live>, walk: Walk, open: Open) -> Result<Standing, Refusal> {
    if walk == Walk::Fast {
        return Ok(Standing::NotInMemory);
    }
    if walk.reach(Remembered::ServableEvidence) == Reach::Nowhere {
        return Ok(Standing::Open(open));
    }
    app.asked.count(Question::ServableEvidence);
    match servable::look(app, live, &open.subject, &open.document).await {
        Ok(Looked::Passes(passing)) => Ok(Standing::Found(Found::ServableEvidence(passing))),
        Ok(Looked::Not(not)) => Ok(Standing::Open(Open { unpassed: Some(not), ..open })),
        Err(Refusal::Denied(denial)) => Ok(Standing::Denied(denial)),
        Err(Refusal::Undecided(undecided)) => Ok(Standing::Undecided(undecided, open)),
        Err(refusal) => Err(refusal),
    }
}

impl Leave {
    /// The repository.
    #[must_use]
    pub fn repository(&self) -> &Repository {
        &self.repository
    }

    /// A subject in this repository, by its digest.
    ///
    /// # Errors
    /// The denial, where a block names it.
    pub(super) fn cleared(&self, live: &Live, digest: Digest) -> Result<Cleared, Refusal> {
        scope::not_blocked(live, &digest)?;
        Ok(Cleared(self.subject(digest)))
    }

    fn subject(&self, digest: Digest) -> Subject {
        Subject { repository: self.repository.clone(), digest }
    }
}

impl Cleared {
    pub(super) fn subject(&self) -> &Subject {
        &self.0
    }
}

impl Open {
    /// What is judged.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// Its document.
    pub fn document(&self) -> &Intact<Document> {
        &self.document
    }

    /// Why it does not leave as evidence, if it looks like evidence.
    #[must_use]
    pub fn unpassed(&self) -> Option<NotServable> {
        self.unpassed.map(|unpassed| unpassed.why)
    }

    /// Digests that were fetched to find that out, at most.
    #[must_use]
    pub fn fetched(&self) -> usize {
        self.unpassed.map_or(0, |unpassed| unpassed.fetched)
    }

    /// Whether the store confirmed that there is no grant.
    pub(super) fn grants(&self) -> Grants {
        self.grants
    }
}
