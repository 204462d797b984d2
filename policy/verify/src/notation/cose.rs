//! The envelope as COSE_Sign1 (COSE signature envelope; RFC 9052). A strict reader goes first; what it lets through, the
//! library has to read too, and says which bytes were signed.

use std::collections::BTreeMap;

use coset::{CoseSign1, TaggedCborSerializable as _};
use jiff::Timestamp;
use pullgate_policy::evidence::notation::{Sign1, TIMESTAMP, X5CHAIN};
use pullgate_policy::strict_cbor::{Label as CborLabel, Value};

use super::algorithm::Algorithm;
use super::attributes::{self, Attributes, Field, Header, Label, TIMES};
use super::{Envelope, invalid};
use crate::fault::PieceFault;

const ALGORITHM: CborLabel<'static> = CborLabel::Int(1);
const CRITICAL: CborLabel<'static> = CborLabel::Int(2);
const CONTENT_TYPE: CborLabel<'static> = CborLabel::Int(3);
/// The tag of seconds since the epoch (RFC 8949, section 3.4.2).
const EPOCH: u64 = 1;

pub(super) fn read(bytes: &[u8]) -> Result<Envelope, PieceFault> {
    let read = Sign1::read(bytes).map_err(invalid)?;
    if [ALGORITHM, CRITICAL, CONTENT_TYPE].into_iter().any(|label| read.unprotected.get(label).is_some()) {
        return Err(invalid("a header stands where nobody signed it"));
    }
    let Some(Value::Int(algorithm)) = read.header.get(ALGORITHM) else {
        return Err(invalid("it names no algorithm"));
    };
    let content_type = read.header.get(CONTENT_TYPE).and_then(Value::text);
    let content_type = content_type.ok_or_else(|| invalid("it names no type of its payload"))?;
    let attributes = Attributes::of(&of(&read.header)?)?;
    let certificates = certificates(&read)?;
    let timestamp = match read.unprotected.get(CborLabel::Text(TIMESTAMP)) {
        None => None,
        Some(stamp) => Some(stamp.bytes().ok_or_else(|| invalid("a timestamp that is no byte string"))?),
    };
    let library = CoseSign1::from_tagged_slice(bytes).map_err(|_| invalid("no COSE_Sign1"))?;
    let signed = library.tbs_data(&[]);
    // Both readers found the same.
    if library.signature != read.signature || library.payload.as_deref() != Some(read.payload) {
        return Err(invalid("no COSE_Sign1"));
    }
    Ok(Envelope {
        algorithm: Algorithm::of_cose(*algorithm),
        content_type: Some(content_type.to_owned()),
        attributes,
        signed,
        signature: library.signature,
        payload: read.payload.to_vec(),
        certificates,
        timestamp: timestamp.map(<[u8]>::to_vec),
    })
}

fn of(protected: &Value<'_>) -> Result<Header, PieceFault> {
    let Value::Map(members) = protected else { return Err(invalid("its protected header is no map")) };
    let mut fields = BTreeMap::new();
    for (label, value) in members {
        let field = match (label, value) {
            (CborLabel::Text(name), value) if TIMES.contains(name) => {
                Field::Time(time(value).ok_or_else(|| attributes::invalid("a time that is none"))?)
            }
            (_, Value::Text(text)) => Field::Text((*text).to_owned()),
            (CborLabel::Int(_) | CborLabel::Text(_), _) => Field::Other,
        };
        fields.insert(owned(*label), field);
    }
    let critical = match protected.get(CRITICAL) {
        None => None,
        Some(listed) => Some(named(listed).ok_or_else(|| invalid("its critical labels are no list"))?),
    };
    // The common headers (RFC 9052, section 3.1).
    let registered = (0..=8).map(Label::Int).collect();
    Ok(Header { critical, fields, registered })
}

fn owned(label: CborLabel<'_>) -> Label {
    match label {
        CborLabel::Int(number) => Label::Int(number),
        CborLabel::Text(text) => Label::text(text),
    }
}

fn named(listed: &Value<'_>) -> Option<Vec<Label>> {
    let Value::Array(listed) = listed else { return None };
    let label = |one: &Value<'_>| match one {
        Value::Int(number) => Some(Label::Int(*number)),
        Value::Text(text) => Some(Label::text(text)),
        _ => None,
    };
    listed.iter().map(label).collect()
}

/// Seconds since the epoch, under their tag.
fn time(value: &Value<'_>) -> Option<Timestamp> {
    let Value::Tag(EPOCH, number) = value else { return None };
    match **number {
        Value::Int(seconds) => Timestamp::from_second(i64::try_from(seconds).ok()?).ok(),
        Value::Float(seconds) => {
            let seconds = jiff::SignedDuration::try_from_secs_f64(seconds).ok()?;
            Timestamp::from_duration(seconds).ok()
        }
        _ => None,
    }
}

fn certificates(read: &Sign1<'_>) -> Result<Vec<Vec<u8>>, PieceFault> {
    match (read.unprotected.get(X5CHAIN), read.header.get(X5CHAIN)) {
        (None, Some(_)) => {
            let detail = "its certificates stand in the protected header";
            Err(PieceFault::new(pullgate_policy::code::Code::Unsupported, detail))
        }
        (None, None) => Err(invalid("no certificates travel with it")),
        (Some(_), _) => {
            let listed = read.certificates().ok_or_else(|| invalid("its certificates are no list"))?;
            Ok(listed.into_iter().map(<[u8]>::to_vec).collect())
        }
    }
}
