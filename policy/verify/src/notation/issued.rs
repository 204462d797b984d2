//! A certificate as it was read, with what is asked of each (signature specification, "Certificate Requirements").

use std::collections::BTreeSet;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::identity::Subject;
use pullgate_policy::{limits, text};
use x509_cert::Certificate;
use x509_cert::attr::AttributeTypeAndValue;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::{BmpString, ObjectIdentifier};
use x509_cert::der::{Decode as _, DecodeOwned, Encode as _, Tag, Tagged as _};
use x509_cert::ext::Extension;

use crate::artifact::SharedArtifact;
use crate::asn1;
use crate::certificate::profile;
use crate::fault::PieceFault;
use crate::key::{KeyFault, PublicKey, Way};

/// A certificate of version 3, in DER, with a key of an accepted kind.
pub(super) struct Issued {
    pub(super) der: Vec<u8>,
    pub(super) certificate: Certificate,
    pub(super) key: PublicKey,
    /// The first moment at which it holds.
    pub(super) from: Timestamp,
    /// The last.
    pub(super) until: Timestamp,
    /// What its issuer signed, as it stands in it.
    signed: SharedArtifact,
    /// In which form; none of SHA-1 and what is older.
    way: Option<Way>,
}

pub(super) fn invalid(detail: &str) -> PieceFault {
    PieceFault::new(Code::CertificateInvalid, detail)
}

impl Issued {
    pub(super) fn read(der: &[u8]) -> Result<Self, PieceFault> {
        if der.len() > limits::CERTIFICATE_BYTES {
            return Err(invalid("larger than certificates are read"));
        }
        let certificate = profile::read(der)?;
        let tbs = &certificate.tbs_certificate;
        if tbs.version != Version::V3 {
            return Err(invalid("not of version 3"));
        }
        if tbs.signature != certificate.signature_algorithm {
            return Err(invalid("two algorithms for one signature"));
        }
        let extensions = tbs.extensions.as_deref().unwrap_or_default();
        let known: BTreeSet<ObjectIdentifier> = extensions.iter().map(|one| one.extn_id).collect();
        if known.len() != extensions.len() {
            return Err(invalid("an extension stands twice"));
        }
        let key = PublicKey::from_spki(&tbs.subject_public_key_info).map_err(|fault| match fault {
            KeyFault::Unsupported(detail) => PieceFault::new(Code::KeyUnsupported, detail),
            _ => invalid("it holds no key"),
        })?;
        let (from, until) = profile::window(&certificate)?;
        let way = Way::of(&certificate.signature_algorithm);
        let signed = asn1::signed_part(der).ok_or_else(|| invalid("the certificate cannot be read"))?;
        let signed = SharedArtifact::of(signed.to_vec().into());
        Ok(Self { der: der.to_vec(), key, from, until, signed, way, certificate })
    }

    /// Whether it is signed in a form that counts.
    pub(super) fn is_signed_soundly(&self) -> bool {
        self.way.is_some()
    }

    /// Whether it names `issuer` as its issuer, and is signed by that one's key.
    pub(super) fn is_issued_by(&self, issuer: &Self) -> bool {
        self.names(issuer) && self.is_signed_by(issuer)
    }

    /// Whether it names `issuer` as its issuer.
    pub(super) fn names(&self, issuer: &Self) -> bool {
        self.certificate.tbs_certificate.issuer == issuer.certificate.tbs_certificate.subject
    }

    fn is_signed_by(&self, issuer: &Self) -> bool {
        let signature = self.certificate.signature.as_bytes();
        self.way.zip(signature).is_some_and(|(way, made)| issuer.key.made(way, &self.signed, made))
    }

    pub(super) fn is_self_signed(&self) -> bool {
        self.is_issued_by(self)
    }

    /// Whether it holds at this time, both ends included.
    pub(super) fn holds_at(&self, time: Timestamp) -> bool {
        self.from <= time && time <= self.until
    }

    /// An extension and whether it is critical.
    pub(super) fn extension<T: DecodeOwned>(
        &self,
        oid: ObjectIdentifier,
    ) -> Result<Option<(T, Critical)>, PieceFault> {
        let critical = |one: &Extension| if one.critical { Critical::Yes } else { Critical::No };
        let found = self.found(oid).map(critical);
        Ok(profile::extension(&self.certificate, oid)?.zip(found))
    }

    pub(super) fn found(&self, oid: ObjectIdentifier) -> Option<&Extension> {
        let extensions = self.certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
        extensions.iter().find(|one| one.extn_id == oid)
    }

    /// The subject as text, and in parts where a policy can name it.
    ///
    /// # Errors
    /// It could be shown as another one (A238).
    pub(super) fn subject(&self) -> Result<(String, Option<Subject>), PieceFault> {
        let shown = self.shown();
        if shown.len() > limits::IDENTITY_BYTES || shown.chars().any(text::is_unsafe) {
            return Err(Code::IdentityMalformed.into());
        }
        let sets = &self.certificate.tbs_certificate.subject.0;
        // A set of several values is one attribute to nobody (A674).
        if sets.iter().any(|set| set.0.len() != 1) {
            return Ok((shown, None));
        }
        let attributes = sets.iter().flat_map(|set| set.0.iter());
        let listed = attributes.map(|attribute| (attribute.oid.to_string(), value(attribute)));
        let subject = Subject::of_certificate(listed);
        Ok((shown, subject))
    }

    /// The subject, for people.
    pub(super) fn shown(&self) -> String {
        self.certificate.tbs_certificate.subject.to_string()
    }

    /// The issuer's name, in DER.
    pub(super) fn issuer(&self) -> Option<Vec<u8>> {
        self.certificate.tbs_certificate.issuer.to_der().ok()
    }
}

/// Whether an extension is critical.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Critical {
    No,
    Yes,
}

/// The text of an attribute, whatever kind of text it is.
fn value(attribute: &AttributeTypeAndValue) -> Option<String> {
    let bytes = attribute.value.value();
    match attribute.value.tag() {
        Tag::Utf8String | Tag::PrintableString | Tag::Ia5String => String::from_utf8(bytes.to_vec()).ok(),
        Tag::TeletexString => bytes.is_ascii().then(|| String::from_utf8(bytes.to_vec()).ok())?,
        Tag::BmpString => {
            let text = BmpString::from_der(&attribute.value.to_der().ok()?).ok()?;
            Some(text.to_string())
        }
        _ => None,
    }
}
