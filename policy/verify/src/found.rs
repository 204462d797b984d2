//! The input of a verification: pieces of evidence, and the request about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::Source;
use pullgate_policy::identity::Authority;
use pullgate_policy::oci::{Digest, Manifest, media_type};

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
    /// A statement in an attestation manifest that may be signed.
    Carried(Box<Carried>),
    /// What was listed and could not be had, or is of a kind that is not verified.
    Unread {
        /// Why.
        code: Code,
        /// A few more words.
        detail: String,
    },
}

/// A statement in an attestation manifest, and what may be a signature of that manifest.
#[derive(Debug, Clone)]
pub struct Carried {
    /// The layer.
    pub statement: Bytes,
    /// The attestation manifest.
    pub manifest: Bytes,
    /// A piece of evidence about the attestation manifest.
    pub by: Item,
    /// Where that was found.
    pub signed_at: Source,
    /// What the statement may be about besides the subject: the manifests that it lists, if it is an index.
    pub children: Arc<[Digest]>,
}

impl Carried {
    pub(crate) fn length(&self) -> u64 {
        self.statement.len() as u64 + self.manifest.len() as u64 + self.by.length()
    }

    /// Whether the manifest lists the statement, by its hash and as what it is.
    pub(crate) fn is_listed(&self) -> bool {
        let document = Untrusted::new(self.manifest.clone()).hash().parse(Some(media_type::OCI_MANIFEST));
        document.is_ok_and(|document| match document.value().manifest() {
            Manifest::Image(image) => image.layers.iter().any(|layer| {
                layer.media_type == media_type::IN_TOTO
                    && layer.digest.is_some_and(|digest| digest.recompute(&self.statement) == digest)
                    && layer.size == self.statement.len() as u64
            }),
            Manifest::Index(_) => false,
        })
    }
}

impl Found {
    /// Where each part of it was found.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        let signed_at = match &self.item {
            Item::Carried(carried) => Some(carried.signed_at),
            Item::Bundle { .. } | Item::Dsse { .. } | Item::SimpleSigning { .. } | Item::Unread { .. } => {
                None
            }
        };
        std::iter::once(self.source).chain(signed_at)
    }
}

impl Item {
    /// Its bytes, where it was fetched.
    #[must_use]
    pub fn length(&self) -> u64 {
        match self {
            Self::SimpleSigning { payload: bytes, .. }
            | Self::Dsse { envelope: bytes, .. }
            | Self::Bundle { json: bytes } => bytes.len() as u64,
            Self::Carried(carried) => carried.length(),
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
