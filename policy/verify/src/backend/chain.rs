//! Chains of certificates and their signed certificate timestamps, for signatures whose log entry the library does not
//! read: it checks these two only along the way to the entry.

use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_crypto::{Keyring, SigningScheme, WEBPKI_VERIFICATION_ALGS, sha256};
use sigstore_trust_root::{TimeRange, TrustedRoot};
use sigstore_types::{Sha256Hash, SignatureBytes};
use webpki::{EndEntityCert, KeyUsage, VerifiedPath};
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{Any, Decode as _, Encode as _, Tag};

use crate::fault::Fault;

/// `id-kp-codeSigning` (RFC 5280, section 4.2.1.12), its content octets.
const CODE_SIGNING: [u8; 8] = [0x2b, 0x06, 0x01, 0x05, 0x05, 0x07, 0x03, 0x03];
/// The extension with embedded SCTs (RFC 6962, section 3.3).
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// The authorities and certificate logs of one trusted root.
pub(super) struct Chains {
    anchors: Vec<(TrustAnchor<'static>, Option<TimeRange>)>,
    certificate_logs: Vec<(SigningScheme, Keyring)>,
}

impl Chains {
    /// Every certificate of an authority's chain is trusted by itself, as the library does.
    pub(super) fn of(root: &TrustedRoot) -> Result<Self, String> {
        let mut anchors = Vec::new();
        for authority in &root.certificate_authorities {
            for certificate in &authority.cert_chain.certificates {
                let der = CertificateDer::from(certificate.raw_bytes.as_bytes());
                let anchor = webpki::anchor_from_trusted_cert(&der).map_err(|error| error.to_string())?;
                anchors.push((anchor.to_owned(), authority.valid_for));
            }
        }
        let schemes = [
            SigningScheme::EcdsaP256Sha256,
            SigningScheme::EcdsaP384Sha384,
            SigningScheme::RsaPkcs1Sha256,
            SigningScheme::RsaPkcs1Sha384,
            SigningScheme::RsaPkcs1Sha512,
        ];
        let keys =
            |scheme| root.ctfe_keys(scheme).map(|keys| (scheme, keys)).map_err(|error| error.to_string());
        let certificate_logs = schemes.into_iter().map(keys).collect::<Result<_, _>>()?;
        Ok(Self { anchors, certificate_logs })
    }

    /// Checks that the leaf chains to an authority whose window holds `time`, that each certificate of the path holds it
    /// too, and that it may sign code; tells its issuer's SubjectPublicKeyInfo.
    pub(super) fn check(&self, leaf: &[u8], others: &[Vec<u8>], time: Timestamp) -> Result<Vec<u8>, Fault> {
        let at = |window: &Option<TimeRange>| window.is_none_or(|window| window.contains(time));
        let anchors: Vec<_> =
            self.anchors.iter().filter(|(_, window)| at(window)).map(|(anchor, _)| anchor.clone()).collect();
        if anchors.is_empty() {
            return Err(Code::CertificateExpired.into());
        }
        let others: Vec<_> = others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let der = CertificateDer::from(leaf);
        let invalid = |error: webpki::Error| Fault::new(code(&error), error.to_string());
        let end_entity = EndEntityCert::try_from(&der).map_err(invalid)?;
        let seconds = u64::try_from(time.as_second()).map_err(|_| Code::TimeOutsideCertificate)?;
        let path = end_entity
            .verify_for_usage(
                WEBPKI_VERIFICATION_ALGS,
                &anchors,
                &others,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                KeyUsage::required(&CODE_SIGNING),
                None,
                None,
            )
            .map_err(invalid)?;
        issuer(&path).ok_or_else(|| Code::CertificateInvalid.into())
    }

    /// Checks the one SCT that is embedded in the leaf (RFC 6962, sections 3.2 and 3.3).
    pub(super) fn check_sct(&self, leaf: &[u8], issuer: &[u8]) -> Result<(), Fault> {
        let certificate = Certificate::from_der(leaf).map_err(|_| Code::CertificateInvalid)?;
        let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
        let mut lists = extensions.iter().filter(|extension| extension.extn_id == SCT_LIST);
        let list = match (lists.next(), lists.next()) {
            (Some(list), None) => list.extn_value.as_bytes(),
            (None, _) => return Err(Code::SctMissing.into()),
            (Some(_), Some(_)) => return Err(Code::SctInvalid.into()),
        };
        let list = OctetString::from_der(list).map_err(|_| Code::SctInvalid)?;
        let sct = Sct::only(list.as_bytes()).ok_or(Code::SctInvalid)?;
        let message = sct.message(&certificate, issuer).ok_or(Code::SctInvalid)?;
        let issued = i64::try_from(sct.timestamp).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let issued = issued.ok_or(Code::SctInvalid)?;
        let keys = self.certificate_logs.iter().find(|(scheme, _)| *scheme == sct.scheme);
        let verified = keys.map(|(_, keys)| {
            keys.verify_with_key_id_at(
                &Sha256Hash::new(sct.log),
                issued,
                &message,
                &SignatureBytes::new(sct.signature),
            )
        });
        match verified {
            Some(Ok(())) => Ok(()),
            Some(Err(error)) => Err(Fault::new(Code::SctInvalid, error.to_string())),
            None => Err(Code::SctInvalid.into()),
        }
    }
}

fn code(error: &webpki::Error) -> Code {
    match error {
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Code::CertificateUntrusted
        }
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => {
            Code::TimeOutsideCertificate
        }
        _ => Code::CertificateInvalid,
    }
}

/// The certificate that was proved to have signed the leaf; an anchor's key is kept without its outer SEQUENCE.
fn issuer(path: &VerifiedPath<'_>) -> Option<Vec<u8>> {
    match path.intermediate_certificates().next() {
        Some(issuer) => Some(issuer.subject_public_key_info().as_ref().to_vec()),
        None => {
            let key = path.anchor().subject_public_key_info.as_ref();
            Any::new(Tag::Sequence, key).and_then(|any| any.to_der()).ok()
        }
    }
}

/// A SignedCertificateTimestamp (RFC 6962, section 3.2).
struct Sct {
    log: [u8; 32],
    timestamp: u64,
    extensions: Vec<u8>,
    scheme: SigningScheme,
    signature: Vec<u8>,
}

impl Sct {
    /// The only one of a list, of version 1.
    fn only(list: &[u8]) -> Option<Self> {
        let mut outer = Bytes(list);
        let mut one = Bytes(Bytes(outer.vector()?).vector_alone()?);
        if !outer.is_empty() || one.number(1)? != 0 {
            return None;
        }
        let log = one.take(32)?.try_into().ok()?;
        let timestamp = one.number(8)?;
        let extensions = one.vector()?.to_vec();
        // SignatureAndHashAlgorithm (RFC 5246, section 7.4.1.4.1).
        let scheme = match one.number(2)? {
            0x0403 => SigningScheme::EcdsaP256Sha256,
            0x0503 => SigningScheme::EcdsaP384Sha384,
            0x0401 => SigningScheme::RsaPkcs1Sha256,
            0x0501 => SigningScheme::RsaPkcs1Sha384,
            0x0601 => SigningScheme::RsaPkcs1Sha512,
            _ => return None,
        };
        let signature = one.vector()?.to_vec();
        one.is_empty().then_some(Self { log, timestamp, extensions, scheme, signature })
    }

    /// What the log signed: the certificate as it was before the SCT was put into it.
    fn message(&self, certificate: &Certificate, issuer: &[u8]) -> Option<Vec<u8>> {
        let mut before = certificate.tbs_certificate.clone();
        before.extensions =
            before.extensions.map(|all| all.into_iter().filter(|one| one.extn_id != SCT_LIST).collect());
        let tbs = before.to_der().ok()?;
        // Version 1, certificate_timestamp.
        let mut message = vec![0, 0];
        message.extend(self.timestamp.to_be_bytes());
        // precert_entry.
        message.extend([0, 1]);
        message.extend(sha256(issuer).as_bytes());
        message.extend(u32::try_from(tbs.len()).ok()?.to_be_bytes().get(1..)?);
        message.extend(tbs);
        message.extend(u16::try_from(self.extensions.len()).ok()?.to_be_bytes());
        message.extend(&self.extensions);
        Some(message)
    }
}

/// Bytes that are read from the front, as TLS writes structures.
struct Bytes<'a>(&'a [u8]);

impl<'a> Bytes<'a> {
    fn take(&mut self, length: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.0.split_at_checked(length)?;
        self.0 = rest;
        Some(taken)
    }

    fn number(&mut self, length: usize) -> Option<u64> {
        Some(self.take(length)?.iter().fold(0, |number, byte| number << 8 | u64::from(*byte)))
    }

    /// A vector with a length of two bytes.
    fn vector(&mut self) -> Option<&'a [u8]> {
        let length = usize::try_from(self.number(2)?).ok()?;
        self.take(length)
    }

    /// The same, when nothing follows it.
    fn vector_alone(mut self) -> Option<&'a [u8]> {
        let vector = self.vector()?;
        self.is_empty().then_some(vector)
    }

    fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests;
