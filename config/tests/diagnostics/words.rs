//! One mistake each, about words that policies of other systems need.

use pullgate_config::Code;

use crate::case::{Case, Part, case};

pub(crate) const WORDS: &[Case] = &[
    case(Code::AuthorityIncomplete, certified!("")),
    case(
        Code::AuthorityIncomplete,
        certified!("email = \"a@b.example\"\nissuer = \"https://issuer.example\"\n"),
    ),
    case(Code::AuthorityIncomplete, keyless!("identity = \"a\"\nemail = \"a@b.example\"\n")),
    case(
        Code::AuthorityIncomplete,
        Part::Authority("[authority.both]\nkey = \"second.pub\"\nca = \"certificate.pub\"\n"),
    ),
    case(
        Code::CaInvalid,
        Part::Authority("[authority.corp]\nca = \"garbage.pub\"\nemail = \"ci@corp.example\"\n"),
    ),
    case(
        Code::CaInvalid,
        Part::Authority("[authority.corp]\nca = \"private.pub\"\nemail = \"ci@corp.example\"\n"),
    ),
    case(
        Code::CaInvalid,
        Part::Authority("[authority.corp]\nca = \"empty.pub\"\ndns = \"ci.corp.example\"\n"),
    ),
    case(
        Code::DuplicateName,
        keyless!(
            "identity = \"a\"\nclaims = { source_repository_visibility = \"private\", source_repository_visibility_at_signing = \"private\" }\n"
        ),
    ),
    case(
        Code::DurationInvalid,
        Part::Require("signed_by = { any_of = [\"release\"] }\nmin_age = \"7d\"\nmax_age = \"7d\"\n"),
    ),
    case(Code::DurationInvalid, Part::Require("signed_by = { any_of = [\"release\"] }\nmin_age = \"0s\"\n")),
    case(Code::IdentityEmpty, certified!("email = \"\"\n")),
    case(Code::IdentityMatchesAnything, certified!("dns = \"*\"\n")),
    case(Code::IdentityWildcard, certified!("dns = \"*.corp.example\"\n")),
    case(Code::ValueInvalid, certified!("email = \"ci.corp.example\"\n")),
    case(Code::ValueInvalid, certified!("dns = \"ci@corp.example\"\n")),
    case(Code::ValueInvalid, certified!("uri = \"corp.example\"\n")),
    case(Code::ValueInvalid, certified!("subject = \"/CN=ci/O=Corp\"\n")),
    case(
        Code::ValueInvalid,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = \"Custom Scan\"\n"),
    ),
    case(
        Code::ValueInvalid,
        Part::Require(
            "signed_by = { any_of = [\"release\"] }\nattestation = { type = \"https://sigstore.dev/cosign/sign/v1\" }\n",
        ),
    ),
    case(
        Code::EmptyValue,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = { type = \"\" }\n"),
    ),
    case(
        Code::MissingKey,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = [\"vuln\", {}]\n"),
    ),
    case(
        Code::ValueInvalid,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = \"vuln\"\nevery = true\n"),
    ),
    case(Code::RequirementEmpty, Part::Require("any = []\n")),
    case(
        Code::UnknownKey,
        Part::Require("any = [{ signed_by = { any_of = [\"release\"] } }]\nmax_age = \"9d\"\n"),
    ),
    case(Code::ValueInvalid, Part::InPolicy("deny = true\nreason = \"moved\"\n")),
    case(Code::ValueInvalid, Part::InPolicy("reason = \"moved\"\n")),
    case(
        Code::ValueInvalid,
        Part::Policy("[[policy]]\nname = \"a\"\nscope = [\"ghcr.io/**\"]\ndeny = false\n"),
    ),
    case(Code::MissingKey, Part::Policy("[[policy]]\nname = \"a\"\nscope = [\"ghcr.io/**\"]\ndeny = true\n")),
    case(
        Code::IssuerImpossible,
        Part::Authority("[authority.ci]\nissuer = \"https://*.example\"\nidentity = \"a\"\n"),
    ),
    case(
        Code::IssuerImpossible,
        Part::Authority("[authority.ci]\nissuer = \"https://issuer.example \"\nidentity = \"a\"\n"),
    ),
    case(
        Code::IssuerImpossible,
        Part::Authority("[authority.ci]\nissuer = \"https://issuer.example/?x=1\"\nidentity = \"a\"\n"),
    ),
    case(
        Code::IssuerOpen,
        Part::Authority(
            "[authority.ci]\nissuer_regex = 'https://[a-z]+\\.[a-z]+\\.[a-z]+'\nidentity = \"a\"\n",
        ),
    ),
    case(
        Code::IdentityMatchesAnything,
        Part::Authority("[authority.ci]\nissuer_regex = '.*'\nidentity = \"a\"\n"),
    ),
    case(Code::RegexInvalid, Part::Authority("[authority.ci]\nissuer_regex = '('\nidentity = \"a\"\n")),
    case(
        Code::AuthorityIncomplete,
        keyless!("issuer_regex = 'https://issuer\\.example'\nidentity = \"a\"\n"),
    ),
    case(
        Code::IdentityMatchesAnything,
        keyless!(
            "identity_regex = 'https://github\\.com/[^/]+/app/\\.github/workflows/b\\.yml@refs/heads/main'\n"
        ),
    ),
    case(
        Code::TrustRootInvalid,
        Part::After(
            "[trust.corp]\nfulcio_ca = \"certificate.pub\"\nrekor_keys = [\"release.pub\", \"garbage.pub\"]\n",
        ),
    ),
    case(Code::TrustRootInvalid, Part::After("[trust.corp]\ntsa_chain = \"release.pub\"\n")),
    case(Code::TrustRootInvalid, Part::After("[trust.corp]\nct_keys = [\"second.pub\", \"second.pub\"]\n")),
    case(Code::EmptyValue, Part::After("[trust.corp]\nrekor_keys = []\n")),
    case(
        Code::ValueInvalid,
        Part::After("[trust.corp]\ntrusted_root = \"root.json\"\nrekor_keys = \"release.pub\"\n"),
    ),
];
