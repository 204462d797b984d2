//! TLS on the data port. The setup is part of a load of the configuration: a changed certificate is in force for the next
//! connection, and one that cannot be used leaves the old load whole.

use std::fmt;
use std::io;
use std::sync::Arc;

use pullgate_config::Tls;
use pullgate_upstream::limits;
use rustls::server::{NoServerSessionStorage, WebPkiClientVerifier};
use rustls::{RootCertStore, ServerConfig};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::clients;

/// What answers handshakes.
#[derive(Clone)]
pub struct Handshakes(TlsAcceptor);

/// Why `listen.tls` cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SetupFault {
    /// `cert` is not a PEM file of certificates.
    #[error("listen.tls: `cert` is no PEM file of certificates")]
    Certificate,
    /// `client_ca` has no certificate that can sign others.
    #[error("listen.tls: `client_ca` has no certificate that can be a root")]
    ClientAuthority,
    /// `key` is not a PEM file of a private key.
    #[error("listen.tls: `key` is no PEM file of a private key")]
    Key,
    /// The key is of a kind that is not supported, or another certificate's.
    #[error("listen.tls: `key` is not the key of `cert`, or of an unsupported kind")]
    Pair,
}

impl Handshakes {
    /// Reads the files' texts.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn new(tls: &Tls) -> Result<Self, SetupFault> {
        let chain = certificates(&tls.cert_pem).ok_or(SetupFault::Certificate)?;
        let key = PrivateKeyDer::from_pem_slice(tls.key_pem.reveal().as_bytes());
        let key = key.map_err(|_| SetupFault::Key)?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let builder = ServerConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|_| SetupFault::Pair)?;
        let builder = match &tls.client_ca_pem {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots(pem)?), provider);
                builder.with_client_cert_verifier(verifier.build().map_err(|_| SetupFault::ClientAuthority)?)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|_| SetupFault::Pair)?;
        // A denied HEAD tells its reason in the reason phrase, which HTTP/2 does not have (A055).
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        // A session that is resumed would carry a client past a changed `client_ca` (A065).
        config.session_storage = Arc::new(NoServerSessionStorage {});
        config.send_tls13_tickets = 0;
        Ok(Self(TlsAcceptor::from(Arc::new(config))))
    }

    /// Shakes hands within `tls_handshake`; tells the names that the client's certificate proves.
    pub(super) async fn shake<S>(&self, stream: S) -> io::Result<(TlsStream<S>, Arc<[String]>)>
    where
        S: AsyncRead + AsyncWrite + Unpin,
    {
        let done = tokio::time::timeout(limits::TLS_HANDSHAKE, self.0.accept(stream)).await;
        let stream = done.map_err(|_| io::Error::from(io::ErrorKind::TimedOut))??;
        let leaf = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
        let names = leaf.map(|leaf| clients::of_certificate(leaf)).unwrap_or_default();
        Ok((stream, names.into()))
    }
}

fn certificates(pem: &[u8]) -> Option<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    found.ok().filter(|found| !found.is_empty())
}

fn roots(pem: &[u8]) -> Result<RootCertStore, SetupFault> {
    let mut roots = RootCertStore::empty();
    for certificate in certificates(pem).ok_or(SetupFault::ClientAuthority)? {
        roots.add(certificate).map_err(|_| SetupFault::ClientAuthority)?;
    }
    Ok(roots)
}

impl fmt::Debug for Handshakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Handshakes")
    }
}
