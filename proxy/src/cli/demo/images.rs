//! The images of the demo, and the expected outcome of pulling each.

use pullgate_policy::code::Code;

/// An image of the demo; its tag is [`TAG`].
#[derive(Debug, Clone, Copy)]
pub(super) struct Shown {
    /// The repository in the demo's registry.
    pub(super) repository: &'static str,
    /// What it is.
    pub(super) what: &'static str,
    /// What the gate must say.
    pub(super) expected: Expected,
}

/// The expected answer about an image, by tag, by digest and to a HEAD alike.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Expected {
    /// 403, for this reason.
    Deny(Code),
    /// 200.
    Permit,
    /// 200 with a warning, for this reason.
    Warn(Code),
}

/// The tag of every image.
pub(super) const TAG: &str = "v1";

/// Every image, in the order of the table.
pub(super) const IMAGES: [Shown; 13] = [
    Shown { repository: "shop/key", what: "signed by a key", expected: Expected::Permit },
    Shown { repository: "shop/key-bundle", what: "signed by a key, as a bundle", expected: Expected::Permit },
    Shown { repository: "shop/platforms", what: "two platforms, signed index", expected: Expected::Permit },
    Shown { repository: "shop/keyless", what: "signed keyless", expected: Expected::Permit },
    Shown {
        repository: "shop/keyless-bundle",
        what: "signed keyless, as a bundle",
        expected: Expected::Permit,
    },
    Shown { repository: "shop/unsigned", what: "unsigned", expected: Expected::Deny(Code::NoEvidence) },
    Shown {
        repository: "shop/stranger",
        what: "signed by a stranger's key",
        expected: Expected::Deny(Code::UnknownAuthority),
    },
    Shown {
        repository: "shop/copied",
        what: "another digest's signature",
        expected: Expected::Deny(Code::NoSignature),
    },
    Shown {
        repository: "shop/other-branch",
        what: "signed keyless, other branch",
        expected: Expected::Deny(Code::UnknownAuthority),
    },
    Shown { repository: "built/provenance", what: "provenance by our workflow", expected: Expected::Permit },
    Shown {
        repository: "built/other-branch",
        what: "provenance by another branch",
        expected: Expected::Deny(Code::UnknownAuthority),
    },
    Shown {
        repository: "built/copied",
        what: "another image's provenance",
        expected: Expected::Deny(Code::AttestationMissing),
    },
    Shown {
        repository: "legacy/unsigned",
        what: "unsigned, warn mode",
        expected: Expected::Warn(Code::NoEvidence),
    },
];
