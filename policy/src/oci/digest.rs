//! Content digests (OCI image-spec, "Descriptor": digests). Parsed before they can name a file, a key or a URL.

use std::fmt;
use std::str::FromStr;

use aws_lc_rs::digest as hash;

/// A registered content digest: `sha256:` with 64 or `sha512:` with 128 lower-case hex digits.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Digest {
    /// SHA-256: what every verdict, grant and block is keyed by.
    Sha256([u8; 32]),
    /// SHA-512: accepted in a reference or descriptor; judged under the SHA-256 of the bytes (A013).
    Sha512([u8; 64]),
}

/// Why a text is no digest. It never repeats the text, which comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a sha256 or sha512 digest in lower-case hex")]
pub struct DigestInvalid;

impl Digest {
    /// The SHA-256 digest of `bytes`.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::sha256();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The SHA-512 digest of `bytes`.
    #[must_use]
    pub fn sha512_of(bytes: &[u8]) -> Self {
        let mut hasher = Hasher::sha512();
        hasher.update(bytes);
        hasher.finish()
    }

    /// The digest of `bytes` under the algorithm of `self`.
    #[must_use]
    pub fn recompute(&self, bytes: &[u8]) -> Self {
        match self {
            Self::Sha256(_) => Self::of(bytes),
            Self::Sha512(_) => Self::sha512_of(bytes),
        }
    }

    /// The algorithm's registered name.
    #[must_use]
    pub fn algorithm(&self) -> &'static str {
        match self {
            Self::Sha256(_) => "sha256",
            Self::Sha512(_) => "sha512",
        }
    }

    /// The lower-case hex digits, without the algorithm.
    #[must_use]
    pub fn hex(&self) -> String {
        hex::encode(self.as_bytes())
    }

    /// The raw hash.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        match self {
            Self::Sha256(bytes) => bytes,
            Self::Sha512(bytes) => bytes,
        }
    }
}

impl FromStr for Digest {
    type Err = DigestInvalid;

    fn from_str(text: &str) -> Result<Self, DigestInvalid> {
        let (algorithm, digits) = text.split_once(':').ok_or(DigestInvalid)?;
        if !digits.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f')) {
            return Err(DigestInvalid);
        }
        match algorithm {
            "sha256" => {
                let mut bytes = [0; 32];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestInvalid)?;
                Ok(Self::Sha256(bytes))
            }
            "sha512" => {
                let mut bytes = [0; 64];
                hex::decode_to_slice(digits, &mut bytes).map_err(|_| DigestInvalid)?;
                Ok(Self::Sha512(bytes))
            }
            _ => Err(DigestInvalid),
        }
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In one piece: a digest is written several times for each answer.
        let (algorithm, bytes) = (self.algorithm(), self.as_bytes());
        let mut text = String::with_capacity(algorithm.len() + 1 + bytes.len() * 2);
        text.push_str(algorithm);
        text.push(':');
        let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
        text.extend(digits.filter_map(|digit| char::from_digit(u32::from(digit), 16)));
        f.write_str(&text)
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl serde::Serialize for Digest {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> serde::Deserialize<'de> for Digest {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// An incremental hash, for bodies that pass through in pieces.
#[derive(Clone)]
pub struct Hasher {
    context: hash::Context,
    algorithm: Algorithm,
}

#[derive(Clone, Copy)]
enum Algorithm {
    Sha256,
    Sha512,
}

impl Hasher {
    /// A SHA-256 hasher.
    #[must_use]
    pub fn sha256() -> Self {
        Self { context: hash::Context::new(&hash::SHA256), algorithm: Algorithm::Sha256 }
    }

    /// A SHA-512 hasher.
    #[must_use]
    pub fn sha512() -> Self {
        Self { context: hash::Context::new(&hash::SHA512), algorithm: Algorithm::Sha512 }
    }

    /// A hasher of the algorithm that `digest` uses.
    #[must_use]
    pub fn like(digest: &Digest) -> Self {
        match digest {
            Digest::Sha256(_) => Self::sha256(),
            Digest::Sha512(_) => Self::sha512(),
        }
    }

    /// Takes the next piece.
    pub fn update(&mut self, bytes: &[u8]) {
        self.context.update(bytes);
    }

    /// The digest of everything that was taken.
    #[must_use]
    pub fn finish(self) -> Digest {
        let output = self.context.finish();
        match self.algorithm {
            Algorithm::Sha256 => {
                let mut bytes = [0; 32];
                bytes.copy_from_slice(output.as_ref());
                Digest::Sha256(bytes)
            }
            Algorithm::Sha512 => {
                let mut bytes = [0; 64];
                bytes.copy_from_slice(output.as_ref());
                Digest::Sha512(bytes)
            }
        }
    }
}

impl fmt::Debug for Hasher {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hasher")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digest_prints_as_it_was_parsed() {
        for text in [Digest::of(b"x").to_string(), Digest::sha512_of(b"x").to_string()] {
            assert_eq!(text.parse::<Digest>().unwrap().to_string(), text);
        }
    }

    #[test]
    fn a012_other_forms_are_no_digest() {
        let hex = "a".repeat(64);
        for text in [
            format!("SHA256:{hex}"),
            format!("sha256:{}", hex.to_uppercase()),
            format!("sha256:{}", "a".repeat(63)),
            format!("sha256:{}", "a".repeat(65)),
            "sha256:../".to_owned(),
            format!("sha1:{}", "a".repeat(40)),
            format!("md5:{}", "a".repeat(32)),
            format!("sha256-{hex}"),
            format!("sha256+b64:{hex}"),
            format!("sha512:{hex}"),
            format!(" sha256:{hex}"),
            String::new(),
        ] {
            assert_eq!(text.parse::<Digest>(), Err(DigestInvalid), "{text}");
        }
    }

    #[test]
    fn hex_is_what_stands_behind_the_algorithm() {
        for digest in [Digest::of(b"x"), Digest::sha512_of(b"x")] {
            assert_eq!(format!("{}:{}", digest.algorithm(), digest.hex()), digest.to_string());
        }
    }
}
