//! The content and the claimed subjects of a piece of evidence, before anything is verified.

use std::collections::BTreeSet;

use pullgate_policy::evidence::servable::{EvidenceOnly, LayerKind};
use pullgate_policy::evidence::{Layout, Source};
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, Manifest};
use pullgate_verify::{Found, named_subjects};

use super::pieces;

/// The pieces of one manifest, each with the subjects that it names.
#[derive(Debug)]
pub(super) struct Carried {
    subjects: Vec<Digest>,
    pieces: Vec<(Found, Vec<Digest>)>,
}

/// Reads the evidence in a manifest that is nothing but evidence.
pub(super) fn read(only: &EvidenceOnly) -> Carried {
    let document = only.document();
    let Manifest::Image(image) = document.value().manifest() else {
        return Carried { subjects: Vec::new(), pieces: Vec::new() };
    };
    let subject = document.value().manifest().subject().and_then(|descriptor| descriptor.digest);
    let pieces = image.layers.iter().filter_map(|layer| {
        let (kind, blob) = (LayerKind::of(&layer.media_type)?, layer.digest?);
        let item = pieces::item(kind, only.blob(&blob)?.clone(), layer.annotations.clone());
        let layout = match (subject, kind) {
            (Some(_), _) | (None, LayerKind::Bundle | LayerKind::Notation(_)) => Layout::Referrers,
            (None, LayerKind::Dsse) => Layout::AttTag,
            (None, LayerKind::SimpleSigning) => Layout::SigTag,
        };
        let named = named_subjects(&item);
        Some((Found { source: Source { layout, manifest: document.digest(), blob }, item }, named))
    });
    let pieces: Vec<_> = pieces.collect();
    Carried { subjects: subjects(subject, &pieces), pieces }
}

/// The manifest's own subject, if it has one; else what its pieces name, at most `evidence_subjects_named`.
fn subjects(own: Option<Digest>, pieces: &[(Found, Vec<Digest>)]) -> Vec<Digest> {
    let mut seen = BTreeSet::new();
    let named = pieces.iter().flat_map(|(_, named)| named).filter(|digest| seen.insert(**digest));
    match own {
        Some(subject) => vec![subject],
        None => named.take(limits::EVIDENCE_SUBJECTS_NAMED).copied().collect(),
    }
}

impl Carried {
    /// The digests that it may be about, none of which may be blocked.
    pub(super) fn named(&self) -> &[Digest] {
        &self.subjects
    }

    /// The pieces that may be about `subject`: those that name it, and those that name nothing.
    pub(super) fn about(&self, subject: &Digest) -> Vec<Found> {
        let may_be = |named: &Vec<Digest>| named.is_empty() || named.contains(subject);
        self.pieces.iter().filter(|(_, named)| may_be(named)).map(|(found, _)| found.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use pullgate_verify::Item;

    use super::*;

    #[test]
    fn a604_of_the_subjects_that_evidence_names_so_many_are_looked_up_and_not_one_more() {
        for count in [limits::EVIDENCE_SUBJECTS_NAMED, limits::EVIDENCE_SUBJECTS_NAMED + 1] {
            let named: Vec<_> = (0..count).map(|n| Digest::of(&n.to_le_bytes())).collect();
            let source = Source { layout: Layout::AttTag, manifest: named[0], blob: named[0] };
            let item = Item::Bundle { json: Bytes::new() };
            // Twice, which makes them no more.
            let pieces = vec![(Found { source, item }, [named.clone(), named.clone()].concat())];
            assert_eq!(subjects(None, &pieces), named[..limits::EVIDENCE_SUBJECTS_NAMED]);
            assert_eq!(subjects(Some(named[1]), &pieces), [named[1]]);
        }
    }
}
