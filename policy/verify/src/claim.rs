//! What signed bytes say: about which digest, and what besides.

use std::collections::BTreeMap;
use std::sync::Arc;

use aws_lc_rs::digest as hash;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Predicate;
use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_policy::strict_json::{self, JsonFault, Left};
use serde_json::{Map, Value};

use crate::artifact::SharedArtifact;
use crate::fault::PieceFault;
use crate::material::Says;

/// The predicate type of a cosign signature in a DSSE envelope. Every other statement is an attestation.
pub(crate) use pullgate_policy::policy::SIGNATURE_TYPE as SIGN;
/// The one `critical.type` of a payload that signs an image (A203).
const SIMPLE_TYPE: &str = "cosign container image signature";
/// The member of a statement that may be large.
const PREDICATE: &str = "predicate";
const STATEMENT_TYPES: [&str; 2] = ["https://in-toto.io/Statement/v1", "https://in-toto.io/Statement/v0.1"];

/// The keys of a simple-signing payload.
#[derive(Clone, Copy)]
struct Words {
    critical: &'static str,
    identity: &'static str,
    image: &'static str,
    kind: &'static str,
    digest: &'static str,
    optional: &'static str,
}

const WORDS: Words = Words {
    critical: "critical",
    identity: "identity",
    image: "image",
    kind: "type",
    digest: "docker-manifest-digest",
    optional: "optional",
};

/// As the first releases of cosign wrote them. Never mixed with the others.
const OLDEST: Words = Words {
    critical: "Critical",
    identity: "Identity",
    image: "Image",
    kind: "Type",
    digest: "Docker-manifest-digest",
    optional: "Optional",
};

/// Names that are read in a payload; `optional` is of free form.
const PAYLOAD_NAMES: [&str; 7] =
    ["critical", "docker-manifest-digest", "docker-reference", "identity", "image", "optional", "type"];

/// Names that are read in a statement and in the provenance in it; build arguments, variables of a CI and labels are of free
/// form, and so is everything that an expression asks for by its exact name.
const STATEMENT_NAMES: [&str; 32] = [
    "_type",
    "annotations",
    "buildConfigSource",
    "buildDefinition",
    "buildType",
    "builder",
    "configSource",
    "digest",
    "entryPoint",
    "externalParameters",
    "gitCommit",
    "id",
    "invocation",
    "materials",
    "metadata",
    "name",
    "path",
    "predicate",
    "predicateType",
    "predicate_type",
    "ref",
    "repository",
    "resolvedDependencies",
    "runDetails",
    "sha1",
    "sha256",
    "sha384",
    "sha512",
    "source",
    "subject",
    "uri",
    "workflow",
];

/// What signed bytes say.
#[derive(Debug)]
pub(crate) enum Claim {
    /// The signed bytes are the manifest itself.
    Manifest,
    /// A simple-signing payload.
    Payload(Payload),
    /// An in-toto statement.
    Statement(Statement),
}

#[derive(Debug)]
pub(crate) struct Payload {
    pub(crate) digest: Digest,
    pub(crate) claimed_reference: String,
    pub(crate) annotations: BTreeMap<String, String>,
}

#[derive(Debug)]
pub(crate) struct Statement {
    pub(crate) predicate_type: String,
    pub(crate) whole: Arc<Value>,
    /// Whether its predicate stands in it.
    pub(crate) predicate: Predicate,
    /// Bytes of memory that it takes.
    pub(crate) takes: usize,
}

impl Payload {
    /// Reads a simple-signing payload, exactly: nothing missing, nothing extra outside `optional` (A203).
    pub(crate) fn read(bytes: &[u8]) -> Result<Self, PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::PayloadInvalid, detail);
        let (value, _) = strict_json::parse_free_form(bytes, limits::JSON_MEMORY, &PAYLOAD_NAMES)
            .map_err(|fault| invalid(&fault.to_string()))?;
        let words = if value.get(OLDEST.critical).is_some() { OLDEST } else { WORDS };
        let whole =
            object(&value, &[words.critical, words.optional]).ok_or_else(|| invalid("not a payload"))?;
        let critical = whole
            .get(words.critical)
            .and_then(|value| object(value, &[words.identity, words.image, words.kind]))
            .ok_or_else(|| invalid("critical is missing or has more than it should"))?;
        if critical.get(words.kind).and_then(Value::as_str) != Some(SIMPLE_TYPE) {
            return Err(invalid("critical.type is not that of a cosign signature"));
        }
        let text = |part: &str, key: &str| {
            let part = critical.get(part).and_then(|value| object(value, &[key]))?;
            part.get(key).and_then(Value::as_str)
        };
        let reference =
            text(words.identity, "docker-reference").ok_or_else(|| invalid("critical.identity"))?;
        let digest = text(words.image, words.digest).ok_or_else(|| invalid("critical.image"))?;
        let annotations = match whole.get(words.optional) {
            None | Some(Value::Null) => BTreeMap::new(),
            Some(Value::Object(optional)) => strings(optional),
            Some(_) => return Err(invalid("optional is not an object")),
        };
        Ok(Self {
            digest: digest.parse().map_err(|_| invalid("critical.image names no digest"))?,
            claimed_reference: reference.to_owned(),
            annotations,
        })
    }
}

impl Statement {
    /// Reads an in-toto statement (in-toto attestation framework, "Statement"). Its predicate is kept where all of it
    /// takes at most `memory`; it is read as strictly where it is not.
    pub(crate) fn read(bytes: &[u8], memory: usize) -> Result<Self, PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::StatementInvalid, detail);
        let fault = |fault: JsonFault| invalid(&fault.to_string());
        let (whole, predicate, takes) = match strict_json::parse_free_form(bytes, memory, &STATEMENT_NAMES) {
            Ok((whole, takes)) => (whole, Predicate::Kept, takes),
            Err(JsonFault::Values) => {
                let names = Some(STATEMENT_NAMES.as_slice());
                let read = strict_json::parse_without(bytes, PREDICATE, limits::JSON_MEMORY, names);
                let (mut rest, left) = read.map_err(fault)?;
                match left {
                    Some(Left::Object) => (rest, Predicate::Left, 0),
                    Some(Left::Null) | None => (rest, Predicate::Kept, 0),
                    // A predicate that is no object stays invalid, whatever its size: an absent one would count as
                    // empty (A215).
                    Some(Left::Other) => {
                        if let Some(members) = rest.as_object_mut() {
                            members.insert(PREDICATE.to_owned(), Value::Bool(false));
                        }
                        (rest, Predicate::Kept, 0)
                    }
                }
            }
            Err(other) => return Err(fault(other)),
        };
        let kind = field(&whole, "_type", "type")?.and_then(Value::as_str);
        if !kind.is_some_and(|kind| STATEMENT_TYPES.contains(&kind)) {
            return Err(invalid("_type is not that of a statement"));
        }
        // An empty one has been written, and is a type that no requirement can name.
        let predicate_type = field(&whole, "predicateType", "predicate_type")?.and_then(Value::as_str);
        let predicate_type = predicate_type.ok_or_else(|| invalid("no predicateType"))?.to_owned();
        let subjects = whole.get("subject").and_then(Value::as_array).ok_or_else(|| invalid("no subject"))?;
        if subjects.is_empty() || subjects.len() > limits::STATEMENT_SUBJECTS {
            return Err(invalid("no subject, or too many"));
        }
        for subject in subjects {
            let digests = subject.get("digest").and_then(Value::as_object);
            let fits = |digests: &Map<String, Value>| {
                digests.len() <= limits::SUBJECT_DIGESTS && digests.values().all(Value::is_string)
            };
            if !digests.is_some_and(fits) {
                return Err(invalid("a subject without digests, or with too many"));
            }
        }
        Ok(Self { predicate_type, whole: Arc::new(whole), predicate, takes })
    }

    /// The annotations of the subject that is `manifest`; `None` when no subject matches.
    ///
    /// One subject must agree in every algorithm that we can compute ourselves, and in at least one; names and weak or
    /// unknown algorithms count for nothing (A210, A211).
    fn subject_annotations(&self, manifest: &SharedArtifact) -> Option<BTreeMap<String, String>> {
        let subjects = self.whole.get("subject").and_then(Value::as_array)?;
        let ours = [("sha256", &hash::SHA256), ("sha384", &hash::SHA384), ("sha512", &hash::SHA512)];
        let ours = ours.map(|(name, algorithm)| (name, manifest.hash(algorithm).map(hex::encode)));
        let is_ours = |subject: &&Value| {
            let named: Vec<bool> = ours
                .iter()
                .filter_map(|(algorithm, digits)| {
                    // Hexadecimal digits are the same bytes in either case.
                    Some(
                        subject
                            .get("digest")?
                            .get(algorithm)?
                            .as_str()?
                            .eq_ignore_ascii_case(digits.as_ref()?),
                    )
                })
                .collect();
            !named.is_empty() && named.into_iter().all(|agrees| agrees)
        };
        let subject = subjects.iter().find(is_ours)?;
        let annotations = subject.get("annotations").and_then(Value::as_object);
        Some(annotations.map(strings).unwrap_or_default())
    }
}

impl Claim {
    /// Reads the signed bytes, once a signature over them holds (A602). The predicate of a statement is kept where it
    /// takes at most `memory`.
    pub(crate) fn read(says: &Says, memory: usize) -> Result<Self, PieceFault> {
        let bytes = |kept: &SharedArtifact| kept.bytes().cloned().unwrap_or_default();
        match says {
            Says::Manifest => Ok(Self::Manifest),
            Says::Payload(payload) => Payload::read(&bytes(payload)).map(Self::Payload),
            Says::Statement(payload) => Statement::read(&bytes(payload), memory).map(Self::Statement),
        }
    }

    /// The annotations about `subject`; refused when the claim is about another digest, even with a valid signature
    /// (A202, A210).
    pub(crate) fn about(
        &self,
        subject: &Digest,
        manifest: &SharedArtifact,
    ) -> Result<BTreeMap<String, String>, PieceFault> {
        match self {
            Self::Manifest => Ok(BTreeMap::new()),
            Self::Payload(payload) if payload.digest == *subject => Ok(payload.annotations.clone()),
            Self::Payload(payload) => {
                Err(PieceFault::new(Code::DigestMismatch, format!("signed for {}", payload.digest)))
            }
            Self::Statement(statement) => {
                statement.subject_annotations(manifest).ok_or_else(|| Code::SubjectMismatch.into())
            }
        }
    }
}

/// A field of a statement, under its JSON name or its protobuf name: readers of protobuf's JSON must accept both. A
/// field under both names is ambiguous.
fn field<'a>(whole: &'a Value, name: &str, original: &str) -> Result<Option<&'a Value>, PieceFault> {
    match (whole.get(name), whole.get(original)) {
        (Some(_), Some(_)) => {
            Err(PieceFault::new(Code::StatementInvalid, format!("{name} stands twice, also as {original}")))
        }
        (found, other) => Ok(found.or(other)),
    }
}

/// The object, when it has no other keys than `keys`.
fn object<'a>(value: &'a Value, keys: &[&str]) -> Option<&'a Map<String, Value>> {
    value.as_object().filter(|object| object.keys().all(|key| keys.contains(&key.as_str())))
}

fn strings(object: &Map<String, Value>) -> BTreeMap<String, String> {
    object.iter().filter_map(|(key, value)| Some((key.clone(), value.as_str()?.to_owned()))).collect()
}

#[cfg(test)]
mod tests;
