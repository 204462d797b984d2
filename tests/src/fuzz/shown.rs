//! Texts from outside in logs, headers and records.

use jiff::Timestamp;
use pullgate::audit::{Client, DecisionId, Kind, Reason, Record, Word};
use pullgate_policy::{limits, text};
use serde_json::Value;

pub(super) fn texts() -> Vec<Vec<u8>> {
    vec!["a \"quoted\" reason\r\n\u{202e}\u{1b}[0m".as_bytes().to_vec(), b"plain".to_vec()]
}

pub(super) fn shown(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input);
    let (escaped, header) = (text::escape(&text), text::header(&text, limits::WARNING_BYTES));
    if escaped.chars().any(text::is_unsafe) || escaped.len() > limits::LOG_FIELD_BYTES * 2 {
        return Err("escaped, and not fit for a log".to_owned());
    }
    let fits =
        header.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) && !header.contains(['"', '\\']);
    if fits && header.len() <= limits::WARNING_BYTES {
        Ok(())
    } else {
        Err("not fit for a header".to_owned())
    }
}

/// Of the record below: time, id, kind, client, repository, reference, digest, verdict, warning, identities, reasons,
/// left_out, milliseconds. Two of them are left out where they are empty.
const RECORD_MEMBERS: usize = 13;

/// A record stays one line of JSON, whatever its texts are, and they can add no member to it.
pub(super) fn record(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input).into_owned();
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Deny);
    record.client =
        Some(Client { address: text.clone(), names: vec![text.clone(); 100], user_agent: text.clone() });
    record.repository.clone_from(&text);
    record.reference.clone_from(&text);
    record.digest = Some(text.clone());
    record.warning = Some(text.clone());
    record.identities = vec![text.clone(); 100];
    record.reasons = vec![Reason { code: "x".to_owned(), location: Some(text.clone()), text }; 100];
    let line = record.line();
    if line.chars().any(text::is_unsafe) {
        return Err("a record with what changes how it is shown".to_owned());
    }
    let value: Value = serde_json::from_str(&line).map_err(|error| format!("no JSON: {error}"))?;
    let members = value.as_object().map_or(0, serde_json::Map::len);
    let empty = usize::from(input.is_empty()) * 2;
    if value.get("verdict") != Some(&Value::from("deny")) || members != RECORD_MEMBERS - empty {
        return Err(format!("{members} members, and {RECORD_MEMBERS} are right"));
    }
    Ok(())
}
