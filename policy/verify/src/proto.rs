//! The JSON of protobuf messages, normalised to one form (protobuf, "ProtoJSON Format"): spellings that its readers
//! must take for equal become equal. Bytes may be in either alphabet of base64, with or without padding; enums names or
//! numbers; 64-bit numbers texts or numbers; a field may have its original name; null is absent.

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD, URL_SAFE, URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::encoding;

/// A field stands under its JSON name and under its original one: two readers could take two different values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a field stands twice, under both of its names")]
pub(crate) struct Twice;

/// A message by its fields; fields that are not read stay as they are.
pub(crate) struct Message(&'static [(&'static str, Holds)]);

/// What a field holds.
enum Holds {
    Bytes,
    /// An enum, its names in the order of their numbers.
    Named(&'static [&'static str]),
    One(&'static Message),
    Many(&'static Self),
    Text,
    Whole,
}

use Holds::{Bytes, Many, Named, One, Text, Whole};

const HASHES: Holds =
    Named(&["HASH_ALGORITHM_UNSPECIFIED", "SHA2_256", "SHA2_384", "SHA2_512", "SHA3_256", "SHA3_384"]);
const KEYS: Holds = Named(&[
    "PUBLIC_KEY_DETAILS_UNSPECIFIED",
    "PKCS1_RSA_PKCS1V5",
    "PKCS1_RSA_PSS",
    "PKIX_RSA_PKCS1V5",
    "PKIX_RSA_PSS",
    "PKIX_ECDSA_P256_SHA_256",
    "PKIX_ECDSA_P256_HMAC_SHA_256",
    "PKIX_ED25519",
    "PKIX_ED25519_PH",
    "PKIX_RSA_PKCS1V15_2048_SHA256",
    "PKIX_RSA_PKCS1V15_3072_SHA256",
    "PKIX_RSA_PKCS1V15_4096_SHA256",
    "PKIX_ECDSA_P384_SHA_384",
    "PKIX_ECDSA_P521_SHA_512",
]);

const RAW: Message = Message(&[("rawBytes", Bytes)]);
const CHAIN: Message = Message(&[("certificates", Many(&One(&RAW)))]);
const ID: Message = Message(&[("keyId", Bytes)]);

/// `sigstore_bundle.proto`. Payload and signatures of an envelope are read as DSSE writes them.
pub(crate) const BUNDLE: Message = Message(&[
    ("mediaType", Text),
    ("verificationMaterial", One(&MATERIAL)),
    ("messageSignature", One(&Message(&[("messageDigest", One(&HASHED)), ("signature", Bytes)]))),
    ("dsseEnvelope", One(&Message(&[("payloadType", Text)]))),
]);
const HASHED: Message = Message(&[("algorithm", HASHES), ("digest", Bytes)]);
const MATERIAL: Message = Message(&[
    ("publicKey", One(&Message(&[]))),
    ("x509CertificateChain", One(&CHAIN)),
    ("certificate", One(&RAW)),
    ("tlogEntries", Many(&One(&ENTRY))),
    ("timestampVerificationData", One(&Message(&[("rfc3161Timestamps", Many(&One(&TIMESTAMP)))]))),
]);
const TIMESTAMP: Message = Message(&[("signedTimestamp", Bytes)]);
const ENTRY: Message = Message(&[
    ("logIndex", Whole),
    ("logId", One(&ID)),
    ("kindVersion", One(&Message(&[]))),
    ("integratedTime", Whole),
    ("inclusionPromise", One(&Message(&[("signedEntryTimestamp", Bytes)]))),
    ("inclusionProof", One(&PROOF)),
    ("canonicalizedBody", Bytes),
]);
const PROOF: Message = Message(&[
    ("logIndex", Whole),
    ("rootHash", Bytes),
    ("treeSize", Whole),
    ("hashes", Many(&Bytes)),
    ("checkpoint", One(&Message(&[]))),
]);

/// `sigstore_trustroot.proto`.
pub(crate) const TRUSTED_ROOT: Message = Message(&[
    ("mediaType", Text),
    ("tlogs", Many(&One(&LOG))),
    ("certificateAuthorities", Many(&One(&AUTHORITY))),
    ("ctlogs", Many(&One(&LOG))),
    ("timestampAuthorities", Many(&One(&AUTHORITY))),
]);
const LOG: Message = Message(&[
    ("baseUrl", Text),
    ("hashAlgorithm", HASHES),
    (
        "publicKey",
        One(&Message(&[("rawBytes", Bytes), ("keyDetails", KEYS), ("validFor", One(&Message(&[])))])),
    ),
    ("logId", One(&ID)),
    ("checkpointKeyId", One(&ID)),
]);
const AUTHORITY: Message = Message(&[
    ("subject", One(&Message(&[("commonName", Text)]))),
    ("certChain", One(&CHAIN)),
    ("validFor", One(&Message(&[]))),
]);

/// Writes a message in the one form. An unreadable value stays as it is, for the later checks to refuse.
pub(crate) fn normal(value: Value, message: &Message) -> Result<Value, Twice> {
    let Value::Object(mut members) = value else { return Ok(value) };
    members.retain(|_, member| !member.is_null());
    for (name, holds) in message.0 {
        let original = original(name);
        let (by_name, by_original) = (members.remove(*name), other(&mut members, name, &original));
        let member = match (by_name, by_original) {
            (Some(_), Some(_)) => return Err(Twice),
            (Some(member), None) | (None, Some(member)) => member,
            (None, None) => continue,
        };
        members.insert((*name).to_owned(), holds.normal(member)?);
    }
    Ok(Value::Object(members))
}

/// The field under its original name, where that is another.
fn other(members: &mut Map<String, Value>, name: &str, original: &str) -> Option<Value> {
    (original != name).then(|| members.remove(original)).flatten()
}

/// The name of a field before it was written for JSON: `logIndex` was `log_index`.
fn original(name: &str) -> String {
    let mut text = String::with_capacity(name.len() + 4);
    for c in name.chars() {
        if c.is_ascii_uppercase() {
            text.push('_');
        }
        text.push(c.to_ascii_lowercase());
    }
    text
}

impl Holds {
    fn normal(&self, value: Value) -> Result<Value, Twice> {
        Ok(match (self, value) {
            (Bytes, Value::String(text)) => Value::String(bytes(&text).unwrap_or(text)),
            (Named(names), Value::Number(number)) => {
                let at = number.as_u64().and_then(|number| usize::try_from(number).ok());
                // An unknown number becomes an unknown name.
                let name = at.and_then(|at| names.get(at)).map(|name| (*name).to_owned());
                Value::String(name.unwrap_or_else(|| number.to_string()))
            }
            (Whole, Value::Number(number)) if number.is_i64() || number.is_u64() => {
                Value::String(number.to_string())
            }
            (One(message), value) => normal(value, message)?,
            (Many(each), Value::Array(items)) => {
                Value::Array(items.into_iter().map(|item| each.normal(item)).collect::<Result<_, _>>()?)
            }
            (_, value) => value,
        })
    }
}

/// The same bytes in the standard alphabet with padding; `None` where the text is not base64, or has stray bits at its
/// end.
fn bytes(text: &str) -> Option<String> {
    let url_safe = text.contains(['-', '_']);
    let decoded = match (url_safe, text.contains('=')) {
        (false, true) => STANDARD.decode(text),
        (false, false) => STANDARD_NO_PAD.decode(text),
        (true, true) => URL_SAFE.decode(text),
        (true, false) => URL_SAFE_NO_PAD.decode(text),
    };
    decoded.ok().map(|bytes| encoding::encode(&bytes))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_form_of_a_field_that_readers_must_take_is_one() {
        let canonical = json!({
            "mediaType": "x",
            "verificationMaterial": {
                "certificate": { "rawBytes": "+/8=" },
                "tlogEntries": [{
                    "logIndex": "7", "logId": { "keyId": "+/8=" }, "kindVersion": { "kind": "dsse" },
                    "inclusionProof": { "treeSize": "18446744073709551615", "hashes": ["+/8="] },
                }],
                "timestampVerificationData": { "rfc3161Timestamps": [{ "signedTimestamp": "+/8=" }] },
            },
            "messageSignature": { "messageDigest": { "algorithm": "SHA2_384", "digest": "+/8=" }, "signature": "+/8=" },
        });
        let other = json!({
            "media_type": "x",
            "verification_material": {
                "certificate": { "raw_bytes": "-_8=" },
                "public_key": null,
                "tlog_entries": [{
                    "log_index": 7, "log_id": { "key_id": "-_8" }, "kind_version": { "kind": "dsse" },
                    "inclusion_proof": { "tree_size": 18_446_744_073_709_551_615_u64, "hashes": ["+/8"] },
                }],
                "timestamp_verification_data": { "rfc3161_timestamps": [{ "signed_timestamp": "-_8=" }] },
            },
            "dsseEnvelope": null,
            "message_signature": { "message_digest": { "algorithm": 2, "digest": "-_8" }, "signature": "+/8=" },
        });
        assert_eq!(normal(canonical.clone(), &BUNDLE), Ok(canonical.clone()));
        assert_eq!(normal(other, &BUNDLE), Ok(canonical));
        let root = json!({
            "tlogs": [{ "base_url": "u", "hash_algorithm": 1, "public_key": { "key_details": 5, "valid_for": { "start": "s" } }, "log_id": { "key_id": "-_8" } }],
            "certificate_authorities": [{ "cert_chain": { "certificates": [{ "raw_bytes": "-_8" }] } }],
        });
        let read = json!({
            "tlogs": [{ "baseUrl": "u", "hashAlgorithm": "SHA2_256", "publicKey": { "keyDetails": "PKIX_ECDSA_P256_SHA_256", "validFor": { "start": "s" } }, "logId": { "keyId": "+/8=" } }],
            "certificateAuthorities": [{ "certChain": { "certificates": [{ "rawBytes": "+/8=" }] } }],
        });
        assert_eq!(normal(root, &TRUSTED_ROOT), Ok(read));
    }

    #[test]
    fn a209_a254_a_field_under_both_names_is_refused_and_junk_is_left_alone() {
        for twice in [
            json!({ "mediaType": "a", "media_type": "a" }),
            json!({ "messageSignature": { "messageDigest": {}, "message_digest": {} } }),
            json!({ "verificationMaterial": { "tlogEntries": [{ "logIndex": "1", "log_index": "1" }] } }),
        ] {
            assert_eq!(normal(twice.clone(), &BUNDLE), Err(Twice), "{twice}");
        }
        for signature in ["-/8=", "+/9=", "+/8==", " +/8=", "+/8=\n", "*", "+"] {
            let as_it_is = json!({ "messageSignature": { "signature": signature } });
            assert_eq!(normal(as_it_is.clone(), &BUNDLE), Ok(as_it_is), "{signature:?}");
        }
        for index in [json!(1.5), json!(-1.5), json!(true), json!([7])] {
            let as_it_is = json!({ "verificationMaterial": { "tlogEntries": [{ "logIndex": index }] } });
            assert_eq!(normal(as_it_is.clone(), &BUNDLE), Ok(as_it_is));
        }
        let unknown = json!({ "tlogs": [{ "publicKey": { "keyDetails": 99 } }] });
        let named = json!({ "tlogs": [{ "publicKey": { "keyDetails": "99" } }] });
        assert_eq!(normal(unknown, &TRUSTED_ROOT), Ok(named));
        assert_eq!(normal(json!([1]), &BUNDLE), Ok(json!([1])));
    }
}
