//! Whom the policy trusts (an [`Authority`]) and who signed (a [`Principal`]); and when the one is the other.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use regex::Regex;
use serde::{Deserialize, Serialize};

use crate::code::Code;
use crate::forge;
use crate::limits;
use crate::oci::Digest;
use crate::text;

mod certified;
mod claims;
mod mark;
mod nearly;
mod notation;
mod subject;

pub use certified::{AltName, Certified, Holder, RootsId};
use claims::ADDRESS_CLAIMS;
pub use claims::{CALLER_CLAIMS, CLAIMS, OLD_CLAIMS, claim};
pub use mark::Mark;
pub use nearly::{Caller, Nearly};
pub use notation::{NotationSigner, RevocationAsked, Subjects, Terms, TimestampAsked};
pub use subject::{Subject, SubjectFault};

/// A name that the policy file gives to something: an authority, a trust table, a policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Name(Arc<str>);

impl Name {
    /// Takes the name as written.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self(text.into())
    }

    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A public key, by the SHA-256 of its SubjectPublicKeyInfo in DER: one key in two encodings is one (A233).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct KeyId(Digest);

impl KeyId {
    /// The id of a SubjectPublicKeyInfo in canonical DER.
    #[must_use]
    pub fn of_spki(der: &[u8]) -> Self {
        Self(Digest::of(der))
    }
}

impl fmt::Display for KeyId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// Who signed: what a verified key or certificate says.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Principal {
    /// A holder of a certificate of one of the policy's own certificate authorities.
    Certificate(Certified),
    /// A key that the policy lists.
    Key(KeyId),
    /// An identity that a certificate of a trust table names.
    Identity(Identity),
    /// A holder of a certificate that signed by Notation.
    Notation(NotationSigner),
}

/// What a code-signing certificate says of its holder.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity {
    /// The trust table under which the certificate verified.
    pub trust: Name,
    /// The OIDC issuer.
    pub issuer: String,
    /// The kind of the subject alternative name.
    pub kind: SanKind,
    /// The subject alternative name.
    pub san: String,
    /// Fulcio's extensions by name (`source_repository_uri`, …).
    pub claims: BTreeMap<String, String>,
    /// The certificate's key: it signs once, by whatever name (A233).
    pub held: Option<KeyId>,
}

/// Kinds of a subject alternative name; never mixed up (A239).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum SanKind {
    /// rfc822Name.
    Email,
    /// otherName with Fulcio's user-name type.
    OtherName,
    /// uniformResourceIdentifier.
    Uri,
}

impl SanKind {
    /// The kind that the form of a name suggests: a URI with a scheme, an e-mail address with an `@`, else another
    /// name.
    fn of_text(san: &str) -> Self {
        let scheme = |text: &str| {
            text.starts_with(|c: char| c.is_ascii_alphabetic())
                && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.'))
        };
        if san.split_once(':').is_some_and(|(before, _)| scheme(before)) {
            Self::Uri
        } else if san.contains('@') {
            Self::Email
        } else {
            Self::OtherName
        }
    }
}

impl fmt::Display for Principal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Certificate(certified) => fmt::Display::fmt(certified, f),
            Self::Key(id) => write!(f, "key {id}"),
            Self::Identity(identity) => {
                write!(f, "{} (issuer {})", text::escape(&identity.san), text::escape(&identity.issuer))
            }
            Self::Notation(signer) => fmt::Display::fmt(signer, f),
        }
    }
}

/// Whom the policy trusts.
#[derive(Debug, Clone)]
pub struct Authority {
    /// Its name.
    pub name: Name,
    /// What it may count for.
    pub uses: Uses,
    /// Whether a transparency log entry is demanded.
    pub transparency: Transparency,
    /// The trust table whose logs, and for identities whose certificates, count.
    pub trust: Name,
    /// How its holder is known.
    pub by: By,
}

/// How the signer of an authority is recognised.
#[derive(Debug, Clone)]
pub enum By {
    /// By a certificate of the policy's own certificate authorities.
    Certificate {
        /// The authorities, and no others.
        roots: RootsId,
        /// Whom the certificate must name.
        holder: Holder,
    },
    /// By a certificate of a trust table.
    Identity {
        /// The OIDC issuer.
        issuer: IdentityPattern,
        /// The identity.
        pattern: IdentityPattern,
        /// Claims that must be equal.
        claims: BTreeMap<String, String>,
    },
    /// By any of these keys; never empty.
    Keys(Vec<KeyId>),
    /// By a certificate that the stores of a trust table vouch for, in a signature of Notation's.
    Subjects {
        /// Whom the certificate must name.
        subjects: Subjects,
        /// On what terms it is believed.
        terms: Terms,
    },
}

/// What an authority may count for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uses {
    /// For attestations only.
    Attestations,
    /// For both.
    Both,
    /// For signatures only.
    Signatures,
}

/// Whether a transparency log entry is demanded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Transparency {
    /// Not looked for: an instance that has no log.
    None,
    /// May be absent.
    Optional,
    /// Must be there and verify.
    Required,
}

/// The identity, or the issuer, that an authority asks for.
#[derive(Debug, Clone)]
pub enum IdentityPattern {
    /// Byte for byte.
    Exact(String),
    /// A regular expression over the whole of it.
    Regex(WholeRegex),
}

/// A regular expression that matches whole strings only, whatever its author wrote (A236).
#[derive(Debug, Clone)]
pub struct WholeRegex {
    written: String,
    whole: Regex,
}

/// Why a text is no regular expression that may be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct RegexInvalid(String);

impl IdentityPattern {
    /// It as its author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Exact(text) => text,
            Self::Regex(regex) => regex.as_str(),
        }
    }
}

impl WholeRegex {
    /// Compiles `pattern` alone first, so that it cannot close the anchoring group, then anchored at both ends.
    ///
    /// # Errors
    /// [`RegexInvalid`] with the compiler's message; also when the program is over `regex_bytes`.
    pub fn new(pattern: &str) -> Result<Self, RegexInvalid> {
        let compile = |text: &str| {
            regex::RegexBuilder::new(text)
                .size_limit(limits::REGEX_BYTES)
                .build()
                .map_err(|error| RegexInvalid(error.to_string()))
        };
        compile(pattern)?;
        // `\A` and `\z` do not change under `(?m)`. A comment that `(?x)` leaves open swallows the closing group, which
        // then fails to compile, since the pattern alone is balanced; a line break ends the comment and means nothing.
        let whole = compile(&format!("\\A(?:{pattern})\\z"));
        let whole = whole.or_else(|_| compile(&format!("\\A(?:{pattern}\n)\\z")))?;
        Ok(Self { written: pattern.to_owned(), whole })
    }

    /// The expression as its author wrote it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.written
    }

    /// Tells whether the whole of `text` matches.
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        self.whole.is_match(text)
    }
}

impl Authority {
    /// Tells whether `principal` is this authority.
    ///
    /// # Errors
    /// The [`Code`] that says why not; [`Code::UnknownAuthority`] when it is plainly somebody else.
    pub fn recognises(&self, principal: &Principal) -> Result<(), Code> {
        match (&self.by, principal) {
            (By::Keys(keys), Principal::Key(id)) if keys.contains(id) => Ok(()),
            (By::Identity { issuer, pattern, claims }, Principal::Identity(identity)) => {
                self.recognises_identity(issuer, pattern, claims, identity)
            }
            (By::Certificate { roots, holder }, Principal::Certificate(certified))
                if self.trust == certified.trust && *roots == certified.roots && holder.is(certified) =>
            {
                Ok(())
            }
            (By::Subjects { subjects, terms }, Principal::Notation(signer))
                if self.trust == signer.trust
                    && *terms == signer.terms
                    && subjects.include(signer.subject.as_ref()) =>
            {
                Ok(())
            }
            // Kinds do not mix: a certificate's name is no key, and no other kind of name (A232).
            (
                By::Certificate { .. } | By::Keys(_) | By::Identity { .. } | By::Subjects { .. },
                Principal::Certificate(_)
                | Principal::Key(_)
                | Principal::Identity(_)
                | Principal::Notation(_),
            ) => Err(Code::UnknownAuthority),
        }
    }

    fn recognises_identity(
        &self,
        issuer: &IdentityPattern,
        pattern: &IdentityPattern,
        claims: &BTreeMap<String, String>,
        identity: &Identity,
    ) -> Result<(), Code> {
        if self.trust != identity.trust || !issuer.is(&identity.issuer) {
            return Err(Code::UnknownAuthority);
        }
        // An e-mail address that reads like a workflow is neither (A239).
        if identity.kind != SanKind::of_text(&identity.san) {
            return Err(Code::UnknownAuthority);
        }
        if !pattern.is(&identity.san) {
            return Err(Code::UnknownAuthority);
        }
        if claims.iter().any(|(name, value)| !identity.claims_as(name, value)) {
            return Err(Code::ClaimMismatch);
        }
        let pinned = CALLER_CLAIMS.iter().any(|name| claims.contains_key(*name));
        if pinned || identity.speaks_for_its_own_repository() { Ok(()) } else { Err(Code::CallerUnpinned) }
    }
}

impl Identity {
    /// An identity of which a record tells this much: for people, who ask which authority it would be.
    #[must_use]
    pub fn told(trust: Name, issuer: String, san: String, source: Option<String>) -> Self {
        let claims = source.into_iter().map(|source| ("source_repository_uri".to_owned(), source)).collect();
        Self { trust, issuer, kind: SanKind::of_text(&san), san, claims, held: None }
    }

    /// A workflow's identity must lie below the repository it ran for, or anybody who calls it would be it (A242).
    fn speaks_for_its_own_repository(&self) -> bool {
        match (self.kind, self.claims.get("source_repository_uri")) {
            (SanKind::Uri, Some(repository)) => forge::is_below(&self.san, repository),
            (SanKind::Uri, None) => match self.claims.get("github_workflow_repository") {
                // From the start of the path: `shared/.github` is a repository that anybody called `shared` may have.
                Some(repository) => self
                    .host()
                    .is_some_and(|host| forge::is_below(&self.san, &format!("{host}/{repository}"))),
                None => true,
            },
            (SanKind::Email | SanKind::OtherName, _) => true,
        }
    }

    /// Scheme and host of the URI.
    fn host(&self) -> Option<&str> {
        let (scheme, rest) = self.san.split_once("://")?;
        let (host, _) = rest.split_once('/')?;
        self.san.get(..scheme.len() + "://".len() + host.len())
    }

    /// Whether its certificate has this claim. Addresses of repositories and owners are one in any case where their forge
    /// has it so.
    fn claims_as(&self, name: &str, value: &str) -> bool {
        self.claims.get(name).is_some_and(|claim| {
            claim == value || (ADDRESS_CLAIMS.contains(&name) && forge::are_one(claim, value))
        })
    }
}

#[cfg(test)]
mod tests;
