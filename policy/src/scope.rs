//! Scopes: globs over `registry/repository`, and which of several wins (A405 to A407).

use std::cmp::Ordering;
use std::fmt;

use crate::oci::{Registry, Repository, name};

/// A glob over repositories. `*` stands for one component or part of one, `**` at the end for one or more.
#[derive(Clone, PartialEq, Eq)]
pub struct Scope {
    text: String,
    components: Vec<Component>,
}

/// How one component of a scope matches; the order is that of specificity.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Component {
    Literal(String),
    Partial(String),
    Any,
    Rest,
}

/// Why a text is no scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ScopeInvalid {
    /// Empty, or a character that no repository has.
    #[error("not a glob over registry/repository")]
    Grammar,
    /// A registry alone.
    #[error("a scope names a registry and a repository")]
    NoRepository,
    /// A wildcard in the registry, other than `**` alone.
    #[error("a wildcard in the registry would catch look-alikes")]
    RegistryWildcard,
    /// `**` before the end.
    #[error("`**` stands at the end only")]
    RestInside,
}

impl Scope {
    /// Reads a scope.
    ///
    /// # Errors
    /// [`ScopeInvalid`].
    pub fn parse(text: &str) -> Result<Self, ScopeInvalid> {
        if text == "**" {
            return Ok(Self { text: text.to_owned(), components: vec![Component::Rest] });
        }
        let (registry, path) = match text.split_once('/') {
            Some(parts) => parts,
            None if text.contains('*') => return Err(ScopeInvalid::RegistryWildcard),
            None => return Err(ScopeInvalid::NoRepository),
        };
        if registry.contains('*') {
            return Err(ScopeInvalid::RegistryWildcard);
        }
        let registry: Registry = registry.parse().map_err(|_| ScopeInvalid::Grammar)?;
        let hub = matches!(registry.as_str(), "docker.io" | "index.docker.io" | "registry-1.docker.io");
        let registry = if hub { Registry::docker_hub() } else { registry };
        let mut components = vec![Component::Literal(registry.to_string())];
        // `docker.io/alpine` means the same repository here as in a reference (A008); so does `docker.io/*` mean those that
        // people write like that. Without `library` it would match nothing, and guard nothing.
        if hub && !path.contains('/') && path != "**" {
            components.push(Component::Literal("library".to_owned()));
        }
        let count = path.split('/').count();
        for (position, part) in path.split('/').enumerate() {
            components.push(match part {
                "**" if position + 1 == count => Component::Rest,
                "*" => Component::Any,
                _ if part.contains("**") => return Err(ScopeInvalid::RestInside),
                _ if part.is_empty() || !part.bytes().all(allowed) => return Err(ScopeInvalid::Grammar),
                _ if part.contains('*') => Component::Partial(part.to_owned()),
                // A name that no repository can have would match nothing, and guard nothing.
                _ if !name::component(part) => return Err(ScopeInvalid::Grammar),
                _ => Component::Literal(part.to_owned()),
            });
        }
        Ok(Self { text: text.to_owned(), components })
    }

    /// The scope as written.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The registry, unless the scope is `**`.
    #[must_use]
    pub fn registry(&self) -> Option<&str> {
        match self.components.first() {
            Some(Component::Literal(registry)) => Some(registry),
            Some(Component::Partial(_) | Component::Any | Component::Rest) | None => None,
        }
    }

    /// Tells whether the scope is `**`: every repository.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        self.components == [Component::Rest]
    }

    /// Tells whether the component directly below the registry ends half-written: `ghcr.io/myorg*` (A406).
    #[must_use]
    pub fn leaves_owner_open(&self) -> bool {
        matches!(self.components.get(1), Some(Component::Partial(part)) if part.ends_with('*'))
    }

    /// Tells whether the scope governs `repository`.
    #[must_use]
    pub fn matches(&self, repository: &Repository) -> bool {
        let registry = repository.registry().as_str();
        let mut parts = std::iter::once(registry).chain(repository.path().split('/'));
        for component in &self.components {
            let Some(part) = parts.next() else { return false };
            match component {
                Component::Rest => return true,
                Component::Any => {}
                Component::Literal(text) if text == part => {}
                Component::Partial(glob) if glob_matches(glob, part) => {}
                Component::Literal(_) | Component::Partial(_) => return false,
            }
        }
        parts.next().is_none()
    }

    /// Compares two scopes that match one repository: `Less` is more specific. Component by component from the left,
    /// literal before partial before `*` before `**`; where all ranks are equal, by the first component that differs: a
    /// pattern whose matches are a subset of the other's is more specific.
    #[must_use]
    pub fn specificity(&self, other: &Self) -> Ordering {
        let pairs = || self.components.iter().zip(&other.components);
        let by_rank = pairs().map(|(a, b)| a.rank().cmp(&b.rank())).find(|order| *order != Ordering::Equal);
        by_rank.or_else(|| pairs().find(|(a, b)| a != b).map(|(a, b)| a.within(b))).unwrap_or(Ordering::Equal)
    }

    /// A repository that both scopes match with neither more specific, if there is one.
    #[must_use]
    pub fn tie(&self, other: &Self) -> Option<String> {
        if self.components.len() != other.components.len() || self.specificity(other) != Ordering::Equal {
            return None;
        }
        let common: Option<Vec<String>> =
            self.components.iter().zip(&other.components).map(|(a, b)| a.common(b)).collect();
        common.map(|parts| parts.join("/"))
    }
}

fn allowed(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'.' | b'_' | b'-' | b'*')
}

impl Component {
    fn rank(&self) -> u8 {
        match self {
            Self::Literal(_) => 0,
            Self::Partial(_) => 1,
            Self::Any => 2,
            Self::Rest => 3,
        }
    }

    /// `Less` where `other` matches every text that this matches, and not the other way round.
    fn within(&self, other: &Self) -> Ordering {
        match (self, other) {
            // No name contains `*`, so only a wildcard matches a literal `*`: a glob that matches the other pattern's
            // text matches every text that the other pattern does.
            (Self::Partial(a), Self::Partial(b)) => match (glob_matches(b, a), glob_matches(a, b)) {
                (true, false) => Ordering::Less,
                (false, true) => Ordering::Greater,
                (true, true) | (false, false) => Ordering::Equal,
            },
            (Self::Literal(_) | Self::Partial(_) | Self::Any | Self::Rest, _) => Ordering::Equal,
        }
    }

    /// A text that both match.
    fn common(&self, other: &Self) -> Option<String> {
        match (self, other) {
            (Self::Literal(a), Self::Literal(b)) => (a == b).then(|| a.clone()),
            (Self::Partial(a), Self::Partial(b)) => common_match(a.as_bytes(), b.as_bytes()),
            (Self::Any, Self::Any) | (Self::Rest, Self::Rest) => Some("example".to_owned()),
            (Self::Literal(_) | Self::Partial(_) | Self::Any | Self::Rest, _) => None,
        }
    }
}

/// Tells whether `*`, each for any characters, makes `glob` the whole of `text`.
#[must_use]
pub fn glob_matches(glob: &str, text: &str) -> bool {
    let mut pieces = glob.split('*');
    let Some(mut rest) = text.strip_prefix(pieces.next().unwrap_or_default()) else { return false };
    let mut pieces = pieces.peekable();
    while let Some(piece) = pieces.next() {
        if pieces.peek().is_none() {
            return rest.ends_with(piece);
        }
        match rest.split_once(piece) {
            Some((_, after)) => rest = after,
            None => return false,
        }
    }
    rest.is_empty()
}

/// Finds a text that two globs match, by walking both at once.
fn common_match(a: &[u8], b: &[u8]) -> Option<String> {
    let mut seen = std::collections::BTreeSet::new();
    let mut open = vec![(a, b, String::new())];
    while let Some((a, b, made)) = open.pop() {
        if !seen.insert((a.len(), b.len())) {
            continue;
        }
        match (a.split_first(), b.split_first()) {
            (None, None) => return Some(made),
            (Some((b'*', a_rest)), _) | (_, Some((b'*', a_rest))) => {
                let (star, other, swapped) =
                    if a.first() == Some(&b'*') { (a, b, false) } else { (b, a, true) };
                let pair = |x, y| if swapped { (y, x) } else { (x, y) };
                let (x, y) = pair(a_rest, other);
                if let Some((next, other_rest)) = other.split_first() {
                    let (x, y) = pair(star, other_rest);
                    let made =
                        if *next == b'*' { made.clone() } else { format!("{made}{}", char::from(*next)) };
                    open.push((x, y, made));
                }
                open.push((x, y, made));
            }
            (Some((x, a_rest)), Some((y, b_rest))) if x == y => {
                open.push((a_rest, b_rest, format!("{made}{}", char::from(*x))));
            }
            (Some(_), Some(_)) | (None, Some(_)) | (Some(_), None) => {}
        }
    }
    None
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests;
