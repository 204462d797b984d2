//! A timestamp token, signed by a timestamp authority (RFC 3161, section 2.4.2; RFC 5652, section 5).

use aws_lc_rs::digest::{self as hash, Algorithm};
use jiff::Timestamp;
use pullgate_policy::code::Code;
use x509_cert::der::asn1::{AnyRef, ObjectIdentifier};
use x509_cert::der::{Decode as _, Encode as _, Tag, TagNumber, Tagged as _};

use crate::asn1::{hash_of, identifier, is_marked, is_marked_plain, parts, split, whole_parts};
use crate::certificate::profile;
use crate::fault::PieceFault;
use crate::key::PublicKey;

const SIGNED_DATA: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.7.2");
const TST_INFO: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.1.4");
const CONTENT_TYPE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.3");
const MESSAGE_DIGEST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.4");
/// `signingCertificate` (RFC 2634), by SHA-1, and `signingCertificateV2` (RFC 5035), by any hash.
const SIGNING_CERTIFICATE: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.12");
const SIGNING_CERTIFICATE_V2: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.2.840.113549.1.9.16.2.47");
const SUBJECT_KEY: ObjectIdentifier = ObjectIdentifier::new_unwrap("2.5.29.14");

/// Signature algorithms that name their hash: ECDSA and RSA over SHA-256, SHA-384 and SHA-512 (RFC 5758, RFC 8017).
const WITH_HASH: [(&str, &Algorithm); 6] = [
    ("1.2.840.10045.4.3.2", &hash::SHA256),
    ("1.2.840.10045.4.3.3", &hash::SHA384),
    ("1.2.840.10045.4.3.4", &hash::SHA512),
    ("1.2.840.113549.1.1.11", &hash::SHA256),
    ("1.2.840.113549.1.1.12", &hash::SHA384),
    ("1.2.840.113549.1.1.13", &hash::SHA512),
];

const SET_OF: u8 = 0x31;

pub(crate) mod strict;

/// A token that was read and not yet verified.
pub(crate) struct Token {
    pub(crate) time: Timestamp,
    /// Certificates that travel in it. None of them is trusted.
    pub(crate) certificates: Vec<Vec<u8>>,
    /// The version of the CMS content (RFC 5652, section 5.1).
    version: Vec<u8>,
    imprint: (&'static Algorithm, Vec<u8>),
    info: Vec<u8>,
    signer: Signer,
}

struct Signer {
    id: Id,
    digest: &'static Algorithm,
    hashed_by: &'static Algorithm,
    /// The signed attributes as they stand, each whole.
    attributes: Vec<Vec<u8>>,
    signature: Vec<u8>,
}

/// Who signed, by name.
enum Id {
    /// Issuer and serial number, in DER.
    Issued(Vec<u8>),
    KeyId(Vec<u8>),
}

impl Token {
    /// Reads a `TimeStampResp`, or the token in it alone.
    pub(crate) fn read(der: &[u8]) -> Option<Self> {
        let whole = AnyRef::from_der(der).ok()?;
        let outer = parts(whole)?;
        let content = match outer.as_slice() {
            [status, token] if status.tag() == Tag::Sequence => {
                // Granted, or granted with modifications.
                let status = *parts(*status)?.first()?;
                (status.tag() == Tag::Integer && matches!(status.value(), [0 | 1])).then_some(*token)?
            }
            _ => whole,
        };
        let (kind, content) = typed(content)?;
        let signed = parts((kind == SIGNED_DATA).then_some(content?)?)?;
        let (head, rest) = signed.split_at_checked(3)?;
        let info = head.get(2).copied().and_then(typed)?;
        let info = (info.0 == TST_INFO).then_some(info.1?)?;
        let info = (info.tag() == Tag::OctetString).then(|| info.value().to_vec())?;
        let certificates = rest.iter().find(|one| is_marked(**one, TagNumber::N0));
        let certificates = certificates.map(|all| whole_parts(all.value())).unwrap_or(Some(Vec::new()))?;
        // One signer (RFC 3161, section 2.4.2): of two, two readers could take two different ones.
        let signers = parts(*rest.last().filter(|one| one.tag() == Tag::Set)?)?;
        let [signer] = signers.as_slice() else { return None };
        let (imprint, time) = said(&info)?;
        let version = head.first().map(|version| version.value().to_vec())?;
        Some(Self { time, certificates, version, imprint, info, signer: Signer::read(*signer)? })
    }

    /// Whether it is about these bytes.
    pub(crate) fn is_about(&self, signed: &[u8]) -> bool {
        let (algorithm, imprint) = &self.imprint;
        hash::digest(algorithm, signed).as_ref() == imprint.as_slice()
    }

    /// Whether it names this certificate as its signer's.
    pub(crate) fn is_by(&self, certificate: &[u8]) -> bool {
        let Ok(certificate) = profile::read(certificate) else { return false };
        let tbs = &certificate.tbs_certificate;
        match &self.signer.id {
            Id::Issued(named) => {
                let issuer = tbs.issuer.to_der().unwrap_or_default();
                *named == [issuer, tbs.serial_number.to_der().unwrap_or_default()].concat()
            }
            Id::KeyId(named) => {
                let extensions = tbs.extensions.as_deref().unwrap_or_default();
                let id = extensions.iter().find(|extension| extension.extn_id == SUBJECT_KEY);
                let id = id.and_then(|id| AnyRef::from_der(id.extn_value.as_bytes()).ok());
                id.is_some_and(|id| id.value() == named.as_slice())
            }
        }
    }

    /// Checks that the holder of `certificate` signed it, and said that it was this very certificate (RFC 3161, section
    /// 2.4.2).
    pub(crate) fn verify(&self, certificate: &[u8]) -> Result<(), PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::TimestampInvalid, detail);
        let attributes = self.signer.attributes().ok_or_else(|| invalid("its signed attributes"))?;
        let one = |oid| attributes.iter().find(|(kind, _)| *kind == oid).map(|(_, value)| *value);
        let kind = one(CONTENT_TYPE).and_then(|kind| kind.decode_as::<ObjectIdentifier>().ok());
        let digest = one(MESSAGE_DIGEST).filter(|digest| digest.tag() == Tag::OctetString);
        let ours = hash::digest(self.signer.digest, &self.info);
        if kind != Some(TST_INFO) || digest.map(|digest| digest.value()) != Some(ours.as_ref()) {
            return Err(invalid("its signature is about something else"));
        }
        let names: Vec<_> =
            [SIGNING_CERTIFICATE, SIGNING_CERTIFICATE_V2].into_iter().filter_map(one).collect();
        if names.is_empty() {
            return Err(invalid("it does not say by which certificate it is signed"));
        }
        if !names.into_iter().all(|named| identifies(named, certificate) == Some(true)) {
            return Err(invalid("it says that it is signed by another certificate"));
        }
        let key = profile::read(certificate)?.tbs_certificate.subject_public_key_info;
        let key = PublicKey::from_spki(&key).map_err(|fault| {
            PieceFault::new(Code::TimestampUntrusted, format!("its authority's key: {fault}"))
        })?;
        let signed = |attributes: &[Vec<u8>]| {
            set(attributes)
                .is_some_and(|set| key.verifies_hashed(self.signer.hashed_by, &set, &self.signer.signature))
        };
        let mut sorted = self.signer.attributes.clone();
        sorted.sort();
        // They are signed in the order of DER, in which they should stand already.
        if signed(&self.signer.attributes) || (sorted != self.signer.attributes && signed(&sorted)) {
            Ok(())
        } else {
            Err(PieceFault::new(Code::TimestampUntrusted, "its authority did not sign it"))
        }
    }
}

impl Signer {
    fn read(info: AnyRef<'_>) -> Option<Self> {
        let parts = parts(info)?;
        let mut fields = parts.into_iter();
        let (_version, named, digest) = (fields.next()?, fields.next()?, fields.next()?);
        let attributes = fields.next().filter(|one| is_marked(*one, TagNumber::N0))?;
        let (algorithm, signature) = (fields.next()?, fields.next()?);
        let id = match named.tag() {
            Tag::Sequence => Id::Issued(named.value().to_vec()),
            _ if is_marked_plain(named, TagNumber::N0) => Id::KeyId(named.value().to_vec()),
            _ => return None,
        };
        let digest = hash_of(digest)?;
        let named = identifier(algorithm)?.to_string();
        let hashed_by = WITH_HASH.iter().find(|(oid, _)| *oid == named).map_or(digest, |(_, hash)| *hash);
        let signature = (signature.tag() == Tag::OctetString).then(|| signature.value().to_vec())?;
        Some(Self { id, digest, hashed_by, attributes: whole_parts(attributes.value())?, signature })
    }

    /// Type and value of each; `None` where a type stands twice, or has not one value.
    fn attributes(&self) -> Option<Vec<(ObjectIdentifier, AnyRef<'_>)>> {
        let mut read: Vec<(ObjectIdentifier, AnyRef<'_>)> = Vec::new();
        for attribute in &self.attributes {
            let fields = parts(AnyRef::from_der(attribute).ok()?)?;
            let [kind, values] = fields.as_slice() else { return None };
            let kind = kind.decode_as::<ObjectIdentifier>().ok()?;
            let values = parts((values.tag() == Tag::Set).then_some(*values)?)?;
            let [value] = values.as_slice() else { return None };
            if read.iter().any(|(other, _)| *other == kind) {
                return None;
            }
            read.push((kind, *value));
        }
        Some(read)
    }
}

/// Whether a signing-certificate attribute is of this certificate: its first identifier is the signer's.
fn identifies(attribute: AnyRef<'_>, certificate: &[u8]) -> Option<bool> {
    let listed = parts(*parts(attribute)?.first()?)?;
    let fields = parts(*listed.first()?)?;
    let (algorithm, named) = match fields.as_slice() {
        [algorithm, named, ..] if algorithm.tag() == Tag::Sequence => (hash_of(*algorithm)?, named),
        // The hash is left out: SHA-256 in the second version, and always SHA-1 in the first, told apart by their length.
        [named, ..] if named.value().len() == hash::SHA1_OUTPUT_LEN => {
            (&hash::SHA1_FOR_LEGACY_USE_ONLY, named)
        }
        [named, ..] => (&hash::SHA256, named),
        [] => return None,
    };
    Some(named.tag() == Tag::OctetString && hash::digest(algorithm, certificate).as_ref() == named.value())
}

/// What a TSTInfo says: which bytes, and when.
fn said(info: &[u8]) -> Option<((&'static Algorithm, Vec<u8>), Timestamp)> {
    let fields = parts(AnyRef::from_der(info).ok()?)?;
    let (head, rest) = fields.split_at_checked(5)?;
    let [version, _policy, imprint, _serial, time] = head else { return None };
    if version.value() != [1] || rest.iter().any(|one| is_marked(*one, TagNumber::N1) && !is_harmless(*one)) {
        return None;
    }
    let imprint = parts(*imprint)?;
    let [algorithm, hashed] = imprint.as_slice() else { return None };
    let hashed = (hashed.tag() == Tag::OctetString).then(|| hashed.value().to_vec())?;
    let time = (time.tag() == Tag::GeneralizedTime).then(|| std::str::from_utf8(time.value()).ok())??;
    Some(((hash_of(*algorithm)?, hashed), moment(time)?))
}

/// Extensions are ignored, except a critical one, which is refused.
fn is_harmless(extensions: AnyRef<'_>) -> bool {
    let critical = |extension: &AnyRef<'_>| {
        parts(*extension).is_none_or(|fields| fields.iter().any(|field| field.tag() == Tag::Boolean))
    };
    split(extensions.value()).is_some_and(|listed| !listed.iter().any(critical))
}

/// `YYYYMMDDhhmmss[.s…]Z` (RFC 3161, section 2.4.2): a fraction of a second may follow.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix('Z')?;
    let (whole, fraction) = text.split_once('.').unwrap_or((text, "0"));
    let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.len() != 14 || !digits(whole) || !digits(fraction) || fraction.len() > 9 {
        return None;
    }
    let field = |from: usize, until: usize| whole.get(from..until);
    let (date, time) = (
        format!("{}-{}-{}", field(0, 4)?, field(4, 6)?, field(6, 8)?),
        format!("{}:{}:{}", field(8, 10)?, field(10, 12)?, field(12, 14)?),
    );
    format!("{date}T{time}.{fraction}Z").parse().ok()
}

/// A type and the content that is marked with 0 beside it.
fn typed(sequence: AnyRef<'_>) -> Option<(ObjectIdentifier, Option<AnyRef<'_>>)> {
    let fields = parts(sequence)?;
    let kind = fields.first()?.decode_as().ok()?;
    let content = fields.get(1).filter(|one| is_marked(**one, TagNumber::N0));
    Some((kind, content.and_then(|content| AnyRef::from_der(content.value()).ok())))
}

fn set(parts: &[Vec<u8>]) -> Option<Vec<u8>> {
    let content = parts.concat();
    let mut der = vec![SET_OF];
    der.extend(x509_cert::der::Length::try_from(content.len()).ok()?.to_der().ok()?);
    der.extend(content);
    Some(der)
}

#[cfg(test)]
mod tests;
