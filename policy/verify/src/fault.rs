//! Why one attempt on one piece of evidence failed, and the most useful of several reasons.

use pullgate_policy::code::Code;

/// A reason with a few more words. The detail may quote text from outside: escape it where it is shown.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct PieceFault {
    pub(crate) code: Code,
    pub(crate) detail: String,
}

impl PieceFault {
    pub(crate) fn new(code: Code, detail: impl Into<String>) -> Self {
        Self { code, detail: detail.into() }
    }
}

impl From<Code> for PieceFault {
    fn from(code: Code) -> Self {
        Self { code, detail: String::new() }
    }
}

impl PieceFault {
    /// Whether only a timestamp is at fault: log entries count without it.
    pub(crate) fn is_a_timestamps(&self) -> bool {
        TIMESTAMP.contains(&self.code)
    }
}

impl PieceFault {
    /// Whether a log entry alone is at fault.
    pub(crate) fn is_a_logs(&self) -> bool {
        LOG.contains(&self.code)
    }
}

/// What can be wrong with a log entry.
const LOG: [Code; 9] = [
    Code::CheckpointInvalid,
    Code::CheckpointMismatch,
    Code::InclusionProofInvalid,
    Code::InclusionProofMissing,
    Code::LogEntryKind,
    Code::LogEntryMismatch,
    Code::LogUnknown,
    Code::SetInvalid,
    Code::Unsupported,
];

/// What can be wrong with a timestamp.
const TIMESTAMP: [Code; 3] = [Code::TimestampInvalid, Code::TimestampMismatch, Code::TimestampUntrusted];

/// The fault of the attempt that got furthest: a piece that fails under each of several trust tables is best explained
/// by the table under which the least is wrong.
pub(crate) fn most_telling(faults: impl IntoIterator<Item = PieceFault>) -> Option<PieceFault> {
    faults.into_iter().fold(None, |best: Option<PieceFault>, fault| match best {
        Some(best) if progress(best.code) >= progress(fault.code) => Some(best),
        Some(_) | None => Some(fault),
    })
}

/// How far an attempt got before it failed with this code, in the order in which things are checked.
fn progress(code: Code) -> u8 {
    const ORDER: [&[Code]; 7] = [
        // The signer is unknown under this trust table.
        &[Code::UnknownAuthority],
        &[Code::CertificateUntrusted, Code::LogUnknown],
        &[
            Code::LogEntryMissing,
            Code::NoTrustedTime,
            Code::TimestampInvalid,
            Code::TimestampMismatch,
            Code::TimestampUntrusted,
        ],
        // The stale table may know a signer whom other tables do not: not knowing is not a no (A342).
        &[Code::TrustStale],
        &[Code::SctMissing, Code::SctInvalid, Code::TimeOutsideCertificate, Code::CertificateExpired],
        // Certificate and log hold; the codes below are about the signature itself.
        &[
            Code::SetInvalid,
            Code::CheckpointInvalid,
            Code::CheckpointMismatch,
            Code::InclusionProofInvalid,
            Code::LogEntryMismatch,
        ],
        &[Code::SignatureInvalid],
    ];
    let reached = ORDER.iter().position(|codes| codes.contains(&code)).unwrap_or(ORDER.len());
    u8::try_from(reached).unwrap_or(u8::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_attempt_that_got_furthest_explains() {
        let codes = [Code::UnknownAuthority, Code::SignatureInvalid, Code::CertificateUntrusted];
        let best = most_telling(codes.map(PieceFault::from)).map(|fault| fault.code);
        assert_eq!(best, Some(Code::SignatureInvalid));
        let bound =
            most_telling([PieceFault::from(Code::SignatureInvalid), PieceFault::from(Code::DigestMismatch)]);
        assert_eq!(bound.map(|fault| fault.code), Some(Code::DigestMismatch), "the signature held");
        assert_eq!(most_telling([]), None);
        for (other, told) in
            [(Code::CertificateUntrusted, Code::TrustStale), (Code::SctInvalid, Code::SctInvalid)]
        {
            let stale = most_telling([PieceFault::from(other), PieceFault::from(Code::TrustStale)]);
            assert_eq!(stale.map(|fault| fault.code), Some(told));
        }
    }
}
