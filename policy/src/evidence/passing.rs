//! Evidence that is served without a verdict, because it is nothing but evidence (A030 to A034).
//!
//! Never by tag, media type alone or User-Agent: every layer was fetched, hashed and strictly parsed here as the
//! evidence that its type says. A layer that a runtime could unpack is no JSON text, but for a tar archive that is made to
//! be both: that one is looked for.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use serde_json::Value;

use crate::content::Intact;
use crate::limits;
use crate::oci::manifest::Image;
use crate::oci::{Descriptor, Digest, Document, Manifest, media_type};
use crate::strict_json;

/// A manifest that was found to be nothing but evidence, with the gate's own copies of its blobs.
#[derive(Debug, Clone)]
#[must_use]
pub struct Passing {
    document: Intact<Document>,
    blobs: Vec<Intact<Bytes>>,
}

/// The manifest is judged like any other.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not evidence and nothing else")]
pub struct NotEvidence;

/// What evidence a layer's media type says it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayerKind {
    /// A Sigstore bundle.
    Bundle,
    /// A DSSE envelope.
    Dsse,
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
            _ => None,
        }
    }
}

impl Passing {
    /// The blobs that must be fetched before [`Passing::check`] can say yes; none when the manifest cannot pass.
    #[must_use]
    pub fn needs(document: &Document) -> Option<Vec<Digest>> {
        let Manifest::Image(image) = document.manifest() else { return None };
        let sum = image.layers.iter().fold(0_u64, |sum, layer| sum.saturating_add(layer.size));
        // "Every layer" must not be vacuously true (A032).
        let count = (1..=limits::SIGNATURES_MAX).contains(&image.layers.len());
        if !count || sum > limits::EVIDENCE_BYTES || !config_may_pass(image) {
            return None;
        }
        let fits = |layer: &Descriptor| {
            LayerKind::of(&layer.media_type).is_some() && layer.size <= limits::EVIDENCE_ITEM_BYTES
        };
        if !image.layers.iter().all(fits) {
            return None;
        }
        document.manifest().content().map(|descriptor| descriptor.digest).collect()
    }

    /// Tells whether the manifest wears nothing but evidence, and more of it than is ever read: that is no reason to pass
    /// it, and a denial says so (A031).
    #[must_use]
    pub fn too_many(document: &Document) -> bool {
        let Manifest::Image(image) = document.manifest() else { return false };
        image.layers.len() > limits::SIGNATURES_MAX
            && image.layers.iter().all(|layer| LayerKind::of(&layer.media_type).is_some())
    }

    /// Checks that the manifest is nothing but evidence. `blobs` are those that [`Passing::needs`] named.
    ///
    /// # Errors
    /// [`NotEvidence`] when a blob is missing or is not what its type says.
    pub fn check(document: Intact<Document>, blobs: Vec<Intact<Bytes>>) -> Result<Self, NotEvidence> {
        Self::needs(document.value()).ok_or(NotEvidence)?;
        let Manifest::Image(image) = document.value().manifest() else { return Err(NotEvidence) };
        let by_digest = by_digest(image, blobs);
        let find = |descriptor: &Descriptor| {
            let blob = descriptor.digest.and_then(|digest| by_digest.get(&digest)).ok_or(NotEvidence)?;
            if blob.value().len() as u64 == descriptor.size { Ok(blob) } else { Err(NotEvidence) }
        };
        let config = strict_json::parse(find(&image.config)?.value()).map_err(|_| NotEvidence)?;
        if !config.is_object() {
            return Err(NotEvidence);
        }
        for layer in &image.layers {
            let kind = LayerKind::of(&layer.media_type).ok_or(NotEvidence)?;
            if !is_evidence(kind, find(layer)?.value()) {
                return Err(NotEvidence);
            }
        }
        // Nothing leaves that the manifest does not name, whatever was handed in.
        let named = document.value().manifest().content().filter_map(|descriptor| descriptor.digest);
        let blobs = named
            .collect::<BTreeSet<_>>()
            .iter()
            .filter_map(|digest| by_digest.get(digest).cloned())
            .collect();
        Ok(Self { document, blobs })
    }

    /// The manifest.
    pub fn document(&self) -> &Intact<Document> {
        &self.document
    }

    /// The gate's own copies of config and layers.
    pub fn blobs(&self) -> &[Intact<Bytes>] {
        &self.blobs
    }
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

/// The config is OCI's empty one, or a small image config as cosign writes (A032).
fn config_may_pass(image: &Image) -> bool {
    let known = matches!(
        image.config.media_type.as_str(),
        media_type::OCI_EMPTY | media_type::OCI_CONFIG | media_type::DOCKER_CONFIG
    );
    known && image.config.size <= limits::EVIDENCE_CONFIG_BYTES
}

/// Tells whether `bytes` are a document of this kind and nothing else.
fn is_evidence(kind: LayerKind, bytes: &[u8]) -> bool {
    let Ok(value) = strict_json::parse(bytes) else { return false };
    if begins_like_tar(bytes) {
        return false;
    }
    let text = |path: &str| value.pointer(path).is_some_and(Value::is_string);
    match kind {
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

/// Tells whether an archive reader would take `bytes` for a tar: they begin with a header whose checksum holds. A JSON
/// text can be made so, since runtimes need no magic and take blanks in numbers (A031).
fn begins_like_tar(bytes: &[u8]) -> bool {
    const HEADER: usize = 512;
    const CHECKSUM: std::ops::Range<usize> = 148..156;
    let Some((header, field)) = bytes.get(..HEADER).zip(bytes.get(CHECKSUM)) else { return false };
    let Ok(octal) = std::str::from_utf8(field) else { return false };
    let octal = octal.trim_matches([' ', '\0']);
    let octal = octal.split([' ', '\0']).next().unwrap_or_default();
    let Ok(claimed) = i64::from_str_radix(octal, 8) else { return false };
    let counted = |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { *byte };
    let sums = header.iter().enumerate().map(counted).fold((0_i64, 0_i64), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    });
    claimed == sums.0 || claimed == sums.1
}

#[cfg(test)]
mod tests;
