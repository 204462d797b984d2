//! Name constraints (RFC 5280, section 4.2.1.10). The library that builds paths knows none of URIs and e-mail addresses, and
//! refuses what has any; the reference knows both.

use std::net::IpAddr;

use pullgate_policy::code::Code;
use x509_cert::Certificate;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, GeneralSubtrees};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{NameConstraints, SubjectAltName};

use super::profile;
use crate::fault::PieceFault;

const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SAN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");

/// Checks the names of all that stands below an issuer against what it allows. What cannot be decided is not allowed.
pub(crate) fn check(issuer: &Certificate, below: &[&Certificate]) -> Result<(), PieceFault> {
    let constraints: Option<NameConstraints> = profile::extension(issuer, CONSTRAINTS)?;
    let Some(NameConstraints { permitted_subtrees, excluded_subtrees }) = constraints else { return Ok(()) };
    let (permitted, excluded) =
        (permitted_subtrees.unwrap_or_default(), excluded_subtrees.unwrap_or_default());
    if permitted.iter().chain(&excluded).any(|subtree| !is_understood(subtree)) {
        return Err(refused("a constraint of names that is not understood"));
    }
    for certificate in below {
        let names: Option<SubjectAltName> = profile::extension(certificate, SAN)?;
        for name in names.map(|names| names.0).unwrap_or_default() {
            one(&name, &permitted, &excluded)?;
        }
    }
    Ok(())
}

fn refused(detail: &str) -> PieceFault {
    PieceFault::new(Code::CertificateInvalid, detail)
}

/// Of the kinds that are decided here, and whole: minimum and maximum are never used.
fn is_understood(subtree: &GeneralSubtree) -> bool {
    let known = matches!(
        subtree.base,
        GeneralName::UniformResourceIdentifier(_) | GeneralName::Rfc822Name(_) | GeneralName::DnsName(_)
    );
    known && subtree.minimum == 0 && subtree.maximum.is_none()
}

fn one(
    name: &GeneralName,
    permitted: &GeneralSubtrees,
    excluded: &GeneralSubtrees,
) -> Result<(), PieceFault> {
    let mut allowed =
        permitted.iter().filter_map(|subtree| matches(name, &subtree.base, Rule::Permitted)).peekable();
    if allowed.peek().is_some() && !allowed.any(|matches| matches) {
        return Err(refused("a name that its issuer may not give"));
    }
    if excluded.iter().any(|subtree| matches(name, &subtree.base, Rule::Excluded) == Some(true)) {
        return Err(refused("a name that its issuer must not give"));
    }
    Ok(())
}

/// Where a constraint can be read in two ways, the stricter one holds: what is permitted is narrow, what is excluded
/// is wide.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Permitted,
    Excluded,
}

/// Whether a name lies in a subtree; none where the subtree is of another kind.
fn matches(name: &GeneralName, base: &GeneralName, rule: Rule) -> Option<bool> {
    let wide = rule == Rule::Excluded;
    match (name, base) {
        (GeneralName::UniformResourceIdentifier(name), GeneralName::UniformResourceIdentifier(base)) => {
            // Without a host that has a name it is in no tree, and must be refused.
            Some(host_of(name.as_str()).map_or(wide, |host| is_in(host, base.as_str(), rule)))
        }
        (GeneralName::Rfc822Name(name), GeneralName::Rfc822Name(base)) => {
            let (name, base) = (name.as_str(), base.as_str());
            let Some((local, domain)) = name.rsplit_once('@') else { return Some(wide) };
            Some(match base.rsplit_once('@') {
                Some((mailbox, at)) => local == mailbox && domain.eq_ignore_ascii_case(at),
                None => is_in(domain, base, rule),
            })
        }
        (GeneralName::DnsName(name), GeneralName::DnsName(base)) => {
            // Of DNS names a constraint without a dot in front is for all below it.
            let (name, base) = (name.as_str(), base.as_str());
            Some(is_in(name, base, Rule::Excluded))
        }
        (
            GeneralName::UniformResourceIdentifier(_)
            | GeneralName::Rfc822Name(_)
            | GeneralName::DnsName(_)
            | GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_),
            _,
        ) => None,
    }
}

/// Whether a host is the one that a constraint names, or, where that begins with a dot or the rule is wide, below it.
fn is_in(host: &str, base: &str, rule: Rule) -> bool {
    let (host, base) = (host.to_ascii_lowercase(), base.to_ascii_lowercase());
    match (base.strip_prefix('.'), rule) {
        (None | Some(""), _) if base.trim_start_matches('.').is_empty() => rule == Rule::Excluded,
        (Some(_), _) => host.ends_with(&base) && host.len() > base.len(),
        (None, Rule::Permitted) => host == base,
        (None, Rule::Excluded) => host == base || host.ends_with(&format!(".{base}")),
    }
}

/// The host of a URI, where that is a name.
fn host_of(uri: &str) -> Option<&str> {
    let (_, rest) = uri.split_once("://")?;
    // With user info two readers may find two hosts.
    let authority = rest.split(['/', '?', '#']).next()?;
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => host,
        Some(_) => return None,
        None => authority,
    };
    let is_name = |host: &&str| {
        let fits = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
        !host.is_empty() && host.bytes().all(fits) && host.parse::<IpAddr>().is_err()
    };
    Some(host).filter(is_name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a622_a_host_is_in_a_tree_by_whole_labels_and_in_doubt_is_refused() {
        for (host, base, permitted, excluded) in [
            ("git.example", "git.example", true, true),
            ("GIT.example", "git.EXAMPLE", true, true),
            ("a.git.example", "git.example", false, true),
            ("a.git.example", ".git.example", true, true),
            ("git.example", ".git.example", false, false),
            ("evilgit.example", "git.example", false, false),
            ("evilgit.example", ".git.example", false, false),
            ("git.example.evil", "git.example", false, false),
            ("git.example", "", false, true),
            ("git.example", ".", false, true),
        ] {
            assert_eq!(is_in(host, base, Rule::Permitted), permitted, "{host} {base}");
            assert_eq!(is_in(host, base, Rule::Excluded), excluded, "{host} {base}");
        }
    }

    #[test]
    fn a622_the_host_of_a_uri_is_what_stands_between_scheme_and_path_and_no_address() {
        for (uri, host) in [
            ("https://git.example/org/app@refs/heads/main", Some("git.example")),
            ("https://git.example:8443?x", Some("git.example")),
            ("https://git.example@evil.example/", None),
            ("spiffe://trust.example/ns/x", Some("trust.example")),
            ("https://evil.example#@git.example", Some("evil.example")),
            ("https://evil.example\\@git.example/", None),
            ("https://[::1]/", None),
            ("https://127.0.0.1/", None),
            ("urn:x", None),
            ("https:///git.example", None),
        ] {
            assert_eq!(host_of(uri), host, "{uri}");
        }
    }
}
