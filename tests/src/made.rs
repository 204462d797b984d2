//! Manifests and indexes that a test makes, each another one, with everything that they list.

use std::sync::atomic::{AtomicU64, Ordering};

use serde_json::{Map, Value, json};

use crate::clients::content::sha256;
use crate::upstream::Upstream;

/// The media type of an OCI image manifest.
pub const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// The media type of an OCI image index.
pub const INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// The media type of an OCI image config.
pub const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// The media type of an OCI layer.
pub const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";

/// A manifest or an index, with its blobs and children.
#[derive(Debug, Clone)]
pub struct Made {
    /// As it is served.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// Config first, then layers.
    pub blobs: Vec<Vec<u8>>,
    /// What an index lists.
    pub children: Vec<Self>,
}

/// A layer before it is listed.
#[derive(Debug, Clone)]
pub struct Layer {
    /// As the manifest calls it.
    pub media_type: String,
    /// The bytes.
    pub bytes: Vec<u8>,
    /// The annotations of its descriptor.
    pub annotations: Value,
}

impl Layer {
    /// A layer without annotations.
    #[must_use]
    pub fn new(media_type: &str, bytes: Vec<u8>) -> Self {
        Self { media_type: media_type.to_owned(), bytes, annotations: json!({}) }
    }
}

/// Text that no other call in this process gives.
#[must_use]
pub fn fresh() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::SeqCst))
}

impl Made {
    /// An image of one platform with one small layer.
    #[must_use]
    pub fn image() -> Self {
        Self::image_of(vec![Layer::new(LAYER, format!("layer {}", fresh()).into_bytes())])
    }

    /// An image of one layer of so many bytes.
    #[must_use]
    pub fn image_of_bytes(length: usize) -> Self {
        let mut bytes = format!("layer {} ", fresh()).into_bytes();
        // No two pieces alike, so that one in another's place is seen.
        for piece in 0_u64.. {
            if bytes.len() >= length {
                break;
            }
            bytes.extend_from_slice(&piece.to_le_bytes());
        }
        bytes.truncate(length);
        Self::image_of(vec![Layer::new(LAYER, bytes)])
    }

    /// An image of these layers.
    #[must_use]
    pub fn image_of(layers: Vec<Layer>) -> Self {
        let config = json!({ "architecture": "amd64", "os": "linux", "rootfs": { "type": "layers", "diff_ids": [] }, "n": fresh() });
        Self::manifest((CONFIG, config.to_string().into_bytes()), layers, json!({}))
    }

    /// A manifest of this config and these layers, with more members.
    #[must_use]
    pub fn manifest((config_type, config): (&str, Vec<u8>), layers: Vec<Layer>, more: Value) -> Self {
        let listed: Vec<Value> = layers
            .iter()
            .map(|layer| {
                with(descriptor(&layer.media_type, &layer.bytes), json!({ "annotations": layer.annotations }))
            })
            .collect();
        let body = json!({
            "schemaVersion": 2, "mediaType": MANIFEST,
            "config": descriptor(config_type, &config), "layers": listed,
        });
        let blobs = std::iter::once(config).chain(layers.into_iter().map(|layer| layer.bytes)).collect();
        Self::from_bytes(MANIFEST, with(body, more).to_string().into_bytes(), blobs)
    }

    /// Whatever these bytes are.
    #[must_use]
    pub fn from_bytes(media_type: &str, bytes: Vec<u8>, blobs: Vec<Vec<u8>>) -> Self {
        Self { media_type: media_type.to_owned(), bytes, blobs, children: Vec::new() }
    }

    /// An index of these children, each for a platform of its own.
    #[must_use]
    pub fn index(children: Vec<Self>) -> Self {
        let listed = children.iter().enumerate().map(|(at, child)| {
            let platform = json!({ "os": "linux", "architecture": if at == 0 { "amd64" } else { "arm64" } });
            with(child.descriptor(), json!({ "platform": platform }))
        });
        let listed: Vec<_> = listed.collect();
        Self::index_of(&listed, children)
    }

    /// An index with these entries, whatever they are.
    #[must_use]
    pub fn index_of(listed: &[Value], children: Vec<Self>) -> Self {
        let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": listed, "annotations": { "n": fresh() } });
        Self { children, ..Self::from_bytes(INDEX, body.to_string().into_bytes(), Vec::new()) }
    }

    /// An index as BuildKit makes it: two platforms, and an attestation manifest of each under `unknown/unknown`.
    #[must_use]
    pub fn buildkit_index() -> Self {
        let images = [Self::image(), Self::image()];
        let notes = images.each_ref().map(|image| {
            let statement = json!({
                "_type": "https://in-toto.io/Statement/v0.1", "predicateType": "https://slsa.dev/provenance/v0.2",
                "subject": [{ "name": "_", "digest": { "sha256": image.hex() } }], "predicate": { "n": fresh() },
            });
            Self::image_of(vec![Layer::new("application/vnd.in-toto+json", statement.to_string().into_bytes())])
        });
        let platforms = ["amd64", "arm64"].map(|name| json!({ "os": "linux", "architecture": name }));
        let runnable = images
            .iter()
            .zip(platforms)
            .map(|(image, platform)| with(image.descriptor(), json!({ "platform": platform })));
        let unknown = notes.iter().zip(&images).map(|(note, image)| {
            let marks = json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": image.digest() });
            let platform = json!({ "os": "unknown", "architecture": "unknown" });
            with(note.descriptor(), json!({ "platform": platform, "annotations": marks }))
        });
        let listed: Vec<_> = runnable.chain(unknown).collect();
        Self::index_of(&listed, images.into_iter().chain(notes).collect())
    }

    /// Its digest.
    #[must_use]
    pub fn digest(&self) -> String {
        sha256(&self.bytes)
    }

    /// Its digest without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        self.digest().trim_start_matches("sha256:").to_owned()
    }

    /// Its descriptor.
    #[must_use]
    pub fn descriptor(&self) -> Value {
        descriptor(&self.media_type, &self.bytes)
    }

    /// The digest of its config.
    #[must_use]
    pub fn config(&self) -> String {
        self.blobs.first().map(|blob| sha256(blob)).unwrap_or_default()
    }

    /// The digest of its first layer.
    #[must_use]
    pub fn layer(&self) -> String {
        self.blobs.get(1).map(|blob| sha256(blob)).unwrap_or_default()
    }

    /// Puts it into a repository with everything that it lists, and tells its digest.
    pub fn put(&self, upstream: &Upstream, repository: &str) -> String {
        for child in &self.children {
            child.put(upstream, repository);
        }
        for blob in &self.blobs {
            upstream.blob(repository, blob);
        }
        upstream.manifest(repository, &self.media_type, &self.bytes)
    }

    /// The same, under a tag.
    pub fn tag(&self, upstream: &Upstream, repository: &str, tag: &str) -> String {
        let digest = self.put(upstream, repository);
        upstream.tag(repository, tag, &digest);
        digest
    }
}

/// A descriptor of these bytes.
#[must_use]
pub fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

/// The object with more members.
#[must_use]
pub fn with(mut object: Value, more: Value) -> Value {
    if let (Some(object), Value::Object(more)) = (object.as_object_mut(), more) {
        object.extend(more.into_iter().filter(|(_, value)| *value != Value::Object(Map::new())));
    }
    object
}
