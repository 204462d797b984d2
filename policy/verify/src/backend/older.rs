//! Log entries of Rekor v1 that the library does not read: `intoto/0.0.1`, and `hashedrekord/0.0.1` and `dsse/0.0.1` by any
//! kind of key over any hash; those of Rekor v2 are handed on. Each is held against its log, and against the very signature
//! that it is to be about (A302, A303).

use aws_lc_rs::digest::{self as hash, Algorithm};
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogEntry, LogProof};
use pullgate_policy::strict_json;
use serde_json::{Value, json};
use sigstore_types::{SignatureBytes, TransparencyLogEntry};

use super::logs::Logs;
use super::tiles;
use crate::artifact::Artifact;
use crate::encoding;
use crate::fault::Fault;
use crate::key::PublicKey;
use crate::material::Signed;

/// Who signed, as an entry names its verifier.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verifier<'a> {
    /// A certificate, in DER.
    Certificate(&'a [u8]),
    /// A key.
    Key(&'a PublicKey),
}

/// What a log says of one entry.
#[derive(Debug, Clone)]
pub(super) struct Entered {
    /// When it was entered, as the log signed; a log of Rekor v2 signs no time.
    pub(super) time: Option<Timestamp>,
    pub(super) entry: LogEntry,
}

/// Checks every entry of a signature.
///
/// # Errors
/// `unsupported` when one is of a kind that is not read here either; else what is wrong with the first.
pub(super) fn check(
    logs: &Logs,
    signed: &Signed,
    by: Verifier<'_>,
    stamped: Option<Timestamp>,
) -> Result<Vec<Entered>, Fault> {
    let entries = signed.bundle.listed()?;
    entries.iter().map(|entry| one(logs, entry, signed, by, stamped)).collect()
}

fn one(
    logs: &Logs,
    listed: &Value,
    signed: &Signed,
    by: Verifier<'_>,
    stamped: Option<Timestamp>,
) -> Result<Entered, Fault> {
    let entry = read(listed)?;
    let body = strict_json::parse(entry.canonicalized_body.as_bytes())
        .map_err(|_| Fault::new(Code::LogEntryKind, "the entry's body is not JSON"))?;
    let named = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    let said = |key: &str| listed.pointer(key).and_then(Value::as_str).unwrap_or_default();
    let (kind, version) = (named("kind"), named("apiVersion"));
    if (kind, version) != (said("/kindVersion/kind"), said("/kindVersion/version")) {
        return Err(Fault::new(Code::LogEntryKind, "the entry's body is of another kind than it says"));
    }
    let about = match (kind, version) {
        ("hashedrekord", "0.0.2") => return tiles::check(logs, (&entry, &body), signed, by, stamped),
        ("hashedrekord", "0.0.1") => hashedrekord(&body, signed, by),
        ("intoto", "0.0.1") => intoto(&body, signed, by),
        ("dsse", "0.0.1") => dsse(&body, signed, by),
        _ => return Err(Fault::new(Code::Unsupported, "a log entry of a kind that is not read")),
    };
    // What the log vouches for comes first: of an entry that nobody signed nothing is known.
    let time = signed_timestamp(logs, &entry)?;
    let proof = included(logs, &entry, time)?;
    about.ok_or_else(|| Fault::new(Code::LogEntryMismatch, "the entry is about something else"))?;
    let log = logs.named(entry.log_id.key_id.as_bytes());
    Ok(Entered { time: Some(time), entry: LogEntry { log, index: Some(entry.log_index.get()), by: proof } })
}

/// The entry under a label that the library reads. The label is no part of what a log signs; the body's own is compared.
fn read(listed: &Value) -> Result<TransparencyLogEntry, Fault> {
    let mut copy = listed.clone();
    if let Some(entry) = copy.as_object_mut() {
        entry.insert("kindVersion".to_owned(), json!({ "kind": "hashedrekord", "version": "0.0.1" }));
    }
    serde_json::from_value(copy).map_err(|error| Fault::new(Code::BundleInvalid, error.to_string()))
}

/// The time that the log signed with the entry (Rekor, "signed entry timestamp"), within the window of its key (A311).
fn signed_timestamp(logs: &Logs, entry: &TransparencyLogEntry) -> Result<Timestamp, Fault> {
    let promise = entry.inclusion_promise.as_ref();
    let promise = promise.ok_or_else(|| Fault::new(Code::SetInvalid, "no signed entry timestamp"))?;
    let time = entry.integrated_time.ok_or_else(|| Fault::new(Code::SetInvalid, "no integrated time"))?;
    let id = entry.log_id.key_id.as_bytes();
    let key = logs.key_at(id, time).ok_or(Code::LogUnknown)?;
    // Keys in the order of RFC 8785, and no space.
    let message = format!(
        "{{\"body\":\"{}\",\"integratedTime\":{},\"logID\":\"{}\",\"logIndex\":{}}}",
        encoding::encode(entry.canonicalized_body.as_bytes()),
        time.as_second(),
        hex::encode(id),
        entry.log_index.get()
    );
    let signature = SignatureBytes::new(promise.signed_entry_timestamp.as_bytes().to_vec());
    key.verify(message.as_bytes(), &signature)
        .map_err(|error| Fault::new(Code::SetInvalid, error.to_string()))?;
    Ok(time)
}

/// The proof, where there is one: from the entry to the root of a checkpoint that a log of the table signed. Where the
/// format demands one, its shape was looked at before.
fn included(logs: &Logs, entry: &TransparencyLogEntry, time: Timestamp) -> Result<LogProof, Fault> {
    let Some(proof) = &entry.inclusion_proof else { return Ok(LogProof::SignedTimestamp) };
    let checkpoint = proof.checkpoint.checkpoint().ok_or(Code::CheckpointMismatch)?;
    if checkpoint.root_hash() != &proof.root_hash || checkpoint.tree_size() != proof.tree_size {
        return Err(Code::CheckpointMismatch.into());
    }
    logs.included(entry, (proof, checkpoint), proof.log_index.get(), Some(time))?;
    Ok(LogProof::InclusionAndSignedTimestamp)
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// Every field that ties the entry must be there, and be the same.
fn hashedrekord(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    hashes(body, "/spec/data/hash", &signed.artifact.artifact())?;
    let signature = encoding::standard(text(body, "/spec/signature/content")?)?;
    let verifier = text(body, "/spec/signature/publicKey/content")?;
    (signature == signed.signature && is_by(verifier, by)).then_some(())
}

/// The hash is over the whole envelope as it was attached, and so over its signatures.
fn intoto(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    let envelope = signed.envelope.as_ref()?;
    hashes(body, "/spec/content/hash", &Artifact::Bytes(envelope.attached.as_ref()?))?;
    hashes(body, "/spec/content/payloadHash", &Artifact::Bytes(&envelope.payload))?;
    is_by(text(body, "/spec/publicKey")?, by).then_some(())
}

/// The envelope's own hash is over bytes that nobody keeps; its payload and this signature of it are what ties the entry.
fn dsse(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    hashes(body, "/spec/payloadHash", &Artifact::Bytes(&signed.envelope.as_ref()?.payload))?;
    let signatures = body.pointer("/spec/signatures")?.as_array()?;
    let mine = |one: &Value| {
        let signature = text(one, "/signature").and_then(encoding::standard);
        signature.as_ref() == Some(&signed.signature)
            && text(one, "/verifier").is_some_and(|pem| is_by(pem, by))
    };
    signatures.iter().any(mine).then_some(())
}

fn hashes(body: &Value, path: &str, of: &Artifact<'_>) -> Option<()> {
    let algorithm: &'static Algorithm = match text(body, &format!("{path}/algorithm"))? {
        "sha256" => &hash::SHA256,
        "sha384" => &hash::SHA384,
        "sha512" => &hash::SHA512,
        _ => return None,
    };
    let value = hex::decode(text(body, &format!("{path}/value"))?).ok()?;
    (Some(value) == of.hash(algorithm)).then_some(())
}

/// Whether an entry names the signer: base64 of one PEM block.
fn is_by(verifier: &str, by: Verifier<'_>) -> bool {
    let pem = encoding::standard(verifier).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(pem) = pem else { return false };
    match by {
        Verifier::Certificate(leaf) => {
            let blocks = encoding::pem(&pem).unwrap_or_default();
            matches!(blocks.as_slice(), [one] if one.label == "CERTIFICATE" && one.der == leaf)
        }
        Verifier::Key(key) => is_key(pem.as_bytes(), key),
    }
}

/// Whether a key as an entry writes it, PEM or DER, is `key` and nothing besides.
pub(super) fn is_key(written: &[u8], key: &PublicKey) -> bool {
    let keys = PublicKey::from_file(written).unwrap_or_default();
    matches!(keys.as_slice(), [one] if one.id() == key.id())
}
