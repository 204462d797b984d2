//! Name constraints (RFC 5280, section 4.2.1.10). The library that builds paths supports no constraints on URIs, e-mail
//! addresses and directory names, and refuses a path with one; the reference supports the first two.

use std::net::IpAddr;

use pullgate_policy::code::Code;
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::der::asn1::{Ia5String, Ia5StringRef, ObjectIdentifier, PrintableStringRef, Utf8StringRef};
use x509_cert::der::{Tag, Tagged as _};
use x509_cert::ext::pkix::constraints::name::{GeneralSubtree, GeneralSubtrees};
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::ext::pkix::{NameConstraints, SubjectAltName};
use x509_cert::name::{RdnSequence, RelativeDistinguishedName};

use super::profile;
use crate::fault::PieceFault;

const CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.30");
const SAN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// `emailAddress`, an attribute of subjects.
const ADDRESS: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.1");

/// Checks the names of all certificates below an issuer against its constraints. An undecidable name is refused.
pub(crate) fn check(issuer: &Certificate, below: &[&Certificate]) -> Result<(), PieceFault> {
    let constraints: Option<NameConstraints> = profile::extension(issuer, CONSTRAINTS)?;
    let Some(NameConstraints { permitted_subtrees, excluded_subtrees }) = constraints else { return Ok(()) };
    let (permitted, excluded) =
        (permitted_subtrees.unwrap_or_default(), excluded_subtrees.unwrap_or_default());
    if permitted.iter().chain(&excluded).any(|subtree| !is_understood(subtree)) {
        return Err(refused("a constraint of names that is not understood"));
    }
    for certificate in below {
        for name in names_of(certificate)? {
            one(&name, &permitted, &excluded)?;
        }
    }
    Ok(())
}

/// Every name of a certificate: its alternative names, its subject, and the addresses in that, where no alternative name
/// is one.
fn names_of(certificate: &Certificate) -> Result<Vec<GeneralName>, PieceFault> {
    let alternative: Option<SubjectAltName> = profile::extension(certificate, SAN)?;
    let mut names = alternative.map(|names| names.0).unwrap_or_default();
    if !names.iter().any(|name| matches!(name, GeneralName::Rfc822Name(_))) {
        for address in addresses(certificate) {
            let text = text(address).and_then(|text| Ia5String::new(text).ok());
            let text = text.ok_or_else(|| refused("an address in a subject that cannot be read"))?;
            names.push(GeneralName::Rfc822Name(text));
        }
    }
    let subject = &certificate.tbs_certificate.subject;
    if !subject.is_empty() {
        names.push(GeneralName::DirectoryName(subject.clone()));
    }
    Ok(names)
}

fn addresses(certificate: &Certificate) -> impl Iterator<Item = &AttributeTypeAndValue> {
    let attributes = certificate.tbs_certificate.subject.0.iter().flat_map(|relative| relative.0.iter());
    attributes.filter(|attribute| attribute.oid == ADDRESS)
}

/// Whether a subject has an address. An unreadable certificate has none.
pub(crate) fn has_address_in_subject(der: &[u8]) -> bool {
    profile::read(der).is_ok_and(|certificate| addresses(&certificate).next().is_some())
}

fn refused(detail: &str) -> PieceFault {
    PieceFault::new(Code::CertificateInvalid, detail)
}

/// Of the kinds that are decided here, and whole: minimum and maximum are never used.
fn is_understood(subtree: &GeneralSubtree) -> bool {
    let known = match &subtree.base {
        GeneralName::UniformResourceIdentifier(_)
        | GeneralName::Rfc822Name(_)
        | GeneralName::DnsName(_)
        | GeneralName::DirectoryName(_) => true,
        GeneralName::IpAddress(range) => Range::read(range.as_bytes()).is_some(),
        GeneralName::OtherName(_) | GeneralName::EdiPartyName(_) | GeneralName::RegisteredId(_) => false,
    };
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

/// Where a constraint can be read in two ways, the stricter one holds: permitted subtrees are narrow, excluded ones
/// wide.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Rule {
    Permitted,
    Excluded,
}

/// Whether a name lies in a subtree; `None` where the subtree is of another kind.
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
        (GeneralName::IpAddress(name), GeneralName::IpAddress(base)) => {
            Some(Range::read(base.as_bytes()).map_or(wide, |range| range.holds(name.as_bytes())))
        }
        (GeneralName::DirectoryName(name), GeneralName::DirectoryName(base)) => {
            Some(begins_with(name, base, rule))
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

/// Addresses as a constraint writes them: one, and a mask behind it that is ones before zeros (RFC 4632, section 3.1).
struct Range<'a> {
    address: &'a [u8],
    mask: &'a [u8],
}

impl<'a> Range<'a> {
    fn read(bytes: &'a [u8]) -> Option<Self> {
        // Of IPv4 and of IPv6.
        if ![8, 32].contains(&bytes.len()) {
            return None;
        }
        let (address, mask) = bytes.split_at_checked(bytes.len() / 2)?;
        let bits: String = mask.iter().map(|byte| format!("{byte:08b}")).collect();
        bits.trim_start_matches('1').bytes().all(|bit| bit == b'0').then_some(Self { address, mask })
    }

    /// An address of the other version is outside.
    fn holds(&self, address: &[u8]) -> bool {
        let masked = |(a, b): (&u8, &u8), mask: &u8| a & mask == b & mask;
        address.len() == self.address.len()
            && address.iter().zip(self.address).zip(self.mask).all(|(pair, mask)| masked(pair, mask))
    }
}

/// Whether a directory name begins with the parts of another.
fn begins_with(name: &RdnSequence, base: &RdnSequence, rule: Rule) -> bool {
    name.0.len() >= base.0.len()
        && name.0.iter().zip(&base.0).all(|(part, wanted)| is_part(part, wanted, rule))
}

fn is_part(part: &RelativeDistinguishedName, wanted: &RelativeDistinguishedName, rule: Rule) -> bool {
    let has = |one: &AttributeTypeAndValue| wanted.0.iter().any(|other| are_equal(one, other, rule));
    match rule {
        Rule::Permitted => part.0.len() == wanted.0.len() && part.0.iter().all(has),
        Rule::Excluded => part.0.iter().any(has),
    }
}

/// For a permitted subtree, equal text; for an excluded one, also text in another case or spacing (RFC 5280, section
/// 7.1), and text that cannot be compared.
fn are_equal(one: &AttributeTypeAndValue, other: &AttributeTypeAndValue, rule: Rule) -> bool {
    if one.oid != other.oid {
        return false;
    }
    let folded = |text: &str| text.to_lowercase().split_whitespace().collect::<String>();
    match (text(one), text(other), rule) {
        (Some(one), Some(other), Rule::Permitted) => one == other,
        (Some(one), Some(other), Rule::Excluded) => folded(one) == folded(other),
        (_, _, Rule::Permitted) => one.value == other.value,
        (_, _, Rule::Excluded) => true,
    }
}

/// The text of an attribute, where it is one of the kinds that are written today.
fn text(attribute: &AttributeTypeAndValue) -> Option<&str> {
    let value = &attribute.value;
    match value.tag() {
        Tag::PrintableString => PrintableStringRef::try_from(value).ok().map(|text| text.as_str()),
        Tag::Utf8String => Utf8StringRef::try_from(value).ok().map(|text| text.as_str()),
        Tag::Ia5String => Ia5StringRef::try_from(value).ok().map(|text| text.as_str()),
        _ => None,
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

    fn directory(text: &str) -> RdnSequence {
        text.parse().unwrap()
    }

    #[test]
    fn a622_a_directory_name_is_below_another_by_whole_parts_and_in_doubt_is_refused() {
        for (name, base, permitted, excluded) in [
            ("CN=ci,O=Corp,C=DE", "O=Corp,C=DE", true, true),
            ("O=Corp,C=DE", "O=Corp,C=DE", true, true),
            ("C=DE", "O=Corp,C=DE", false, false),
            ("CN=ci,O=Corporation,C=DE", "O=Corp,C=DE", false, false),
            ("CN=ci,O=corp,C=DE", "O=Corp,C=DE", false, true),
            ("CN=ci,O=Co  rp,C=DE", "O=Corp,C=DE", false, true),
            ("CN=ci,C=DE,O=Corp", "O=Corp,C=DE", false, false),
            ("CN=ci,O=Corp+OU=x,C=DE", "O=Corp,C=DE", false, true),
        ] {
            let (name, base) = (directory(name), directory(base));
            assert_eq!(begins_with(&name, &base, Rule::Permitted), permitted, "{name} {base}");
            assert_eq!(begins_with(&name, &base, Rule::Excluded), excluded, "{name} {base}");
        }
        let nothing = RdnSequence::default();
        assert!(begins_with(&directory("CN=ci"), &nothing, Rule::Excluded));
    }

    #[test]
    fn a622_an_address_is_in_a_range_of_its_own_version_and_a_mask_is_one() {
        let holds = |range: &[u8], address: &[u8]| Range::read(range).map(|range| range.holds(address));
        let ten = [10, 0, 0, 0, 255, 0, 0, 0];
        assert_eq!(holds(&ten, &[10, 1, 2, 3]), Some(true));
        assert_eq!(holds(&ten, &[11, 1, 2, 3]), Some(false));
        assert_eq!(holds(&ten, &[0; 16]), Some(false));
        let v6 = [[0x20, 1].as_slice(), &[0; 14], &[255, 255], &[0; 14]].concat();
        assert_eq!(holds(&v6, &[[0x20, 1].as_slice(), &[7; 14]].concat()), Some(true));
        assert_eq!(holds(&v6, &[10, 1, 2, 3]), Some(false));
        for broken in [&[10, 0, 0, 0][..], &[10, 0, 0, 0, 255, 0, 255, 0], &[10, 0, 0, 0, 1, 0, 0, 0], &[]] {
            assert!(Range::read(broken).is_none(), "{broken:?}");
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
