//! Where evidence may lie: each layout is asked on its own, and one that fails does not hide the others (A146).

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::{Layout, Unread};
use pullgate_policy::oci::name::DigestTagSuffix;
use pullgate_policy::oci::{Document, Manifest, Reference, Repository, Tag, media_type};
use pullgate_policy::verdict::Subject;

use super::{Candidate, Findings, Listed};
use crate::app::App;
use crate::live::Live;
use crate::pull::{counted, resolve};
use crate::refusal::{Refusal, upstream_code};
use crate::upstream::Referrers;

/// The marks that BuildKit puts on the attestation manifests of an index.
const BUILDKIT_TYPE: &str = "vnd.docker.reference.type";
const BUILDKIT_ATTESTATION: &str = "attestation-manifest";

/// Asks every layout at once.
pub(super) async fn ask(app: &App, live: &Live, subject: &Subject) -> Vec<(Layout, Listed)> {
    let repository = &subject.repository;
    let tag = |suffix| Tag::for_digest(&subject.digest, suffix);
    let (referrers, fallback, sig, att, apart) = tokio::join!(
        referrers(app, live, subject),
        tagged(app, live, repository, tag(DigestTagSuffix::None), Layout::FallbackTag),
        tagged(app, live, repository, tag(DigestTagSuffix::Sig), Layout::SigTag),
        tagged(app, live, repository, tag(DigestTagSuffix::Att), Layout::AttTag),
        evidence_repository(app, live, subject),
    );
    vec![
        (Layout::Referrers, referrers),
        (Layout::FallbackTag, fallback),
        (Layout::SigTag, sig),
        (Layout::AttTag, att),
        (Layout::EvidenceRepository, apart),
    ]
}

/// One list of candidates for each layout, with what the judged document itself names.
pub(super) fn lists(
    subject: &Subject,
    document: &Document,
    listed: Vec<(Layout, Listed)>,
    findings: &mut Findings,
) -> Vec<Vec<Candidate>> {
    let mut lists = vec![buildkit(&subject.repository, document)];
    for (layout, listed) in listed {
        match listed {
            Ok(candidates) => lists.push(candidates),
            Err(code) => findings.unread.push(Unread { layout, code }),
        }
    }
    lists
}

async fn referrers(app: &App, live: &Live, subject: &Subject) -> Listed {
    let upstream = live.upstream(&subject.repository).ok_or(Code::Internal)?;
    let answer = upstream.referrers(&subject.repository, &subject.digest).await;
    let listed = match counted(app, upstream, "referrers", answer) {
        Ok(Referrers::Api { descriptors, .. }) => descriptors,
        Ok(Referrers::NoApi) => return Ok(Vec::new()),
        Err(crate::upstream::Fault::NotFound) => return Ok(Vec::new()),
        Err(fault) => return Err(upstream_code(&fault)),
    };
    let mut candidates: Vec<_> = listed
        .into_iter()
        .map(|descriptor| {
            let likely = descriptor.artifact_type.as_deref().is_some_and(is_likely);
            let candidate = Candidate {
                layout: Layout::Referrers,
                repository: subject.repository.clone(),
                digest: descriptor.digest,
                document: None,
            };
            (!likely, candidate)
        })
        .collect();
    // A hint that only orders: some registries write the config's type there, so nothing is left out.
    candidates.sort_by_key(|(unlikely, _)| *unlikely);
    Ok(candidates.into_iter().map(|(_, candidate)| candidate).collect())
}

fn is_likely(artifact_type: &str) -> bool {
    media_type::is_bundle(artifact_type)
        || matches!(artifact_type, media_type::SIMPLE_SIGNING | media_type::DSSE | media_type::OCI_EMPTY)
}

/// What lies under one tag: a manifest, or an index of manifests.
async fn tagged(app: &App, live: &Live, repository: &Repository, tag: Tag, layout: Layout) -> Listed {
    let document = match resolve::fetch(app, live, repository, &Reference::Tag(tag), "").await {
        Ok(document) => document,
        Err(Refusal::Undecided(undecided)) => return Err(undecided.code()),
        // Absent, or of a shape that is no evidence.
        Err(_) => return Ok(Vec::new()),
    };
    Ok(candidates_in(repository, layout, &document))
}

fn candidates_in(repository: &Repository, layout: Layout, document: &Intact<Document>) -> Vec<Candidate> {
    let of = |digest, document| Candidate { layout, repository: repository.clone(), digest, document };
    match document.value().manifest() {
        Manifest::Image(_) => vec![of(document.digest(), Some(document.clone()))],
        Manifest::Index(index) => {
            index.manifests.iter().filter_map(|child| child.digest).map(|digest| of(digest, None)).collect()
        }
    }
}

/// The separate repository, in cosign's flat layout: the same tags there.
async fn evidence_repository(app: &App, live: &Live, subject: &Subject) -> Listed {
    let Some(repository) = live.evidence_repository(&subject.repository) else { return Ok(Vec::new()) };
    let tag = |suffix| Tag::for_digest(&subject.digest, suffix);
    let layout = Layout::EvidenceRepository;
    let (sig, att, fallback) = tokio::join!(
        tagged(app, live, repository, tag(DigestTagSuffix::Sig), layout),
        tagged(app, live, repository, tag(DigestTagSuffix::Att), layout),
        tagged(app, live, repository, tag(DigestTagSuffix::None), layout),
    );
    Ok([sig?, att?, fallback?].concat())
}

/// The attestation manifests that the judged index itself lists; nobody else's (A153).
fn buildkit(repository: &Repository, document: &Document) -> Vec<Candidate> {
    let Manifest::Index(index) = document.manifest() else { return Vec::new() };
    index
        .manifests
        .iter()
        .filter(|child| child.annotations.get(BUILDKIT_TYPE).is_some_and(|text| text == BUILDKIT_ATTESTATION))
        .filter_map(|child| child.digest)
        .map(|digest| Candidate {
            layout: Layout::BuildKit,
            repository: repository.clone(),
            digest,
            document: None,
        })
        .collect()
}
