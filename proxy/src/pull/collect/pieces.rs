//! From manifests that carry evidence to the pieces themselves: hashed, bounded, sorted by kind.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::evidence::notation;
use pullgate_policy::evidence::servable::LayerKind;
use pullgate_policy::evidence::{Layout, Source};
use pullgate_policy::limits;
use pullgate_policy::oci::{Descriptor, Digest, Manifest, ManifestFault, Repository, media_type};
use pullgate_policy::verdict::Subject;
use pullgate_verify::{Found, Item};

use super::{CARRIER_TIMES, Carrier, FETCHED_AT_ONCE, Findings, interleave, turns};
use crate::evidence_budget::{Full, Reservation};
use crate::live::Live;
use crate::pull::handles::Handles;
use crate::pull::resolve;
use crate::refusal::{Missing, Refusal};
use crate::store::Known;
use crate::upstream::Fault;

/// A layer that is worth fetching.
struct Wanted {
    source: Source,
    repository: Repository,
    kind: LayerKind,
    size: u64,
    annotations: BTreeMap<String, String>,
}

/// Fetches the pieces that the carriers hold, from the store where they are known.
///
/// # Errors
/// Undecided, when there is no room for all of them.
pub(super) async fn fetch(
    app: &Handles,
    live: &Live,
    (subject, carriers, fetched): (&Subject, &[Carrier], usize),
    (findings, held): (&mut Findings, &mut Reservation),
) -> Result<Vec<Found>, Refusal> {
    let first = turns::Wanted::by(live, &subject.repository);
    let wanted = within_limits(wanted(carriers, &first, findings), (carriers, fetched), findings);
    make_room(held, carriers, &wanted).map_err(|_full| Refusal::undecided(Code::Overload))?;
    let fetched = stream::iter(wanted.into_iter().map(|one| async move {
        let bytes = blob(app, live, &one.repository, one.source.blob, one.size).await;
        (one, bytes)
    }))
    .buffered(FETCHED_AT_ONCE)
    .collect::<Vec<_>>()
    .await;
    Ok(gather(fetched, findings))
}

/// Room for carriers and pieces together, before the pieces are there.
fn make_room(held: &mut Reservation, carriers: &[Carrier], wanted: &[Wanted]) -> Result<(), Full> {
    let carriers = carriers.iter().map(|carrier| carrier.document.value().bytes().len() as u64);
    let carriers = carriers.map(|bytes| bytes.saturating_mul(CARRIER_TIMES));
    held.grow(carriers.chain(wanted.iter().map(|one| one.size)).sum())
}

/// The pieces that the carriers hold, from the store alone; `None` when one of them is lost, or there is no room.
///
/// # Errors
/// [`Unknown`](crate::store::Unknown).
pub(super) async fn kept(
    app: &Handles,
    live: &Live,
    (subject, carriers): (&Subject, &[Carrier]),
    (findings, held): (&mut Findings, &mut Reservation),
) -> Known<Option<Vec<Found>>> {
    let mut fetched = Vec::new();
    let first = turns::Wanted::by(live, &subject.repository);
    let wanted = within_limits(wanted(carriers, &first, findings), (carriers, 0), findings);
    if make_room(held, carriers, &wanted).is_err() {
        return Ok(None);
    }
    for one in wanted {
        let bytes = app.store.document(&one.repository, &one.source.blob).await?;
        let Some(bytes) = bytes else { return Ok(None) };
        fetched.push((one, Ok(bytes)));
    }
    Ok(Some(gather(fetched, findings)))
}

/// One blob of evidence: the store's copy where this repository's upstream gave it, else the upstream's, hashed and cut
/// at its size (A605).
pub(super) async fn blob(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
    size: u64,
) -> Result<Intact<Bytes>, Refusal> {
    let store = match app.store.document(repository, &digest).await {
        Ok(Some(bytes)) => return Ok(bytes),
        Ok(None) => Ok(()),
        Err(unknown) => Err(unknown),
    };
    let mut fetched = from_upstream(app, live, repository, digest, size).await?;
    if fetched.as_ref().is_err_and(may_have_broken) {
        fetched = from_upstream(app, live, repository, digest, size).await?;
    }
    let bytes = fetched.map_err(|fault| match fault {
        // Its own manifest says how large it is: that is not the way's fault.
        Fault::TooLarge => resolve::shape(ManifestFault::TooLarge, None),
        fault => Refusal::upstream(&fault, Missing::Blob).after(store),
    })?;
    app.store.keep_document(repository, &bytes).await;
    Ok(bytes)
}

async fn from_upstream(
    app: &Handles,
    live: &Live,
    repository: &Repository,
    digest: Digest,
    size: u64,
) -> Result<Result<Intact<Bytes>, Fault>, Refusal> {
    let upstream = live.upstream(repository).ok_or(Refusal::undecided(Code::Internal))?;
    let fetched = upstream.small_blob(repository, &digest, size).await;
    Ok(app.counted(upstream, "evidence", fetched))
}

/// Whether what came may have broken on its way: it is asked for once more, and is undecided then, as its manifest would be.
fn may_have_broken(fault: &Fault) -> bool {
    match fault {
        Fault::Encoding | Fault::Integrity | Fault::Protocol => true,
        Fault::Internal
        | Fault::NotFound
        | Fault::NotShown
        | Fault::Overload
        | Fault::RealmRefused
        | Fault::RedirectRefused
        | Fault::Status(_)
        | Fault::Timeout
        | Fault::Tls
        | Fault::TooLarge
        | Fault::Unauthorized
        | Fault::Unreachable => false,
    }
}

fn gather(fetched: Vec<(Wanted, Result<Intact<Bytes>, Refusal>)>, findings: &mut Findings) -> Vec<Found> {
    let mut found = Vec::new();
    for (Wanted { source, kind, size, annotations, .. }, bytes) in fetched {
        match bytes {
            // A descriptor that is wrong about its content describes none; whoever reads as it says reads half of it.
            Ok(bytes) if bytes.value().len() as u64 != size => {
                let Source { layout, manifest, blob } = source;
                findings.reject(
                    layout,
                    manifest,
                    blob,
                    Code::EvidenceIncomplete,
                    "not of the size that is listed",
                );
            }
            Ok(bytes) => {
                found.push(Found { source, item: item(kind, bytes.value().clone(), annotations) });
            }
            Err(refusal) => findings.refused(source.layout, source.manifest, source.blob, &refusal),
        }
    }
    found
}

/// A layer as the piece of evidence that its type says.
pub(super) fn item(kind: LayerKind, bytes: Bytes, annotations: BTreeMap<String, String>) -> Item {
    match kind {
        LayerKind::Bundle => Item::Bundle { json: bytes },
        LayerKind::Dsse => Item::Dsse { envelope: bytes, annotations },
        LayerKind::Notation(form) => Item::Envelope { form, bytes },
        LayerKind::SimpleSigning => Item::SimpleSigning { payload: bytes, annotations },
    }
}

fn wanted(carriers: &[Carrier], first: &turns::Wanted<'_>, findings: &mut Findings) -> Vec<Wanted> {
    let mut by_layout: BTreeMap<Layout, Vec<Wanted>> = BTreeMap::new();
    for Carrier { layout, repository, document } in carriers {
        let manifest = document.digest();
        let Manifest::Image(image) = document.value().manifest() else {
            findings.reject(
                *layout,
                manifest,
                manifest,
                Code::Unsupported,
                "an index where evidence is carried",
            );
            continue;
        };
        if image.layers.is_empty() {
            findings.reject(*layout, manifest, manifest, Code::Unsupported, "a manifest without layers");
        }
        // The form of the whole manifest is part of what it is (A678).
        if notation::is_carrier(image)
            && let Err((code, detail)) = notation::envelope(image)
        {
            findings.reject(*layout, manifest, manifest, code, detail);
            continue;
        }
        let layers = image.layers.iter().map(|layer| (turns::Hint::of(&layer.annotations, None), layer));
        for layer in turns::order(layers.collect(), first) {
            match accept(layer) {
                Ok((blob, kind)) => by_layout.entry(*layout).or_default().push(Wanted {
                    source: Source { layout: *layout, manifest, blob },
                    repository: repository.clone(),
                    kind,
                    size: layer.size,
                    annotations: layer.annotations.clone(),
                }),
                Err((code, detail)) => {
                    findings.reject(*layout, manifest, layer.digest.unwrap_or(manifest), code, detail);
                }
            }
        }
    }
    interleave(by_layout.into_values().collect())
}

/// Whether a layout lists manifests by their digests; the others have them under tags alone.
fn is_list(layout: Layout) -> bool {
    match layout {
        Layout::BuildKit | Layout::EvidenceRepository | Layout::FallbackTag | Layout::Referrers => true,
        Layout::AttTag | Layout::SigTag => false,
    }
}

/// Looks at a layer's words: only to say what will be fetched, never what it is worth.
fn accept(layer: &Descriptor) -> Result<(Digest, LayerKind), (Code, &'static str)> {
    let kind = match (LayerKind::of(&layer.media_type), layer.media_type.as_str()) {
        (Some(kind), _) => kind,
        (None, media_type::IN_TOTO) => {
            let detail =
                "a statement of an attestation manifest, whose own signature is not one of this image";
            return Err((Code::Unsupported, detail));
        }
        (None, _) => return Err((Code::Unsupported, "a kind of layer that is not read")),
    };
    let digest = layer.digest.ok_or((Code::Unsupported, "a digest algorithm that is not computed"))?;
    if layer.size > kind.bytes_max() {
        return Err((Code::EvidenceTooLarge, "not fetched"));
    }
    if layer.annotations.values().any(|value| value.len() > limits::ANNOTATION_BYTES) {
        return Err((Code::PayloadInvalid, "an annotation over its limit"));
    }
    Ok((digest, kind))
}

/// At most `signatures_max` pieces of `evidence_bytes` together, and with the carriers that were fetched by digest
/// before, and what was `fetched` before them, `evidence_fetches` distinct digests (A141, A142).
fn within_limits(
    wanted: Vec<Wanted>,
    (carriers, fetched): (&[Carrier], usize),
    findings: &mut Findings,
) -> Vec<Wanted> {
    // One under each tag came with the question; the others were fetched by their digests.
    let tagged: BTreeSet<_> =
        carriers.iter().map(|carrier| carrier.layout).filter(|layout| !is_list(*layout)).collect();
    let carriers = fetched + carriers.len().saturating_sub(tagged.len());
    let mut kept = Vec::new();
    let (mut bytes, mut digests) = (0_u64, BTreeSet::new());
    for one in wanted {
        let sum = bytes.saturating_add(one.size);
        let known = digests.contains(&one.source.blob);
        let fits = kept.len() < limits::SIGNATURES_MAX
            && sum <= limits::EVIDENCE_BYTES
            && (known || carriers + digests.len() < limits::EVIDENCE_FETCHES);
        if fits {
            digests.insert(one.source.blob);
            bytes = sum;
            kept.push(one);
        } else {
            let Source { layout, manifest, blob } = one.source;
            findings.reject(layout, manifest, blob, Code::EvidenceLimit, "not fetched");
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many of so many pieces of this size are fetched, and how many are named as too much; where they are one and
    /// the same, or each another.
    fn kept(count: usize, size: u64, distinct: Distinct) -> (usize, usize) {
        kept_after(0, count, size, distinct)
    }

    fn kept_after(fetched: usize, count: usize, size: u64, distinct: Distinct) -> (usize, usize) {
        let one = |n: usize| {
            let blob = match distinct {
                Distinct::All => Digest::of(&n.to_be_bytes()),
                Distinct::None => Digest::of(b"one"),
            };
            Wanted {
                source: Source { layout: Layout::SigTag, manifest: Digest::of(b"manifest"), blob },
                repository: "registry.example/app".parse().unwrap(),
                kind: LayerKind::Dsse,
                size,
                annotations: BTreeMap::new(),
            }
        };
        let mut findings = Findings::default();
        let kept = within_limits((0..count).map(one).collect(), (&[], fetched), &mut findings);
        assert!(findings.rejected.iter().all(|one| one.code == Code::EvidenceLimit));
        (kept.len(), findings.rejected.len())
    }

    #[derive(Clone, Copy)]
    enum Distinct {
        All,
        None,
    }

    #[test]
    fn a141_a142_count_digests_and_bytes_of_evidence_have_each_their_limit() {
        let (signatures, fetches) = (limits::SIGNATURES_MAX, limits::EVIDENCE_FETCHES);
        assert_eq!(kept(signatures, 1, Distinct::None), (signatures, 0));
        assert_eq!(kept(signatures + 1, 1, Distinct::None), (signatures, 1));
        assert_eq!(kept(fetches, 1, Distinct::All), (fetches, 0));
        assert_eq!(kept(fetches + 1, 1, Distinct::All), (fetches, 1));
        assert_eq!(kept_after(fetches - 2, 3, 1, Distinct::All), (2, 1));
        let half = limits::EVIDENCE_BYTES / 2;
        assert_eq!(kept(2, half, Distinct::All), (2, 0));
        assert_eq!(kept(2, half + 1, Distinct::All), (1, 1));
    }
}
