//! How a signer came near to an authority without being it: for people, who then need not sign again. Nothing is decided
//! by it.

use std::fmt;

use regex::Regex;

use super::{Authority, By, Identity, IdentityPattern, Principal, WholeRegex};
use crate::code::Code;
use crate::forge;
use crate::limits;
use crate::text;

/// What alone keeps a signer from being an authority.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Nearly {
    /// The identity but for case.
    Case(String),
    /// The caller of a workflow is not pinned; or the source of a pipeline whose CI has a host of its own.
    Caller(Caller),
    /// A claim, and what the certificate has.
    Claim(String, Option<String>),
    /// The issuer, which is another one of the same people.
    Issuer(String),
    /// The pattern, or what is written as the identity, is only this part of it.
    Part(String, String),
    /// The issuer but for a slash at its end.
    Slash(String),
    /// The trust table under which the certificate holds.
    Trust(String),
}

/// For whom a workflow or a pipeline ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Caller {
    /// The claim that says so.
    claim: &'static str,
    /// What it says.
    source: String,
    /// The host of the pipeline, where the source lies on another.
    elsewhere: Option<String>,
}

impl Authority {
    /// What alone keeps `principal` from being this authority, where it is one thing that people mistake.
    #[must_use]
    pub fn nearly(&self, principal: &Principal) -> Option<Nearly> {
        let (By::Identity { issuer, pattern, claims }, Principal::Identity(identity)) = (&self.by, principal)
        else {
            return None;
        };
        let named = pattern.is(&identity.san);
        match self.recognises(principal) {
            Ok(()) => None,
            Err(Code::CallerUnpinned) => Caller::of(identity).map(Nearly::Caller),
            Err(Code::ClaimMismatch) => {
                let other = claims.iter().find(|(name, value)| !identity.claims_as(name, value));
                other.map(|(name, _)| Nearly::Claim(name.clone(), identity.claims.get(name).cloned()))
            }
            Err(_) if !issuer.is(&identity.issuer) => named.then(|| near_issuer(issuer, identity)).flatten(),
            Err(_) if self.trust != identity.trust => {
                named.then(|| Nearly::Trust(identity.trust.to_string()))
            }
            Err(_) => near_name(pattern, identity),
        }
    }
}

impl IdentityPattern {
    pub(super) fn is(&self, san: &str) -> bool {
        match self {
            Self::Exact(wanted) => wanted == san,
            Self::Regex(regex) => regex.matches(san),
        }
    }
}

fn near_issuer(issuer: &IdentityPattern, identity: &Identity) -> Option<Nearly> {
    let is = identity.issuer.clone();
    let issuer = match issuer {
        IdentityPattern::Exact(issuer) => issuer.as_str(),
        IdentityPattern::Regex(regex) => {
            return regex.part_of(&is).map(|part| Nearly::Part(part.to_owned(), is.clone()));
        }
    };
    if issuer.trim_end_matches('/') == is.trim_end_matches('/') {
        return Some(Nearly::Slash(is));
    }
    (forge::is_github(issuer) && forge::is_github(&is)).then_some(Nearly::Issuer(is))
}

fn near_name(pattern: &IdentityPattern, identity: &Identity) -> Option<Nearly> {
    let san = identity.san.as_str();
    match pattern {
        IdentityPattern::Exact(wanted) if wanted.eq_ignore_ascii_case(san) => {
            Some(Nearly::Case(san.to_owned()))
        }
        // An address or a name of which only the beginning is written: `…/build.yml` without its ref.
        IdentityPattern::Exact(wanted) if wanted.len() >= LEAST && san.starts_with(wanted.as_str()) => {
            Some(Nearly::Part(wanted.clone(), san.to_owned()))
        }
        IdentityPattern::Exact(_) => None,
        IdentityPattern::Regex(regex) => {
            regex.part_of(san).map(|part| Nearly::Part(part.to_owned(), san.to_owned()))
        }
    }
}

/// Bytes that a part must have to be worth telling.
const LEAST: usize = 8;

impl WholeRegex {
    /// The part of `text` that the expression matches where it is not anchored, as cosign matches it.
    fn part_of<'t>(&self, text: &'t str) -> Option<&'t str> {
        let loose: Option<Regex> =
            regex::RegexBuilder::new(&self.written).size_limit(limits::REGEX_BYTES).build().ok();
        loose?.find(text).map(|found| found.as_str()).filter(|part| part.len() >= LEAST)
    }
}

impl Caller {
    fn of(identity: &Identity) -> Option<Self> {
        let claim = super::CALLER_CLAIMS.into_iter().find(|name| identity.claims.contains_key(*name))?;
        let source = identity.claims.get(claim)?.clone();
        let host = |address: &str| {
            address.split_once("://").and_then(|(_, rest)| rest.split('/').next().map(str::to_owned))
        };
        let own = host(&identity.san);
        let elsewhere = own.filter(|own| host(&source).is_some_and(|source| source != *own));
        Some(Self { claim, source, elsewhere })
    }
}

impl fmt::Display for Nearly {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |text: &str| format!("\"{}\"", text::escape(text));
        match self {
            Self::Case(san) => write!(f, "its identity differs by case alone: identity = {}", shown(san)),
            Self::Caller(Caller { claim, source, elsewhere: None }) => write!(
                f,
                "it is a shared workflow, called by {0}; to mean this caller: claims = {{ {claim} = {0} }}",
                shown(source)
            ),
            Self::Caller(Caller { claim, source, elsewhere: Some(host) }) => write!(
                f,
                "it is a pipeline of {}, whose name says nothing of its source {1}; to mean this source: claims = {{ {claim} = {1} }}",
                text::escape(host),
                shown(source)
            ),
            Self::Claim(name, Some(is)) => {
                write!(f, "its certificate says {} = {}", text::escape(name), shown(is))
            }
            Self::Claim(name, None) => write!(f, "its certificate says nothing of {}", text::escape(name)),
            Self::Issuer(is) => write!(f, "its issuer is that of an enterprise: issuer = {}", shown(is)),
            Self::Part(part, san) => {
                let place =
                    if san.starts_with(part.as_str()) { "begins with it" } else { "has it in the middle" };
                write!(
                    f,
                    "what is written matches only {}, and the identity {place}; it must match the whole identity, {}",
                    shown(part),
                    shown(san)
                )
            }
            Self::Slash(is) => write!(f, "its issuer differs by a slash at the end: issuer = {}", shown(is)),
            Self::Trust(trust) => {
                write!(f, "its certificate is of another instance: trust = {}", shown(trust))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;
    use crate::identity::{Name, SanKind, Transparency, Uses};

    const ISSUER: &str = "https://token.actions.githubusercontent.com";
    const SAN: &str = "https://github.com/acme/app/.github/workflows/b.yml@refs/heads/main";

    fn authority(issuer: &str, pattern: IdentityPattern) -> Authority {
        Authority {
            name: Name::new("ci"),
            uses: Uses::Both,
            transparency: Transparency::Required,
            trust: Name::new("sigstore"),
            by: By::Identity { issuer: exact(issuer), pattern, claims: BTreeMap::new() },
        }
    }

    fn signer(trust: &str, san: &str, claims: &[(&str, &str)]) -> Principal {
        Principal::Identity(Identity {
            trust: Name::new(trust),
            issuer: ISSUER.to_owned(),
            kind: SanKind::Uri,
            san: san.to_owned(),
            held: None,
            claims: claims.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        })
    }

    fn regex(text: &str) -> IdentityPattern {
        IdentityPattern::Regex(WholeRegex::new(text).unwrap())
    }

    fn exact(text: &str) -> IdentityPattern {
        IdentityPattern::Exact(text.to_owned())
    }

    #[test]
    fn one_thing_that_people_mistake_is_told_and_a_stranger_is_a_stranger() {
        let by = signer("sigstore", SAN, &[]);
        let part = |part: &str| Some(Nearly::Part(part.to_owned(), SAN.to_owned()));
        for (authority, nearly) in [
            (authority(ISSUER, exact(SAN)), None),
            (
                authority(ISSUER, regex(r"^https://github\.com/acme/app/")),
                part("https://github.com/acme/app/"),
            ),
            (authority(ISSUER, regex(r"acme/app/\.github")), part("acme/app/.github")),
            (
                authority(ISSUER, exact("https://github.com/acme/app/.github/workflows/b.yml")),
                part("https://github.com/acme/app/.github/workflows/b.yml"),
            ),
            (
                authority(
                    ISSUER,
                    exact("https://github.com/Acme/App/.github/workflows/b.yml@refs/heads/main"),
                ),
                Some(Nearly::Case(SAN.to_owned())),
            ),
            (authority(&format!("{ISSUER}/"), exact(SAN)), Some(Nearly::Slash(ISSUER.to_owned()))),
            (authority(&format!("{ISSUER}/acme"), exact(SAN)), Some(Nearly::Issuer(ISSUER.to_owned()))),
            (authority(ISSUER, regex(r"https://github\.com/evil/")), None),
            (authority(ISSUER, exact("https://github.com/evil/app")), None),
            (authority(ISSUER, regex("ht+ps")), None),
            (authority("https://issuer.example", exact(SAN)), None),
            (authority(&format!("{ISSUER}/"), regex("https://github.com/acme/")), None),
        ] {
            assert_eq!(authority.nearly(&by), nearly, "{authority:?}");
        }
        let elsewhere = signer("github", SAN, &[]);
        assert_eq!(
            authority(ISSUER, exact(SAN)).nearly(&elsewhere),
            Some(Nearly::Trust("github".to_owned()))
        );
    }

    #[test]
    fn a_pipeline_on_another_host_than_its_source_is_told_by_its_own_words() {
        let circle = "https://circleci.com/api/v2/projects/1f/pipeline-definitions/2e";
        let called = |san: &str| {
            let by = signer("sigstore", san, &[("source_repository_uri", "https://github.com/acme/app")]);
            authority(ISSUER, exact(san)).nearly(&by).map(|nearly| nearly.to_string()).unwrap()
        };
        let pipeline = called(circle);
        assert!(pipeline.contains("pipeline of circleci.com"), "{pipeline}");
        let shared = called("https://github.com/acme/shared/.github/workflows/b.yml@refs/heads/main");
        assert!(shared.contains("shared workflow"), "{shared}");
        for told in [pipeline, shared] {
            assert!(
                told.ends_with("claims = { source_repository_uri = \"https://github.com/acme/app\" }"),
                "{told}"
            );
        }
    }

    #[test]
    fn a_claim_that_differs_is_named_with_what_the_certificate_has() {
        let mut pinned = authority(ISSUER, exact(SAN));
        let By::Identity { claims, .. } = &mut pinned.by else { panic!("not an identity") };
        claims.insert("build_trigger".to_owned(), "push".to_owned());
        let with = |claims: &[(&str, &str)]| pinned.nearly(&signer("sigstore", SAN, claims));
        let named = |is: Option<&str>| Some(Nearly::Claim("build_trigger".to_owned(), is.map(str::to_owned)));
        assert_eq!(with(&[("build_trigger", "release")]), named(Some("release")));
        assert_eq!(with(&[]), named(None));
        assert_eq!(with(&[("build_trigger", "push")]), None);
    }
}
