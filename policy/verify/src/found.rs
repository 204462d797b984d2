//! The input of a verification: pieces of evidence, and the request about them.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::content::Untrusted;
use pullgate_policy::evidence::Source;
use pullgate_policy::evidence::notation::Form;
use pullgate_policy::identity::Authority;
use pullgate_policy::oci::{Digest, Manifest, media_type};

use crate::artifact::Artifact;
use crate::artifact::SharedArtifact;
use crate::ring::KeyRing;
use crate::trust::TrustSet;

/// A piece of evidence and where it was found.
#[derive(Debug, Clone)]
pub struct Found {
    /// Where.
    pub source: Source,
    /// What.
    pub item: Item,
}

/// A piece of evidence as it was fetched: its bytes are intact, and nothing else is checked.
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
    /// A signature of the Notary Project's.
    Envelope {
        /// In which of its forms.
        form: Form,
        /// The layer.
        bytes: Bytes,
    },
    /// A statement in an attestation manifest that may be signed.
    Carried(Box<Carried>),
    /// A listed piece that could not be fetched, or whose kind is not verified.
    Unread {
        /// Why.
        code: Code,
        /// A few more words.
        detail: String,
    },
}

/// A statement in an attestation manifest, and what may be a signature of that manifest. Clones are cheap: whatever is
/// signed by many, or signs many, is there once (A602).
#[derive(Debug, Clone)]
pub struct Carried {
    /// The statement.
    pub statement: Statement,
    /// A piece of evidence about the attestation manifest.
    pub by: Arc<Item>,
    /// Where that was found.
    pub signed_at: Source,
    /// The digests that the statement may also be about: the subject's children, if it is an index.
    pub children: Arc<[Digest]>,
}

/// An attestation manifest, read and hashed once however many statements and signatures it has (A604).
#[derive(Debug)]
pub struct Attesting {
    pub(crate) artifact: SharedArtifact,
    pub(crate) digest: Digest,
    length: u64,
    /// Its statements, as it lists them.
    listed: Vec<(Digest, u64)>,
}

/// A statement that lies beside others in an attestation manifest.
#[derive(Debug, Clone)]
pub struct Statement {
    pub(crate) manifest: Arc<Attesting>,
    pub(crate) artifact: SharedArtifact,
    length: u64,
    is_listed: bool,
}

impl Attesting {
    /// Reads a manifest. A document that is no attestation manifest lists no statement.
    #[must_use]
    pub fn read(manifest: Bytes) -> Self {
        let document = Untrusted::new(manifest.clone()).hash().parse(Some(media_type::OCI_MANIFEST));
        let listed = match document.as_ref().map(|document| document.value().manifest()) {
            Ok(Manifest::Image(image)) => {
                let of_in_toto = image.layers.iter().filter(|layer| layer.media_type == media_type::IN_TOTO);
                of_in_toto.filter_map(|layer| Some((layer.digest?, layer.size))).collect()
            }
            Ok(Manifest::Index(_)) | Err(_) => Vec::new(),
        };
        let length = manifest.len() as u64;
        Self { digest: Digest::of(&manifest), artifact: SharedArtifact::of(manifest), length, listed }
    }

    /// One of its statements, if the manifest lists it by its hash and with the media type of a statement.
    #[must_use]
    pub fn statement(self: &Arc<Self>, statement: Bytes) -> Statement {
        let length = statement.len() as u64;
        let is_listed = self
            .listed
            .iter()
            .any(|(digest, size)| *size == length && digest.recompute(&statement) == *digest);
        Statement { manifest: Arc::clone(self), artifact: SharedArtifact::of(statement), length, is_listed }
    }
}

impl Carried {
    pub(crate) fn length(&self) -> u64 {
        self.statement.length + self.statement.manifest.length + self.by.length()
    }

    pub(crate) fn is_listed(&self) -> bool {
        self.statement.is_listed
    }
}

impl Found {
    /// Where each part of it was found.
    pub fn sources(&self) -> impl Iterator<Item = Source> {
        let signed_at = match &self.item {
            Item::Carried(carried) => Some(carried.signed_at),
            Item::Bundle { .. }
            | Item::Dsse { .. }
            | Item::Envelope { .. }
            | Item::SimpleSigning { .. }
            | Item::Unread { .. } => None,
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
            | Self::Envelope { bytes, .. }
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
    /// The gate's clock: a proven time ahead of it by more than `clock_skew` does not count.
    pub now: Timestamp,
    /// When the registry was asked.
    pub collected: Timestamp,
}
