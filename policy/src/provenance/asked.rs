//! The shorthand `slsa = { … }`: what most ask of provenance.

use std::fmt;

use super::{GENERATOR, GITHUB_ISSUER, GITLAB_ISSUER, Level, Provenance, Source};
use crate::code::Code;
use crate::identity::Principal;
use crate::text;

/// What is asked of provenance.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Slsa {
    /// At least this level.
    pub level: Option<Level>,
    /// Built from this repository.
    pub source: Option<Source>,
    /// At this ref, exactly.
    pub reference: Option<String>,
    /// By this builder.
    pub builder: Option<Builder>,
}

/// A builder, known by who signed: what a predicate says of its builder is a claim.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Builder {
    /// A workflow of GitHub Actions.
    GitHub,
    /// A pipeline of gitlab.com.
    GitLab,
    /// A builder of slsa-github-generator.
    Generator,
    /// Whoever has this identity, byte for byte.
    Identity(String),
}

impl Builder {
    /// The names that a policy may write.
    pub const NAMES: [&str; 3] = ["github", "gitlab", "slsa-github-generator"];

    /// Reads a name, or an identity that is a URI.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "github" => Some(Self::GitHub),
            "gitlab" => Some(Self::GitLab),
            "slsa-github-generator" => Some(Self::Generator),
            text if text.starts_with("https://") => Some(Self::Identity(text.to_owned())),
            _ => None,
        }
    }

    fn signed_as(&self, principal: &Principal) -> bool {
        let Principal::Identity(identity) = principal else { return false };
        match self {
            Self::GitHub => identity.issuer == GITHUB_ISSUER,
            Self::GitLab => identity.issuer == GITLAB_ISSUER,
            Self::Generator => identity.issuer == GITHUB_ISSUER && identity.san.starts_with(GENERATOR),
            Self::Identity(wanted) => identity.san == *wanted,
        }
    }
}

impl fmt::Display for Builder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::GitHub => "github",
            Self::GitLab => "gitlab",
            Self::Generator => "slsa-github-generator",
            Self::Identity(identity) => identity,
        })
    }
}

impl fmt::Display for Slsa {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [
            self.level.map(|level| format!("level {}", level.number())),
            self.source.as_ref().map(|source| format!("source {source}")),
            self.reference.as_ref().map(|reference| format!("ref {}", text::escape(reference))),
            self.builder.as_ref().map(|builder| format!("builder {}", text::escape(&builder.to_string()))),
        ];
        f.write_str(&parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
    }
}

impl Slsa {
    /// Tells whether the provenance that `principal` signed is what is asked for.
    ///
    /// # Errors
    /// The [`Code`] of the first thing that is not.
    pub fn met_by(&self, provenance: &Provenance, principal: &Principal) -> Result<(), Code> {
        if self.builder.as_ref().is_some_and(|builder| !builder.signed_as(principal)) {
            return Err(Code::ProvenanceBuilder);
        }
        if self.level.is_some_and(|level| provenance.level < level) {
            return Err(Code::ProvenanceLevel);
        }
        if self.source.is_some() && self.source != provenance.source {
            return Err(Code::ProvenanceSource);
        }
        if self.reference.is_some() && self.reference != provenance.reference {
            return Err(Code::ProvenanceRef);
        }
        Ok(())
    }
}
