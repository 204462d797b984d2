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
    case(Code::IdentityEmpty, certified!("email = \"\"\n")),
    case(Code::IdentityMatchesAnything, certified!("dns = \"*\"\n")),
    case(Code::IdentityWildcard, certified!("dns = \"*.corp.example\"\n")),
    case(Code::ValueInvalid, certified!("email = \"ci.corp.example\"\n")),
    case(Code::ValueInvalid, certified!("dns = \"ci@corp.example\"\n")),
    case(Code::ValueInvalid, certified!("uri = \"corp.example\"\n")),
    case(Code::ValueInvalid, certified!("subject = \"/CN=ci/O=Corp\"\n")),
];
