//! Looks for everything that might be evidence about one subject, in all layouts side by side, within named limits.
//!
//! The findings are untrusted until `policy/verify` has checked them. A piece that is over a limit, absent or broken
//! does not count: it is listed with its code, and does not invalidate the others (invariant 3).

use std::collections::{BTreeSet, VecDeque};
use std::sync::Arc;

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::decide;
use pullgate_policy::evidence::servable::EvidenceOnly;
use pullgate_policy::evidence::{Layout, Rejected, Source, Unread};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Document, Manifest, Repository};
use pullgate_policy::verdict::{Subject, Undecided};
use pullgate_verify::Found;

use super::order::Open;
use super::resolve;
use crate::evidence_budget::Reservation;
use crate::live::Live;
use crate::memory::Pieces;
use crate::pull::handles::Handles;
use crate::refusal::Refusal;
use crate::slots::Slot;

pub mod attested;
mod carried;
pub mod kept;
mod layouts;
mod pieces;
pub mod servable;
mod turns;

/// The result of one collection.
#[derive(Debug, Clone)]
pub struct Collected {
    /// When the upstream was asked.
    pub at: Timestamp,
    /// The manifests that carry evidence.
    pub manifests: Vec<(Layout, Digest)>,
    /// What they carry.
    pub found: Arc<Vec<Found>>,
    /// What could not be read.
    pub rejected: Vec<Rejected>,
    /// Layouts that could not be asked.
    pub unread: Vec<Unread>,
    /// Room for all of it.
    pub held: Vec<Arc<Reservation>>,
}

/// The answers of the layouts about one subject, before its document was read.
#[derive(Debug)]
pub(crate) struct AskedLayouts {
    pub(super) subject: Subject,
    /// The place of the verdict to come, where one was taken to ask.
    pub(super) place: Option<Slot>,
    at: Timestamp,
    listed: Vec<(Layout, Listed)>,
}

/// The list of one layout, or why it could not be asked.
type Listed = Result<Listing, Code>;

/// What one layout lists.
#[derive(Debug, Default)]
struct Listing {
    candidates: Vec<Candidate>,
    /// Why that is not all of it, for people too.
    cut: Option<(Code, &'static str)>,
}

/// The memory that a manifest takes, as a multiple of its length: its bytes, and their parsed form.
const CARRIER_TIMES: u64 = 3;
/// How many pieces of evidence are fetched at once for one subject.
const FETCHED_AT_ONCE: usize = 8;

/// A manifest that may carry evidence.
#[derive(Debug, Clone)]
struct Candidate {
    layout: Layout,
    repository: Repository,
    digest: Digest,
    /// The size by the list that names it; `None` where it was found under a tag.
    size: Option<u64>,
    document: Option<Intact<Document>>,
}

/// A manifest that carries evidence about the subject.
#[derive(Debug, Clone)]
struct Carrier {
    layout: Layout,
    repository: Repository,
    document: Intact<Document>,
}

/// The side results of one step.
#[derive(Debug, Default)]
struct Findings {
    rejected: Vec<Rejected>,
    unread: Vec<Unread>,
}

impl Collected {
    /// The pieces that a denial by it rests on.
    pub(super) fn pieces(&self) -> Pieces {
        let found = self.found.iter().flat_map(Found::sources).collect();
        Pieces { found, rejected: self.rejected.clone(), unread: self.unread.clone() }
    }

    /// The same with the evidence of another step.
    pub(crate) fn with(mut self, more: Self) -> Self {
        let known: BTreeSet<_> = self.manifests.iter().copied().collect();
        self.manifests.extend(more.manifests.into_iter().filter(|one| !known.contains(one)));
        self.found = Arc::new(self.found.iter().chain(more.found.iter()).cloned().collect());
        self.rejected.extend(more.rejected);
        self.unread.extend(more.unread);
        self.held.extend(more.held);
        self
    }
}

/// Asks every layout for what lies about `subject`.
pub(super) async fn ask(app: &Handles, live: &Live, subject: Subject, place: Option<Slot>) -> AskedLayouts {
    let at = app.clock.now();
    let listed = layouts::ask(app, live, &subject).await;
    AskedLayouts { subject, place, at, listed }
}

/// Collects the evidence about `subject`; `asked` has the answers of layouts that were asked before, and `fetched` the
/// number of digests that were fetched for this verdict: `evidence_fetches` is the limit of all together.
///
/// # Errors
/// Undecided, when there is no room for so much evidence. A layout that fails is no error: it is named in
/// [`Collected::unread`], and `decide` weighs it.
pub(crate) async fn evidence(
    app: &Handles,
    live: &Live,
    open: &Open,
    asked: Option<AskedLayouts>,
) -> Result<Collected, Refusal> {
    let (subject, document, fetched) = (open.subject(), open.document(), open.fetched());
    let mut held = app
        .evidence_budget
        .begin(&subject.repository)
        .await
        .map_err(|_full| Refusal::undecided(Code::Overload))?;
    let mut findings = Findings::default();
    if EvidenceOnly::too_many(document.value()) {
        findings.reject(Layout::SigTag, subject.digest, subject.digest, Code::EvidenceLimit, "not read");
    }
    let AskedLayouts { at, listed, .. } = match asked {
        Some(asked) => asked,
        None => ask(app, live, subject.clone(), None).await,
    };
    let lists = layouts::lists(subject, document.value(), listed, &mut findings);
    let candidates = within_limit(interleave(lists), fetched, &mut findings);
    let carriers = read(app, live, subject, candidates, (&mut findings, &mut held)).await?;
    let manifests = carriers.iter().map(|carrier| (carrier.layout, carrier.document.digest())).collect();
    let about = (subject, carriers.as_slice(), fetched);
    let found = pieces::fetch(app, live, about, (&mut findings, &mut held)).await?;
    let Findings { rejected, unread } = findings;
    Ok(Collected { at, manifests, found: Arc::new(found), rejected, unread, held: vec![Arc::new(held)] })
}

/// Takes one of each layout in turn, so that junk in one crowds nothing out of another (A143).
fn interleave<T>(lists: Vec<Vec<T>>) -> Vec<T> {
    let mut queues: Vec<VecDeque<T>> = lists.into_iter().map(VecDeque::from).collect();
    let mut taken = Vec::new();
    loop {
        let before = taken.len();
        taken.extend(queues.iter_mut().filter_map(VecDeque::pop_front));
        if taken.len() == before {
            return taken;
        }
    }
}

/// Each manifest once, and at most `evidence_manifests`, and `evidence_fetches` with what was fetched before; the rest
/// is named (A141).
fn within_limit(candidates: Vec<Candidate>, fetched: usize, findings: &mut Findings) -> Vec<Candidate> {
    let most = limits::EVIDENCE_MANIFESTS.min(limits::EVIDENCE_FETCHES.saturating_sub(fetched));
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for candidate in candidates {
        if !seen.insert((candidate.repository.clone(), candidate.digest)) {
            continue;
        }
        if kept.len() < most {
            kept.push(candidate);
        } else {
            findings.reject(
                candidate.layout,
                candidate.digest,
                candidate.digest,
                Code::EvidenceLimit,
                "not fetched",
            );
        }
    }
    kept
}

async fn read(
    app: &Handles,
    live: &Live,
    subject: &Subject,
    candidates: Vec<Candidate>,
    (findings, held): (&mut Findings, &mut Reservation),
) -> Result<Vec<Carrier>, Refusal> {
    let mut read = stream::iter(candidates.into_iter().map(|candidate| async move {
        let document = match candidate.document.clone() {
            Some(document) => Ok(document),
            None => resolve::by_digest(app, live, &candidate.repository, candidate.digest).await,
        };
        (candidate, document)
    }))
    .buffered(FETCHED_AT_ONCE);
    let (mut carriers, mut bytes) = (Vec::new(), 0_u64);
    while let Some((Candidate { layout, repository, digest, size, .. }, document)) = read.next().await {
        bytes = bytes
            .saturating_add(document.as_ref().map_or(0, |document| document.value().bytes().len() as u64));
        match document {
            // Each may have its 4 MiB; all of them together are held in memory (A142).
            Ok(_) if bytes > limits::EVIDENCE_CARRIERS_BYTES => {
                findings.reject(layout, digest, digest, Code::EvidenceLimit, "not read");
            }
            // A descriptor with a wrong size does not describe this content (OCI image specification, "Descriptors").
            Ok(document) if size.is_some_and(|size| size != document.value().bytes().len() as u64) => {
                findings.reject(
                    layout,
                    digest,
                    digest,
                    Code::EvidenceIncomplete,
                    "not of the size that is listed",
                );
            }
            Ok(document) if is_about(layout, document.value().manifest(), &subject.digest) => {
                held.grow(bytes.saturating_mul(CARRIER_TIMES))
                    .map_err(|_full| Refusal::undecided(Code::Overload))?;
                carriers.push(Carrier { layout, repository, document });
            }
            Ok(_) => {
                findings.reject(layout, digest, digest, Code::SubjectMismatch, "refers to another subject")
            }
            Err(refusal) => findings.refused(layout, digest, digest, &refusal),
        }
    }
    Ok(carriers)
}

/// A referrer must itself name the subject; the list that led to it is a hint only (A145).
fn is_about(layout: Layout, manifest: &Manifest, subject: &Digest) -> bool {
    match layout {
        Layout::FallbackTag | Layout::Referrers => {
            manifest.subject().is_some_and(|named| named.digest == Some(*subject))
        }
        // There by the same lists, and by tags of manifests that name none.
        Layout::EvidenceRepository => manifest.subject().is_none_or(|named| named.digest == Some(*subject)),
        Layout::AttTag | Layout::BuildKit | Layout::SigTag => true,
    }
}

impl Findings {
    fn reject(&mut self, layout: Layout, manifest: Digest, blob: Digest, code: Code, detail: &str) {
        let source = Source { layout, manifest, blob };
        self.rejected.push(Rejected { source, code, detail: detail.to_owned() });
    }

    /// A carrier over a limit, which is not read.
    fn over(&mut self, carrier: &Carrier, detail: &str) {
        let digest = carrier.document.digest();
        self.reject(carrier.layout, digest, digest, Code::EvidenceLimit, detail);
    }

    /// A layout that could not be asked may hold a good signature; a broken piece stays broken.
    fn refused(&mut self, layout: Layout, manifest: Digest, blob: Digest, refusal: &Refusal) {
        match refusal {
            Refusal::Undecided(undecided) if could_not_be_asked(undecided) => {
                self.unread.push(Unread { layout, code: undecided.code() });
            }
            Refusal::Denied(denial) if denial.first().code == Code::ManifestTooLarge => {
                self.reject(layout, manifest, blob, Code::EvidenceTooLarge, "not read");
            }
            // A copied image without its referrers leaves such tags behind.
            Refusal::Missing(_) => {
                self.reject(layout, manifest, blob, Code::EvidenceIncomplete, "listed, and not there");
            }
            refusal => self.reject(layout, manifest, blob, Code::EvidenceIncomplete, refusal.code()),
        }
    }
}

/// Whether the piece itself was not received, so that it cannot count as broken (A161, A164, A172, A603): a body that
/// was cut or altered on its way, or a page in its place, says nothing about a piece that is named by digest.
fn could_not_be_asked(undecided: &Undecided) -> bool {
    let own = matches!(
        undecided.code(),
        Code::RealmRefused
            | Code::RedirectRefused
            | Code::Storage
            | Code::UpstreamEncoding
            | Code::UpstreamIntegrity
            | Code::UpstreamProtocol
            | Code::UpstreamTls
    );
    own || decide::fallback::applies(undecided)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a143_layouts_take_turns() {
        assert_eq!(
            interleave(vec![vec![1, 2, 3, 4], vec![10], vec![], vec![20, 21]]),
            [1, 10, 20, 2, 21, 3, 4]
        );
    }

    #[test]
    fn a141_what_is_over_the_limit_is_named() {
        let candidate = |n: usize| Candidate {
            layout: Layout::Referrers,
            repository: "r.io/a".parse().unwrap(),
            digest: Digest::of(&n.to_be_bytes()),
            size: None,
            document: None,
        };
        let (most, all) = (limits::EVIDENCE_MANIFESTS, limits::EVIDENCE_FETCHES);
        for (fetched, fits) in [(0, most), (all - most, most), (all - 1, 1), (all, 0)] {
            let mut findings = Findings::default();
            let kept = within_limit((0..=fits).map(candidate).collect(), fetched, &mut findings);
            assert_eq!(kept.len(), fits, "{fetched}");
            assert_eq!(findings.rejected.len(), 1);
            assert_eq!(findings.rejected[0].code, Code::EvidenceLimit);
        }
    }
}
