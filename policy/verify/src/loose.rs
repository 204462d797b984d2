//! A trust table from loose PEM files: certificates and keys of a private instance that has no `trusted_root.json`.
//! They are combined into one trusted root, so that there is one reader and one set of checks.

use jiff::Timestamp;
use pullgate_policy::identity::Name;
use serde_json::{Value, json};
use x509_cert::Certificate;

use crate::certificate;
use crate::certificate::profile;
use crate::encoding;
use crate::key::PublicKey;
use crate::trust::{Sct, TrustFault, TrustTable};

/// Files in place of a trusted root. The table has only what the files have.
#[derive(Debug, Clone, Default)]
pub struct LooseRoot {
    authorities: Vec<Value>,
    logs: Vec<Value>,
    certificate_logs: Vec<Value>,
    clocks: Vec<Value>,
}

/// Why a file is no part of a trusted root. It never repeats the file's content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LooseFault {
    /// Not PEM of certificates.
    #[error("the file holds something else than certificates in PEM")]
    Certificates,
    /// Not one public key.
    #[error("the file holds no public key, or more than one: {0}")]
    Key(String),
    /// A root is missing.
    #[error("the root, which issued itself, is not in the file")]
    Rootless,
    /// One that was named before.
    #[error("it is there already")]
    Twice,
}

impl LooseRoot {
    /// Adds the certificate authorities of a file: each root with all that is not one, in whatever order.
    ///
    /// # Errors
    /// [`LooseFault`] when any part of it cannot be used.
    pub fn with_authorities(&mut self, pem: &[u8]) -> Result<(), LooseFault> {
        let certificates = certificates(pem)?;
        let (roots, between): (Vec<_>, Vec<_>) =
            certificates.into_iter().partition(|der| certificate::is_self_issued(der));
        if roots.is_empty() {
            return Err(LooseFault::Rootless);
        }
        for root in roots {
            let chain = between.iter().chain([&root]);
            add(&mut self.authorities, listed(chain))?;
        }
        Ok(())
    }

    /// Adds the chain of a timestamp authority: the certificate that signs first, unless the file has none, the root last.
    ///
    /// # Errors
    /// [`LooseFault`] when any part of it cannot be used.
    pub fn with_clock(&mut self, pem: &[u8]) -> Result<(), LooseFault> {
        let chain = certificates(pem)?;
        if !chain.last().is_some_and(|last| certificate::is_self_issued(last)) {
            return Err(LooseFault::Rootless);
        }
        add(&mut self.clocks, listed(chain.iter()))
    }

    /// Adds the key of a transparency log. The file does not give the log's name, which a Rekor v2 log signs with its
    /// checkpoints: it must be a log of Rekor v1.
    ///
    /// # Errors
    /// [`LooseFault`] when the file holds no such key.
    pub fn with_log(&mut self, file: &[u8]) -> Result<(), LooseFault> {
        add(&mut self.logs, log(file)?)
    }

    /// Adds the key of a certificate log.
    ///
    /// # Errors
    /// [`LooseFault`] when the file holds no such key.
    pub fn with_certificate_log(&mut self, file: &[u8]) -> Result<(), LooseFault> {
        add(&mut self.certificate_logs, log(file)?)
    }

    /// The table of all that was added.
    ///
    /// # Errors
    /// [`TrustFault`] when no certificate authority of it can be used.
    pub fn table(self, name: Name, sct: Sct) -> Result<TrustTable, TrustFault> {
        let root = json!({
            "mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1",
            "certificateAuthorities": self.authorities, "tlogs": self.logs,
            "ctlogs": self.certificate_logs, "timestampAuthorities": self.clocks,
        });
        TrustTable::from_json(name, root.to_string().as_bytes(), sct)
    }
}

fn add(list: &mut Vec<Value>, one: Value) -> Result<(), LooseFault> {
    if list.contains(&one) {
        return Err(LooseFault::Twice);
    }
    list.push(one);
    Ok(())
}

fn certificates(pem: &[u8]) -> Result<Vec<Vec<u8>>, LooseFault> {
    let blocks = std::str::from_utf8(pem).ok().and_then(encoding::pem).filter(|blocks| !blocks.is_empty());
    let read = |block: encoding::Block| {
        let certificate: Option<Certificate> = profile::read(&block.der).ok();
        certificate.filter(|_| block.label == "CERTIFICATE").map(|_| block.der)
    };
    let all: Option<Vec<_>> = blocks.ok_or(LooseFault::Certificates)?.into_iter().map(read).collect();
    all.ok_or(LooseFault::Certificates)
}

/// Since ever: each certificate has a window of its own.
fn listed<'a>(chain: impl Iterator<Item = &'a Vec<u8>>) -> Value {
    let chain: Vec<_> = chain.map(|der| json!({ "rawBytes": encoding::encode(der) })).collect();
    json!({
        "subject": { "organization": "", "commonName": "" }, "uri": "",
        "certChain": { "certificates": chain }, "validFor": { "start": Timestamp::UNIX_EPOCH.to_string() },
    })
}

/// The key has no validity window: naming the file in the configuration is to trust it without limit. Its id is the
/// hash of the key (RFC 6962, section 3.2; Rekor v1).
fn log(file: &[u8]) -> Result<Value, LooseFault> {
    let keys = PublicKey::from_file(file).map_err(|fault| LooseFault::Key(fault.to_string()))?;
    let [key] = keys.as_slice() else { return Err(LooseFault::Key(format!("{} keys", keys.len()))) };
    let id = aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA256, key.spki());
    Ok(json!({
        "baseUrl": "", "hashAlgorithm": "SHA2_256",
        "publicKey": {
            "rawBytes": encoding::encode(key.spki()), "keyDetails": key.details(),
            "validFor": { "start": Timestamp::UNIX_EPOCH.to_string() },
        },
        "logId": { "keyId": encoding::encode(id.as_ref()) },
    }))
}
