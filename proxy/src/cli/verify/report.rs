//! The report of `verify` on an image. Its JSON form is documented in `proxy/README.md` and stable: fields are added;
//! no field changes its meaning without another [`VERSION`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use pullgate_policy::evidence::{Layout, LogEntry, LogProof, Source};
use pullgate_policy::identity::Principal;
use pullgate_policy::oci::Digest;
use pullgate_policy::text;
use serde::Serialize;

/// The version of the JSON shape.
pub(super) const VERSION: u32 = 1;

/// All images.
#[derive(Debug, Serialize)]
pub(super) struct Reports {
    pub(super) version: u32,
    /// The policy by which they were judged: SHA-256 of its text and its keys.
    pub(super) policy_revision: String,
    /// The trust roots by which evidence was verified.
    pub(super) trust_revision: String,
    pub(super) images: Vec<Report>,
}

/// One image.
#[derive(Debug, Serialize)]
pub(super) struct Report {
    pub(super) image: String,
    pub(super) digest: Option<Digest>,
    pub(super) media_type: Option<String>,
    /// The children of an index: its permit carries them.
    pub(super) children: Vec<Child>,
    pub(super) policy: Option<Governed>,
    pub(super) verdict: Word,
    pub(super) ground: Option<&'static str>,
    pub(super) valid_until: Option<Timestamp>,
    pub(super) reasons: Vec<Reason>,
    pub(super) looked: Vec<Looked>,
    pub(super) evidence: Vec<Piece>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) requirements: Vec<Requirement>,
    /// What was refused of the upstream's words, with what would allow it.
    pub(super) refused: Vec<String>,
}

/// A verdict in one word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Word {
    Deny,
    Permit,
    Undecided,
}

/// A child of an index.
#[derive(Debug, Serialize)]
pub(super) struct Child {
    pub(super) digest: Option<Digest>,
    pub(super) platform: Option<String>,
}

/// The policy that governs.
#[derive(Debug, Serialize)]
pub(super) struct Governed {
    pub(super) name: String,
    pub(super) scope: String,
    pub(super) mode: &'static str,
    pub(super) location: String,
}

/// Why not, or why only with a warning.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Reason {
    pub(super) code: String,
    pub(super) text: String,
    pub(super) location: Option<String>,
}

/// One place where evidence may lie.
#[derive(Debug, Serialize)]
pub(super) struct Looked {
    pub(super) layout: Layout,
    pub(super) manifests: Vec<Digest>,
    /// The code of why it could not be asked.
    pub(super) unread: Option<String>,
}

/// A signature or an attestation whose cryptography holds.
#[derive(Debug, Serialize)]
pub(super) struct Piece {
    /// The predicate type of an attestation; none for a signature.
    pub(super) predicate_type: Option<String>,
    pub(super) signed_by: Who,
    pub(super) logged: bool,
    /// The code of why it is not.
    pub(super) not_logged: Option<String>,
    /// What logs vouch for.
    pub(super) log_entries: Vec<Entry>,
    pub(super) time: Option<Timestamp>,
    /// Whose clock told it: `log` or `timestamp-authority`.
    pub(super) clock: Option<&'static str>,
    /// `verified`, where a signed certificate timestamp was asked for.
    pub(super) sct: Option<&'static str>,
    /// The `docker-reference` of the payload, which opens nothing.
    pub(super) claimed_reference: Option<String>,
    pub(super) annotations: BTreeMap<String, String>,
    /// The authorities for which it counts.
    pub(super) counts_as: Vec<String>,
    /// The code of why it counts for none.
    pub(super) why_not: Option<String>,
    /// What would make it right.
    pub(super) cure: Option<String>,
    pub(super) found: Found,
}

/// An entry of a transparency log about this very signature.
#[derive(Debug, Serialize)]
pub(super) struct Entry {
    pub(super) log: String,
    pub(super) index: Option<u64>,
    /// `inclusion-proof`, `signed-entry-timestamp`, or both.
    pub(super) by: Vec<&'static str>,
}

/// A key, an identity, or a holder of a certificate of the policy's own authorities.
#[derive(Debug, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Who {
    Certificate { trust: String, ca: String, subject: String, names: Vec<String> },
    Key(String),
    Identity { trust: String, issuer: String, name: String, claims: BTreeMap<String, String> },
}

/// Where a piece was found.
#[derive(Debug, Clone, Serialize)]
pub(super) struct Found {
    pub(super) layout: Layout,
    pub(super) manifest: Digest,
    pub(super) blob: Digest,
}

/// A piece that is worth nothing, and why.
#[derive(Debug, Serialize)]
pub(super) struct Rejected {
    pub(super) code: String,
    pub(super) detail: String,
    /// What would make it right.
    pub(super) cure: &'static str,
    pub(super) found: Found,
}

/// A requirement, judged alone.
#[derive(Debug, Serialize)]
pub(super) struct Requirement {
    pub(super) location: String,
    pub(super) asks: String,
    pub(super) met: bool,
    /// The authorities that met it.
    pub(super) by: Vec<String>,
    /// Why it is not met.
    pub(super) reason: Option<Reason>,
    /// The command that would meet it, where signing is what is missing.
    pub(super) command: Option<String>,
    /// What alone keeps a signer from meeting it, where signing is not what is missing.
    pub(super) nearly: Option<String>,
}

impl Report {
    /// A report of which nothing is known yet.
    pub(super) fn about(image: String) -> Self {
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

impl From<Source> for Found {
    fn from(source: Source) -> Self {
        Self { layout: source.layout, manifest: source.manifest, blob: source.blob }
    }
}

impl From<&Principal> for Who {
    fn from(principal: &Principal) -> Self {
        match principal {
            Principal::Certificate(certified) => Self::Certificate {
                trust: certified.trust.to_string(),
                ca: certified.roots.to_string(),
                subject: certified.subject.clone(),
                names: certified.names.iter().map(|name| name.as_str().to_owned()).collect(),
            },
            Principal::Key(id) => Self::Key(id.to_string()),
            Principal::Identity(identity) => Self::Identity {
                trust: identity.trust.to_string(),
                issuer: identity.issuer.clone(),
                name: identity.san.clone(),
                claims: identity.claims.clone(),
            },
        }
    }
}
