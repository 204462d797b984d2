//! The path from a certificate to a root of the trust table (RFC 5280, section 6.1).
//!
//! The library takes each certificate of an authority's chain for an anchor by itself, and an anchor is held against
//! nothing: an intermediate that has run out, is for another purpose or is no CA would sign for ever (A622). Here the
//! anchor is the root alone; each other certificate is held against everything at the time in question, and the root too.

use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_crypto::WEBPKI_VERIFICATION_ALGS;
use sigstore_trust_root::TimeRange;
use webpki::{EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, RequiredEkuNotFoundContext};

use crate::certificate::profile::{self, Issuing, Purpose};
use crate::fault::PieceFault;

/// An authority of a trust table: its root, and what stands between the root and its leaves.
pub(super) struct Path {
    anchor: TrustAnchor<'static>,
    root: Issuing,
    between: Vec<CertificateDer<'static>>,
    window: Option<TimeRange>,
}

impl Path {
    /// Reads a chain, its root last; the error is for people.
    pub(super) fn of<'a>(
        chain: impl DoubleEndedIterator<Item = &'a [u8]>,
        window: Option<TimeRange>,
    ) -> Result<Self, String> {
        let mut chain = chain.map(|der| CertificateDer::from(der.to_vec()));
        let root = chain.next_back().ok_or("a chain without a certificate")?;
        let anchor = webpki::anchor_from_trusted_cert(&root).map_err(|error| error.to_string())?.to_owned();
        let root = Issuing::of(&root).map_err(|fault| format!("the root of a chain: {}", fault.detail))?;
        Ok(Self { anchor, root, between: chain.collect(), window })
    }

    /// When the first of its certificates runs out.
    pub(super) fn ends(&self) -> Timestamp {
        let between = self.between.iter().filter_map(|der| profile::until(der).ok());
        between.chain([self.root.until()]).min().unwrap_or(Timestamp::MAX)
    }

    /// Until when the table gives it a window; none where that has no end.
    pub(super) fn closes(&self) -> Option<Timestamp> {
        self.window.and_then(|window| window.end)
    }

    /// When it may be relied on: within the window that the table gives it, and its root's own.
    pub(super) fn holds_at(&self, time: Timestamp) -> bool {
        self.window.is_none_or(|window| window.contains(time)) && self.root.holds_at(time)
    }

    /// Checks that `leaf` leads to the root at `time`, by way of the table's certificates or of `others`, for `purpose`;
    /// tells its issuer's SubjectPublicKeyInfo.
    pub(super) fn leads(
        &self,
        leaf: &[u8],
        others: &[Vec<u8>],
        time: Timestamp,
        purpose: Purpose,
    ) -> Result<Vec<u8>, PieceFault> {
        self.root.check(purpose)?;
        let between: Vec<_> = others.iter().map(|der| CertificateDer::from(der.as_slice())).collect();
        let between: Vec<_> = self.between.iter().cloned().chain(between).collect();
        let der = CertificateDer::from(leaf);
        let invalid = |error: webpki::Error| PieceFault::new(code(&error), error.to_string());
        let seconds = u64::try_from(time.as_second()).map_err(|_| Code::TimeOutsideCertificate)?;
        let end_entity = EndEntityCert::try_from(&der).map_err(invalid)?;
        let anchors = [self.anchor.clone()];
        let path = end_entity
            .verify_for_usage(
                WEBPKI_VERIFICATION_ALGS,
                &anchors,
                &between,
                UnixTime::since_unix_epoch(Duration::from_secs(seconds)),
                Unless(purpose),
                None,
                Some(&|path| {
                    let mut issuers = path.intermediate_certificates();
                    // What the library does not look at: key usage, and how long a path the root allows.
                    let fits = issuers.all(|issuer| profile::may_issue(&issuer.der()));
                    let length = path.intermediate_certificates().count();
                    if fits && self.root.allows(length) {
                        Ok(())
                    } else {
                        Err(webpki::Error::PathLenConstraintViolated)
                    }
                }),
            )
            .map_err(invalid)?;
        Ok(path.issuer_spki().as_ref().to_vec())
    }
}

/// Purposes nest: where an issuer names any, the one that is asked for must be among them (RFC 5280, section 4.2.1.12, as
/// the reference reads it). That the leaf names it is looked at apart.
struct Unless(Purpose);

impl ExtendedKeyUsageValidator for Unless {
    fn validate(&self, purposes: KeyPurposeIdIter<'_, '_>) -> Result<(), webpki::Error> {
        let mut present = Vec::new();
        for purpose in purposes {
            let arcs = purpose?.to_decoded_oid();
            if self.0.is(&arcs) {
                return Ok(());
            }
            present.push(arcs);
        }
        if present.is_empty() {
            return Ok(());
        }
        let required = self.0.required();
        Err(webpki::Error::RequiredEkuNotFoundContext(RequiredEkuNotFoundContext { required, present }))
    }
}

fn code(error: &webpki::Error) -> Code {
    match error {
        webpki::Error::UnknownIssuer | webpki::Error::InvalidSignatureForPublicKey => {
            Code::CertificateUntrusted
        }
        webpki::Error::CertExpired { .. } | webpki::Error::CertNotValidYet { .. } => Code::CertificateExpired,
        _ => Code::CertificateInvalid,
    }
}
