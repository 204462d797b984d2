//! A manifest that was fetched, hashed and strictly parsed, and is evidence in every part.
//!
//! podman, CRI-O and buildah unpack a layer by its content, whatever its media type says. JSON text cannot be unpacked,
//! except a crafted tar archive that is JSON too: the check looks for that.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use super::archive::{self, Checksum};
use super::{NotServable, config};
use crate::content::Intact;
use crate::evidence::notation::{self, Form, Jws, Sign1};
use crate::limits;
use crate::oci::manifest::Image;
use crate::oci::{Descriptor, Digest, Document, Manifest, media_type};
use crate::strict_json;

/// A manifest that is nothing but evidence, with the gate's own copies of its blobs. It does not leave for that alone.
#[derive(Debug, Clone)]
#[must_use]
pub struct EvidenceOnly {
    document: Intact<Document>,
    /// By each digest that the manifest names them by.
    blobs: BTreeMap<Digest, Intact<Bytes>>,
    numbered: BTreeSet<Digest>,
}

/// What evidence a layer's media type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// A Sigstore bundle.
    Bundle,
    /// A DSSE envelope.
    Dsse,
    /// A Notary Project signature.
    Notation(Form),
    /// A simple-signing payload.
    SimpleSigning,
}

impl LayerKind {
    /// Reads the kind from a media type, exactly: no parameters, no other case (A033).
    #[must_use]
    pub fn of(text: &str) -> Option<Self> {
        match text {
            media_type::SIMPLE_SIGNING => Some(Self::SimpleSigning),
            media_type::DSSE => Some(Self::Dsse),
            text if media_type::is_bundle(text) => Some(Self::Bundle),
            text => Form::of(text).map(Self::Notation),
        }
    }

    /// Bytes of such a layer, at most.
    #[must_use]
    pub fn bytes_max(self) -> u64 {
        match self {
            Self::Notation(_) | Self::SimpleSigning => limits::EVIDENCE_SIGNATURE_BYTES,
            Self::Bundle | Self::Dsse => limits::EVIDENCE_ITEM_BYTES,
        }
    }
}

impl EvidenceOnly {
    /// The blobs that must be fetched before [`EvidenceOnly::check`] can say yes; `None` when the manifest cannot pass.
    #[must_use]
    pub fn needs(document: &Document) -> Option<Vec<Digest>> {
        let Manifest::Image(image) = document.manifest() else { return None };
        let sum = image.layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        // "Every layer" must not be vacuously true (A032).
        let count = (1..=limits::SIGNATURES_MAX).contains(&image.layers.len());
        if !count || sum > limits::EVIDENCE_BYTES || !config_may_pass(image) || distinct(image) > BLOBS {
            return None;
        }
        let fits = |layer: &Descriptor| {
            LayerKind::of(&layer.media_type).is_some() && layer.size <= limits::EVIDENCE_ITEM_BYTES
        };
        if notation::is_carrier(image) && notation::envelope(image).is_err() {
            return None;
        }
        if !image.layers.iter().all(fits) {
            return None;
        }
        document.manifest().content().map(|descriptor| descriptor.digest).collect()
    }

    /// Tells whether all layers have media types of evidence, and there are more than the limits let the gate read: it
    /// is denied for that (A031).
    #[must_use]
    pub fn too_many(document: &Document) -> bool {
        let Manifest::Image(image) = document.manifest() else { return false };
        (image.layers.len() > limits::SIGNATURES_MAX || distinct(image) > BLOBS)
            && image.layers.iter().all(|layer| LayerKind::of(&layer.media_type).is_some())
    }

    /// Checks that the manifest is nothing but evidence. `blobs` are those that [`EvidenceOnly::needs`] named.
    ///
    /// # Errors
    /// [`NotServable`] when a blob is missing or is not what its type says.
    pub fn check(document: Intact<Document>, blobs: Vec<Intact<Bytes>>) -> Result<Self, NotServable> {
        Self::needs(document.value()).ok_or(NotServable::Other)?;
        let Manifest::Image(image) = document.value().manifest() else { return Err(NotServable::Other) };
        let by_digest = by_digest(image, blobs);
        let find = |descriptor: &Descriptor| {
            let blob =
                descriptor.digest.and_then(|digest| by_digest.get(&digest)).ok_or(NotServable::Other)?;
            if blob.value().len() as u64 == descriptor.size { Ok(blob) } else { Err(NotServable::Other) }
        };
        let config = strict_json::parse(find(&image.config)?.value()).map_err(|_| NotServable::Other)?;
        let empty = config.as_object().ok_or(NotServable::Other)?.is_empty();
        if notation::is_carrier(image) && !empty {
            return Err(NotServable::Other);
        }
        if config::is_of_something_that_runs(&config) {
            return Err(NotServable::Runnable);
        }
        let mut numbered = BTreeSet::new();
        for layer in &image.layers {
            let kind = LayerKind::of(&layer.media_type).ok_or(NotServable::Other)?;
            let bytes = find(layer)?.value();
            if !is_evidence(kind, bytes) {
                return Err(NotServable::Other);
            }
            if archive::begins_like_tar(bytes) {
                return Err(NotServable::Runnable);
            }
            match archive::checksum(bytes) {
                Checksum::Possible => numbered.extend(layer.digest),
                Checksum::Impossible => {}
            }
        }
        // Nothing leaves that the manifest does not name, whatever was handed in.
        let named = document.value().manifest().content().filter_map(|descriptor| descriptor.digest);
        let blobs =
            named.filter_map(|digest| by_digest.get(&digest).map(|blob| (digest, blob.clone()))).collect();
        Ok(Self { document, blobs, numbered })
    }

    /// The manifest.
    pub fn document(&self) -> &Intact<Document> {
        &self.document
    }

    /// The gate's own copies of config and layers, each under the digest that the manifest names it by.
    pub fn blobs(&self) -> impl Iterator<Item = (&Digest, &Intact<Bytes>)> {
        self.blobs.iter()
    }

    /// The copy that the manifest names so, by either algorithm.
    #[must_use]
    pub fn blob(&self, digest: &Digest) -> Option<&Bytes> {
        self.blobs.get(digest).map(Intact::value)
    }

    /// The layers with a possible number where a tar header has its checksum, though it is not the right sum.
    pub(super) fn numbered(&self) -> &BTreeSet<Digest> {
        &self.numbered
    }
}

/// Blobs that are fetched of one manifest: with the subjects that it is tried for, `evidence_fetches`.
const BLOBS: usize = limits::EVIDENCE_FETCHES - limits::EVIDENCE_SUBJECTS;

fn distinct(image: &Image) -> usize {
    let parts = std::iter::once(&image.config).chain(&image.layers);
    parts.filter_map(|descriptor| descriptor.digest).collect::<BTreeSet<_>>().len()
}

/// The blobs by every digest that the manifest can name them by; each is hashed once, however many there are.
fn by_digest(image: &Image, blobs: Vec<Intact<Bytes>>) -> BTreeMap<Digest, Intact<Bytes>> {
    let sha512 = std::iter::once(&image.config)
        .chain(&image.layers)
        .any(|descriptor| matches!(descriptor.digest, Some(Digest::Sha512(_))));
    let mut found = BTreeMap::new();
    for blob in blobs {
        if sha512 {
            found.insert(Digest::sha512_of(blob.value()), blob.clone());
        }
        found.insert(blob.digest(), blob);
    }
    found
}

/// The config is OCI's empty one, that of a Notary Project signature, or a small image config as cosign writes (A032).
fn config_may_pass(image: &Image) -> bool {
    let known = matches!(
        image.config.media_type.as_str(),
        media_type::OCI_EMPTY
            | media_type::OCI_CONFIG
            | media_type::DOCKER_CONFIG
            | media_type::NOTATION_ARTIFACT
    );
    known && image.config.size <= limits::EVIDENCE_CONFIG_BYTES
}

/// Tells whether `bytes` are a document of this kind and nothing else.
fn is_evidence(kind: LayerKind, bytes: &[u8]) -> bool {
    let read = match kind {
        LayerKind::Notation(Form::Cose) => {
            return Sign1::read(bytes).is_ok_and(|envelope| envelope.is_nothing_else());
        }
        LayerKind::Notation(Form::Jws) => return Jws::read(bytes).is_ok(),
        LayerKind::SimpleSigning => strict_json::parse(bytes),
        LayerKind::Dsse => strict_json::parse_envelope(bytes).map(|(value, _)| value),
        LayerKind::Bundle => strict_json::parse_bundle(bytes).map(|(value, _)| value),
    };
    let Ok(value) = read else { return false };
    let text = |path: &str| value.pointer(path).is_some_and(Value::is_string);
    match kind {
        LayerKind::Notation(_) => false,
        // The first releases of cosign wrote capitals.
        LayerKind::SimpleSigning => {
            text("/critical/image/docker-manifest-digest") && text("/critical/type")
                || text("/Critical/Image/Docker-manifest-digest") && text("/Critical/Type")
        }
        LayerKind::Dsse => {
            text("/payload") && text("/payloadType") && value.get("signatures").is_some_and(Value::is_array)
        }
        LayerKind::Bundle => {
            let typed = value.get("mediaType").and_then(Value::as_str).is_some_and(media_type::is_bundle);
            let holds = |key: &str| value.get(key).is_some_and(|content| !content.is_null());
            let one = holds("dsseEnvelope") != holds("messageSignature");
            typed && one && value.get("verificationMaterial").is_some_and(Value::is_object)
        }
    }
}
