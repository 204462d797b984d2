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
/// Notary Project signatures: the artifact type, or the config's, of a manifest that carries one.
pub const NOTATION_ARTIFACT: &str = "application/vnd.cncf.notary.signature";
/// A Notary Project signature as JSON Web Signature.
pub const NOTATION_JWS: &str = "application/jose+json";
/// A Notary Project signature as COSE_Sign1.
pub const NOTATION_COSE: &str = "application/cose";
/// What such a signature is over.
pub const NOTATION_PAYLOAD: &str = "application/vnd.cncf.notary.payload.v1+json";

/// The versions of Sigstore's bundle that are read. A patch of one is the same format.
const BUNDLE_VERSIONS: [&str; 3] = ["0.1", "0.2", "0.3"];

/// What an upstream is asked for when the gate itself looks: all four kinds of manifest.
pub const MANIFESTS: [&str; 4] = [OCI_MANIFEST, OCI_INDEX, DOCKER_MANIFEST, DOCKER_LIST];

/// Tells whether a media type is a Sigstore bundle's.
#[must_use]
pub fn is_bundle(media_type: &str) -> bool {
    bundle_version(media_type).is_some()
}

/// The version of the bundle format that a media type names, in either spelling; `None` for another type or version.
#[must_use]
pub fn bundle_version(media_type: &str) -> Option<&'static str> {
    let rest = media_type.strip_prefix("application/vnd.dev.sigstore.bundle")?;
    let older = rest.strip_prefix("+json;version=");
    let version = older.or_else(|| rest.strip_prefix(".v")?.strip_suffix("+json"))?;
    BUNDLE_VERSIONS.into_iter().find(|known| {
        let patch = version
            .strip_prefix(known)
            .and_then(|patch| if patch.is_empty() { Some("0") } else { patch.strip_prefix('.') });
        patch.is_some_and(|patch| {
            (1..=4).contains(&patch.len()) && patch.bytes().all(|byte| byte.is_ascii_digit())
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a254_a_patch_of_a_known_version_is_that_version_and_nothing_else_is_one() {
        for (media_type, version) in [
            ("application/vnd.dev.sigstore.bundle+json;version=0.1", Some("0.1")),
            ("application/vnd.dev.sigstore.bundle.v0.2+json", Some("0.2")),
            ("application/vnd.dev.sigstore.bundle.v0.3+json", Some("0.3")),
            ("application/vnd.dev.sigstore.bundle.v0.3.1+json", Some("0.3")),
            ("application/vnd.dev.sigstore.bundle+json;version=0.2.10", Some("0.2")),
            ("application/vnd.dev.sigstore.bundle.v0.4+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.30+json", None),
            ("application/vnd.dev.sigstore.bundle.v1.0.3+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.3.+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.3.1.2+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.3.1-rc+json", None),
            ("application/vnd.dev.sigstore.bundle.v0.3", None),
            ("application/vnd.dev.sigstore.bundle.v0.3+JSON", None),
            ("application/vnd.dev.sigstore.bundle", None),
        ] {
            assert_eq!(bundle_version(media_type), version, "{media_type}");
        }
    }
}
