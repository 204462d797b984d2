//! One shape over what builders attest: SLSA v0.2 and v1, GitHub's and BuildKit's predicates.
//!
//! A field is filled from the fields of the declared predicate type alone; if two of them differ it is absent, and a
//! condition on it fails (A216). Source, ref and commit of the signing certificate come first: the builder wrote the
//! certificate, the caller may have written the predicate (A218).

use serde_json::Value;

use crate::code::Code;
use crate::forge::{self, GITLAB_ISSUER};
use crate::identity::{Identity, Principal, SanKind};

mod asked;
mod predicate;
mod source;

pub use asked::{Builder, Slsa};
pub use source::Source;

/// SLSA provenance, version 0.2.
pub const SLSA_V02: &str = "https://slsa.dev/provenance/v0.2";
/// SLSA provenance, version 1.
pub const SLSA_V1: &str = "https://slsa.dev/provenance/v1";
/// Where the trusted builders of the SLSA project live.
const GENERATOR: &str = "https://github.com/slsa-framework/slsa-github-generator/.github/workflows/";

/// How something was built, as far as a signer who may vouch for it says so.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Provenance {
    /// Who built it: only where the builder itself signed, or a key of the policy vouches for what is written.
    pub builder: Option<String>,
    /// The source repository, in one form.
    pub source: Option<Source>,
    /// The ref that was built, such as `refs/heads/main`.
    pub reference: Option<String>,
    /// The commit, in hexadecimal digits.
    pub commit: Option<String>,
    /// The build type.
    pub build_type: Option<String>,
    /// The SLSA build level that the builder's identity proves.
    pub level: Level,
    /// What went into the build, as the predicate says: objects of `uri`, `name` and `digest`. `None` where any entry
    /// of the list is malformed: a part must not pass for the whole.
    pub dependencies: Option<Value>,
}

/// A SLSA build level.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Level {
    /// Provenance exists, signed by an authority of the requirement.
    #[default]
    One,
    /// A hosted platform made and signed it: a workflow of GitHub or GitLab on the platform's own runners.
    Two,
    /// The build could not forge it: what signed is a workflow outside of the source repository, or a builder of
    /// slsa-github-generator at a release tag.
    Three,
}

impl Level {
    /// The level as a number.
    #[must_use]
    pub fn number(self) -> u8 {
        match self {
            Self::One => 1,
            Self::Two => 2,
            Self::Three => 3,
        }
    }

    /// The level of that number.
    #[must_use]
    pub fn of_number(number: i64) -> Option<Self> {
        [Self::One, Self::Two, Self::Three].into_iter().find(|level| i64::from(level.number()) == number)
    }
}

impl Provenance {
    /// Reads a statement that `principal` signed; `None` when its predicate is no provenance of a known type.
    ///
    /// # Errors
    /// [`Code::ProvenanceConflict`] when the predicate names another source than the certificate of its signer.
    pub fn read(
        predicate_type: &str,
        predicate: &Value,
        principal: &Principal,
    ) -> Result<Option<Self>, Code> {
        let said = match predicate_type {
            SLSA_V02 => predicate::v02(predicate),
            SLSA_V1 => predicate::v1(predicate),
            _ => return Ok(None),
        };
        let mut read = Self {
            builder: said.builder.filter(|builder| speaks_for(principal, builder)),
            source: said.source,
            reference: said.reference,
            commit: said.commit,
            build_type: said.build_type,
            level: Level::One,
            dependencies: said.dependencies,
        };
        if let Principal::Identity(identity) = principal {
            read.certified(identity)?;
        }
        Ok(Some(read))
    }

    /// The certificate's source, ref and commit replace the predicate's.
    fn certified(&mut self, identity: &Identity) -> Result<(), Code> {
        let claim = |name: &str| identity.claims.get(name);
        self.level = level(identity);
        match certified_source(identity) {
            Certified::Nothing => {}
            Certified::Source(source) => {
                if self.source.as_ref().is_some_and(|said| *said != source) {
                    return Err(Code::ProvenanceConflict);
                }
                self.source = Some(source);
            }
            // The predicate's source would be the caller's word alone (A620).
            Certified::Unreadable if self.source.is_some() => return Err(Code::ProvenanceConflict),
            Certified::Unreadable => self.level = Level::One,
        }
        for (field, names) in [
            (&mut self.reference, ["source_repository_ref", "github_workflow_ref"]),
            (&mut self.commit, ["source_repository_digest", "github_workflow_sha"]),
        ] {
            let certified = names.iter().find_map(|name| claim(name)).cloned();
            if let (Some(said), Some(certified)) = (&field, &certified)
                && said != certified
            {
                return Err(Code::ProvenanceConflict);
            }
            *field = certified.or(field.take());
        }
        Ok(())
    }
}

/// What a certificate says of the source.
enum Certified {
    Nothing,
    Source(Source),
    /// A source that is no repository and cannot be compared.
    Unreadable,
}

fn certified_source(identity: &Identity) -> Certified {
    let claim = |name: &str| identity.claims.get(name).cloned();
    // The older claim names no host; another installation of GitHub has another one, which its workflows are named by.
    let older = |path: String| {
        let host = match forge::is_github_com(&identity.issuer) {
            true => "github.com",
            false => identity.san.strip_prefix("https://")?.split('/').next()?,
        };
        Some(format!("https://{host}/{path}"))
    };
    let said = match (claim("source_repository_uri"), claim("github_workflow_repository")) {
        (Some(uri), _) => Some(uri),
        (None, Some(path)) => older(path),
        (None, None) => return Certified::Nothing,
    };
    said.as_deref().and_then(Source::parse).map_or(Certified::Unreadable, Certified::Source)
}

/// Whether this signer may say that `builder` built something. A provenance that merely claims a builder is not the
/// builder's.
fn speaks_for(principal: &Principal, builder: &str) -> bool {
    match principal {
        // The policy trusts the holder of its key, or of a certificate by its own authority, to name the builder.
        Principal::Certificate(_) | Principal::Key(_) | Principal::Notation(_) => true,
        Principal::Identity(identity) => {
            let runner = builder.starts_with("https://github.com/actions/runner")
                || builder == "https://github.com/Attestations/GitHubHostedActions@v1";
            identity.san == builder
                || claim_is(identity, "build_signer_uri", builder)
                || (runner && forge::is_github(&identity.issuer) && hosted(identity))
        }
    }
}

fn claim_is(identity: &Identity, name: &str, value: &str) -> bool {
    identity.claims.get(name).is_some_and(|claim| claim == value)
}

fn hosted(identity: &Identity) -> bool {
    claim_is(identity, "runner_environment", "github-hosted")
        || claim_is(identity, "runner_environment", "gitlab-hosted")
}

fn level(identity: &Identity) -> Level {
    let platform = forge::is_github(&identity.issuer) || identity.issuer == GITLAB_ISSUER;
    if !platform || identity.kind != SanKind::Uri {
        return Level::One;
    }
    // The ref is all that follows the first `@`: a branch may be called `x@refs/tags/v1`.
    let released = |workflow: &str| {
        workflow.split_once('@').is_some_and(|(_, reference)| reference.starts_with("refs/tags/v"))
    };
    let generator =
        forge::is_github_com(&identity.issuer) && identity.san.strip_prefix(GENERATOR).is_some_and(released);
    if generator {
        return Level::Three;
    }
    if !hosted(identity) {
        return Level::One;
    }
    let source = identity.claims.get("source_repository_uri");
    // The caller of a workflow elsewhere cannot change what it does.
    let apart = source.is_some_and(|source| !forge::may_be_below(&identity.san, source));
    if apart { Level::Three } else { Level::Two }
}

#[cfg(test)]
mod tests;
