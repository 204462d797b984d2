//! One manifest request, from its name to the content or the refusal.
//!
//! `judged`, with `decided`, is the gate: its stages are `route` (before it), `resolve`, `collect`, `verify`, `decide`,
//! `serve`. [`order`] has the questions before the evidence and their order: that is the security argument. Blobs have
//! a path of their own in [`blob`], under grants that a manifest's pull gives.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide::{self, Outcome};
use pullgate_policy::evidence::Evidence;
use pullgate_policy::evidence::servable::Passed;
use pullgate_policy::oci::{Digest, Document, Reference, Repository};
use pullgate_policy::policy::{PolicySet, Revisions};
use pullgate_policy::verdict::{Permit, Permitted, Subject, Verdict};
use pullgate_verify::Rest;

use self::collect::{AskedLayouts, Collected};
use self::handles::Handles;
use self::order::{At, Found, Leave, Open, Question, Standing, Walk};
use crate::accept::Accept;
use crate::live::Live;
use crate::memory::Denied;
use crate::refusal::Refusal;

pub mod blob;
pub mod children;
pub mod collect;
mod fallback;
mod from_memory;
pub mod handles;
pub mod lists;
pub mod order;
mod other_name;
mod prefetch;
mod recall;
pub mod replay;
pub mod resolve;
mod rooms;
mod scope;
pub mod serve;
pub mod verify;

/// A manifest request, parsed.
#[derive(Debug, Clone)]
pub struct Pull {
    /// The repository.
    pub repository: Repository,
    /// The tag or digest.
    pub reference: Reference,
    /// The media types that the client takes.
    pub accept: Accept,
}

/// What merges manifest requests: everything that the answer may depend on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct JobKey {
    repository: Repository,
    reference: Reference,
    accept: Accept,
    revisions: Revisions,
}

/// The answer to a manifest request.
#[derive(Debug, Clone)]
pub struct Pulled {
    /// The content.
    pub content: Content,
    /// Where the verdict came from.
    pub memory: Remembered,
    /// The evidence about the subject, if this pull verified it.
    pub evidence: Option<Arc<Evidence>>,
    /// The digest that the tag had before, if it has another now (A121).
    pub moved_from: Option<Digest>,
    /// Why no verdict could be reached, where `on_undecided` allowed the content.
    pub undecided: Option<Code>,
}

/// Content that may leave, and by what right.
#[derive(Debug, Clone)]
pub enum Content {
    /// It is nothing but evidence.
    Evidence(Box<Passed<Document>>),
    /// A permit, its own or its root's.
    Permitted(Box<Permitted<Document>>),
}

/// Where a verdict came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Remembered {
    /// From a permit in memory or in the store.
    Hit,
    /// From evidence that was kept.
    Kept,
    /// It was reached in this pull.
    Miss,
}

/// A permit for one subject, with its evidence.
#[derive(Debug, Clone)]
pub struct Judged {
    /// The permit.
    pub permit: Permit,
    /// The evidence.
    pub evidence: Arc<Evidence>,
    /// Where it came from.
    pub memory: Remembered,
}

/// Answers a manifest request within `verdict_deadline`; the work goes on for the client's next try.
///
/// # Errors
/// [`Refusal`].
pub async fn manifest(app: &Arc<Handles>, pull: &Pull) -> Result<(Pulled, Arc<Live>), (Refusal, Arc<Live>)> {
    for _ in 0..DECIDED_AGAIN_MAX {
        let live = app.live();
        let answer = answer(app, &live, pull).await;
        // A verdict begun under one revision does not serve under the next: it is reached again (A412).
        if app.live().revisions() == live.revisions() {
            return match answer {
                Ok(pulled) => Ok((pulled, live)),
                Err(refusal) => Err((refusal, live)),
            };
        }
    }
    Err((Refusal::undecided(Code::Overload), app.live()))
}

async fn answer(app: &Arc<Handles>, live: &Arc<Live>, pull: &Pull) -> Result<Pulled, Refusal> {
    let named = match &pull.reference {
        Reference::Digest(digest) => Some(digest),
        Reference::Tag(_) => None,
    };
    let leave = order::leave(app, live, &pull.repository, named).await?;
    match from_memory::answer(app, live, &leave, pull).await {
        Some(pulled) => Ok(pulled),
        None => Box::pin(shared(app, live, leave, pull)).await,
    }
}

/// One answer to all equal requests at a time.
async fn shared(app: &Arc<Handles>, live: &Arc<Live>, leave: Leave, pull: &Pull) -> Result<Pulled, Refusal> {
    let key = JobKey {
        repository: pull.repository.clone(),
        reference: pull.reference.clone(),
        accept: pull.accept,
        revisions: live.revisions(),
    };
    let job = {
        let (app, live, leave, pull) = (Arc::clone(app), Arc::clone(live), leave.clone(), pull.clone());
        || async move {
            let work = Box::pin(judged(&app, &live, &leave, &pull));
            match &pull.reference {
                // By digest the subject is known before its manifest is here.
                Reference::Digest(digest) => {
                    let subject = Subject { repository: pull.repository.clone(), digest: *digest };
                    app.efforts.work_for(&subject, work).await
                }
                Reference::Tag(_) => work.await,
            }
        }
    };
    let undecided = |answer: &Result<Pulled, Refusal>| matches!(answer, Err(Refusal::Undecided(_)));
    match tokio::time::timeout(app.waits.verdict, app.pulls.join_unless(key, job, undecided)).await {
        Ok(Ok(answer)) => answer,
        Ok(Err(_lost)) => Err(Refusal::undecided(Code::Internal)),
        Err(_elapsed) => fallback::without_resolving(app, live, (&leave, pull), Code::Deadline).await,
    }
}

/// How often one request may meet a reload before it gives up.
const DECIDED_AGAIN_MAX: usize = 3;

/// Serves one manifest, or says why not.
async fn judged(app: &Arc<Handles>, live: &Arc<Live>, leave: &Leave, pull: &Pull) -> Result<Pulled, Refusal> {
    let resolved = match app.stage("resolve", resolve::manifest(app, live, leave, pull)).await {
        Ok(resolved) => resolved, // once: asking again would let the tag move between check and use (A040)
        Err(Refusal::Undecided(undecided)) => {
            return fallback::without_resolving(app, live, (leave, pull), undecided.code()).await;
        }
        Err(refusal) => return Err(refusal),
    };
    let subject = Subject { repository: pull.repository.clone(), digest: resolved.document.digest() };
    let work = decided(app, live, leave, &resolved.document, resolved.asked);
    let found = app.efforts.work_for(&subject, Box::pin(work)).await;
    let found = found.map_err(|refusal| refusal.about(&resolved.document))?;
    Ok(Pulled { moved_from: resolved.moved_from, ..found })
}

/// The policy's verdict on the resolved document. A denial by the rule or at the end of the walk is followed by one
/// more search for a root that was permitted meanwhile.
async fn decided(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    leave: &Leave,
    document: &Intact<Document>,
    asked: Option<AskedLayouts>,
) -> Result<Pulled, Refusal> {
    let judged = match order::standing((app, live), Walk::Pull, leave, At::Here(document)).await? {
        Standing::Found(found) => Pulled::found(found, document),
        Standing::Denied(denial) => Err(Refusal::Denied(denial)),
        Standing::Undecided(undecided, open) => fallback::resolved(app, live, &open, undecided).await,
        Standing::Open(open) => by_evidence(app, live, &open, asked).await,
        Standing::NotInMemory => Err(Refusal::undecided(Code::Internal)),
    };
    let found = match judged {
        Err(Refusal::Denied(denial)) => recall::denied(app, live, leave, document, denial).await?,
        judged => judged?,
    };
    serve::remember(app, &found.content).await;
    Ok(found)
}

/// The verdict by evidence, or what `on_undecided` allows.
async fn by_evidence(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    open: &Open,
    asked: Option<AskedLayouts>,
) -> Result<Pulled, Refusal> {
    match shared_verdict(app, live, open, asked).await {
        Ok(judged) => Pulled::under(judged, open.document()),
        Err(Refusal::Undecided(undecided)) => fallback::resolved(app, live, open, undecided).await,
        Err(refusal) => Err(refusal),
    }
}

/// One verdict per subject at a time, however many ask (A057); bounded in number (A058). `asked` has the answers of
/// layouts that were asked before.
async fn shared_verdict(
    app: &Arc<Handles>,
    live: &Arc<Live>,
    open: &Open,
    asked: Option<AskedLayouts>,
) -> Result<Judged, Refusal> {
    let _waiting = crate::effort::waits_for(open.subject());
    let key = (open.subject().clone(), live.revisions());
    let (handle, live) = (Arc::clone(app), Arc::clone(live));
    let open = open.clone();
    let job = || async move {
        let app = handle;
        let work = async {
            let mut asked = asked.filter(|asked| asked.subject == *open.subject());
            let _place = match asked.as_mut().and_then(|asked| asked.place.take()) {
                Some(place) => place,
                None => {
                    let place = app.slots.take(open.subject().repository.registry()).await;
                    place.map_err(|_full| Refusal::undecided(Code::Overload))?
                }
            };
            Box::pin(reached(&app, &live, &open, asked)).await
        };
        app.efforts.work_for(open.subject(), work).await
    };
    app.verdicts.join(key, job).await.unwrap_or_else(|_lost| Err(Refusal::undecided(Code::Internal)))
}

/// The evidence of both steps, on which a denial rests.
///
/// # Errors
/// The denial, where the evidence is the same.
async fn still_denied(
    app: &Handles,
    live: &Live,
    open: &Open,
    (collected, denied): (Collected, &Denied),
) -> Result<Collected, Refusal> {
    let further = collect::attested::further(app, live, open, &collected).await?;
    let collected = match further {
        Some(more) => collected.with(more),
        None => collected,
    };
    if denied.rests_on(&collected.pieces()) {
        let denial = denied.denial().clone();
        app.memory.keep_denial(open.subject(), live.revisions(), &denial).await;
        return Err(Refusal::Denied(Box::new(denial)));
    }
    Ok(collected)
}

/// How far evidence is looked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    /// Evidence about the subject itself.
    First,
    /// Also evidence in signed attestation manifests.
    Second,
}

/// Collect, verify, decide; from kept evidence first, which costs the upstream nothing.
async fn reached(
    app: &Handles,
    live: &Arc<Live>,
    open: &Open,
    asked: Option<AskedLayouts>,
) -> Result<Judged, Refusal> {
    let (subject, document, unpassed) = (open.subject(), open.document(), open.unpassed());
    app.asked.count(Question::Evidence);
    let now = app.clock.now();
    // The same evidence leads to the same denial under these revisions (A604).
    let denied = app.memory.denied(subject, live.revisions()).await;
    // Where a requirement applies to each attestation, a newer one may deny: kept evidence is not enough.
    if denied.is_none()
        && !live.policy().asks_of_each(&subject.repository)
        && let Some(kept) = collect::kept::find(app, live, subject, live.policy().permit_ttl, now).await
    {
        let evidence = verify::evidence(app, live, subject, document, &kept).await?;
        let evidence = Evidence { unpassed, ..evidence };
        let (outcome, evidence) = outcome(app, live, subject, document, evidence).await?;
        if let Outcome::Decided(Verdict::Permit(permit)) = outcome {
            return Ok(recall::keep((app, live), permit, evidence, &kept, Remembered::Kept).await);
        }
        // A signature may have arrived since: only fresh evidence can deny.
    }
    let collected = app.stage("collect", collect::evidence(app, live, open, asked)).await?;
    let (collected, step) = match denied {
        Some(denied) => (still_denied(app, live, open, (collected, &denied)).await?, Step::Second),
        None => (collected, Step::First),
    };
    let about = (&collected, Rest::default());
    let (evidence, rest) =
        app.stage("verify", verify::about(app, live, subject, Some(document), about)).await?;
    let evidence = Evidence { unpassed, ..evidence };
    let decided = app.stage("decide", outcome(app, live, subject, document, evidence)).await?;
    let (outcome, evidence, collected) = match (step, decided) {
        (Step::First, (first, evidence))
            if verify::is_not_enough(live.policy(), &subject.repository, &first) =>
        {
            let before = (collected, evidence, rest);
            let (collected, evidence) = verify::further(app, live, open, before).await?;
            let (second, evidence) = outcome(app, live, subject, document, evidence).await?;
            (second, evidence, collected)
        }
        (_, (first, evidence)) => (first, evidence, collected),
    };
    match outcome {
        Outcome::Decided(Verdict::Permit(permit)) => {
            Ok(recall::keep((app, live), permit, evidence, &collected, Remembered::Miss).await)
        }
        Outcome::Decided(Verdict::Deny(denial)) => {
            recall::keep_denial(app, live, subject, (&denial, &evidence), &collected).await;
            Err(Refusal::Denied(Box::new(denial)))
        }
        Outcome::Undecided(undecided) => Err(Refusal::Undecided(undecided)),
    }
}

/// The policy's verdict by this evidence now: an exemption or an age may have ended while it was collected.
async fn outcome(
    app: &Handles,
    live: &Arc<Live>,
    subject: &Subject,
    document: &Intact<Document>,
    evidence: Evidence,
) -> Result<(Outcome, Evidence), Refusal> {
    let (judged, now) = (subject.clone(), app.clock.now());
    let judge = move |policy: &PolicySet, document: &Document, evidence: &Evidence| {
        decide::judge(policy, &judged, document, evidence, now)
    };
    verify::decided(app, live, (&subject.repository, document), evidence, judge).await
}

impl Pulled {
    fn new(content: Content, memory: Remembered) -> Self {
        Self { content, memory, evidence: None, moved_from: None, undecided: None }
    }

    /// The result of a walk, with its document.
    fn found(found: Found, document: &Intact<Document>) -> Result<Self, Refusal> {
        Ok(match found {
            Found::Granted(permitted) => Self::new(Content::Permitted(permitted), Remembered::Hit),
            Found::ServableEvidence(passing) => {
                let passed = passing.document(document.clone()).ok_or(Refusal::undecided(Code::Internal))?;
                Self::new(Content::Evidence(Box::new(passed)), Remembered::Miss)
            }
            Found::Remembered(permit) => Self::new(permitted(*permit, document)?, Remembered::Hit),
            Found::Ruled(permit) => Self::new(permitted(*permit, document)?, Remembered::Miss),
        })
    }

    fn under(judged: Judged, document: &Intact<Document>) -> Result<Self, Refusal> {
        let content = permitted(judged.permit, document)?;
        Ok(Self { evidence: Some(judged.evidence), ..Self::new(content, judged.memory) })
    }
}

/// Joins a permit and the document it is about. That they are about one digest is checked by the type.
fn permitted(permit: Permit, document: &Intact<Document>) -> Result<Content, Refusal> {
    let permitted = permit.apply(document.clone()).map_err(|_| Refusal::undecided(Code::Internal))?;
    Ok(Content::Permitted(Box::new(permitted)))
}
