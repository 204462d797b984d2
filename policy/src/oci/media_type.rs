//! Media types that mean something here. Compared exactly and with their case: `…+JSON` is another type (A033).

/// OCI image manifest.
pub const OCI_MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
/// OCI image index.
pub const OCI_INDEX: &str = "application/vnd.oci.image.index.v1+json";
/// Docker image manifest, version 2 schema 2.
pub const DOCKER_MANIFEST: &str = "application/vnd.docker.distribution.manifest.v2+json";
/// Docker manifest list.
pub const DOCKER_LIST: &str = "application/vnd.docker.distribution.manifest.list.v2+json";
/// OCI empty JSON (`{}`).
pub const OCI_EMPTY: &str = "application/vnd.oci.empty.v1+json";
/// OCI image configuration.
pub const OCI_CONFIG: &str = "application/vnd.oci.image.config.v1+json";
/// Docker image configuration.
pub const DOCKER_CONFIG: &str = "application/vnd.docker.container.image.v1+json";

/// cosign's simple-signing payload (a layer of a `.sig` manifest).
pub const SIMPLE_SIGNING: &str = "application/vnd.dev.cosign.simplesigning.v1+json";
/// A DSSE envelope (a layer of an `.att` manifest).
pub const DSSE: &str = "application/vnd.dsse.envelope.v1+json";
/// An in-toto statement (a layer of BuildKit's attestation manifest; unsigned).
pub const IN_TOTO: &str = "application/vnd.in-toto+json";
/// The payload type of a DSSE envelope that holds an in-toto statement.
pub const IN_TOTO_PAYLOAD: &str = "application/vnd.in-toto+json";
/// Notary project signatures (listed, not verified).
pub const NOTATION_ARTIFACT: &str = "application/vnd.cncf.notary.signature";

/// The Sigstore bundle media types, v0.1 to v0.3, in both spellings.
pub const BUNDLES: [&str; 6] = [
    "application/vnd.dev.sigstore.bundle+json;version=0.1",
    "application/vnd.dev.sigstore.bundle+json;version=0.2",
    "application/vnd.dev.sigstore.bundle+json;version=0.3",
    "application/vnd.dev.sigstore.bundle.v0.1+json",
    "application/vnd.dev.sigstore.bundle.v0.2+json",
    "application/vnd.dev.sigstore.bundle.v0.3+json",
];

/// What an upstream is asked for when the gate itself looks: all four kinds of manifest.
pub const MANIFESTS: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// Tells whether a media type is a Sigstore bundle's.
#[must_use]
pub fn is_bundle(media_type: &str) -> bool {
    BUNDLES.contains(&media_type)
}
