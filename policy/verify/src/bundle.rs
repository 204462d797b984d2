//! Sigstore bundles v0.1 to v0.3 (sigstore/protobuf-specs, `sigstore_bundle.proto`): strict shape and limits before
//! anything is verified (A254).

use std::collections::BTreeSet;

use aws_lc_rs::digest::{self as hash, Algorithm};
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::strict_json;
use serde_json::{Value, json};

use crate::artifact::SharedArtifact;
use crate::backend;
use crate::certificate;
use crate::dsse::Envelope;
use crate::encoding;
use crate::fault::PieceFault;
use crate::material::{self, Content, Package, Parts, Piece, Says, Signed, Signer, Version, Weight};
use crate::proto;

/// Reads a bundle about `manifest`.
pub(crate) fn read(bytes: &[u8], manifest: &SharedArtifact) -> Result<Piece, PieceFault> {
    if bytes.len() as u64 > limits::EVIDENCE_ITEM_BYTES {
        return Err(Code::EvidenceTooLarge.into());
    }
    let (value, lent) = strict_json::parse_bundle(bytes).map_err(|fault| invalid(&fault.to_string()))?;
    let value = proto::normal(value, &proto::BUNDLE).map_err(|twice| invalid(&twice.to_string()))?;
    let version = version(&value)?;
    let verification = value.get("verificationMaterial").ok_or_else(|| invalid("no verificationMaterial"))?;
    let (signer, signer_value, chain) = signer(verification, version)?;
    let listed = list(verification.get("tlogEntries"), limits::LOG_ENTRIES)?;
    // The oldest writers made two faults; a bundle may have one of them (A321).
    if chain == Chain::WithRoot && listed.iter().any(|entry| proof(entry) == Proof::WithoutCheckpoint) {
        return Err(with_root());
    }
    let entries = listed.into_iter().map(|entry| entry_of(entry, version)).collect();
    let timestamps = timestamps(verification)?;
    let package = |content| Package { version, signer: signer_value, entries, timestamps, content };
    let weight = Weight::Light;
    let content = |key: &str| value.get(key).filter(|value| !value.is_null());
    match (content("messageSignature"), content("dsseEnvelope")) {
        (Some(message), None) => {
            if bytes.len() as u64 > limits::EVIDENCE_SIGNATURE_BYTES {
                return Err(Code::EvidenceTooLarge.into());
            }
            let signature = message.get("signature").and_then(Value::as_str).and_then(encoding::standard);
            let hashed_by = check_digest(message.get("messageDigest"), manifest)?;
            let signed = Signed {
                message: manifest.clone(),
                signature: signature.ok_or_else(|| invalid("no signature"))?,
                signer,
                artifact: manifest.clone(),
                hashed_by,
                envelope: None,
                bundle: package(Content::Message(message.clone())),
                weight,
            };
            Ok(Piece { signed: vec![signed], says: Says::Manifest })
        }
        (None, Some(envelope)) => {
            let envelope = Envelope::read(envelope, lent, limits::DSSE_SIGNATURES_BUNDLE)?;
            let Envelope { message, payload, signatures } = envelope;
            let signature = signatures.into_iter().next().ok_or(Code::DsseSignatureCount)?;
            let content = Content::Envelope { payload: payload.clone(), signature: signature.clone() };
            let signed = Signed {
                message,
                signature,
                signer,
                artifact: manifest.clone(),
                hashed_by: None,
                envelope: Some(Parts { attached: None, payload: payload.clone() }),
                bundle: package(content),
                weight,
            };
            Ok(Piece { signed: vec![signed], says: Says::Statement(payload) })
        }
        (Some(_), Some(_)) | (None, None) => {
            Err(invalid("not exactly one of messageSignature and dsseEnvelope"))
        }
    }
}

fn invalid(detail: &str) -> PieceFault {
    PieceFault::new(Code::BundleInvalid, detail)
}

fn version(value: &Value) -> Result<Version, PieceFault> {
    let media_type = value.get("mediaType").and_then(Value::as_str).unwrap_or_default();
    match pullgate_policy::oci::media_type::bundle_version(media_type) {
        Some("0.1") => Ok(Version::V01),
        Some("0.2") => Ok(Version::V02),
        Some("0.3") => Ok(Version::V03),
        Some(_) | None => Err(invalid("not a bundle of a known version")),
    }
}

/// A protobuf list: absent and null are empty.
fn list(value: Option<&Value>, max: usize) -> Result<Vec<Value>, PieceFault> {
    match value {
        None | Some(Value::Null) => Ok(Vec::new()),
        Some(Value::Array(items)) if items.len() <= max => Ok(items.clone()),
        Some(_) => Err(invalid("not a list, or one that is too long")),
    }
}

/// Whether a root travels with a signature. None is ever trusted: roots come from the trust table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Chain {
    WithRoot,
    WithoutRoot,
}

fn with_root() -> PieceFault {
    PieceFault::new(Code::CertificateInvalid, "the chain holds a root")
}

fn signer(
    verification: &Value,
    version: Version,
) -> Result<(Signer, (&'static str, Value), Chain), PieceFault> {
    let one = |key: &str| verification.get(key).filter(|value| !value.is_null());
    match (one("certificate"), one("x509CertificateChain"), one("publicKey")) {
        (Some(certificate), None, None) => {
            let leaf = certificate_der(certificate)?;
            let value = json!({ "rawBytes": encoding::encode(&leaf) });
            Ok((Signer::Certificate(leaf), ("certificate", value), Chain::WithoutRoot))
        }
        (None, Some(chain), None) => {
            let listed = chain.get("certificates");
            if listed.and_then(Value::as_array).is_some_and(|all| all.len() > limits::CHAIN_LENGTH) {
                return Err(PieceFault::new(Code::CertificateInvalid, "the chain is too long"));
            }
            let listed = list(listed, limits::CHAIN_LENGTH)?;
            let certificates = listed.iter().map(certificate_der).collect::<Result<Vec<_>, _>>()?;
            let (leaf, others) = certificates.split_first().ok_or_else(|| invalid("an empty chain"))?;
            // The format refuses a root that travels with the signature, trusted or not; the first one was written with it.
            let (roots, mut path): (Vec<_>, Vec<_>) =
                others.iter().cloned().partition(|der| certificate::is_self_issued(der));
            let chain = match (roots.is_empty(), version) {
                (true, _) => Chain::WithoutRoot,
                (false, Version::V01) => Chain::WithRoot,
                (false, Version::V02 | Version::V03) => return Err(with_root()),
            };
            path.insert(0, leaf.clone());
            Ok((Signer::Certificate(leaf.clone()), material::chain(&path), chain))
        }
        (None, None, Some(_)) => Ok((Signer::Key, material::public_key(), Chain::WithoutRoot)),
        _ => Err(invalid("not exactly one of certificate, x509CertificateChain and publicKey")),
    }
}

fn certificate_der(value: &Value) -> Result<Vec<u8>, PieceFault> {
    let der = value.get("rawBytes").and_then(Value::as_str).and_then(encoding::standard);
    let der = der.ok_or_else(|| invalid("a certificate is not base64"))?;
    if der.len() > limits::CERTIFICATE_BYTES {
        return Err(Code::CertificateInvalid.into());
    }
    Ok(der)
}

/// What an entry has of a proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Proof {
    None,
    WithCheckpoint,
    WithoutCheckpoint,
}

fn proof(entry: &Value) -> Proof {
    let proof = entry.get("inclusionProof").filter(|proof| !proof.is_null());
    let checkpoint = proof.and_then(|proof| proof.pointer("/checkpoint/envelope")).and_then(Value::as_str);
    match (proof, checkpoint) {
        (None, _) => Proof::None,
        (Some(_), Some(text)) if !text.is_empty() => Proof::WithCheckpoint,
        (Some(_), _) => Proof::WithoutCheckpoint,
    }
}

/// Checks the shape of a log entry.
fn entry_of(entry: Value, version: Version) -> Result<Value, PieceFault> {
    let mut entry = encoding::without_nulls(entry);
    let promise = entry.get("inclusionPromise").is_some_and(|promise| !promise.is_null());
    let hashes = entry.pointer("/inclusionProof/hashes").and_then(Value::as_array);
    if hashes.is_some_and(|hashes| hashes.len() > limits::INCLUSION_PATH) {
        return Err(Code::InclusionProofInvalid.into());
    }
    let note = entry.pointer("/inclusionProof/checkpoint/envelope").and_then(Value::as_str);
    // Before anything is verified: each line of it costs a signature (A624).
    if !note.is_none_or(backend::is_within_limits) {
        return Err(PieceFault::new(
            Code::CheckpointInvalid,
            "the checkpoint is too long, or has too many signatures",
        ));
    }
    // Each line of a signed note ends with a newline, the last one too (C2SP signed-note).
    if note.is_some_and(|note| !note.is_empty() && !note.ends_with('\n')) {
        return Err(PieceFault::new(Code::CheckpointInvalid, "the checkpoint does not end with a newline"));
    }
    match (version, proof(&entry), promise) {
        // The oldest signers wrote proofs without a checkpoint, which prove nothing; the signed timestamp does.
        (Version::V01, Proof::WithoutCheckpoint, true) => {
            if let Some(entry) = entry.as_object_mut() {
                entry.remove("inclusionProof");
            }
            Ok(entry)
        }
        (Version::V01, _, false) => {
            Err(PieceFault::new(Code::SetInvalid, "a log entry without a signed timestamp"))
        }
        // Each entry must prove itself: the format asks for one proof in the bundle, and means every entry (A306).
        (Version::V02 | Version::V03, Proof::None, _) => Err(Code::InclusionProofMissing.into()),
        (Version::V01 | Version::V02 | Version::V03, _, _) => Ok(entry),
    }
}

/// The digest in a message signature is a hint: the signature is over the bytes. Where it stands, it must be theirs
/// (A206). Tells the hash.
fn check_digest(
    value: Option<&Value>,
    manifest: &SharedArtifact,
) -> Result<Option<&'static Algorithm>, PieceFault> {
    let Some(value) = value.filter(|value| !value.is_null()) else { return Ok(None) };
    let text = |key: &str| value.get(key).and_then(Value::as_str);
    let algorithm: &'static Algorithm = match text("algorithm") {
        Some("SHA2_256") => &hash::SHA256,
        Some("SHA2_384") => &hash::SHA384,
        Some("SHA2_512") => &hash::SHA512,
        Some(_) | None => return Err(PieceFault::new(Code::Unsupported, "the hash of the message digest")),
    };
    let named = text("digest").and_then(encoding::standard).ok_or_else(|| invalid("the message digest"))?;
    match manifest.hash(algorithm) {
        Some(ours) if ours == named => Ok(Some(algorithm)),
        Some(_) => Err(Code::DigestMismatch.into()),
        None => Err(PieceFault::new(Code::Unsupported, "the hash of the message digest")),
    }
}

fn timestamps(verification: &Value) -> Result<Vec<Value>, PieceFault> {
    let data = verification.get("timestampVerificationData").filter(|data| !data.is_null());
    let tokens = list(data.and_then(|data| data.get("rfc3161Timestamps")), limits::TIMESTAMPS)?;
    let is_bytes = |token: &Value| {
        let token = token.get("signedTimestamp").and_then(Value::as_str);
        token.is_some_and(|token| encoding::standard(token).is_some())
    };
    if !tokens.iter().all(is_bytes) {
        return Err(invalid("a timestamp is not base64"));
    }
    let distinct: BTreeSet<_> = tokens.iter().map(Value::to_string).collect();
    if distinct.len() != tokens.len() {
        // One token twice is not two times (A332).
        return Err(invalid("a timestamp stands twice"));
    }
    Ok(tokens)
}

#[cfg(test)]
mod tests;
