//! A verdict as an attestation for others: an in-toto Verification Summary (v1) in a DSSE envelope, signed by the log's key.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;

use serde_json::{Value, json};

use crate::key::LogKey;
use crate::record::{Kind, Record, Word};

/// The type of the statement's predicate.
pub const PREDICATE_TYPE: &str = "https://slsa.dev/verification_summary/v1";
/// The payload type of the envelope.
const PAYLOAD_TYPE: &str = "application/vnd.in-toto+json";

/// Whether a record has the outcome of a policy's requirements: an exemption has none, nor has a policy without
/// requirements.
#[must_use]
pub fn is_summed_up(record: &Record) -> bool {
    let judged = match record.verdict {
        Word::Permit => ["satisfied", "warn-only"].contains(&record.ground.as_str()),
        Word::Deny => {
            record.policy.is_some() && (!record.unmet.is_empty() || !record.requirements.is_empty())
        }
        Word::Missing | Word::Refused | Word::Undecided => false,
    };
    record.kind == Kind::Manifest && judged && sha256(record).is_some()
}

fn sha256(record: &Record) -> Option<&str> {
    record.digest.as_deref()?.strip_prefix("sha256:")
}

/// The statement about the image that a record judged.
#[must_use]
pub fn statement(record: &Record, verifier: &str) -> Value {
    let digest = sha256(record).unwrap_or_default();
    let passed = record.verdict == Word::Permit && record.ground == "satisfied";
    let (result, level) =
        if passed { ("PASSED", "SLSA_BUILD_LEVEL_UNEVALUATED") } else { ("FAILED", "FAILED") };
    let inputs: Vec<Value> = record
        .evidence
        .iter()
        .filter_map(|digest| digest.strip_prefix("sha256:"))
        .map(|digest| json!({ "digest": { "sha256": digest } }))
        .collect();
    let revision = record.policy_revision.trim_start_matches("sha256:");
    let policy = record.policy.as_deref().unwrap_or_default();
    json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "name": record.repository, "digest": { "sha256": digest } }],
        "predicateType": PREDICATE_TYPE,
        "predicate": {
            "verifier": { "id": verifier, "version": { "pullgate": env!("CARGO_PKG_VERSION") } },
            "timeVerified": format!("{:.0}", record.time),
            "resourceUri": format!("oci://{}@sha256:{digest}", record.repository),
            "policy": { "uri": format!("{verifier}/policy/{policy}"), "digest": { "sha256": revision } },
            "inputAttestations": inputs,
            "verificationResult": result,
            "verifiedLevels": [level],
            "slsaVersion": "1.0",
        },
    })
}

/// The statement in an envelope (DSSE v1.0.0), signed.
#[must_use]
pub fn envelope(statement: &Value, key: &LogKey) -> Value {
    let payload = statement.to_string();
    let mut signed = format!("DSSEv1 {} {PAYLOAD_TYPE} {} ", PAYLOAD_TYPE.len(), payload.len()).into_bytes();
    signed.extend_from_slice(payload.as_bytes());
    json!({
        "payloadType": PAYLOAD_TYPE,
        "payload": STANDARD.encode(payload),
        "signatures": [{ "keyid": "", "sig": STANDARD.encode(key.sign(&signed)) }],
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    use crate::id::DecisionId;

    fn record(verdict: Word, ground: &str) -> Record {
        let mut record = Record::new(Kind::Manifest, &DecisionId::random(), Timestamp::UNIX_EPOCH, verdict);
        record.ground = ground.to_owned();
        record.digest = Some("sha256:aa".to_owned());
        record.policy = Some("production".to_owned());
        record
    }

    #[test]
    fn what_requirements_came_to_is_summed_up_and_nothing_else() {
        for (verdict, ground, expected) in [
            (Word::Permit, "satisfied", Some("PASSED")),
            (Word::Permit, "warn-only", Some("FAILED")),
            (Word::Permit, "exempt", None),
            (Word::Permit, "unchecked", None),
            (Word::Undecided, "", None),
        ] {
            let record = record(verdict, ground);
            let summed = is_summed_up(&record).then(|| statement(&record, "urn:gate"));
            let result =
                summed.map(|said| said["predicate"]["verificationResult"].as_str().unwrap().to_owned());
            assert_eq!(result.as_deref(), expected, "{verdict:?} {ground}");
        }
        let mut denied = record(Word::Deny, "");
        assert!(!is_summed_up(&denied), "a block is no requirement");
        denied.unmet.push("policy.toml:1".to_owned());
        assert!(is_summed_up(&denied));
    }

    #[test]
    fn the_envelope_is_signed_over_its_type_and_its_payload() {
        let folder = tempfile::tempdir().unwrap();
        let key = LogKey::load_or_create(&folder.path().join("key"), "gate").unwrap();
        let envelope = envelope(&json!({ "a": 1 }), &key);
        let text = |value: &Value| STANDARD.decode(value.as_str().unwrap()).unwrap();
        assert_eq!(text(&envelope["payload"]), b"{\"a\":1}");
        let signed = b"DSSEv1 28 application/vnd.in-toto+json 7 {\"a\":1}";
        assert!(key.public().verify(signed, &text(&envelope["signatures"][0]["sig"])));
    }
}
