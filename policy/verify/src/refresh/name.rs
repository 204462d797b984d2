//! Names of targets: looked up, compared, and never made into paths before they are known to be harmless (A346).

use std::borrow::Cow;
use std::fmt;

use pullgate_policy::limits;

/// The name of a target: one or more components of letters, digits, `.`, `-` and `_`, none of which is only dots.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetName(Cow<'static, str>);

impl TargetName {
    /// What Sigstore's repositories call their trusted root.
    pub const TRUSTED_ROOT: Self = Self(Cow::Borrowed("trusted_root.json"));

    /// Reads a name; `None` outside this grammar.
    #[must_use]
    pub fn new(name: &str) -> Option<Self> {
        let fits = |part: &str| {
            let harmless = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
            !part.is_empty() && part.bytes().all(harmless) && !part.bytes().all(|byte| byte == b'.')
        };
        (name.len() <= limits::NAME_BYTES && name.split('/').all(fits))
            .then(|| Self(Cow::Owned(name.to_owned())))
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The target's file name in a repository with consistent snapshots: the hash comes first.
    pub(super) fn under(&self, hash: &str) -> String {
        match self.0.rsplit_once('/') {
            Some((folder, file)) => format!("{folder}/{hash}.{file}"),
            None => format!("{hash}.{}", self.0),
        }
    }
}

impl fmt::Display for TargetName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// The name of a delegated role as part of one file name: all but harmless characters are percent-encoded, `/` above
/// all.
pub(super) fn encoded(role: &str) -> String {
    let mut text = String::with_capacity(role.len());
    for byte in role.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.' | b'~') {
            text.push(char::from(byte));
        } else {
            text.push_str(&format!("%{byte:02X}"));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a346_a_name_that_could_leave_its_folder_is_none() {
        for name in
            ["", "/etc/passwd", "../x", "a/../b", "a//b", "a/", "a\\b", "a\0b", "%2e%2e/x", "a b", "."]
        {
            assert_eq!(TargetName::new(name), None, "{name:?}");
        }
        for name in ["trusted_root.json", "subdir/test.txt", "a/b/c.d"] {
            assert_eq!(TargetName::new(name).unwrap().as_str(), name);
        }
        assert_eq!(TargetName::new("a/b.txt").unwrap().under("00ff"), "a/00ff.b.txt");
    }

    #[test]
    fn a346_the_file_of_a_role_is_one_name() {
        assert_eq!(encoded("registry.npmjs.org"), "registry.npmjs.org");
        assert_eq!(encoded("../a\\b/\0?"), "..%2Fa%5Cb%2F%00%3F");
    }
}
