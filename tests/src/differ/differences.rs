//! Where the gate and the reference differ on purpose, each with its reason. What is not here is a fault of one of them.

use pullgate_policy::code::Code;

use super::Case;
use super::judge::Ours;

/// Which of the two refuses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The gate does, with this code and these words.
    Ours(Code, &'static str),
    /// The gate does, since it loads no such trusted root, with these words.
    OurRoot(&'static str),
    /// The reference does, with these words.
    Reference(&'static str),
}

/// A difference on purpose.
#[derive(Debug, Clone, Copy)]
pub struct Difference {
    /// Who refuses, and with which words.
    pub refused_by: Side,
    /// What must have been changed, where the words alone would hide more than is meant.
    pub changed: &'static str,
    /// Why it is right so.
    pub reason: &'static str,
}

impl Difference {
    /// Whether a case is of this kind.
    #[must_use]
    pub fn is(&self, case: &Case, ours: &Ours, theirs: &Result<(), String>) -> bool {
        if !case.what.iter().any(|what| what.contains(self.changed)) {
            return false;
        }
        match (self.refused_by, ours, theirs) {
            (Side::OurRoot(words), Ours::Refuses { code: None, detail }, Ok(())) => detail.contains(words),
            (Side::Ours(code, words), Ours::Refuses { code: Some(told), detail }, Ok(())) => {
                code == *told && detail.contains(words)
            }
            (Side::Reference(words), Ours::Accepts, Err(error)) => error.contains(words),
            (_, _, _) => false,
        }
    }
}

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    ours(
        Code::CertificateInvalid,
        "RequiredEkuNotFound",
        "a leaf says that it is for signing code (client specification); Go takes none for any purpose (A328)",
    ),
    ours(Code::CertificateInvalid, "is not for signing code", "the same"),
    ours(
        Code::CertificateInvalid,
        "key is not for signatures",
        "a leaf's key usage has digitalSignature (client specification; A622)",
    ),
    ours(
        Code::CertificateInvalid,
        "not critical",
        "without a subject the alternative name is critical (RFC 5280, 4.1.2.6; A628)",
    ),
    ours(Code::LogUnknown, "", "a log's key counts for a checkpoint within its window alone (A311)"),
    ours(Code::BundleInvalid, "a timestamp stands twice", "one token twice is a malformed bundle (A332)"),
    ours(
        Code::TimestampInvalid,
        "by another certificate",
        "a token names the certificate by which it is signed (RFC 3161, 2.4.2; A627)",
    ),
    ours(Code::TimestampInvalid, "by which certificate", "the same"),
    ours(
        Code::CheckpointInvalid,
        "a line of the checkpoint is not the log's",
        "a line is in the log's own name, with Rekor v1 too (A625)",
    ),
    ours(
        Code::LogEntryKind,
        "of another kind than it says",
        "kind and version of an entry are those of its label, with Rekor v2 too (A626)",
    ),
    ours(
        Code::Unsupported,
        "of a kind that is not read",
        "an entry of a kind that is none is not read, with Rekor v2 too (A626)",
    ),
    ours(
        Code::CertificateInvalid,
        "CaUsedAsEndEntity",
        "what issues certificates signs no code (client specification)",
    ),
    ours(Code::CheckpointInvalid, "too many signatures", "a checkpoint has at most 16 lines in 8 KiB (A624)"),
    ours(
        Code::TimestampUntrusted,
        "the root is no certificate authority",
        "the root of a timestamp authority is one (A622)",
    ),
    changed(
        ours(
            Code::InclusionProofInvalid,
            "root hash mismatch",
            "the body that travels is the one that is in the log; the reference makes its own (A302)",
        ),
        "canonicalizedBody: a bit",
    ),
    changed(
        ours(
            Code::TimestampInvalid,
            "the timestamp cannot be read",
            "what a token holds is a TSTInfo, by its type and version (RFC 3161, 2.4.2)",
        ),
        "signedTimestamp: a bit",
    ),
    Difference {
        refused_by: Side::OurRoot("does not end in its root"),
        changed: "",
        reason: "an anchor is self-issued; the reference takes whatever stands last (A347, A622)",
    },
    changed(
        ours(
            Code::CertificateExpired,
            "no trusted certificate authority is valid",
            "an authority that does not end in a root is none, and the others count (A347, A622)",
        ),
        "chain: the other way round",
    ),
    reference(
        "CertificateAuthority cert chain is empty",
        "an authority without a certificate spoils itself and not its trusted root (A347)",
    ),
    changed(
        reference(
            "certificate embedded in the TSR does not match",
            "the same of one of them that is another",
        ),
        "signedTimestamp: a bit",
    ),
    reference(
        "inclusion proof missing required checkpoint",
        "the oldest signers wrote proofs without a checkpoint: they are left out, the signed timestamp counts (A321)",
    ),
    reference("root certificate is nil", "a timestamp authority may be listed by its own certificate alone"),
    changed(
        reference(
            "error parsing response into Timestamp",
            "certificates that travel in a token are not looked at where the root lists the leaf",
        ),
        "signedTimestamp: a bit",
    ),
    reference(
        "tlog missing public key validity period",
        "a key without a beginning spoils itself and not its trusted root (A628)",
    ),
];

const fn changed(difference: Difference, changed: &'static str) -> Difference {
    Difference { changed, ..difference }
}

const fn ours(code: Code, words: &'static str, reason: &'static str) -> Difference {
    Difference { refused_by: Side::Ours(code, words), changed: "", reason }
}

const fn reference(words: &'static str, reason: &'static str) -> Difference {
    Difference { refused_by: Side::Reference(words), changed: "", reason }
}
