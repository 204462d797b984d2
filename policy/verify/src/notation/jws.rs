//! The envelope as JSON Web Signature (JWS signature envelope; RFC 7515).

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jiff::Timestamp;
use pullgate_policy::evidence::notation::{Jws, TIMESTAMP};
use pullgate_policy::strict_json;
use serde_json::{Map, Value};

use super::algorithm::Algorithm;
use super::attributes::{self, Attributes, Field, Header, Label, TIMES};
use super::{Envelope, invalid};
use crate::encoding;
use crate::fault::PieceFault;

pub(super) fn read(bytes: &[u8]) -> Result<Envelope, PieceFault> {
    let Jws { protected, payload, signature, header } = Jws::read(bytes).map_err(invalid)?;
    let decoded = |text: &str| {
        URL_SAFE_NO_PAD.decode(text).map_err(|_| invalid("a part of it is not in base64url without padding"))
    };
    let signed = [protected.as_bytes(), b".", payload.as_bytes()].concat();
    let protected = match strict_json::parse(&decoded(&protected)?) {
        Ok(Value::Object(members)) => members,
        Ok(_) | Err(_) => return Err(invalid("its protected header is no JSON object")),
    };
    let text = |name: &str| protected.get(name).and_then(Value::as_str);
    let algorithm = text("alg").ok_or_else(|| invalid("it names no algorithm"))?;
    let content_type = text("cty").ok_or_else(|| invalid("it names no type of its payload"))?;
    Ok(Envelope {
        algorithm: Algorithm::of_jws(algorithm),
        content_type: Some(content_type.to_owned()),
        attributes: Attributes::of(&of(&protected)?)?,
        signed,
        signature: decoded(&signature)?,
        payload: decoded(&payload)?,
        certificates: certificates(&header)?,
        timestamp: header.get(TIMESTAMP).map(stamp).transpose()?,
    })
}

fn of(protected: &Map<String, Value>) -> Result<Header, PieceFault> {
    let mut fields = BTreeMap::new();
    for (name, value) in protected {
        let field = match value {
            Value::String(text) if TIMES.contains(&name.as_str()) => {
                Field::Time(time(text).ok_or_else(|| attributes::invalid("a time that is none"))?)
            }
            Value::String(text) => Field::Text(text.clone()),
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
                Field::Other
            }
        };
        fields.insert(Label::text(name), field);
    }
    let critical = match protected.get("crit") {
        None => None,
        Some(listed) => {
            let texts = listed.as_array().and_then(|listed| {
                listed.iter().map(|one| one.as_str().map(Label::text)).collect::<Option<Vec<_>>>()
            });
            Some(texts.ok_or_else(|| invalid("`crit` is no list of names"))?)
        }
    };
    let registered = ["alg", "cty", "crit"].map(Label::text).into_iter().collect();
    Ok(Header { critical, fields, registered })
}

/// A date and time of RFC 3339, with `T` and an offset.
fn time(text: &str) -> Option<Timestamp> {
    let (whole, rest) = text.as_bytes().split_at_checked(19)?;
    let after = rest.iter().position(|byte| matches!(byte, b'Z' | b'+' | b'-'))?;
    let (fraction, offset) = rest.split_at_checked(after)?;
    let fraction_fits = match fraction {
        [] => true,
        [b'.', digits @ ..] => (1..=9).contains(&digits.len()) && digits.iter().all(u8::is_ascii_digit),
        _ => false,
    };
    let offset_fits = offset == b"Z" || has_shape(offset, b"+00:00") || has_shape(offset, b"-00:00");
    let fits = has_shape(whole, b"0000-00-00T00:00:00") && fraction_fits && offset_fits;
    fits.then(|| text.parse().ok()).flatten()
}

/// Whether a text has digits where the pattern has zeros, and is the pattern elsewhere.
fn has_shape(text: &[u8], pattern: &[u8]) -> bool {
    let fits = |(byte, wanted): (&u8, &u8)| match wanted {
        b'0' => byte.is_ascii_digit(),
        wanted => byte == wanted,
    };
    text.len() == pattern.len() && text.iter().zip(pattern).all(fits)
}

fn certificates(header: &Map<String, Value>) -> Result<Vec<Vec<u8>>, PieceFault> {
    let listed = header.get("x5c").and_then(Value::as_array);
    let listed = listed.ok_or_else(|| invalid("no certificates travel with it"))?;
    let read = |one: &Value| one.as_str().and_then(encoding::standard);
    let read: Option<Vec<_>> = listed.iter().map(read).collect();
    read.ok_or_else(|| invalid("a certificate that is not in base64"))
}

fn stamp(value: &Value) -> Result<Vec<u8>, PieceFault> {
    let read = value.as_str().and_then(encoding::standard);
    read.ok_or_else(|| invalid("a timestamp that is not in base64"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a671_a_time_has_its_letter_and_its_offset() {
        for text in [
            "2022-04-06T07:01:20Z",
            "2022-04-06T07:01:20.5Z",
            "2022-04-06T07:01:20.123456789+01:00",
            "2022-04-06T07:01:20-08:30",
        ] {
            assert!(time(text).is_some(), "{text}");
        }
        for text in [
            "2022-04-06 07:01:20Z",
            "2022-04-06t07:01:20z",
            "2022-04-06T07:01:20",
            "2022-04-06T07:01Z",
            "2022-04-06",
            "2022-04-06T07:01:20.Z",
            "2022-04-06T07:01:20+0100",
            "2022-04-06T07:01:20Z[UTC]",
            "2022-13-06T07:01:20Z",
            "1649228480",
            "",
        ] {
            assert_eq!(time(text), None, "{text}");
        }
    }
}
