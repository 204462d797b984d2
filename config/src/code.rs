//! The stable codes of diagnostics. Each has a heading in `README.md`, with its cause and its cure.

use std::fmt;

use serde::{Serialize, Serializer};

/// What is said of a file in another language, and nothing else.
pub(crate) const READS_LIKE_YAML: &str = "this reads like YAML";

macro_rules! codes {
    ($($severity:ident $variant:ident = $text:literal, $cause:literal;)*) => {
        /// What is wrong, or weaker than it looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $variant,)*
        }

        impl Code {
            /// Every code, in the order of the alphabet.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// How bad it is: a code is always a fault or always a warning.
            #[must_use]
            pub const fn severity(self) -> Severity {
                match self { $(Self::$variant => Severity::$severity,)* }
            }
        }
    };
}

/// How bad a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// The file is not taken.
    Error,
    /// The file is taken, and weaker than it looks.
    Warning,
}

codes! {
    Error AddressSame = "address-same", "Data port and admin port have one address.";
    Error AuthorityDuplicateKey = "authority-duplicate-key", "One key under two names.";
    Error AuthorityIncomplete = "authority-incomplete", "An authority has neither a key nor an identity, or both.";
    Error AuthorityUnknown = "authority-unknown", "A requirement names an authority that is not defined.";
    Error AuthorityUnusable = "authority-unusable", "A requirement names an authority whose `use` excludes it.";
    Error CaInvalid = "ca-invalid", "A `ca` file that holds no certificate authorities that can be used.";
    Error ClaimUnknown = "claim-unknown", "A claim that certificates do not have.";
    Warning ClientsAnybody = "clients-anybody", "Any stranger could get a token that opens repositories.";
    Warning ClientsPlaintext = "clients-plaintext", "Passwords or tokens of clients would cross the network in clear.";
    Error ClientsUnprovable = "clients-unprovable", "Clients must prove who they are, and there is no way to.";
    Warning CredentialsAbsent = "credentials-absent", "A docker config that has no login for its registry.";
    Error CredentialsIncomplete = "credentials-incomplete", "Credentials that are neither of the two kinds.";
    Warning CrlStale = "crl-stale", "A list of revocations that is not current, and tells nothing.";
    Error DateInvalid = "date-invalid", "Not a date, and not a date-time with an offset.";
    Error DigestInvalid = "digest-invalid", "Not a sha256 digest.";
    Error DuplicateKey = "duplicate-key", "A key or table that is written twice.";
    Error DuplicateName = "duplicate-name", "Two things have one name.";
    Error DurationInvalid = "duration-invalid", "Not one integer and `s`, `m`, `h` or `d`; or zero where that makes no sense.";
    Error EmptyValue = "empty-value", "A list, table or text that is there and says nothing.";
    Warning EvidenceWellFormed = "evidence-well-formed", "A policy serves evidence that no trusted authority has signed.";
    Error ExemptEverything = "exempt-everything", "An exemption of every repository.";
    Warning ExemptExpired = "exempt-expired", "An exemption that has run out; it counts for nothing.";
    Warning ExemptFar = "exempt-far", "An exemption that ends in more than a year.";
    Error ExemptNoEnd = "exempt-no-end", "An exemption without an end.";
    Error ExemptNoOwner = "exempt-no-owner", "An exemption without an owner.";
    Error FileUnreadable = "file-unreadable", "A file cannot be read.";
    Error HtpasswdInvalid = "htpasswd-invalid", "A line of an htpasswd file that is no name with a bcrypt hash.";
    Error IdentityEmpty = "identity-empty", "An empty identity.";
    Error IdentityMatchesAnything = "identity-matches-anything", "An identity that any stranger can have.";
    Warning IdentityPartial = "identity-partial", "An identity or a pattern that is only a part of what certificates of this issuer have.";
    Warning IdentityWildcard = "identity-wildcard", "A `*` in an identity that is compared byte for byte.";
    Warning InsecurePermitAnything = "insecure-permit-anything", "A policy that checks nothing.";
    Error IssuerImpossible = "issuer-impossible", "An issuer that no certificate can have.";
    Error IssuerMissing = "issuer-missing", "An identity without its issuer.";
    Warning IssuerOpen = "issuer-open", "A pattern of issuers that strangers have, too.";
    Warning IssuerScheme = "issuer-scheme", "An issuer that is no https:// address.";
    Warning IssuerSlash = "issuer-slash", "A slash at the end of a well-known issuer, which has none.";
    Error KeyCertificate = "key-certificate", "A certificate where a public key belongs.";
    Error KeyEmpty = "key-empty", "An empty key file.";
    Error KeyInvalid = "key-invalid", "A key file that holds no public key.";
    Error KeyPrivate = "key-private", "A private key where a public one belongs.";
    Error KeySeveral = "key-several", "A key file with more than one key.";
    Error KeyUnreadable = "key-unreadable", "A key file that cannot be read.";
    Error KeyUnsupported = "key-unsupported", "A key of a type or size that is not accepted.";
    Error LimitExceeded = "limit-exceeded", "A value beyond its maximum.";
    Warning LogKeyInState = "log-key-in-state", "The key of the pull log lies where the log lies.";
    Error MissingKey = "missing-key", "A key that must be there is not.";
    Error NotInForce = "not-in-force", "A setting that this release reads and does not act on.";
    Warning NothingEnforced = "nothing-enforced", "No policy with requirements is in mode \"enforce\".";
    Warning OnUndecidedInsecure = "on-undecided-insecure", "A policy serves unchecked images.";
    Warning RefUnpinned = "ref-unpinned", "An identity that leaves the branch open.";
    Error RegexInvalid = "regex-invalid", "Not a regular expression, or too large a one.";
    Warning RegexUnescapedDot = "regex-unescaped-dot", "A `.` in an identity that matches any character.";
    Error RequirementEmpty = "requirement-empty", "A requirement, or a list of them, that asks for nothing.";
    Error ScopeInvalid = "scope-invalid", "Not a glob over registry/repository.";
    Warning ScopeOneComponent = "scope-one-component", "A scope of an owner, where no repository has one component.";
    Warning ScopeOpenSegment = "scope-open-segment", "A `*` ends a half-written name directly below a registry.";
    Error ScopeRegistryWildcard = "scope-registry-wildcard", "A wildcard in the registry catches look-alikes.";
    Error ScopeTie = "scope-tie", "Two scopes match one repository and neither is more specific.";
    Warning ScopeUnreachable = "scope-unreachable", "No upstream of this gate can match the scope.";
    Warning SealKeyInState = "seal-key-in-state", "The seal key lies in the folder whose records it seals.";
    Error SecretInline = "secret-inline", "A secret in the configuration file.";
    Warning SecretPermissions = "secret-permissions", "A file with a secret that everybody may read.";
    Warning ShadowUnusable = "shadow-unusable", "The policy of `audit.shadow` has faults: no pull is judged by it.";
    Error SizeInvalid = "size-invalid", "Not one integer and `KiB`, `MiB`, `GiB` or `TiB`.";
    Error StoreInvalid = "store-invalid", "A file of an `x509` trust table that cannot be used.";
    Warning SubjectAny = "subject-any", "An authority that is everybody whom a trust table vouches for.";
    Error SubjectInvalid = "subject-invalid", "Not a subject that can be asked for, or one that another has in it.";
    Error Syntax = "syntax", "Not TOML.";
    Error ThresholdImpossible = "threshold-impossible", "A threshold that can never be met.";
    Error TimestampImpossible = "timestamp-impossible", "A timestamp is asked for, and the trust table knows no timestamp authority.";
    Warning TrustInsufficient = "trust-insufficient", "A trust table that lacks what an authority demands.";
    Error TrustKind = "trust-kind", "A trust table of another kind than the authority, or of two kinds at once.";
    Warning TrustPartUnusable = "trust-part-unusable", "A part of a trust table that has run out, or cannot be used.";
    Error TrustRootInvalid = "trust-root-invalid", "Not a Sigstore trusted root.";
    Error TrustUnknown = "trust-unknown", "A trust table that is not defined.";
    Error UnknownKey = "unknown-key", "A key or table that does not exist.";
    Error UnknownUpstream = "unknown-upstream", "A registry without an upstream table.";
    Warning UpstreamPlaintext = "upstream-plaintext", "An upstream is asked without TLS.";
    Error UrlInvalid = "url-invalid", "Not a URL of an upstream or of a TUF repository.";
    Error ValueInvalid = "value-invalid", "Not one of the values that are allowed.";
    Warning WhereConstant = "where-constant", "An expression that asks about nothing.";
    Error WhereCost = "where-cost", "An expression that could cost too much.";
    Error WhereSyntax = "where-syntax", "Not an expression.";
    Warning WhereUnanchored = "where-unanchored", "A pattern that is found anywhere in an identity.";
    Error WhereUnknownFunction = "where-unknown-function", "An expression calls what does not exist.";
    Error WhereUnknownName = "where-unknown-name", "An expression names what does not exist.";
    Error WrongType = "wrong-type", "A value of another type than the key takes.";
}

impl Code {
    /// Cause and cure, from the reference.
    #[must_use]
    pub fn explain(self) -> &'static str {
        const REFERENCE: &str = include_str!("../README.md");
        let heading = |line: &str| line.strip_prefix("### ") == Some(self.as_str());
        let mut at = 0;
        for line in REFERENCE.split_inclusive('\n') {
            at += line.len();
            if heading(line.trim_end()) {
                let rest = REFERENCE.get(at..).unwrap_or_default();
                return rest.split("\n#").next().unwrap_or_default().trim();
            }
        }
        ""
    }

    /// The code that is written like this.
    #[must_use]
    pub fn named(text: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.as_str() == text)
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_code_is_explained_and_every_explanation_has_a_code() {
        for code in Code::ALL {
            assert!(code.explain().len() > 40, "{code} has no section in README.md");
            assert_eq!(Code::named(code.as_str()), Some(*code));
        }
        let headings = include_str!("../README.md").lines().filter_map(|line| line.strip_prefix("### "));
        for heading in headings {
            assert!(Code::named(heading).is_some(), "README.md explains `{heading}`, which is no code");
        }
        assert_eq!(Code::named("no-such-code"), None);
    }

    #[test]
    fn codes_are_kebab_case_and_in_order() {
        let texts: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert!(texts.is_sorted(), "{texts:?}");
        for text in texts {
            assert!(text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-'), "{text}");
        }
    }
}
