//! Timestamps by themselves: the library checks them only along the way to a signature by a key that it knows.

use jiff::Timestamp;
use serde_json::Value;
use sigstore_trust_root::TrustedRoot;
use sigstore_tsa::verify_timestamp_for_authority;
use sigstore_types::{SignatureBytes, TimestampToken, TsaAuthority};

use crate::encoding;

/// The timestamp authorities of one trusted root.
pub(super) struct Clocks(Vec<TsaAuthority>);

impl Clocks {
    pub(super) fn of(root: &TrustedRoot) -> Self {
        let authority = |listed: &sigstore_trust_root::TimestampAuthority| {
            let certificates: Vec<_> =
                listed.cert_chain.certificates.iter().map(|one| one.raw_bytes.clone()).collect();
            let (leaf, others) = certificates.split_first()?;
            // An authority that is its own root stands alone.
            let (root, between) = others.split_last().unwrap_or((leaf, &[]));
            Some(TsaAuthority::new(leaf.clone(), between.to_vec(), root.clone(), listed.valid_for))
        };
        Self(root.timestamp_authorities.iter().filter_map(authority).collect())
    }

    /// The earliest of the times at which `signature` was seen, each by an authority within its window; none where one
    /// token of a bundle does not count, as with the library.
    pub(super) fn earliest(&self, tokens: &[Value], signature: &[u8]) -> Option<Timestamp> {
        let signature = SignatureBytes::new(signature.to_vec());
        let times: Option<Vec<_>> = tokens.iter().map(|token| self.time(token, &signature)).collect();
        times?.into_iter().min()
    }

    fn time(&self, token: &Value, signature: &SignatureBytes) -> Option<Timestamp> {
        let token = token.get("signedTimestamp").and_then(Value::as_str).and_then(encoding::standard)?;
        let token = TimestampToken::new(token);
        self.0.iter().find_map(|authority| verify_timestamp_for_authority(&token, signature, authority).ok())
    }
}
