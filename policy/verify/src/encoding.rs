//! Base64 as the formats allow it: decoded once, and nothing lenient (A209); PEM; protobuf's JSON.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::Value;

/// Decodes standard base64 with its padding; no white space, no stray bits.
pub(crate) fn standard(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).ok()
}

/// Decodes the base64 of a DSSE envelope: standard or URL-safe (DSSE protocol, "base64").
pub(crate) fn dsse(text: &str) -> Option<Vec<u8>> {
    STANDARD.decode(text).or_else(|_| URL_SAFE.decode(text)).or_else(|_| URL_SAFE_NO_PAD.decode(text)).ok()
}

/// As [`dsse`], appended to `bytes`; `None` where the text is not base64.
pub(crate) fn dsse_into(text: &str, bytes: &mut Vec<u8>) -> Option<()> {
    let begins = bytes.len();
    [&STANDARD, &URL_SAFE, &URL_SAFE_NO_PAD].into_iter().find_map(|engine| {
        bytes.truncate(begins);
        engine.decode_vec(text, bytes).ok()
    })
}

/// Encodes standard base64.
pub(crate) fn encode(bytes: &[u8]) -> String {
    STANDARD.encode(bytes)
}

/// Removes members that are null: protobuf's JSON takes them for absent.
pub(crate) fn without_nulls(value: Value) -> Value {
    match value {
        Value::Object(members) => {
            let present = members.into_iter().filter(|(_, member)| !member.is_null());
            Value::Object(present.map(|(key, member)| (key, without_nulls(member))).collect())
        }
        Value::Array(items) => Value::Array(items.into_iter().map(without_nulls).collect()),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value,
    }
}

/// One PEM block.
pub(crate) struct Block {
    pub(crate) label: String,
    pub(crate) der: Vec<u8>,
}

/// Reads PEM blocks (RFC 7468, lax about line length and text between blocks). `None` when a block does not end as it
/// began.
pub(crate) fn pem(text: &str) -> Option<Vec<Block>> {
    let mut blocks = Vec::new();
    let mut open: Option<(String, String)> = None;
    for line in text.lines().map(str::trim) {
        let begin = line.strip_prefix("-----BEGIN ").and_then(|rest| rest.strip_suffix("-----"));
        let end = line.strip_prefix("-----END ").and_then(|rest| rest.strip_suffix("-----"));
        // A broken boundary is a truncated file: refused, so that the missing block is noticed.
        if line.starts_with("-----") && begin.is_none() && end.is_none() {
            return None;
        }
        open = match (open, begin, end) {
            (None, Some(label), _) => Some((label.to_owned(), String::new())),
            (Some((label, body)), None, Some(closing)) if label == closing => {
                // A body with headers (RFC 1421) is not base64; its label is still reported.
                let der = standard(&body).unwrap_or_default();
                blocks.push(Block { label, der });
                None
            }
            (Some(_), _, Some(_)) | (Some(_), Some(_), _) | (None, None, Some(_)) => return None,
            (Some((label, body)), None, None) => Some((label, body + line)),
            (None, None, None) => None,
        };
    }
    open.is_none().then_some(blocks)
}

/// Bytes that are read from the front, as TLS writes structures.
pub(crate) struct Bytes<'a>(pub(crate) &'a [u8]);

impl<'a> Bytes<'a> {
    pub(crate) fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    pub(crate) fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A vector with a length of two bytes.
    pub(crate) fn vector(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number(2)?).ok()?;
        self.take(length)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a209_base64_is_not_lenient() {
        assert_eq!(standard("aGk="), Some(b"hi".to_vec()));
        for text in ["aGk", "aGk==", "aG k=", "aGk=\n", "aGl=", "-_8="] {
            assert_eq!(standard(text), None, "{text}");
        }
        assert_eq!(dsse("-_8="), dsse("+/8="));
        assert_eq!(dsse("-_8"), dsse("+/8="));
        assert_eq!(dsse("-/8="), None);
    }

    #[test]
    fn a253_blocks_end_as_they_began() {
        let block =
            |begin: &str, end: &str| format!("-----BEGIN {begin}-----\r\naGk=\r\n-----END {end}-----\r\n");
        assert_eq!(pem(&block("A", "A")).unwrap()[0].der, b"hi");
        assert_eq!(pem(&[block("A", "A"), block("B", "B")].concat()).unwrap().len(), 2);
        assert!(pem(&block("A", "B")).is_none());
        assert!(pem("-----BEGIN A-----\naGk=\n").is_none());
        assert!(pem("-----END A-----\n").is_none());
        assert!(pem("no block").unwrap().is_empty());
    }
}
