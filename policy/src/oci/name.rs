//! Names of registries, repositories, tags and references (OCI distribution-spec 1.1, "Pulling manifests").

use std::fmt;
use std::str::FromStr;

use super::digest::{Digest, DigestInvalid};
use crate::limits;

/// A registry's name as it stands in references: a host, perhaps with a port; lower-case ASCII.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Registry(String);

/// Why a text is no name. It never repeats the text, which comes from outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NameInvalid {
    /// The text is outside the grammar.
    #[error("outside the grammar of names")]
    Grammar,
    /// Registry and repository together are over `name_bytes`.
    #[error("longer than {} bytes", limits::NAME_BYTES)]
    TooLong,
    /// More path components than `name_components`.
    #[error("more than {} path components", limits::NAME_COMPONENTS)]
    TooManyComponents,
}

impl Registry {
    /// The registry that Docker's short names mean.
    #[must_use]
    pub fn docker_hub() -> Self {
        Self("docker.io".to_owned())
    }

    /// The name, `host` or `host:port`.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Registry {
    type Err = NameInvalid;

    /// Labels may hold `_`, which no DNS name has: aliases do (`registry.corp.example_5000`). Lower-cases ASCII;
    /// everything else is compared for equality, so `ghcr.io.`, `ghcr.io@x` and `xn--…` are other names (A004).
    fn from_str(text: &str) -> Result<Self, NameInvalid> {
        if text.len() > limits::NAME_BYTES {
            return Err(NameInvalid::TooLong);
        }
        let (host, port) = match text.strip_prefix('[') {
            Some(rest) => {
                let (inside, after) = rest.split_once(']').ok_or(NameInvalid::Grammar)?;
                inside.parse::<std::net::Ipv6Addr>().map_err(|_| NameInvalid::Grammar)?;
                (None, after)
            }
            None => match text.split_once(':') {
                Some((host, _)) => (Some(host), text.strip_prefix(host).unwrap_or_default()),
                None => (Some(text), ""),
            },
        };
        if let Some(host) = host {
            let label = |label: &str| {
                !label.is_empty()
                    && !label.starts_with('-')
                    && !label.ends_with('-')
                    && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
            };
            if !host.split('.').all(label) {
                return Err(NameInvalid::Grammar);
            }
        }
        if !port.is_empty() {
            let digits = port.strip_prefix(':').ok_or(NameInvalid::Grammar)?;
            let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            if !plain || digits.parse::<u16>().is_err() {
                return Err(NameInvalid::Grammar);
            }
        }
        Ok(Self(text.to_ascii_lowercase()))
    }
}

/// A repository in a registry: `docker.io/library/alpine`. Canonical: the aliases of Docker Hub are one (A008).
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Repository {
    registry: Registry,
    path: String,
}

impl Repository {
    /// Joins a registry and a path, adding Docker Hub's `library/` to a one-component path.
    ///
    /// # Errors
    /// [`NameInvalid`] when a component is outside `[a-z0-9]+((\.|_|__|-+)[a-z0-9]+)*` or the whole is over its limits.
    pub fn new(registry: Registry, path: &str) -> Result<Self, NameInvalid> {
        let hub = matches!(registry.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io");
        let registry = if hub { Registry::docker_hub() } else { registry };
        if path.split('/').count() > limits::NAME_COMPONENTS {
            return Err(NameInvalid::TooManyComponents);
        }
        if !path.split('/').all(component) {
            return Err(NameInvalid::Grammar);
        }
        let path = if hub && !path.contains('/') { format!("library/{path}") } else { path.to_owned() };
        if registry.as_str().len() + 1 + path.len() > limits::NAME_BYTES {
            return Err(NameInvalid::TooLong);
        }
        Ok(Self { registry, path })
    }

    /// Reads a name as Docker does, where the registry may be left out: `alpine` is `docker.io/library/alpine`.
    ///
    /// # Errors
    /// As [`Repository::new`].
    pub fn of_short_name(name: &str) -> Result<Self, NameInvalid> {
        match name.split_once('/') {
            Some((first, path)) if first.contains(['.', ':']) || first == "localhost" => {
                Self::new(first.parse()?, path)
            }
            Some(_) | None => Self::new(Registry::docker_hub(), name),
        }
    }

    /// The registry.
    #[must_use]
    pub fn registry(&self) -> &Registry {
        &self.registry
    }

    /// The path within the registry.
    #[must_use]
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl FromStr for Repository {
    type Err = NameInvalid;

    /// Parses `registry/path`; the registry is compulsory.
    fn from_str(text: &str) -> Result<Self, NameInvalid> {
        let (registry, path) = text.split_once('/').ok_or(NameInvalid::Grammar)?;
        Self::new(registry.parse()?, path)
    }
}

/// Tells whether `text` is one component of a repository's path.
pub(crate) fn component(text: &str) -> bool {
    let bytes = text.as_bytes();
    let word = |byte: Option<&u8>| byte.is_some_and(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9'));
    if !word(bytes.first()) || !word(bytes.last()) {
        return false;
    }
    let separated = |run: &str| matches!(run, "." | "_" | "__") || run.bytes().all(|byte| byte == b'-');
    text.split(|c: char| c.is_ascii_lowercase() || c.is_ascii_digit()).all(separated)
}

/// A tag: `[A-Za-z0-9_][A-Za-z0-9._-]{0,127}`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tag(String);

impl Tag {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The tag under which `digest` keeps what its registry has no API for: `sha256-HEX` and `suffix`
    /// (`""` for the referrers fallback, `.sig`, `.att` for cosign).
    #[must_use]
    pub fn for_digest(digest: &Digest, suffix: DigestTagSuffix) -> Self {
        Self(format!("{}-{}{}", digest.algorithm(), digest.hex(), suffix.as_str()))
    }
}

/// What follows the digest in a tag that is derived from one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DigestTagSuffix {
    /// `.att`: cosign's attestations.
    Att,
    /// Nothing: the referrers fallback of distribution-spec 1.1.
    None,
    /// `.sig`: cosign's signatures.
    Sig,
}

impl DigestTagSuffix {
    fn as_str(self) -> &'static str {
        match self {
            Self::Att => ".att",
            Self::None => "",
            Self::Sig => ".sig",
        }
    }
}

impl FromStr for Tag {
    type Err = NameInvalid;

    fn from_str(text: &str) -> Result<Self, NameInvalid> {
        if text.len() > limits::TAG_BYTES {
            return Err(NameInvalid::TooLong);
        }
        let inner = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
        let first = text.bytes().next().is_some_and(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
        if first && text.bytes().all(inner) { Ok(Self(text.to_owned())) } else { Err(NameInvalid::Grammar) }
    }
}

/// What a manifest is asked for by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Reference {
    /// By content digest.
    Digest(Digest),
    /// By tag.
    Tag(Tag),
}

/// Why a text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ReferenceInvalid {
    /// It has a `:`, so it was meant as a digest, and is not a valid one.
    #[error(transparent)]
    Digest(#[from] DigestInvalid),
    /// It is outside the grammar of tags.
    #[error(transparent)]
    Tag(#[from] NameInvalid),
}

impl FromStr for Reference {
    type Err = ReferenceInvalid;

    /// A `:` means a digest; 64 hex digits alone are a tag (A041).
    fn from_str(text: &str) -> Result<Self, ReferenceInvalid> {
        if text.contains(':') { Ok(Self::Digest(text.parse()?)) } else { Ok(Self::Tag(text.parse()?)) }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Digest(digest) => digest.fmt(f),
            Self::Tag(tag) => tag.fmt(f),
        }
    }
}

impl fmt::Display for Registry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Repository {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.registry, self.path)
    }
}

impl fmt::Display for Tag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! debug_and_serialize_as_display {
    ($($name:ident),*) => {$(
        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(self, f)
            }
        }
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }
        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = <std::borrow::Cow<'de, str> as serde::Deserialize>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )*};
}
debug_and_serialize_as_display!(Registry, Repository, Tag);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a008_spellings_of_docker_hub_are_one_repository() {
        for text in [
            "docker.io/alpine",
            "docker.io/library/alpine",
            "index.docker.io/library/alpine",
            "registry-1.docker.io/alpine",
            "DOCKER.io/alpine",
        ] {
            assert_eq!(text.parse::<Repository>().unwrap().to_string(), "docker.io/library/alpine");
        }
        assert_eq!("ghcr.io/alpine".parse::<Repository>().unwrap().path(), "alpine");
    }

    #[test]
    fn a006_names_outside_the_grammar_are_refused() {
        for path in [
            "", "A", "a//b", "/a", "a/", "a..b", "a___b", "-a", "a-", ".a", "ä", "a b", "a%2Fb", "a\\b", "..",
        ] {
            assert!(Repository::new(Registry::docker_hub(), path).is_err(), "{path}");
        }
        for path in ["a", "a.b", "a_b", "a__b", "a---b", "0/1/2", "v2/v2", "a/manifests/b"] {
            assert!(Repository::new(Registry::docker_hub(), path).is_ok(), "{path}");
        }
    }

    #[test]
    fn name_limits_are_crossed_by_one() {
        let registry: Registry = "r.io".parse().unwrap();
        let room = limits::NAME_BYTES - "r.io/".len();
        assert!(Repository::new(registry.clone(), &"a".repeat(room)).is_ok());
        assert_eq!(Repository::new(registry.clone(), &"a".repeat(room + 1)), Err(NameInvalid::TooLong));
        let deep = vec!["a"; limits::NAME_COMPONENTS].join("/");
        assert!(Repository::new(registry.clone(), &deep).is_ok());
        assert_eq!(Repository::new(registry, &format!("{deep}/a")), Err(NameInvalid::TooManyComponents));
        assert!("a".repeat(limits::TAG_BYTES).parse::<Tag>().is_ok());
        assert!("a".repeat(limits::TAG_BYTES + 1).parse::<Tag>().is_err());
    }

    #[test]
    fn a004_registries_are_hosts_and_nothing_else() {
        for text in [
            "", "ghcr.io.", "a@b", "a/b", "http://a", "a b", "a:", "a:x", "a:70000", "[::1", "a#", "é.io",
            "a\0",
        ] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
        for text in ["localhost", "localhost:5000", "[::1]:5000", "10.0.0.1:5", "xn--ls8h.example"] {
            assert_eq!(text.parse::<Registry>().unwrap().as_str(), text);
        }
    }

    #[test]
    fn a041_sixty_four_hex_digits_are_a_tag() {
        let hex = "a".repeat(64);
        assert!(matches!(hex.parse(), Ok(Reference::Tag(_))));
        assert!(matches!(format!("sha256:{hex}").parse(), Ok(Reference::Digest(_))));
        assert!(matches!(format!("sha1:{hex}").parse::<Reference>(), Err(ReferenceInvalid::Digest(_))));
        for text in ["-a", ".a", "", "a b", "ü"] {
            assert!(matches!(text.parse::<Reference>(), Err(ReferenceInvalid::Tag(_))), "{text}");
        }
    }

    #[test]
    fn a_registry_is_a_host_and_perhaps_a_port_up_to_its_limit() {
        let long = |length: usize| format!("{}a", "a.".repeat((length - 1) / 2));
        assert_eq!(long(limits::NAME_BYTES).len(), limits::NAME_BYTES);
        assert!(long(limits::NAME_BYTES).parse::<Registry>().is_ok());
        let over = format!("{}.a", long(limits::NAME_BYTES));
        assert_eq!(over.parse::<Registry>().unwrap_err(), NameInvalid::TooLong);
        for text in ["a-b.c", "a_5000", "localhost:5000", "[::1]:5000", "[::1]"] {
            assert!(text.parse::<Registry>().is_ok(), "{text}");
        }
        for text in ["-a.b", "a-.b", "a..b", "", "a.b-", "a:", "a:x", "a:+80", "a:65536", "[::1]x", "[x]"] {
            assert!(text.parse::<Registry>().is_err(), "{text}");
        }
    }

    #[test]
    fn a_short_name_has_a_registry_where_its_first_part_is_a_host() {
        for (name, full) in [
            ("alpine", "docker.io/library/alpine"),
            ("org/app", "docker.io/org/app"),
            ("localhost/app", "localhost/app"),
            ("ghcr.io/org/app", "ghcr.io/org/app"),
            ("host:5000/app", "host:5000/app"),
        ] {
            assert_eq!(Repository::of_short_name(name).unwrap().to_string(), full);
        }
    }

    #[test]
    fn tags_and_references_are_their_text() {
        let tag: Tag = "v1".parse().unwrap();
        assert_eq!((tag.as_str(), tag.to_string().as_str()), ("v1", "v1"));
        let digest = Digest::of(b"x");
        for text in ["v1", &digest.to_string()] {
            assert_eq!(text.parse::<Reference>().unwrap().to_string(), text);
        }
        for (suffix, end) in
            [(DigestTagSuffix::Att, ".att"), (DigestTagSuffix::None, ""), (DigestTagSuffix::Sig, ".sig")]
        {
            assert_eq!(Tag::for_digest(&digest, suffix).as_str(), format!("sha256-{}{end}", digest.hex()));
        }
    }
}
