//! Whom a certificate of a policy's own authority names: its subject (RFC 4514) and its alternative names, each exactly as
//! it stands there. The authority vouches for all of them, so any that is asked for will do (A660).

use std::collections::BTreeSet;
use std::str::FromStr as _;

use pullgate_policy::code::Code;
use pullgate_policy::identity::{AltName, Certified, KeyId, Name, RootsId};
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;
use x509_cert::name::RdnSequence;

use super::{SAN, is_malformed, profile};
use crate::fault::PieceFault;

/// The names in a leaf, which led to `roots` and was proven by the services of `trust`.
///
/// # Errors
/// A name cannot be read, or could be shown as another one (A238).
pub(crate) fn certified(
    leaf: &[u8],
    (trust, roots): (&Name, RootsId),
    held: Option<KeyId>,
) -> Result<Certified, PieceFault> {
    let certificate = profile::read(leaf)?;
    let subject = certificate.tbs_certificate.subject.to_string();
    let alternative: Option<SubjectAltName> = profile::extension(&certificate, SAN)?;
    let mut names = BTreeSet::new();
    for name in alternative.map(|names| names.0).unwrap_or_default() {
        match name {
            GeneralName::DnsName(name) => names.insert(AltName::Dns(name.to_string())),
            GeneralName::Rfc822Name(name) => names.insert(AltName::Email(name.to_string())),
            GeneralName::UniformResourceIdentifier(name) => names.insert(AltName::Uri(name.to_string())),
            // No authority can ask for one of these.
            GeneralName::OtherName(_)
            | GeneralName::DirectoryName(_)
            | GeneralName::EdiPartyName(_)
            | GeneralName::IpAddress(_)
            | GeneralName::RegisteredId(_) => false,
        };
    }
    let subject_shown = subject.is_empty() || !is_malformed(&subject);
    if !subject_shown || names.iter().any(|name| is_malformed(name.as_str())) {
        return Err(Code::IdentityMalformed.into());
    }
    Ok(Certified { trust: trust.clone(), roots, subject, names, held })
}

/// A subject as certificates have it, from the text of one (RFC 4514): `CN=ci,O=Corp`. None where it is none.
#[must_use]
pub fn subject(text: &str) -> Option<String> {
    let read = RdnSequence::from_str(text).ok().filter(|read| !read.is_empty())?;
    let named = read.0.iter().all(|relative| !relative.0.is_empty());
    Some(read.to_string()).filter(|shown| named && !is_malformed(shown))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a660_a_subject_has_one_form_and_what_is_none_is_told() {
        for (text, form) in [
            ("CN=ci,O=Corp", Some("CN=ci,O=Corp")),
            ("cn=ci,o=Corp", Some("CN=ci,O=Corp")),
            ("CN=ci+OU=build,O=Corp,C=DE", Some("CN=ci+OU=build,O=Corp,C=DE")),
            (r"CN=a\,b,O=Corp", Some(r"CN=a\,b,O=Corp")),
            ("CN=ci, O=Corp", None),
            ("ci", None),
            ("", None),
            ("/CN=ci/O=Corp", None),
            ("emailAddress=ci@corp.example,CN=ci", Some("EMAIL=ci@corp.example,CN=ci")),
        ] {
            assert_eq!(subject(text).as_deref(), form, "{text}");
        }
    }
}
