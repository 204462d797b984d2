//! Parts of DER that no type stands for here.

use aws_lc_rs::digest::{self as hash, Algorithm};
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Reader as _, SliceReader, Tag, TagNumber, Tagged as _};

const SHA256: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.1");
const SHA384: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.2");
const SHA512: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.16.840.1.101.3.4.2.3");

/// The hash that an AlgorithmIdentifier names; none of SHA-1 and what is older.
pub(crate) fn hash_of(identified: AnyRef<'_>) -> Option<&'static Algorithm> {
    match identifier(identified)? {
        SHA256 => Some(&hash::SHA256),
        SHA384 => Some(&hash::SHA384),
        SHA512 => Some(&hash::SHA512),
        _ => None,
    }
}

/// What an AlgorithmIdentifier names.
pub(crate) fn identifier(algorithm: AnyRef<'_>) -> Option<ObjectIdentifier> {
    parts(algorithm)?.first()?.decode_as().ok()
}

/// Whether it is marked with this number, and has parts.
pub(crate) fn is_marked(one: AnyRef<'_>, number: TagNumber) -> bool {
    one.tag() == Tag::ContextSpecific { constructed: true, number }
}

/// Whether it is marked with this number, and has none.
pub(crate) fn is_marked_plain(one: AnyRef<'_>, number: TagNumber) -> bool {
    one.tag() == Tag::ContextSpecific { constructed: false, number }
}

/// The parts of a sequence or set.
pub(crate) fn parts(whole: AnyRef<'_>) -> Option<Vec<AnyRef<'_>>> {
    split(matches!(whole.tag(), Tag::Sequence | Tag::Set).then(|| whole.value())?)
}

/// What stands one behind the other.
pub(crate) fn split(content: &[u8]) -> Option<Vec<AnyRef<'_>>> {
    let mut reader = SliceReader::new(content).ok()?;
    let mut parts = Vec::new();
    while !reader.is_finished() {
        parts.push(AnyRef::decode(&mut reader).ok()?);
    }
    Some(parts)
}

/// The same, each with its tag and length.
pub(crate) fn whole_parts(content: &[u8]) -> Option<Vec<Vec<u8>>> {
    split(content)?.into_iter().map(|one| one.to_der().ok()).collect()
}

/// What is signed of something that is signed: the first part of the sequence, as it stands there.
pub(crate) fn signed_part(der: &[u8]) -> Option<&[u8]> {
    let mut reader = SliceReader::new(der).ok()?;
    let body = AnyRef::decode(&mut reader).ok().filter(|whole| whole.tag() == Tag::Sequence)?;
    SliceReader::new(body.value()).ok()?.tlv_bytes().ok()
}
