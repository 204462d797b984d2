//! Signatures and attestations by a key of the test's own, in the layouts that cosign writes.
#![expect(clippy::expect_used, reason = "a test without a key of its own cannot go on")]

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rcgen::{KeyPair, PublicKeyData as _, SigningKey as _};
use serde_json::{Value, json};

use crate::made::{CONFIG, Layer, Made, fresh};
use crate::upstream::Upstream;

/// The media type of a simple-signing payload.
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// The media type of a DSSE envelope.
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// The media type of a bundle.
pub const BUNDLE: &str = "application/vnd.dev.sigstore.bundle.v0.3+json";
/// The predicate type of a signature in the form of a statement.
pub const SIGN_PREDICATE: &str = "https://sigstore.dev/cosign/sign/v1";
const STATEMENT: &str = "application/vnd.in-toto+json";
/// The media type of OCI's empty config.
pub const EMPTY: &str = "application/vnd.oci.empty.v1+json";

/// An ECDSA P-256 key.
#[derive(Debug)]
pub struct Signer(KeyPair);

impl Signer {
    /// A new key.
    #[must_use]
    pub fn new() -> Self {
        Self(KeyPair::generate_for(&rcgen::PKCS_ECDSA_P256_SHA256).expect("random bytes"))
    }

    /// Its public half, for a policy.
    #[must_use]
    pub fn public_pem(&self) -> String {
        let der = STANDARD.encode(self.0.subject_public_key_info());
        format!("-----BEGIN PUBLIC KEY-----\n{der}\n-----END PUBLIC KEY-----\n")
    }

    fn sign(&self, message: &[u8]) -> String {
        STANDARD.encode(self.0.sign(message).expect("a signature"))
    }

    /// A simple-signing layer about a digest.
    #[must_use]
    pub fn signature(&self, digest: &str) -> Layer {
        self.annotated(digest, &json!(null))
    }

    /// A simple-signing layer whose payload says this besides.
    #[must_use]
    pub fn annotated(&self, digest: &str, optional: &Value) -> Layer {
        let payload = json!({
            "critical": {
                "identity": { "docker-reference": "registry.test/app" },
                "image": { "docker-manifest-digest": digest },
                "type": "cosign container image signature",
            },
            "optional": optional,
        });
        self.signed(SIMPLE_SIGNING, payload.to_string().into_bytes())
    }

    /// A layer of these bytes with this key's signature over them in its annotation.
    #[must_use]
    pub fn signed(&self, media_type: &str, bytes: Vec<u8>) -> Layer {
        let annotations = json!({ "dev.cosignproject.cosign/signature": self.sign(&bytes) });
        Layer { annotations, ..Layer::new(media_type, bytes) }
    }

    /// A DSSE layer of an `.att` manifest: a statement about a digest.
    #[must_use]
    pub fn attestation(&self, digest: &str, predicate_type: &str) -> Layer {
        let envelope = self.envelope(digest, predicate_type).to_string().into_bytes();
        let annotations =
            json!({ "dev.cosignproject.cosign/signature": "", "predicateType": predicate_type });
        Layer { annotations, ..Layer::new(DSSE, envelope) }
    }

    /// A bundle whose statement is about a digest.
    #[must_use]
    pub fn bundle(&self, digest: &str, predicate_type: &str) -> Layer {
        let bundle = json!({
            "mediaType": BUNDLE,
            "verificationMaterial": { "publicKey": { "hint": "" }, "tlogEntries": [] },
            "dsseEnvelope": self.envelope(digest, predicate_type),
        });
        Layer::new(BUNDLE, bundle.to_string().into_bytes())
    }

    /// The same about several digests.
    #[must_use]
    pub fn attestation_of(&self, digests: &[String], predicate_type: &str) -> Layer {
        Layer::new(DSSE, self.envelope_about(digests, predicate_type).to_string().into_bytes())
    }

    fn envelope(&self, digest: &str, predicate_type: &str) -> Value {
        self.envelope_about(&[digest.to_owned()], predicate_type)
    }

    fn envelope_about(&self, digests: &[String], predicate_type: &str) -> Value {
        let subject = |digest: &String| json!({ "name": "app", "digest": { "sha256": digest.trim_start_matches("sha256:") } });
        let statement = json!({
            "_type": "https://in-toto.io/Statement/v1",
            "subject": digests.iter().map(subject).collect::<Vec<_>>(),
            "predicateType": predicate_type,
            "predicate": { "n": fresh() },
        });
        self.envelope_of(statement.to_string().as_bytes())
    }

    /// A DSSE envelope of these bytes, whatever they are.
    #[must_use]
    pub fn envelope_of(&self, statement: &[u8]) -> Value {
        let head = format!("DSSEv1 {} {STATEMENT} {} ", STATEMENT.len(), statement.len());
        json!({
            "payloadType": STATEMENT, "payload": STANDARD.encode(statement),
            "signatures": [{ "keyid": "", "sig": self.sign(&[head.as_bytes(), statement].concat()) }],
        })
    }

    /// Signs a digest as `cosign sign` of version 2 does: a manifest under the `.sig` tag.
    pub fn sign_at(&self, upstream: &Upstream, repository: &str, digest: &str) -> Made {
        let made = carrier(vec![self.signature(digest)]);
        made.tag(upstream, repository, &evidence_tag(digest, ".sig"));
        made
    }
}

impl Default for Signer {
    fn default() -> Self {
        Self::new()
    }
}

/// A manifest that carries evidence in the older layout.
#[must_use]
pub fn carrier(layers: Vec<Layer>) -> Made {
    let config =
        json!({ "architecture": "", "os": "", "config": {}, "rootfs": { "type": "layers", "diff_ids": [] } });
    Made::manifest((CONFIG, config.to_string().into_bytes()), layers, json!({}))
}

/// A manifest that carries one piece of evidence and names its subject.
#[must_use]
pub fn referrer(subject: &Value, layer: Layer) -> Made {
    let more = json!({ "subject": subject, "artifactType": layer.media_type });
    Made::manifest((EMPTY, b"{}".to_vec()), vec![layer], more)
}

/// `sha256-HEX` and a suffix.
#[must_use]
pub fn evidence_tag(digest: &str, suffix: &str) -> String {
    format!("{}{suffix}", digest.replace(':', "-"))
}
