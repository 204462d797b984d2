//! The names that a client's certificate proves. It chained to `client_ca` in the handshake; here it is only read.

use x509_cert::Certificate;
use x509_cert::der::Decode as _;
use x509_cert::der::asn1::{PrintableStringRef, Utf8StringRef};
use x509_cert::der::oid::db::rfc4519::COMMON_NAME;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

/// The prefix of names that tokens prove. Nothing else proves such a name.
pub(super) const OF_TOKENS: &str = "oidc:";

/// The common name, and each DNS, e-mail and URI alternative name. A name with an unprintable character is ignored.
#[must_use]
pub fn of_certificate(der: &[u8]) -> Vec<String> {
    let Ok(certificate) = Certificate::from_der(der) else { return Vec::new() };
    let subject = &certificate.tbs_certificate.subject;
    let parts = subject.0.iter().flat_map(|part| part.0.iter());
    let common = parts.filter(|part| part.oid == COMMON_NAME).filter_map(|part| {
        let utf8 = part.value.decode_as::<Utf8StringRef<'_>>().map(|text| text.as_str().to_owned());
        utf8.or_else(|_| {
            part.value.decode_as::<PrintableStringRef<'_>>().map(|text| text.as_str().to_owned())
        })
        .ok()
    });
    let alternative = certificate.tbs_certificate.get::<SubjectAltName>().ok().flatten();
    let alternative = alternative.map(|(_, names)| names.0).unwrap_or_default();
    let alternative = alternative.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(text)
        | GeneralName::Rfc822Name(text)
        | GeneralName::UniformResourceIdentifier(text) => Some(text.as_str().to_owned()),
        GeneralName::OtherName(_)
        | GeneralName::DirectoryName(_)
        | GeneralName::EdiPartyName(_)
        | GeneralName::IpAddress(_)
        | GeneralName::RegisteredId(_) => None,
    });
    let mut names: Vec<String> = common.chain(alternative).filter(|name| is_fit(name)).collect();
    names.sort();
    names.dedup();
    names
}

/// Whether a name that no token proved may count.
fn is_fit(name: &str) -> bool {
    if name.starts_with(OF_TOKENS) {
        tracing::debug!("a certificate's name that only a token could prove does not count");
        return false;
    }
    !name.is_empty() && !name.chars().any(pullgate_policy::text::is_unsafe)
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, DnType, KeyPair, SanType};

    use super::*;

    #[test]
    fn common_name_and_alternative_names_are_read_and_unprintable_ones_are_not() {
        let mut params = CertificateParams::new(vec!["node-1.example".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, "system:node:node-1");
        params.subject_alt_names.push(SanType::URI("spiffe://example/node/1".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("spiffe://example/\u{7}".try_into().unwrap()));
        params.subject_alt_names.push(SanType::URI("oidc:github:repo:myorg/app".try_into().unwrap()));
        params.subject_alt_names.push(SanType::IpAddress([127, 0, 0, 1].into()));
        let certificate = params.self_signed(&KeyPair::generate().unwrap()).unwrap();
        assert_eq!(
            of_certificate(certificate.der()),
            ["node-1.example", "spiffe://example/node/1", "system:node:node-1"]
        );
        assert!(of_certificate(b"no certificate").is_empty());
    }
}
