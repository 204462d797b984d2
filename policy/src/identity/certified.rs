//! Holders of certificates of a policy's own certificate authorities: X.509 without Fulcio and OpenID Connect.

use std::collections::BTreeSet;
use std::fmt;

use serde::{Deserialize, Serialize};

use super::{KeyId, Name};
use crate::oci::Digest;
use crate::text;

/// The certificate authorities of one `ca` file, by the SHA-256 of their certificates in DER.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct RootsId(Digest);

impl RootsId {
    /// The id of a sequence of certificates.
    #[must_use]
    pub fn of_certificates(der: &[u8]) -> Self {
        Self(Digest::of(der))
    }
}

impl fmt::Display for RootsId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0, f)
    }
}

/// What a certificate of such an authority says of its holder. The authority vouches for every word of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Certified {
    /// The trust table whose logs and timestamp authorities proved the time.
    pub trust: Name,
    /// The authorities to which the certificate led at that time.
    pub roots: RootsId,
    /// The whole subject (RFC 4514); empty where there is none.
    pub subject: String,
    /// The subject alternative names of the kinds that can be asked for.
    pub names: BTreeSet<AltName>,
    /// The certificate's key (A233).
    pub held: Option<KeyId>,
}

/// A subject alternative name; kinds are never mixed up (A239).
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum AltName {
    /// dNSName.
    Dns(String),
    /// rfc822Name.
    Email(String),
    /// uniformResourceIdentifier.
    Uri(String),
}

impl AltName {
    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        match self {
            Self::Dns(name) | Self::Email(name) | Self::Uri(name) => name,
        }
    }
}

/// What a certificate must say of its holder: every field given here, byte for byte. At least one thing is.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Holder {
    /// The whole subject (RFC 4514).
    pub subject: Option<String>,
    /// Names that must be among its subject alternative names.
    pub names: BTreeSet<AltName>,
}

impl Holder {
    /// Tells whether a certificate names this holder. An empty holder matches no certificate.
    pub(super) fn is(&self, certified: &Certified) -> bool {
        let asks = self.subject.is_some() || !self.names.is_empty();
        asks && self.subject.as_ref().is_none_or(|subject| *subject == certified.subject)
            && self.names.is_subset(&certified.names)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(AltName::as_str);
        let all: Vec<_> = names.chain(self.subject.as_deref()).map(text::escape).collect();
        f.write_str(&all.join(", "))
    }
}

impl fmt::Display for Certified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.names.iter().map(AltName::as_str);
        let subject = Some(self.subject.as_str()).filter(|subject| !subject.is_empty());
        let all: Vec<_> = names.chain(subject).map(text::escape).collect();
        match all.is_empty() {
            true => f.write_str("a certificate without a name")?,
            false => f.write_str(&all.join(", "))?,
        }
        write!(f, " (certificate authority {})", self.roots)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::code::Code;
    use crate::identity::{Authority, By, Principal, Transparency, Uses};

    fn roots(name: &str) -> RootsId {
        RootsId::of_certificates(name.as_bytes())
    }

    fn names(names: &[AltName]) -> BTreeSet<AltName> {
        names.iter().cloned().collect()
    }

    fn email(name: &str) -> AltName {
        AltName::Email(name.to_owned())
    }

    fn dns(name: &str) -> AltName {
        AltName::Dns(name.to_owned())
    }

    fn certified(subject: &str, given: &[AltName]) -> Certified {
        let (trust, subject) = (Name::new("corp"), subject.to_owned());
        Certified { trust, roots: roots("corp"), subject, names: names(given), held: None }
    }

    fn authority(subject: Option<&str>, asked: &[AltName]) -> Authority {
        let holder = Holder { subject: subject.map(str::to_owned), names: names(asked) };
        Authority {
            name: Name::new("ci"),
            uses: Uses::Both,
            transparency: Transparency::Required,
            trust: Name::new("corp"),
            by: By::Certificate { roots: roots("corp"), holder },
        }
    }

    #[test]
    fn a660_a_holder_is_all_that_is_asked_byte_for_byte() {
        let both = certified("CN=ci,O=corp", &[email("ci@corp.example"), dns("ci.corp.example")]);
        for (subject, asked, is) in [
            (None, vec![email("ci@corp.example")], true),
            (None, vec![dns("ci.corp.example")], true),
            (None, vec![email("ci@corp.example"), dns("ci.corp.example")], true),
            (Some("CN=ci,O=corp"), vec![], true),
            (Some("CN=ci,O=corp"), vec![dns("ci.corp.example")], true),
            (Some("CN=ci"), vec![], false),
            (Some("cn=ci,O=corp"), vec![], false),
            (Some("CN=other,O=corp"), vec![dns("ci.corp.example")], false),
            (None, vec![email("CI@corp.example")], false),
            (None, vec![email("ci.corp.example")], false),
            (None, vec![dns("ci@corp.example")], false),
            (None, vec![email("ci@corp.example"), dns("other.corp.example")], false),
            (None, vec![AltName::Uri("ci@corp.example".to_owned())], false),
            // No file can be so written, and it must match no certificate rather than all.
            (None, vec![], false),
        ] {
            let recognised = authority(subject, &asked).recognises(&Principal::Certificate(both.clone()));
            let expected = if is { Ok(()) } else { Err(Code::UnknownAuthority) };
            assert_eq!(recognised, expected, "{subject:?} {asked:?}");
        }
    }

    #[test]
    fn a660_a_certificate_of_other_authorities_or_proven_elsewhere_is_a_strangers() {
        let own = certified("", &[dns("ci.corp.example")]);
        let other_roots = Certified { roots: roots("other"), ..own.clone() };
        let other_table = Certified { trust: Name::new("sigstore"), ..own.clone() };
        let authority = authority(None, &[dns("ci.corp.example")]);
        assert_eq!(authority.recognises(&Principal::Certificate(own)), Ok(()));
        for stranger in [other_roots, other_table] {
            let recognised = authority.recognises(&Principal::Certificate(stranger));
            assert_eq!(recognised, Err(Code::UnknownAuthority));
        }
    }

    fn share(one: &Certified, other: &Certified) -> bool {
        let marks = |certified: &Certified| Principal::Certificate(certified.clone()).marks();
        marks(one).iter().any(|mark| marks(other).contains(mark))
    }

    #[test]
    fn a233_certificates_of_one_key_one_subject_or_with_a_name_in_common_are_one_signer() {
        let key = |name: &str| Some(KeyId::of_spki(name.as_bytes()));
        let of = |subject: &str, names: &[AltName], name: &str| Certified {
            held: key(name),
            ..certified(subject, names)
        };
        let one = of("CN=ci", &[email("a@corp.example")], "k");
        assert!(share(&one, &of("CN=other", &[email("b@corp.example")], "k")), "one key");
        assert!(share(&one, &of("CN=CI", &[email("b@corp.example")], "l")), "one subject in another case");
        assert!(share(&one, &of("", &[dns("x"), email("A@corp.example")], "l")), "one name");
        assert!(!share(&one, &of("CN=other", &[email("b@corp.example")], "l")), "nothing in common");
        assert!(!share(&of("", &[dns("a")], "k"), &of("", &[dns("b")], "l")), "no subject is not one");
    }
}
