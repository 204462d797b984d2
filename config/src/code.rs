//! The stable codes of diagnostics. Each has a heading in `README.md`; tidy holds that true.

macro_rules! codes {
    ($($variant:ident = $text:literal, $cause:literal;)*) => {
        /// What is wrong, or weaker than it looks.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Code {
            $(#[doc = $cause] $variant,)*
        }

        impl Code {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

codes! {
    AddressSame = "address-same", "Data port and admin port have one address.";
    AuthorityDuplicateKey = "authority-duplicate-key", "Two authorities of one requirement have one key.";
    AuthorityIncomplete = "authority-incomplete", "An authority has neither a key nor an identity, or both.";
    AuthorityUnknown = "authority-unknown", "A requirement names an authority that is not defined.";
    ClaimUnknown = "claim-unknown", "A claim that certificates do not have.";
    DateInvalid = "date-invalid", "Not a date, and not a date-time with an offset.";
    DigestInvalid = "digest-invalid", "Not a digest.";
    DuplicateName = "duplicate-name", "Two things have one name.";
    DurationInvalid = "duration-invalid", "Not one integer and `s`, `m`, `h` or `d`.";
    ExemptEverything = "exempt-everything", "An exemption of every repository.";
    ExemptExpired = "exempt-expired", "An exemption that has run out; it counts for nothing.";
    ExemptNoEnd = "exempt-no-end", "An exemption without an end.";
    ExemptNoOwner = "exempt-no-owner", "An exemption that nobody answers for.";
    FileUnreadable = "file-unreadable", "A file cannot be read.";
    IdentityEmpty = "identity-empty", "An empty identity.";
    IdentityMatchesAnything = "identity-matches-anything", "An identity that anybody has.";
    InsecurePermitAnything = "insecure-permit-anything", "A policy that checks nothing.";
    IssuerMissing = "issuer-missing", "An identity without its issuer.";
    KeyUnreadable = "key-unreadable", "A key file cannot be read or holds no key.";
    KeyPrivate = "key-private", "A private key where a public one belongs.";
    KeyUnsupported = "key-unsupported", "A key of a type or size that is not accepted.";
    LimitExceeded = "limit-exceeded", "A value beyond its maximum.";
    MissingKey = "missing-key", "A key that must be there is not.";
    NotInForce = "not-in-force", "A setting that this release reads and does not yet act on.";
    NothingEnforced = "nothing-enforced", "No policy with requirements is in mode \"enforce\".";
    OnUndecidedInsecure = "on-undecided-insecure", "A policy serves what could not be checked.";
    RefUnpinned = "ref-unpinned", "An identity regex that leaves the branch or tag open.";
    RegexInvalid = "regex-invalid", "Not a regular expression, or too large a one.";
    RegexUnescapedDot = "regex-unescaped-dot", "A `.` in an identity regex matches any character.";
    RequirementEmpty = "requirement-empty", "A requirement, or a list of them, that asks for nothing.";
    ScopeInvalid = "scope-invalid", "Not a glob over registry/repository.";
    ScopeOpenSegment = "scope-open-segment", "A `*` ends a half-written name directly below a registry.";
    ScopeRegistryWildcard = "scope-registry-wildcard", "A wildcard in the registry catches look-alikes.";
    ScopeTie = "scope-tie", "Two scopes match one repository and neither is more specific.";
    ScopeUnreachable = "scope-unreachable", "No upstream here can match the scope.";
    SecretInline = "secret-inline", "A secret in the configuration file.";
    SecretPermissions = "secret-permissions", "A file with a secret that everybody may read.";
    SizeInvalid = "size-invalid", "Not one integer and `B`, `KiB`, `MiB`, `GiB` or `TiB`.";
    Syntax = "syntax", "Not TOML.";
    ThresholdImpossible = "threshold-impossible", "A threshold that can never be met.";
    TrustRootInvalid = "trust-root-invalid", "Not a Sigstore trusted root.";
    TrustUnknown = "trust-unknown", "A trust table that is not defined.";
    UnknownKey = "unknown-key", "A key or table that does not exist.";
    UnknownUpstream = "unknown-upstream", "A registry without an upstream table.";
    UrlInvalid = "url-invalid", "Not a URL of an upstream.";
    ValueInvalid = "value-invalid", "Not one of the values that are allowed.";
    WrongType = "wrong-type", "A value of another type than the key takes.";
}
