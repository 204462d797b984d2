//! The checks that a typed reader does not make.

use std::collections::BTreeMap;

use base64::Engine as _;
use oci_spec::image as spec;
use serde_json::Value;

use super::{Manifest, ManifestFault, media_type};
use crate::oci::Digest;

/// The two shapes of a document.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    Image,
    Index,
}

pub(super) struct Kind {
    pub(super) shape: Shape,
    pub(super) media_type: &'static str,
}

/// Tells what the document is; body, `mediaType` and the upstream's type must tell one story (CVE-2021-41190).
pub(super) fn kind(value: &Value, content_type: Option<&str>) -> Result<Kind, ManifestFault> {
    let object = value.as_object().ok_or(ManifestFault::Invalid)?;
    exact_case(value)?;
    match object.get("schemaVersion").and_then(Value::as_u64) {
        Some(2) => {}
        Some(_) | None => return Err(ManifestFault::Unsupported),
    }
    let has = |key: &str| object.contains_key(key);
    let (image, index) = (has("layers") || has("config"), has("manifests"));
    // Schema 1 in the clothes of schema 2 would be a third reading.
    if (image && index) || has("fsLayers") || has("history") {
        return Err(ManifestFault::Ambiguous);
    }
    let shape = match (image, index) {
        (true, false) => Shape::Image,
        (false, true) => Shape::Index,
        (true, true) | (false, false) => return Err(ManifestFault::Unsupported),
    };
    let in_body = match object.get("mediaType") {
        Some(Value::String(text)) => Some(text.as_str()),
        None | Some(Value::Null) => None,
        Some(_) => return Err(ManifestFault::Invalid),
    };
    let named = match (in_body, content_type) {
        (Some(body), Some(header)) if body != header => {
            let known = known(body).is_some() && known(header).is_some();
            return Err(if known { ManifestFault::Ambiguous } else { ManifestFault::Unsupported });
        }
        (Some(name), _) | (None, Some(name)) => name,
        (None, None) => match shape {
            Shape::Image => media_type::OCI_MANIFEST,
            Shape::Index => media_type::OCI_INDEX,
        },
    };
    let (media_type, says) = known(named).ok_or(ManifestFault::Unsupported)?;
    if says != shape {
        return Err(ManifestFault::Ambiguous);
    }
    Ok(Kind { shape, media_type })
}

fn known(name: &str) -> Option<(&'static str, Shape)> {
    match name {
        media_type::OCI_MANIFEST => Some((media_type::OCI_MANIFEST, Shape::Image)),
        media_type::DOCKER_MANIFEST => Some((media_type::DOCKER_MANIFEST, Shape::Image)),
        media_type::OCI_INDEX => Some((media_type::OCI_INDEX, Shape::Index)),
        media_type::DOCKER_LIST => Some((media_type::DOCKER_LIST, Shape::Index)),
        _ => None,
    }
}

/// Keys that somebody reads. Go takes a key that differs from one of them by case alone for that key (A035).
const READ: [&str; 17] = [
    "schemaVersion",
    "mediaType",
    "config",
    "layers",
    "manifests",
    "subject",
    "artifactType",
    "annotations",
    "digest",
    "size",
    "urls",
    "data",
    "platform",
    "os",
    "architecture",
    "fsLayers",
    "history",
];

fn exact_case(value: &Value) -> Result<(), ManifestFault> {
    match value {
        Value::Object(object) => {
            for (key, inner) in object {
                let folded = crate::strict_json::fold(key);
                if READ.iter().any(|known| *known != key && crate::strict_json::fold(known) == folded) {
                    return Err(ManifestFault::Ambiguous);
                }
                // Annotation keys are people's own words.
                if key != "annotations" {
                    exact_case(inner)?;
                }
            }
            Ok(())
        }
        Value::Array(values) => values.iter().try_for_each(exact_case),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => Ok(()),
    }
}

/// The same as Go's readers see it, for whom `null` is the empty value of its type. The specification's own types, which
/// are Go's, write it so.
pub(super) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(object) => {
            let members = object.into_iter().filter_map(|(key, inner)| {
                let inner = match (key.as_str(), inner) {
                    ("layers" | "manifests", Value::Null) => Value::Array(Vec::new()),
                    ("annotations", Value::Object(texts)) => texts
                        .into_iter()
                        .map(|(key, text)| {
                            (key, if text.is_null() { Value::String(String::new()) } else { text })
                        })
                        .collect::<serde_json::Map<_, _>>()
                        .into(),
                    (_, Value::Null) => return None,
                    (_, inner) => without_nulls(inner),
                };
                Some((key, inner))
            });
            Value::Object(members.collect())
        }
        // An item that is null is no descriptor.
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        value @ (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_)) => value,
    }
}

/// A string member, absent, or a fault.
pub(super) fn text(value: &Value, key: &str) -> Result<Option<String>, ManifestFault> {
    match value.get(key) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(ManifestFault::Invalid),
    }
}

/// Embedded `data` is never used instead of fetching, but a node may: it must be the content (A131).
pub(super) fn embedded_data(read: &spec::Descriptor, digest: Option<&Digest>) -> Result<(), ManifestFault> {
    let Some(data) = read.data() else { return Ok(()) };
    let decoded =
        base64::engine::general_purpose::STANDARD.decode(data).map_err(|_| ManifestFault::Ambiguous)?;
    match digest {
        Some(digest) if digest.recompute(&decoded) == *digest && decoded.len() as u64 == read.size() => {
            Ok(())
        }
        Some(_) | None => Err(ManifestFault::Ambiguous),
    }
}

/// One digest with two sizes or, in an index, two types is two stories about one content (A128).
pub(super) fn digests_agree(manifest: &Manifest) -> Result<(), ManifestFault> {
    let typed = matches!(manifest, Manifest::Index(_));
    let mut seen = BTreeMap::new();
    for descriptor in manifest.content() {
        let Some(digest) = descriptor.digest else { continue };
        let story = (descriptor.size, typed.then_some(descriptor.media_type.as_str()));
        if *seen.entry(digest).or_insert(story) != story {
            return Err(ManifestFault::Ambiguous);
        }
    }
    Ok(())
}
