//! Mistakes in authorities and trust tables of the Notary Project's kind.

use pullgate_config::Code;

use crate::case::{Case, Part, case};

/// A list of revocations that was to be followed by another in 2025.
pub(crate) const STALE: &str = "-----BEGIN X509 CRL-----
MIHbMIGDAgEBMAoGCCqGSM49BAMCMEQxCzAJBgNVBAYTAkRFMQ8wDQYDVQQIDAZC
ZXJsaW4xEDAOBgNVBAoMB0dyYW5hcnkxEjAQBgNVBAMMCXRlc3Qgcm9vdBcNMjUw
MTAxMDAwMDAwWhcNMjUwMjAxMDAwMDAwWqAOMAwwCgYDVR0UBAMCAQEwCgYIKoZI
zj0EAwIDRwAwRAIgVf2QNJtwuu60yQAyPhKHhAKCMKz6B0bNiZyfD8zZK4QCIBM5
uZB9CI0U84fqb3OdX+lzrfsfxnvirKyVXVefC2um
-----END X509 CRL-----
";

/// A trust table of one root.
macro_rules! table {
    () => {
        "[trust.corp]\nx509 = { ca = [\"certificate.pub\"] }\n"
    };
}

/// An authority under it.
macro_rules! notation {
    ($rest:literal) => {
        Part::Authority(concat!(table!(), "[authority.notary]\ntrust = \"corp\"\n", $rest))
    };
}

/// A trust table, and an authority that it is for.
macro_rules! stores {
    ($stores:literal) => {
        Part::Authority(concat!(
            "[trust.corp]\nx509 = { ",
            $stores,
            " }\n[authority.notary]\ntrust = \"corp\"\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n"
        ))
    };
}

/// A requirement of that authority alone.
macro_rules! asked {
    ($rest:literal) => {
        Part::Policy(concat!(
            table!(),
            "[authority.notary]\ntrust = \"corp\"\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n",
            "[[policy]]\nname = \"a\"\nscope = [\"ghcr.io/**\"]\n[[policy.require]]\n",
            "signed_by = { any_of = [\"notary\"] }\n",
            $rest
        ))
    };
}

pub(crate) const NOTATION: &[Case] = &[
    case(
        Code::AuthorityDuplicateKey,
        notation!(
            "subjects = [\"C=DE, ST=Berlin, O=Corp\"]\n[authority.again]\ntrust = \"corp\"\nsubjects = [\"O=Corp, ST=Berlin, C=DE\"]\n"
        ),
    ),
    case(
        Code::AuthorityIncomplete,
        notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\"]\nkey = \"second.pub\"\n"),
    ),
    case(
        Code::AuthorityIncomplete,
        notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\"]\ntransparency = \"required\"\n"),
    ),
    case(
        Code::AuthorityIncomplete,
        Part::Authority("[authority.other]\nkey = \"second.pub\"\nrevocation = \"none\"\n"),
    ),
    case(
        Code::AuthorityUnusable,
        notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\"]\nuse = [\"attestation\"]\n"),
    ),
    case(Code::AuthorityUnusable, asked!("attestation = \"vuln\"\n")),
    case(Code::CrlStale, stores!("ca = [\"certificate.pub\"], crls = [\"stale.crl\"]")),
    case(Code::EmptyValue, notation!("subjects = []\n")),
    case(Code::EmptyValue, stores!("ca = []")),
    case(Code::FileUnreadable, stores!("ca = [\"nowhere.pem\"]")),
    case(Code::StoreInvalid, stores!("ca = [\"release.pub\"]")),
    case(Code::StoreInvalid, stores!("ca = [\"private.pub\"]")),
    case(Code::StoreInvalid, stores!("ca = [\"empty.pub\"]")),
    case(
        Code::StoreInvalid,
        stores!("ca = [\"certificate.pub\"], signing_authority = [\"certificate.pub\"]"),
    ),
    case(Code::StoreInvalid, stores!("ca = [\"certificate.pub\"], crls = [\"certificate.pub\"]")),
    case(Code::SubjectAny, notation!("any_subject = true\n")),
    case(Code::SubjectInvalid, notation!("any_subject = false\n")),
    case(Code::SubjectInvalid, notation!("any_subject = true\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n")),
    case(Code::SubjectInvalid, notation!("subjects = [\"O=Corp\"]\n")),
    case(Code::SubjectInvalid, notation!("subjects = [\"C=DE, ST=Berlin, O=#1303425552\"]\n")),
    case(Code::SubjectInvalid, notation!("subjects = [\"C=DE, ST=Berlin, O=Corp, O=Other\"]\n")),
    case(Code::SubjectInvalid, notation!("subjects = [\"C=DE, ST=Berlin, O=Corp+OU=a\"]\n")),
    case(Code::SubjectInvalid, notation!("subjects = [\"C=DE, ST=Berlin, X=Corp\"]\n")),
    case(
        Code::SubjectInvalid,
        notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\", \"C=DE, ST=Berlin, O=Corp, CN=ci\"]\n"),
    ),
    case(Code::ThresholdImpossible, asked!("claimed_reference = true\n")),
    case(Code::ThresholdImpossible, asked!("max_age = \"90d\"\n")),
    case(
        Code::TimestampImpossible,
        notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\"]\ntimestamp = \"always\"\n"),
    ),
    case(Code::TrustKind, Part::Authority("[authority.n]\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n")),
    case(
        Code::TrustKind,
        Part::Authority("[authority.n]\ntrust = \"sigstore\"\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n"),
    ),
    case(Code::TrustKind, notation!("issuer = \"https://issuer.example\"\nidentity = \"a\"\n")),
    case(Code::TrustKind, stores!("tsa = [\"certificate.pub\"]")),
    case(
        Code::TrustKind,
        Part::Authority(
            "[trust.corp]\ntrusted_root = \"root.json\"\nx509 = { ca = [\"certificate.pub\"] }\n",
        ),
    ),
    case(
        Code::TrustUnknown,
        Part::Authority(concat!(
            table!(),
            "[authority.n]\ntrust = \"crop\"\nsubjects = [\"C=DE, ST=Berlin, O=Corp\"]\n"
        )),
    ),
    case(Code::ValueInvalid, notation!("subjects = [\"C=DE, ST=Berlin, O=Corp\"]\ntimestamp = \"never\"\n")),
];
