//! One recorded repository: an OCI image layout, and what a finder would find in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::content::{Intact, Untrusted};
use pullgate_policy::evidence::servable::{EvidenceOnly, LayerKind};
use pullgate_policy::evidence::{Layout as Place, Source};
use pullgate_policy::oci::{Digest, Document, Manifest};
use pullgate_verify::{Found, Item, named_subjects};

pub(crate) struct Layout {
    folder: PathBuf,
    manifests: BTreeMap<Digest, Intact<Document>>,
    tags: BTreeMap<String, Digest>,
}

impl Layout {
    pub(crate) fn read(name: &str) -> Self {
        let folder = root().join(name);
        let index: serde_json::Value =
            serde_json::from_slice(&std::fs::read(folder.join("index.json")).unwrap()).unwrap();
        let (mut manifests, mut tags) = (BTreeMap::new(), BTreeMap::new());
        for entry in index["manifests"].as_array().unwrap() {
            let digest: Digest = entry["digest"].as_str().unwrap().parse().unwrap();
            let bytes = blob(&folder, &digest).unwrap();
            if let Ok(document) = Untrusted::new(bytes).check(&digest).unwrap().parse(None) {
                manifests.insert(digest, document);
            }
            if let Some(tag) = entry["annotations"]["org.opencontainers.image.ref.name"].as_str() {
                tags.insert(tag.to_owned(), digest);
            }
        }
        Self { folder, manifests, tags }
    }

    pub(crate) fn document(&self, digest: &Digest) -> &Intact<Document> {
        &self.manifests[digest]
    }

    /// A manifest that is nothing but evidence, and the subjects of this repository that it names.
    pub(crate) fn evidence_only(&self, digest: &Digest) -> Option<(EvidenceOnly, Vec<Digest>)> {
        let document = self.document(digest);
        let needs = EvidenceOnly::needs(document.value())?;
        let blobs: Vec<_> = needs
            .iter()
            .filter_map(|digest| blob(&self.folder, digest))
            .map(|bytes| Untrusted::new(bytes).hash())
            .collect();
        let only = EvidenceOnly::check(document.clone(), blobs).ok()?;
        let own = document.value().manifest().subject().and_then(|descriptor| descriptor.digest);
        let mut named: Vec<_> = own.into_iter().collect();
        for found in self.carried(digest) {
            named.extend(named_subjects(&found.item));
        }
        named.retain(|digest| self.manifests.contains_key(digest));
        Some((only, named))
    }

    /// What one manifest carries.
    pub(crate) fn carried(&self, manifest: &Digest) -> Vec<Found> {
        let mut found = Vec::new();
        self.pieces(Place::Referrers, manifest, &mut found);
        found
    }

    /// Everything that may be evidence about `subject` in this repository.
    pub(crate) fn find(&self, subject: &Digest) -> Vec<Found> {
        let mut found = self.find_tagged(subject, Place::SigTag, Place::AttTag);
        for (digest, document) in &self.manifests {
            if document.value().manifest().subject().and_then(|descriptor| descriptor.digest)
                == Some(*subject)
            {
                self.pieces(Place::Referrers, digest, &mut found);
            }
        }
        let fallback = self.tags.get(&format!("sha256-{}", subject.hex()));
        if let Some(Manifest::Index(index)) = fallback.map(|digest| self.document(digest).value().manifest())
        {
            for digest in index.manifests.iter().filter_map(|descriptor| descriptor.digest) {
                let named =
                    self.manifests.get(&digest).and_then(|document| document.value().manifest().subject());
                if named.and_then(|descriptor| descriptor.digest) == Some(*subject) {
                    self.pieces(Place::FallbackTag, &digest, &mut found);
                }
            }
        }
        found
    }

    /// What a separate evidence repository holds about `subject`.
    pub(crate) fn find_apart(&self, subject: &Digest) -> Vec<Found> {
        self.find_tagged(subject, Place::EvidenceRepository, Place::EvidenceRepository)
    }

    fn find_tagged(&self, subject: &Digest, signatures: Place, attestations: Place) -> Vec<Found> {
        let mut found = Vec::new();
        for (suffix, place) in [("sig", signatures), ("att", attestations)] {
            if let Some(digest) = self.tags.get(&format!("sha256-{}.{suffix}", subject.hex())) {
                self.pieces(place, digest, &mut found);
            }
        }
        found
    }

    fn pieces(&self, layout: Place, manifest: &Digest, found: &mut Vec<Found>) {
        let manifest = *manifest;
        let unread = |blob, code| Found {
            source: Source { layout, manifest, blob },
            item: Item::Unread { code, detail: String::new() },
        };
        let Some(Manifest::Image(image)) =
            self.manifests.get(&manifest).map(|document| document.value().manifest())
        else {
            found.push(unread(manifest, Code::Unsupported));
            return;
        };
        for layer in &image.layers {
            let digest = layer.digest.unwrap();
            let annotations = layer.annotations.clone();
            let item = match (LayerKind::of(&layer.media_type), blob(&self.folder, &digest)) {
                (Some(LayerKind::SimpleSigning), Some(payload)) => {
                    Item::SimpleSigning { payload, annotations }
                }
                (Some(LayerKind::Dsse), Some(envelope)) => Item::Dsse { envelope, annotations },
                (Some(LayerKind::Bundle), Some(json)) => Item::Bundle { json },
                (Some(LayerKind::Notation(form)), Some(bytes)) => Item::Envelope { form, bytes },
                (Some(_), None) => unread(digest, Code::EvidenceIncomplete).item,
                (None, _) => unread(digest, Code::Unsupported).item,
            };
            found.push(Found { source: Source { layout, manifest, blob: digest }, item });
        }
    }
}

pub(crate) fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/fixtures/live")
}

fn blob(folder: &Path, digest: &Digest) -> Option<Bytes> {
    std::fs::read(folder.join("blobs").join(digest.algorithm()).join(digest.hex())).ok().map(Bytes::from)
}
