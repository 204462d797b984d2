//! What can be wrong with an upstream. No text of an upstream, no URL and no token is in any of it (A170, A171).

use pullgate_policy::oci::Registry;

/// Why an upstream gave no content.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// It compressed the content, against the request (A108).
    #[error("the upstream encoded the content")]
    Encoding,
    /// The content does not hash to its digest, or is not whole (A101, A103).
    #[error("the content is not what its digest says")]
    Integrity,
    /// A fault in the gate.
    #[error("a fault in the gate")]
    Internal,
    /// It does not exist.
    #[error("not found")]
    NotFound,
    /// There is no memory left for the answer.
    #[error("no room for the answer")]
    Overload,
    /// The answer is not that of a registry.
    #[error("not the answer of a registry")]
    Protocol,
    /// A token service that the configuration does not list (A164).
    #[error("the token service is not listed")]
    RealmRefused,
    /// A redirect to where the gate does not go (A161, A162).
    #[error("the redirect is refused")]
    RedirectRefused,
    /// A status that says nothing about the content.
    #[error("status {0}")]
    Status(u16),
    /// No answer in time.
    #[error("no answer in time")]
    Timeout,
    /// TLS failed; there is no fallback to plain HTTP (A172).
    #[error("TLS failed")]
    Tls,
    /// Over a limit.
    #[error("larger than allowed")]
    TooLarge,
    /// The content needs credentials, which the gate does not have, or it does not exist.
    #[error("not shown without credentials")]
    NotShown,
    /// The credentials are refused.
    #[error("the credentials are refused")]
    Unauthorized,
    /// No connection.
    #[error("no connection")]
    Unreachable,
}

impl Fault {
    /// Whether it is a fault of one endpoint and says nothing about the content: another one may be asked.
    pub(crate) fn is_of_endpoint(self) -> bool {
        match self {
            Self::Protocol
            | Self::RedirectRefused
            | Self::Status(_)
            | Self::Timeout
            | Self::Tls
            | Self::Unreachable => true,
            Self::Encoding
            | Self::Integrity
            | Self::Internal
            | Self::NotFound
            | Self::NotShown
            | Self::Overload
            | Self::RealmRefused
            | Self::TooLarge
            | Self::Unauthorized => false,
        }
    }

    /// The stable code that records and metrics carry. Only the policy's `decide::fallback` says to which of them
    /// `on_undecided` applies.
    #[must_use]
    pub fn code(&self) -> &'static str {
        match self {
            Self::Encoding => "upstream-encoding",
            Self::Integrity => "upstream-integrity",
            Self::Internal => "internal",
            Self::NotFound => "manifest-unknown",
            Self::NotShown => "upstream-not-shown",
            Self::Overload => "overload",
            Self::Protocol | Self::TooLarge => "upstream-protocol",
            Self::RealmRefused => "realm-refused",
            Self::RedirectRefused => "redirect-refused",
            Self::Status(_) => "upstream-status",
            Self::Timeout => "upstream-timeout",
            Self::Tls => "upstream-tls",
            Self::Unauthorized => "upstream-unauthorized",
            Self::Unreachable => "upstream-unreachable",
        }
    }
}

/// Why an upstream cannot be set up.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("upstream {registry}: {why}")]
pub struct SetupFault {
    /// Which one.
    pub registry: Registry,
    /// Why.
    pub why: &'static str,
}

#[cfg(test)]
mod tests {
    use super::*;
    use pullgate_policy::code::Code;

    #[test]
    fn every_fault_but_absence_has_a_code_that_explains_itself() {
        for fault in [
            Fault::Encoding,
            Fault::Integrity,
            Fault::Overload,
            Fault::Internal,
            Fault::NotShown,
            Fault::Protocol,
            Fault::RealmRefused,
            Fault::RedirectRefused,
            Fault::Status(500),
            Fault::Timeout,
            Fault::Tls,
            Fault::TooLarge,
            Fault::Unauthorized,
            Fault::Unreachable,
        ] {
            assert!(Code::find(fault.code()).is_some(), "{fault:?}");
        }
    }
}
