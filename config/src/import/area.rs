//! Which repositories a scope means, and what two of them have in common.

use pullgate_policy::oci::Registry;
use pullgate_policy::scope::{Scope, glob_matches};

/// A scope, component by component; the first is the registry, but of `**`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Area(Vec<Part>);

#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
enum Part {
    Literal(String),
    Partial(String),
    Any,
    Rest,
}

/// What two scopes have in common.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Common {
    Area(Area),
    Nothing,
    /// Repositories that no scope means: two partial patterns, neither within the other.
    Unsaid,
}

impl Area {
    pub(super) fn everything() -> Self {
        Self(vec![Part::Rest])
    }

    /// Reads a scope as a policy file does; none where that would refuse it.
    pub(super) fn parse(text: &str) -> Option<Self> {
        Scope::parse(text).ok()?;
        if text == "**" {
            return Some(Self::everything());
        }
        let (registry, path) = text.split_once('/')?;
        let registry: Registry = registry.parse().ok()?;
        let hub = is_hub(registry.as_str());
        let registry = if hub { Registry::docker_hub() } else { registry };
        let mut parts = vec![Part::Literal(registry.to_string())];
        if hub && !path.contains('/') && path != "**" {
            parts.push(Part::Literal("library".to_owned()));
        }
        parts.extend(path.split('/').map(Part::of));
        Some(Self(parts))
    }

    /// As it is written in a policy file.
    pub(super) fn text(&self) -> String {
        self.0.iter().map(Part::as_str).collect::<Vec<_>>().join("/")
    }

    pub(super) fn common(&self, other: &Self) -> Common {
        let mut common = Vec::new();
        let (mut ours, mut theirs) = (self.0.iter(), other.0.iter());
        loop {
            match (ours.next(), theirs.next()) {
                (None, None) => return Common::Area(Self(common)),
                // One component or more: all that the other has left.
                (Some(Part::Rest), Some(first)) => return Common::Area(with(common, first, theirs)),
                (Some(first), Some(Part::Rest)) => return Common::Area(with(common, first, ours)),
                (Some(one), Some(two)) => match one.common(two) {
                    Ok(Some(part)) => common.push(part),
                    Ok(None) => return Common::Nothing,
                    // Further on they may have nothing in common.
                    Err(()) => match Self(ours.cloned().collect()).common(&Self(theirs.cloned().collect())) {
                        Common::Nothing => return Common::Nothing,
                        Common::Area(_) | Common::Unsaid => return Common::Unsaid,
                    },
                },
                (Some(_), None) | (None, Some(_)) => return Common::Nothing,
            }
        }
    }

    /// Whether it means every repository that `other` means.
    pub(super) fn covers(&self, other: &Self) -> bool {
        self.common(other) == Common::Area(other.clone())
    }

    /// As a pattern in which `*` stands for any characters, of a repository with or without tag and digest.
    pub(super) fn glob(&self) -> String {
        let glob = self.text().replace("**", "*");
        if glob.ends_with('*') { glob } else { format!("{glob}*") }
    }
}

fn with<'a>(mut common: Vec<Part>, first: &'a Part, rest: impl Iterator<Item = &'a Part>) -> Area {
    common.extend(std::iter::once(first).chain(rest).cloned());
    Area(common)
}

/// Names of Docker Hub, of which all but `docker.io` are only other spellings here.
pub(super) fn is_hub(registry: &str) -> bool {
    matches!(registry, "docker.io" | "index.docker.io" | "registry-1.docker.io")
}

impl Part {
    fn of(text: &str) -> Self {
        match text {
            "**" => Self::Rest,
            "*" => Self::Any,
            _ if text.contains('*') => Self::Partial(text.to_owned()),
            _ => Self::Literal(text.to_owned()),
        }
    }

    fn as_str(&self) -> &str {
        match self {
            Self::Literal(text) | Self::Partial(text) => text,
            Self::Any => "*",
            Self::Rest => "**",
        }
    }

    /// What one component of both can be; an error where no component of a scope says it.
    fn common(&self, other: &Self) -> Result<Option<Self>, ()> {
        match (self, other) {
            (Self::Any | Self::Rest, part) | (part, Self::Any | Self::Rest) => Ok(Some(part.clone())),
            (Self::Literal(a), Self::Literal(b)) => Ok((a == b).then(|| self.clone())),
            (Self::Literal(text), Self::Partial(glob)) | (Self::Partial(glob), Self::Literal(text)) => {
                Ok(glob_matches(glob, text).then(|| Self::Literal(text.clone())))
            }
            // A `*` is no character of a name: what a pattern matches as a text lies within it.
            (Self::Partial(a), Self::Partial(b)) if glob_matches(a, b) => Ok(Some(other.clone())),
            (Self::Partial(a), Self::Partial(b)) if glob_matches(b, a) => Ok(Some(self.clone())),
            (Self::Partial(a), Self::Partial(b)) => {
                if overlap(a, b) {
                    Err(())
                } else {
                    Ok(None)
                }
            }
        }
    }
}

/// Tells whether some text is matched by both patterns, in which `*` stands for any characters and `?` for one.
pub(super) fn overlap(a: &str, b: &str) -> bool {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    // Of each pair of rests, from the ends on: whether they have a text in common.
    let mut below = vec![false; b.len() + 1];
    for i in (0..=a.len()).rev() {
        let mut row = vec![false; b.len() + 1];
        for j in (0..=b.len()).rev() {
            let down = below.get(j).copied().unwrap_or_default();
            let right = row.get(j + 1).copied().unwrap_or_default();
            let both = below.get(j + 1).copied().unwrap_or_default();
            let found = match (a.get(i), b.get(j)) {
                (None, None) => true,
                (Some('*'), Some(_)) => down || right || both,
                (Some('*'), None) => down,
                (Some(_), Some('*')) => down || right || both,
                (None, Some('*')) => right,
                (Some(x), Some(y)) => (x == y || *x == '?' || *y == '?') && both,
                (None, Some(_)) | (Some(_), None) => false,
            };
            if let Some(cell) = row.get_mut(j) {
                *cell = found;
            }
        }
        below = row;
    }
    below.first().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn area(text: &str) -> Area {
        Area::parse(text).unwrap()
    }

    #[test]
    fn a_scope_is_read_as_a_policy_file_reads_it() {
        for (text, canonical) in [
            ("**", "**"),
            ("docker.io/alpine", "docker.io/library/alpine"),
            ("index.docker.io/*", "docker.io/library/*"),
            ("docker.io/**", "docker.io/**"),
            ("r.io:5000/a/b*/**", "r.io:5000/a/b*/**"),
        ] {
            assert_eq!(area(text).text(), canonical);
        }
        for text in ["*", "r.io", "r*/a", "r.io/**/a", "r.io/A", "r.io/a:v1", "r.io/a b"] {
            assert_eq!(Area::parse(text), None, "{text}");
        }
    }

    #[test]
    fn what_two_scopes_have_in_common_is_a_scope_or_nothing_or_unsaid() {
        for (a, b, common) in [
            ("**", "r.io/a", "r.io/a"),
            ("r.io/**", "r.io/*/b/**", "r.io/*/b/**"),
            ("r.io/a/**", "r.io/*/b", "r.io/a/b"),
            ("r.io/a*", "r.io/ab", "r.io/ab"),
            ("r.io/a*/**", "r.io/ab*/c", "r.io/ab*/c"),
            ("r.io/*/x-*", "r.io/o/*", "r.io/o/x-*"),
            ("r.io/a", "r.io/a/**", ""),
            ("r.io/a/**", "r.io/b/**", ""),
            ("r.io/a", "s.io/a", ""),
            ("r.io/x-a*", "r.io/y-a*", ""),
            ("r.io/a-*/x", "r.io/*-b/y", ""),
            ("r.io/a-*", "r.io/*-b", "?"),
            ("r.io/a-*/**", "r.io/*-b/x", "?"),
        ] {
            let expected = match common {
                "" => Common::Nothing,
                "?" => Common::Unsaid,
                text => Common::Area(area(text)),
            };
            assert_eq!(area(a).common(&area(b)), expected, "{a} {b}");
            assert_eq!(area(b).common(&area(a)), expected, "{b} {a}");
        }
        assert!(area("r.io/**").covers(&area("r.io/a")) && !area("r.io/a").covers(&area("r.io/**")));
    }

    #[test]
    fn patterns_overlap_where_one_text_is_matched_by_both() {
        for (a, b, expected) in [
            ("**demo**", "r.io/*", true),
            ("ghcr.*", "gcr.io/*", false),
            ("*.example.com", "a.example.com", true),
            ("a?c", "abc", true),
            ("a?c", "ac", false),
            ("", "*", true),
            ("a*b", "ab*c", false),
            ("a*", "*b", true),
        ] {
            assert_eq!(overlap(a, b), expected, "{a} {b}");
            assert_eq!(overlap(b, a), expected, "{b} {a}");
        }
    }
}
