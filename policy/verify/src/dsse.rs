//! DSSE envelopes (secure-systems-lab, "DSSE: Dead Simple Signing Envelope", protocol and envelope).

use pullgate_policy::code::Code;
use pullgate_policy::oci::media_type;
use serde_json::{Value, json};

use crate::claim::{Claim, Statement};
use crate::encoding;
use crate::fault::Fault;

/// An envelope, decoded once: what is verified is what is parsed (A209).
pub(crate) struct Envelope {
    pub(crate) payload: Vec<u8>,
    pub(crate) signatures: Vec<Vec<u8>>,
    pub(crate) statement: Statement,
}

impl Envelope {
    /// Reads an envelope around an in-toto statement with one to `signatures_max` signatures.
    pub(crate) fn read(value: &Value, signatures_max: usize) -> Result<Self, Fault> {
        let text = |key: &str| value.get(key).and_then(Value::as_str);
        let invalid = || Fault::new(Code::PayloadInvalid, "not an envelope");
        // The type is signed too, by the pre-authentication encoding (A207).
        if text("payloadType").ok_or_else(invalid)? != media_type::IN_TOTO_PAYLOAD {
            return Err(Code::PayloadType.into());
        }
        let payload = text("payload").and_then(encoding::dsse).ok_or_else(invalid)?;
        let listed = value.get("signatures").and_then(Value::as_array).ok_or_else(invalid)?;
        if listed.is_empty() || listed.len() > signatures_max {
            return Err(Fault::new(Code::DsseSignatureCount, format!("{} signatures", listed.len())));
        }
        // `keyid` and a certificate beside a signature select nothing (A208).
        let signature = |one: &Value| one.get("sig").and_then(Value::as_str).and_then(encoding::dsse);
        let signatures = listed.iter().map(signature).collect::<Option<Vec<_>>>().ok_or_else(invalid)?;
        let statement = Statement::read(&payload)?;
        Ok(Self { payload, signatures, statement })
    }

    /// The bytes that are signed.
    pub(crate) fn pae(&self) -> Vec<u8> {
        let kind = media_type::IN_TOTO_PAYLOAD;
        let mut bytes = format!("DSSEv1 {} {kind} {} ", kind.len(), self.payload.len()).into_bytes();
        bytes.extend_from_slice(&self.payload);
        bytes
    }

    /// The envelope with one of its signatures, as a bundle holds it.
    pub(crate) fn content(&self, signature: &[u8]) -> (&'static str, Value) {
        let envelope = json!({
            "payload": encoding::encode(&self.payload),
            "payloadType": media_type::IN_TOTO_PAYLOAD,
            "signatures": [{ "sig": encoding::encode(signature) }],
        });
        ("dsseEnvelope", envelope)
    }

    pub(crate) fn claim(&self) -> Claim {
        Claim::Statement(self.statement.clone())
    }
}
