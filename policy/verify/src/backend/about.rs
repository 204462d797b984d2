//! The subject of a log entry: these bytes, this signature, this signer. One comparison for every kind of entry, made after
//! the library's, which binds some kinds to the key alone (A623). Every field that ties an entry must be there, and be the
//! same; nothing is compared with another kind of content.

use aws_lc_rs::digest::{self as hash, Algorithm};
use pullgate_policy::code::Code;
use pullgate_policy::oci::media_type;
use serde_json::Value;

use super::entries::{self, HASHEDREKORD_2, text};
use crate::artifact::SharedArtifact;
use crate::encoding;
use crate::fault::PieceFault;
use crate::key::PublicKey;
use crate::material::{Parts, Signed};

/// The signer, in the form in which an entry names its verifier.
#[derive(Debug, Clone, Copy)]
pub(super) enum Verifier<'a> {
    /// A certificate, in DER.
    Certificate(&'a [u8]),
    /// A key.
    Key(&'a PublicKey),
}

/// Checks that an entry's body is about a signature.
///
/// # Errors
/// `log-entry-kind` for a kind that no entry of such content is of, `unsupported` for one that is not read,
/// `log-entry-mismatch` where something else is in it.
pub(super) fn check(
    kind: (&str, &str),
    body: &Value,
    signed: &Signed,
    by: Verifier<'_>,
) -> Result<(), PieceFault> {
    let incompatible =
        || PieceFault::new(Code::LogEntryKind, "a log entry of a kind that is not for such content");
    let envelope = signed.envelope.as_ref();
    let about = match (kind, envelope) {
        (HASHEDREKORD_2, _) => hashedrekord_2(body, signed, by),
        (("hashedrekord", "0.0.1"), None) => hashedrekord(body, signed, by),
        (("intoto", "0.0.1"), Some(envelope)) => intoto_1(body, envelope, by),
        (("intoto", "0.0.2"), Some(envelope)) => intoto_2(body, envelope, signed, by),
        (("dsse", "0.0.1"), Some(envelope)) => dsse(body, envelope, signed, by),
        (("hashedrekord" | "dsse", "0.0.1") | ("intoto", "0.0.1" | "0.0.2"), _) => return Err(incompatible()),
        _ => return Err(PieceFault::new(Code::Unsupported, "a log entry of a kind that is not read")),
    };
    about.ok_or_else(|| PieceFault::new(Code::LogEntryMismatch, "the entry is about something else"))
}

fn hashedrekord(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    let algorithm = entries::algorithm(text(body, "/spec/data/hash/algorithm")?)?;
    // The bundle names a hash for its message: the entry's is that one (A626).
    signed.hashed_by.is_none_or(|named| named == algorithm).then_some(())?;
    hashes(body, "/spec/data/hash", &signed.artifact)?;
    let signature = encoding::standard(text(body, "/spec/signature/content")?)?;
    let verifier = text(body, "/spec/signature/publicKey/content")?;
    (signature == signed.signature && is_by(verifier, by)).then_some(())
}

/// Rekor v2: over the bytes that were signed, in an envelope too.
fn hashedrekord_2(body: &Value, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    let rekord = body.pointer("/spec/hashedRekordV002")?;
    let bytes = |path: &str| text(rekord, path).and_then(encoding::standard);
    let algorithm: &'static Algorithm = match text(rekord, "/data/algorithm")? {
        "SHA2_256" => &hash::SHA256,
        "SHA2_384" => &hash::SHA384,
        "SHA2_512" => &hash::SHA512,
        _ => return None,
    };
    signed.hashed_by.is_none_or(|named| named == algorithm).then_some(())?;
    let details = text(rekord, "/signature/verifier/keyDetails")?;
    is_hash_of(details, algorithm).then_some(())?;
    let hashed = bytes("/data/digest")? == signed.message.hash(algorithm)?;
    let ours = bytes("/signature/content")? == signed.signature;
    let key = "/signature/verifier/publicKey/rawBytes";
    let certificate = "/signature/verifier/x509Certificate/rawBytes";
    let named = match (by, bytes(key), bytes(certificate)) {
        (Verifier::Key(signer), Some(key), None) => is_key(&key, signer),
        (Verifier::Certificate(leaf), None, Some(certificate)) => certificate == leaf,
        (Verifier::Key(_) | Verifier::Certificate(_), _, _) => false,
    };
    (hashed && ours && named).then_some(())
}

/// Whether a kind of key, as protobuf-specs names it, goes with a hash. Ed25519 hashes with SHA-512 before it signs.
fn is_hash_of(details: &str, algorithm: &Algorithm) -> bool {
    let named: &Algorithm = match details {
        "PKIX_ED25519" | "PKIX_ED25519_PH" => &hash::SHA512,
        _ if details.ends_with("SHA_256") || details.ends_with("SHA256") => &hash::SHA256,
        _ if details.ends_with("SHA_384") => &hash::SHA384,
        _ if details.ends_with("SHA_512") => &hash::SHA512,
        _ => return false,
    };
    named == algorithm
}

/// The hash is over the whole envelope as it was attached, and so over its signatures.
fn intoto_1(body: &Value, envelope: &Parts, by: Verifier<'_>) -> Option<()> {
    hashes(body, "/spec/content/hash", envelope.attached.as_ref()?)?;
    hashes(body, "/spec/content/payloadHash", &envelope.payload)?;
    is_by(text(body, "/spec/publicKey")?, by).then_some(())
}

/// Its envelope has everything but the payload; each signature is base64 of base64.
fn intoto_2(body: &Value, envelope: &Parts, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    hashes(body, "/spec/content/payloadHash", &envelope.payload)?;
    let logged = body.pointer("/spec/content/envelope")?;
    (text(logged, "/payloadType")? == media_type::IN_TOTO_PAYLOAD).then_some(())?;
    let [one] = logged.get("signatures")?.as_array()?.as_slice() else { return None };
    let signature = text(one, "/sig").and_then(encoding::standard)?;
    let signature = std::str::from_utf8(&signature).ok().and_then(encoding::standard)?;
    (signature == signed.signature && is_by(text(one, "/publicKey")?, by)).then_some(())
}

/// The hash of the envelope is over bytes that are not stored; the payload's hash and this signature tie the entry to
/// it.
fn dsse(body: &Value, envelope: &Parts, signed: &Signed, by: Verifier<'_>) -> Option<()> {
    hashes(body, "/spec/payloadHash", &envelope.payload)?;
    let signatures = body.pointer("/spec/signatures")?.as_array()?;
    let mine = |one: &Value| {
        let signature = text(one, "/signature").and_then(encoding::standard);
        signature.as_ref() == Some(&signed.signature)
            && text(one, "/verifier").is_some_and(|pem| is_by(pem, by))
    };
    signatures.iter().any(mine).then_some(())
}

fn hashes(body: &Value, path: &str, of: &SharedArtifact) -> Option<()> {
    let algorithm = entries::algorithm(text(body, &format!("{path}/algorithm"))?)?;
    let value = hex::decode(text(body, &format!("{path}/value"))?).ok()?;
    (Some(value) == of.hash(algorithm)).then_some(())
}

/// Whether an entry names the signer: base64 of one PEM block.
fn is_by(verifier: &str, by: Verifier<'_>) -> bool {
    let pem = encoding::standard(verifier).and_then(|bytes| String::from_utf8(bytes).ok());
    let Some(pem) = pem else { return false };
    match by {
        Verifier::Certificate(leaf) => {
            let blocks = encoding::pem(&pem).unwrap_or_default();
            matches!(blocks.as_slice(), [one] if one.label == "CERTIFICATE" && one.der == leaf)
        }
        Verifier::Key(key) => is_key(pem.as_bytes(), key),
    }
}

/// Whether a key as an entry writes it, PEM or DER, is `key` and nothing besides.
fn is_key(written: &[u8], key: &PublicKey) -> bool {
    let keys = PublicKey::from_file(written).unwrap_or_default();
    matches!(keys.as_slice(), [one] if one.id() == key.id())
}
