//! Log entries, checked after the library: each is compared with its log and with the very signature that it must be
//! about, in one place for every kind (A302, A303, A623, A626).

use std::collections::BTreeSet;

use aws_lc_rs::digest::{self as hash, Algorithm};
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogEntry, LogProof};
use pullgate_policy::strict_json;
use serde_json::{Value, json};
use sigstore_types::TransparencyLogEntry;

use super::about::{self, Verifier};
use super::logs::{Logs, Rekor};
use crate::artifact::SharedArtifact;
use crate::encoding;
use crate::fault::PieceFault;
use crate::material::Signed;

/// One entry, as the log vouches for it.
#[derive(Debug, Clone)]
pub(super) struct Entered {
    /// When it was entered, as the log signed; a log of Rekor v2 signs no time.
    pub(super) time: Option<Timestamp>,
    pub(super) entry: LogEntry,
}

/// The entries of the logs that a table holds. Entries of other logs, and those whose signed timestamp the log did not
/// make, are left out, as long as one entry remains.
///
/// # Errors
/// One entry twice; or why no entry remains.
pub(super) fn known<'a>(logs: &Logs, listed: &'a [Value]) -> Result<Vec<&'a Value>, PieceFault> {
    let mut seen = BTreeSet::new();
    let mut known = Vec::new();
    let mut fault = PieceFault::from(Code::LogEntryMissing);
    for entry in listed {
        let id = id_of(entry).ok_or_else(|| PieceFault::new(Code::BundleInvalid, "an entry names no log"))?;
        let index = entry.get("logIndex").map(Value::to_string).unwrap_or_default();
        if !seen.insert((id.clone(), index.trim_matches('"').to_owned())) {
            // One entry twice is not two (A312).
            return Err(PieceFault::new(Code::BundleInvalid, "a log entry stands twice"));
        }
        if !logs.holds(&id) {
            fault = Code::LogUnknown.into();
            continue;
        }
        labelled(entry)?;
        match promised(logs, entry) {
            Ok(()) => known.push(entry),
            Err(other) => fault = other,
        }
    }
    if known.is_empty() { Err(fault) } else { Ok(known) }
}

/// The id of the log that an entry names.
pub(super) fn id_of(entry: &Value) -> Option<Vec<u8>> {
    encoding::standard(text(entry, "/logId/keyId")?).filter(|id| !id.is_empty())
}

/// Checks every entry of a signature.
///
/// # Errors
/// The fault of the first entry that does not hold.
pub(super) fn check(
    logs: &Logs,
    entries: &[&Value],
    signed: &Signed,
    by: Verifier<'_>,
    stamped: Option<Timestamp>,
) -> Result<Vec<Entered>, PieceFault> {
    entries.iter().map(|entry| one(logs, entry, signed, by, stamped)).collect()
}

fn one(
    logs: &Logs,
    listed: &Value,
    signed: &Signed,
    by: Verifier<'_>,
    stamped: Option<Timestamp>,
) -> Result<Entered, PieceFault> {
    let entry = read(listed)?;
    let body = body(&entry)?;
    let kind = kind_of(listed, &body)?;
    let about = about::check(kind, &body, signed, by);
    let rekor = if kind == HASHEDREKORD_2 { Rekor::V2 } else { Rekor::V1 };
    // The log's own signature is checked first: the content of an unsigned entry proves nothing.
    let time = match rekor {
        Rekor::V1 => signed_timestamp(logs, &entry)?,
        Rekor::V2 => None,
    };
    let proof = match (&entry.inclusion_proof, time) {
        (Some(proof), time) => {
            logs.check_included(&entry, proof, rekor, time.or(stamped))?;
            if time.is_some() { LogProof::InclusionAndSignedTimestamp } else { LogProof::Inclusion }
        }
        (None, Some(_)) => LogProof::SignedTimestamp,
        (None, None) => return Err(Code::InclusionProofMissing.into()),
    };
    about?;
    let log = logs.named(entry.log_id.key_id.as_bytes());
    // A signed timestamp covers the index; so does a proof of Rekor v2, which leads from there.
    let covered = time.is_some() || rekor == Rekor::V2;
    let index = covered.then(|| entry.log_index.get());
    Ok(Entered { time, entry: LogEntry { log, index, by: proof } })
}

/// The kind of Rekor v2.
pub(super) const HASHEDREKORD_2: (&str, &str) = ("hashedrekord", "0.0.2");

/// Kind and version of an entry: its label's, which no log signs, and its body's, which the log did, are one (A626).
fn kind_of<'a>(listed: &'a Value, body: &Value) -> Result<(&'a str, &'a str), PieceFault> {
    let said = |key: &str| text(listed, key).unwrap_or_default();
    let label = (said("/kindVersion/kind"), said("/kindVersion/version"));
    let named = |key: &str| body.get(key).and_then(Value::as_str).unwrap_or_default();
    if (named("kind"), named("apiVersion")) == label {
        Ok(label)
    } else {
        Err(PieceFault::new(Code::LogEntryKind, "the entry's body is of another kind than it says"))
    }
}

/// Checks the label where the body can be read at all: the library takes it for granted.
fn labelled(listed: &Value) -> Result<(), PieceFault> {
    let body = text(listed, "/canonicalizedBody").and_then(encoding::standard);
    let body = body.and_then(|body| strict_json::parse(&body).ok()).filter(|body| body.get("kind").is_some());
    body.map_or(Ok(()), |body| kind_of(listed, &body).map(|_| ()))
}

fn body(entry: &TransparencyLogEntry) -> Result<Value, PieceFault> {
    strict_json::parse(entry.canonicalized_body.as_bytes())
        .map_err(|_| PieceFault::new(Code::LogEntryKind, "the entry's body is not JSON"))
}

/// The entry under a label that the library reads. A log does not sign the label; the label in the body is compared
/// with it.
fn read(listed: &Value) -> Result<TransparencyLogEntry, PieceFault> {
    let mut copy = listed.clone();
    if let Some(entry) = copy.as_object_mut() {
        entry.insert("kindVersion".to_owned(), json!({ "kind": "hashedrekord", "version": "0.0.1" }));
    }
    serde_json::from_value(copy).map_err(|error| PieceFault::new(Code::BundleInvalid, error.to_string()))
}

/// Checks the signed timestamp of an entry that has one, as far as it can be read.
fn promised(logs: &Logs, listed: &Value) -> Result<(), PieceFault> {
    let second = text(listed, "/kindVersion/version") == Some(HASHEDREKORD_2.1)
        && text(listed, "/kindVersion/kind") == Some(HASHEDREKORD_2.0);
    match read(listed) {
        Ok(entry) if !second => signed_timestamp(logs, &entry).map(|_| ()),
        Ok(_) | Err(_) => Ok(()),
    }
}

/// The time that the log signed with the entry (Rekor, "signed entry timestamp"), within the window of its key (A311); none
/// without such a signature.
fn signed_timestamp(logs: &Logs, entry: &TransparencyLogEntry) -> Result<Option<Timestamp>, PieceFault> {
    let Some(promise) = entry.inclusion_promise.as_ref() else { return Ok(None) };
    let time =
        entry.integrated_time.ok_or_else(|| PieceFault::new(Code::SetInvalid, "no integrated time"))?;
    let id = entry.log_id.key_id.as_bytes();
    // Keys in the order of RFC 8785, and no space.
    let message = format!(
        "{{\"body\":\"{}\",\"integratedTime\":{},\"logID\":\"{}\",\"logIndex\":{}}}",
        encoding::encode(entry.canonicalized_body.as_bytes()),
        time.as_second(),
        hex::encode(id),
        entry.log_index.get()
    );
    let mut keys = logs.keys_at(id, Some(time)).peekable();
    if keys.peek().is_none() {
        return Err(Code::LogUnknown.into());
    }
    let signature = promise.signed_entry_timestamp.as_bytes();
    let message = SharedArtifact::of(message.into_bytes().into());
    if keys.any(|key| key.key.verifies(&message, signature)) {
        Ok(Some(time))
    } else {
        Err(PieceFault::new(Code::SetInvalid, "the log did not sign the timestamp"))
    }
}

/// The text at a path.
pub(super) fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// The hash that entries of Rekor v1 name.
pub(super) fn algorithm(name: &str) -> Option<&'static Algorithm> {
    match name {
        "sha256" => Some(&hash::SHA256),
        "sha384" => Some(&hash::SHA384),
        "sha512" => Some(&hash::SHA512),
        _ => None,
    }
}
