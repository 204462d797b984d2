//! Public keys of the policy: read once at load, so that a bad key is a fault of the policy and never a silent "no".

use std::fmt;

use aws_lc_rs::digest as hash;
use aws_lc_rs::signature::VerificationAlgorithm;
use ed25519_dalek::{Signature, VerifyingKey};
use pullgate_policy::identity::KeyId;
use pullgate_policy::limits;
use pullgate_policy::text;
use x509_cert::Certificate;
use x509_cert::der::{Decode as _, Encode as _};
use x509_cert::spki::SubjectPublicKeyInfoOwned;

use crate::artifact::SharedArtifact;
use crate::encoding;

mod algorithm;
mod jwk;
mod way;

use algorithm::{Algorithm, Scheme};
pub(crate) use jwk::{Form, Jwk};
pub use jwk::{JwkFault, JwkSet};
pub(crate) use way::{Hash, Size, Way};

/// A public key that may sign: ECDSA P-256, P-384, P-521, Ed25519, or RSA of 2048 to 4096 bits.
#[derive(Clone)]
pub struct PublicKey {
    algorithm: Algorithm,
    /// What the algorithm's verifier takes: the curve point, the 32 bytes, or PKCS#1.
    raw: Vec<u8>,
    /// SubjectPublicKeyInfo in canonical DER: PEM and DER, SPKI and PKCS#1 of one key are one (A233).
    spki: Vec<u8>,
}

/// The detail for bytes that are no signature of any kind of key.
pub(crate) const NO_ENCODING: &str =
    "the signature has no known encoding: ECDSA in DER or as two numbers, Ed25519, RSA";

/// Kinds of key that signed notes tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NoteKind {
    Ecdsa,
    Ed25519,
    Rsa,
}

/// Why a file holds no key that may be used. It never repeats the file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyFault {
    /// A certificate, where a public key is wanted.
    #[error("the file holds a certificate; a public key is wanted")]
    Certificate,
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Neither PEM nor DER of a public key.
    #[error("the file holds no public key in PEM or DER")]
    Garbage,
    /// A private key. It should not be on the gate's host at all.
    #[error("the file holds a private key; a public key is wanted")]
    PrivateKey,
    /// Over `key_file_bytes`.
    #[error("the file is larger than {} bytes", limits::KEY_FILE_BYTES)]
    TooLarge,
    /// A key of a type or size that is not accepted.
    #[error("the key is not accepted: {0}")]
    Unsupported(String),
}

impl PublicKey {
    /// Reads the public keys of a file: PEM (one or several blocks) or DER (SubjectPublicKeyInfo).
    ///
    /// # Errors
    /// [`KeyFault`] when any part of the file is not such a key: half a key file is a fault of the policy.
    pub fn from_file(bytes: &[u8]) -> Result<Vec<Self>, KeyFault> {
        if bytes.len() as u64 > limits::KEY_FILE_BYTES {
            return Err(KeyFault::TooLarge);
        }
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(KeyFault::Empty);
        }
        match std::str::from_utf8(bytes) {
            Ok(text) if text.contains("-----BEGIN ") => Self::from_pem(text),
            Ok(_) | Err(_) => Self::from_der(bytes).map(|key| vec![key]),
        }
    }

    fn from_pem(pem: &str) -> Result<Vec<Self>, KeyFault> {
        // Looked for before the blocks are read: a private key is named even when the file is broken.
        if pem.contains("PRIVATE KEY-----") {
            return Err(KeyFault::PrivateKey);
        }
        let blocks = encoding::pem(pem).filter(|blocks| !blocks.is_empty()).ok_or(KeyFault::Garbage)?;
        let read = |block: &encoding::Block| match block.label.as_str() {
            "PUBLIC KEY" => Self::from_der(&block.der),
            "RSA PUBLIC KEY" => Self::from_pkcs1(&block.der),
            "CERTIFICATE" | "TRUSTED CERTIFICATE" | "X509 CERTIFICATE" => Err(KeyFault::Certificate),
            label => Err(KeyFault::Unsupported(format!("a PEM block \"{}\"", text::escape(label)))),
        };
        blocks.iter().map(read).collect()
    }

    fn from_der(der: &[u8]) -> Result<Self, KeyFault> {
        let Ok(spki) = SubjectPublicKeyInfoOwned::from_der(der) else {
            return Err(if Certificate::from_der(der).is_ok() {
                KeyFault::Certificate
            } else if algorithm::is_private_key(der) {
                KeyFault::PrivateKey
            } else {
                KeyFault::Garbage
            });
        };
        Self::from_spki(&spki)
    }

    /// Takes the key of a SubjectPublicKeyInfo, of a certificate for example.
    pub(crate) fn from_spki(spki: &SubjectPublicKeyInfoOwned) -> Result<Self, KeyFault> {
        let raw = spki.subject_public_key.as_bytes().ok_or(KeyFault::Garbage)?;
        let algorithm = Algorithm::of(&spki.algorithm, raw)?;
        Self::checked(algorithm, raw)
    }

    fn from_pkcs1(der: &[u8]) -> Result<Self, KeyFault> {
        Self::checked(Algorithm::rsa(der)?, der)
    }

    fn checked(algorithm: Algorithm, raw: &[u8]) -> Result<Self, KeyFault> {
        algorithm.check(raw)?;
        let spki = algorithm.canonical(raw).and_then(|spki| spki.to_der().ok()).ok_or(KeyFault::Garbage)?;
        Ok(Self { algorithm, raw: raw.to_vec(), spki })
    }

    /// The key's id: the SHA-256 of its canonical SubjectPublicKeyInfo.
    #[must_use]
    pub fn id(&self) -> KeyId {
        KeyId::of_spki(&self.spki)
    }

    /// The canonical SubjectPublicKeyInfo.
    pub(crate) fn spki(&self) -> &[u8] {
        &self.spki
    }

    /// Reads the key of a log as trusted roots have it: SubjectPublicKeyInfo, or PKCS#1 of an RSA key.
    pub(crate) fn of_log(der: &[u8]) -> Result<Self, KeyFault> {
        Self::from_der(der).or_else(|fault| Self::from_pkcs1(der).map_err(|_| fault))
    }

    /// Tells whether `signature` is one of `message` by this key over this hash; a key that hashes by itself takes its own.
    pub(crate) fn verifies_hashed(&self, hash: &hash::Algorithm, message: &[u8], signature: &[u8]) -> bool {
        let mut schemes = self.algorithm.over(hash).iter();
        schemes.any(|scheme| scheme.verify_sig(&self.raw, message, signature).is_ok())
    }

    /// How signed notes name such a key.
    pub(crate) fn note_kind(&self) -> NoteKind {
        match self.algorithm {
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521 => NoteKind::Ecdsa,
            Algorithm::Ed25519 => NoteKind::Ed25519,
            Algorithm::Rsa => NoteKind::Rsa,
        }
    }

    /// How protobuf-specs names such a key of a log.
    pub(crate) fn details(&self) -> &'static str {
        match self.algorithm {
            Algorithm::EcdsaP256 => "PKIX_ECDSA_P256_SHA_256",
            Algorithm::EcdsaP384 => "PKIX_ECDSA_P384_SHA_384",
            Algorithm::EcdsaP521 => "PKIX_ECDSA_P521_SHA_512",
            Algorithm::Ed25519 => "PKIX_ED25519",
            Algorithm::Rsa => "PKIX_RSA_PKCS1V15_4096_SHA256",
        }
    }

    /// The key's bytes as its name in signed notes is made of them.
    pub(crate) fn note_bytes(&self) -> &[u8] {
        match self.note_kind() {
            NoteKind::Ed25519 => &self.raw,
            NoteKind::Ecdsa | NoteKind::Rsa => &self.spki,
        }
    }

    /// Tells whether certificates may be for such a key: the verifier of certificates knows all kinds but one.
    pub(crate) fn may_be_certified(&self) -> bool {
        match self.algorithm {
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::Ed25519 | Algorithm::Rsa => true,
            Algorithm::EcdsaP521 => false,
        }
    }

    /// Tells whether the holder of this key signed `message`, in any encoding that signers write: ECDSA in DER, or as
    /// its two numbers. A signature in the other form is refused cheaply.
    pub(crate) fn signed(&self, message: &SharedArtifact, signature: &[u8]) -> bool {
        let again = || self.algorithm.in_der(signature).is_some_and(|der| self.verifies(message, &der));
        self.verifies(message, signature) || again()
    }

    /// Tells whether bytes have the form of a signature by a key of any kind.
    pub(crate) fn is_encoded(signature: &[u8]) -> bool {
        algorithm::is_encoded(signature)
    }

    /// Tells whether `signature` is one of `message` by this key, as logs write it: ECDSA in DER alone.
    pub(crate) fn verifies(&self, message: &SharedArtifact, signature: &[u8]) -> bool {
        let by_digest = |(scheme, hash): &Scheme| {
            message
                .digest(hash)
                .is_some_and(|digest| scheme.verify_digest_sig(&self.raw, &digest, signature).is_ok())
        };
        self.algorithm.schemes().iter().any(by_digest) || self.verifies_ed25519(message, signature)
    }

    /// Over the message itself, and Ed25519ph over its SHA-512 without a context (RFC 8032, section 5.1), as cosign signs
    /// since 2.6.
    fn verifies_ed25519(&self, message: &SharedArtifact, signature: &[u8]) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => {
                let whole = |bytes| algorithm::ED25519_WHOLE.verify_sig(&self.raw, bytes, signature).is_ok();
                message.bytes().is_some_and(|bytes| whole(bytes))
                    || prehashed(&self.raw, message, signature).is_some()
            }
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521 | Algorithm::Rsa => false,
        }
    }

    /// How many forms of signature are tried.
    pub(crate) fn forms(&self) -> u64 {
        match self.algorithm {
            Algorithm::Ed25519 => 2,
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521 | Algorithm::Rsa => {
                self.algorithm.schemes().len() as u64
            }
        }
    }

    /// Whether a signature is over the message itself: it is hashed anew for each signature.
    pub(crate) fn hashes_anew(&self) -> bool {
        match self.algorithm {
            Algorithm::Ed25519 => true,
            Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521 | Algorithm::Rsa => false,
        }
    }
}

/// Strict: neither a key of small order nor a signature that has another form counts (A252).
fn prehashed(raw: &[u8], message: &SharedArtifact, signature: &[u8]) -> Option<()> {
    let key = VerifyingKey::from_bytes(raw.try_into().ok()?).ok()?;
    let signature = Signature::from_slice(signature).ok()?;
    key.verify_prehashed_strict(message.prehash()?, None, &signature).ok()
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({:?}, {})", self.algorithm, self.id())
    }
}

#[cfg(test)]
mod tests;
