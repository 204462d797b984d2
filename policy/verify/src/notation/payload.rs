//! What is signed: the descriptor of a manifest (signature specification, "Payload").

use std::collections::BTreeMap;

use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::oci::{Digest, media_type};
use pullgate_policy::strict_json;
use serde_json::{Map, Value};

use super::Envelope;
use crate::artifact::SharedArtifact;
use crate::fault::PieceFault;

fn invalid(detail: &str) -> PieceFault {
    PieceFault::new(Code::PayloadInvalid, detail)
}

/// Checks that a payload is about the manifest: its digest, its size and its type, of which each is signed. What is signed
/// besides, as annotations.
pub(super) fn about(
    envelope: &Envelope,
    subject: &Digest,
    artifact: &SharedArtifact,
) -> Result<BTreeMap<String, String>, PieceFault> {
    if envelope.content_type.as_deref() != Some(media_type::NOTATION_PAYLOAD) {
        return Err(invalid("it is of another type"));
    }
    let target = target(&envelope.payload).ok_or_else(|| invalid("it is no JSON object with a target"))?;
    let text = |name: &str| target.get(name).and_then(Value::as_str);
    // Of a manifest that is known by its hash alone nobody can say the other two.
    let (Some(bytes), Some(media_type)) = (artifact.bytes(), artifact.media_type()) else {
        return Err(PieceFault::new(Code::DigestMismatch, "the manifest itself is not known"));
    };
    let is_it = text("digest") == Some(subject.to_string().as_str())
        && target.get("size").and_then(Value::as_u64) == Some(bytes.len() as u64)
        && text("mediaType") == Some(media_type);
    if !is_it {
        let named = text("digest").unwrap_or_default();
        let detail = match named == subject.to_string() {
            true => "it names this digest with another size or type".to_owned(),
            false => format!("it is about {named}"),
        };
        return Err(PieceFault::new(Code::DigestMismatch, detail));
    }
    match target.get("annotations") {
        None => Ok(BTreeMap::new()),
        Some(Value::Object(members)) => annotations(members).ok_or_else(|| invalid("its annotations")),
        Some(_) => Err(invalid("its annotations are no object")),
    }
}

/// The digest that a payload names.
pub(super) fn digest(payload: &[u8]) -> Option<Digest> {
    target(payload)?.get("digest")?.as_str()?.parse().ok()
}

fn target(payload: &[u8]) -> Option<Map<String, Value>> {
    let Ok(Value::Object(mut members)) = strict_json::parse(payload) else { return None };
    match members.remove("targetArtifact") {
        Some(Value::Object(target)) => Some(target),
        Some(_) | None => None,
    }
}

fn annotations(members: &Map<String, Value>) -> Option<BTreeMap<String, String>> {
    let text = |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
    let read: BTreeMap<_, _> = members.iter().map(text).collect::<Option<_>>()?;
    read.values().all(|value| value.len() <= limits::ANNOTATION_BYTES).then_some(read)
}
