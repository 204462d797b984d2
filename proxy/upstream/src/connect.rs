//! The one way out: every connection to an upstream, a redirect's target or a token service is made here.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsRawFd as _;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use crate::limits;
use http::Uri;
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::client::legacy::connect::proxy::Tunnel;
use hyper_util::rt::TokioIo;
use rustix::process::{Resource, getrlimit};
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject as _;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tower::{Service, ServiceExt as _};

use crate::address::is_public;
use crate::fault::Fault;
use crate::notices::{Notices, TlsCause};
use crate::origin::{Listed, Origin, Scheme};
use crate::pinned::{Pinned, is_authority};
use crate::settings::Settings;
use crate::tunnel::{Proxies, Via};

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;
type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Boxed<T, E> = Pin<Box<dyn Future<Output = Result<T, E>> + Send>>;
/// Resolves a host name.
type Lookup = Arc<dyn Fn(String) -> Boxed<Vec<SocketAddr>, BoxError> + Send + Sync>;

/// Connects for one upstream.
#[derive(Clone)]
pub(super) struct Connector {
    trusted: Arc<[Listed]>,
    anywhere: HttpConnector,
    public: HttpConnector<PublicOnly>,
    names: PublicOnly,
    proxies: Proxies,
    tls: Arc<ClientConfig>,
    notices: Arc<Notices>,
}

impl Connector {
    /// Trusts the certificates in `ca`, or those of the system; dials inward only for the hosts that the settings name.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub(super) fn new(settings: &Settings, notices: Arc<Notices>) -> Result<Self, &'static str> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let (roots, named) = roots(settings.ca_pem.as_deref())?;
        let verifier = Pinned::new(roots, named, Arc::clone(&provider))?;
        let tls = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|_| "TLS cannot be set up")?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let tls = match &settings.client_cert_pem {
            None => tls.with_no_client_auth(),
            Some(pem) => {
                let (chain, key) = identity(pem.reveal().as_bytes())?;
                tls.with_client_auth_cert(chain, key).map_err(
                    |_| "`client_cert` holds a key of another certificate, or of an unsupported kind",
                )?
            }
        };
        let trusted = settings.trusted.as_slice();
        let mut anywhere = HttpConnector::new();
        prepare(&mut anywhere);
        let names = PublicOnly::of_the_system();
        let mut public = HttpConnector::new_with_resolver(names.clone());
        prepare(&mut public);
        let proxies = settings.proxies.clone();
        Ok(Self { trusted: trusted.into(), anywhere, public, names, proxies, tls: Arc::new(tls), notices })
    }

    /// The same, which dials these hosts too, whatever their address.
    pub(super) fn trusting(&self, also: impl Iterator<Item = Listed>) -> Self {
        Self { trusted: self.trusted.iter().cloned().chain(also).collect(), ..self.clone() }
    }

    async fn connect(self, url: Uri) -> Result<Connection, Fault> {
        let origin = Origin::of(&url).ok_or(Fault::RedirectRefused)?;
        let named = self.trusted.iter().any(|listed| listed.names(&origin));
        // An address that is written out never meets the resolver.
        if !named && origin.host.parse().is_ok_and(|address: IpAddr| !is_public(address)) {
            return Err(Fault::RedirectRefused);
        }
        let tcp = match self.proxies.to(&origin) {
            Some(via) if named => self.tunnel(via, &origin).await?,
            Some(via) => self.tunnel(via, &self.names.first(&origin).await?).await?,
            None if named => within(limits::CONNECT, self.anywhere.clone().oneshot(url)).await?,
            None => within(limits::CONNECT, self.public.clone().oneshot(url)).await?,
        };
        // The last files that may be open are not for this (A547).
        if is_reserved(tcp.inner()) {
            return Err(Fault::Overload);
        }
        match origin.scheme {
            Scheme::Http => Ok(MaybeHttpsStream::Http(tcp)),
            Scheme::Https => {
                let name = ServerName::try_from(origin.host.clone()).map_err(|_| Fault::Tls)?;
                let handshake = TlsConnector::from(self.tls).connect(name, TokioIo::new(tcp));
                let handshake = async {
                    handshake.await.inspect_err(|error| {
                        if let Some(cause) = tls_cause(error) {
                            self.notices.tls(cause, &origin.to_string());
                        }
                    })
                };
                Ok(MaybeHttpsStream::from(within(limits::TLS_HANDSHAKE, handshake).await?))
            }
        }
    }

    /// Has a proxy connect. The proxy itself is the operator's, wherever it stands.
    async fn tunnel(&self, via: Via, target: &Origin) -> Result<TokioIo<TcpStream>, Fault> {
        if via.proxy.scheme_str() != Some("http") {
            tracing::warn!(
                "the proxy of the environment is no http:// one: no upstream can be asked through it"
            );
            return Err(Fault::Unreachable);
        }
        let address: Uri = target.to_string().parse().map_err(|_| Fault::Internal)?;
        let mut tunnel = Tunnel::new(via.proxy, self.anywhere.clone());
        if let Some(authorization) = via.authorization {
            tunnel = tunnel.with_auth(authorization);
        }
        within(limits::CONNECT, tunnel.oneshot(address)).await.inspect_err(|_| {
            tracing::warn!(host = %target.host, "the proxy of the environment opened no tunnel");
        })
    }
}

/// Files of those that the process may open that no connection to an upstream takes, as the store's. Over it: `overload`.
const DESCRIPTORS_RESERVED: u64 = 32;
/// The part of them where there are few, as a divisor.
const DESCRIPTORS_RESERVED_SHARE: u64 = 8;

/// Whether it is among the files that are left to the admin port, reloads and the databases: a new descriptor is the lowest
/// that is free (open(2)).
fn is_reserved(stream: &TcpStream) -> bool {
    let number = u64::try_from(stream.as_raw_fd()).unwrap_or(0);
    let reserved = |most: u64| DESCRIPTORS_RESERVED.min(most / DESCRIPTORS_RESERVED_SHARE);
    getrlimit(Resource::Nofile).current.is_some_and(|most| number >= most.saturating_sub(reserved(most)))
}

async fn within<T, E: Into<BoxError>>(
    limit: Duration,
    work: impl Future<Output = Result<T, E>>,
) -> Result<T, Fault> {
    let done = tokio::time::timeout(limit, work).await.map_err(|_| Fault::Timeout)?;
    done.map_err(|error| classify(error.into().as_ref()))
}

fn prepare<R>(http: &mut HttpConnector<R>) {
    http.enforce_http(false);
    http.set_connect_timeout(Some(limits::CONNECT));
    http.set_nodelay(true);
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = Fault;
    type Future = Boxed<Connection, Fault>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Fault>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        Box::pin(self.clone().connect(url))
    }
}

/// Resolves names to public addresses only. The very addresses that were checked are connected to, so that a name cannot
/// mean another address a moment later (A161).
#[derive(Clone)]
struct PublicOnly(Lookup);

impl PublicOnly {
    /// By the resolver of the system.
    fn of_the_system() -> Self {
        Self(Arc::new(|name| {
            Box::pin(async move { Ok(tokio::net::lookup_host((name, 0)).await?.collect()) })
        }))
    }

    /// The public addresses of a name: one at least.
    async fn addresses(&self, name: &str) -> Result<Vec<SocketAddr>, BoxError> {
        let mut found = (self.0)(name.to_owned()).await?;
        found.retain(|address| is_public(address.ip()));
        if found.is_empty() { Err(Fault::RedirectRefused.into()) } else { Ok(found) }
    }

    /// The same place, by the first public address of its name.
    async fn first(&self, origin: &Origin) -> Result<Origin, Fault> {
        let found = within(limits::CONNECT, self.addresses(&origin.host)).await?;
        let address = found.first().ok_or(Fault::RedirectRefused)?;
        Ok(Origin { host: address.ip().to_string(), ..origin.clone() })
    }
}

impl Service<Name> for PublicOnly {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = BoxError;
    type Future = Boxed<Self::Response, BoxError>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let names = self.clone();
        Box::pin(async move { names.addresses(name.as_str()).await.map(Vec::into_iter) })
    }
}

/// Why a handshake failed, if it was for TLS.
fn tls_cause(error: &std::io::Error) -> Option<TlsCause> {
    use rustls::CertificateError as Bad;
    let error = error.get_ref()?.downcast_ref::<rustls::Error>()?;
    let rustls::Error::InvalidCertificate(bad) = error else { return Some(TlsCause::Other) };
    Some(match bad {
        Bad::Expired | Bad::ExpiredContext { .. } => TlsCause::Expired,
        Bad::NotValidYet | Bad::NotValidYetContext { .. } => TlsCause::NotYetValid,
        Bad::NotValidForName | Bad::NotValidForNameContext { .. } => TlsCause::OtherName,
        Bad::UnknownIssuer => TlsCause::UnknownIssuer,
        bad if is_authority(bad) => TlsCause::Authority,
        _ => TlsCause::Other,
    })
}

/// What an error of the libraries means. Its text may quote the upstream and is dropped (A170).
pub(super) fn classify(error: &(dyn std::error::Error + 'static)) -> Fault {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(fault) = error.downcast_ref::<Fault>() {
            return *fault;
        }
        if error.is::<rustls::Error>() {
            return Fault::Tls;
        }
        if error.downcast_ref::<hyper::Error>().is_some_and(hyper::Error::is_parse) {
            return Fault::Protocol;
        }
        next = match error.downcast_ref::<std::io::Error>() {
            Some(io) if io.kind() == std::io::ErrorKind::TimedOut => return Fault::Timeout,
            // `source` of an I/O error skips the error that it wraps.
            Some(io) => io.get_ref().map(|inner| inner as &(dyn std::error::Error + 'static)),
            None => error.source(),
        };
    }
    Fault::Unreachable
}

fn identity(pem: &[u8]) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), &'static str> {
    let chain: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    let chain = chain.map_err(|_| "`client_cert` is no PEM file of certificates")?;
    let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| "`client_cert` holds no private key")?;
    Ok((chain, key))
}

/// Whom certificates of upstreams may chain to, and those that the configuration names itself.
fn roots(ca_pem: Option<&[u8]>) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), &'static str> {
    let (mut roots, mut named) = (RootCertStore::empty(), Vec::new());
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| "`ca` is no PEM file of certificates")?;
                named.push(certificate.clone());
                roots.add(certificate).map_err(|_| "`ca` has a certificate that cannot be a root")?;
            }
            if roots.is_empty() {
                return Err("`ca` has no certificate");
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            // A container image from scratch has no system certificates.
            if roots.is_empty() {
                roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
            }
        }
    }
    Ok((roots, named))
}

#[cfg(test)]
mod tests;
