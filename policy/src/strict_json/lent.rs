//! Envelopes whose payload is left in the text that they were read from: it may be tens of MiB, and is decoded once (A602).

use std::ops::Range;

use serde_json::Value;

use super::{JsonFault, Reading};
use crate::limits;

const PAYLOAD: &str = "payload";
/// The field of a bundle that is an envelope, by both of its names.
const ENVELOPE: [&str; 2] = ["dsseEnvelope", "dsse_envelope"];

/// Where a payload may stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lend {
    /// In a member of this object that is an envelope.
    Bundle,
    /// In this object, an envelope.
    Envelope,
    /// It is this text.
    This,
    /// Not here.
    No,
}

impl Lend {
    /// The same of a member.
    pub(super) fn member(self, key: &str) -> Self {
        match self {
            Self::Bundle if ENVELOPE.contains(&key) => Self::Envelope,
            Self::Envelope if key == PAYLOAD => Self::This,
            Self::Bundle | Self::Envelope | Self::This | Self::No => Self::No,
        }
    }
}

/// A text by its place among the bytes that are read.
#[derive(Debug)]
pub(super) struct Lent {
    base: usize,
    place: Option<Range<usize>>,
}

impl Lent {
    pub(super) fn keep(&mut self, text: &str) {
        self.place = text.as_ptr().addr().checked_sub(self.base).map(|begin| begin..begin + text.len());
    }
}

/// Reads a DSSE envelope as [`parse`](super::parse) does, except that the payload is empty in the value and returned
/// beside it. `None` for a payload that is written with escapes, which stays in the value.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_envelope(bytes: &[u8]) -> Result<(Value, Option<&str>), JsonFault> {
    lending(bytes, Lend::Envelope)
}

/// The same of a Sigstore bundle, which may hold an envelope.
///
/// # Errors
/// [`JsonFault`] names the first fault.
pub fn parse_bundle(bytes: &[u8]) -> Result<(Value, Option<&str>), JsonFault> {
    lending(bytes, Lend::Bundle)
}

fn lending(bytes: &[u8], lend: Lend) -> Result<(Value, Option<&str>), JsonFault> {
    let lent = Some(Lent { base: bytes.as_ptr().addr(), place: None });
    let mut reading = Reading { lent, ..Reading::new(usize::MAX, limits::JSON_MEMORY) };
    let value = super::read_lending(bytes, lend, &mut reading)?;
    let place = reading.lent.and_then(|lent| lent.place);
    let text = place.and_then(|place| bytes.get(place)).and_then(|text| std::str::from_utf8(text).ok());
    Ok((value, text))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a602_a_payload_is_not_copied_and_everything_else_is_read_as_ever() {
        let payload = "QUJD".repeat(9 * 1024 * 1024);
        let text = format!(r#"{{"payloadType":"t","payload":"{payload}","signatures":[{{"payload":"x"}}]}}"#);
        assert!(text.len() > limits::JSON_MEMORY);
        let (value, lent) = parse_envelope(text.as_bytes()).unwrap();
        let rest = json!({ "payloadType": "t", "payload": "", "signatures": [{ "payload": "x" }] });
        assert_eq!((value, lent), (rest, Some(payload.as_str())));
        let bundle = format!(r#"{{"payload":"a","x":{{"payload":"b"}},"dsseEnvelope":{text}}}"#);
        let (value, lent) = parse_bundle(bundle.as_bytes()).unwrap();
        assert_eq!((&value["payload"], &value["x"]["payload"]), (&json!("a"), &json!("b")));
        assert_eq!(lent, Some(payload.as_str()));
    }

    #[test]
    fn a126_what_is_not_the_payload_is_none_and_what_is_ambiguous_is_refused() {
        for text in
            [r#"{"x":{"payload":"a"}}"#, r#"{"payload":["a"]}"#, r#"{"payload":null}"#, r#"["payload"]"#]
        {
            let whole: Value = serde_json::from_str(text).unwrap();
            assert_eq!(parse_envelope(text.as_bytes()), Ok((whole, None)), "{text}");
        }
        let escaped = parse_envelope(br#"{"payload":"a\/b"}"#);
        assert_eq!(escaped, Ok((json!({ "payload": "a/b" }), None)));
        for text in [
            r#"{"payload":"a","payload":"b"}"#,
            r#"{"payload":"a","Payload":"b"}"#,
            r#"{"dsseEnvelope":{"payload":"a"},"DsseEnvelope":{}}"#,
        ] {
            assert_eq!(parse_envelope(text.as_bytes()), Err(JsonFault::Ambiguous), "{text}");
            assert_eq!(parse_bundle(text.as_bytes()), Err(JsonFault::Ambiguous), "{text}");
        }
    }
}
