//! Where evidence may lie: each layout is asked on its own, and one that fails does not hide the others (A146).

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::{Layout, Unread};
use pullgate_policy::limits;
use pullgate_policy::oci::name::DigestTagSuffix;
use pullgate_policy::oci::{Document, Manifest, ManifestFault, Reference, Repository, Tag, media_type};
use pullgate_policy::verdict::Subject;

use super::{Candidate, Findings, Listed, Listing};
use crate::accept::Accept;
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::resolve::{self, Unresolved};
use crate::refusal::{Refusal, upstream_code};
use crate::upstream::{More, ReferrerDescriptor, Referrers};

/// The marks that BuildKit puts on the attestation manifests of an index.
const BUILDKIT_TYPE: &str = "vnd.docker.reference.type";
const BUILDKIT_ATTESTATION: &str = "attestation-manifest";

/// Asks every layout at once.
pub(super) async fn ask(app: &Handles, live: &Live, subject: &Subject) -> Vec<(Layout, Listed)> {
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
            Ok(Listing { candidates, cut }) => {
                lists.push(candidates);
                if let Some((code, detail)) = cut {
                    findings.reject(layout, subject.digest, subject.digest, code, detail);
                }
            }
            Err(code) => findings.unread.push(Unread { layout, code }),
        }
    }
    lists
}

async fn referrers(app: &Handles, live: &Live, subject: &Subject) -> Listed {
    let upstream = live.upstream(&subject.repository).ok_or(Code::Internal)?;
    let mut held = app.evidence_budget.nothing(&subject.repository);
    let mut room = |bytes| held.grow(bytes).is_ok();
    let answer = upstream.referrers(&subject.repository, &subject.digest, &mut room).await;
    let (listed, more) = match app.counted(upstream, "referrers", answer) {
        Ok(Referrers::Api { descriptors, more }) => (descriptors, more),
        Ok(Referrers::NoApi) => return Ok(Listing::default()),
        Err(crate::upstream::Fault::NotFound) => return Ok(Listing::default()),
        Err(fault) => return Err(upstream_code(&fault)),
    };
    Ok(listing(subject, listed, more))
}

/// What is looked at of a list.
fn listing(subject: &Subject, listed: Vec<ReferrerDescriptor>, more: More) -> Listing {
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
    let cut = match more {
        More::Yes => Some((Code::ReferrersIncomplete, "the list goes on")),
        More::No if candidates.len() > limits::REFERRERS_LISTED => {
            Some((Code::EvidenceLimit, "more are listed than are looked at"))
        }
        More::No => None,
    };
    candidates.truncate(limits::REFERRERS_LISTED);
    let candidates = candidates.into_iter().map(|(_, candidate)| candidate).collect();
    Listing { candidates, cut }
}

fn is_likely(artifact_type: &str) -> bool {
    media_type::is_bundle(artifact_type)
        || matches!(artifact_type, media_type::SIMPLE_SIGNING | media_type::DSSE | media_type::OCI_EMPTY)
}

/// What lies under one tag: a manifest, or an index of manifests.
async fn tagged(app: &Handles, live: &Live, repository: &Repository, tag: Tag, layout: Layout) -> Listed {
    match resolve::look(app, live, repository, &Reference::Tag(tag), Accept::default()).await {
        Ok(document) => {
            Ok(Listing { candidates: candidates_in(repository, layout, &document), ..Listing::default() })
        }
        Err(Unresolved::Refused(Refusal::Undecided(undecided))) => Err(undecided.code()),
        // What is not shown to us may be there all the same.
        Err(Unresolved::Refused(Refusal::NotShown)) => Err(Code::UpstreamUnauthorized),
        // The good one may be in it: that there was too much must not be lost (A141).
        Err(Unresolved::Shape(
            ManifestFault::Crowded | ManifestFault::IndexTooLarge | ManifestFault::TooLarge,
            _,
        )) => Ok(Listing { cut: Some((too_much(layout), "too large to be read")), ..Listing::default() }),
        // Absent, or of a shape that is no evidence.
        Err(Unresolved::Refused(_) | Unresolved::Shape(..)) => Ok(Listing::default()),
    }
}

/// What it means that a list cannot be read for its size: of a fallback index, as of a page of referrers.
fn too_much(layout: Layout) -> Code {
    match layout {
        Layout::FallbackTag | Layout::Referrers => Code::ReferrersIncomplete,
        Layout::AttTag | Layout::BuildKit | Layout::EvidenceRepository | Layout::SigTag => {
            Code::EvidenceLimit
        }
    }
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
async fn evidence_repository(app: &Handles, live: &Live, subject: &Subject) -> Listed {
    let Some(repository) = live.evidence_repository(&subject.repository) else {
        return Ok(Listing::default());
    };
    let tag = |suffix| Tag::for_digest(&subject.digest, suffix);
    let layout = Layout::EvidenceRepository;
    let (sig, att, fallback) = tokio::join!(
        tagged(app, live, repository, tag(DigestTagSuffix::Sig), layout),
        tagged(app, live, repository, tag(DigestTagSuffix::Att), layout),
        tagged(app, live, repository, tag(DigestTagSuffix::None), layout),
    );
    let listings = [sig?, att?, fallback?];
    let cut = listings.iter().find_map(|listing| listing.cut);
    Ok(Listing { candidates: listings.into_iter().flat_map(|listing| listing.candidates).collect(), cut })
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

#[cfg(test)]
mod tests {
    use pullgate_policy::oci::Digest;
    use serde_json::json;

    use super::*;

    fn descriptor(of: usize, artifact_type: &str) -> ReferrerDescriptor {
        let digest = Digest::of(&of.to_le_bytes()).to_string();
        let written = json!({
            "mediaType": media_type::OCI_MANIFEST, "digest": digest, "size": 3, "artifactType": artifact_type,
        });
        ReferrerDescriptor::read(&written).unwrap()
    }

    #[test]
    fn a143_so_many_referrers_are_looked_at_and_of_one_more_the_least_likely_is_not() {
        let repository = "registry.test/org/app".parse().unwrap();
        let subject = Subject { repository, digest: Digest::of(b"subject") };
        for (count, cut) in
            [(limits::REFERRERS_LISTED, None), (limits::REFERRERS_LISTED + 1, Some(Code::EvidenceLimit))]
        {
            let mut listed: Vec<_> = (1..count).map(|n| descriptor(n, "text/plain")).collect();
            listed.push(descriptor(0, media_type::DSSE));
            let listing = listing(&subject, listed, More::No);
            assert_eq!(listing.candidates.len(), limits::REFERRERS_LISTED);
            assert_eq!(listing.candidates[0].digest, Digest::of(&0_usize.to_le_bytes()));
            assert_eq!(listing.cut.map(|(code, _)| code), cut, "{count}");
        }
    }
}
