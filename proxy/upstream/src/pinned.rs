//! Certificates of upstreams: those that chain to a trusted authority, and the very ones that `ca` names.
//!
//! `openssl req -x509` makes a certificate that is its own authority (`CA:TRUE`). The library refuses such a
//! certificate for a server; an operator who lists it in `ca` trusts exactly it. Its name and its time are checked like
//! any other's.

use std::collections::BTreeSet;
use std::sync::Arc;

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::CryptoProvider;
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, DigitallySignedStruct, Error, RootCertStore, SignatureScheme};
use rustls_pki_types::{CertificateDer, ServerName, UnixTime};

/// Verifies the certificates of upstreams.
#[derive(Debug)]
pub(super) struct Pinned {
    chained: Arc<WebPkiServerVerifier>,
    /// Certificates of `ca`, as they stand there.
    named: BTreeSet<Vec<u8>>,
}

impl Pinned {
    /// # Errors
    /// What is wrong with the authorities.
    pub(super) fn new(
        roots: RootCertStore,
        named: Vec<CertificateDer<'static>>,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, &'static str> {
        let chained = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), provider).build();
        let chained = chained.map_err(|_| "`ca` has a certificate that cannot be a root")?;
        Ok(Self { chained, named: named.into_iter().map(|certificate| certificate.to_vec()).collect() })
    }
}

impl ServerCertVerifier for Pinned {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.chained.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Its time was looked at before (`webpki`, `verify_cert`), and the name is here.
            Err(Error::InvalidCertificate(fault))
                if is_authority(&fault) && self.named.contains(end_entity.as_ref()) =>
            {
                rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            verified => verified,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chained.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.chained.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.chained.supported_verify_schemes()
    }
}

/// The library's only word against it is that it is an authority.
pub(super) fn is_authority(fault: &CertificateError) -> bool {
    let CertificateError::Other(other) = fault else { return false };
    matches!(other.0.downcast_ref::<webpki::Error>(), Some(webpki::Error::CaUsedAsEndEntity))
}
