//! The verified facts about one subject, and the pieces that did not count, with reasons.
//!
//! Facts enter through [`VerifiedSignature::assert_verified`] and [`VerifiedAttestation::assert_verified`] only; the
//! workspace's lints forbid both outside `policy/verify`.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::code::Code;
use crate::identity::Principal;
use crate::oci::Digest;

pub mod collected;
pub mod notation;
pub mod servable;

/// Where a piece of evidence was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Layout {
    /// cosign's tag `sha256-HEX.att`.
    AttTag,
    /// The attestation manifest that BuildKit puts into an index.
    BuildKit,
    /// The same tags in the separate evidence repository.
    EvidenceRepository,
    /// The fallback tag `sha256-HEX` of the referrers API.
    FallbackTag,
    /// The referrers API.
    Referrers,
    /// cosign's tag `sha256-HEX.sig`.
    SigTag,
}

impl Layout {
    /// Every layout.
    pub const ALL: [Self; 6] = [
        Self::AttTag,
        Self::BuildKit,
        Self::EvidenceRepository,
        Self::FallbackTag,
        Self::Referrers,
        Self::SigTag,
    ];

    /// The name as it is written in records and output.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::AttTag => "att-tag",
            Self::BuildKit => "build-kit",
            Self::EvidenceRepository => "evidence-repository",
            Self::FallbackTag => "fallback-tag",
            Self::Referrers => "referrers",
            Self::SigTag => "sig-tag",
        }
    }
}

/// Which piece of evidence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Source {
    /// Where it was found.
    pub layout: Layout,
    /// The manifest that carries it.
    pub manifest: Digest,
    /// The layer; equal to `manifest` when the manifest itself is meant.
    pub blob: Digest,
}

/// What a transparency log says of a signature.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Logged {
    /// No entry that verifies; the code says why.
    No(Code),
    /// An entry about this very signature verified under the trust table of the authority.
    Yes,
}

/// What vouched for a signature, for people: nothing is decided by it. It lists verified vouchers only.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Vouchers {
    /// Log entries about this very signature.
    pub entries: Vec<LogEntry>,
    /// The clock that proved the trusted time.
    pub clock: Option<Clock>,
    /// Whether a certificate log of the trust table vouched for the certificate (RFC 6962).
    pub sct: Sct,
    /// What a signature of Notation's rests on.
    pub chained: Option<Box<Chained>>,
}

/// What a signature of Notation's rests on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Chained {
    /// Which store vouches for it.
    pub scheme: Scheme,
    /// The subjects of its certificates, the leaf's first: texts from outside.
    pub subjects: Vec<String>,
    /// When its signer says that it was made, which proves nothing.
    pub claimed: Option<Timestamp>,
    /// What is known of revocation.
    pub revocation: Revocation,
}

/// The signing schemes of the Notary Project.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scheme {
    /// `notary.x509`.
    X509,
    /// `notary.x509.signingAuthority`: the authority tells the time too.
    SigningAuthority,
}

impl Scheme {
    /// The name as it is signed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X509 => "notary.x509",
            Self::SigningAuthority => "notary.x509.signingAuthority",
        }
    }
}

/// What is known of a chain that counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Revocation {
    /// It was not looked at.
    NotAsked,
    /// No certificate names a place where it would be told, and no list is at hand.
    NotRevocable,
    /// Lists that are current do not name what they are about.
    NotRevoked,
}

/// An entry of a transparency log.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The log, as the trust table has its address.
    pub log: String,
    /// Its index, where the log vouches for it.
    pub index: Option<u64>,
    /// By what.
    pub by: LogProof,
}

/// How a log vouches for an entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LogProof {
    /// A proof that leads to a signed checkpoint.
    Inclusion,
    /// A signed entry timestamp alone: a promise.
    SignedTimestamp,
    /// Both.
    InclusionAndSignedTimestamp,
}

/// A clock that a trust table trusts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// A transparency log's, by a signed entry timestamp.
    Log,
    /// A signing authority's, in what it signed.
    SigningAuthority,
    /// A timestamp authority's (RFC 3161).
    TimestampAuthority,
}

/// Whether a signed certificate timestamp was verified.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Sct {
    /// Not required: the signer is a key, or the trust table has `sct = "none"`.
    #[default]
    NotAsked,
    /// It was.
    Verified,
}

/// A signature whose cryptography holds, about one subject.
#[derive(Debug, Clone)]
pub struct VerifiedSignature {
    facts: SignatureFacts,
}

/// The facts of a signature.
#[derive(Debug, Clone)]
pub struct SignatureFacts {
    /// The digest that the signed bytes name.
    pub subject: Digest,
    /// Who signed.
    pub principal: Principal,
    /// Whether it is logged.
    pub logged: Logged,
    /// When, by a clock of the trust table; never by the signer's.
    pub trusted_time: Option<Timestamp>,
    /// The first moment at which it counts no longer, where what it rests on has an end (A679).
    pub ends: Option<Timestamp>,
    /// What vouched for it.
    pub vouchers: Vouchers,
    /// What the signed payload says besides.
    pub annotations: BTreeMap<String, String>,
    /// The `docker-reference` of a simple-signing payload.
    pub claimed_reference: Option<String>,
    /// Where it was found.
    pub source: Source,
}

impl VerifiedSignature {
    /// States that the cryptography was checked. For `policy/verify` only.
    #[must_use]
    pub fn assert_verified(facts: SignatureFacts) -> Self {
        Self { facts }
    }

    /// The facts.
    #[must_use]
    pub fn facts(&self) -> &SignatureFacts {
        &self.facts
    }
}

/// An attestation whose cryptography holds, about one subject.
#[derive(Debug, Clone)]
pub struct VerifiedAttestation {
    facts: AttestationFacts,
}

/// The facts of an attestation.
#[derive(Debug, Clone)]
pub struct AttestationFacts {
    /// The digest that the statement's matching subject names.
    pub subject: Digest,
    /// Who signed.
    pub principal: Principal,
    /// Whether it is logged.
    pub logged: Logged,
    /// When, by a clock of the trust table.
    pub trusted_time: Option<Timestamp>,
    /// What vouched for it.
    pub vouchers: Vouchers,
    /// The predicate type, exactly.
    pub predicate_type: String,
    /// The statement.
    pub statement: Arc<Value>,
    /// Whether its predicate stands in it.
    pub predicate: Predicate,
    /// The annotations of the matching subject.
    pub annotations: BTreeMap<String, String>,
    /// Where it was found.
    pub source: Source,
}

/// Whether a predicate was kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Predicate {
    /// The statement has it, whatever it is, or never had one.
    Kept,
    /// It was an object, read strictly and then dropped: it is too large, or its signer is not named by the policy.
    Left,
}

impl VerifiedAttestation {
    /// States that the cryptography was checked. For `policy/verify` only.
    #[must_use]
    pub fn assert_verified(facts: AttestationFacts) -> Self {
        Self { facts }
    }

    /// The facts.
    #[must_use]
    pub fn facts(&self) -> &AttestationFacts {
        &self.facts
    }
}

/// A piece of evidence that did not count.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rejected {
    /// Which one.
    pub source: Source,
    /// Why.
    pub code: Code,
    /// A few more words; shown escaped.
    pub detail: String,
}

/// A layout that could not be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Unread {
    /// Which one.
    pub layout: Layout,
    /// Why.
    pub code: Code,
}

/// Everything that was learned about one subject.
#[derive(Debug, Clone)]
pub struct Evidence {
    /// The digest that all of it is about.
    pub subject: Digest,
    /// When the registry was asked.
    pub collected: Timestamp,
    /// Signatures that hold.
    pub signatures: Vec<VerifiedSignature>,
    /// Attestations that hold.
    pub attestations: Vec<VerifiedAttestation>,
    /// What did not count.
    pub rejected: Vec<Rejected>,
    /// Layouts that could not be asked.
    pub unread: Vec<Unread>,
    /// Why the subject, which itself looks like evidence, was not served as evidence; `None` for any other subject.
    pub unpassed: Option<servable::NotServable>,
}

impl Evidence {
    /// Evidence before anything was collected.
    #[must_use]
    pub fn none(subject: Digest, collected: Timestamp) -> Self {
        Self {
            subject,
            collected,
            signatures: Vec::new(),
            attestations: Vec::new(),
            rejected: Vec::new(),
            unread: Vec::new(),
            unpassed: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layout_has_one_name_in_output_and_in_records() {
        for (layout, name) in Layout::ALL.into_iter().zip([
            "att-tag",
            "build-kit",
            "evidence-repository",
            "fallback-tag",
            "referrers",
            "sig-tag",
        ]) {
            assert_eq!(layout.as_str(), name);
            assert_eq!(serde_json::to_value(layout).unwrap(), name);
        }
    }
}
