use super::*;
use crate::artifact::Artifact;

fn block(label: &str, der: &[u8]) -> String {
    format!("-----BEGIN {label}-----\n{}\n-----END {label}-----\n", encoding::encode(der))
}

fn annotations(pairs: &[(&str, &str)]) -> Annotations {
    pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
}

/// What the annotations say: the certificates of the chain, or why they cannot be read.
fn chain(pairs: &[(&str, &str)]) -> Result<Vec<Vec<u8>>, Code> {
    Vouchers::read(&annotations(pairs)).map(|vouchers| vouchers.chain).map_err(|fault| fault.code)
}

#[test]
fn the_certificate_annotation_holds_one_certificate() {
    let leaf = block("CERTIFICATE", b"leaf");
    assert_eq!(chain(&[(CERTIFICATE, &leaf)]), Ok(vec![b"leaf".to_vec()]));
    for other in [
        [leaf.as_str(), &leaf].concat(),
        "no block".to_owned(),
        block("PUBLIC KEY", b"leaf"),
        [leaf.as_str(), &block("PUBLIC KEY", b"key")].concat(),
        "-----BEGIN CERTIFICATE-----\nAAAA\n".to_owned(),
    ] {
        assert_eq!(chain(&[(CERTIFICATE, &other)]), Err(Code::CertificateInvalid), "{other}");
    }
}

#[test]
fn a_certificate_or_chain_at_its_limit_is_read_and_over_it_refused() {
    let leaf = block("CERTIFICATE", b"leaf");
    let of_length = |length: usize| block("CERTIFICATE", &vec![0; length]);
    assert!(chain(&[(CERTIFICATE, &of_length(64 * 1024))]).is_ok());
    assert_eq!(chain(&[(CERTIFICATE, &of_length(64 * 1024 + 1))]), Err(Code::CertificateInvalid));
    let many = |count: usize| block("CERTIFICATE", b"other").repeat(count);
    assert_eq!(chain(&[(CERTIFICATE, &leaf), (CHAIN, &many(9))]).map(|chain| chain.len()), Ok(10));
    assert_eq!(chain(&[(CERTIFICATE, &leaf), (CHAIN, &many(10))]), Err(Code::CertificateInvalid));
    let mixed = [many(1), block("PUBLIC KEY", b"key")].concat();
    assert_eq!(chain(&[(CERTIFICATE, &leaf), (CHAIN, &mixed)]), Err(Code::CertificateInvalid));
}

#[test]
fn the_root_that_cosign_writes_into_the_chain_is_left_out() {
    let root = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap();
    let (leaf, other) = (block("CERTIFICATE", b"leaf"), block("CERTIFICATE", b"other"));
    let with_root = [other.as_str(), &block("CERTIFICATE", root.der())].concat();
    let read = chain(&[(CERTIFICATE, &leaf), (CHAIN, &with_root)]);
    assert_eq!(read, Ok(vec![b"leaf".to_vec(), b"other".to_vec()]));
}

#[test]
fn an_empty_annotation_is_none() {
    let empty = [(CERTIFICATE, ""), (CHAIN, ""), (BUNDLE, ""), (TIMESTAMP, "")];
    let vouchers = Vouchers::read(&annotations(&empty)).unwrap();
    assert!(matches!(vouchers.signer, Signer::Key));
    assert!(vouchers.chain.is_empty() && vouchers.timestamps.is_empty());
    assert_eq!(vouchers.entries, Ok(Vec::new()));
    let unsigned = simple_signing(&Bytes::from_static(b"{}"), &annotations(&[(SIGNATURE, "")]));
    assert_eq!(unsigned.err().map(|fault| fault.detail).unwrap(), "the layer has no signature annotation");
}

#[test]
fn an_annotation_at_its_limit_is_read_and_over_it_refused() {
    let of_length = |length: usize| chain(&[("note", &"a".repeat(length))]);
    assert_eq!(of_length(256 * 1024), Ok(Vec::new()));
    assert_eq!(of_length(256 * 1024 + 1), Err(Code::PayloadInvalid));
}

#[test]
fn an_envelope_at_its_limit_is_read_and_over_it_refused() {
    let statement = json!({
        "_type": "https://in-toto.io/Statement/v1",
        "subject": [{ "digest": { "sha256": "00" } }],
        "predicateType": "https://slsa.dev/provenance/v1",
    });
    let envelope = json!({
        "payloadType": "application/vnd.in-toto+json",
        "payload": encoding::encode(statement.to_string().as_bytes()),
        "signatures": [{ "sig": "AAAA" }],
    });
    let mut bytes = envelope.to_string().into_bytes();
    bytes.resize(44 * 1024 * 1024, b' ');
    let read = |bytes: &[u8]| {
        dsse(&Bytes::copy_from_slice(bytes), &Annotations::new(), &Artifact::Bytes(b"manifest").kept())
    };
    assert_eq!(read(&bytes).map(|piece| piece.signed.len()).ok(), Some(1));
    bytes.push(b' ');
    assert_eq!(read(&bytes).err().map(|fault| fault.code), Some(Code::EvidenceTooLarge));
}

#[test]
fn a_log_entry_and_a_timestamp_are_put_together_as_a_bundle_holds_them() {
    let body = encoding::encode(br#"{"apiVersion":"0.0.1","kind":"hashedrekord","spec":{}}"#);
    let kept = json!({
        "SignedEntryTimestamp": "c2V0",
        "Payload": { "body": body, "integratedTime": 1_700_000_000, "logIndex": 7, "logID": "00ff" },
    });
    let token = json!({ "SignedRFC3161Timestamp": "dG9rZW4=" }).to_string();
    let read = |entry: &Value| {
        Vouchers::read(&annotations(&[(BUNDLE, &entry.to_string()), (TIMESTAMP, &token)])).unwrap()
    };
    let vouchers = read(&kept);
    let expected = json!({
        "logIndex": "7",
        "logId": { "keyId": "AP8=" },
        "kindVersion": { "kind": "hashedrekord", "version": "0.0.1" },
        "integratedTime": "1700000000",
        "inclusionPromise": { "signedEntryTimestamp": "c2V0" },
        "canonicalizedBody": body,
    });
    assert_eq!(vouchers.entries, Ok(vec![expected]));
    assert_eq!(vouchers.timestamps, [json!({ "signedTimestamp": "dG9rZW4=" })]);
    for path in [
        "/SignedEntryTimestamp",
        "/Payload/body",
        "/Payload/integratedTime",
        "/Payload/logIndex",
        "/Payload/logID",
    ] {
        let mut torn = kept.clone();
        *torn.pointer_mut(path).unwrap() = json!({});
        let code = read(&torn).entries.err().map(|fault| fault.code);
        assert_eq!(code, Some(Code::BundleInvalid), "{path}");
    }
}
