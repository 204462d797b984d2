//! Words of a policy: predicate types that a requirement asks for, and by what an index is judged.

use std::fmt;

/// By what an index is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum IndexRule {
    /// By nothing: it is served and grants nothing, and each child is judged by its own evidence.
    EachChild,
    /// By its own evidence: its permit carries its children.
    Itself,
}

/// A statement of this type is a signature of cosign's, and no attestation (A214).
pub const SIGNATURE_TYPE: &str = "https://sigstore.dev/cosign/sign/v1";

/// A predicate type that is asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PredicateType {
    /// This URI, byte for byte (A212).
    Exact(String),
    /// This URI, or any version of it: `…/v` and numbers between dots behind it. Only short names stand for it.
    Versioned(String),
}

impl PredicateType {
    /// Tells whether a statement of the type `written` is asked for.
    #[must_use]
    pub fn is(&self, written: &str) -> bool {
        match self {
            Self::Exact(uri) => uri == written,
            Self::Versioned(uri) => {
                written.strip_prefix(uri.as_str()).is_some_and(|rest| rest.is_empty() || is_version(rest))
            }
        }
    }

    /// The URI, without any version.
    #[must_use]
    pub fn uri(&self) -> &str {
        match self {
            Self::Exact(uri) | Self::Versioned(uri) => uri,
        }
    }

    /// All of them, for people.
    #[must_use]
    pub fn listed(types: &[Self]) -> String {
        types.iter().map(ToString::to_string).collect::<Vec<_>>().join(" or ")
    }
}

/// `/v2`, `/v2.3`, `/v2.3.1`: no other path, so that another author's type below the address is not taken for it.
fn is_version(rest: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    rest.strip_prefix("/v").is_some_and(|version| version.split('.').all(number))
}

impl fmt::Display for PredicateType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Exact(uri) => f.write_str(uri),
            Self::Versioned(uri) => write!(f, "{uri} of any version"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a212_a_short_name_stands_for_every_version_of_its_document_alone() {
        let spdx = PredicateType::Versioned("https://spdx.dev/Document".to_owned());
        for version in ["", "/v2", "/v2.3", "/v2.3.1", "/v3.0"] {
            assert!(spdx.is(&format!("https://spdx.dev/Document{version}")), "{version}");
        }
        for other in [
            "https://spdx.dev/Document/",
            "https://spdx.dev/Document/v",
            "https://spdx.dev/Document/v2.",
            "https://spdx.dev/Document/v2.3/x",
            "https://spdx.dev/Document/v2x",
            "https://spdx.dev/Document/2.3",
            "https://spdx.dev/Documents",
            "https://spdx.dev/document/v2.3",
            "http://spdx.dev/Document/v2.3",
            "https://spdx.dev.evil/Document",
            "",
        ] {
            assert!(!spdx.is(other), "{other}");
        }
        let exact = PredicateType::Exact("https://spdx.dev/Document".to_owned());
        assert!(exact.is("https://spdx.dev/Document") && !exact.is("https://spdx.dev/Document/v2.3"));
    }
}
