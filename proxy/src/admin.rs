//! The admin port: is it alive, is it ready and why not, the counters, and pages. Never on the data port; no writes.

use std::convert::Infallible;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use axum::Router;
use axum::body::Body;
use bytes::Bytes;
use http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE, HOST, X_CONTENT_TYPE_OPTIONS};
use http::uri::Authority;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::server::graceful::GracefulShutdown;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceExt as _;

use crate::health::Health;
use crate::metrics::Metrics;

#[cfg(test)]
mod tests;

/// What the admin port shows.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The counters.
    pub metrics: Metrics,
    /// What is wrong.
    pub health: Health,
    /// Pages, for whoever reaches this port over loopback; none where nobody reads them.
    pub pages: Option<Router>,
}

/// Connections at once: probes and a few scrapers. Over it: accepting pauses.
const CONNECTIONS: usize = 64;
/// How long one connection may live, so that idle ones do not keep probes out.
const CONNECTION_LIFE: Duration = Duration::from_secs(90);
/// Time for answers under way when the gate ends.
const DRAIN: Duration = Duration::from_secs(1);

/// Serves the admin port until `shutdown` resolves.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, place)) = accepted else { continue };
        let connection = graceful.watch(connection(admin.clone(), stream));
        tokio::spawn(async move {
            // A client that breaks off is no event.
            let _ = tokio::time::timeout(CONNECTION_LIFE, connection).await;
            drop(place);
        });
    }
    drop(listener);
    let _ = tokio::time::timeout(DRAIN, graceful.shutdown()).await;
}

async fn accept(
    listener: &TcpListener,
    places: &Arc<Semaphore>,
) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, _)) => Some((stream, place)),
        Err(error) => {
            // Out of descriptors: pause, or this loop would burn the processor that could free them (A547).
            tracing::warn!(%error, "the admin port cannot accept");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

fn connection(
    admin: Admin,
    stream: TcpStream,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> {
    // Where it cannot be told, the stricter rule holds.
    let reached = stream.local_addr().map_or(IpAddr::V4(Ipv4Addr::LOCALHOST), |address| address.ip());
    let service = service_fn(move |request: Request<Incoming>| {
        let answer = answer(&admin, &request, reached);
        async move {
            match answer {
                Answer::Here(response) => Ok::<_, Infallible>(response.map(Body::new)),
                Answer::Page(pages) => pages.oneshot(request.map(Body::new)).await,
            }
        }
    });
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS)
        // A client that has said all it will is still read to (RFC 9112 §9.6).
        .half_close(true)
        .serve_connection(TokioIo::new(stream), service)
}

const TEXT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");
const OPEN_METRICS: HeaderValue =
    HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");

/// Who answers.
enum Answer {
    Here(Response<Full<Bytes>>),
    Page(Router),
}

fn answer<B>(admin: &Admin, request: &Request<B>, reached: IpAddr) -> Answer {
    match (probe(admin, request, reached), &admin.pages) {
        (Some(response), _) => Answer::Here(response),
        // Pages tell who pulls what: they are for who is on this machine already.
        (None, Some(pages)) if reached.is_loopback() => Answer::Page(pages.clone()),
        (None, Some(_) | None) => {
            let paths = "/livez, /readyz, /metrics\n".to_owned();
            Answer::Here(respond(StatusCode::NOT_FOUND, TEXT, paths))
        }
    }
}

/// The answer to what machines ask for, and to what nobody may; none for anything else.
fn probe<B>(admin: &Admin, request: &Request<B>, reached: IpAddr) -> Option<Response<Full<Bytes>>> {
    if reached.is_loopback() && !names_this_machine(request.headers()) {
        // A page elsewhere whose name was made to mean this machine must read nothing here (A525).
        let text = "Host: an address or localhost\n".to_owned();
        return Some(respond(StatusCode::MISDIRECTED_REQUEST, TEXT, text));
    }
    if request.method() != Method::GET && request.method() != Method::HEAD {
        let mut response = respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n".to_owned());
        response.headers_mut().insert(ALLOW, HeaderValue::from_static("GET, HEAD"));
        return Some(response);
    }
    Some(match request.uri().path() {
        "/livez" => respond(StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/readyz" => {
            let (status, report) = admin.health.report();
            respond(status, JSON, format!("{report}\n"))
        }
        "/metrics" => respond(StatusCode::OK, OPEN_METRICS, admin.metrics.encode()),
        _ => return None,
    })
}

/// Whether `Host` is an address or `localhost`: what no name server can point here. Probes of HTTP/1.0 send none; browsers
/// always send one.
fn names_this_machine(headers: &HeaderMap) -> bool {
    let hosts: Vec<_> = headers.get_all(HOST).iter().collect();
    match hosts.as_slice() {
        [] => true,
        [host] => Authority::try_from(host.as_bytes()).is_ok_and(|authority| is_local(&authority)),
        _ => false,
    }
}

fn is_local(authority: &Authority) -> bool {
    let host = authority.host();
    // Nothing before the host and nothing but a port behind it.
    let rest = authority.as_str().strip_prefix(host);
    let port = |rest: &str| rest.strip_prefix(':').is_some_and(|port| port.parse::<u16>().is_ok());
    let alone = rest.is_some_and(|rest| rest.is_empty() || port(rest));
    let address = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
    alone && (host.eq_ignore_ascii_case("localhost") || address.parse::<IpAddr>().is_ok())
}

fn respond(status: StatusCode, content_type: HeaderValue, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, content_type);
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}
