//! What is taken for evidence and nothing else: no runtime's reader of archives reads it.

use bytes::Bytes;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::servable::EvidenceOnly;

use crate::made::{Layer, Made};
use crate::signing::{BUNDLE, DSSE, SIGN_PREDICATE, SIMPLE_SIGNING, Signer, carrier};

/// Where a tar header has its checksum.
const FIELD: std::ops::Range<usize> = 148..156;
const HEADER: usize = 512;
/// gzip, bzip2, xz, zstd and its frames that are skipped: what runtimes detect by content.
const COMPRESSED: [&[u8]; 5] = [b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"\x2a\x4d\x18"];

pub(super) fn layers() -> Vec<Vec<u8>> {
    let (signer, image) = (Signer::new(), Made::image());
    let digest = image.digest();
    let mut seeds = Vec::new();
    for layer in [
        signer.signature(&digest),
        signer.attestation(&digest, SIGN_PREDICATE),
        signer.bundle(&digest, SIGN_PREDICATE),
    ] {
        // As it is, and as a header whose sum is right, among blanks.
        let mut long = layer.bytes.clone();
        long.resize(long.len().max(2 * HEADER), b' ');
        seeds.extend([layer.bytes, summed(long)]);
    }
    seeds
}

/// The same with its own sum in the field, in digits that are those of a digest or of base64 too.
fn summed(mut bytes: Vec<u8>) -> Vec<u8> {
    let sum = sums(&bytes).map_or(0, |(unsigned, _)| unsigned);
    if let Some(field) = bytes.get_mut(FIELD) {
        field.copy_from_slice(format!("{sum:08o}").as_bytes());
    }
    bytes
}

/// Of bytes as unsigned and as signed numbers, the field taken for blanks.
fn sums(bytes: &[u8]) -> Option<(i64, i64)> {
    let header = bytes.get(..HEADER)?;
    let counted = header.iter().enumerate().map(|(at, byte)| if FIELD.contains(&at) { b' ' } else { *byte });
    Some(counted.fold((0, 0), |(unsigned, signed), byte| {
        (unsigned + i64::from(byte), signed + i64::from(byte.cast_signed()))
    }))
}

/// As Go's `archive/tar` takes the field: blanks and NULs around octal digits, nothing for 0.
fn is_header(bytes: &[u8]) -> bool {
    let Some((unsigned, signed)) = sums(bytes) else { return false };
    let field = bytes.get(FIELD).unwrap_or_default();
    let text = String::from_utf8_lossy(field);
    let digits = text.trim_matches([' ', '\0']);
    let digits = digits.split('\0').next().unwrap_or_default();
    let claimed = if digits.is_empty() { Some(0) } else { i64::from_str_radix(digits, 8).ok() };
    claimed.is_some_and(|claimed| claimed == unsigned || claimed == signed)
}

pub(super) fn only(input: &[u8]) -> Result<(), String> {
    for kind in [SIMPLE_SIGNING, DSSE, BUNDLE] {
        let made = carrier(vec![Layer::new(kind, input.to_vec())]);
        let intact = |bytes: &[u8]| Untrusted::new(Bytes::copy_from_slice(bytes)).hash();
        let Ok(document) = intact(&made.bytes).parse(None) else { continue };
        let blobs = made.blobs.iter().map(|blob| intact(blob)).collect();
        if EvidenceOnly::check(document, blobs).is_err() {
            continue;
        }
        if is_header(input) || COMPRESSED.iter().any(|magic| input.starts_with(magic)) {
            return Err(format!("{kind}: a runtime unpacks it"));
        }
        serde_json::from_slice::<serde_json::Value>(input)
            .map_err(|error| format!("{kind}: no JSON: {error}"))?;
    }
    Ok(())
}
