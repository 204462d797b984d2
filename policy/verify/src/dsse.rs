//! DSSE envelopes (secure-systems-lab, "DSSE: Dead Simple Signing Envelope", protocol and envelope).

use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::oci::media_type;
use serde_json::Value;

use crate::artifact::SharedArtifact;
use crate::encoding;
use crate::fault::PieceFault;

/// An envelope, decoded once: the verified bytes are the parsed bytes (A209). Its payload is read once a signature of
/// it holds (A602).
pub(crate) struct Envelope {
    /// The bytes that are signed.
    pub(crate) message: SharedArtifact,
    /// The payload, which lies in them.
    pub(crate) payload: SharedArtifact,
    pub(crate) signatures: Vec<Vec<u8>>,
}

impl Envelope {
    /// Reads an envelope around an in-toto statement with one to `signatures_max` signatures. Its payload may be given
    /// beside it ([`pullgate_policy::strict_json::parse_envelope`]).
    pub(crate) fn read(
        value: &Value,
        payload: Option<&str>,
        signatures_max: usize,
    ) -> Result<Self, PieceFault> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let invalid = || PieceFault::new(Code::PayloadInvalid, "not an envelope");
        // The type is signed too, by the pre-authentication encoding (A207).
        if text("payloadType").ok_or_else(invalid)? != media_type::IN_TOTO_PAYLOAD {
            return Err(Code::PayloadType.into());
        }
        let listed = value.get("signatures").and_then(Value::as_array).ok_or_else(invalid)?;
        if listed.is_empty() || listed.len() > signatures_max {
            return Err(PieceFault::new(Code::DsseSignatureCount, format!("{} signatures", listed.len())));
        }
        // `keyid` and a certificate beside a signature select nothing (A208).
        let signature = |one: &Value| one.get("sig").and_then(Value::as_str).and_then(encoding::dsse);
        let signatures = listed.iter().map(signature).collect::<Option<Vec<_>>>().ok_or_else(invalid)?;
        let payload = payload.or_else(|| text("payload")).ok_or_else(invalid)?;
        let (message, begins) = pae(payload).ok_or_else(invalid)?;
        let payload = SharedArtifact::of(message.slice(begins..));
        Ok(Self { message: SharedArtifact::of(message), payload, signatures })
    }
}

/// The pre-authentication encoding of a payload that is base64 (DSSE protocol, "signature definition"), and where the
/// payload begins in it. It is decoded into its place: there is one copy of it (A602).
fn pae(payload: &str) -> Option<(Bytes, usize)> {
    let kind = media_type::IN_TOTO_PAYLOAD;
    let length =
        payload.trim_end_matches('=').len() / 4 * 3 + payload.trim_end_matches('=').len() % 4 * 3 / 4;
    let head = format!("DSSEv1 {} {kind} {length} ", kind.len());
    let mut bytes = Vec::with_capacity(head.len() + length + 3);
    bytes.extend_from_slice(head.as_bytes());
    encoding::dsse_into(payload, &mut bytes)?;
    (bytes.len() == head.len() + length).then(|| (bytes.into(), head.len()))
}
