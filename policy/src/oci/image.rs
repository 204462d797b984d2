//! Image references as people write them.

use std::fmt;
use std::str::FromStr;

use super::name::{NameInvalid, ReferenceInvalid};
use super::{Reference, Repository};

/// An image: a repository and a tag or digest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Image {
    /// The repository.
    pub repository: Repository,
    /// The tag or the digest.
    pub reference: Reference,
}

/// Why a text is no image.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ImageInvalid {
    /// The registry or the repository.
    #[error("not a repository: {0}")]
    Name(#[from] NameInvalid),
    /// The tag or the digest.
    #[error("not a tag or digest: {0}")]
    Reference(#[from] ReferenceInvalid),
}

impl FromStr for Image {
    type Err = ImageInvalid;

    /// Docker's grammar: `alpine` is `docker.io/library/alpine:latest`. Of a tag and a digest together the digest counts.
    fn from_str(text: &str) -> Result<Self, ImageInvalid> {
        let (name, digest) = match text.split_once('@') {
            Some((name, digest)) => (name, Some(digest)),
            None => (text, None),
        };
        // A colon before the last slash is a registry's port.
        let (name, tag) = match name.rsplit_once(':') {
            Some((name, tag)) if !tag.contains('/') => (name, tag),
            Some(_) | None => (name, "latest"),
        };
        let repository = Repository::of_short_name(name)?;
        let reference = match digest {
            Some(digest) => Reference::Digest(digest.parse().map_err(ReferenceInvalid::from)?),
            None => Reference::Tag(tag.parse().map_err(ReferenceInvalid::from)?),
        };
        Ok(Self { repository, reference })
    }
}

impl fmt::Display for Image {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.reference {
            Reference::Digest(digest) => write!(f, "{}@{digest}", self.repository),
            Reference::Tag(tag) => write!(f, "{}:{tag}", self.repository),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn images_are_read_as_people_write_them() {
        let hex = "a".repeat(64);
        for (text, means) in [
            ("alpine", "docker.io/library/alpine:latest".to_owned()),
            ("alpine:3", "docker.io/library/alpine:3".to_owned()),
            ("org/app", "docker.io/org/app:latest".to_owned()),
            ("index.docker.io/alpine", "docker.io/library/alpine:latest".to_owned()),
            ("ghcr.io/org/app:v1", "ghcr.io/org/app:v1".to_owned()),
            ("localhost/app", "localhost/app:latest".to_owned()),
            ("localhost:5000/app", "localhost:5000/app:latest".to_owned()),
            ("localhost:5000/a/b:v1", "localhost:5000/a/b:v1".to_owned()),
            (&format!("ghcr.io/o/a@sha256:{hex}"), format!("ghcr.io/o/a@sha256:{hex}")),
            (&format!("ghcr.io/o/a:v1@sha256:{hex}"), format!("ghcr.io/o/a@sha256:{hex}")),
        ] {
            assert_eq!(text.parse::<Image>().unwrap().to_string(), means, "{text}");
        }
    }

    #[test]
    fn what_is_no_image_is_refused() {
        for text in [
            "",
            "Alpine",
            "ghcr.io/",
            "a b",
            "alpine:-x",
            "alpine@sha256:1",
            "alpine@v1",
            "http://ghcr.io/a",
            "-a",
        ] {
            assert!(text.parse::<Image>().is_err(), "{text}");
        }
    }
}
