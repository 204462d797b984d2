//! Signed certificate timestamps (RFC 6962, sections 3.2 and 3.3): the promise of a certificate log about a
//! certificate. The library reads a certificate with exactly one, and does not look whether it is from the future
//! (A628).

use jiff::Timestamp;
use pullgate_policy::code::Code;
use x509_cert::Certificate;
use x509_cert::der::asn1::{ObjectIdentifier, OctetString};
use x509_cert::der::{Decode as _, Encode as _};

use super::root::Key;
use crate::artifact::SharedArtifact;
use crate::encoding;
use crate::fault::PieceFault;

/// The extension with embedded SCTs (RFC 6962, section 3.3).
const SCT_LIST: ObjectIdentifier = ObjectIdentifier::new_unwrap("1.3.6.1.4.1.11129.2.4.2");

/// The certificate logs of one trusted root.
pub(super) struct CertificateLogs(pub(super) Vec<Key>);

impl CertificateLogs {
    /// Checks that a log of the table, while its key counted, listed the leaf before `latest`. Of several SCTs one must be
    /// so: those of other logs are nothing to this table.
    pub(super) fn check(&self, leaf: &[u8], issuer: &[u8], latest: Timestamp) -> Result<(), PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::SctInvalid, detail);
        let certificate = Certificate::from_der(leaf).map_err(|_| Code::CertificateInvalid)?;
        let list = list(&certificate)?.ok_or(Code::SctMissing)?;
        let scts = Sct::all(&list).ok_or_else(|| invalid("the list of SCTs cannot be read"))?;
        let mut fault = PieceFault::from(Code::SctMissing);
        for sct in scts {
            match self.check_one(&sct, &certificate, issuer, latest) {
                Ok(()) => return Ok(()),
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    fn check_one(
        &self,
        sct: &Sct,
        certificate: &Certificate,
        issuer: &[u8],
        latest: Timestamp,
    ) -> Result<(), PieceFault> {
        let invalid = |detail: &str| PieceFault::new(Code::SctInvalid, detail);
        let issued = i64::try_from(sct.timestamp).ok().and_then(|at| Timestamp::from_millisecond(at).ok());
        let issued = issued.ok_or_else(|| invalid("an SCT with an invalid time"))?;
        if issued > latest {
            return Err(invalid("an SCT from the future"));
        }
        let mut keys =
            self.0.iter().filter(|key| key.id == sct.log && key.window.contains(issued)).peekable();
        if keys.peek().is_none() {
            return Err(invalid("an SCT of a log that the trust table does not hold for that time"));
        }
        let message = sct.message(certificate, issuer).ok_or_else(|| invalid("an SCT of something else"))?;
        let message = SharedArtifact::of(message.into());
        let verifies = keys.any(|key| key.key.verifies(&message, &sct.signature));
        verifies.then_some(()).ok_or_else(|| invalid("the log did not sign the SCT"))
    }
}

/// Whether a leaf has more than one SCT: the library then reads none of them.
pub(super) fn are_several(leaf: &[u8]) -> bool {
    let list = Certificate::from_der(leaf).ok().and_then(|certificate| list(&certificate).ok().flatten());
    list.and_then(|list| Sct::all(&list)).is_some_and(|scts| scts.len() > 1)
}

/// The list of SCTs of a leaf.
fn list(certificate: &Certificate) -> Result<Option<Vec<u8>>, PieceFault> {
    let extensions = certificate.tbs_certificate.extensions.as_deref().unwrap_or_default();
    let mut lists = extensions.iter().filter(|extension| extension.extn_id == SCT_LIST);
    let list = match (lists.next(), lists.next()) {
        (Some(list), None) => list.extn_value.as_bytes(),
        (None, _) => return Ok(None),
        (Some(_), Some(_)) => return Err(Code::SctInvalid.into()),
    };
    let list = OctetString::from_der(list).map_err(|_| Code::SctInvalid)?;
    Ok(Some(list.as_bytes().to_vec()))
}

/// A SignedCertificateTimestamp (RFC 6962, section 3.2).
struct Sct {
    log: [u8; 32],
    timestamp: u64,
    extensions: Vec<u8>,
    signature: Vec<u8>,
}

impl Sct {
    /// Those of a list, each of version 1.
    fn all(list: &[u8]) -> Option<Vec<Self>> {
        let mut outer = encoding::Bytes(list);
        let mut listed = encoding::Bytes(outer.vector()?);
        let mut scts = Vec::new();
        while !listed.is_empty() {
            scts.push(Self::read(encoding::Bytes(listed.vector()?))?);
        }
        (outer.is_empty() && !scts.is_empty()).then_some(scts)
    }

    fn read(mut one: encoding::Bytes<'_>) -> Option<Self> {
        if one.number(1)? != 0 {
            return None;
        }
        let log = one.take(32)?.try_into().ok()?;
        let timestamp = one.number(8)?;
        let extensions = one.vector()?.to_vec();
        // SignatureAndHashAlgorithm (RFC 5246, section 7.4.1.4.1): a hash of the family, and RSA or ECDSA.
        let scheme = one.number(2)?;
        if ![0x0403, 0x0503, 0x0603, 0x0401, 0x0501, 0x0601].contains(&scheme) {
            return None;
        }
        let signature = one.vector()?.to_vec();
        one.is_empty().then_some(Self { log, timestamp, extensions, signature })
    }

    /// The signed bytes: the certificate as it was before the SCT was put into it.
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
        message.extend(sigstore_crypto::sha256(issuer).as_bytes());
        message.extend(u32::try_from(tbs.len()).ok()?.to_be_bytes().get(1..)?);
        message.extend(tbs);
        message.extend(u16::try_from(self.extensions.len()).ok()?.to_be_bytes());
        message.extend(&self.extensions);
        Some(message)
    }
}

#[cfg(test)]
mod tests;
