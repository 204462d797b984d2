//! One form of signature, as a header or a certificate names it: no other is tried.

use aws_lc_rs::digest as hash;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::VerificationAlgorithm;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, TagNumber};
use x509_cert::spki::AlgorithmIdentifierOwned;

use super::PublicKey;
use super::algorithm::{self, Algorithm};
use crate::artifact::SharedArtifact;
use crate::asn1::{hash_of, identifier, is_marked, parts};

/// A hash that signatures are over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Hash {
    Sha256,
    Sha384,
    Sha512,
}

/// A form of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// ECDSA in DER.
    Der(Hash),
    /// ECDSA as two numbers, each as long as the curve's order, over the curve's own hash (RFC 7518, section 3.4).
    Fixed,
    Ed25519,
    /// RSASSA-PKCS1-v1_5.
    Pkcs1(Hash),
    /// RSASSA-PSS with a salt as long as the hash.
    Pss(Hash),
}

/// The kind of a key and its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Size {
    P256,
    P384,
    P521,
    Ed25519,
    /// Bits of the modulus.
    Rsa(u32),
}

const MGF1: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.8");

impl Hash {
    pub(crate) fn algorithm(self) -> &'static hash::Algorithm {
        match self {
            Self::Sha256 => &hash::SHA256,
            Self::Sha384 => &hash::SHA384,
            Self::Sha512 => &hash::SHA512,
        }
    }

    fn of(algorithm: &hash::Algorithm) -> Option<Self> {
        [Self::Sha256, Self::Sha384, Self::Sha512].into_iter().find(|one| one.algorithm() == algorithm)
    }
}

impl Way {
    /// The form that a certificate or a list of revocations names for its own signature; none of SHA-1, MD5, and what is
    /// not known.
    pub(crate) fn of(named: &AlgorithmIdentifierOwned) -> Option<Self> {
        Some(match named.oid.to_string().as_str() {
            "1.2.840.10045.4.3.2" => Self::Der(Hash::Sha256),
            "1.2.840.10045.4.3.3" => Self::Der(Hash::Sha384),
            "1.2.840.10045.4.3.4" => Self::Der(Hash::Sha512),
            "1.2.840.113549.1.1.11" => Self::Pkcs1(Hash::Sha256),
            "1.2.840.113549.1.1.12" => Self::Pkcs1(Hash::Sha384),
            "1.2.840.113549.1.1.13" => Self::Pkcs1(Hash::Sha512),
            "1.2.840.113549.1.1.10" => Self::Pss(pss(AnyRef::from(named.parameters.as_ref()?))?),
            "1.3.101.112" => Self::Ed25519,
            _ => return None,
        })
    }

    fn hash(self, key: Algorithm) -> Option<Hash> {
        match (self, key) {
            (Self::Der(hash) | Self::Pkcs1(hash) | Self::Pss(hash), _) => Some(hash),
            (Self::Fixed, Algorithm::EcdsaP256) => Some(Hash::Sha256),
            (Self::Fixed, Algorithm::EcdsaP384) => Some(Hash::Sha384),
            (Self::Fixed, Algorithm::EcdsaP521) => Some(Hash::Sha512),
            (Self::Fixed, Algorithm::Ed25519 | Algorithm::Rsa) | (Self::Ed25519, _) => None,
        }
    }
}

/// The hash of RSASSA-PSS, where mask and salt go with it (RFC 4055, section 3.1).
fn pss(parameters: AnyRef<'_>) -> Option<Hash> {
    let fields = parts(parameters)?;
    let [digest, mask, salt, rest @ ..] = fields.as_slice() else { return None };
    let marked = |field: &AnyRef<'_>, number| is_marked(*field, number);
    let all = marked(digest, TagNumber::N0) && marked(mask, TagNumber::N1) && marked(salt, TagNumber::N2);
    // The trailer field is 1, and need not be said.
    let trailer = rest.iter().all(|field| marked(field, TagNumber::N3) && field.value() == [2, 1, 1]);
    if !all || !trailer || rest.len() > 1 {
        return None;
    }
    let digest = hash_of(AnyRef::from_der(digest.value()).ok()?)?;
    let mask = AnyRef::from_der(mask.value()).ok()?;
    let masked = hash_of(*parts(mask)?.get(1)?)?;
    let salt = UintRef::from_der(salt.value()).ok()?;
    let whole = identifier(mask)? == MGF1
        && masked == digest
        && matches!(salt.as_bytes(), [length] if usize::from(*length) == digest.output_len());
    Hash::of(digest).filter(|_| whole)
}

impl PublicKey {
    /// Its kind and size.
    pub(crate) fn size(&self) -> Size {
        match self.algorithm {
            Algorithm::EcdsaP256 => Size::P256,
            Algorithm::EcdsaP384 => Size::P384,
            Algorithm::EcdsaP521 => Size::P521,
            Algorithm::Ed25519 => Size::Ed25519,
            Algorithm::Rsa => Size::Rsa(algorithm::rsa_bits(&self.raw).unwrap_or_default()),
        }
    }

    /// Whether `signature` is one of `message` by this key, in this form.
    pub(crate) fn made(&self, way: Way, message: &SharedArtifact, signature: &[u8]) -> bool {
        let Some(scheme) = scheme(way, self.algorithm) else { return false };
        match way.hash(self.algorithm) {
            // It may be large, and is signed once and looked at often: a list of revocations.
            Some(hash) => message
                .digest(hash.algorithm())
                .is_some_and(|digest| scheme.verify_digest_sig(&self.raw, &digest, signature).is_ok()),
            None => {
                message.bytes().is_some_and(|bytes| scheme.verify_sig(&self.raw, bytes, signature).is_ok())
            }
        }
    }
}

/// How a key of this kind signs so; none where it does not.
fn scheme(way: Way, key: Algorithm) -> Option<&'static dyn VerificationAlgorithm> {
    Some(match (way, key) {
        (Way::Fixed, Algorithm::EcdsaP256) => &lc::ECDSA_P256_SHA256_FIXED,
        (Way::Fixed, Algorithm::EcdsaP384) => &lc::ECDSA_P384_SHA384_FIXED,
        (Way::Fixed, Algorithm::EcdsaP521) => &lc::ECDSA_P521_SHA512_FIXED,
        (Way::Der(hash), Algorithm::EcdsaP256 | Algorithm::EcdsaP384 | Algorithm::EcdsaP521) => {
            *key.over(hash.algorithm()).first()?
        }
        (Way::Ed25519, Algorithm::Ed25519) => algorithm::ED25519_WHOLE,
        (Way::Pkcs1(Hash::Sha256), Algorithm::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA256,
        (Way::Pkcs1(Hash::Sha384), Algorithm::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA384,
        (Way::Pkcs1(Hash::Sha512), Algorithm::Rsa) => &lc::RSA_PKCS1_2048_8192_SHA512,
        (Way::Pss(Hash::Sha256), Algorithm::Rsa) => &lc::RSA_PSS_2048_8192_SHA256,
        (Way::Pss(Hash::Sha384), Algorithm::Rsa) => &lc::RSA_PSS_2048_8192_SHA384,
        (Way::Pss(Hash::Sha512), Algorithm::Rsa) => &lc::RSA_PSS_2048_8192_SHA512,
        (Way::Der(_) | Way::Ed25519 | Way::Fixed | Way::Pkcs1(_) | Way::Pss(_), _) => return None,
    })
}
