//! The uses that a certificate allows (RFC 5280, section 4.2.1).

use jiff::Timestamp;
use pullgate_policy::code::Code;
use webpki::KeyUsage as Usage;
use x509_cert::Certificate;
use x509_cert::certificate::Version;
use x509_cert::der::asn1::ObjectIdentifier;
use x509_cert::der::{Decode as _, DecodeOwned};
use x509_cert::ext::Extension;
use x509_cert::ext::pkix::{BasicConstraints, ExtendedKeyUsage, KeyUsage};
use x509_cert::time::Time;

use crate::fault::PieceFault;

const KEY_USAGE: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.15");
const BASIC_CONSTRAINTS: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.19");
const PURPOSES: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37");
const SAN: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.17");
/// `anyExtendedKeyUsage`.
const ANY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.37.0");

/// What a root may say that must be understood: key usage, alternative names, constraints of length, name and policy,
/// purposes, and where its list of revocations is. Name constraints are applied to the whole path.
const UNDERSTOOD: [ObjectIdentifier; 9] = [
    KEY_USAGE,
    SAN,
    BASIC_CONSTRAINTS,
    ObjectIdentifier::new_unwrap("2.5.29.30"),
    ObjectIdentifier::new_unwrap("2.5.29.31"),
    ObjectIdentifier::new_unwrap("2.5.29.32"),
    ObjectIdentifier::new_unwrap("2.5.29.36"),
    PURPOSES,
    ObjectIdentifier::new_unwrap("2.5.29.54"),
];

/// What a certificate is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// `id-kp-codeSigning`.
    CodeSigning,
    /// `id-kp-timeStamping`.
    TimeStamping,
}

impl Purpose {
    fn oid(self) -> ObjectIdentifier {
        match self {
            Self::CodeSigning => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.3"),
            Self::TimeStamping => ObjectIdentifier::new_unwrap("1.3.6.1.5.5.7.3.8"),
        }
    }

    /// Whether an issuer's purpose, by its arcs, lets this one pass.
    pub(crate) fn is(self, arcs: &[usize]) -> bool {
        [self.oid(), ANY].iter().any(|oid| {
            oid.arcs()
                .map(usize::try_from)
                .eq(arcs.iter().map(|arc| Ok::<_, std::num::TryFromIntError>(*arc)))
        })
    }

    /// The same in the words of the library that builds paths.
    pub(crate) fn required(self) -> Usage {
        const CODE_SIGNING: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
        const TIME_STAMPING: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x08];
        match self {
            Self::CodeSigning => Usage::required(&CODE_SIGNING),
            Self::TimeStamping => Usage::required(&TIME_STAMPING),
        }
    }
}

/// A root's own constraints, which builders of paths do not check.
pub(crate) struct Issuing {
    from: Timestamp,
    until: Timestamp,
    /// How many certificates may stand between it and a leaf; `None` for any number.
    length: Option<usize>,
    /// Its purposes; empty means all.
    purposes: Vec<ObjectIdentifier>,
    /// What keeps it from being a root at all.
    fault: Option<&'static str>,
}

impl Issuing {
    pub(crate) fn of(der: &[u8]) -> Result<Self, PieceFault> {
        let certificate = read(der)?;
        let constraints: Option<BasicConstraints> = extension(&certificate, BASIC_CONSTRAINTS)?;
        let usage: Option<KeyUsage> = extension(&certificate, KEY_USAGE)?;
        let purposes: Option<ExtendedKeyUsage> = extension(&certificate, PURPOSES)?;
        let critical = |one: &Extension| one.critical && !UNDERSTOOD.contains(&one.extn_id);
        // The first version of certificates has no extension to say it with.
        let is_ca =
            constraints.as_ref().map_or(certificate.tbs_certificate.version == Version::V1, |one| one.ca);
        let fault = match () {
            () if !is_ca => Some("the root is no certificate authority"),
            () if usage.is_some_and(|usage| !usage.key_cert_sign()) => {
                Some("the root's key is not for signing certificates")
            }
            () if extensions(&certificate).iter().any(critical) => {
                Some("the root has a critical extension that is not understood")
            }
            () => None,
        };
        let validity = &certificate.tbs_certificate.validity;
        Ok(Self {
            from: moment(validity.not_before)?,
            until: moment(validity.not_after)?,
            length: constraints.and_then(|one| one.path_len_constraint).map(usize::from),
            purposes: purposes.map(|purposes| purposes.0).unwrap_or_default(),
            fault,
        })
    }

    pub(crate) fn holds_at(&self, time: Timestamp) -> bool {
        self.from <= time && time <= self.until
    }

    pub(crate) fn allows(&self, between: usize) -> bool {
        self.length.is_none_or(|length| between <= length)
    }

    pub(crate) fn until(&self) -> Timestamp {
        self.until
    }

    pub(crate) fn check(&self, purpose: Purpose) -> Result<(), PieceFault> {
        let serves = |oid: &ObjectIdentifier| *oid == purpose.oid() || *oid == ANY;
        match self.fault {
            Some(fault) => Err(PieceFault::new(Code::CertificateInvalid, fault)),
            None if self.purposes.is_empty() || self.purposes.iter().any(serves) => Ok(()),
            None => Err(PieceFault::new(Code::CertificateInvalid, "the root is for another purpose")),
        }
    }
}

/// Whether a certificate between root and leaf may sign others. Whether it is a CA is checked where the path is built.
pub(crate) fn may_issue(der: &[u8]) -> bool {
    let usage = read(der).and_then(|certificate| extension::<KeyUsage>(&certificate, KEY_USAGE));
    usage.is_ok_and(|usage| usage.is_none_or(|usage| usage.key_cert_sign()))
}

/// Checks the extensions that a leaf needs to sign code (Sigstore client specification, "Certificate"), and RFC 5280,
/// section 4.1.2.6: without a subject its alternative name is critical (A628).
pub(crate) fn check_signer(leaf: &[u8], time: Timestamp) -> Result<(), PieceFault> {
    let invalid = |detail: &str| PieceFault::new(Code::CertificateInvalid, detail);
    let certificate = read(leaf)?;
    if !holds_at(leaf, time)? {
        return Err(Code::TimeOutsideCertificate.into());
    }
    let usage: Option<KeyUsage> = extension(&certificate, KEY_USAGE)?;
    if !usage.is_some_and(|usage| usage.digital_signature()) {
        return Err(invalid("the certificate's key is not for signatures"));
    }
    let purposes: Option<ExtendedKeyUsage> = extension(&certificate, PURPOSES)?;
    if !purposes.is_some_and(|purposes| purposes.0.contains(&Purpose::CodeSigning.oid())) {
        return Err(invalid("the certificate is not for signing code"));
    }
    let named = extensions(&certificate).iter().find(|one| one.extn_id == SAN);
    if certificate.tbs_certificate.subject.is_empty() && named.is_some_and(|named| !named.critical) {
        return Err(invalid("no subject, and an alternative name that is not critical"));
    }
    Ok(())
}

/// Checks the purpose of a leaf that signs timestamps: that purpose alone, and critical (RFC 3161, section 2.3; A627).
pub(crate) fn check_clock(leaf: &[u8]) -> Result<(), PieceFault> {
    let certificate = read(leaf)?;
    let purposes: Option<ExtendedKeyUsage> = extension(&certificate, PURPOSES)?;
    let critical = extensions(&certificate).iter().any(|one| one.extn_id == PURPOSES && one.critical);
    let sole = purposes.is_some_and(|purposes| purposes.0 == [Purpose::TimeStamping.oid()]);
    if critical && sole {
        Ok(())
    } else {
        Err(PieceFault::new(
            Code::TimestampUntrusted,
            "the authority's certificate is not for timestamps alone",
        ))
    }
}

/// Whether a certificate says of itself that it issues others. An unreadable certificate does not.
pub(crate) fn is_authority(der: &[u8]) -> bool {
    let constraints =
        read(der).and_then(|certificate| extension::<BasicConstraints>(&certificate, BASIC_CONSTRAINTS));
    constraints.is_ok_and(|constraints| constraints.is_some_and(|one| one.ca))
}

/// When a certificate runs out.
pub(crate) fn until(der: &[u8]) -> Result<Timestamp, PieceFault> {
    moment(read(der)?.tbs_certificate.validity.not_after)
}

/// Whether a certificate's own window holds `time`.
pub(crate) fn holds_at(der: &[u8], time: Timestamp) -> Result<bool, PieceFault> {
    let validity = read(der)?.tbs_certificate.validity;
    Ok(moment(validity.not_before)? <= time && time <= moment(validity.not_after)?)
}

pub(crate) fn read(der: &[u8]) -> Result<Certificate, PieceFault> {
    Certificate::from_der(der)
        .map_err(|_| PieceFault::new(Code::CertificateInvalid, "the certificate cannot be read"))
}

fn extensions(certificate: &Certificate) -> &[Extension] {
    certificate.tbs_certificate.extensions.as_deref().unwrap_or_default()
}

pub(crate) fn extension<T: DecodeOwned>(
    certificate: &Certificate,
    oid: ObjectIdentifier,
) -> Result<Option<T>, PieceFault> {
    let found = super::single(extensions(certificate), oid)?;
    let read = found.map(|extension| T::from_der(extension.extn_value.as_bytes())).transpose();
    read.map_err(|_| PieceFault::new(Code::CertificateInvalid, "an extension cannot be read"))
}

/// The first and the last moment at which a certificate holds.
pub(crate) fn window(certificate: &Certificate) -> Result<(Timestamp, Timestamp), PieceFault> {
    let validity = certificate.tbs_certificate.validity;
    Ok((moment(validity.not_before)?, moment(validity.not_after)?))
}

pub(crate) fn moment(time: Time) -> Result<Timestamp, PieceFault> {
    let second = i64::try_from(time.to_unix_duration().as_secs()).ok();
    let time = second.and_then(|second| Timestamp::from_second(second).ok());
    time.ok_or_else(|| PieceFault::new(Code::CertificateInvalid, "the certificate's validity"))
}
