//! How many different keys signed. The library counts names of keys; here one key under two names is one (A343).

use std::collections::{BTreeMap, BTreeSet};

use pullgate_policy::identity::KeyId;
use sigstore_tuf::{Key, Metadata, Role, RoleKeys};
use sigstore_types::SignatureBytes;

use super::fault::RefreshFault;
use crate::encoding;
use crate::key::PublicKey;

/// SubjectPublicKeyInfo of a P-256 point up to the point itself (RFC 5480, 2).
const P256_SPKI: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86,
    0x48, 0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// SubjectPublicKeyInfo of an Ed25519 key up to its 32 bytes (RFC 8410, 4).
const ED25519_SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x03, 0x21, 0x00];

/// Checks that as many different keys as `role` demands have signed.
///
/// # Errors
/// [`RefreshFault::Threshold`].
pub(super) fn enough<T: Role>(
    metadata: &Metadata<T>,
    keys: &BTreeMap<String, Key>,
    role: &RoleKeys,
    name: &str,
) -> Result<(), RefreshFault> {
    let fault = || RefreshFault::threshold(name);
    // A threshold of zero would be met without a signature.
    if role.threshold == 0 {
        return Err(fault());
    }
    let mut names = BTreeSet::new();
    let mut signers = BTreeSet::new();
    for signature in metadata.signatures() {
        if signature.sig.is_empty() || !role.keyids.contains(&signature.keyid) {
            continue;
        }
        // One signature for each key id: each repetition would cost another check (A345).
        if !names.insert(&signature.keyid) {
            return Err(fault());
        }
        let Some((id, key)) = keys.get(&signature.keyid).and_then(usable) else { continue };
        let Ok(bytes) = hex::decode(&signature.sig) else { continue };
        if key.verify(metadata.signed_canonical(), &SignatureBytes::new(bytes)).is_ok() {
            signers.insert(id);
        }
    }
    if signers.len() >= role.threshold { Ok(()) } else { Err(fault()) }
}

/// A key with its id computed here, in the form that the library reads. Repositories of before 2023 write the bare
/// point in hex, which it does not.
fn usable(key: &Key) -> Option<(KeyId, Key)> {
    let public = key.keyval.public.trim();
    let pem = if public.starts_with("-----BEGIN") {
        public.to_owned()
    } else {
        let bare = hex::decode(public).ok()?;
        let spki = match (key.scheme.as_str(), bare.len()) {
            ("ecdsa-sha2-nistp256", 65) => [P256_SPKI.as_slice(), &bare].concat(),
            ("ed25519", 32) => [ED25519_SPKI.as_slice(), &bare].concat(),
            _ => return None,
        };
        format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----\n", encoding::encode(&spki))
    };
    let [read] = PublicKey::from_file(pem.as_bytes()).ok()?.try_into().ok()?;
    let mut key = key.clone();
    key.keyval.public = pem;
    Some((read.id(), key))
}
