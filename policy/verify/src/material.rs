//! One signature, in one form for every layout: the signed bytes, the possible signer, what vouches for the time.

use aws_lc_rs::digest::Algorithm;
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use pullgate_policy::oci::media_type;
use pullgate_policy::strict_json::{self, JsonFault};
use serde_json::{Value, json};

use crate::artifact::SharedArtifact;
use crate::encoding;
use crate::fault::PieceFault;

/// One signature.
pub(crate) struct Signed {
    /// The bytes that the signature covers.
    pub(crate) message: SharedArtifact,
    /// The signature.
    pub(crate) signature: Vec<u8>,
    /// How the signer is known.
    pub(crate) signer: Signer,
    /// The artifact that the verifier gets: what the bundle is about.
    pub(crate) artifact: SharedArtifact,
    /// The hash that the bundle names for its message, where it names one.
    pub(crate) hashed_by: Option<&'static Algorithm>,
    /// What an envelope is made of, where one was signed: log entries are about its parts.
    pub(crate) envelope: Option<Parts>,
    /// The same as a bundle.
    pub(crate) bundle: Package,
    /// Whether the library can read what was signed.
    pub(crate) weight: Weight,
}

/// Whether the library, which reads every statement whole before it looks at a signature, can do so in `statement_memory`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Weight {
    /// It cannot (A602).
    Heavy,
    /// It can.
    Light,
}

impl Weight {
    /// That of a statement.
    ///
    /// # Errors
    /// It is no JSON that is read.
    pub(crate) fn of(statement: &[u8]) -> Result<Self, PieceFault> {
        match strict_json::fits(statement, limits::STATEMENT_MEMORY) {
            Ok(_) => Ok(Self::Light),
            // Keys that differ by case may be two keys of free form: how much is behind them was not looked at.
            Err(JsonFault::Values | JsonFault::Ambiguous) => Ok(Self::Heavy),
            Err(fault) => Err(PieceFault::new(Code::StatementInvalid, fault.to_string())),
        }
    }
}

/// The signatures of one piece of evidence, and the bytes that they claim to sign, which are read once one of them
/// holds.
pub(crate) struct Piece {
    pub(crate) signed: Vec<Signed>,
    pub(crate) says: Says,
}

/// Signed bytes, not read yet.
#[derive(Debug, Clone)]
pub(crate) enum Says {
    /// The manifest itself.
    Manifest,
    /// A simple-signing payload.
    Payload(SharedArtifact),
    /// An in-toto statement.
    Statement(SharedArtifact),
}

impl Signed {
    /// What timestamps are over: the signature; of a layer of an `.att` manifest the whole layer, as cosign stamps it.
    pub(crate) fn stamped(&self) -> &[u8] {
        let attached = self.envelope.as_ref().and_then(|envelope| envelope.attached.as_ref()?.bytes());
        attached.map_or(&self.signature, |bytes| bytes)
    }
}

/// The parts of an envelope that log entries are about.
#[derive(Clone)]
pub(crate) struct Parts {
    /// Its bytes as they were attached: those of an `.att` layer. In a bundle it is written anew.
    pub(crate) attached: Option<SharedArtifact>,
    /// Its payload.
    pub(crate) payload: SharedArtifact,
}

/// How the signer is known. A name never counts for a key, nor a key for a name (A232).
#[derive(Clone)]
pub(crate) enum Signer {
    /// By a certificate, in DER.
    Certificate(Vec<u8>),
    /// By a key that only the policy can name; hints select nothing (A231).
    Key,
}

/// A Sigstore bundle in parts, so that it can be handed on with or without what vouches for it.
#[derive(Debug, Clone)]
pub(crate) struct Package {
    pub(crate) version: Version,
    /// `certificate`, `x509CertificateChain` or `publicKey`, and its value.
    pub(crate) signer: (&'static str, Value),
    pub(crate) entries: Entries,
    pub(crate) timestamps: Vec<Value>,
    pub(crate) content: Content,
}

/// What a bundle holds.
#[derive(Debug, Clone)]
pub(crate) enum Content {
    /// The value of `messageSignature`.
    Message(Value),
    /// An envelope of a payload with one signature.
    Envelope { payload: SharedArtifact, signature: Vec<u8> },
}

/// A bundle as the library takes it: a payload is handed on beside the text, not in it (A602).
pub(crate) struct Rendered {
    pub(crate) json: String,
    pub(crate) payload: Option<SharedArtifact>,
}

/// The log entries of a bundle, or their fault: a signature may count without entries.
pub(crate) type Entries = Result<Vec<Value>, PieceFault>;

/// The versions of the bundle format.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Version {
    V01,
    V02,
    V03,
}

impl Version {
    fn media_type(self) -> &'static str {
        match self {
            Self::V01 => "application/vnd.dev.sigstore.bundle+json;version=0.1",
            Self::V02 => "application/vnd.dev.sigstore.bundle+json;version=0.2",
            Self::V03 => "application/vnd.dev.sigstore.bundle.v0.3+json",
        }
    }
}

impl Package {
    /// Its log entries.
    ///
    /// # Errors
    /// When it has none, or one that is malformed.
    pub(crate) fn listed(&self) -> Result<&[Value], PieceFault> {
        match &self.entries {
            Ok(entries) if entries.is_empty() => Err(Code::LogEntryMissing.into()),
            Ok(entries) => Ok(entries),
            Err(fault) => Err(fault.clone()),
        }
    }

    /// The bundle with these entries and timestamps. A v0.1 bundle must have an entry, so without one it goes on as v0.2,
    /// which may carry a chain as well.
    pub(crate) fn with(&self, entries: &[&Value], timestamps: &[Value]) -> Rendered {
        let version = match self.version {
            Version::V01 if entries.is_empty() => Version::V02,
            other => other,
        };
        let (signer, signer_value) = &self.signer;
        let (content, content_value, payload) = match &self.content {
            Content::Message(value) => ("messageSignature", value.clone(), None),
            Content::Envelope { payload, signature } => {
                let value = json!({
                    "payload": "",
                    "payloadType": media_type::IN_TOTO_PAYLOAD,
                    "signatures": [{ "sig": encoding::encode(signature) }],
                });
                ("dsseEnvelope", value, Some(payload.clone()))
            }
        };
        let json = json!({
            "mediaType": version.media_type(),
            "verificationMaterial": {
                *signer: signer_value,
                "tlogEntries": entries,
                "timestampVerificationData": { "rfc3161Timestamps": timestamps },
            },
            content: content_value,
        });
        Rendered { json: json.to_string(), payload }
    }
}

impl Package {
    /// The certificates that travel behind the leaf, in DER. None of them is trusted.
    pub(crate) fn intermediates(&self) -> Vec<Vec<u8>> {
        let listed = self.signer.1.get("certificates").and_then(Value::as_array);
        let der = |one: &Value| one.get("rawBytes").and_then(Value::as_str).and_then(encoding::standard);
        listed.into_iter().flatten().skip(1).filter_map(der).collect()
    }
}

/// The `signer` of a bundle that a chain of certificates vouches for, the leaf first.
pub(crate) fn chain(certificates: &[Vec<u8>]) -> (&'static str, Value) {
    let certificates: Vec<_> =
        certificates.iter().map(|der| json!({ "rawBytes": encoding::encode(der) })).collect();
    ("x509CertificateChain", json!({ "certificates": certificates }))
}

/// The `signer` of a bundle of a key.
pub(crate) fn public_key() -> (&'static str, Value) {
    ("publicKey", json!({ "hint": "" }))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A statement in which one text is so long that its values take as much as `memory` lets them, and one more letter.
    fn at_the_limit(memory: usize) -> [String; 2] {
        let of = |length: usize| format!(r#"{{"predicate":{{"text":"{}"}}}}"#, "x".repeat(length));
        // Found where reading costs little: a letter more takes as much there.
        let small = 64 * 1024;
        let fits = |length: &usize| strict_json::fits(of(*length).as_bytes(), small).is_ok();
        let most = (0..small).rev().find(fits).unwrap() + memory - small;
        [of(most), of(most + 1)]
    }

    #[test]
    fn a602_a_statement_of_so_much_memory_is_read_by_the_library_and_one_of_more_is_not() {
        let [within, over] = at_the_limit(limits::STATEMENT_MEMORY);
        assert_eq!(Weight::of(within.as_bytes()).ok(), Some(Weight::Light));
        assert_eq!(Weight::of(over.as_bytes()).ok(), Some(Weight::Heavy));
    }
}
