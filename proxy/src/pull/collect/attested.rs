//! Docker's layout: attestation manifests that are signed, and whose statements are not (A153). They are looked for
//! where nothing that is about the subject itself is enough, and the policy asks for an attestation: each costs
//! questions of its own.
//!
//! An attestation manifest is listed by the index that is judged, or refers to the image that is judged, or to a
//! manifest of the index, beside the image or in the evidence repository. What signs it is looked for in every layout,
//! by its own digest.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::{Layout, Source};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, Manifest, Repository, media_type};
use pullgate_policy::verdict::Subject;
use pullgate_verify::{Attesting, Carried, Found, Item, named_subjects};

use super::kept::repository_of;
use super::{Carrier, Collected, FETCHED_AT_ONCE, Findings, interleave, is_about, layouts, pieces};
use crate::evidence_budget::Reservation;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::order::Open;
use crate::pull::resolve;
use crate::refusal::Refusal;
use crate::store::Known;

/// What is found in signed attestation manifests, besides what was found before; `None` where nothing is, or nothing
/// asks for it.
///
/// # Errors
/// Undecided, when there is no room for it.
pub(crate) async fn further(
    app: &Handles,
    live: &Live,
    open: &Open,
    before: &Collected,
) -> Result<Option<Collected>, Refusal> {
    if !super::turns::Wanted::by(live, &open.subject().repository).asks_for_an_attestation() {
        return Ok(None);
    }
    let fetched = open.fetched() + before.manifests.len() + before.found.len();
    let mut work = Work { fetched, findings: Findings::default(), held: Vec::new() };
    let children = children(open.document().value());
    let attesting = attesting(app, live, (open, before), &children, &mut work).await?;
    let (mut manifests, mut found): (_, Vec<Found>) = (Vec::new(), Vec::new());
    for carrier in &attesting {
        let about = (&open.subject().repository, carrier);
        let (signing, by) = signatures(app, live, about, &mut work).await?;
        if by.is_empty() {
            continue;
        }
        let statements = statements(app, live, carrier, &mut work).await?;
        let left = limits::SIGNATURES_MAX.saturating_sub(found.len());
        let pairs = statements.len().saturating_mul(by.len());
        if pairs > left {
            work.findings.over(carrier, "not verified");
        }
        found.extend(joined(app, carrier, statements, (by, &children), left).await?);
        manifests.push((carrier.layout, carrier.document.digest()));
        manifests.extend(signing);
    }
    let Work { findings: Findings { rejected, unread }, held, .. } = work;
    if found.is_empty() && unread.is_empty() && rejected.is_empty() {
        return Ok(None);
    }
    let (at, held) = (before.at, held.into_iter().map(Arc::new).collect());
    Ok(Some(Collected { at, manifests, found: Arc::new(found), rejected, unread, held }))
}

/// What the search may still do, and what came of it.
struct Work {
    fetched: usize,
    findings: Findings,
    /// Room for what was read.
    held: Vec<Reservation>,
}

/// The manifests of an index that a statement may be about: all but those that are marked as attestation manifests.
fn children(document: &Document) -> Arc<[Digest]> {
    let Manifest::Index(index) = document.manifest() else { return Arc::default() };
    let runnable = index.manifests.iter().filter(|child| !layouts::is_attestation(child));
    let digests: BTreeSet<Digest> = runnable.filter_map(|child| child.digest).collect();
    digests.into_iter().collect()
}

/// The attestation manifests: those that were found before, and those that refer to a manifest of an index that lists none.
async fn attesting(
    app: &Handles,
    live: &Live,
    (open, before): (&Open, &Collected),
    children: &[Digest],
    work: &mut Work,
) -> Result<Vec<Carrier>, Refusal> {
    let subject = open.subject();
    let mut attesting = Vec::new();
    for (layout, digest) in before.manifests.iter().copied().filter(|(layout, _)| lists_them(*layout)) {
        let Some(place) = repository_of(live, subject, layout) else { continue };
        let document = resolve::by_digest(app, live, &place, digest).await;
        let Ok(document) = document else { continue };
        attesting.push(Carrier { layout, repository: place, document });
    }
    attesting.retain(|carrier| attests(carrier, &subject.digest, &[]));
    if attesting.is_empty() {
        for child in children.iter().take(limits::ATTESTATION_MANIFESTS) {
            let about = Subject { digest: *child, ..subject.clone() };
            let lists = layouts::referring(app, live, &about).await;
            let mut held = app.evidence_budget.nothing(&subject.repository);
            let carriers = looked_at(app, live, (&about, lists), (work, &mut held)).await?;
            work.held.push(held);
            attesting.extend(carriers.into_iter().filter(|carrier| attests(carrier, child, &[])));
        }
    }
    for left_out in attesting.iter().skip(limits::ATTESTATION_MANIFESTS) {
        work.findings.over(left_out, "not looked at");
    }
    attesting.truncate(limits::ATTESTATION_MANIFESTS);
    Ok(attesting)
}

/// Whether attestation manifests are found in this layout.
fn lists_them(layout: Layout) -> bool {
    match layout {
        Layout::BuildKit | Layout::EvidenceRepository | Layout::FallbackTag | Layout::Referrers => true,
        Layout::AttTag | Layout::SigTag => false,
    }
}

/// Whether it is an attestation manifest of `subject` or of one of its `children`. In the evidence repository lie also
/// manifests that say nothing of their subject.
fn attests(carrier: &Carrier, subject: &Digest, children: &[Digest]) -> bool {
    let named = || carrier.document.value().manifest().subject().and_then(|subject| subject.digest);
    let about = match carrier.layout {
        Layout::EvidenceRepository => {
            named().is_some_and(|named| named == *subject || children.contains(&named))
        }
        layout => lists_them(layout),
    };
    about && has_statements(&carrier.document)
}

/// Whether a manifest has statements of in-toto for layers.
pub(super) fn has_statements(document: &Intact<Document>) -> bool {
    match document.value().manifest() {
        Manifest::Image(image) => image.layers.iter().any(|layer| layer.media_type == media_type::IN_TOTO),
        Manifest::Index(_) => false,
    }
}

/// The manifests that these lists name about a digest, within the limits of all.
async fn looked_at(
    app: &Handles,
    live: &Live,
    (about, listed): (&Subject, Vec<(Layout, super::Listed)>),
    (work, held): (&mut Work, &mut Reservation),
) -> Result<Vec<Carrier>, Refusal> {
    let lists = layouts::sorted(about, listed, &mut work.findings);
    let candidates = super::within_limit(interleave(lists), work.fetched, &mut work.findings);
    work.fetched += candidates.len();
    super::read(app, live, about, candidates, (&mut work.findings, held)).await
}

/// What may be signatures of an attestation manifest, and the manifests that carry them.
async fn signatures(
    app: &Handles,
    live: &Live,
    (repository, carrier): (&Repository, &Carrier),
    work: &mut Work,
) -> Result<(Vec<(Layout, Digest)>, Vec<Found>), Refusal> {
    // Beside the image and in its evidence repository, whichever of them has the manifest.
    let about = Subject { repository: repository.clone(), digest: carrier.document.digest() };
    let lists = layouts::ask(app, live, &about).await;
    let mut held = app.evidence_budget.nothing(repository);
    let carriers = looked_at(app, live, (&about, lists), (work, &mut held)).await?;
    // The carriers were counted already.
    let about = (&about, carriers.as_slice(), work.fetched.saturating_sub(carriers.len()));
    let found = pieces::fetch(app, live, about, (&mut work.findings, &mut held)).await?;
    work.held.push(held);
    work.fetched += found.len();
    Ok((carriers.iter().map(|one| (one.layout, one.document.digest())).collect(), found))
}

/// The statements of an attestation manifest, whole.
async fn statements(
    app: &Handles,
    live: &Live,
    carrier: &Carrier,
    work: &mut Work,
) -> Result<Vec<Bytes>, Refusal> {
    let wanted = listed_statements(carrier);
    let mut held = app.evidence_budget.nothing(&carrier.repository);
    if wanted.len() < all_statements(carrier).count() {
        work.findings.over(carrier, "not read");
    }
    held.grow(wanted.iter().map(|(_, size)| size).sum())
        .map_err(|_full| Refusal::undecided(Code::Overload))?;
    work.held.push(held);
    let left = limits::EVIDENCE_FETCHES.saturating_sub(work.fetched);
    if wanted.len() > left {
        work.findings.over(carrier, "not fetched");
    }
    let fetched: Vec<_> = stream::iter(wanted.into_iter().take(left).map(|(digest, size)| async move {
        (digest, size, pieces::blob(app, live, &carrier.repository, digest, size).await)
    }))
    .buffered(FETCHED_AT_ONCE)
    .collect()
    .await;
    work.fetched += fetched.len();
    let mut statements = Vec::new();
    for (digest, size, statement) in fetched {
        match statement {
            Ok(statement) if statement.value().len() as u64 == size => {
                statements.push(statement.value().clone());
            }
            Ok(_) => {}
            Err(refusal) => {
                work.findings.refused(carrier.layout, carrier.document.digest(), digest, &refusal);
            }
        }
    }
    Ok(statements)
}

/// The statements that a manifest lists, each once.
fn all_statements(carrier: &Carrier) -> impl Iterator<Item = (Digest, u64)> {
    let layers = match carrier.document.value().manifest() {
        Manifest::Image(image) => image.layers.as_slice(),
        Manifest::Index(_) => &[],
    };
    let of_in_toto = layers.iter().filter(|layer| layer.media_type == media_type::IN_TOTO);
    let listed = of_in_toto.filter_map(|layer| Some((layer.digest?, layer.size)));
    let mut seen = BTreeSet::new();
    listed.filter(move |(digest, _)| seen.insert(*digest))
}

/// Those of them that may be read, all together too.
fn listed_statements(carrier: &Carrier) -> Vec<(Digest, u64)> {
    let mut bytes = 0_u64;
    all_statements(carrier)
        .filter(|(_, size)| *size <= limits::EVIDENCE_ITEM_BYTES)
        .take_while(|(_, size)| {
            bytes = bytes.saturating_add(*size);
            bytes <= limits::EVIDENCE_BYTES
        })
        .collect()
}

/// Every statement under every piece that may sign its manifest, as many as may be checked. The manifest is read once,
/// where nobody waits for an answer (A604, A611), and a piece is there once for all statements (A602).
///
/// # Errors
/// Undecided, when the work died.
async fn joined(
    app: &Handles,
    carrier: &Carrier,
    statements: Vec<Bytes>,
    (by, children): (Vec<Found>, &Arc<[Digest]>),
    most: usize,
) -> Result<Vec<Found>, Refusal> {
    let (layout, manifest) = (carrier.layout, carrier.document.digest());
    let bytes = carrier.document.value().bytes().clone();
    let length = bytes.len() + statements.iter().map(Bytes::len).sum::<usize>();
    let children = Arc::clone(children);
    let work = move || {
        let attesting = Arc::new(Attesting::read(bytes));
        let by: Vec<_> = by.into_iter().map(|found| (found.source, Arc::new(found.item))).collect();
        let mut joined = Vec::new();
        for statement in statements {
            let source = Source { layout, manifest, blob: Digest::of(&statement) };
            let statement = attesting.statement(statement);
            for (signed_at, by) in &by {
                if joined.len() >= most {
                    return joined;
                }
                let (statement, by, children) = (statement.clone(), Arc::clone(by), Arc::clone(&children));
                let carried = Carried { statement, by, signed_at: *signed_at, children };
                joined.push(Found { source, item: Item::Carried(Box::new(carried)) });
            }
        }
        joined
    };
    let joined = app.compute_pool.over(&carrier.repository, length, work).await;
    joined.map_err(|_died| Refusal::undecided(Code::Internal))
}

/// The same from the store alone, of manifests that were kept together: which of them attest is seen by their layers.
///
/// # Errors
/// [`Unknown`](crate::store::Unknown).
pub(super) async fn kept(
    app: &Handles,
    live: &Live,
    (subject, carriers): (&Subject, &[Carrier]),
    findings: &mut Findings,
) -> Known<Option<(Vec<Found>, Vec<Reservation>)>> {
    let (mut found, mut all_held): (Vec<Found>, _) = (Vec::new(), Vec::new());
    let document = app.store.document(&subject.repository, &subject.digest).await?;
    let document = match document {
        Some(bytes) => resolve::parsed(app, &subject.repository, bytes).await,
        None => None,
    };
    let children = document.map(|document| children(document.value())).unwrap_or_default();
    for carrier in carriers.iter().filter(|carrier| attests(carrier, &subject.digest, &children)) {
        let digest = carrier.document.digest();
        let about = |one: &&Carrier| {
            !has_statements(&one.document) && is_about(one.layout, one.document.value().manifest(), &digest)
        };
        let signing: Vec<Carrier> = carriers.iter().filter(about).cloned().collect();
        let mut held = app.evidence_budget.nothing(&subject.repository);
        let by = pieces::kept(app, live, (subject, &signing), (&mut *findings, &mut held)).await?;
        let Some(mut by) = by else { return Ok(None) };
        by.retain(|found| {
            let named = named_subjects(&found.item);
            named.is_empty() || named.contains(&digest)
        });
        if by.is_empty() {
            continue;
        }
        let wanted = listed_statements(carrier);
        if held.grow_by(wanted.iter().map(|(_, size)| size).sum()).is_err() {
            return Ok(None);
        }
        let mut statements = Vec::new();
        for (digest, _) in wanted {
            let statement = app.store.document(&carrier.repository, &digest).await?;
            let Some(statement) = statement else { return Ok(None) };
            statements.push(statement.value().clone());
        }
        let left = limits::SIGNATURES_MAX.saturating_sub(found.len());
        let Ok(more) = joined(app, carrier, statements, (by, &children), left).await else { return Ok(None) };
        found.extend(more);
        all_held.push(held);
    }
    Ok(Some((found, all_held)))
}
