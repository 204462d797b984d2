//! What rows are about.

use jiff::Timestamp;
use pullgate_policy::grant::Role;
use pullgate_policy::oci::{Digest, Repository, Tag};
use pullgate_policy::seal::Sealed;
use sqlx::Row;
use sqlx::any::AnyRow;

/// What a sealed record is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum RecordKind {
    /// The collected evidence about a subject.
    Evidence,
    /// What a policy said of it.
    Permit,
}

impl RecordKind {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Evidence => "evidence",
            Self::Permit => "permit",
        }
    }
}

/// Where a sealed record is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct RecordKey {
    /// What it is.
    pub kind: RecordKind,
    /// In which repository it counts.
    pub repository: Repository,
    /// What it is about.
    pub key: Digest,
    /// Under which policy and trust, as its maker writes it.
    pub revisions: String,
}

/// Why the root of a grant was permitted: proven roots are visited first (A616).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum GrantRank {
    /// The policy let it through as it was: a warning only, an exemption, nothing to check.
    LetThrough,
    /// Its evidence satisfied the policy.
    Proven,
}

/// Whether a permit rests on a record: unproven records are dropped first for want of room (A607).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Worth {
    /// Nothing that was permitted.
    Nothing,
    /// A permit without a check: a warning only, an exemption, nothing to check.
    LetThrough,
    /// What its evidence proved.
    Proven,
}

/// A grant to keep.
#[derive(Debug, Clone)]
pub struct GrantRow {
    /// In which repository it counts.
    pub repository: Repository,
    /// What it is for.
    pub child: Digest,
    /// Whose permit it rests on.
    pub root: Digest,
    /// Its role below its parent, to find the children of indexes; the sealed claim has its own copy.
    pub role: Role,
    /// By what its root was permitted: a hint where to look first, and no more.
    pub standing: GrantRank,
    /// The sealed claim.
    pub sealed: Sealed,
}

/// Where a tag's digest is found.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct TagKey {
    /// The repository.
    pub repository: Repository,
    /// The tag.
    pub tag: Tag,
    /// The set of media types that was asked for: upstreams answer one tag with different documents. The gate chooses
    /// the text, not the client, so that there are few and short ones (A608).
    pub accept: String,
}

/// The digest of a tag, and when it was seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TagSeen {
    /// The digest of the bytes that came.
    pub digest: Digest,
    /// When the upstream answered so. It may lie in the future when the clock was set back (A541): the reader decides.
    pub seen: Timestamp,
}

impl GrantRank {
    /// As it stands in a row.
    pub(super) fn as_row(self) -> i64 {
        match self {
            Self::LetThrough => 0,
            Self::Proven => 1,
        }
    }
}

impl Worth {
    /// As it stands in a row.
    pub(super) fn as_row(self) -> i64 {
        match self {
            Self::Nothing => 0,
            Self::LetThrough => 1,
            Self::Proven => 2,
        }
    }
}

pub(super) fn tag_seen(row: &AnyRow) -> Result<Option<TagSeen>, sqlx::Error> {
    let digest: String = row.try_get("digest")?;
    let seen = Timestamp::from_millisecond(row.try_get("seen")?);
    Ok(digest.parse().ok().zip(seen.ok()).map(|(digest, seen)| TagSeen { digest, seen }))
}
