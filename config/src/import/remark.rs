//! What of an original came out otherwise, by stable codes. `policy/README.md` has the table.

use super::tree::Place;

/// How a remark bears on what is imported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// Said, and worth knowing.
    Said,
    /// More is denied, or warned of, than in the original.
    Stricter,
    /// It cannot be said: what it governs is denied.
    Refused,
}

impl Weight {
    /// As it is printed.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Said => "said",
            Self::Stricter => "stricter",
            Self::Refused => "refused",
        }
    }
}

macro_rules! codes {
    ($($weight:ident $variant:ident = $text:literal, $meaning:literal;)*) => {
        /// Why something of an original came out otherwise.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum RemarkCode {
            $(#[doc = $meaning] $variant,)*
        }

        impl RemarkCode {
            /// Every code.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it is written.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// What it means, as `policy/README.md` has it.
            #[must_use]
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// How it bears on what is imported.
            #[must_use]
            pub const fn weight(self) -> Weight {
                match self { $(Self::$variant => Weight::$weight,)* }
            }
        }
    };
}

codes! {
    Said Accepted = "accepted", "A difference that `--accept` takes over: wider than the original.";
    Said Attachments = "attachments", "Signatures beside images are off there: what must be signed is never accepted.";
    Said AttachmentsAssumed = "attachments-assumed", "Whether `use-sigstore-attachments` is on is not known without `--registries-d`; it is taken to be.";
    Said EvidenceElsewhere = "evidence-elsewhere", "Evidence lies in another repository: set `evidence` of the upstream.";
    Said LeftOut = "left-out", "It governs nothing there, or nothing that a registry serves.";
    Said NoEffect = "no-effect", "It has no effect there.";
    Said TrustAssumed = "trust-assumed", "A trust root that is in no file is taken for the built-in one of its name.";
    Said WarnDropped = "warn-dropped", "A policy that only warns stands over images for which another is enforced, and is not written there.";
    Stricter AbsentField = "absent-field", "A field that is absent passes there, and fails here.";
    Stricter AlternativeDropped = "alternative-dropped", "One of several ways to pass cannot be said.";
    Stricter AnnotationsTogether = "annotations-together", "Annotations may stand in another payload there, and must stand in the signer's here.";
    Stricter EveryObject = "every-object", "It counts for some objects of a cluster there, and for every pull here.";
    Stricter HubLibrary = "hub-library", "Docker Hub's `x` and `library/x` are two names there.";
    Stricter LogEverywhere = "log-everywhere", "One key with a log entry in one place and without in another is one authority here: the entry is asked for in both.";
    Stricter PatternWidened = "pattern-widened", "The smallest scopes around a pattern.";
    Stricter SctRequired = "sct-required", "A signed certificate timestamp stays required.";
    Stricter SignatureOnly = "signature-only", "Any bundle counts as a signature there, and only a signature here.";
    Stricter Tags = "tags", "A pattern of tags governs every tag and digest of the repository here.";
    Stricter ThresholdSigners = "threshold-signers", "A threshold counts signatures or entries there, and different signers here.";
    Stricter UnmatchedDenied = "unmatched-denied", "What no pattern matches is admitted there, and denied here.";
    Refused AttestorsNested = "attestors-nested", "A set of attestors in a set, which is neither all of all nor one of one.";
    Refused Authority = "authority", "A policy file takes no such key or identity: `check` would refuse it.";
    Refused CertificateAuthority = "certificate-authority", "Any certificate of an authority, whoever holds it.";
    Refused Code = "code", "A program or an expression that is none of the known forms.";
    Refused ContentTrust = "content-trust", "Docker Content Trust (Notary v1).";
    Refused Gpg = "gpg", "GPG signatures.";
    Refused HashAlgorithm = "hash-algorithm", "Another hash than SHA-256.";
    Refused IdentityOpen = "identity-open", "Nobody is named: the subject or the issuer is absent, or everybody's.";
    Refused KeyByReference = "key-by-reference", "The key is somewhere else: give it by `--key REFERENCE=FILE`.";
    Refused KeyTwice = "key-twice", "One key under two trust tables.";
    Refused Notation = "notation", "Notation signatures.";
    Refused Pattern = "pattern", "A pattern that no scope says.";
    Refused Pki = "pki", "Certificates of an authority without Fulcio's issuer.";
    Refused PredicateType = "predicate-type", "A predicate type that no requirement can ask for.";
    Refused SignedIdentity = "signed-identity", "What the signed payload must name is not the repository alone.";
    Refused StaticMatch = "static-match", "What passes unchecked does so for some objects of a cluster only.";
    Refused TagPrefix = "tag-prefix", "Signatures under tags with a prefix.";
    Refused TrustRoot = "trust-root", "Trust of its own that is in no file: give it by `--trusted-root NAME=FILE`.";
    Refused UnknownField = "unknown-field", "A field that is not known here, and may be a condition.";
    Refused UnsignedAttestation = "unsigned-attestation", "An attestation by anybody.";
    Refused Variable = "variable", "A variable of the request, or of something that is in no file.";
}

/// What is said beside a part of an original.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Remark {
    pub(super) code: RemarkCode,
    pub(super) place: Place,
    /// One line.
    pub(super) text: String,
}

impl Remark {
    pub(super) fn new(code: RemarkCode, place: &Place, text: impl Into<String>) -> Self {
        Self { code, place: place.clone(), text: text.into() }
    }
}
