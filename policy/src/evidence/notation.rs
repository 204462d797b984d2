//! The forms of the Notary Project's signatures: the manifest that carries one, and its two envelopes, taken apart and
//! checked for nothing but their form (signature specification, "OCI Signatures"; JWS and COSE signature envelopes).

use serde_json::{Map, Value as Json};

use crate::code::Code;
use crate::oci::manifest::Image;
use crate::oci::{Descriptor, media_type};
use crate::strict_cbor::{self, CborFault, Label, Value};
use crate::strict_json::{self, JsonFault};

/// The two envelopes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// COSE_Sign1 (RFC 9052).
    Cose,
    /// JSON Web Signature, flattened (RFC 7515, section 7.2.2).
    Jws,
}

impl Form {
    /// Reads the form from a layer's media type, exactly.
    #[must_use]
    pub fn of(media_type: &str) -> Option<Self> {
        match media_type {
            media_type::NOTATION_COSE => Some(Self::Cose),
            media_type::NOTATION_JWS => Some(Self::Jws),
            _ => None,
        }
    }
}

/// Whether a manifest says that it carries such a signature, or has a layer that is an envelope.
#[must_use]
pub fn is_carrier(image: &Image) -> bool {
    image.artifact_type.as_deref() == Some(media_type::NOTATION_ARTIFACT)
        || image.config.media_type == media_type::NOTATION_ARTIFACT
        || image.layers.iter().any(|layer| Form::of(&layer.media_type).is_some())
}

/// The one layer of a manifest that carries such a signature. What it is stands in its artifact type, beside the empty
/// config, or in the type of its config alone: released tools write the second, newer ones the first.
///
/// # Errors
/// The code and a few words, where it is neither, or has not one layer.
pub fn envelope(image: &Image) -> Result<(&Descriptor, Form), (Code, &'static str)> {
    match (image.artifact_type.as_deref(), image.config.media_type.as_str()) {
        (Some(media_type::NOTATION_ARTIFACT), media_type::OCI_EMPTY)
        | (None, media_type::NOTATION_ARTIFACT) => {}
        _ => return Err((Code::Unsupported, "artifact type and config do not go together")),
    }
    let [layer] = image.layers.as_slice() else {
        return Err((Code::EnvelopeInvalid, "a signature manifest has exactly one layer"));
    };
    match Form::of(&layer.media_type) {
        Some(form) => Ok((layer, form)),
        None => Err((Code::Unsupported, "an envelope of a kind that is not read")),
    }
}

/// The parts of a flattened JWS, as they stand in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Jws {
    /// The protected header, in base64url.
    pub protected: String,
    /// The payload, in base64url.
    pub payload: String,
    /// The signature, in base64url.
    pub signature: String,
    /// The unprotected header.
    pub header: Map<String, Json>,
}

impl Jws {
    /// Takes an envelope apart: these four members and no others.
    ///
    /// # Errors
    /// What it is instead, in a few words.
    pub fn read(bytes: &[u8]) -> Result<Self, &'static str> {
        let read = strict_json::parse(bytes).map_err(|fault| match fault {
            JsonFault::Ambiguous => "a member stands twice",
            JsonFault::Depth | JsonFault::Number | JsonFault::Syntax | JsonFault::Values => "no JSON",
        })?;
        let Json::Object(mut members) = read else { return Err("no JSON object") };
        let mut text = |name: &str| match members.remove(name) {
            Some(Json::String(text)) => Ok(text),
            Some(_) | None => Err("`payload`, `protected`, `header` and `signature` are not all there"),
        };
        let (protected, payload, signature) = (text("protected")?, text("payload")?, text("signature")?);
        let Some(Json::Object(header)) = members.remove("header") else { return Err("it has no `header`") };
        if members.is_empty() {
            Ok(Self { protected, payload, signature, header })
        } else {
            Err("it has members of no flattened JWS")
        }
    }
}

/// The tag of a COSE_Sign1 (RFC 9052, section 2).
const SIGN1: u64 = 18;
/// The label of certificates (RFC 9360, section 2).
pub const X5CHAIN: Label<'static> = Label::Int(33);
/// The label of a countersignature.
pub const TIMESTAMP: &str = "io.cncf.notary.timestampSignature";
/// The label of the tool's name.
pub const AGENT: &str = "io.cncf.notary.signingAgent";

/// The parts of a COSE_Sign1.
#[derive(Debug, Clone, PartialEq)]
pub struct Sign1<'a> {
    /// The protected header, as it stands in it.
    pub protected: &'a [u8],
    /// The same, read.
    pub header: Value<'a>,
    /// The unprotected header.
    pub unprotected: Value<'a>,
    /// The payload.
    pub payload: &'a [u8],
    /// The signature.
    pub signature: &'a [u8],
}

impl<'a> Sign1<'a> {
    /// Takes an envelope apart: under its tag, with its payload in it, and nothing behind it.
    ///
    /// # Errors
    /// What it is instead, in a few words.
    pub fn read(bytes: &'a [u8]) -> Result<Self, &'static str> {
        let Value::Tag(SIGN1, content) = strict_cbor::parse(bytes).map_err(told)? else {
            return Err("it is not under the tag of COSE_Sign1");
        };
        let Value::Array(parts) = *content else { return Err("no COSE_Sign1") };
        let Ok([Value::Bytes(protected), unprotected @ Value::Map(_), payload, Value::Bytes(signature)]) =
            <[Value<'a>; 4]>::try_from(parts)
        else {
            return Err("no COSE_Sign1");
        };
        let Value::Bytes(payload) = payload else { return Err("its payload is elsewhere") };
        let header @ Value::Map(_) = strict_cbor::parse(protected).map_err(told)? else {
            return Err("its protected header is no map");
        };
        Ok(Self { protected, header, unprotected, payload, signature })
    }

    /// The certificates that travel with it; none where they are no list of byte strings.
    #[must_use]
    pub fn certificates(&self) -> Option<Vec<&'a [u8]>> {
        let Value::Array(listed) = self.unprotected.get(X5CHAIN)? else { return None };
        listed.iter().map(Value::bytes).collect()
    }

    /// Whether nothing else is in it than a signature has: what leaves must be that alone (A678).
    #[must_use]
    pub fn is_nothing_else(&self) -> bool {
        let Value::Map(members) = &self.unprotected else { return false };
        let known = members
            .iter()
            .all(|(label, _)| [X5CHAIN, Label::Text(TIMESTAMP), Label::Text(AGENT)].contains(label));
        let stamp = self.unprotected.get(Label::Text(TIMESTAMP));
        let agent = self.unprotected.get(Label::Text(AGENT));
        let certificates = self.certificates().unwrap_or_default();
        let payload = strict_json::parse(self.payload).unwrap_or_default();
        known
            && stamp.is_none_or(|stamp| stamp.bytes().is_some_and(is_der))
            && agent.is_none_or(|agent| agent.text().is_some())
            && !certificates.is_empty()
            && certificates.into_iter().all(is_der)
            && payload.get("targetArtifact").is_some_and(Json::is_object)
    }
}

fn told(fault: CborFault) -> &'static str {
    match fault {
        CborFault::Ambiguous => "a label stands twice",
        CborFault::Depth | CborFault::Items => "more in it than is read",
        CborFault::NotShortest => "a form of CBOR that readers take for different things",
        CborFault::Syntax => "no CBOR",
    }
}

/// Whether bytes are one sequence in DER, by its outermost length.
fn is_der(bytes: &[u8]) -> bool {
    let length = match bytes {
        [0x30, short, rest @ ..] if *short < 0x80 => Some((usize::from(*short), rest)),
        [0x30, 0x81, one, rest @ ..] => Some((usize::from(*one), rest)),
        [0x30, 0x82, high, low, rest @ ..] => Some((usize::from(*high) << 8 | usize::from(*low), rest)),
        _ => None,
    };
    length.is_some_and(|(length, rest)| rest.len() == length)
}

#[cfg(test)]
mod tests;
