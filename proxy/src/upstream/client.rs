//! One HTTP exchange with an upstream: connect, retry, redirect, time out, bound.

use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, HeaderValue, LOCATION, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::{BodyExt as _, Empty};
use hyper::body::Incoming;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::client::legacy::connect::dns::Name;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pullgate_policy::limits;
use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::CertificateDer;
use rustls_pki_types::pem::PemObject as _;

use super::Fault;
use super::settings::Settings;

type Pool = legacy::Client<HttpsConnector<HttpConnector<Resolver>>, Empty<Bytes>>;

/// The connections to one upstream.
#[derive(Debug)]
pub struct Client {
    pool: Pool,
    settings: Settings,
}

/// An answer whose body is still to be read.
pub type Answer = Response<Incoming>;

impl Client {
    /// Builds the pool with the upstream's own roots.
    ///
    /// # Errors
    /// What is wrong with the certificates.
    pub fn new(settings: Settings) -> Result<Self, &'static str> {
        let roots = roots(settings.ca_pem.as_deref())?;
        let tls = ClientConfig::builder_with_provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
            .with_safe_default_protocol_versions()
            .map_err(|_| "TLS cannot be set up")?
            .with_root_certificates(roots)
            .with_no_client_auth();
        let mut http = HttpConnector::new_with_resolver(Resolver { trusted: settings.trusted_hosts() });
        http.enforce_http(false);
        http.set_connect_timeout(Some(limits::CONNECT));
        http.set_nodelay(true);
        let connector = HttpsConnectorBuilder::new().with_tls_config(tls).https_or_http().enable_http1().wrap_connector(http);
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(Duration::from_secs(60))
            .pool_max_idle_per_host(32)
            .http1_max_buf_size(limits::UPSTREAM_HEADER_BYTES)
            .http1_max_headers(limits::UPSTREAM_HEADERS)
            .build(connector);
        Ok(Self { pool, settings })
    }

    /// The settings.
    #[must_use]
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Sends a request for `path` and follows its redirects; `authorization` stays with the upstream's own host (A163).
    ///
    /// # Errors
    /// [`Fault`]: the last one, where all endpoints failed.
    pub async fn send(
        &self,
        method: &Method,
        path: &str,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut last = Fault::Unreachable;
        for base in &self.settings.urls {
            let uri: Uri = format!("{base}{path}").parse().map_err(|_| Fault::Protocol)?;
            match self.follow(method, uri, headers, authorization).await {
                Err(fault @ (Fault::Unreachable | Fault::Timeout | Fault::Status(_))) => last = fault,
                answer => return answer,
            }
        }
        Err(last)
    }

    async fn follow(
        &self,
        method: &Method,
        first: Uri,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut uri = first.clone();
        for _ in 0..=limits::REDIRECTS {
            let own = same_origin(&first, &uri);
            let answer = self.retry(method, &uri, headers, authorization.filter(|_| own)).await?;
            if !answer.status().is_redirection() || answer.status() == StatusCode::NOT_MODIFIED {
                return Ok(answer);
            }
            uri = redirect(&uri, answer.headers())?;
            self.may_dial(&uri, Fault::RedirectRefused)?;
        }
        Err(Fault::RedirectRefused)
    }

    /// Repeats what is safe to repeat: no answer at all, 502, 503, 504.
    async fn retry(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut last = Fault::Unreachable;
        for attempt in 0..=limits::UPSTREAM_RETRIES {
            if attempt > 0 {
                tokio::time::sleep(Duration::from_millis(100 << attempt)).await;
            }
            match self.once(method, uri, headers, authorization).await {
                Ok(answer) if matches!(answer.status().as_u16(), 502..=504) => {
                    last = Fault::Status(answer.status().as_u16());
                }
                Err(Fault::Unreachable) => last = Fault::Unreachable,
                answer => return answer,
            }
        }
        Err(last)
    }

    /// Refuses an address written out as a number, which no resolver sees, unless the configuration names it (A161).
    ///
    /// # Errors
    /// `refused`.
    pub fn may_dial(&self, uri: &Uri, refused: Fault) -> Result<(), Fault> {
        let host = uri.host().ok_or(refused)?.trim_matches(['[', ']']);
        let listed = self.settings.trusted_hosts().iter().any(|trusted| trusted == host);
        match host.parse::<IpAddr>() {
            Ok(address) if !listed && !is_public(address) => Err(refused),
            Ok(_) | Err(_) => Ok(()),
        }
    }

    /// One request to any URL; the token service is asked this way too.
    ///
    /// # Errors
    /// [`Fault`].
    pub async fn once(
        &self,
        method: &Method,
        uri: &Uri,
        headers: &HeaderMap,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut request = Request::new(Empty::new());
        *request.method_mut() = method.clone();
        *request.uri_mut() = uri.clone();
        *request.headers_mut() = headers.clone();
        let sent = request.headers_mut();
        sent.insert(USER_AGENT, HeaderValue::from_static(concat!("pullgate/", env!("CARGO_PKG_VERSION"))));
        // Hashed as it is sent: a body that was decoded on the way is another body (A108).
        sent.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
        if let Some(value) = authorization {
            sent.insert(AUTHORIZATION, value.clone());
        }
        let answer = tokio::time::timeout(limits::FIRST_BYTE, self.pool.request(request)).await;
        answer.map_err(|_| Fault::Timeout)?.map_err(|error| classify(&error))
    }
}

fn classify(error: &legacy::Error) -> Fault {
    let mut source: Option<&(dyn std::error::Error + 'static)> = Some(error);
    while let Some(one) = source {
        if one.is::<rustls::Error>() {
            return Fault::Tls;
        }
        if one.is::<AddressRefused>() {
            return Fault::RedirectRefused;
        }
        if let Some(io) = one.downcast_ref::<std::io::Error>() {
            if io.get_ref().is_some_and(|inner| inner.is::<rustls::Error>()) {
                return Fault::Tls;
            }
            if io.kind() == std::io::ErrorKind::TimedOut {
                return Fault::Timeout;
            }
        }
        if let Some(hyper) = one.downcast_ref::<hyper::Error>()
            && hyper.is_parse()
        {
            return Fault::Protocol;
        }
        source = one.source();
    }
    Fault::Unreachable
}

fn same_origin(a: &Uri, b: &Uri) -> bool {
    a.scheme() == b.scheme() && a.authority() == b.authority()
}

/// Where an answer redirects to, if the gate goes there.
fn redirect(from: &Uri, headers: &HeaderMap) -> Result<Uri, Fault> {
    let mut values = headers.get_all(LOCATION).iter();
    let (Some(value), None) = (values.next(), values.next()) else { return Err(Fault::RedirectRefused) };
    let text = value.to_str().map_err(|_| Fault::RedirectRefused)?;
    let target: Uri = if text.starts_with('/') && !text.starts_with("//") {
        let authority = from.authority().ok_or(Fault::RedirectRefused)?;
        format!("{}://{authority}{text}", from.scheme_str().unwrap_or("https")).parse()
    } else {
        text.parse()
    }
    .map_err(|_| Fault::RedirectRefused)?;
    let user_info = target.authority().is_none_or(|authority| authority.as_str().contains('@'));
    let scheme = match (from.scheme_str(), target.scheme_str()) {
        (_, Some("https")) | (Some("http"), Some("http")) => true,
        (_, _) => false,
    };
    if user_info || !scheme { Err(Fault::RedirectRefused) } else { Ok(target) }
}

/// Reads a whole body of at most `most` bytes.
///
/// # Errors
/// [`Fault`]: encoded, too large, cut or slow.
pub async fn read(answer: Answer, most: u64) -> Result<Bytes, Fault> {
    plain(answer.headers())?;
    let announced = length(answer.headers())?;
    if announced.is_some_and(|length| length > most) {
        return Err(Fault::TooLarge);
    }
    let mut body = answer.into_body();
    let mut bytes = BytesMut::new();
    loop {
        let frame = tokio::time::timeout(limits::BETWEEN_BYTES, body.frame()).await.map_err(|_| Fault::Timeout)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| Fault::Integrity)?.into_data() else { continue };
        if (bytes.len() + data.len()) as u64 > most {
            return Err(Fault::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    Ok(bytes.freeze())
}

/// Refuses what is encoded.
///
/// # Errors
/// [`Fault::Encoding`].
pub fn plain(headers: &HeaderMap) -> Result<(), Fault> {
    let identity = |value: &HeaderValue| value.as_bytes().eq_ignore_ascii_case(b"identity");
    if headers.get_all(CONTENT_ENCODING).iter().all(identity) { Ok(()) } else { Err(Fault::Encoding) }
}

/// The announced length; two of them are none (A111).
///
/// # Errors
/// [`Fault::Protocol`].
pub fn length(headers: &HeaderMap) -> Result<Option<u64>, Fault> {
    match single(headers, &CONTENT_LENGTH)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|_| Fault::Protocol),
    }
}

/// A header that may stand once (A111).
///
/// # Errors
/// [`Fault::Protocol`].
pub fn single<'a>(headers: &'a HeaderMap, name: &http::HeaderName) -> Result<Option<&'a str>, Fault> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| Fault::Protocol),
        (Some(_), Some(_)) => Err(Fault::Protocol),
    }
}

fn roots(ca_pem: Option<&[u8]>) -> Result<RootCertStore, &'static str> {
    let mut roots = RootCertStore::empty();
    match ca_pem {
        Some(pem) => {
            for certificate in CertificateDer::pem_slice_iter(pem) {
                let certificate = certificate.map_err(|_| "`ca` is no PEM file of certificates")?;
                roots.add(certificate).map_err(|_| "`ca` has a certificate that cannot be a root")?;
            }
            if roots.is_empty() {
                return Err("`ca` has no certificate");
            }
        }
        None => {
            roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
            if roots.is_empty() {
                roots.add_parsable_certificates(webpki_root_certs::TLS_SERVER_ROOT_CERTS.iter().cloned());
            }
        }
    }
    Ok(roots)
}

/// Resolves names, and drops addresses that no upstream sends the gate to unless the configuration names the host (A161).
/// The very addresses that are checked are connected to.
#[derive(Debug, Clone)]
struct Resolver {
    trusted: Arc<[String]>,
}

/// Every address of the name is one that the gate does not go to.
#[derive(Debug, thiserror::Error)]
#[error("the address is refused")]
struct AddressRefused;

impl tower::Service<Name> for Resolver {
    type Response = std::vec::IntoIter<SocketAddr>;
    type Error = Box<dyn std::error::Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, name: Name) -> Self::Future {
        let trusted = self.trusted.iter().any(|host| host == name.as_str());
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let allowed: Vec<_> = found.into_iter().filter(|address| trusted || is_public(address.ip())).collect();
            if allowed.is_empty() { Err(AddressRefused.into()) } else { Ok(allowed.into_iter()) }
        })
    }
}

/// Tells whether an address is one of the public network.
#[must_use]
pub fn is_public(address: IpAddr) -> bool {
    match address.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            let special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_multicast();
            !(special || shared || a == 0 || v4.is_broadcast() || v4.is_documentation() || a >= 240 || (a == 198 && (b == 18 || b == 19)))
        }
        IpAddr::V6(v6) => {
            let [first, ..] = v6.segments();
            let local = (first & 0xfe00) == 0xfc00 || (first & 0xffc0) == 0xfe80;
            !(v6.is_loopback() || v6.is_unspecified() || v6.is_multicast() || local || first == 0x2001 && v6.segments().get(1) == Some(&0xdb8))
        }
    }
}
