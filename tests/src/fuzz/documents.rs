//! Manifests, indexes, and the JSON below them.

use bytes::Bytes;
use pullgate_policy::content::Untrusted;
use pullgate_policy::limits;
use pullgate_policy::oci::{Descriptor, Manifest, media_type};
use pullgate_policy::strict_json;
use serde_json::Value;

use super::unique::Unique;
use crate::made::Made;
use crate::signing::{SIGN_PREDICATE, Signer, carrier, referrer};

pub(super) fn manifests() -> Vec<Vec<u8>> {
    let signer = Signer::new();
    let image = Made::image();
    vec![
        image.bytes.clone(),
        Made::buildkit_index().bytes,
        carrier(vec![signer.signature(&image.digest())]).bytes,
        referrer(&image.descriptor(), signer.bundle(&image.digest(), SIGN_PREDICATE)).bytes,
        br#"{"schemaVersion":1,"name":"a","tag":"b","fsLayers":[]}"#.to_vec(),
    ]
}

/// What the gate reads of a document is what any reader of JSON reads of it.
pub(super) fn manifest(input: &[u8]) -> Result<(), String> {
    for content_type in [None, Some(media_type::OCI_MANIFEST), Some(media_type::OCI_INDEX)] {
        let intact = Untrusted::new(Bytes::copy_from_slice(input)).hash();
        let Ok(document) = intact.parse(content_type) else { continue };
        if document.value().bytes() != input {
            return Err("other bytes than were read".to_owned());
        }
        let generic: Value = serde_json::from_slice(input).map_err(|error| format!("no JSON: {error}"))?;
        serde_json::from_slice::<Unique>(input).map_err(|error| error.to_string())?;
        let listed = |key: &str| generic.get(key).and_then(Value::as_array).cloned().unwrap_or_default();
        let (seen, expected, subject) = match document.value().manifest() {
            Manifest::Image(image) => {
                agrees(&image.config, generic.get("config").unwrap_or(&Value::Null))?;
                (&image.layers, listed("layers"), &image.subject)
            }
            Manifest::Index(index) => (&index.manifests, listed("manifests"), &index.subject),
        };
        if seen.len() != expected.len() {
            return Err(format!("{} listed, {} seen", expected.len(), seen.len()));
        }
        seen.iter().zip(&expected).try_for_each(|(seen, expected)| agrees(seen, expected))?;
        match (subject, generic.get("subject").filter(|subject| !subject.is_null())) {
            (Some(subject), Some(expected)) => agrees(subject, expected)?,
            (None, None) => {}
            (Some(_), None) | (None, Some(_)) => {
                return Err("a subject that the other does not see".to_owned());
            }
        }
        let both = generic.get("layers").is_some() && generic.get("manifests").is_some();
        if both || seen.len() > limits::LAYERS_PER_MANIFEST.max(limits::INDEX_CHILDREN) {
            return Err("two kinds at once, or too many".to_owned());
        }
    }
    Ok(())
}

fn agrees(seen: &Descriptor, expected: &Value) -> Result<(), String> {
    let text = |key: &str| expected.get(key).and_then(Value::as_str).unwrap_or_default();
    let digest = seen.digest.map(|digest| digest.to_string());
    // A digest of an algorithm that is not computed is none (A132).
    if digest.is_some_and(|digest| digest != text("digest")) {
        return Err(format!("{:?} is not what stands there", seen.digest));
    }
    if Some(seen.size) != expected.get("size").and_then(Value::as_u64) || seen.media_type != text("mediaType")
    {
        return Err(format!("{} bytes of {:?} are not what stands there", seen.size, seen.media_type));
    }
    Ok(())
}

/// What the one reader takes, another takes too, and reads alike.
pub(super) fn json(input: &[u8]) -> Result<(), String> {
    let Ok(ours) = strict_json::parse(input) else { return Ok(()) };
    let theirs: Value = serde_json::from_slice(input).map_err(|error| format!("only we take it: {error}"))?;
    serde_json::from_slice::<Unique>(input).map_err(|error| error.to_string())?;
    if ours == theirs { Ok(()) } else { Err("read differently".to_owned()) }
}
