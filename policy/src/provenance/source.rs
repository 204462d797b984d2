//! A source repository, written in one of many ways.

use std::fmt;

use crate::forge;

/// A source repository in one form: `https://`, a host in lower case, a path without `.git`. Two that differ by case alone
/// are one where their forge takes them for one.
#[derive(Debug, Clone)]
pub struct Source(String);

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        forge::are_one(&self.0, &other.0)
    }
}

impl Eq for Source {}

impl Source {
    /// Reads `git://`, `git+https://`, `https://`, `ssh://git@`, `git@host:path` or no scheme at all, with or without
    /// `.git`, `@ref` or `#fragment`.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::with_reference(text).map(|(source, _)| source)
    }

    /// The same, with the ref that stands behind `@`.
    #[must_use]
    pub fn with_reference(text: &str) -> Option<(Self, Option<String>)> {
        let text = text.split('#').next()?.trim();
        let text = text.strip_prefix("git+").unwrap_or(text);
        let rest = match text.split_once("://") {
            Some(("https" | "http" | "git", rest)) => rest.to_owned(),
            Some(("ssh", rest)) => rest.strip_prefix("git@").unwrap_or(rest).to_owned(),
            Some(_) => return None,
            None => match text.strip_prefix("git@") {
                Some(rest) => rest.replacen(':', "/", 1),
                None => text.to_owned(),
            },
        };
        let (host, path) = rest.split_once('/')?;
        let (path, reference) = match path.split_once('@') {
            Some((path, reference)) => (path, Some(reference.to_owned())),
            None => (path, None),
        };
        let path = path.trim_matches('/');
        let path = path.strip_suffix(".git").unwrap_or(path);
        // User information before a host would be another host to some readers.
        let host_is_one = !host.is_empty()
            && host.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b':'));
        let path_is_one = !path.is_empty()
            && path.split('/').all(|part| !matches!(part, "" | "." | ".."))
            && path.bytes().all(|byte| byte.is_ascii_graphic() && !matches!(byte, b'?' | b'%' | b'\\'));
        let source = (host_is_one && path_is_one)
            .then(|| Self(format!("https://{}/{path}", host.to_ascii_lowercase())))?;
        Some((source, reference.filter(|reference| !reference.is_empty())))
    }

    /// The repository as a URL.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_way_to_write_a_repository_is_one() {
        for text in [
            "https://github.com/Org/repo",
            "github.com/Org/repo",
            "git+https://github.com/Org/repo@refs/heads/main",
            "git://github.com/Org/repo.git",
            "https://GitHub.com/Org/repo.git#refs/heads/main:sub",
            "ssh://git@github.com/Org/repo.git",
            "git@github.com:Org/repo.git",
            "git+https://github.com/Org/repo/",
        ] {
            let source = Source::parse(text).unwrap();
            assert_eq!(source.as_str(), "https://github.com/Org/repo", "{text}");
            assert_eq!(source.to_string(), "https://github.com/Org/repo", "{text}");
        }
        let (_, reference) = Source::with_reference("git+https://github.com/o/r@refs/tags/v1").unwrap();
        assert_eq!(reference.as_deref(), Some("refs/tags/v1"));
    }

    #[test]
    fn look_alikes_are_other_repositories_or_none() {
        for text in [
            "https://github.com/org/repo-evil",
            "https://github.com.evil/org/repo",
            "https://git.corp.example/Org/Repo",
        ] {
            for one in ["https://github.com/org/repo", "https://git.corp.example/org/repo"] {
                assert_ne!(Source::parse(text), Source::parse(one), "{text}");
            }
        }
        assert_eq!(Source::parse("https://github.com/Org/Repo"), Source::parse("github.com/org/repo"));
        for text in [
            "",
            "github.com",
            "https://",
            "https://u@evil/o/r",
            "file:///etc/passwd",
            "https://github.com/../o/r",
            "https://github.com/o/r?x",
            "https://github.com/o/%2e",
        ] {
            assert_eq!(Source::parse(text), None, "{text}");
        }
    }
}
