//! The shorthand `slsa = { … }`: what most ask of provenance.

use std::fmt;

use super::{GENERATOR, Level, Provenance, Source};
use crate::code::Code;
use crate::forge::{self, GITLAB_ISSUER};
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
    /// The holder of this identity, byte for byte.
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
            Self::GitHub => forge::is_github(&identity.issuer),
            Self::GitLab => identity.issuer == GITLAB_ISSUER,
            Self::Generator => forge::is_github_com(&identity.issuer) && identity.san.starts_with(GENERATOR),
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
    /// The [`Code`] of the first condition that does not hold.
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

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::identity::{Identity, KeyId, Name, SanKind};

    const WORKFLOW: &str = "https://github.com/myorg/app/.github/workflows/ci.yml@refs/heads/main";
    const GENERATED: &str = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/generator_container_slsa3.yml@refs/tags/v2.1.0";

    fn signer(issuer: &str, san: &str) -> Principal {
        Principal::Identity(Identity {
            trust: Name::new("sigstore"),
            issuer: issuer.to_owned(),
            kind: SanKind::Uri,
            san: san.to_owned(),
            held: None,
            claims: BTreeMap::new(),
        })
    }

    #[test]
    fn a_builder_is_a_known_name_or_an_identity_under_https() {
        for (text, builder) in [
            ("github", Some(Builder::GitHub)),
            ("gitlab", Some(Builder::GitLab)),
            ("slsa-github-generator", Some(Builder::Generator)),
            (WORKFLOW, Some(Builder::Identity(WORKFLOW.to_owned()))),
            ("http://github.com/myorg/app", None),
            ("jenkins", None),
            ("GitHub", None),
            ("", None),
        ] {
            assert_eq!(Builder::parse(text), builder, "{text}");
        }
    }

    #[test]
    fn a_builder_is_known_by_who_signed() {
        let github = signer("https://token.actions.githubusercontent.com", WORKFLOW);
        let generator = signer("https://token.actions.githubusercontent.com", GENERATED);
        let gitlab =
            signer("https://gitlab.com", "https://gitlab.com/myorg/app//.gitlab-ci.yml@refs/heads/main");
        let pretender = signer("https://issuer.example", GENERATED);
        let key = Principal::Key(KeyId::of_spki(b"key"));
        let signers = [&github, &generator, &gitlab, &pretender, &key];
        for (builder, signed) in [
            (Builder::GitHub, [true, true, false, false, false]),
            (Builder::GitLab, [false, false, true, false, false]),
            (Builder::Generator, [false, true, false, false, false]),
            (Builder::Identity(WORKFLOW.to_owned()), [true, false, false, false, false]),
        ] {
            let asked = Slsa { builder: Some(builder), ..Slsa::default() };
            for (signer, signed) in signers.iter().zip(signed) {
                let expected = if signed { Ok(()) } else { Err(Code::ProvenanceBuilder) };
                assert_eq!(asked.met_by(&Provenance::default(), signer), expected, "{asked} by {signer}");
            }
        }
    }

    #[test]
    fn what_is_asked_is_shown_in_the_words_of_the_policy() {
        for name in ["github", "gitlab", "slsa-github-generator", WORKFLOW] {
            assert_eq!(Builder::parse(name).unwrap().to_string(), name);
        }
        let all = Slsa {
            level: Some(Level::Three),
            source: Source::parse("github.com/myorg/app"),
            reference: Some("refs/heads/main".to_owned()),
            builder: Some(Builder::GitHub),
        };
        assert_eq!(
            all.to_string(),
            "level 3, source https://github.com/myorg/app, ref refs/heads/main, builder github"
        );
        assert_eq!(Slsa { level: Some(Level::Two), ..Slsa::default() }.to_string(), "level 2");
    }
}
