//! The input of a verification: pieces of evidence, and the request about them.

use std::collections::BTreeMap;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::evidence::Source;
use pullgate_policy::identity::Authority;
use pullgate_policy::oci::Digest;

use crate::artifact::Artifact;
use crate::key::KeyRing;
use crate::trust::TrustSet;

/// A piece of evidence and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub source: Source,
    /// What.
    pub item: Item,
}

/// A piece of evidence as it was fetched; its bytes are intact, nothing else is known of them.
#[derive(Debug, Clone)]
pub enum Item {
    /// A layer of a `.sig` manifest.
    SimpleSigning {
        /// The layer.
        payload: Bytes,
        /// The annotations of its descriptor.
        annotations: BTreeMap<String, String>,
    },
    /// A layer of an `.att` manifest.
    Dsse {
        /// The layer.
        envelope: Bytes,
        /// The annotations of its descriptor.
        annotations: BTreeMap<String, String>,
    },
    /// A Sigstore bundle.
    Bundle {
        /// The layer.
        json: Bytes,
    },
    /// What was listed and could not be had, or is of a kind that is not verified.
    Unread {
        /// Why.
        code: Code,
        /// A few more words.
        detail: String,
    },
}

impl Item {
    /// Its bytes, where it was fetched.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::SimpleSigning { payload: bytes, .. }
            | Self::Dsse { envelope: bytes, .. }
            | Self::Bundle { json: bytes } => bytes.len() as u64,
            Self::Unread { .. } => 0,
        }
    }
}

/// One question about one subject.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// What all evidence must be about.
    pub subject: Digest,
    /// The manifest with that digest: what a message signature signs.
    pub artifact: Artifact<'a>,
    /// What was found; beyond `signatures_max` pieces the rest is `evidence-limit`.
    pub found: &'a [Found],
    /// The authorities that the policy's requirements name: only their keys and trust tables are tried.
    pub authorities: &'a [&'a Authority],
    /// The keys behind the authorities.
    pub keys: &'a KeyRing,
    /// The trust tables behind the authorities.
    pub trust: &'a TrustSet,
    /// The gate's clock: a proven time ahead of it by more than `clock_skew` is no time.
    pub now: Timestamp,
    /// When the registry was asked.
    pub collected: Timestamp,
}
