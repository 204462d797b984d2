use super::*;

fn entry(promise: bool, checkpoint: Option<&str>) -> Value {
    let mut entry = json!({ "inclusionProof": { "hashes": [] } });
    if promise {
        entry["inclusionPromise"] = json!({ "signedEntryTimestamp": "" });
    }
    if let Some(text) = checkpoint {
        entry["inclusionProof"]["checkpoint"] = json!({ "envelope": text });
    }
    entry
}

fn has_proof(entry: Value, version: Version) -> bool {
    entry_of(entry, version).unwrap().get("inclusionProof").is_some()
}

#[test]
fn the_oldest_bundles_lose_a_proof_without_checkpoint_and_stand_on_the_promise() {
    assert!(!has_proof(entry(true, None), Version::V01));
    assert!(!has_proof(entry(true, Some("")), Version::V01));
    assert!(has_proof(entry(true, Some("note\n")), Version::V01));
    assert!(has_proof(entry(true, None), Version::V02), "later versions keep it, and fail by it");
    assert_eq!(entry_of(entry(false, None), Version::V01).unwrap_err().code, Code::SetInvalid);
}

#[test]
fn a321_a_chain_of_eleven_or_none_is_refused() {
    let chain = |n: usize| json!({ "x509CertificateChain": { "certificates": vec![json!({ "rawBytes": "AAAA" }); n] } });
    assert!(signer(&chain(limits::CHAIN_LENGTH), Version::V02).is_ok());
    for n in [0, limits::CHAIN_LENGTH + 1] {
        assert_eq!(signer(&chain(n), Version::V02).err().map(|fault| fault.code), Some(Code::BundleInvalid));
    }
}

#[test]
fn a253_a_certificate_over_its_limit_is_refused() {
    let of_length = |n: usize| json!({ "rawBytes": encoding::encode(&vec![0; n]) });
    assert!(certificate_der(&of_length(limits::CERTIFICATE_BYTES)).is_ok());
    let over = certificate_der(&of_length(limits::CERTIFICATE_BYTES + 1));
    assert_eq!(over.unwrap_err().code, Code::CertificateInvalid);
}
