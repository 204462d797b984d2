//! The six algorithms, each of which goes with one kind of key (signature specification, "Algorithm Selection").

use pullgate_policy::code::Code;

use crate::fault::PieceFault;
use crate::key::{Hash, PublicKey, Size, Way};

/// How an envelope is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Algorithm {
    Es256,
    Es384,
    Es512,
    Ps256,
    Ps384,
    Ps512,
}

impl Algorithm {
    /// By its name in JWS.
    pub(super) fn of_jws(word: &str) -> Option<Self> {
        Some(match word {
            "ES256" => Self::Es256,
            "ES384" => Self::Es384,
            "ES512" => Self::Es512,
            "PS256" => Self::Ps256,
            "PS384" => Self::Ps384,
            "PS512" => Self::Ps512,
            _ => return None,
        })
    }

    /// By its number in COSE.
    pub(super) fn of_cose(number: i128) -> Option<Self> {
        Some(match number {
            -7 => Self::Es256,
            -35 => Self::Es384,
            -36 => Self::Es512,
            -37 => Self::Ps256,
            -38 => Self::Ps384,
            -39 => Self::Ps512,
            _ => return None,
        })
    }

    /// The one that a key signs with.
    ///
    /// # Errors
    /// [`Code::KeyUnsupported`], of a key of any other kind or size.
    pub(super) fn of_key(key: &PublicKey) -> Result<Self, PieceFault> {
        match key.size() {
            Size::P256 => Ok(Self::Es256),
            Size::P384 => Ok(Self::Es384),
            Size::P521 => Ok(Self::Es512),
            Size::Rsa(2048) => Ok(Self::Ps256),
            Size::Rsa(3072) => Ok(Self::Ps384),
            Size::Rsa(4096) => Ok(Self::Ps512),
            Size::Rsa(bits) => Err(PieceFault::new(Code::KeyUnsupported, format!("RSA with {bits} bits"))),
            Size::Ed25519 => Err(PieceFault::new(Code::KeyUnsupported, "an Ed25519 key")),
        }
    }

    /// The form of its signatures.
    pub(super) fn way(self) -> Way {
        match self {
            Self::Es256 | Self::Es384 | Self::Es512 => Way::Fixed,
            Self::Ps256 => Way::Pss(Hash::Sha256),
            Self::Ps384 => Way::Pss(Hash::Sha384),
            Self::Ps512 => Way::Pss(Hash::Sha512),
        }
    }
}
