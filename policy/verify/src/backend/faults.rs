//! The library's errors in the policy's codes.

use pullgate_policy::code::Code;
use sigstore_bundle::Error as BundleError;
use sigstore_verify::{CertificateError, Error, TimestampError, TransparencyLogError};

use crate::fault::PieceFault;

pub(super) fn of(error: &Error) -> PieceFault {
    PieceFault::new(code(error), error.to_string())
}

fn code(error: &Error) -> Code {
    match error {
        Error::SignatureInvalid(_) => Code::SignatureInvalid,
        // The signature holds, and it is over another artifact.
        Error::ArtifactMismatch(detail) if detail.contains("hashedrekord") => Code::LogEntryMismatch,
        Error::ArtifactMismatch(detail) if detail.contains("subject") => Code::SubjectMismatch,
        Error::ArtifactMismatch(_) => Code::DigestMismatch,
        Error::Certificate(error) => certificate(error),
        Error::TransparencyLog(error) => log(error),
        Error::Timestamp(error) => timestamp(error),
        // While it verifies, this has one cause only: the table has no certificate log.
        Error::InvalidTrustRoot(_) => Code::SctInvalid,
        Error::Crypto(_) => Code::KeyUnsupported,
        Error::Bundle(error) => bundle(error),
        // It reads a statement in one form of several.
        Error::InvalidBundle(detail) if detail.contains("in-toto statement") => Code::StatementInvalid,
        Error::UnsupportedBundle(detail) if detail.contains("incompatible with") => Code::LogEntryKind,
        Error::UnsupportedBundle(_) | Error::UnsupportedArtifact(_) => Code::Unsupported,
        _ => Code::BundleInvalid,
    }
}

fn certificate(error: &CertificateError) -> Code {
    match error {
        CertificateError::ChainInvalid(detail) if is_foreign(detail) => Code::CertificateUntrusted,
        CertificateError::ChainInvalid(detail)
            if detail.contains("CertExpired") || detail.contains("CertNotValidYet") =>
        {
            Code::TimeOutsideCertificate
        }
        // It knows no constraint of URIs or addresses: the path is built once more behind it.
        CertificateError::ChainInvalid(detail) if detail.contains("NameConstraintViolation") => {
            Code::Unsupported
        }
        CertificateError::NoValidAuthority { .. } => Code::CertificateExpired,
        CertificateError::NotYetValid { .. } | CertificateError::Expired { .. } => {
            Code::TimeOutsideCertificate
        }
        CertificateError::Sct(detail) if is_absent(detail) => Code::SctMissing,
        CertificateError::Sct(_) => Code::SctInvalid,
        _ => Code::CertificateInvalid,
    }
}

/// Of several authorities the library tells the last one's reason: about other bytes is a token for all of them alike.
fn timestamp(error: &TimestampError) -> Code {
    match error {
        TimestampError::NoVerifiedTimestamp(_) => Code::NoTrustedTime,
        TimestampError::OutsideAuthorityValidity { .. } => Code::TimestampUntrusted,
        TimestampError::Invalid(detail) if detail.contains("message hash mismatch") => {
            Code::TimestampMismatch
        }
        TimestampError::Invalid(detail) if UNTRUSTED.iter().any(|words| detail.contains(words)) => {
            Code::TimestampUntrusted
        }
        _ => Code::TimestampInvalid,
    }
}

/// The library's words for a well-formed token by an authority that is not in the table.
const UNTRUSTED: [&str; 4] = [
    "certificate validation failed",
    "Failed to verify timestamp signature",
    "Extended Key Usage",
    "no timestamp authorities",
];

/// No authority of that name, or one of that name with another key.
fn is_foreign(detail: &str) -> bool {
    ["UnknownIssuer", "InvalidSignatureForPublicKey"].iter().any(|words| detail.contains(words))
}

fn is_absent(detail: &str) -> bool {
    ["no SCT", "not contain", "missing"].iter().any(|words| detail.contains(words))
}

fn log(error: &TransparencyLogError) -> Code {
    match error {
        TransparencyLogError::UnknownLog { .. } => Code::LogUnknown,
        TransparencyLogError::InclusionProof(_) => Code::InclusionProofInvalid,
        TransparencyLogError::Checkpoint(detail)
            if detail.contains("root hash mismatch") || detail.contains("has no checkpoint") =>
        {
            Code::CheckpointMismatch
        }
        TransparencyLogError::Checkpoint(_) => Code::CheckpointInvalid,
        TransparencyLogError::InclusionPromise(detail) if detail.starts_with("No log key") => {
            Code::LogUnknown
        }
        TransparencyLogError::InclusionPromise(_) => Code::SetInvalid,
        TransparencyLogError::EntryMismatch(_) => Code::LogEntryMismatch,
        TransparencyLogError::IntegratedTime(detail) if detail.contains("future") => Code::TimeInFuture,
        TransparencyLogError::IntegratedTime(_) => Code::TimeOutsideCertificate,
        // Entries over a SHA-384 or SHA-512 hash, and of Rekor v2 by another kind of key than P-256.
        TransparencyLogError::MalformedEntry(detail)
            if ["SHA-256 hash must be", "unknown variant"].iter().any(|words| detail.contains(words)) =>
        {
            Code::Unsupported
        }
        _ => Code::LogEntryKind,
    }
}

fn bundle(error: &BundleError) -> Code {
    match error {
        BundleError::MissingInclusionProof(_) => Code::InclusionProofMissing,
        BundleError::MissingInclusionPromise(_) => Code::SetInvalid,
        BundleError::MissingSigningTimeEvidence | BundleError::MissingTimestamp => Code::NoTrustedTime,
        BundleError::MissingCheckpoint | BundleError::CheckpointRootMismatch => Code::CheckpointMismatch,
        BundleError::LogIndexOutOfRange { .. } => Code::InclusionProofInvalid,
        _ => Code::BundleInvalid,
    }
}

#[cfg(test)]
mod tests;
