use super::*;
use crate::artifact::Artifact;

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
    let refused = |n| signer(&chain(n), Version::V02).err().map(|fault| fault.code);
    assert_eq!(refused(0), Some(Code::BundleInvalid));
    assert_eq!(refused(limits::CHAIN_LENGTH + 1), Some(Code::CertificateInvalid));
}

#[test]
fn a253_a_certificate_over_its_limit_is_refused() {
    let of_length = |n: usize| json!({ "rawBytes": encoding::encode(&vec![0; n]) });
    assert!(certificate_der(&of_length(limits::CERTIFICATE_BYTES)).is_ok());
    let over = certificate_der(&of_length(limits::CERTIFICATE_BYTES + 1));
    assert_eq!(over.unwrap_err().code, Code::CertificateInvalid);
}

/// A bundle by a key with this content.
fn by_key(name: &str, content: &Value) -> Value {
    json!({
        "mediaType": "application/vnd.dev.sigstore.bundle.v0.3+json",
        "verificationMaterial": { "publicKey": { "hint": "" } },
        name: content,
    })
}

fn message() -> Value {
    by_key("messageSignature", &json!({ "signature": "AAAA" }))
}

fn envelope() -> Value {
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
    by_key("dsseEnvelope", &envelope)
}

fn code(bytes: &[u8]) -> Option<Code> {
    read(bytes, &Artifact::Bytes(b"manifest").kept()).err().map(|fault| fault.code)
}

#[test]
fn so_many_bytes_of_a_bundle_are_read_and_not_one_more() {
    for (bundle, most) in [(message(), 1024 * 1024), (envelope(), 44 * 1024 * 1024)] {
        let mut bytes = bundle.to_string().into_bytes();
        bytes.resize(most, b' ');
        assert_eq!(code(&bytes), None, "{most}");
        bytes.push(b' ');
        assert_eq!(code(&bytes), Some(Code::EvidenceTooLarge), "{most}");
    }
}

#[test]
fn so_many_entries_timestamps_and_signatures_of_a_bundle_are_read_and_not_one_more() {
    let with_entries = |count: usize| {
        let mut bundle = message();
        bundle["verificationMaterial"]["tlogEntries"] = json!(vec![entry(false, Some("note\n")); count]);
        code(bundle.to_string().as_bytes())
    };
    assert_eq!(with_entries(limits::LOG_ENTRIES), None);
    assert_eq!(with_entries(limits::LOG_ENTRIES + 1), Some(Code::BundleInvalid));
    let with_timestamps = |count: usize| {
        let mut bundle = message();
        let token = |n: usize| json!({ "signedTimestamp": encoding::encode(&n.to_be_bytes()) });
        let tokens: Vec<Value> = (0..count).map(token).collect();
        bundle["verificationMaterial"]["timestampVerificationData"] = json!({ "rfc3161Timestamps": tokens });
        code(bundle.to_string().as_bytes())
    };
    assert_eq!(with_timestamps(limits::TIMESTAMPS), None);
    assert_eq!(with_timestamps(limits::TIMESTAMPS + 1), Some(Code::BundleInvalid));
    let with_signatures = |count: usize| {
        let mut bundle = envelope();
        bundle["dsseEnvelope"]["signatures"] = json!(vec![json!({ "sig": "AAAA" }); count]);
        code(bundle.to_string().as_bytes())
    };
    assert_eq!(with_signatures(limits::DSSE_SIGNATURES_BUNDLE), None);
    for count in [0, limits::DSSE_SIGNATURES_BUNDLE + 1] {
        assert_eq!(with_signatures(count), Some(Code::DsseSignatureCount));
    }
}

#[test]
fn a_path_of_so_many_hashes_is_read_and_not_of_one_more() {
    let path = |length: usize| json!({ "inclusionProof": { "hashes": vec![""; length], "checkpoint": { "envelope": "note\n" } } });
    assert!(entry_of(path(limits::INCLUSION_PATH), Version::V03).is_ok());
    for length in [limits::INCLUSION_PATH + 1, limits::INCLUSION_PATH + 2] {
        assert_eq!(entry_of(path(length), Version::V03).unwrap_err().code, Code::InclusionProofInvalid);
    }
}

#[test]
fn what_is_null_is_absent() {
    let mut bundle = message();
    bundle["verificationMaterial"]["certificate"] = json!(null);
    bundle["verificationMaterial"]["x509CertificateChain"] = json!(null);
    bundle["verificationMaterial"]["tlogEntries"] = json!(null);
    bundle["verificationMaterial"]["timestampVerificationData"] = json!(null);
    bundle["messageSignature"]["messageDigest"] = json!(null);
    assert_eq!(code(bundle.to_string().as_bytes()), None);
    let mut entry = entry(false, Some("note\n"));
    entry["inclusionPromise"] = json!(null);
    assert_eq!(entry_of(entry.clone(), Version::V01).unwrap_err().code, Code::SetInvalid);
    entry["inclusionProof"] = json!(null);
    assert_eq!(entry_of(entry, Version::V03).unwrap_err().code, Code::InclusionProofMissing);
}

#[test]
fn an_oldest_bundle_has_one_of_the_two_faults_of_its_writers_at_most() {
    let root = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let run = |version: &str, others: &[&[u8]], checkpoint: Option<&str>| {
        let chain: Vec<_> = std::iter::once(b"leaf".as_slice())
            .chain(others.iter().copied())
            .map(|der| json!({ "rawBytes": encoding::encode(der) }))
            .collect();
        let mut bundle = message();
        bundle["mediaType"] = json!(format!("application/vnd.dev.sigstore.bundle+json;version={version}"));
        bundle["verificationMaterial"] = json!({
            "x509CertificateChain": { "certificates": chain },
            "tlogEntries": [entry(true, checkpoint), entry(true, Some("note\n"))],
        });
        code(bundle.to_string().as_bytes())
    };
    let invalid = Some(Code::CertificateInvalid);
    assert_eq!(run("0.1", &[], Some("note\n")), None);
    assert_eq!(run("0.1", &[b"other"], None), None);
    assert_eq!(run("0.1", &[&root], Some("note\n")), None);
    assert_eq!(run("0.1", &[&root], None), invalid);
    assert_eq!(run("0.1", &[b"other", &root], Some("")), invalid);
    assert_eq!(run("0.2", &[&root], Some("note\n")), invalid);
    assert_eq!(run("0.2", &[b"other"], Some("note\n")), None);
}

#[test]
fn a_root_that_travels_with_a_signature_is_left_out_of_its_chain() {
    let root = rcgen::CertificateParams::new(vec!["a.example".to_owned()]).unwrap();
    let root = root.self_signed(&rcgen::KeyPair::generate().unwrap()).unwrap().der().to_vec();
    let listed =
        [b"leaf".as_slice(), &root, b"other"].map(|der| json!({ "rawBytes": encoding::encode(der) }));
    let chain = json!({ "x509CertificateChain": { "certificates": listed } });
    let (_, (name, value), found) = signer(&chain, Version::V01).unwrap();
    assert_eq!((name, found), ("x509CertificateChain", Chain::WithRoot));
    assert_eq!(value, json!({ "certificates": [{ "rawBytes": "bGVhZg==" }, { "rawBytes": "b3RoZXI=" }] }));
}

#[test]
fn a_signer_is_known_in_exactly_one_of_three_ways() {
    let (certificate, key) = (json!({ "rawBytes": "bGVhZg==" }), json!({ "hint": "" }));
    let chain = json!({ "certificates": [certificate] });
    let run = |parts: &[(&str, &Value)]| {
        let verification: Value = parts.iter().map(|(name, value)| (*name, (*value).clone())).collect();
        signer(&verification, Version::V03).map(|(signer, (name, value), _)| match signer {
            Signer::Certificate(leaf) => (Some(leaf), name, value),
            Signer::Key => (None, name, value),
        })
    };
    let (one, many, none) = ("certificate", "x509CertificateChain", "publicKey");
    let leaf = Some(b"leaf".to_vec());
    assert_eq!(run(&[(one, &certificate)]), Ok((leaf.clone(), one, certificate.clone())));
    assert_eq!(run(&[(many, &chain)]), Ok((leaf, many, chain.clone())));
    assert_eq!(run(&[(none, &key)]), Ok((None, none, json!({ "hint": "" }))));
    for parts in [
        &[][..],
        &[(one, &certificate), (none, &key)],
        &[(many, &chain), (none, &key)],
        &[(one, &certificate), (many, &chain)],
        &[(one, &certificate), (many, &chain), (none, &key)],
    ] {
        assert_eq!(run(parts).unwrap_err().code, Code::BundleInvalid, "{parts:?}");
    }
}

#[test]
fn a_message_digest_is_the_manifests_by_the_hash_that_it_names() {
    // Of "abc" (FIPS 180-2, appendices B to D).
    let of_abc = [
        ("SHA2_256", "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"),
        (
            "SHA2_384",
            "cb00753f45a35e8bb5a03d699ac65007272c32ab0eded1631a8b605a43ff5bed8086072ba1e7cc2358baeca134c825a7",
        ),
        (
            "SHA2_512",
            concat!(
                "ddaf35a193617abacc417349ae20413112e6fa4e89a97ea20a9eeee64b55d39a",
                "2192992a274fc1a836ba3c23a3feebbd454d4423643ce80e2a9ac94fa54ca49f"
            ),
        ),
    ];
    let check = |algorithm: &str, digits: &str, manifest: &Artifact<'_>| {
        let digest = encoding::encode(&hex::decode(digits).unwrap());
        let value = json!({ "algorithm": algorithm, "digest": digest });
        check_digest(Some(&value), &manifest.kept()).err().map(|fault| fault.code)
    };
    for (algorithm, digits) in of_abc {
        assert_eq!(check(algorithm, digits, &Artifact::Bytes(b"abc")), None, "{algorithm}");
        let other = check(algorithm, digits, &Artifact::Bytes(b"abd"));
        assert_eq!(other, Some(Code::DigestMismatch), "{algorithm}");
    }
    let sha256: [u8; 32] = hex::decode(of_abc[0].1).unwrap().try_into().unwrap();
    let known = Artifact::Sha256(sha256);
    let codes = of_abc.map(|(algorithm, digits)| check(algorithm, digits, &known));
    assert_eq!(codes, [None, Some(Code::Unsupported), Some(Code::Unsupported)]);
    assert_eq!(check("SHA3_256", of_abc[0].1, &known), Some(Code::Unsupported));
}

#[test]
fn timestamps_are_read_once_each_and_so_many() {
    let run = |data: &Value| {
        let read = timestamps(&json!({ "timestampVerificationData": data }));
        read.map(|tokens| tokens.len()).map_err(|fault| fault.code)
    };
    let tokens = |count: usize| {
        let tokens: Vec<_> = (0..count).map(|n| json!({ "signedTimestamp": format!("{n:04}") })).collect();
        json!({ "rfc3161Timestamps": tokens })
    };
    assert_eq!((run(&json!(null)), run(&json!({})), run(&tokens(0))), (Ok(0), Ok(0), Ok(0)));
    assert_eq!((run(&tokens(1)), run(&tokens(32))), (Ok(1), Ok(32)));
    assert_eq!(run(&tokens(33)), Err(Code::BundleInvalid));
    let twice =
        json!({ "rfc3161Timestamps": [{ "signedTimestamp": "AAAA" }, { "signedTimestamp": "AAAA" }] });
    assert_eq!(run(&twice), Err(Code::BundleInvalid));
    let torn = json!({ "rfc3161Timestamps": [{ "signedTimestamp": "AAA" }] });
    assert_eq!(run(&torn), Err(Code::BundleInvalid));
}
