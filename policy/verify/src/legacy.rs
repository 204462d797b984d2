//! cosign's older layout: payload or envelope as a layer, everything else in the layer's annotations. It is converted
//! to an equivalent v0.1 bundle, so that one verifier judges both.

use std::collections::BTreeMap;

use aws_lc_rs::digest as hash;
use bytes::Bytes;
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::strict_json;
use serde_json::{Value, json};

use crate::artifact::SharedArtifact;
use crate::certificate;
use crate::dsse::Envelope;
use crate::encoding;
use crate::fault::PieceFault;
use crate::material::{self, Content, Entries, Package, Parts, Piece, Says, Signed, Signer, Version, Weight};

const SIGNATURE: &str = "dev.cosignproject.cosign/signature";
const CERTIFICATE: &str = "dev.sigstore.cosign/certificate";
const CHAIN: &str = "dev.sigstore.cosign/chain";
const BUNDLE: &str = "dev.sigstore.cosign/bundle";
const TIMESTAMP: &str = "dev.sigstore.cosign/rfc3161timestamp";

type Annotations = BTreeMap<String, String>;

/// Reads a layer of a `.sig` manifest.
pub(crate) fn simple_signing(payload: &Bytes, annotations: &Annotations) -> Result<Piece, PieceFault> {
    if payload.len() as u64 > limits::EVIDENCE_SIGNATURE_BYTES {
        return Err(Code::EvidenceTooLarge.into());
    }
    let vouchers = Vouchers::read(annotations)?;
    let text = annotations.get(SIGNATURE).filter(|text| !text.is_empty());
    let text =
        text.ok_or_else(|| PieceFault::new(Code::SignatureInvalid, "the layer has no signature annotation"))?;
    // Tools that wrap lines put them into the annotation; cosign reads over them.
    let signature = encoding::standard(&text.replace(['\r', '\n'], ""));
    let signature =
        signature.ok_or_else(|| PieceFault::new(Code::SignatureInvalid, "the signature is not base64"))?;
    let message = SharedArtifact::of(payload.clone());
    let digest = message.hash(&hash::SHA256).unwrap_or_default();
    let content = json!({
        "messageDigest": { "algorithm": "SHA2_256", "digest": encoding::encode(&digest) },
        "signature": encoding::encode(&signature),
    });
    let bundle = vouchers.package(Content::Message(content));
    let (artifact, says) = (message.clone(), Says::Payload(message.clone()));
    let (signer, weight) = (vouchers.signer, Weight::Light);
    let hashed_by = None;
    let signed = Signed { message, signature, signer, artifact, hashed_by, envelope: None, bundle, weight };
    Ok(Piece { signed: vec![signed], says })
}

/// Reads a layer of an `.att` manifest: each signature of the envelope is judged on its own (A208), and all share one
/// payload (A602).
pub(crate) fn dsse(
    bytes: &Bytes,
    annotations: &Annotations,
    manifest: &SharedArtifact,
) -> Result<Piece, PieceFault> {
    if bytes.len() as u64 > limits::EVIDENCE_ITEM_BYTES {
        return Err(Code::EvidenceTooLarge.into());
    }
    let (value, lent) = strict_json::parse_envelope(bytes)
        .map_err(|fault| PieceFault::new(Code::PayloadInvalid, fault.to_string()))?;
    let envelope = Envelope::read(&value, lent, limits::DSSE_SIGNATURES_ATT)?;
    let Envelope { message, payload, signatures } = envelope;
    let attached = SharedArtifact::of(bytes.clone());
    let vouchers = Vouchers::read(annotations)?;
    let one = |signature: Vec<u8>| {
        let content = Content::Envelope { payload: payload.clone(), signature: signature.clone() };
        Signed {
            message: message.clone(),
            signature,
            bundle: vouchers.package(content),
            signer: vouchers.signer.clone(),
            artifact: manifest.clone(),
            hashed_by: None,
            envelope: Some(Parts { attached: Some(attached.clone()), payload: payload.clone() }),
            weight: Weight::Light,
        }
    };
    Ok(Piece { signed: signatures.into_iter().map(one).collect(), says: Says::Statement(payload.clone()) })
}

/// Signer and time, by the annotations.
struct Vouchers {
    signer: Signer,
    chain: Vec<Vec<u8>>,
    entries: Entries,
    timestamps: Vec<Value>,
}

impl Vouchers {
    fn read(annotations: &Annotations) -> Result<Self, PieceFault> {
        if annotations.values().any(|value| value.len() > limits::ANNOTATION_BYTES) {
            return Err(PieceFault::new(Code::PayloadInvalid, "an annotation is too long"));
        }
        let get = |key: &str| annotations.get(key).filter(|text| !text.is_empty());
        let (signer, chain) = match get(CERTIFICATE) {
            None => (Signer::Key, Vec::new()),
            Some(pem) => {
                let leaf = match certificates(pem)?.as_slice() {
                    [leaf] => leaf.clone(),
                    _ => {
                        return Err(PieceFault::new(Code::CertificateInvalid, "not exactly one certificate"));
                    }
                };
                let mut chain = vec![leaf.clone()];
                // cosign writes the root into the chain as well. It helps nothing: roots come from the trust table (A321).
                let others = get(CHAIN).map_or(Ok(Vec::new()), |pem| certificates(pem))?;
                if others.len() >= limits::CHAIN_LENGTH {
                    return Err(PieceFault::new(Code::CertificateInvalid, "the chain is too long"));
                }
                chain.extend(others.into_iter().filter(|der| !certificate::is_self_issued(der)));
                (Signer::Certificate(leaf), chain)
            }
        };
        Ok(Self {
            signer,
            chain,
            entries: get(BUNDLE).into_iter().map(|text| entry(text)).collect(),
            // An unreadable timestamp is ignored.
            timestamps: get(TIMESTAMP).and_then(|text| timestamp(text)).into_iter().collect(),
        })
    }

    fn package(&self, content: Content) -> Package {
        let signer = match self.signer {
            Signer::Certificate(_) => material::chain(&self.chain),
            Signer::Key => material::public_key(),
        };
        let (entries, timestamps) = (self.entries.clone(), self.timestamps.clone());
        Package { version: Version::V01, signer, entries, timestamps, content }
    }
}

fn certificates(pem: &str) -> Result<Vec<Vec<u8>>, PieceFault> {
    let blocks = encoding::pem(pem).ok_or(Code::CertificateInvalid)?;
    let fits = |der: &[u8]| der.len() <= limits::CERTIFICATE_BYTES;
    if blocks.iter().all(|block| block.label == "CERTIFICATE" && fits(&block.der)) {
        Ok(blocks.into_iter().map(|block| block.der).collect())
    } else {
        Err(Code::CertificateInvalid.into())
    }
}

/// A log entry of Rekor v1 as cosign keeps it: what the log signed, and the signature.
fn entry(text: &str) -> Result<Value, PieceFault> {
    let invalid = || PieceFault::new(Code::BundleInvalid, "the log entry in the annotation cannot be read");
    let value = strict_json::parse(text.as_bytes()).map_err(|_| invalid())?;
    let field = |path: &str| value.pointer(path);
    let string = |path: &str| field(path).and_then(Value::as_str).ok_or_else(invalid);
    let number = |path: &str| field(path).and_then(Value::as_i64).ok_or_else(invalid);
    let body = string("/Payload/body")?;
    let log_id = hex::decode(string("/Payload/logID")?).map_err(|_| invalid())?;
    let decoded =
        encoding::standard(body).and_then(|bytes| strict_json::parse(&bytes).ok()).ok_or_else(invalid)?;
    let kind = |key: &str| decoded.get(key).and_then(Value::as_str).ok_or_else(invalid);
    let (kind, version) = (kind("kind")?, kind("apiVersion")?);
    Ok(json!({
        "logIndex": number("/Payload/logIndex")?.to_string(),
        "logId": { "keyId": encoding::encode(&log_id) },
        "kindVersion": { "kind": kind, "version": version },
        "integratedTime": number("/Payload/integratedTime")?.to_string(),
        "inclusionPromise": { "signedEntryTimestamp": string("/SignedEntryTimestamp")? },
        "canonicalizedBody": body,
    }))
}

fn timestamp(text: &str) -> Option<Value> {
    let value = strict_json::parse(text.as_bytes()).ok()?;
    let token = value.get("SignedRFC3161Timestamp")?.as_str()?;
    Some(json!({ "signedTimestamp": token }))
}

#[cfg(test)]
mod tests;
