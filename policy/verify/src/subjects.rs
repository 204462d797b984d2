//! Which subjects a piece of evidence says that it is about. Nothing of it is verified: it says where to look.

use pullgate_policy::limits;
use pullgate_policy::oci::Digest;
use pullgate_policy::strict_json;
use serde_json::Value;

use crate::claim::{Payload, Statement};
use crate::dsse::Envelope;
use crate::encoding;
use crate::found::Item;
use crate::notation;
use crate::proto;

/// The digests that the item names as its subjects, in its own order; empty where it cannot be read. A message
/// signature may name no subject and still be about one.
#[must_use]
pub fn named_subjects(item: &Item) -> Vec<Digest> {
    match item {
        Item::SimpleSigning { payload, .. } => {
            Payload::read(payload).map(|payload| payload.digest).into_iter().collect()
        }
        Item::Dsse { envelope, .. } => {
            let (value, lent) = strict_json::parse_envelope(envelope).unwrap_or_default();
            in_envelope(&value, lent, limits::DSSE_SIGNATURES_ATT)
        }
        Item::Bundle { json } => {
            let (value, lent) = strict_json::parse_bundle(json).unwrap_or_default();
            let value = proto::normal(value, &proto::BUNDLE).unwrap_or_default();
            match (value.get("dsseEnvelope"), value.pointer("/messageSignature/messageDigest")) {
                (Some(envelope), _) if !envelope.is_null() => {
                    in_envelope(envelope, lent, limits::DSSE_SIGNATURES_BUNDLE)
                }
                (_, Some(digest)) => in_message(digest).into_iter().collect(),
                (_, None) => Vec::new(),
            }
        }
        Item::Envelope { form, bytes } => notation::named(*form, bytes).into_iter().collect(),
        Item::Carried(carried) => named_subjects(&carried.by),
        Item::Unread { .. } => Vec::new(),
    }
}

fn in_envelope(value: &Value, lent: Option<&str>, signatures_max: usize) -> Vec<Digest> {
    let Ok(Envelope { payload, .. }) = Envelope::read(value, lent, signatures_max) else { return Vec::new() };
    // Its predicate names no subject, and may be large (A602).
    let statement = Statement::read(payload.bytes().map_or(&[], |bytes| bytes), 0);
    statement.map(|statement| in_statement(&statement)).unwrap_or_default()
}

fn in_statement(statement: &Statement) -> Vec<Digest> {
    let subjects = statement.whole.get("subject").and_then(Value::as_array);
    let named = |subject: &Value| {
        let digests = subject.get("digest")?;
        let of = |algorithm: &str| {
            let hex = digests.get(algorithm)?.as_str()?;
            format!("{algorithm}:{}", hex.to_ascii_lowercase()).parse().ok()
        };
        of("sha256").or_else(|| of("sha512"))
    };
    subjects.into_iter().flatten().filter_map(named).collect()
}

/// The digest of the signed manifest, where its algorithm can name manifests.
fn in_message(digest: &Value) -> Option<Digest> {
    let algorithm = match digest.get("algorithm").and_then(Value::as_str)? {
        "SHA2_256" => "sha256",
        "SHA2_512" => "sha512",
        _ => return None,
    };
    let bytes = digest.get("digest").and_then(Value::as_str).and_then(encoding::standard)?;
    format!("{algorithm}:{}", hex::encode(bytes)).parse().ok()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use bytes::Bytes;
    use serde_json::json;

    use super::*;

    fn sha256() -> String {
        format!("sha256:{}", "ab".repeat(32))
    }

    fn statement(subject: &Value) -> String {
        let statement = json!({"_type": "https://in-toto.io/Statement/v1", "predicateType": "x", "subject": subject, "predicate": {}});
        let payload = encoding::encode(statement.to_string().as_bytes());
        json!({"payloadType": "application/vnd.in-toto+json", "payload": payload, "signatures": [{"sig": "AA=="}]}).to_string()
    }

    fn named(item: &Item) -> Vec<String> {
        named_subjects(item).iter().map(ToString::to_string).collect()
    }

    fn bundle(content: &str) -> Item {
        Item::Bundle { json: Bytes::from(content.to_owned()) }
    }

    #[test]
    fn each_kind_of_evidence_names_what_it_is_about() {
        let payload = format!(
            r#"{{"critical":{{"identity":{{"docker-reference":""}},"image":{{"docker-manifest-digest":"{}"}},"type":"cosign container image signature"}},"optional":null}}"#,
            sha256()
        );
        let annotations = BTreeMap::new;
        let simple = Item::SimpleSigning { payload: Bytes::from(payload), annotations: annotations() };
        assert_eq!(named(&simple), [sha256()]);
        let (short, long) = ("ab".repeat(32), "cd".repeat(64));
        let both = statement(
            &json!([{"digest": {"sha256": short}}, {"digest": {"sha512": long}}, {"digest": {"sha1": "00"}}]),
        );
        let two = [sha256(), format!("sha512:{long}")];
        assert_eq!(
            named(&Item::Dsse { envelope: Bytes::from(both.clone()), annotations: annotations() }),
            two
        );
        assert_eq!(named(&bundle(&format!(r#"{{"dsseEnvelope":{both}}}"#))), two);
        let digest = encoding::encode(&[0xab; 32]);
        let message = |algorithm: &str| {
            json!({"messageSignature": {"messageDigest": {"algorithm": algorithm, "digest": digest}}})
                .to_string()
        };
        assert_eq!(named(&bundle(&message("SHA2_256"))), [sha256()]);
        assert!(named(&bundle(&message("SHA2_512"))).is_empty(), "too short");
        assert!(named(&bundle(&message("MD5"))).is_empty());
    }

    #[test]
    fn what_cannot_be_read_names_nothing() {
        for text in
            ["", "{}", "[]", "{", r#"{"dsseEnvelope":{}}"#, r#"{"messageSignature":{"messageDigest":{}}}"#]
        {
            let bytes = Bytes::from(text);
            assert!(named(&bundle(text)).is_empty(), "{text}");
            let annotations = BTreeMap::new();
            assert!(
                named(&Item::Dsse { envelope: bytes.clone(), annotations: annotations.clone() }).is_empty()
            );
            assert!(named(&Item::SimpleSigning { payload: bytes, annotations }).is_empty());
        }
        let unread = Item::Unread { code: pullgate_policy::code::Code::Unsupported, detail: String::new() };
        assert!(named(&unread).is_empty());
    }
}
