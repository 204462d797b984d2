//! Judges past pulls again by another policy, from kept content. It is the walk of a pull without requests and without
//! memory: the same order, the same verification, the same `decide`. Missing content makes the outcome unknown.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::decide::Outcome;
use pullgate_policy::evidence::Evidence;
use pullgate_policy::evidence::servable::EvidenceOnly;
use pullgate_policy::oci::{Digest, Reference, Repository};
use pullgate_policy::verdict::{Denial, Ground, Permit, Subject, Verdict};

use super::handles::Handles;
use super::order::{self, At, Found, Open, Standing, Walk};
use super::{Pull, collect, outcome, recall, resolve, verify};
use crate::accept::Accept;
use crate::live::Live;
use crate::refusal::Refusal;

/// What was pulled.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Content {
    /// The repository.
    pub repository: Repository,
    /// The digest that was served, or would have been.
    pub digest: Digest,
    /// The root whose permit it rested on, if it was granted.
    pub root: Option<Digest>,
}

/// The other policy's verdict.
#[derive(Debug, Clone)]
pub enum Replayed {
    /// It would be refused.
    Deny(Box<Denial>),
    /// It would be served; in warn mode with the denial that would be.
    Permit(Box<Permit>),
    /// The content or evidence for a verdict was not kept.
    Unknown(Unknown),
}

/// Why there is no verdict.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Unknown {
    /// The manifest.
    Document,
    /// It is evidence itself: whether it passes is asked of its own blobs and subjects.
    DressedAsEvidence,
    /// Its evidence.
    Evidence,
    /// Its own evidence; the index that it was served under would be refused.
    EvidenceOfChild,
    /// No verdict could be reached.
    Undecided(Code),
}

impl Unknown {
    /// The stable code.
    #[must_use]
    pub fn code(self) -> &'static str {
        match self {
            Self::Document => "manifest-not-kept",
            Self::DressedAsEvidence => "is-evidence",
            Self::Evidence => "evidence-not-kept",
            Self::EvidenceOfChild => "index-refused",
            Self::Undecided(code) => code.as_str(),
        }
    }

    /// The same for people.
    #[must_use]
    pub fn text(self) -> &'static str {
        match self {
            Self::Document => "its manifest was not kept",
            Self::DressedAsEvidence => "it is evidence itself, which is not judged again",
            Self::Evidence => "its evidence was not kept",
            Self::EvidenceOfChild => "its index would be refused; its own evidence was not kept",
            Self::Undecided(code) => code.cause(),
        }
    }
}

/// The verdict of `live`'s policy, by the clock of `app`.
pub async fn judge(app: &Arc<Handles>, live: &Arc<Live>, content: &Content) -> Replayed {
    match judged(app, live, content).await {
        Ok(Verdict::Permit(permit)) => Replayed::Permit(Box::new(permit)),
        Ok(Verdict::Deny(denial)) => Replayed::Deny(Box::new(denial)),
        Err(unknown) => Replayed::Unknown(unknown),
    }
}

async fn judged(app: &Arc<Handles>, live: &Arc<Live>, content: &Content) -> Result<Verdict, Unknown> {
    let Content { repository, digest, root } = content;
    let open = match standing(app, live, repository, digest).await? {
        Ok(open) => open,
        Err(verdict) => return Ok(verdict),
    };
    // What carried it then is asked first, as a pull asks for a grant.
    let root = match root.filter(|root| root != digest) {
        None => None,
        Some(root) => Some(Box::pin(alone(app, live, repository, &root)).await),
    };
    if let Some(Ok(Verdict::Permit(permit))) = &root
        && *permit.ground() != Ground::EachChild
    {
        return Ok(Verdict::Permit(permit.clone()));
    }
    match (by_evidence(app, live, &open).await, root) {
        (Err(Unknown::Evidence), Some(Ok(Verdict::Deny(_)))) => Err(Unknown::EvidenceOfChild),
        // The root might carry it: not knowing is never a no.
        (Ok(Verdict::Deny(_)), Some(Err(unknown))) => Err(unknown),
        (own, _) => own,
    }
}

/// The verdict on a digest by itself.
async fn alone(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    digest: &Digest,
) -> Result<Verdict, Unknown> {
    match standing(app, live, repository, digest).await? {
        Ok(open) => by_evidence(app, live, &open).await,
        Err(verdict) => Ok(verdict),
    }
}

/// The verdict of the order before any evidence, or an `Open` that only evidence can decide.
async fn standing(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    digest: &Digest,
) -> Result<Result<Open, Verdict>, Unknown> {
    let leave = match order::leave(app, live, repository, Some(digest)).await {
        Ok(leave) => leave,
        Err(refusal) => return refused(refusal).map(Err),
    };
    let document = resolve::held(app, repository, digest).await;
    let document = document.map_err(|_unknown| Unknown::Undecided(Code::Storage))?;
    let document = document.ok_or(Unknown::Document)?;
    match order::standing((app, live), Walk::Replay, &leave, At::Here(&document)).await {
        Ok(Standing::Open(open)) => Ok(Ok(open)),
        Ok(Standing::Found(Found::Ruled(permit))) => Ok(Err(Verdict::Permit(*permit))),
        Ok(Standing::Denied(denial)) => Ok(Err(Verdict::Deny(*denial))),
        // Nothing that is remembered is asked for, and nothing looked for.
        Ok(Standing::Found(Found::Granted(_) | Found::Remembered(_) | Found::ServableEvidence(_)))
        | Ok(Standing::NotInMemory | Standing::Undecided(..)) => Err(Unknown::Undecided(Code::Internal)),
        Err(refusal) => refused(refusal).map(Err),
    }
}

fn refused(refusal: Refusal) -> Result<Verdict, Unknown> {
    match refusal {
        Refusal::Denied(denial) => Ok(Verdict::Deny(*denial)),
        Refusal::Undecided(undecided) => Err(Unknown::Undecided(undecided.code())),
        Refusal::HeadTooLarge
        | Refusal::Malformed
        | Refusal::Missing(_)
        | Refusal::NotShown
        | Refusal::RangeUnsatisfiable(_)
        | Refusal::Request(_)
        | Refusal::TargetTooLong
        | Refusal::Unauthenticated => Err(Unknown::Undecided(Code::Internal)),
    }
}

/// The verdict by kept evidence, never by a new request.
async fn by_evidence(app: &Arc<Handles>, live: &Arc<Live>, open: &Open) -> Result<Verdict, Unknown> {
    let (subject, document): (&Subject, _) = (open.subject(), open.document());
    if EvidenceOnly::needs(document.value()).is_some() {
        return Err(Unknown::DressedAsEvidence);
    }
    let kept = collect::kept::find_of_any_age(app, live, subject).await;
    let kept = kept.map_err(|_unknown| Unknown::Undecided(Code::Storage))?;
    let kept = kept.ok_or(Unknown::Evidence)?;
    let evidence = verify::evidence(app, live, subject, document, &kept).await;
    let evidence = match evidence {
        // A pull would have collected it then; that a permit by it would have ended says nothing of the policy.
        Ok(evidence) => Evidence { unpassed: open.unpassed(), collected: app.clock.now(), ..evidence },
        Err(refusal) => return refused(refusal),
    };
    match outcome(app, live, subject, document, evidence).await {
        Ok((Outcome::Decided(verdict), _)) => Ok(verdict),
        Ok((Outcome::Undecided(undecided), _)) => Err(Unknown::Undecided(undecided.code())),
        Err(refusal) => refused(refusal),
    }
}

/// Asks the upstream for a manifest and its evidence, and keeps them in the store of `app`. Failures leave the outcome
/// unknown.
pub async fn fetch(app: &Arc<Handles>, live: &Arc<Live>, repository: &Repository, reference: &Reference) {
    if let Err(refusal) = fetched(app, live, repository, reference).await {
        tracing::debug!(%repository, %reference, code = refusal.code(), "missing content could not be fetched either");
    }
}

async fn fetched(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
    reference: &Reference,
) -> Result<(), Refusal> {
    let named = match reference {
        Reference::Digest(digest) => Some(digest),
        Reference::Tag(_) => None,
    };
    let leave = order::leave(app, live, repository, named).await?;
    let pull =
        Pull { repository: repository.clone(), reference: reference.clone(), accept: Accept::default() };
    let document = resolve::manifest(app, live, &leave, &pull).await?.document;
    let open = match order::standing((app, live), Walk::Afresh, &leave, At::Here(&document)).await? {
        Standing::Open(open) => open,
        Standing::Denied(_) | Standing::Found(_) | Standing::NotInMemory | Standing::Undecided(..) => {
            return Ok(());
        }
    };
    let collected = collect::evidence(app, live, &open, None).await?;
    let collected = match collect::attested::further(app, live, &open, &collected).await? {
        Some(more) => collected.with(more),
        None => collected,
    };
    recall::keep_fetched(app, open.subject(), &collected).await;
    Ok(())
}

/// The denial of every tag of a repository, where its name alone says it.
pub async fn unresolved(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    repository: &Repository,
) -> Option<Box<Denial>> {
    match order::leave(app, live, repository, None).await {
        Err(Refusal::Denied(denial)) => Some(denial),
        Ok(_) | Err(_) => None,
    }
}
