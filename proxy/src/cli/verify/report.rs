//! The report of `verify` on an image. Its JSON form is documented in `proxy/README.md` and stable: fields are added;
//! no field changes its meaning without another [`VERSION`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use pullgate_policy::evidence::{Chained, Layout, LogEntry, LogProof, Revocation, Source};
use pullgate_policy::oci::Digest;
use pullgate_policy::text;
use serde::Serialize;

use crate::signers::Who;

/// The version of the JSON shape.
pub(in crate::cli) const VERSION: u32 = 1;

/// All images.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Reports {
    pub(in crate::cli) version: u32,
    /// The policy by which they were judged: SHA-256 of its text and its keys.
    pub(in crate::cli) policy_revision: String,
    /// The trust roots by which evidence was verified.
    pub(in crate::cli) trust_revision: String,
    pub(in crate::cli) images: Vec<Report>,
}

/// One image.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Report {
    pub(in crate::cli) image: String,
    pub(in crate::cli) digest: Option<Digest>,
    pub(in crate::cli) media_type: Option<String>,
    /// The children of an index: its permit carries them.
    pub(in crate::cli) children: Vec<Child>,
    pub(in crate::cli) policy: Option<Governed>,
    pub(in crate::cli) verdict: Word,
    pub(in crate::cli) ground: Option<&'static str>,
    pub(in crate::cli) valid_until: Option<Timestamp>,
    pub(in crate::cli) reasons: Vec<Reason>,
    pub(in crate::cli) looked: Vec<Looked>,
    pub(in crate::cli) evidence: Vec<Piece>,
    pub(in crate::cli) rejected: Vec<Rejected>,
    pub(in crate::cli) requirements: Vec<Requirement>,
    /// What was refused of the upstream's words, with what would allow it.
    pub(in crate::cli) refused: Vec<String>,
}

/// A verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(in crate::cli) enum Word {
    Deny,
    Permit,
    Undecided,
}

/// A child of an index.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Child {
    pub(in crate::cli) digest: Option<Digest>,
    pub(in crate::cli) platform: Option<String>,
}

/// The policy that governs.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Governed {
    pub(in crate::cli) name: String,
    pub(in crate::cli) scope: String,
    pub(in crate::cli) mode: &'static str,
    pub(in crate::cli) location: String,
}

/// Why not, or why only with a warning.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Reason {
    pub(in crate::cli) code: String,
    pub(in crate::cli) text: String,
    pub(in crate::cli) location: Option<String>,
}

/// One place where evidence may lie.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Looked {
    pub(in crate::cli) layout: Layout,
    pub(in crate::cli) manifests: Vec<Digest>,
    /// The code of why it could not be asked.
    pub(in crate::cli) unread: Option<String>,
}

/// A signature or an attestation whose cryptography holds.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Piece {
    /// The predicate type of an attestation; none for a signature.
    pub(in crate::cli) predicate_type: Option<String>,
    pub(in crate::cli) signed_by: Who,
    pub(in crate::cli) logged: bool,
    /// The code of why it is not.
    pub(in crate::cli) not_logged: Option<String>,
    /// What logs vouch for.
    pub(in crate::cli) log_entries: Vec<Entry>,
    pub(in crate::cli) time: Option<Timestamp>,
    /// Whose clock told it: `log`, `timestamp-authority` or `signing-authority`.
    pub(in crate::cli) clock: Option<&'static str>,
    /// `verified`, where a signed certificate timestamp was asked for.
    pub(in crate::cli) sct: Option<&'static str>,
    /// When it counts no longer, where what it rests on has an end.
    pub(in crate::cli) ends: Option<Timestamp>,
    /// What a signature of Notation's rests on.
    pub(in crate::cli) chain: Option<Chain>,
    /// The `docker-reference` of the payload, which opens nothing.
    pub(in crate::cli) claimed_reference: Option<String>,
    pub(in crate::cli) annotations: BTreeMap<String, String>,
    /// The authorities for which it counts.
    pub(in crate::cli) counts_as: Vec<String>,
    /// The code of why it counts for none.
    pub(in crate::cli) why_not: Option<String>,
    /// What would make it right.
    pub(in crate::cli) cure: Option<String>,
    pub(in crate::cli) found: Found,
}

/// A chain of certificates that travels with a signature.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Chain {
    /// `notary.x509` or `notary.x509.signingAuthority`.
    pub(in crate::cli) scheme: &'static str,
    /// The subjects, the signer's first.
    pub(in crate::cli) subjects: Vec<String>,
    /// When its signer says that it was made, which proves nothing.
    pub(in crate::cli) claimed_time: Option<Timestamp>,
    /// `not-revoked`, `not-revocable` or `not-asked`.
    pub(in crate::cli) revocation: &'static str,
}

/// An entry of a transparency log about this very signature.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Entry {
    pub(in crate::cli) log: String,
    pub(in crate::cli) index: Option<u64>,
    /// `inclusion-proof`, `signed-entry-timestamp`, or both.
    pub(in crate::cli) by: Vec<&'static str>,
}

/// Where a piece was found.
#[derive(Debug, Clone, Serialize)]
pub(in crate::cli) struct Found {
    pub(in crate::cli) layout: Layout,
    pub(in crate::cli) manifest: Digest,
    pub(in crate::cli) blob: Digest,
}

/// A piece that is worth nothing, and why.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Rejected {
    pub(in crate::cli) code: String,
    pub(in crate::cli) detail: String,
    /// What would make it right.
    pub(in crate::cli) cure: &'static str,
    pub(in crate::cli) found: Found,
}

/// A requirement, judged alone.
#[derive(Debug, Serialize)]
pub(in crate::cli) struct Requirement {
    pub(in crate::cli) location: String,
    pub(in crate::cli) asks: String,
    pub(in crate::cli) met: bool,
    /// The authorities that met it.
    pub(in crate::cli) by: Vec<String>,
    /// Why it is not met.
    pub(in crate::cli) reason: Option<Reason>,
    /// The command that would meet it, where signing is what is missing.
    pub(in crate::cli) command: Option<String>,
    /// What alone keeps a signer from meeting it, where signing is not what is missing.
    pub(in crate::cli) nearly: Option<String>,
}

impl Child {
    /// Whether it is what BuildKit adds to an index about another child.
    pub(in crate::cli) fn attests(&self) -> bool {
        self.platform.as_deref() == Some("unknown/unknown")
    }
}

impl Report {
    /// A report of which nothing is known yet.
    pub(in crate::cli) fn about(image: String) -> Self {
        Self {
            image,
            digest: None,
            media_type: None,
            children: Vec::new(),
            policy: None,
            verdict: Word::Undecided,
            ground: None,
            valid_until: None,
            reasons: Vec::new(),
            looked: Vec::new(),
            evidence: Vec::new(),
            rejected: Vec::new(),
            requirements: Vec::new(),
            refused: Vec::new(),
        }
    }
}

impl From<&LogEntry> for Entry {
    fn from(entry: &LogEntry) -> Self {
        let (proof, promise) = ("inclusion-proof", "signed-entry-timestamp");
        let by = match entry.by {
            LogProof::Inclusion => vec![proof],
            LogProof::SignedTimestamp => vec![promise],
            LogProof::InclusionAndSignedTimestamp => vec![proof, promise],
        };
        Self { log: text::escape(&entry.log), index: entry.index, by }
    }
}

impl From<&Chained> for Chain {
    fn from(chained: &Chained) -> Self {
        Self {
            scheme: chained.scheme.as_str(),
            subjects: chained.subjects.iter().map(|subject| text::escape(subject)).collect(),
            claimed_time: chained.claimed,
            revocation: match chained.revocation {
                Revocation::NotAsked => "not-asked",
                Revocation::NotRevocable => "not-revocable",
                Revocation::NotRevoked => "not-revoked",
            },
        }
    }
}

impl From<Source> for Found {
    fn from(source: Source) -> Self {
        Self { layout: source.layout, manifest: source.manifest, blob: source.blob }
    }
}
