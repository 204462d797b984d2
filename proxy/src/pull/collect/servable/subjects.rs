//! Whom a piece of evidence is about, and whether anything in it holds about one of them.

use std::sync::Arc;

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::Rejected;
use pullgate_policy::evidence::servable::{EvidenceOnly, NotServable, ServableEvidence};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, Reference, Repository};
use pullgate_policy::verdict::{Subject, Undecided};
use pullgate_verify::Rest;

use super::super::Collected;
use super::super::carried::Carried;
use crate::accept::Accept;
use crate::evidence_budget::Reservation;
use crate::live::Live;
use crate::memory::RestsOn;
use crate::pull::handles::Handles;
use crate::pull::{resolve, verify};
use crate::refusal::Refusal;
use crate::store::Known;

/// The evidence as one that passes because something in it holds, about one of the subjects that it names. Else why
/// not, and what that rests on where another hour says nothing else. All subjects together cost no more than one
/// (A604).
pub(super) async fn verified(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    (only, carried): (&EvidenceOnly, &Carried),
    held: Reservation,
) -> Result<Result<ServableEvidence, (NotServable, Option<RestsOn>)>, Refusal> {
    let held = Arc::new(held);
    let Candidates { tried, mut undecided } = candidates(app, repository, carried.named()).await;
    let mut rests_on = Some(RestsOn { named: carried.named().to_vec(), ..RestsOn::default() });
    let mut rest = Rest::default();
    for digest in tried {
        let (about, document) = match subject_of(app, live, repository, digest).await {
            Ok(Some(found)) => found,
            Err(refusal @ Refusal::Undecided(_)) => {
                undecided = Some(refusal);
                continue;
            }
            Ok(None) | Err(_) => {
                rests_on.as_mut().map(|rests_on| rests_on.absent.insert(digest));
                continue;
            }
        };
        rests_on.as_mut().map(|rests_on| rests_on.here.insert(digest));
        if let Some(document) = &document
            && let Some(denial) = decide::blocked(live.policy(), &about, document.value())
        {
            return Err(Refusal::Denied(Box::new(denial)));
        }
        let collected = Collected {
            at: app.clock.now(),
            manifests: Vec::new(),
            found: Arc::new(carried.about(&digest)),
            rejected: Vec::new(),
            unread: Vec::new(),
            held: vec![Arc::clone(&held)],
        };
        let (evidence, left) =
            verify::about(app, live, &about, document.as_ref(), (&collected, rest)).await?;
        rest = left;
        match ServableEvidence::verified(only, live.policy(), &about, &evidence) {
            Ok(passing) => return Ok(Ok(passing)),
            Err(_) if let Some(code) = evidence.rejected.iter().find_map(unknown) => {
                undecided = Some(Refusal::Undecided(Undecided::new(code)));
            }
            Err(NotServable::Unverified) => {
                rests_on = rests_on.filter(|_| !evidence.rejected.iter().any(may_change));
            }
            Err(not) => return Ok(Err((not, rests_on))),
        }
    }
    undecided.map_or(Ok(Err((NotServable::Unverified, rests_on))), Err)
}

/// Why a piece says neither yes nor no: a trust table is too old (A342), or a fault of ours. A time ahead of the clock
/// may be the clock's fault, and is as good as none for now, as for an image.
fn unknown(rejected: &Rejected) -> Option<Code> {
    Some(rejected.code).filter(|code| matches!(code, Code::Internal | Code::TrustStale))
}

/// Whether another hour may say something else of the same evidence.
fn may_change(rejected: &Rejected) -> bool {
    // A certificate, or a list of revocations, may begin to hold.
    matches!(rejected.code, Code::CertificateExpired | Code::RevocationUnknown | Code::TimeInFuture)
}

/// Whether the same subjects are tried, and are there, as they were.
///
/// # Errors
/// Undecided, where one of them could not be asked for.
pub(super) async fn are_still(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    before: &RestsOn,
) -> Result<bool, Refusal> {
    let Candidates { tried, undecided } = candidates(app, repository, &before.named).await;
    let were = |digest: &Digest| before.here.contains(digest) || before.absent.contains(digest);
    if undecided.is_some() || tried.len() != before.tried() || !tried.iter().all(were) {
        return Ok(false);
    }
    for digest in tried {
        let here = match subject_of(app, live, repository, digest).await {
            Ok(found) => found.is_some(),
            Err(refusal @ Refusal::Undecided(_)) => return Err(refusal),
            Err(_) => false,
        };
        if here != before.here.contains(&digest) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Whom the evidence may be about.
struct Candidates {
    /// Those that are tried.
    tried: Vec<Digest>,
    /// Why another one, that is not, may be here all the same.
    undecided: Option<Refusal>,
}

/// The subjects to be tried, at most `evidence_subjects`: those first whose manifests are here, which cost no request,
/// then those of which the store cannot say it. Where one of these is left over, nobody can say no (A603).
async fn candidates(app: &Handles, repository: &Repository, named: &[Digest]) -> Candidates {
    let (mut tried, mut unknown, mut elsewhere) = (Vec::new(), Vec::new(), Vec::new());
    for digest in named.iter().copied() {
        match app.store.present(repository, &digest).await {
            Ok(true) => tried.push(digest),
            Ok(false) => elsewhere.push(digest),
            Err(one) => unknown.push((digest, one)),
        }
    }
    let room = limits::EVIDENCE_SUBJECTS.saturating_sub(tried.len());
    let undecided = unknown.get(room).map(|(_, one)| Refusal::from(*one));
    tried.extend(unknown.into_iter().map(|(digest, _)| digest).chain(elsewhere));
    tried.truncate(limits::EVIDENCE_SUBJECTS);
    Candidates { tried, undecided }
}

/// The subject, which must be in the same repository: signatures by the same people about something else are no reason
/// to let anything leave here. In the separate evidence repository there are no subjects, and the digest stands for
/// itself.
async fn subject_of(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
) -> Result<Option<(Subject, Option<Intact<Document>>)>, Refusal> {
    let of = |digest| Subject { repository: repository.clone(), digest };
    let store = match resolve::held(app, repository, &digest).await {
        Ok(Some(document)) => return Ok(Some((of(document.digest()), Some(document)))),
        Ok(None) => Ok(()),
        Err(unknown) => Err(unknown),
    };
    if live.keeps_evidence(repository) {
        return Ok(Some((of(digest), None)));
    }
    let document = fetched(app, live, repository, digest, store).await?;
    Ok(document.map(|document| (of(document.digest()), Some(document))))
}

/// A manifest that is not here, from the upstream, if it has it.
pub(super) async fn fetched(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
    store: Known<()>,
) -> Result<Option<Intact<Document>>, Refusal> {
    let _place = app.question(repository)?;
    let fetched = resolve::fetch(app, live, repository, &Reference::Digest(digest), Accept::default()).await;
    match fetched.map_err(|refusal| refusal.after(store)) {
        Ok(document) => Ok(Some(document)),
        Err(Refusal::Missing(_)) => Ok(None),
        Err(refusal) => Err(refusal),
    }
}
