//! The content of a repository: blobs and manifests, read from a recorded layout or made by [`super::image`], and pushed.

use std::{fs, io, path::Path};

use aws_lc_rs::digest::{SHA256, digest};
use serde_json::Value;

use super::http;
use crate::upstream::Upstream;

const REF_NAME: &str = "org.opencontainers.image.ref.name";

/// One manifest or index, and the tag it gets beside its digest.
#[derive(Debug, Clone)]
pub struct Manifest {
    /// As it is pushed: what the bytes say of themselves may be something else.
    pub media_type: String,
    /// The exact bytes.
    pub bytes: Vec<u8>,
    /// Its tag, if it has one.
    pub tag: Option<String>,
}

/// The content of one repository. The manifests are in an order in which they can be pushed: children before their index.
#[derive(Debug, Clone, Default)]
pub struct Content {
    /// Configs and layers.
    pub blobs: Vec<Vec<u8>>,
    /// Manifests and indexes.
    pub manifests: Vec<Manifest>,
}

impl Content {
    /// Reads an OCI image layout whose `index.json` lists every manifest. A blob that the layout lacks is left out:
    /// some cases are made of that.
    ///
    /// # Errors
    /// A file cannot be read, or is not what its name says.
    pub fn from_layout(layout: &Path) -> io::Result<Self> {
        let index = parse(&fs::read(layout.join("index.json"))?)?;
        let blob = |digest: &str| layout.join("blobs").join(digest.replace(':', "/"));
        let mut content = Self::default();
        for entry in entries(&index, "manifests") {
            let bytes = fs::read(blob(&text(entry, "digest")?))?;
            let manifest = parse(&bytes)?;
            for descriptor in manifest.get("config").into_iter().chain(entries(&manifest, "layers")) {
                let file = blob(&text(descriptor, "digest")?);
                if file.exists() {
                    content.blobs.push(fs::read(file)?);
                }
            }
            let tag = entry.pointer("/annotations").and_then(|all| all.get(REF_NAME)).and_then(Value::as_str);
            content.manifests.push(Manifest {
                media_type: text(entry, "mediaType")?,
                bytes,
                tag: tag.map(str::to_owned),
            });
        }
        Ok(content)
    }

    /// Pushes all of it into a repository of the registry at `address` (`127.0.0.1:PORT`): blobs, then each manifest by
    /// digest and by tag.
    ///
    /// # Errors
    /// The registry cannot be reached or refuses something.
    pub fn push(&self, address: &str, repository: &str) -> io::Result<()> {
        for blob in &self.blobs {
            push_blob(address, repository, blob)?;
        }
        for manifest in &self.manifests {
            let digest = sha256(&manifest.bytes);
            for reference in [Some(&digest), manifest.tag.as_ref()].into_iter().flatten() {
                let path = format!("/v2/{repository}/manifests/{reference}");
                let headers = [("Content-Type", manifest.media_type.as_str())];
                let answer = http::call(address, "PUT", &path, &headers, &manifest.bytes)?;
                expect(&answer, &[201, 202], &path)?;
            }
        }
        Ok(())
    }

    /// Puts all of it into a repository of an upstream in this process.
    pub fn put(&self, upstream: &Upstream, repository: &str) {
        for blob in &self.blobs {
            upstream.blob(repository, blob);
        }
        for manifest in &self.manifests {
            let digest = upstream.manifest(repository, &manifest.media_type, &manifest.bytes);
            if let Some(tag) = &manifest.tag {
                upstream.tag(repository, tag, &digest);
            }
        }
    }

    /// The digest that a tag of this content stands for.
    ///
    /// # Errors
    /// No manifest has that tag.
    pub fn digest(&self, tag: &str) -> io::Result<String> {
        let tagged = self.manifests.iter().find(|manifest| manifest.tag.as_deref() == Some(tag));
        tagged
            .map(|manifest| sha256(&manifest.bytes))
            .ok_or_else(|| io::Error::other(format!("no tag {tag}")))
    }
}

/// `sha256:HEX` of the bytes.
#[must_use]
pub fn sha256(bytes: &[u8]) -> String {
    format!("sha256:{}", hex::encode(digest(&SHA256, bytes)))
}

/// The monolithic upload of the distribution specification: POST for a location, PUT of the bytes.
fn push_blob(address: &str, repository: &str, blob: &[u8]) -> io::Result<()> {
    let digest = sha256(blob);
    let base = format!("/v2/{repository}/blobs");
    if http::call(address, "HEAD", &format!("{base}/{digest}"), &[], &[])?.status == 200 {
        return Ok(());
    }
    let begun = http::call(address, "POST", &format!("{base}/uploads/"), &[], &[])?;
    expect(&begun, &[202], &base)?;
    let location = begun.header("location").unwrap_or_default();
    // Some registries answer with a path, others with a whole URL of themselves.
    let path = location.strip_prefix(&format!("http://{address}")).unwrap_or(location);
    let joint = if path.contains('?') { '&' } else { '?' };
    let headers = [("Content-Type", "application/octet-stream")];
    let path = format!("{path}{joint}digest={digest}");
    expect(&http::call(address, "PUT", &path, &headers, blob)?, &[201], &path)
}

fn expect(answer: &http::Answer, statuses: &[u16], what: &str) -> io::Result<()> {
    if statuses.contains(&answer.status) {
        return Ok(());
    }
    Err(io::Error::other(format!("{what}: {} {}", answer.status, answer.text())))
}

fn parse(bytes: &[u8]) -> io::Result<Value> {
    serde_json::from_slice(bytes).map_err(io::Error::other)
}

fn entries<'a>(value: &'a Value, key: &str) -> impl Iterator<Item = &'a Value> {
    value.get(key).and_then(Value::as_array).into_iter().flatten()
}

fn text(value: &Value, key: &str) -> io::Result<String> {
    let found = value.get(key).and_then(Value::as_str);
    found.map(str::to_owned).ok_or_else(|| io::Error::other(format!("no text under {key}: {value}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clients::tool::recorded;

    #[test]
    fn a_recorded_layout_is_read_whole() -> io::Result<()> {
        let content = Content::from_layout(&recorded("cosign2-keyed"))?;
        let expected = "sha256:a62833e7ea316f93fd21eb81ecbe64759c3830386e48f3c6fe344ca3147183f5";
        assert_eq!(content.digest("p256")?, expected);
        assert!(content.digest("no-such-tag").is_err());
        Ok(())
    }
}
