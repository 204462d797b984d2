//! Every way in which a request ends without the content it asked for.
//!
//! An answer that the store could not give is undecided, and never a *no* (A603):
//! ```compile_fail,E0277
//! use pullgate::refusal::Missing;
//! use pullgate_store::Unknown;
//! fn say_no(unknown: Unknown) -> Missing {
//!     unknown.into()
//! }
//! ```

use pullgate_policy::code::Code;
use pullgate_policy::content::Intact;
use pullgate_policy::oci::Document;
use pullgate_policy::verdict::{Denial, Undecided};

use crate::route::RouteFault;
use crate::store::Unknown;
use crate::upstream::Fault;

/// Why no content is served.
#[derive(Debug, Clone)]
pub enum Refusal {
    /// The policy says no.
    Denied(Box<Denial>),
    /// The upstream says that it does not exist, or the gate does not show it.
    Missing(Missing),
    /// The content needs credentials, which the gate does not have, or it does not exist.
    NotShown,
    /// The range starts beyond the end of a blob of this many bytes.
    RangeUnsatisfiable(u64),
    /// The request itself.
    Request(RouteFault),
    /// The request is not one that HTTP allows here.
    Malformed,
    /// The request's headers are over their limit.
    HeadTooLarge,
    /// The request target is over its limit.
    TargetTooLong,
    /// The client has proven no name.
    Unauthenticated,
    /// No verdict could be reached.
    Undecided(Undecided),
}

/// What does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Missing {
    /// A blob.
    Blob,
    /// A manifest.
    Manifest,
    /// A repository.
    Name,
}

impl Refusal {
    /// No verdict, because of `code`.
    #[must_use]
    pub fn undecided(code: Code) -> Self {
        Self::Undecided(Undecided::new(code))
    }

    /// The same refusal; a denial tells which document was judged.
    #[must_use]
    pub fn about(self, document: &Intact<Document>) -> Self {
        match self {
            Self::Denied(denial) => Self::Denied(Box::new(denial.about(document))),
            Self::Missing(_)
            | Self::NotShown
            | Self::RangeUnsatisfiable(_)
            | Self::Request(_)
            | Self::Malformed
            | Self::HeadTooLarge
            | Self::TargetTooLong
            | Self::Unauthenticated
            | Self::Undecided(_) => self,
        }
    }

    /// The same after the store could not say whether the content is here: that the upstream does not have it is then no
    /// answer (A603).
    #[must_use]
    pub fn after(self, store: Result<(), Unknown>) -> Self {
        match (self, store) {
            (Self::Missing(_) | Self::NotShown, Err(unknown)) => unknown.into(),
            (refusal, _) => refusal,
        }
    }

    /// What an upstream's failure means for a request about `missing`.
    #[must_use]
    pub fn upstream(fault: &Fault, missing: Missing) -> Self {
        match fault {
            Fault::NotFound => Self::Missing(missing),
            Fault::NotShown => Self::NotShown,
            fault => Self::undecided(upstream_code(fault)),
        }
    }

    /// The code for metrics and records.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Denied(denial) => denial.first().code.as_str(),
            Self::Malformed => "request-malformed",
            Self::Missing(Missing::Blob) => "blob-unknown",
            Self::Missing(Missing::Manifest) => "manifest-unknown",
            Self::Missing(Missing::Name) => "name-unknown",
            Self::NotShown => Code::UpstreamNotShown.as_str(),
            Self::RangeUnsatisfiable(_) => "range-unsatisfiable",
            Self::Request(fault) => match fault {
                RouteFault::Canary => Code::Canary.as_str(),
                RouteFault::DigestInvalid => "digest-invalid",
                RouteFault::MethodNotAllowed => "method-not-allowed",
                RouteFault::NameInvalid => "name-invalid",
                RouteFault::NoRegistry => "no-registry",
                RouteFault::NotFound => "not-found",
                RouteFault::QueryInvalid => "query-invalid",
                RouteFault::RegistryUnknown => Code::RegistryUnknown.as_str(),
                RouteFault::TagInvalid => "tag-invalid",
            },
            Self::HeadTooLarge => "head-too-large",
            Self::TargetTooLong => "target-too-long",
            Self::Unauthenticated => "unauthenticated",
            Self::Undecided(undecided) => undecided.code().as_str(),
        }
    }
}

/// An answer that the store could not give is undecided, and never a no (A603).
impl From<Unknown> for Refusal {
    fn from(_unknown: Unknown) -> Self {
        Self::undecided(Code::Storage)
    }
}

/// The reason code of an upstream's failure.
#[must_use]
pub fn upstream_code(fault: &Fault) -> Code {
    Code::find(fault.code()).unwrap_or(Code::Internal)
}
