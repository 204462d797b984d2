//! Texts from outside in logs, headers and records.

use jiff::Timestamp;
use pullgate::audit::{Client, DecisionId, Kind, Reason, Record, Word};
use pullgate_policy::limits;
use pullgate_policy::text;
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

/// A record stays one line of JSON, whatever its texts are, and they can add no member to it.
pub(super) fn record(input: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(input).into_owned();
    let (members, right) = (members(&text)?, members("x")?);
    // Two are left out where they are empty.
    if members == right || (text.is_empty() && members < right) {
        return Ok(());
    }
    Err(format!("{members} members, and {right} are right"))
}

/// How many members the record has whose every text is this one.
fn members(text: &str) -> Result<usize, String> {
    let mut record = Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, Word::Deny);
    record.client = Some(Client {
        address: text.to_owned(),
        forwarded: Some(text.to_owned()),
        names: vec![text.to_owned(); 100],
        user_agent: text.to_owned(),
    });
    text.clone_into(&mut record.repository);
    text.clone_into(&mut record.reference);
    record.digest = Some(text.to_owned());
    record.warning = Some(text.to_owned());
    record.identities = vec![text.to_owned(); 100];
    record.reasons =
        vec![Reason { code: "x".to_owned(), location: Some(text.to_owned()), text: text.to_owned() }; 100];
    let line = record.into_line();
    if line.chars().any(text::is_unsafe) {
        return Err("a record with what changes how it is shown".to_owned());
    }
    let value: Value = serde_json::from_str(&line).map_err(|error| format!("no JSON: {error}"))?;
    if value.get("verdict") != Some(&Value::from("deny")) {
        return Err("another verdict".to_owned());
    }
    Ok(value.as_object().map_or(0, serde_json::Map::len))
}
