//! Images, the same bytes for the same seed. Small ones: busybox where a static one is installed, a file that holds the
//! seed, and for an index two platforms with an attestation manifest each, as BuildKit lays them out.

use std::{fs, path::Path};

use serde_json::{Value, json};

use super::content::{Content, Manifest, sha256};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const INDEX: &str = "application/vnd.oci.image.index.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar";
const BUSYBOX: &str = "/bin/busybox";
const TAR_BLOCK: usize = 512;

/// A static busybox is installed: an image made here can be started.
///
/// # Errors
/// The reason for a skip.
pub fn startable() -> Result<(), String> {
    busybox().map(|_| ()).ok_or(format!("no static {BUSYBOX} is installed"))
}

/// An image of one platform, under a tag.
#[must_use]
pub fn single(tag: &str, seed: &str) -> Content {
    let mut content = Content::default();
    platform(&mut content, "amd64", seed);
    if let Some(manifest) = content.manifests.last_mut() {
        manifest.tag = Some(tag.to_owned());
    }
    content
}

/// An index of amd64, arm64 and their attestation manifests, under a tag.
#[must_use]
pub fn multi(tag: &str, seed: &str) -> Content {
    let mut content = Content::default();
    let images = ["amd64", "arm64"].map(|architecture| {
        let child = platform(&mut content, architecture, seed);
        with(child, &[("platform", json!({ "architecture": architecture, "os": "linux" }))])
    });
    let attestations = images.clone().map(|image| {
        let subject = image.get("digest").and_then(Value::as_str).unwrap_or_default();
        let child = attestation_manifest(&mut content, subject);
        let note = json!({ "vnd.docker.reference.type": "attestation-manifest", "vnd.docker.reference.digest": subject });
        with(child, &[("platform", json!({ "architecture": "unknown", "os": "unknown" })), ("annotations", note)])
    });
    let children = [images, attestations].concat();
    let bytes =
        json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": children }).to_string().into_bytes();
    content.manifests.push(Manifest { media_type: INDEX.to_owned(), bytes, tag: Some(tag.to_owned()) });
    content
}

/// An image of one layer, which is a file of so many bytes in which no two blocks are alike.
#[must_use]
pub fn large(tag: &str, seed: &str, length: usize) -> Content {
    let mut file = Vec::with_capacity(length);
    for number in 0_u64..length.div_ceil(4096) as u64 {
        file.extend_from_slice(&number.to_le_bytes());
        file.resize(file.len() + 4096 - 8, b'.');
    }
    file.truncate(length);
    layered(tag, vec![layer_of(&[("large", 0o644, &file), ("seed", 0o644, seed.as_bytes())])])
}

/// An image of so many small layers, each another one.
#[must_use]
pub fn many_layers(tag: &str, seed: &str, count: usize) -> Content {
    let layers = (0..count).map(|number| {
        let (name, text) = (format!("file-{number}"), format!("{seed} {number}"));
        layer_of(&[(&name, 0o644, text.as_bytes())])
    });
    layered(tag, layers.collect())
}

fn layered(tag: &str, layers: Vec<Vec<u8>>) -> Content {
    let mut content = Content::default();
    image_of(&mut content, "amd64", layers);
    if let Some(manifest) = content.manifests.last_mut() {
        manifest.tag = Some(tag.to_owned());
    }
    content
}

/// Adds an image and answers its descriptor.
fn platform(content: &mut Content, architecture: &str, seed: &str) -> Value {
    let (busybox, text) = (busybox(), format!("{seed} {architecture}"));
    let mut files = vec![("seed", 0o644, text.as_bytes())];
    if let Some(busybox) = &busybox {
        files.insert(0, ("bin/busybox", 0o755, busybox));
    }
    image_of(content, architecture, vec![layer_of(&files)])
}

/// Adds an image of these layers and answers its descriptor.
fn image_of(content: &mut Content, architecture: &str, layers: Vec<Vec<u8>>) -> Value {
    let config = json!({
        "architecture": architecture,
        "os": "linux",
        "config": { "Cmd": [BUSYBOX, "sh"] },
        "rootfs": { "type": "layers", "diff_ids": layers.iter().map(|layer| sha256(layer)).collect::<Vec<_>>() },
    });
    manifest(content, &config, LAYER, layers)
}

/// A tar archive of these files: name, mode and content.
fn layer_of(files: &[(&str, u32, &[u8])]) -> Vec<u8> {
    let mut layer = Vec::new();
    for (name, mode, bytes) in files {
        add_file(&mut layer, name, *mode, bytes);
    }
    layer.resize(layer.len() + 2 * TAR_BLOCK, 0);
    layer
}

fn attestation_manifest(content: &mut Content, subject: &str) -> Value {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v0.1",
        "predicateType": "https://example.org/nothing/v1",
        "subject": [{ "name": "_", "digest": { "sha256": subject.trim_start_matches("sha256:") } }],
        "predicate": {},
    });
    let statement = statement.to_string().into_bytes();
    let config = json!({
        "architecture": "unknown",
        "os": "unknown",
        "config": {},
        "rootfs": { "type": "layers", "diff_ids": [sha256(&statement)] },
    });
    manifest(content, &config, "application/vnd.in-toto+json", vec![statement])
}

fn manifest(content: &mut Content, config: &Value, layer_type: &str, layers: Vec<Vec<u8>>) -> Value {
    let config = config.to_string().into_bytes();
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, &config),
        "layers": layers.iter().map(|layer| descriptor(layer_type, layer)).collect::<Vec<_>>(),
    });
    let bytes = manifest.to_string().into_bytes();
    let described = descriptor(MANIFEST, &bytes);
    content.blobs.push(config);
    content.blobs.extend(layers);
    content.manifests.push(Manifest { media_type: MANIFEST.to_owned(), bytes, tag: None });
    described
}

/// The descriptor with more members.
fn with(mut descriptor: Value, members: &[(&str, Value)]) -> Value {
    if let Some(object) = descriptor.as_object_mut() {
        object.extend(members.iter().map(|(key, value)| ((*key).to_owned(), value.clone())));
    }
    descriptor
}

fn descriptor(media_type: &str, bytes: &[u8]) -> Value {
    json!({ "mediaType": media_type, "digest": sha256(bytes), "size": bytes.len() })
}

/// One that asks for no loader, which would name it in its first pages.
fn busybox() -> Option<Vec<u8>> {
    let bytes = fs::read(Path::new(BUSYBOX)).ok()?;
    let head = bytes.get(..4096.min(bytes.len()))?;
    let dynamic = [&b"ld-linux"[..], b"ld-musl"]
        .iter()
        .any(|loader| head.windows(loader.len()).any(|part| part == *loader));
    (!dynamic).then_some(bytes)
}

/// One entry of a POSIX ustar archive; owner and time are zero, so that bytes depend on nothing else.
fn add_file(archive: &mut Vec<u8>, name: &str, mode: u32, bytes: &[u8]) {
    let mut header = [
        field(name.as_bytes(), 100),
        field(format!("{mode:07o}\0").as_bytes(), 8),
        field(b"0000000\0", 8),
        field(b"0000000\0", 8),
        field(format!("{:011o}\0", bytes.len()).as_bytes(), 12),
        field(b"00000000000\0", 12),
        // The checksum is taken over spaces in its own place.
        field(b"        ", 8),
        field(b"0", 1),
        field(b"", 100),
        field(b"ustar\x0000", 8),
    ]
    .concat();
    header.resize(TAR_BLOCK, 0);
    let sum = header.iter().map(|&byte| u32::from(byte)).sum::<u32>();
    let checksum = format!("{sum:06o}\0 ");
    for (place, byte) in header.iter_mut().skip(148).zip(checksum.bytes()) {
        *place = byte;
    }
    archive.extend(header);
    archive.extend(bytes);
    archive.resize(archive.len().next_multiple_of(TAR_BLOCK), 0);
}

fn field(bytes: &[u8], width: usize) -> Vec<u8> {
    let mut field = bytes.to_vec();
    field.resize(width, 0);
    field
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_image_and_another_seed_another() {
        let digest = |seed| multi("v1", seed).digest("v1").unwrap();
        assert_eq!(digest("a"), digest("a"));
        assert_ne!(digest("a"), digest("b"));
    }

    #[test]
    fn an_index_has_two_platforms_and_an_attestation_manifest_for_each() {
        let content = multi("v1", "a");
        let index = content.manifests.last().unwrap();
        let index = serde_json::from_slice::<Value>(&index.bytes).unwrap();
        let children = index["manifests"].as_array().unwrap();
        assert_eq!(children.len(), 4);
        assert_eq!(children[2]["annotations"]["vnd.docker.reference.digest"], children[0]["digest"]);
        for child in children {
            assert!(content.manifests.iter().any(|manifest| child["digest"] == sha256(&manifest.bytes)));
        }
    }

    #[test]
    fn tar_reads_the_layer() {
        let layer = layer_of(&[("seed", 0o644, b"hello")]);
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(file.path(), layer).unwrap();
        let read = Command::new("tar").arg("-xOf").arg(file.path()).arg("seed").output().unwrap();
        assert_eq!(read.stdout, b"hello", "{}", String::from_utf8_lossy(&read.stderr));
    }
}
