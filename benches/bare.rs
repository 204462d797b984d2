//! Bare signature checks: what the library of the gate takes for one, and nothing around it.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    self, EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair as _, RsaKeyPair, UnparsedPublicKey,
    VerificationAlgorithm,
};
use aws_lc_rs::{encoding::AsDer as _, rsa};

/// A kind of signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bare {
    /// ECDSA P-256 with SHA-256.
    P256,
    /// ECDSA P-384 with SHA-384.
    P384,
    /// Ed25519.
    Ed25519,
    /// RSA of 4096 bits, PKCS#1 v1.5 with SHA-256.
    Rsa4096,
}

type Failed = Box<dyn std::error::Error>;

/// What is signed: as long as a log's checkpoint or a signed time.
const MESSAGE: [u8; 300] = [7; 300];

impl Bare {
    /// Every kind; the yardstick first.
    pub const ALL: [Self; 4] = [Self::P256, Self::P384, Self::Ed25519, Self::Rsa4096];

    /// A check of one good signature, which tells whether it held.
    ///
    /// # Errors
    /// When no key can be made.
    pub fn check(self) -> Result<Box<dyn Fn() -> bool>, Failed> {
        let random = SystemRandom::new();
        Ok(match self {
            Self::P256 => ecdsa(
                &signature::ECDSA_P256_SHA256_ASN1_SIGNING,
                &signature::ECDSA_P256_SHA256_ASN1,
                &random,
            )?,
            Self::P384 => ecdsa(
                &signature::ECDSA_P384_SHA384_ASN1_SIGNING,
                &signature::ECDSA_P384_SHA384_ASN1,
                &random,
            )?,
            Self::Ed25519 => {
                let pair = Ed25519KeyPair::generate()?;
                held(&signature::ED25519, pair.public_key().as_ref(), pair.sign(&MESSAGE).as_ref())
            }
            Self::Rsa4096 => {
                let pair = RsaKeyPair::generate(rsa::KeySize::Rsa4096)?;
                let mut made = vec![0; pair.public_modulus_len()];
                pair.sign(&signature::RSA_PKCS1_SHA256, &random, &MESSAGE, &mut made)?;
                held(&signature::RSA_PKCS1_2048_8192_SHA256, pair.public_key().as_der()?.as_ref(), &made)
            }
        })
    }
}

fn ecdsa(
    signing: &'static EcdsaSigningAlgorithm,
    verifying: &'static dyn VerificationAlgorithm,
    random: &SystemRandom,
) -> Result<Box<dyn Fn() -> bool>, Failed> {
    let pair = EcdsaKeyPair::generate(signing)?;
    let made = pair.sign(random, &MESSAGE)?;
    Ok(held(verifying, pair.public_key().as_ref(), made.as_ref()))
}

fn held(algorithm: &'static dyn VerificationAlgorithm, key: &[u8], made: &[u8]) -> Box<dyn Fn() -> bool> {
    let (key, made) = (UnparsedPublicKey::new(algorithm, key.to_vec()), made.to_vec());
    Box::new(move || key.verify(&MESSAGE, &made).is_ok())
}

impl fmt::Display for Bare {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::P256 => "P-256",
            Self::P384 => "P-384",
            Self::Ed25519 => "Ed25519",
            Self::Rsa4096 => "RSA 4096",
        })
    }
}
