use jiff::Timestamp;
use sigstore_types::{DerPublicKey, MediaType};

use super::*;

fn at() -> Timestamp {
    Timestamp::UNIX_EPOCH
}

/// A detail in the library's own words.
fn said(detail: &str) -> String {
    detail.to_owned()
}

fn told<E: Into<Error>>(cases: impl IntoIterator<Item = (E, Code)>) {
    for (error, expected) in cases {
        let error = error.into();
        let fault = of(&error);
        assert_eq!(fault.code, expected, "{error}");
        assert_eq!(fault.detail, error.to_string());
    }
}

#[test]
fn what_is_wrong_with_a_signature_or_its_artifact_has_its_code() {
    let crypto = sigstore_crypto::VerificationKey::from_spki(&DerPublicKey::new(vec![0])).err().unwrap();
    told([
        (Error::SignatureInvalid(said("signature verification failed: x")), Code::SignatureInvalid),
        (
            Error::ArtifactMismatch(said("artifact hash mismatch for hashedrekord entry")),
            Code::LogEntryMismatch,
        ),
        (
            Error::ArtifactMismatch(said("artifact hash does not match any subject in attestation")),
            Code::SubjectMismatch,
        ),
        (
            Error::ArtifactMismatch(said("message digest in bundle does not match artifact hash")),
            Code::DigestMismatch,
        ),
        (Error::InvalidTrustRoot(said("no certificate log")), Code::SctInvalid),
        (Error::Crypto(crypto), Code::KeyUnsupported),
        (
            Error::UnsupportedBundle(said("Rekor entry dsse/0.0.1 is incompatible with a message signature")),
            Code::LogEntryKind,
        ),
        (Error::UnsupportedBundle(said("unsupported bundle signature content")), Code::Unsupported),
        (Error::UnsupportedArtifact(said("a digest")), Code::Unsupported),
        (Error::InvalidBundle(said("bundle has no signing certificate")), Code::BundleInvalid),
    ]);
}

#[test]
fn what_is_wrong_with_a_certificate_has_its_code() {
    let chain = |detail: &str| CertificateError::ChainInvalid(said(detail));
    let sct = |detail: &str| CertificateError::Sct(said(detail));
    told([
        (chain("certificate chain validation failed: UnknownIssuer"), Code::CertificateUntrusted),
        (
            chain("certificate chain validation failed: InvalidSignatureForPublicKey"),
            Code::CertificateUntrusted,
        ),
        (
            chain("certificate chain validation failed: CertExpired { time: 1, not_after: 0 }"),
            Code::TimeOutsideCertificate,
        ),
        (
            chain("certificate chain validation failed: CertNotValidYet { time: 0, not_before: 1 }"),
            Code::TimeOutsideCertificate,
        ),
        (chain("certificate chain validation failed: RequiredEkuNotFound"), Code::CertificateInvalid),
        (CertificateError::NoValidAuthority { time: at() }, Code::CertificateExpired),
        (CertificateError::NotYetValid { time: at(), not_before: at() }, Code::TimeOutsideCertificate),
        (CertificateError::Expired { time: at(), not_after: at() }, Code::TimeOutsideCertificate),
        (sct("certificate is missing SCT extension (Signed Certificate Timestamp)"), Code::SctMissing),
        (sct("no SCTs found in certificate"), Code::SctMissing),
        (sct("the certificate does not contain one"), Code::SctMissing),
        (sct("SCT signature verification failed: x"), Code::SctInvalid),
        (CertificateError::Malformed(said("failed to parse")), Code::CertificateInvalid),
    ]);
}

#[test]
fn what_is_wrong_with_a_timestamp_has_its_code() {
    let invalid =
        |detail: &str| TimestampError::Invalid(format!("TSA timestamp verification failed: {detail}"));
    told([
        (TimestampError::NoVerifiedTimestamp(said("none")), Code::NoTrustedTime),
        (TimestampError::OutsideAuthorityValidity { time: at() }, Code::TimestampUntrusted),
        (invalid("message hash mismatch: expected 00, got ff"), Code::TimestampMismatch),
        (invalid("certificate validation failed: x"), Code::TimestampUntrusted),
        (invalid("Failed to verify timestamp signature: x"), Code::TimestampUntrusted),
        (invalid("TSA certificate lacks the Extended Key Usage"), Code::TimestampUntrusted),
        (invalid("no timestamp authorities configured in trusted root"), Code::TimestampUntrusted),
        (invalid("failed to decode TSTInfo: x"), Code::TimestampInvalid),
    ]);
}

#[test]
fn what_is_wrong_with_a_log_entry_has_its_code() {
    let checkpoint = |detail: &str| TransparencyLogError::Checkpoint(said(detail));
    let promise = |detail: &str| TransparencyLogError::InclusionPromise(said(detail));
    let time = |detail: &str| TransparencyLogError::IntegratedTime(said(detail));
    let entry = |detail: &str| TransparencyLogError::MalformedEntry(said(detail));
    told([
        (TransparencyLogError::UnknownLog { log_id: said("x") }, Code::LogUnknown),
        (TransparencyLogError::InclusionProof(said("x")), Code::InclusionProofInvalid),
        (checkpoint("Checkpoint root hash mismatch: expected 00, got ff"), Code::CheckpointMismatch),
        (checkpoint("Rekor v2 inclusion proof has no checkpoint"), Code::CheckpointMismatch),
        (checkpoint("No valid Rekor signature found on checkpoint"), Code::CheckpointInvalid),
        (promise("No log key valid at integrated time x for log ID y"), Code::LogUnknown),
        (promise("SET verification failed: No log key"), Code::SetInvalid),
        (TransparencyLogError::EntryMismatch(said("x")), Code::LogEntryMismatch),
        (time("integrated time x is in the future (current time: y)"), Code::TimeInFuture),
        (time("integrated time x is after certificate validity"), Code::TimeOutsideCertificate),
        (entry("SHA-256 hash must be 32 bytes"), Code::Unsupported),
        (
            entry("failed to parse Rekor body: unknown variant `PKIX_ECDSA_P384_SHA_384`, expected x"),
            Code::Unsupported,
        ),
        (entry("invalid Rekor log ID: x"), Code::LogEntryKind),
    ]);
}

#[test]
fn what_is_wrong_with_the_shape_of_a_bundle_has_its_code() {
    told([
        (BundleError::MissingInclusionProof(MediaType::Bundle0_3), Code::InclusionProofMissing),
        (BundleError::MissingInclusionPromise(MediaType::Bundle0_1), Code::SetInvalid),
        (BundleError::MissingSigningTimeEvidence, Code::NoTrustedTime),
        (BundleError::MissingTimestamp, Code::NoTrustedTime),
        (BundleError::MissingCheckpoint, Code::CheckpointMismatch),
        (BundleError::CheckpointRootMismatch, Code::CheckpointMismatch),
        (BundleError::LogIndexOutOfRange { log_index: 1, tree_size: 1 }, Code::InclusionProofInvalid),
        (BundleError::UnsupportedVerificationMaterial, Code::BundleInvalid),
    ]);
}
