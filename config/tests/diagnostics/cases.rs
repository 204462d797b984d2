//! One mistake each, put into a sound pair of files.

use pullgate_config::Code;

use crate::case::{Case, Part, case};

pub(crate) const CASES: &[Case] = &[
    case(Code::AddressSame, Part::Config("", "[admin]\naddress = \"127.0.0.1:5000\"\n")),
    case(Code::AddressSame, Part::Config("", "[listen]\naddress = \"0.0.0.0:5001\"\n")),
    case(Code::AuthorityDuplicateKey, Part::Authority("[authority.again]\nkey = \"release.pub\"\n")),
    case(Code::AuthorityIncomplete, Part::Authority("[authority.nobody]\nuse = [\"signature\"]\n")),
    case(Code::AuthorityIncomplete, keyless!("")),
    case(Code::AuthorityIncomplete, keyless!("identity = \"a\"\nidentity_regex = 'a'\n")),
    case(
        Code::AuthorityIncomplete,
        Part::Authority("[authority.both]\nkey = \"second.pub\"\nidentity = \"a\"\n"),
    ),
    case(Code::AuthorityUnknown, Part::Require("signed_by = { any_of = [\"relaese\"] }\n")),
    case(
        Code::AuthorityUnusable,
        Part::Policy(
            "use = [\"attestation\"]\n[[policy]]\nname = \"a\"\nscope = [\"ghcr.io/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(Code::ClaimUnknown, keyless!("identity = \"a\"\nclaims = { source_repository_url = \"x\" }\n")),
    case(Code::CredentialsIncomplete, Part::Upstream("credentials = { username = \"me\" }\n")),
    case(Code::CredentialsIncomplete, Part::Upstream("credentials = {}\n")),
    case(Code::DateInvalid, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\nuntil = \"2027-01-31\"\n")),
    case(
        Code::DateInvalid,
        exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\nuntil = 2027-01-31T10:00:00\n"),
    ),
    case(Code::DigestInvalid, Part::After("[[block]]\ndigest = \"sha256:abc\"\nreason = \"x\"\n")),
    case(
        Code::DigestInvalid,
        Part::After(
            "[[block]]\nreason = \"x\"\ndigest = \"sha512:00000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000000\"\n",
        ),
    ),
    case(Code::DuplicateKey, Part::Config("", "state = \"other\"\n")),
    case(Code::DuplicateKey, Part::After("[authority.release]\nkey = \"second.pub\"\n")),
    case(
        Code::DuplicateName,
        Part::After(
            "[[policy]]\nname = \"production\"\nscope = [\"ghcr.io/other/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(Code::DuplicateName, Part::Require("signed_by = { any_of = [\"release\", \"release\"] }\n")),
    case(
        Code::DuplicateName,
        Part::Upstream("aliases = [\"mirror\"]\n[upstream.\"quay.io\"]\naliases = [\"mirror\"]\n"),
    ),
    case(Code::DurationInvalid, Part::Config("", "[cache]\ntag_ttl = \"60\"\n")),
    case(Code::DurationInvalid, Part::Require("signed_by = { any_of = [\"release\"] }\nmax_age = \"0s\"\n")),
    case(Code::EmptyValue, Part::Authority("[authority.other]\nkey = \"second.pub\"\nuse = []\n")),
    case(Code::EmptyValue, Part::Require("signed_by = { any_of = [\"release\"] }\nannotations = {}\n")),
    case(Code::EmptyValue, Part::After("[[block]]\ndigest = \"\"\nreason = \"x\"\n")),
    case(Code::ExemptEverything, exempt!("scope = [\"**\"]\nowner = \"me\"\nuntil = 2027-01-31\n")),
    case(Code::ExemptExpired, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\nuntil = 2026-11-24\n")),
    case(Code::ExemptFar, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\nuntil = 2031-01-31\n")),
    case(Code::ExemptNoEnd, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\n")),
    case(Code::ExemptNoOwner, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \" \"\nuntil = 2027-01-31\n")),
    case(
        Code::FileUnreadable,
        Part::Whole(
            "policy = \"none.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[upstream.\"ghcr.io\"]\n",
        ),
    ),
    case(Code::FileUnreadable, Part::Upstream("ca = \"none.pem\"\n")),
    case(Code::IdentityEmpty, keyless!("identity = \"\"\n")),
    case(Code::IdentityEmpty, keyless!("identity_regex = ''\n")),
    case(Code::IdentityMatchesAnything, keyless!("identity_regex = '.*'\n")),
    case(
        Code::IdentityMatchesAnything,
        keyless!("identity_regex = '.+'\nclaims = { source_repository_uri = \"x\" }\n"),
    ),
    case(Code::IdentityMatchesAnything, keyless!("identity_regex = '[^ ]+@.+'\n")),
    case(
        Code::IdentityMatchesAnything,
        keyless!("identity_regex = 'https://github\\.com/.*@refs/heads/[a-z0-9-]+'\n"),
    ),
    case(
        Code::IdentityMatchesAnything,
        keyless!("identity_regex = 'https://github\\.com/.*/\\.github/workflows/ci\\.yml@refs/heads/main'\n"),
    ),
    case(Code::IdentityMatchesAnything, keyless!("identity = \"*\"\n")),
    case(
        Code::IdentityMatchesAnything,
        Part::Authority("[authority.ci]\nissuer = \".*\"\nidentity = \"a\"\n"),
    ),
    case(
        Code::IdentityPartial,
        Part::Authority(
            "[authority.ci]\nissuer = \"https://token.actions.githubusercontent.com\"\nidentity_regex = '^https://github\\.com/myorg/app/'\n",
        ),
    ),
    case(Code::IdentityWildcard, keyless!("identity = \"https://github.com/myorg/*\"\n")),
    case(
        Code::InsecurePermitAnything,
        Part::After(
            "[[policy]]\nname = \"b\"\nscope = [\"ghcr.io/b/**\"]\ninsecure_permit_anything = true\n",
        ),
    ),
    case(Code::IssuerMissing, Part::Authority("[authority.ci]\nidentity = \"a\"\n")),
    case(
        Code::IssuerScheme,
        Part::Authority("[authority.ci]\nissuer = \"gitlab.corp.example\"\nidentity = \"a\"\n"),
    ),
    case(
        Code::IssuerSlash,
        Part::Authority(
            "[authority.ci]\nissuer = \"https://gitlab.com/\"\nidentity = \"https://gitlab.com/myorg/app//.gitlab-ci.yml@refs/heads/main\"\n",
        ),
    ),
    case(Code::KeyCertificate, Part::Authority("[authority.other]\nkey = \"certificate.pub\"\n")),
    case(Code::KeyEmpty, Part::Authority("[authority.other]\nkey = \"empty.pub\"\n")),
    case(Code::KeyInvalid, Part::Authority("[authority.other]\nkey = \"garbage.pub\"\n")),
    case(Code::KeyPrivate, Part::Authority("[authority.other]\nkey = \"private.pub\"\n")),
    case(
        Code::KeySeveral,
        Part::Whole(
            "policy = \"several.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[upstream.\"ghcr.io\"]\n",
        ),
    ),
    case(Code::KeyUnreadable, Part::Authority("[authority.other]\nkey = \"none.pub\"\n")),
    case(Code::KeyUnsupported, Part::Authority("[authority.other]\nkey = \"other.pub\"\n")),
    case(Code::LimitExceeded, Part::Config("", "[cache]\npermit_ttl = \"3650d\"\n")),
    case(Code::LogKeyInState, Part::Config("", "[audit]\nlog = \"audit.jsonl\"\n")),
    case(Code::LogKeyInState, Part::Config("", "[audit]\nkey_file = \"state/log.key\"\n")),
    case(Code::MissingKey, Part::Policy("")),
    case(Code::MissingKey, Part::Whole("policy = \"policy.toml\"\n[upstream.\"ghcr.io\"]\n")),
    case(
        Code::MissingKey,
        Part::Whole("policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n"),
    ),
    case(Code::MissingKey, Part::InPolicy("on_undecided = {}\n")),
    case(Code::FileUnreadable, Part::Config("", "[listen]\ntls = { cert = \"c.pem\", key = \"k.pem\" }\n")),
    case(Code::NotInForce, Part::Config("", "[admin]\nhtpasswd = \"h\"\n")),
    case(
        Code::NotInForce,
        Part::Whole(
            "policy = \"policy.toml\"\nstate = \"postgres://me:pw@db.example/gate\"\n[upstream.\"ghcr.io\"]\n",
        ),
    ),
    case(
        Code::NotInForce,
        Part::Whole("policy = \"policy.toml\"\nstate = \"s3://bucket\"\n[upstream.\"ghcr.io\"]\n"),
    ),
    case(
        Code::ClientsPlaintext,
        Part::Config(
            "",
            "[listen]\naddress = \"0.0.0.0:5000\"\n[clients]\noidc = [{ issuer = \"https://i.example\", audience = \"a\" }]\n",
        ),
    ),
    case(Code::ClientsAnybody, oidc!("issuer = \"https://token.actions.githubusercontent.com\"")),
    case(
        Code::ClientsAnybody,
        Part::Config(
            "",
            "[clients]\noidc = [{ issuer = \"https://gitlab.com\", audience = \"a\" }]\nallow = [{ who = [\"oidc:*\"], read = [\"ghcr.io/**\"] }]\n",
        ),
    ),
    case(
        Code::DuplicateName,
        oidc!(
            "issuer = \"https://i.example/a\" }, { audience = \"a\", issuer = \"https://i.example:8443/b\""
        ),
    ),
    case(Code::EmptyValue, Part::Config("", "[clients]\noidc = []\nhtpasswd = \"users\"\n")),
    case(Code::EmptyValue, oidc!("issuer = \"https://i.example\", claim = \"\"")),
    case(Code::FileUnreadable, oidc!("issuer = \"https://i.example\", jwks = \"garbage.json\"")),
    case(Code::FileUnreadable, oidc!("issuer = \"https://i.example\", jwks = \"shared-keys.json\"")),
    case(Code::FileUnreadable, oidc!("issuer = \"https://i.example\", ca = \"garbage.json\"")),
    case(Code::MissingKey, oidc!("name = \"ci\"")),
    case(Code::MissingKey, oidc!("issuer = \"https://[::1]:8443\"")),
    case(Code::UrlInvalid, oidc!("issuer = \"i.example\"")),
    case(Code::UrlInvalid, oidc!("issuer = \"https://i.example/?a=b\"")),
    case(Code::UrlInvalid, oidc!("issuer = \"http://i.example\"")),
    case(Code::UnknownKey, oidc!("issuer = \"https://i.example\", jwks_uri = \"https://i.example/keys\"")),
    case(Code::ValueInvalid, oidc!("issuer = \"https://i.example\", name = \"a:b\"")),
    case(Code::ValueInvalid, oidc!("issuer = \"https://i.example\", name = \"a\\u0007b\"")),
    case(Code::ValueInvalid, oidc!("issuer = \"https://i.example\", ca = \"c.pem\", jwks = \"keys.json\"")),
    case(Code::HtpasswdInvalid, Part::Config("", "[clients]\nhtpasswd = \"users-oidc\"\n")),
    case(
        Code::ClientsPlaintext,
        Part::Config("", "[listen]\naddress = \"0.0.0.0:5000\"\n[clients]\nhtpasswd = \"users\"\n"),
    ),
    case(
        Code::ClientsUnprovable,
        Part::Config("", "[clients]\nallow = [{ who = [\"a\"], read = [\"**\"] }]\n"),
    ),
    case(Code::HtpasswdInvalid, Part::Config("", "[clients]\nhtpasswd = \"users-sha1\"\n")),
    case(
        Code::MissingKey,
        Part::Config("", "[clients]\nhtpasswd = \"users\"\nallow = [{ who = [\"node-*\"] }]\n"),
    ),
    case(Code::FileUnreadable, Part::Upstream("client_cert = \"c.pem\"\n")),
    case(Code::ValueInvalid, Part::After("[trust.corp]\nmax_age = \"7d\"\ntrusted_root = \"root.json\"\n")),
    case(
        Code::ValueInvalid,
        Part::After(
            "[trust.corp]\ntuf = { url = \"https://tuf.example\", root = \"tuf-root.json\" }\ntrusted_root = \"root.json\"\n",
        ),
    ),
    case(Code::UrlInvalid, Part::After("[trust.sigstore]\ntuf = { url = \"https://a:b@tuf.example\" }\n")),
    case(Code::UrlInvalid, Part::After("[trust.sigstore]\ntuf = { url = \"file://tuf\" }\n")),
    case(Code::UrlInvalid, Part::After("[trust.sigstore]\ntuf = { url = \"https://tuf.example/a/../b\" }\n")),
    case(
        Code::ValueInvalid,
        Part::After(
            "[trust.corp]\ntuf = { url = \"https://tuf.example\", root = \"tuf-root.json\", target = \"../x\" }\n",
        ),
    ),
    case(Code::MissingKey, Part::After("[trust.corp]\nmax_age = \"7d\"\n")),
    case(Code::MissingKey, Part::After("[trust.github]\nsct = \"none\"\n")),
    case(Code::MissingKey, Part::After("[trust.corp]\ntuf = { url = \"https://tuf.example\" }\n")),
    case(
        Code::TrustRootInvalid,
        Part::After("[trust.corp]\ntuf = { url = \"https://tuf.example\", root = \"release.pub\" }\n"),
    ),
    case(Code::NothingEnforced, Part::InPolicy("mode = \"warn\"\n")),
    case(Code::EvidenceWellFormed, Part::InPolicy("evidence = \"well-formed\"\n")),
    case(Code::OnUndecidedInsecure, Part::InPolicy("on_undecided = \"insecure_permit\"\n")),
    case(
        Code::RefUnpinned,
        keyless!("identity_regex = 'https://github\\.com/myorg/app/\\.github/workflows/ci\\.yml@.*'\n"),
    ),
    case(Code::RegexInvalid, keyless!("identity_regex = 'a(b'\n")),
    case(
        Code::RegexUnescapedDot,
        keyless!("identity_regex = 'https://git.example/myorg/app@refs/heads/main'\n"),
    ),
    case(Code::RequirementEmpty, Part::Policy("[[policy]]\nname = \"a\"\nscope = [\"ghcr.io/**\"]\n")),
    case(Code::RequirementEmpty, Part::Require("")),
    case(Code::RequirementEmpty, Part::Require("attestation = \"spdx\"\n")),
    case(Code::RequirementEmpty, Part::Require("signed_by = { any_of = [] }\n")),
    case(Code::RequirementEmpty, Part::Require("signed_by = {}\n")),
    case(
        Code::ScopeInvalid,
        exempt!("scope = [\"ghcr.io/myorg/app:v1\"]\nowner = \"me\"\nuntil = 2027-01-31\n"),
    ),
    case(
        Code::ScopeInvalid,
        exempt!("scope = [\"ghcr.io/MyOrg/app\"]\nowner = \"me\"\nuntil = 2027-01-31\n"),
    ),
    case(Code::ScopeInvalid, exempt!("scope = [\"ghcr.io\"]\nowner = \"me\"\nuntil = 2027-01-31\n")),
    case(Code::ScopeInvalid, exempt!("scope = [\"ghcr.io/**/app\"]\nowner = \"me\"\nuntil = 2027-01-31\n")),
    case(
        Code::ScopeOneComponent,
        exempt!("scope = [\"ghcr.io/myorg\"]\nowner = \"me\"\nuntil = 2027-01-31\n"),
    ),
    case(
        Code::ScopeOpenSegment,
        exempt!("scope = [\"ghcr.io/myorg*/app\"]\nowner = \"me\"\nuntil = 2027-01-31\n"),
    ),
    case(Code::ScopeRegistryWildcard, exempt!("scope = [\"*.io/**\"]\nowner = \"me\"\nuntil = 2027-01-31\n")),
    case(
        Code::ScopeTie,
        Part::After(
            "[[policy]]\nname = \"b\"\nscope = [\"ghcr.io/o/a-*\", \"ghcr.io/o/*-b\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(
        Code::ScopeTie,
        Part::After(
            "[[policy]]\nname = \"b\"\nscope = [\"ghcr.io/myorg/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(
        Code::ScopeUnreachable,
        Part::After(
            "[[policy]]\nname = \"b\"\nscope = [\"quay.io/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(Code::SecretInline, Part::Upstream("credentials = { username = \"me\", password = \"hunter2\" }\n")),
    case(Code::SecretInline, Part::Upstream("url = \"https://me:hunter2@ghcr.io\"\n")),
    case(
        Code::SecretPermissions,
        Part::Upstream("credentials = { username = \"me\", password_file = \"open-password\" }\n"),
    ),
    case(
        Code::SealKeyInState,
        Part::Whole("policy = \"policy.toml\"\nstate = \"state\"\n[upstream.\"ghcr.io\"]\n"),
    ),
    case(
        Code::ShadowUnusable,
        Part::Config("", "[audit]\nshadow = \"absent.toml\"\nkey_file = \"log.key\"\n"),
    ),
    case(Code::SizeInvalid, Part::Config("", "[cache]\nblobs_max = \"20GB\"\n")),
    case(Code::SizeInvalid, Part::Config("", "[audit]\nretain_max = \"15MiB\"\nkey_file = \"log.key\"\n")),
    case(Code::Syntax, Part::Config("", "[audit]\nlog = stdout\nkey_file = \"log.key\"\n")),
    case(
        Code::Syntax,
        Part::Whole("policy: policy.toml\nstate: state\nlisten:\n  address: 127.0.0.1:5690\n"),
    ),
    case(Code::Syntax, exempt!("scope = [\"ghcr.io/a/b\"]\nowner = \"me\"\nuntil = 2027-13-01\n")),
    case(Code::ValueInvalid, Part::InPolicy("mode = \"audit\"\n")),
    case(Code::KeyUnreadable, Part::Authority("[authority.other]\nkey = \"~/ci.pub\"\n")),
    case(Code::KeyUnreadable, Part::Authority("[authority.other]\nkey = \"$HOME/ci.pub\"\n")),
    case(Code::KeyUnreadable, Part::Authority("[authority.other]\nkey = \"awskms:///alias/ci\"\n")),
    case(
        Code::KeyUnreadable,
        Part::Authority("[authority.other]\nkey = \"\"\"\n-----BEGIN PUBLIC KEY-----\nMFkw\n\"\"\"\n"),
    ),
    case(
        Code::ScopeUnreachable,
        Part::After(
            "[[policy]]\nname = \"b\"\nscope = [\"myorg/**\"]\n[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n",
        ),
    ),
    case(Code::ThresholdImpossible, Part::Require("signed_by = { any_of = [\"release\"], threshold = 2 }\n")),
    case(Code::ThresholdImpossible, Part::Require("signed_by = { any_of = [\"release\"], threshold = 0 }\n")),
    case(
        Code::TrustInsufficient,
        Part::Authority(
            "[trust.corp]\ntrusted_root = \"no-tlog.json\"\n[authority.other]\ntrust = \"corp\"\nkey = \"second.pub\"\n",
        ),
    ),
    case(
        Code::TrustInsufficient,
        Part::Authority(
            "[trust.corp]\ntrusted_root = \"no-ctlog.json\"\n[authority.ci]\ntrust = \"corp\"\nissuer = \"https://a\"\nidentity = \"b\"\n",
        ),
    ),
    case(
        Code::TrustInsufficient,
        Part::Authority(
            "[authority.ci]\ntrust = \"github\"\ntransparency = \"required\"\nissuer = \"https://a\"\nidentity = \"b\"\n",
        ),
    ),
    case(
        Code::TrustPartUnusable,
        Part::Authority(
            "[trust.corp]\ntrusted_root = \"spoilt.json\"\nsct = \"none\"\n[authority.ci]\ntrust = \"corp\"\nissuer = \"https://a\"\nidentity = \"b\"\n",
        ),
    ),
    case(Code::TrustRootInvalid, Part::Authority("[trust.corp]\ntrusted_root = \"garbage.json\"\n")),
    case(
        Code::TrustUnknown,
        Part::Authority("[authority.other]\nkey = \"second.pub\"\ntrust = \"sigstor\"\n"),
    ),
    case(Code::UnknownKey, Part::Require("signed_by = { any_of = [\"release\"] }\nmax-age = \"90d\"\n")),
    case(Code::UnknownKey, Part::Config("", "[listen]\nstate = \"x\"\n")),
    case(Code::UnknownKey, Part::After("[[policies]]\nname = \"x\"\n")),
    case(Code::UnknownUpstream, Part::Config("", "[listen]\ndefault_registry = \"docker.io\"\n")),
    case(Code::UnknownUpstream, Part::Upstream("evidence = \"quay.io/signatures\"\n")),
    case(Code::UpstreamPlaintext, Part::Upstream("url = \"http://10.0.0.1:5000\"\n")),
    case(
        Code::UpstreamPlaintext,
        Part::Upstream(
            "url = \"http://10.0.0.1:5000\"\ncredentials = { username = \"me\", password_file = \"password\" }\n",
        ),
    ),
    case(Code::UrlInvalid, Part::Upstream("url = \"https://ghcr.io/v2\"\n")),
    case(Code::UrlInvalid, Part::Upstream("url = \"https://harbor.corp.example/v2/hub-proxy\"\n")),
    case(Code::UrlInvalid, Part::Upstream("urls = [\"ghcr.io\"]\n")),
    case(Code::ValueInvalid, Part::InPolicy("mode = \"enforced\"\n")),
    case(Code::ValueInvalid, Part::Config("", "[listen]\ndenied_head_status = 404\n")),
    case(Code::CredentialsAbsent, Part::Upstream("credentials = { docker_config = \"other-login.json\" }\n")),
    case(Code::ValueInvalid, Part::Upstream("credentials = { docker_config = \"helper.json\" }\n")),
    case(Code::ValueInvalid, Part::Upstream("redirect_hosts = [\"*.cdn.example\"]\n")),
    case(
        Code::ValueInvalid,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = \"slsa-provenence\"\n"),
    ),
    case(
        Code::ValueInvalid,
        exempt!("scope = [\"ghcr.io/a/b\"]\ndigest = \"x\"\nowner = \"me\"\nuntil = 2027-01-31\n"),
    ),
    case(
        Code::WhereConstant,
        Part::Require("signed_by = { any_of = [\"release\"] }\nattestation = \"vuln\"\nwhere = 'true'\n"),
    ),
    case(Code::WhereCost, asks!("predicate.a.all(x, predicate.b.all(y, x == y))")),
    case(Code::WhereCost, asks!("predicate.x.matches(predicate.y)")),
    case(Code::WhereCost, asks!("predicate.a.all(x, x in predicate.b)")),
    case(Code::WhereSyntax, asks!("predicate.x ==")),
    case(Code::WhereUnanchored, asks!("identity.subject.matches(\"github.com/myorg\")")),
    case(Code::WhereUnknownFunction, asks!("env(\"HOME\") == \"\"")),
    case(Code::WhereUnknownName, asks!("image.tag == \"v1\"")),
    case(Code::WhereUnknownName, asks!("identity.claims.source_repo == \"x\"")),
    case(Code::WhereUnknownName, asks!("identity.claims[\"source_repo\"] == \"x\"")),
    case(Code::ValueInvalid, Part::Require("signed_by = { any_of = [\"release\"] }\nwhere = 'true'\n")),
    case(
        Code::ValueInvalid,
        Part::Require(
            "signed_by = { any_of = [\"release\"] }\nslsa = { level = 4, source = \"x\", builder = \"githb\" }\n",
        ),
    ),
    case(Code::RequirementEmpty, Part::Require("signed_by = { any_of = [\"release\"] }\nslsa = {}\n")),
    case(Code::WrongType, Part::Policy("[policy]\nname = \"a\"\n")),
    case(Code::WrongType, Part::Require("signed_by = [\"release\"]\n")),
    case(Code::WrongType, Part::Config("", "[listen]\ndenied_head_status = \"403\"\n")),
];
