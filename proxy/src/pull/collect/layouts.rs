//! Where evidence may lie: each layout is asked on its own, and one that fails does not hide the others (A146).

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::{Layout, Unread};
use pullgate_policy::limits;
use pullgate_policy::oci::name::DigestTagSuffix;
use pullgate_policy::oci::{
    Descriptor, Digest, Document, Index, Manifest, ManifestFault, Reference, Repository, Tag,
};
use pullgate_policy::verdict::Subject;

use super::turns::{self, Hint, Wanted};
use super::{Candidate, Findings, Listed, Listing, interleave};
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
    let wanted = Wanted::by(live, repository);
    let own = |layout| Place { layout, repository };
    let (referrers, fallback, sig, att, apart) = tokio::join!(
        referrers(app, live, own(Layout::Referrers), (&subject.digest, &wanted)),
        fallback(app, live, own(Layout::FallbackTag), (&subject.digest, &wanted)),
        tagged(app, live, own(Layout::SigTag), tag(DigestTagSuffix::Sig)),
        tagged(app, live, own(Layout::AttTag), tag(DigestTagSuffix::Att)),
        evidence_repository(app, live, subject, &wanted),
    );
    vec![
        (Layout::Referrers, referrers),
        (Layout::FallbackTag, fallback),
        (Layout::SigTag, sig),
        (Layout::AttTag, att),
        (Layout::EvidenceRepository, apart),
    ]
}

/// Asks for what refers to a manifest.
pub(super) async fn referring(app: &Handles, live: &Live, subject: &Subject) -> Vec<(Layout, Listed)> {
    let wanted = Wanted::by(live, &subject.repository);
    let own = |layout| Place { layout, repository: &subject.repository };
    let apart = async {
        let Some(repository) = live.evidence_repository(&subject.repository) else {
            return Ok(Listing::default());
        };
        let place = Place { layout: Layout::EvidenceRepository, repository };
        let sought = (&subject.digest, &wanted);
        let (referrers, fallback) =
            tokio::join!(referrers(app, live, place, sought), fallback(app, live, place, sought));
        Ok(joined([referrers?, fallback?].into()))
    };
    let (referrers, fallback, apart) = tokio::join!(
        referrers(app, live, own(Layout::Referrers), (&subject.digest, &wanted)),
        fallback(app, live, own(Layout::FallbackTag), (&subject.digest, &wanted)),
        apart,
    );
    vec![(Layout::Referrers, referrers), (Layout::FallbackTag, fallback), (Layout::EvidenceRepository, apart)]
}

/// One list of candidates for each layout, with what the judged document itself names.
pub(super) fn lists(
    subject: &Subject,
    document: &Document,
    listed: Vec<(Layout, Listed)>,
    findings: &mut Findings,
) -> Vec<Vec<Candidate>> {
    let mut lists = vec![buildkit(&subject.repository, document)];
    lists.extend(sorted(subject, listed, findings));
    lists
}

/// One list of candidates for each layout.
pub(super) fn sorted(
    subject: &Subject,
    listed: Vec<(Layout, Listed)>,
    findings: &mut Findings,
) -> Vec<Vec<Candidate>> {
    let mut lists = Vec::new();
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

/// Where a list lies.
#[derive(Clone, Copy)]
struct Place<'a> {
    layout: Layout,
    repository: &'a Repository,
}

/// Of which digest, and what is wanted first where there is too much.
type Sought<'a> = (&'a Digest, &'a Wanted<'a>);

async fn referrers(app: &Handles, live: &Live, place: Place<'_>, (subject, wanted): Sought<'_>) -> Listed {
    let upstream = live.upstream(place.repository).ok_or(Code::Internal)?;
    let mut held = app.evidence_budget.nothing(place.repository);
    let mut room = |bytes| held.grow(bytes).is_ok();
    let answer = upstream.referrers(place.repository, subject, &mut room).await;
    let (listed, more) = match app.counted(upstream, "referrers", answer) {
        Ok(Referrers::Api { descriptors, more }) => (descriptors, more),
        Ok(Referrers::NoApi) => return Ok(Listing::default()),
        Err(crate::upstream::Fault::NotFound) => return Ok(Listing::default()),
        Err(fault) => return Err(upstream_code(&fault)),
    };
    Ok(listing(place, (listed, more), wanted))
}

/// What is looked at of a list.
fn listing(
    place: Place<'_>,
    (listed, more): (Vec<ReferrerDescriptor>, More),
    wanted: &Wanted<'_>,
) -> Listing {
    let listed = listed.into_iter().map(|one| {
        let hint = Hint::of(&one.annotations(), one.artifact_type.as_deref());
        (hint, place.candidate(one.digest, Some(one.size)))
    });
    let mut candidates = turns::order(listed.collect(), wanted);
    let cut = match more {
        More::Yes => Some((Code::ReferrersIncomplete, "the list goes on")),
        More::No if candidates.len() > limits::REFERRERS_LISTED => {
            Some((Code::EvidenceLimit, "more are listed than are looked at"))
        }
        More::No => None,
    };
    candidates.truncate(limits::REFERRERS_LISTED);
    Listing { candidates, cut }
}

/// What lies under one of cosign's tags: a manifest, or an index of manifests.
async fn tagged(app: &Handles, live: &Live, place: Place<'_>, tag: Tag) -> Listed {
    let Some(document) = under(app, live, place, tag).await? else { return Ok(Listing::default()) };
    let document = match document {
        Ok(document) => document,
        Err(detail) => {
            return Ok(Listing { cut: Some((Code::EvidenceLimit, detail)), ..Listing::default() });
        }
    };
    let candidates = match document.value().manifest() {
        Manifest::Image(_) => {
            let candidate = place.candidate(document.digest(), None);
            vec![Candidate { document: Some(document.clone()), ..candidate }]
        }
        Manifest::Index(index) => place.listed_in(index).map(|(_, candidate)| candidate).collect(),
    };
    Ok(Listing { candidates, cut: None })
}

/// What the fallback tag of the referrers API lists. A manifest in its place is no list, whatever subject it names (OCI
/// distribution specification, "Referrers Tag Schema").
async fn fallback(app: &Handles, live: &Live, place: Place<'_>, (subject, wanted): Sought<'_>) -> Listed {
    let tag = Tag::for_digest(subject, DigestTagSuffix::None);
    let Some(document) = under(app, live, place, tag).await? else { return Ok(Listing::default()) };
    let cut = |why| Ok(Listing { cut: Some(why), ..Listing::default() });
    match document {
        Err(detail) => cut((Code::ReferrersIncomplete, detail)),
        Ok(document) => match document.value().manifest() {
            Manifest::Image(_) => cut((Code::Unsupported, "a manifest in place of the list of referrers")),
            Manifest::Index(index) => {
                let candidates = turns::order(place.listed_in(index).collect(), wanted);
                Ok(Listing { candidates, cut: None })
            }
        },
    }
}

/// The document under a tag, if there is one of a shape that can be evidence; or why it cannot be read.
async fn under(
    app: &Handles,
    live: &Live,
    place: Place<'_>,
    tag: Tag,
) -> Result<Option<Result<Intact<Document>, &'static str>>, Code> {
    match resolve::look(app, live, place.repository, &Reference::Tag(tag), Accept::default()).await {
        Ok(document) => Ok(Some(Ok(document))),
        Err(Unresolved::Refused(Refusal::Undecided(undecided))) => Err(undecided.code()),
        // What is not shown to us may be there all the same.
        Err(Unresolved::Refused(Refusal::NotShown)) => Err(Code::UpstreamUnauthorized),
        // The good one may be in it: that there was too much must not be lost (A141).
        Err(Unresolved::Shape(
            ManifestFault::Crowded | ManifestFault::IndexTooLarge | ManifestFault::TooLarge,
            _,
        )) => Ok(Some(Err("too large to be read"))),
        // Absent, or of a shape that is no evidence.
        Err(Unresolved::Refused(_) | Unresolved::Shape(..)) => Ok(None),
    }
}

impl Place<'_> {
    fn candidate(&self, digest: Digest, size: Option<u64>) -> Candidate {
        Candidate { layout: self.layout, repository: self.repository.clone(), digest, size, document: None }
    }

    fn listed_in(&self, index: &Index) -> impl Iterator<Item = (Hint, Candidate)> {
        index.manifests.iter().filter_map(|child| {
            let hint = Hint::of(&child.annotations, child.artifact_type.as_deref());
            Some((hint, self.candidate(child.digest?, Some(child.size))))
        })
    }
}

/// The separate repository, asked by every layout that an image's own is asked by.
async fn evidence_repository(app: &Handles, live: &Live, subject: &Subject, wanted: &Wanted<'_>) -> Listed {
    let Some(repository) = live.evidence_repository(&subject.repository) else {
        return Ok(Listing::default());
    };
    let tag = |suffix| Tag::for_digest(&subject.digest, suffix);
    let place = Place { layout: Layout::EvidenceRepository, repository };
    let (sig, att, fallback, referrers) = tokio::join!(
        tagged(app, live, place, tag(DigestTagSuffix::Sig)),
        tagged(app, live, place, tag(DigestTagSuffix::Att)),
        fallback(app, live, place, (&subject.digest, wanted)),
        referrers(app, live, place, (&subject.digest, wanted)),
    );
    Ok(joined([sig?, att?, fallback?, referrers?].into()))
}

/// Several lists of one layout as one. One crowds out no other there either (A143).
fn joined(listings: Vec<Listing>) -> Listing {
    let cut = listings.iter().find_map(|listing| listing.cut);
    let candidates = interleave(listings.into_iter().map(|listing| listing.candidates).collect());
    Listing { candidates, cut }
}

/// Whether an index says of one of its manifests that it is an attestation manifest.
pub(super) fn is_attestation(child: &Descriptor) -> bool {
    child.annotations.get(BUILDKIT_TYPE).is_some_and(|text| text == BUILDKIT_ATTESTATION)
}

/// The attestation manifests that the judged index itself lists; nobody else's (A153).
fn buildkit(repository: &Repository, document: &Document) -> Vec<Candidate> {
    let Manifest::Index(index) = document.manifest() else { return Vec::new() };
    let place = Place { layout: Layout::BuildKit, repository };
    index
        .manifests
        .iter()
        .filter(|child| is_attestation(child))
        .filter_map(|child| Some(place.candidate(child.digest?, Some(child.size))))
        .collect()
}

#[cfg(test)]
mod tests {
    use pullgate_policy::oci::media_type;
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
        let place = Place { layout: Layout::Referrers, repository: &repository };
        for (count, cut) in
            [(limits::REFERRERS_LISTED, None), (limits::REFERRERS_LISTED + 1, Some(Code::EvidenceLimit))]
        {
            let mut listed: Vec<_> = (1..count).map(|n| descriptor(n, "text/plain")).collect();
            listed.push(descriptor(0, media_type::DSSE));
            let listing = listing(place, (listed, More::No), &Wanted::default());
            assert_eq!(listing.candidates.len(), limits::REFERRERS_LISTED);
            assert_eq!(listing.candidates[0].digest, Digest::of(&0_usize.to_le_bytes()));
            assert_eq!(listing.cut.map(|(code, _)| code), cut, "{count}");
        }
    }
}
