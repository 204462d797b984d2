//! The rows of the table of attacks that other suites have evidence for: what is refused, by its code, and beside it the
//! nearest that counts.

use pullgate_policy::code::Code;

use super::{Worth, here, item, judge, judge_item, named};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::Bytes;
use pullgate_verify::Item;
use serde_json::{Value, json};

type Change = fn(&mut Value);

const PLAIN: &str = "sigstore-conformance/happy-path-v0.3";

fn refused(cases: &[(&str, Code)]) {
    let Some(()) = here() else { return };
    for (name, code) in cases {
        let (folder, kind, trust) = named(name);
        let (worth, detail) = judge(&folder, &kind, &trust);
        assert_eq!(worth, Worth::Rejected(*code), "{name}: {detail}");
    }
}

fn counts(cases: &[&str]) {
    let Some(()) = here() else { return };
    for name in cases {
        let (folder, kind, trust) = named(name);
        let (worth, detail) = judge(&folder, &kind, &trust);
        assert_eq!(worth, Worth::Counts, "{name}: {detail}");
    }
}

/// What a bundle is worth after it was changed; unchanged it must count.
fn changed(name: &str, change: impl Fn(&mut Value)) -> Worth {
    counts(&[name]);
    let (folder, kind, trust) = named(name);
    let mut bundle: Value =
        serde_json::from_slice(&std::fs::read(folder.join("bundle.json")).unwrap()).unwrap();
    change(&mut bundle);
    let json = Bytes::from(bundle.to_string());
    judge_item(&folder, Item::Bundle { json }, &kind, &trust).0
}

fn entry(bundle: &mut Value) -> &mut Value {
    bundle.pointer_mut("/verificationMaterial/tlogEntries/0").unwrap()
}

#[test]
fn a201_one_bit_more_or_less_and_a_signature_counts_for_nothing() {
    refused(&[
        ("sigstore-conformance/signature-mismatch_fail", Code::SignatureInvalid),
        ("sigstore-conformance/wrong-material_fail", Code::DigestMismatch),
        ("sigstore-conformance/dsse-invalid-sig_fail", Code::SignatureInvalid),
        ("sigstore-conformance/rekor2-dsse-invalid-sig_fail", Code::SignatureInvalid),
        ("sigstore-java/bundle.dsse.bad-signature", Code::SignatureInvalid),
        ("sigstore-java/bundle.dsse.rekor-v2.bad-signature", Code::SignatureInvalid),
        ("artifact-keeper/mutation-flipped-payload-byte", Code::SignatureInvalid),
        ("artifact-keeper/mutation-flipped-signature-byte", Code::SignatureInvalid),
    ]);
    counts(&[
        PLAIN,
        "sigstore-conformance/happy-path-intoto-in-dsse-v3",
        "sigstore-java/bundle.dsse.rekor-v2",
    ]);
}

#[test]
fn a302_an_entry_of_another_signature_is_not_this_ones() {
    refused(&[
        ("sigstore-conformance/dsse-mismatch-sig_fail", Code::LogEntryMismatch),
        ("sigstore-conformance/dsse-mismatch-envelope_fail", Code::LogEntryMismatch),
        ("sigstore-conformance/rekor2-dsse-mismatch-sig_fail", Code::LogEntryMismatch),
        ("sigstore-conformance/wrong-hashedrekord-artifact_fail", Code::LogEntryMismatch),
        ("sigstore-java/bundle.dsse.mismatched-signature", Code::LogEntryMismatch),
        ("sigstore-java/bundle.dsse.mismatched-envelope", Code::LogEntryMismatch),
        ("sigstore-java/bundle-with-wrong-tlog-entry", Code::LogEntryMismatch),
        ("sigstore-python/bundle_cve_2022_36056", Code::LogEntryMismatch),
    ]);
    counts(&["sigstore-conformance/rekor2-dsse-happy-path", "sigstore-java/bundle"]);
}

#[test]
fn a303_an_entry_of_another_kind_is_compared_with_nothing() {
    let Some(()) = here() else { return };
    refused(&[
        ("sigstore-conformance/intoto-log-entry-mismatch_fail", Code::LogEntryKind),
        ("artifact-keeper/mutation-tampered-tlog-body", Code::SetInvalid),
    ]);
    counts(&["sigstore-conformance/intoto-with-custom-trust-root"]);
    for kind in
        [json!({ "kind": "dsse", "version": "0.0.1" }), json!({ "kind": "alpine", "version": "0.0.1" })]
    {
        let worth = changed(PLAIN, |bundle| entry(bundle)["kindVersion"] = kind.clone());
        assert_ne!(worth, Worth::Counts, "{kind}");
    }
}

#[test]
fn a304_a_signed_timestamp_must_be_the_logs_over_this_entry() {
    refused(&[
        ("sigstore-conformance/set-invalid-signature_fail", Code::SetInvalid),
        ("sigstore-conformance/incorrect-public-key_fail", Code::SetInvalid),
        ("sigstore-java/bundle-with-mismatched-set", Code::SetInvalid),
        ("artifact-keeper/mutation-tampered-tlog-body", Code::SetInvalid),
    ]);
    counts(&[PLAIN, "sigstore-java/bundle.v1"]);
}

#[test]
fn a305_without_a_signed_timestamp_an_integrated_time_is_none() {
    let Some(()) = here() else { return };
    let worth = changed(PLAIN, |bundle| {
        entry(bundle).as_object_mut().unwrap().remove("inclusionPromise");
    });
    assert_eq!(worth, Worth::Rejected(Code::NoTrustedTime));
    refused(&[("sigstore-conformance/rekor2-no-timestamp_fail", Code::NoTrustedTime)]);
}

#[test]
fn a307_a_forged_proof_leads_nowhere() {
    let Some(()) = here() else { return };
    refused(&[("artifact-keeper/mutation-forged-merkle-path", Code::InclusionProofInvalid)]);
    counts(&[PLAIN]);
    let changes: [(&str, Change); 5] = [
        ("a path that is too short", |proof| drop(proof["hashes"].as_array_mut().unwrap().pop())),
        ("a path that is too long", |proof| {
            let first = proof["hashes"][0].clone();
            proof["hashes"].as_array_mut().unwrap().push(first);
        }),
        ("no path", |proof| proof["hashes"] = json!([])),
        ("another index", |proof| proof["logIndex"] = json!("1")),
        ("an index beyond the tree", |proof| proof["logIndex"] = json!("9223372036854775806")),
    ];
    for (what, change) in changes {
        let worth = changed(PLAIN, |bundle| change(&mut entry(bundle)["inclusionProof"]));
        assert_eq!(worth, Worth::Rejected(Code::InclusionProofInvalid), "{what}");
    }
    let worth = changed(PLAIN, |bundle| entry(bundle)["inclusionProof"]["treeSize"] = json!("0"));
    assert_ne!(worth, Worth::Counts, "an empty tree");
}

#[test]
fn a308_a_proof_to_a_root_that_nobody_signed_proves_nothing() {
    refused(&[
        ("sigstore-conformance/checkpoint-wrong-roothash_fail", Code::CheckpointMismatch),
        ("sigstore-python/bundle_no_checkpoint", Code::CheckpointMismatch),
    ]);
    counts(&["sigstore-python/bundle", PLAIN]);
}

#[test]
fn a309_a_checkpoint_by_an_unknown_log_proves_nothing() {
    let Some(()) = here() else { return };
    refused(&[
        ("sigstore-conformance/invalid-checkpoint-signature_fail", Code::CheckpointInvalid),
        ("sigstore-conformance/checkpoint-bad-keyhint_fail", Code::CheckpointInvalid),
        ("sigstore-conformance/rekor2-checkpoint-missing-log-signature_fail", Code::BundleInvalid),
        ("sigstore-conformance/rekor2-checkpoint-missing-size_fail", Code::BundleInvalid),
        ("sigstore-java/bundle-with-bad-checkpoint-signature", Code::CheckpointInvalid),
    ]);
    let worth = changed(PLAIN, |bundle| {
        let note = &mut entry(bundle)["inclusionProof"]["checkpoint"]["envelope"];
        *note = json!(note.as_str().unwrap().trim_end_matches('\n'));
    });
    assert_eq!(worth, Worth::Rejected(Code::CheckpointInvalid), "a note without its last newline");
    // The log's own signature may stand anywhere among others.
    counts(&[
        "sigstore-conformance/rekor2-checkpoint-origin-not-first",
        "sigstore-conformance/rekor2-checkpoint-multiple-cosigs",
        "sigstore-conformance/rekor2-checkpoint-two-sigs-cosigned",
    ]);
}

#[test]
fn a311_a_log_counts_in_its_window_and_its_own_table() {
    let Some(()) = here() else { return };
    refused(&[("sigstore-conformance/bundle-from-wrong-instance_fail", Code::LogUnknown)]);
    counts(&[
        "sigstore-conformance/bundle-from-wrong-instance-staging",
        "sigstore-conformance/trust-root-tlog-validity-end-inclusive",
    ]);
}

#[test]
fn a321_a328_a_root_that_travels_with_a_signature_is_trusted_by_nobody() {
    let Some(()) = here() else { return };
    refused(&[
        ("sigstore-conformance/bundle-with-root-cert_fail", Code::CertificateInvalid),
        // The oldest writers put it there; it is left out, and the rest judged.
        ("sigstore-go/dsse-2sigs", Code::DsseSignatureCount),
        ("slsa-verifier-bundles/attestation", Code::SubjectMismatch),
    ]);
    counts(&[PLAIN]);
}

#[test]
fn a302_a303_an_entry_that_the_library_does_not_read_is_checked_alike() {
    let Some(()) = here() else { return };
    let (p384, att) = ("sigstore-java/PKIX_ECDSA_P384_SHA_384", "slsa-verifier-oci/v1.4.0");
    counts(&[p384, att]);
    let body = |bundle: &mut Value, change: &dyn Fn(&mut Value)| {
        let text = entry(bundle)["canonicalizedBody"].as_str().unwrap().to_owned();
        let mut body: Value = serde_json::from_slice(&STANDARD.decode(text).unwrap()).unwrap();
        change(&mut body);
        entry(bundle)["canonicalizedBody"] = json!(STANDARD.encode(body.to_string()));
    };
    // Whatever is changed in the body, the log did not sign it.
    for path in ["/spec/data/hash/value", "/spec/signature/content", "/spec/signature/publicKey/content"] {
        let worth =
            changed(p384, |bundle| body(bundle, &|body| *body.pointer_mut(path).unwrap() = json!("00")));
        assert_eq!(worth, Worth::Rejected(Code::SetInvalid), "{path}");
    }
    let changes: [(&str, Change, Code); 7] = [
        ("another kind", |entry| entry["kindVersion"]["kind"] = json!("dsse"), Code::LogEntryKind),
        ("a later time", |entry| entry["integratedTime"] = json!("1779805324"), Code::SetInvalid),
        ("another index", |entry| entry["logIndex"] = json!("7"), Code::SetInvalid),
        ("a time before the log", |entry| entry["integratedTime"] = json!("1"), Code::LogUnknown),
        (
            "no promise",
            |entry| drop(entry.as_object_mut().unwrap().remove("inclusionPromise")),
            Code::NoTrustedTime,
        ),
        (
            "no proof",
            |entry| drop(entry.as_object_mut().unwrap().remove("inclusionProof")),
            Code::InclusionProofMissing,
        ),
        ("another path", |entry| entry["inclusionProof"]["hashes"] = json!([]), Code::InclusionProofInvalid),
    ];
    for (what, change, code) in changes {
        assert_eq!(changed(p384, |bundle| change(entry(bundle))), Worth::Rejected(code), "{what}");
    }
    let worth = changed(p384, |bundle| {
        let of = |text: &str| text.replacen('\n', "\nx", 1);
        let envelope = &mut entry(bundle)["inclusionProof"]["checkpoint"]["envelope"];
        *envelope = json!(of(envelope.as_str().unwrap()));
    });
    assert_ne!(worth, Worth::Counts, "another checkpoint");
    // A signature of the same key over something else, under the true entry.
    let worth = changed(p384, |bundle| {
        let signature = bundle.pointer_mut("/messageSignature/signature").unwrap();
        let mut bytes = STANDARD.decode(signature.as_str().unwrap()).unwrap();
        let last = bytes.len() - 1;
        bytes[last] ^= 1;
        *signature = json!(STANDARD.encode(bytes));
    });
    assert_eq!(worth, Worth::Rejected(Code::SignatureInvalid));
}

#[test]
fn a303_an_oldest_entry_is_about_the_envelope_as_it_was_attached() {
    let Some(()) = here() else { return };
    let (folder, kind, trust) = named("slsa-verifier-oci/v1.4.0");
    let Item::Dsse { envelope, annotations } = item(&folder, &kind) else { panic!("no layer") };
    let text = String::from_utf8(envelope.to_vec()).unwrap();
    for (what, bytes) in
        [("a space", format!("{text} ")), ("a key id", text.replacen("\"keyid\":\"\"", "\"keyid\":\"x\"", 1))]
    {
        assert_ne!(bytes, text, "{what}");
        let changed = Item::Dsse { envelope: Bytes::from(bytes), annotations: annotations.clone() };
        let (worth, detail) = judge_item(&folder, changed, &kind, &trust);
        assert_eq!(worth, Worth::Rejected(Code::LogEntryMismatch), "{what}: {detail}");
    }
    // The same entry beside the certificate of another signer.
    let (other, other_kind, _) = named("slsa-verifier-oci/v2.0.0");
    let Item::Dsse { annotations: others, .. } = item(&other, &other_kind) else { panic!("no layer") };
    let mut mixed = annotations.clone();
    let key = "dev.sigstore.cosign/certificate";
    mixed.insert(key.to_owned(), others[key].clone());
    let (worth, detail) = judge_item(&folder, Item::Dsse { envelope, annotations: mixed }, &kind, &trust);
    assert_eq!(worth, Worth::Rejected(Code::LogEntryMismatch), "{detail}");
}

#[test]
fn a323_a_chain_must_be_valid_when_it_signed() {
    refused(&[
        ("sigstore-conformance/intoto-expired-certificate_fail", Code::TimeOutsideCertificate),
        ("sigstore-rust/github-private-attestation-older-root", Code::CertificateExpired),
    ]);
    counts(&["sigstore-conformance/intoto-with-custom-trust-root", "github-cli/github-instance-whl"]);
}

#[test]
fn a324_a_signature_outside_the_time_of_its_certificate_does_not_count() {
    refused(&[
        ("sigstore-java/bundle-with-expired-cert", Code::TimeOutsideCertificate),
        ("sigstore-conformance/integrated-time-in-future_fail", Code::TimeOutsideCertificate),
    ]);
    counts(&["sigstore-java/bundle"]);
}

#[test]
fn a326_one_proven_time_outside_the_certificate_is_enough_against_it() {
    refused(&[(
        "sigstore-conformance/intoto-tsa-timestamp-outside-cert-validity_fail",
        Code::TimeOutsideCertificate,
    )]);
    counts(&["sigstore-java/bundle-with-timestamp"]);
}

#[test]
fn a327_a_certificate_without_a_good_sct_is_refused_where_one_is_demanded() {
    refused(&[("sigstore-conformance/invalid-ct-key_fail", Code::SctInvalid)]);
    counts(&[PLAIN]);
}

#[test]
fn a330_a_timestamp_is_over_the_signature() {
    refused(&[("sigstore-conformance/rekor2-timestamp-payload-mismatch_fail", Code::TimestampMismatch)]);
    counts(&["sigstore-conformance/rekor2-happy-path"]);
}

#[test]
fn a331_a_timestamp_is_by_an_authority_of_the_table() {
    let Some(()) = here() else { return };
    refused(&[
        (
            "sigstore-conformance/rekor2-timestamp-untrusted-tsa-without-embedded-cert_fail",
            Code::TimestampUntrusted,
        ),
        (
            "sigstore-conformance/rekor2-timestamp-outside-trust-root-tsa-validity_fail",
            Code::TimestampUntrusted,
        ),
    ]);
    counts(&[
        "sigstore-conformance/rekor2-timestamp-with-embedded-cert",
        "sigstore-conformance/rekor2-timestamp-without-embedded-cert",
        "sigstore-conformance/rekor2-timestamp-with-expired-cert-chain",
    ]);
}

#[test]
fn a332_one_timestamp_twice_is_one() {
    refused(&[("sigstore-python/tsa-duplicate", Code::BundleInvalid)]);
    counts(&["sigstore-python/staging-rekor-v2"]);
}

#[test]
fn a333_a_managed_key_counts_by_the_policy_and_in_no_other_way() {
    refused(&[("sigstore-conformance/managed-key-no-key_fail", Code::UnknownAuthority)]);
    counts(&[
        "sigstore-conformance/managed-key-and-trusted-root",
        "sigstore-conformance/managed-key-happy-path",
    ]);
}
