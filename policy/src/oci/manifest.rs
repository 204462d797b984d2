//! Manifests and indexes, read strictly: what two readers could take for two things is refused (A105, A123 to A132).

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use oci_spec::image as spec;
use serde::Deserialize as _;
use serde_json::Value;

use super::digest::Digest;
use super::media_type;
use crate::content::Intact;
use crate::limits;
use crate::strict_json::{self, JsonFault};

mod check;

/// A manifest or index as it was read, with the very bytes. Clones share them.
#[derive(Debug, Clone)]
pub struct Document {
    bytes: Bytes,
    media_type: &'static str,
    manifest: Arc<Manifest>,
}

/// What a document is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Manifest {
    /// An image manifest: config and layers. Evidence comes in this shape too.
    Image(Image),
    /// An index (or Docker manifest list) of other manifests.
    Index(Index),
}

/// An image manifest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The config descriptor.
    pub config: Descriptor,
    /// The layers, in order; may be empty.
    pub layers: Vec<Descriptor>,
    /// What this manifest refers to (OCI image-spec 1.1).
    pub subject: Option<Descriptor>,
    /// The `artifactType` as written.
    pub artifact_type: Option<String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// An image index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Index {
    /// The children, in order; may be empty.
    pub manifests: Vec<Descriptor>,
    /// What this index refers to.
    pub subject: Option<Descriptor>,
    /// The `artifactType` as written.
    pub artifact_type: Option<String>,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
}

/// A descriptor.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Descriptor {
    /// The media type, exactly as written.
    pub media_type: String,
    /// The digest; `None` when its algorithm is not one that we compute: such content gets no grant (A132).
    pub digest: Option<Digest>,
    /// Bytes.
    pub size: u64,
    /// The annotations.
    pub annotations: BTreeMap<String, String>,
    /// The `artifactType`, on descriptors of manifests.
    pub artifact_type: Option<String>,
    /// `os/architecture` or `os/architecture/variant`, on children of an index.
    pub platform: Option<String>,
    /// Tells whether a node would fetch this from `urls`, past the gate (A130).
    pub foreign: Foreign,
}

/// Where a node fetches content from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Foreign {
    /// From the registry.
    Registry,
    /// From `urls` of the descriptor.
    Urls,
}

/// Why a document is refused in every mode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ManifestFault {
    /// Two readers could take it for two things.
    #[error("the manifest can be read in two ways")]
    Ambiguous,
    /// An index with more children than `index_children`.
    #[error("the index lists more than {} manifests", limits::INDEX_CHILDREN)]
    IndexTooLarge,
    /// Not a manifest of its type.
    #[error("not a valid manifest")]
    Invalid,
    /// More layers than `layers_per_manifest`, or more in it than `manifest_values`.
    #[error("the manifest lists more than {} layers, or more than is read", limits::LAYERS_PER_MANIFEST)]
    Crowded,
    /// Over `manifest_bytes`.
    #[error("the manifest is larger than {} bytes", limits::MANIFEST_BYTES)]
    TooLarge,
    /// A type or schema version that is not judged; Docker schema 1 among them (A112).
    #[error("manifests of this type are not served")]
    Unsupported,
}

impl Intact<Bytes> {
    /// Reads the bytes as a manifest or index. `content_type` is the media type the upstream named, if any.
    ///
    /// # Errors
    /// [`ManifestFault`] when the bytes are not exactly one thing.
    pub fn parse(self, content_type: Option<&str>) -> Result<Intact<Document>, ManifestFault> {
        self.try_map(|bytes| Document::read(bytes, content_type))
    }
}

impl Intact<Document> {
    /// The same bytes under the type that a parent lists them by: of a document that names no type itself, whatever an
    /// upstream called it (A610).
    ///
    /// # Errors
    /// [`ManifestFault`], where the document is something else.
    pub(crate) fn listed_as(self, media_type: &str) -> Result<Self, ManifestFault> {
        self.try_map(|document| Document::read(document.bytes, Some(media_type)))
    }
}

fn lists_manifests(bytes: &[u8]) -> bool {
    let key = b"\"manifests\"";
    bytes.windows(key.len()).any(|window| window == key)
}

impl Document {
    fn read(bytes: Bytes, content_type: Option<&str>) -> Result<Self, ManifestFault> {
        if bytes.len() as u64 > limits::MANIFEST_BYTES {
            return Err(ManifestFault::TooLarge);
        }
        let value =
            strict_json::parse_up_to(&bytes, limits::MANIFEST_VALUES).map_err(|fault| match fault {
                JsonFault::Ambiguous => ManifestFault::Ambiguous,
                // The reader stopped before it knew the type; a document with so many values is an index, if it is a
                // manifest at all (A128).
                JsonFault::Values if lists_manifests(&bytes) => ManifestFault::IndexTooLarge,
                JsonFault::Values => ManifestFault::Crowded,
                JsonFault::Depth | JsonFault::Number | JsonFault::Syntax => ManifestFault::Invalid,
            })?;
        let kind = check::kind(&value, content_type)?;
        let value = check::without_nulls(value);
        let manifest = match kind.shape {
            check::Shape::Image => Manifest::Image(Image::read(&value)?),
            check::Shape::Index => Manifest::Index(Index::read(&value)?),
        };
        check::digests_agree(&manifest)?;
        Ok(Self { bytes, media_type: kind.media_type, manifest: Arc::new(manifest) })
    }

    /// The bytes as they were hashed.
    #[must_use]
    pub fn bytes(&self) -> &Bytes {
        &self.bytes
    }

    /// The media type, one of [`media_type::MANIFESTS`].
    #[must_use]
    pub fn media_type(&self) -> &'static str {
        self.media_type
    }

    /// What it is.
    #[must_use]
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl Manifest {
    /// The artifact type by the specification's derivation: `artifactType`, else the config's media type (A135).
    #[must_use]
    pub fn artifact_type(&self) -> Option<&str> {
        match self {
            Self::Image(image) => Some(image.artifact_type.as_deref().unwrap_or(&image.config.media_type)),
            Self::Index(index) => index.artifact_type.as_deref(),
        }
    }

    /// The subject's digest, for a referrer.
    #[must_use]
    pub fn subject(&self) -> Option<&Descriptor> {
        match self {
            Self::Image(image) => image.subject.as_ref(),
            Self::Index(index) => index.subject.as_ref(),
        }
    }

    /// Every descriptor of content that a node would fetch: config and layers, or children.
    pub fn content(&self) -> impl Iterator<Item = &Descriptor> {
        let (first, rest) = match self {
            Self::Image(image) => (Some(&image.config), image.layers.as_slice()),
            Self::Index(index) => (None, index.manifests.as_slice()),
        };
        first.into_iter().chain(rest)
    }
}

impl Image {
    fn read(value: &Value) -> Result<Self, ManifestFault> {
        let read = spec::ImageManifest::deserialize(value).map_err(|_| ManifestFault::Invalid)?;
        if read.layers().len() > limits::LAYERS_PER_MANIFEST {
            return Err(ManifestFault::Crowded);
        }
        let mut layers = Vec::with_capacity(read.layers().len());
        for layer in read.layers() {
            layers.push(Descriptor::read(layer)?);
        }
        Ok(Self {
            config: Descriptor::read(read.config())?,
            layers,
            subject: read.subject().as_ref().map(Descriptor::read).transpose()?,
            artifact_type: check::text(value, "artifactType")?,
            annotations: annotations(read.annotations().as_ref()),
        })
    }
}

impl Index {
    fn read(value: &Value) -> Result<Self, ManifestFault> {
        let listed = value.get("manifests").and_then(Value::as_array).ok_or(ManifestFault::Invalid)?;
        if listed.len() > limits::INDEX_CHILDREN {
            return Err(ManifestFault::IndexTooLarge);
        }
        let artifact_types: Vec<_> = listed.iter().map(|child| check::text(child, "artifactType")).collect();
        let read = spec::ImageIndex::deserialize(value).map_err(|_| ManifestFault::Invalid)?;
        let mut manifests = Vec::with_capacity(listed.len());
        for (child, artifact_type) in read.manifests().iter().zip(artifact_types) {
            let mut descriptor = Descriptor::read(child)?;
            descriptor.artifact_type = artifact_type?;
            manifests.push(descriptor);
        }
        Ok(Self {
            manifests,
            subject: read.subject().as_ref().map(Descriptor::read).transpose()?,
            artifact_type: check::text(value, "artifactType")?,
            annotations: annotations(read.annotations().as_ref()),
        })
    }
}

impl Descriptor {
    fn read(read: &spec::Descriptor) -> Result<Self, ManifestFault> {
        if read.size() > limits::DESCRIPTOR_SIZE {
            return Err(ManifestFault::Invalid);
        }
        let digest = read.digest().to_string().parse().ok();
        check::embedded_data(read, digest.as_ref())?;
        Ok(Self {
            media_type: read.media_type().to_string(),
            digest,
            size: read.size(),
            annotations: annotations(read.annotations().as_ref()),
            artifact_type: read.artifact_type().as_ref().map(ToString::to_string),
            platform: read.platform().as_ref().map(platform),
            foreign: match read.urls() {
                Some(urls) if !urls.is_empty() => Foreign::Urls,
                Some(_) | None => Foreign::Registry,
            },
        })
    }
}

fn platform(platform: &spec::Platform) -> String {
    let base = format!("{}/{}", platform.os(), platform.architecture());
    match platform.variant() {
        Some(variant) => format!("{base}/{variant}"),
        None => base,
    }
}

fn annotations(read: Option<&std::collections::HashMap<String, String>>) -> BTreeMap<String, String> {
    read.into_iter().flatten().map(|(key, value)| (key.clone(), value.clone())).collect()
}

#[cfg(test)]
mod tests;
