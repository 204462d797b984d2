//! Log entries of Rekor v2 that the library does not read: it knows ECDSA P-256 over SHA-256 alone (rekor-tiles,
//! `hashedrekord/0.0.2`). Each is held against its log, and against the very signature that it is to be about (A302, A303).

use aws_lc_rs::digest::{self as hash, Algorithm};
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::{LogEntry, LogProof};
use serde_json::Value;
use sigstore_types::TransparencyLogEntry;

use super::logs::Logs;
use super::older::{Entered, Verifier, is_key};
use crate::encoding;
use crate::fault::Fault;
use crate::material::Signed;

/// Checks one entry. Such a log signs no time: `stamped` is what a timestamp authority says, at which the log's key must
/// have counted (A311).
pub(super) fn check(
    logs: &Logs,
    (entry, body): (&TransparencyLogEntry, &Value),
    signed: &Signed,
    by: Verifier<'_>,
    stamped: Option<Timestamp>,
) -> Result<Entered, Fault> {
    let log = included(logs, entry, stamped)?;
    about(body, signed, by)
        .ok_or_else(|| Fault::new(Code::LogEntryMismatch, "the entry is about something else"))?;
    let index = Some(entry.log_index.get());
    Ok(Entered { time: None, entry: LogEntry { log, index, by: LogProof::Inclusion } })
}

/// The log that signed the checkpoint to which the proof leads. Index, size and root are those of the entry and of the
/// checkpoint: what the proof says of them besides nobody vouches for.
fn included(logs: &Logs, entry: &TransparencyLogEntry, stamped: Option<Timestamp>) -> Result<String, Fault> {
    let proof = entry.inclusion_proof.as_ref().ok_or(Code::InclusionProofMissing)?;
    let checkpoint = proof.checkpoint.checkpoint().ok_or(Code::CheckpointMismatch)?;
    let log = logs.included(entry, (proof, checkpoint), entry.log_index.get(), stamped)?;
    Ok(log.name().to_owned())
}

/// Every field that ties the entry must be there, and be the same.
fn about(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    let rekord = body.pointer("/spec/hashedRekordV002")?;
    let text = |path: &str| rekord.pointer(path).and_then(Value::as_str);
    let bytes = |path: &str| text(path).and_then(encoding::standard);
    let algorithm: &'static Algorithm = match text("/data/algorithm")? {
        "SHA2_256" => &hash::SHA256,
        "SHA2_384" => &hash::SHA384,
        "SHA2_512" => &hash::SHA512,
        _ => return None,
    };
    let hashed = bytes("/data/digest")? == signed.message.artifact().hash(algorithm)?;
    let ours = bytes("/signature/content")? == signed.signature;
    let key = "/signature/verifier/publicKey/rawBytes";
    let certificate = "/signature/verifier/x509Certificate/rawBytes";
    let named = match (by, bytes(key), bytes(certificate)) {
        (Verifier::Key(signer), Some(key), None) => is_key(&key, signer),
        (Verifier::Certificate(leaf), None, Some(certificate)) => certificate == leaf,
        (Verifier::Key(_) | Verifier::Certificate(_), _, _) => false,
    };
    (hashed && ours && named).then_some(())
}
