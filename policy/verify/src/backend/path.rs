//! The path from a certificate to a root of the trust table (RFC 5280, section 6.1).
//!
//! The library takes each certificate of an authority's chain for a trust anchor, and an anchor is not checked: an
//! intermediate that expired, is for another purpose or is no CA would sign for ever (A622). Here only the root is an
//! anchor; every certificate, the root too, is checked in full at the time in question.

use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use rustls_pki_types::{CertificateDer, TrustAnchor, UnixTime};
use sigstore_crypto::WEBPKI_VERIFICATION_ALGS;
use sigstore_trust_root::TimeRange;
use webpki::{
    EndEntityCert, ExtendedKeyUsageValidator, KeyPurposeIdIter, RequiredEkuNotFoundContext, VerifiedPath,
};
use x509_cert::Certificate;
use x509_cert::der::Encode as _;

use crate::certificate::names;
use crate::certificate::profile::{self, Issuing, Purpose};
use crate::fault::PieceFault;

/// A certificate between root and leaf, as it is written and as it is read.
type Known<'a> = (&'a CertificateDer<'a>, Certificate);
/// Steps that are taken to find ways by names: a chain has at most ten.
const PATHS: usize = 32;

/// An authority of a trust table: its root, and what stands between the root and its leaves.
pub(super) struct Path {
    anchor: TrustAnchor<'static>,
    root: Issuing,
    /// The root certificate, for its name constraints.
    written: Certificate,
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
        let of_root = |fault: PieceFault| format!("the root of a chain: {}", fault.detail);
        let written = profile::read(&root).map_err(of_root)?;
        let root = Issuing::of(&root).map_err(of_root)?;
        Ok(Self { anchor, root, written, between: chain.collect(), window })
    }

    /// How many of these have a root of one name: each of them is tried for a certificate that leads to the name.
    pub(super) fn namesakes(paths: &[Self]) -> usize {
        let mut counts = BTreeMap::<Vec<u8>, usize>::new();
        for path in paths {
            *counts.entry(path.written.tbs_certificate.subject.to_der().unwrap_or_default()).or_default() +=
                1;
        }
        counts.into_values().max().unwrap_or(0)
    }

    /// When the first of its certificates runs out.
    pub(super) fn ends(&self) -> Timestamp {
        let between = self.between.iter().filter_map(|der| profile::until(der).ok());
        between.chain([self.root.until()]).min().unwrap_or(Timestamp::MAX)
    }

    /// The end of its window in the table; `None` where that has no end.
    pub(super) fn closes(&self) -> Option<Timestamp> {
        self.window.and_then(|window| window.end)
    }

    /// Whether its root may issue for a purpose at all.
    pub(super) fn issues(&self, purpose: Purpose) -> Result<(), PieceFault> {
        self.root.check(purpose)
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
        let seconds = u64::try_from(time.as_second()).map_err(|_| Code::TimeOutsideCertificate)?;
        let at = UnixTime::since_unix_epoch(Duration::from_secs(seconds));
        match self.built(leaf, &between, at, purpose) {
            // An address in the subject is a name that the library does not look at.
            Ok(_) if names::has_address_in_subject(leaf) => self.by_names(leaf, &between, at, purpose),
            Ok(issuer) => Ok(issuer),
            Err(webpki::Error::NameConstraintViolation) => self.by_names(leaf, &between, at, purpose),
            Err(error) => Err(PieceFault::new(code(&error), error.to_string())),
        }
    }

    /// The issuer of a leaf by a path that the library builds of these certificates.
    fn built(
        &self,
        leaf: &[u8],
        between: &[CertificateDer<'_>],
        at: UnixTime,
        purpose: Purpose,
    ) -> Result<Vec<u8>, webpki::Error> {
        let der = CertificateDer::from(leaf);
        let anchors = [self.anchor.clone()];
        let allowed = |path: &VerifiedPath<'_>| {
            let mut issuers = path.intermediate_certificates();
            let may_issue = issuers.all(|issuer| profile::may_issue(&issuer.der()));
            self.allows(may_issue, path.intermediate_certificates().count())
        };
        let end_entity = EndEntityCert::try_from(&der)?;
        let purpose = Unless(purpose);
        let algorithms = WEBPKI_VERIFICATION_ALGS;
        let path =
            end_entity.verify_for_usage(algorithms, &anchors, between, at, purpose, None, Some(&allowed))?;
        Ok(path.issuer_spki().as_ref().to_vec())
    }

    /// The checks that the library lacks: key usage, and the root's path length constraint.
    fn allows(&self, may_issue: bool, length: usize) -> Result<(), webpki::Error> {
        let fits = may_issue && self.root.allows(length);
        fits.then_some(()).ok_or(webpki::Error::PathLenConstraintViolated)
    }

    /// As [`Self::built`], where the library refuses because of name constraints, which it does not fully support: by a
    /// path that passes all its other checks.
    ///
    /// The library checks names last, after the signatures of the path. It gets one path at a time, in which every
    /// certificate has a subject of its own: then there is one way to the root, and its answer is about that way.
    fn by_names(
        &self,
        leaf: &[u8],
        between: &[CertificateDer<'_>],
        at: UnixTime,
        purpose: Purpose,
    ) -> Result<Vec<u8>, PieceFault> {
        let signer = profile::read(leaf)?;
        let known: Vec<_> = between.iter().filter_map(|der| Some((der, profile::read(der).ok()?))).collect();
        let mut fault =
            PieceFault::new(Code::CertificateInvalid, webpki::Error::NameConstraintViolation.to_string());
        for path in self.paths(&signer, &known) {
            let alone: Vec<_> = path.iter().map(|(der, _)| CertificateDer::clone(der)).collect();
            match self.built(leaf, &alone, at, purpose) {
                Ok(issuer) if !names::has_address_in_subject(leaf) => return Ok(issuer),
                Ok(_) | Err(webpki::Error::NameConstraintViolation) => {}
                Err(_) => continue,
            }
            let may_issue = path.iter().all(|(der, _)| profile::may_issue(der));
            if self.allows(may_issue, path.len()).is_err() {
                continue;
            }
            let mut below = vec![&signer];
            let mut named = Ok(());
            for (_, issuer) in &path {
                named = named.and_then(|()| names::check(issuer, &below));
                below.push(issuer);
            }
            match named.and_then(|()| names::check(&self.written, &below)) {
                Ok(()) => {
                    let issuer = path.first().map_or(&self.written, |(_, issuer)| issuer);
                    let spki = issuer.tbs_certificate.subject_public_key_info.to_der();
                    return spki.map_err(|_| Code::CertificateInvalid.into());
                }
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }

    /// The ways from a leaf to the root by names of issuers, shortest first; a few of them.
    fn paths<'a>(&self, leaf: &Certificate, known: &'a [Known<'a>]) -> Vec<Vec<&'a Known<'a>>> {
        let (mut whole, mut open) = (Vec::new(), VecDeque::from([Vec::<&Known<'_>>::new()]));
        let root = &self.written.tbs_certificate.subject;
        let mut left = PATHS;
        while let Some(path) = open.pop_front() {
            let issuer = &path.last().map_or(leaf, |(_, top)| top).tbs_certificate.issuer;
            if issuer == root {
                whole.push(path);
                continue;
            }
            for one in known {
                let subject = &one.1.tbs_certificate.subject;
                let is_new = !path.iter().any(|(_, other)| other.tbs_certificate.subject == *subject);
                if subject == issuer && is_new && left > 0 {
                    left -= 1;
                    open.push_back(path.iter().copied().chain([one]).collect());
                }
            }
        }
        whole
    }
}

/// Purposes nest: where an issuer names any, the required one must be among them (RFC 5280, section 4.2.1.12, as the
/// reference reads it). The leaf's own purpose is checked elsewhere.
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
