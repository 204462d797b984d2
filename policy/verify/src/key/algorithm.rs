//! The kinds of key that are accepted, and how each signs.

use aws_lc_rs::digest as hash;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::{ParsedPublicKey, VerificationAlgorithm};
use ed25519_dalek::VerifyingKey;
use pullgate_policy::limits;
use x509_cert::der::asn1::{Any, BitString, Null, ObjectIdentifier, UintRef};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tagged as _};
use x509_cert::spki::{AlgorithmIdentifierOwned, SubjectPublicKeyInfoOwned};

use super::KeyFault;

const EC: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.2.1");
const P256: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.10045.3.1.7");
const P384: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.34");
const P521: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.132.0.35");
const ED25519: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.101.112");
const RSA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.1.1");

/// The largest public exponent that is accepted, in bytes: a larger one makes each check slow (A251).
const RSA_EXPONENT_BYTES: usize = 5;
/// The first byte of a curve point that is not compressed (SEC 1, 2.3.3).
pub(super) const UNCOMPRESSED: u8 = 4;

/// A form of signature, and the hash that it is over.
pub(super) type Scheme = (&'static dyn VerificationAlgorithm, &'static hash::Algorithm);

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    EcdsaP256,
    EcdsaP384,
    EcdsaP521,
    Ed25519,
    Rsa,
}

impl Algorithm {
    /// Reads the kind from an AlgorithmIdentifier.
    pub(super) fn of(identifier: &AlgorithmIdentifierOwned, raw: &[u8]) -> Result<Self, KeyFault> {
        match identifier.oid {
            EC => {
                let curve =
                    identifier.parameters.as_ref().and_then(|any| any.decode_as::<ObjectIdentifier>().ok());
                match curve {
                    Some(P256) => Ok(Self::EcdsaP256),
                    Some(P384) => Ok(Self::EcdsaP384),
                    Some(P521) => Ok(Self::EcdsaP521),
                    Some(other) => Err(KeyFault::Unsupported(format!("the elliptic curve {other}"))),
                    None => Err(KeyFault::Unsupported("an elliptic curve without a name".to_owned())),
                }
            }
            ED25519 => Ok(Self::Ed25519),
            RSA => Self::rsa(raw),
            other => Err(KeyFault::Unsupported(format!("the algorithm {other}"))),
        }
    }

    /// Checks the size of an RSA key in PKCS#1 (RFC 8017, A.1.1).
    pub(super) fn rsa(pkcs1: &[u8]) -> Result<Self, KeyFault> {
        let (modulus, exponent) = rsa_parts(pkcs1).ok_or(KeyFault::Garbage)?;
        let bits = bits_of(&modulus);
        if !(limits::RSA_BITS_MIN..=limits::RSA_BITS_MAX).contains(&bits) {
            return Err(KeyFault::Unsupported(format!("RSA with {bits} bits")));
        }
        let odd = |bytes: &[u8]| bytes.last().is_some_and(|byte| byte % 2 == 1);
        let tiny = exponent.len() == 1 && exponent.first().is_some_and(|byte| *byte <= 3);
        if !odd(&modulus) || !odd(&exponent) || tiny || exponent.len() > RSA_EXPONENT_BYTES {
            return Err(KeyFault::Unsupported("RSA with an unsafe modulus or exponent".to_owned()));
        }
        Ok(Self::Rsa)
    }

    /// Checks that `raw` is a key of this kind: a point on the curve, for example.
    pub(super) fn check(self, raw: &[u8]) -> Result<(), KeyFault> {
        match self {
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 => {
                if raw.first() != Some(&UNCOMPRESSED) {
                    return Err(KeyFault::Unsupported("a compressed curve point".to_owned()));
                }
            }
            Self::Ed25519 => {
                let bytes = raw.try_into().map_err(|_| KeyFault::Garbage)?;
                let key = VerifyingKey::from_bytes(bytes).map_err(|_| KeyFault::Garbage)?;
                // Such a key verifies signatures of anything (A252).
                if key.is_weak() {
                    return Err(KeyFault::Unsupported("an Ed25519 key of small order".to_owned()));
                }
            }
            Self::Rsa => {}
        }
        let first: &'static dyn VerificationAlgorithm = match self.schemes().first() {
            Some((first, _)) => *first,
            None => ED25519_WHOLE,
        };
        ParsedPublicKey::new(first, raw).map(|_| ()).map_err(|_| KeyFault::Garbage)
    }

    /// The canonical form of a key, which its id is computed from.
    pub(super) fn canonical(self, raw: &[u8]) -> Option<SubjectPublicKeyInfoOwned> {
        let curve = |oid: &ObjectIdentifier| Any::encode_from(oid).ok();
        let (oid, parameters) = match self {
            Self::EcdsaP256 => (EC, curve(&P256)),
            Self::EcdsaP384 => (EC, curve(&P384)),
            Self::EcdsaP521 => (EC, curve(&P521)),
            Self::Ed25519 => (ED25519, None),
            Self::Rsa => (RSA, Any::encode_from(&Null).ok()),
        };
        let raw = match self {
            Self::EcdsaP256 | Self::EcdsaP384 | Self::EcdsaP521 | Self::Ed25519 => raw.to_vec(),
            Self::Rsa => canonical_pkcs1(raw)?,
        };
        Some(SubjectPublicKeyInfoOwned {
            algorithm: AlgorithmIdentifierOwned { oid, parameters },
            subject_public_key: BitString::from_bytes(&raw).ok()?,
        })
    }

    /// The forms of signature that are tried, each over a hash. cosign takes the curve's own since 2.6 and SHA-256 before.
    /// ECDSA is strict DER. RSA is PKCS#1 v1.5 or PSS with a salt as long as the hash. Ed25519 has none of this kind.
    pub(super) fn schemes(self) -> &'static [Scheme] {
        match self {
            Self::EcdsaP256 => &[(&lc::ECDSA_P256_SHA256_ASN1, &hash::SHA256)],
            Self::EcdsaP384 => {
                &[(&lc::ECDSA_P384_SHA384_ASN1, &hash::SHA384), (&lc::ECDSA_P384_SHA256_ASN1, &hash::SHA256)]
            }
            Self::EcdsaP521 => {
                &[(&lc::ECDSA_P521_SHA512_ASN1, &hash::SHA512), (&lc::ECDSA_P521_SHA256_ASN1, &hash::SHA256)]
            }
            Self::Ed25519 => &[],
            Self::Rsa => &[
                (&lc::RSA_PKCS1_2048_8192_SHA256, &hash::SHA256),
                (&lc::RSA_PKCS1_2048_8192_SHA384, &hash::SHA384),
                (&lc::RSA_PKCS1_2048_8192_SHA512, &hash::SHA512),
                (&lc::RSA_PSS_2048_8192_SHA256, &hash::SHA256),
                (&lc::RSA_PSS_2048_8192_SHA384, &hash::SHA384),
                (&lc::RSA_PSS_2048_8192_SHA512, &hash::SHA512),
            ],
        }
    }
}

impl Algorithm {
    /// The forms of signature over one hash: what a timestamp authority names.
    pub(super) fn over(self, hash: &hash::Algorithm) -> &'static [&'static dyn VerificationAlgorithm] {
        let (sha256, sha384) = (*hash == hash::SHA256, *hash == hash::SHA384);
        match self {
            Self::EcdsaP256 if sha256 => &[&lc::ECDSA_P256_SHA256_ASN1],
            Self::EcdsaP256 if sha384 => &[&lc::ECDSA_P256_SHA384_ASN1],
            Self::EcdsaP256 => &[&lc::ECDSA_P256_SHA512_ASN1],
            Self::EcdsaP384 if sha256 => &[&lc::ECDSA_P384_SHA256_ASN1],
            Self::EcdsaP384 if sha384 => &[&lc::ECDSA_P384_SHA384_ASN1],
            Self::EcdsaP384 => &[&lc::ECDSA_P384_SHA512_ASN1],
            Self::EcdsaP521 if sha256 => &[&lc::ECDSA_P521_SHA256_ASN1],
            Self::EcdsaP521 if sha384 => &[&lc::ECDSA_P521_SHA384_ASN1],
            Self::EcdsaP521 => &[&lc::ECDSA_P521_SHA512_ASN1],
            Self::Ed25519 => &[&lc::ED25519],
            Self::Rsa if sha256 => &[&lc::RSA_PKCS1_2048_8192_SHA256, &lc::RSA_PSS_2048_8192_SHA256],
            Self::Rsa if sha384 => &[&lc::RSA_PKCS1_2048_8192_SHA384, &lc::RSA_PSS_2048_8192_SHA384],
            Self::Rsa => &[&lc::RSA_PKCS1_2048_8192_SHA512, &lc::RSA_PSS_2048_8192_SHA512],
        }
    }
}

/// Ed25519 over the message itself.
pub(super) const ED25519_WHOLE: &lc::EdDSAParameters = &lc::ED25519;

fn rsa_parts(pkcs1: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let mut reader = SliceReader::new(pkcs1).ok()?;
    let parts = reader.sequence(|body| {
        let modulus = UintRef::decode(body)?.as_bytes().to_vec();
        let exponent = UintRef::decode(body)?.as_bytes().to_vec();
        Ok((modulus, exponent))
    });
    reader.finish(parts.ok()?).ok()
}

fn bits_of(modulus: &[u8]) -> u32 {
    let leading = modulus.first().map_or(8, |byte| byte.leading_zeros());
    u32::try_from(modulus.len()).unwrap_or(u32::MAX).saturating_mul(8).saturating_sub(leading)
}

/// Bits of the modulus of an RSA key in PKCS#1.
pub(super) fn rsa_bits(pkcs1: &[u8]) -> Option<u32> {
    rsa_parts(pkcs1).map(|(modulus, _)| bits_of(&modulus))
}

fn canonical_pkcs1(encoded: &[u8]) -> Option<Vec<u8>> {
    let (modulus, exponent) = rsa_parts(encoded)?;
    pkcs1(&modulus, &exponent)
}

impl Algorithm {
    /// The same ECDSA signature in DER, where it is written as its two numbers one behind the other (IEEE P1363), each
    /// as long as the curve's order; `None` for any other.
    pub(super) fn in_der(self, signature: &[u8]) -> Option<Vec<u8>> {
        let bytes = match self {
            Self::EcdsaP256 => 32,
            Self::EcdsaP384 => 48,
            Self::EcdsaP521 => 66,
            Self::Ed25519 | Self::Rsa => return None,
        };
        let (r, s) = signature.split_at_checked(bytes).filter(|(_, s)| s.len() == bytes)?;
        two_numbers(r, s)
    }
}

/// Whether bytes have the form of a signature by a key of any kind that is accepted: ECDSA in DER or as two numbers,
/// Ed25519, RSA. Bytes in no such form are not a stranger's signature but an unknown encoding.
pub(super) fn is_encoded(signature: &[u8]) -> bool {
    let in_der = || rsa_parts(signature).is_some_and(|(r, s)| r.len() <= 66 && s.len() <= 66);
    matches!(signature.len(), 64 | 96 | 132 | 256..=512) || in_der()
}

/// An RSA key in PKCS#1 of its two numbers, big-endian.
pub(super) fn pkcs1(modulus: &[u8], exponent: &[u8]) -> Option<Vec<u8>> {
    two_numbers(modulus, exponent)
}

/// A sequence of two whole numbers, big-endian.
fn two_numbers(first: &[u8], second: &[u8]) -> Option<Vec<u8>> {
    let mut body = UintRef::new(first).and_then(|number| number.to_der()).ok()?;
    body.extend(UintRef::new(second).and_then(|number| number.to_der()).ok()?);
    Any::new(x509_cert::der::Tag::Sequence, body).and_then(|sequence| sequence.to_der()).ok()
}

/// Tells whether DER is a private key: PKCS#8 and PKCS#1 (and SEC 1) begin with a small version number.
pub(super) fn is_private_key(der: &[u8]) -> bool {
    let Ok(any) = Any::from_der(der) else { return false };
    if any.tag() != x509_cert::der::Tag::Sequence {
        return false;
    }
    let Ok(mut reader) = SliceReader::new(any.value()) else { return false };
    UintRef::decode(&mut reader).is_ok_and(|version| version.as_bytes().len() == 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The largest modulus of `bits` bits, with an exponent.
    fn of_bits(bits: u32) -> Vec<u8> {
        let mut modulus = vec![0xff; bits.div_ceil(8) as usize];
        modulus[0] >>= modulus.len() as u32 * 8 - bits;
        pkcs1(&modulus, &[1, 0, 1]).unwrap()
    }

    #[test]
    fn a_key_of_rsa_has_so_many_bits_and_not_one_less_or_more() {
        let (min, max) = (limits::RSA_BITS_MIN, limits::RSA_BITS_MAX);
        for (bits, taken) in [(min, true), (min - 1, false), (max, true), (max + 1, false)] {
            assert_eq!(Algorithm::rsa(&of_bits(bits)).is_ok(), taken, "{bits}");
        }
    }
}
