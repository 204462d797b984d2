//! A policy's own certificate authorities (X.509, RFC 5280): the roots of one `ca` file, and what stands in it between
//! them and their leaves. Nothing else is an anchor: no trust table, and no certificate that travels with a signature
//! (A660).

use std::collections::BTreeSet;
use std::fmt;

use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::identity::RootsId;
use pullgate_policy::limits;
use x509_cert::Certificate;

use super::path::Path;
use crate::certificate;
use crate::certificate::profile::{self, Purpose};
use crate::encoding;
use crate::fault::PieceFault;

/// The certificate authorities of one file.
pub struct Roots {
    id: RootsId,
    paths: Vec<Path>,
    /// How many of the roots have one name.
    namesakes: usize,
    /// Every certificate of the file: its subject, and when it runs out.
    ends: Vec<(String, Timestamp)>,
}

/// Why a file holds no certificate authorities that may be used. It never repeats the file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RootsFault {
    /// Nothing in it.
    #[error("the file is empty")]
    Empty,
    /// Not PEM, or a block that is no certificate.
    #[error("the file holds something else than certificates in PEM")]
    Garbage,
    /// A certificate that may not issue others.
    #[error("{0}")]
    NoAuthority(String),
    /// A private key. It should not be on the gate's host at all.
    #[error("the file holds a private key; certificates are wanted")]
    PrivateKey,
    /// No root, which the certificates below it must be checked against (A622).
    #[error("the issuer of \"{0}\" is not in the file: an anchor is a root, which issued itself")]
    Rootless(String),
    /// Over `ca_certificates`.
    #[error("the file holds more than {} certificates", limits::CA_CERTIFICATES)]
    TooMany,
}

impl Roots {
    /// Reads a file of certificates in PEM: one root or several, and what stands below them in any order.
    ///
    /// # Errors
    /// [`RootsFault`] when any part of it cannot be used: half a file is a fault of the policy.
    pub fn from_pem(bytes: &[u8]) -> Result<Self, RootsFault> {
        if bytes.iter().all(u8::is_ascii_whitespace) {
            return Err(RootsFault::Empty);
        }
        let text = std::str::from_utf8(bytes).map_err(|_| RootsFault::Garbage)?;
        if text.contains("PRIVATE KEY-----") {
            return Err(RootsFault::PrivateKey);
        }
        let blocks = encoding::pem(text).filter(|blocks| !blocks.is_empty()).ok_or(RootsFault::Garbage)?;
        let mut seen = BTreeSet::new();
        let mut certificates = Vec::new();
        for block in blocks {
            if block.label != "CERTIFICATE" {
                return Err(RootsFault::Garbage);
            }
            let read = profile::read(&block.der).map_err(|_| RootsFault::Garbage)?;
            if seen.insert(block.der.clone()) {
                certificates.push((block.der, read));
            }
        }
        if certificates.len() > limits::CA_CERTIFICATES {
            return Err(RootsFault::TooMany);
        }
        Self::of(&certificates)
    }

    fn of(certificates: &[(Vec<u8>, Certificate)]) -> Result<Self, RootsFault> {
        let names = |certificate: &Certificate| {
            let certificate = &certificate.tbs_certificate;
            (certificate.subject.clone(), certificate.issuer.clone())
        };
        let (roots, between): (Vec<_>, Vec<_>) =
            certificates.iter().partition(|(_, read)| names(read).0 == names(read).1);
        for (der, read) in &between {
            let (subject, issuer) = names(read);
            if !certificates.iter().any(|(_, other)| names(other).0 == issuer && names(other).0 != subject) {
                return Err(RootsFault::Rootless(subject.to_string()));
            }
            // For a root, `Path::of` checks the same.
            if !profile::is_authority(der) {
                let why = format!("\"{subject}\" is no certificate authority");
                return Err(RootsFault::NoAuthority(why));
            }
        }
        if roots.is_empty() {
            let first = between.first().map(|(_, read)| names(read).0.to_string()).unwrap_or_default();
            return Err(RootsFault::Rootless(first));
        }
        let mut paths = Vec::new();
        for (der, _) in &roots {
            let chain = between.iter().map(|(der, _)| der.as_slice()).chain([der.as_slice()]);
            let chain: Vec<&[u8]> = chain.collect();
            let path = Path::of(chain.into_iter(), None).map_err(RootsFault::NoAuthority)?;
            path.issues(Purpose::CodeSigning).map_err(|fault| RootsFault::NoAuthority(fault.detail))?;
            paths.push(path);
        }
        let ends = certificates
            .iter()
            .map(|(der, read)| (names(read).0.to_string(), profile::until(der).unwrap_or(Timestamp::MIN)));
        let all: Vec<u8> = certificates.iter().flat_map(|(der, _)| der.iter().copied()).collect();
        let namesakes = Path::namesakes(&paths);
        Ok(Self { id: RootsId::of_certificates(&all), paths, namesakes, ends: ends.collect() })
    }

    /// How many of the roots have one name.
    pub(crate) fn namesakes(&self) -> usize {
        self.namesakes
    }

    /// The id of these certificates.
    #[must_use]
    pub fn id(&self) -> RootsId {
        self.id
    }

    /// The certificates that have run out at `now`: their subjects, and when.
    pub fn spent(&self, now: Timestamp) -> impl Iterator<Item = (&str, Timestamp)> {
        self.ends.iter().filter(move |(_, end)| *end < now).map(|(subject, end)| (subject.as_str(), *end))
    }

    /// Checks that a leaf is for signing code and valid at `time`, and leads to one of the roots through the file's
    /// certificates or `others`, all valid at that time.
    pub(crate) fn lead(&self, leaf: &[u8], others: &[Vec<u8>], time: Timestamp) -> Result<(), PieceFault> {
        profile::check_signer(leaf, time)?;
        if certificate::is_self_issued(leaf) || profile::is_authority(leaf) {
            let detail = "a certificate authority's own certificate signs no code";
            return Err(PieceFault::new(Code::CertificateInvalid, detail));
        }
        let mut fault = PieceFault::from(Code::CertificateExpired);
        for path in self.paths.iter().filter(|path| path.holds_at(time)) {
            match path.leads(leaf, others, time, Purpose::CodeSigning) {
                Ok(_) => return Ok(()),
                // A fault of this root's path tells more than "another root did not issue it".
                Err(other)
                    if other.code == Code::CertificateUntrusted && fault.code == Code::CertificateInvalid => {
                }
                Err(other) => fault = other,
            }
        }
        Err(fault)
    }
}

impl fmt::Debug for Roots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Roots").field("id", &self.id).finish_non_exhaustive()
    }
}
