//! The data port: connections, limits, and the layers around the one handler. Domain steps are not layers; these are
//! transport only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crate::limits;
use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::GracefulConnection;
use hyper_util::service::TowerToHyperService;
use pullgate_config::DeniedHeadStatus;
use pullgate_policy::code::Code;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use super::body::Body;
use super::crowd::{Connected, Crowd};
use super::head_timeout::Heads;
use super::pulse::Pulse;
use super::{handler, respond, write_timeout};
use crate::app::App;
use crate::audit::DecisionId;
use crate::clients::Peer;
use crate::refusal::Refusal;
use crate::store::descriptors;

/// Serves the data port until `shutdown` resolves, then drains: pulls under way end, at most `drain_timeout`.
pub async fn serve(app: Arc<App>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let crowd = Crowd::new(places(), app.metrics.connections().clone());
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &crowd) => accepted,
        };
        match accepted {
            Ok((stream, client)) => {
                let (app, connected) = (Arc::clone(&app), crowd.enter(client));
                tokio::spawn(async move { serve_one(&app, stream, client, &connected).await });
            }
            Err(error) => {
                // Out of descriptors: pause, or this loop would burn the processor that could free them (A547).
                tracing::warn!(%error, "cannot accept");
                crowd.relieve();
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
    drop(listener);
    crowd.drain();
    if tokio::time::timeout(limits::DRAIN_TIMEOUT, crowd.gone()).await.is_err() {
        tracing::warn!(
            seconds = limits::DRAIN_TIMEOUT.as_secs(),
            "pulls under way were cut at the end of the drain"
        );
    }
}

/// The next connection. While descriptors are scarce it waits in the kernel, and the longest silent connection is
/// closed: a probe and a reload, and with it a block, must get through at the limit and need descriptors (A547).
async fn accept(listener: &TcpListener, crowd: &Crowd) -> std::io::Result<(TcpStream, SocketAddr)> {
    while descriptors::are_scarce(listener) {
        crowd.relieve();
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    listener.accept().await
}

/// `CONNECTIONS_MAX`, or a quarter of the descriptors if that is less: each pull needs two more.
fn places() -> usize {
    let files = rustix::process::getrlimit(rustix::process::Resource::Nofile).current;
    let quarter = files.and_then(|files| usize::try_from(files / 4).ok()).unwrap_or(usize::MAX);
    quarter.clamp(1, limits::CONNECTIONS_MAX)
}

/// A connection to its end, or until another one needs its place (A613). Its handshake delays no other connection
/// (A056).
async fn serve_one(app: &Arc<App>, stream: TcpStream, client: SocketAddr, connected: &Connected) {
    tokio::select! {
        biased;
        () = connected.closed() => {}
        () = answer(app, stream, client, connected) => {}
    }
}

async fn answer(app: &Arc<App>, stream: TcpStream, client: SocketAddr, connected: &Connected) {
    if connected.placed().await.is_err() {
        return;
    }
    // A small answer must not wait for a full packet.
    let _ = stream.set_nodelay(true);
    let stream = write_timeout::WriteIdle::new(stream, connected.pulse());
    // A client that breaks off is not logged; hyper has closed the socket.
    let handshakes = app.live().handshakes().cloned();
    match handshakes {
        None => {
            let peer = Peer { address: client, names: Arc::new([]) };
            to_its_end(connected, connection(app, stream, peer, connected.pulse())).await;
        }
        Some(handshakes) => match handshakes.shake(stream).await {
            Ok((stream, names)) => {
                let peer = Peer { address: client, names };
                to_its_end(connected, connection(app, stream, peer, connected.pulse())).await;
            }
            Err(error) => tracing::debug!(%error, %client, "a TLS handshake failed"),
        },
    }
}

/// When the gate drains, the answer under way is the last one. A connection that was accepted and has asked nothing yet is
/// answered once: its client holds it for a new one, and would not ask again.
async fn to_its_end<C: GracefulConnection<Error = hyper::Error>>(connected: &Connected, connection: C) {
    tokio::pin!(connection);
    let end = tokio::select! {
        end = connection.as_mut() => end,
        () = drained(connected) => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = end {
        tracing::trace!(%error, "connection ended");
    }
}

async fn drained(connected: &Connected) {
    connected.draining().await;
    connected.pulse().end();
    let _ = tokio::time::timeout(limits::FIRST_REQUEST_AT_STOP, connected.pulse().asked()).await;
}

fn connection<S>(
    app: &Arc<App>,
    stream: S,
    peer: Peer,
    pulse: &Arc<Pulse>,
) -> impl GracefulConnection<Error = hyper::Error> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (app, asked) = (Arc::clone(app), Arc::new(AtomicUsize::new(0)));
    let heads = Heads::new(pulse);
    let pulse = Arc::clone(pulse);
    let handler = tower::service_fn(move |request: Request<Incoming>| {
        pulse.works();
        let (app, peer) = (Arc::clone(&app), peer.clone());
        let asked = asked.fetch_add(1, Ordering::Relaxed) + 1;
        let last = asked >= limits::REQUESTS_PER_CONNECTION || pulse.ends();
        async move {
            let mut response = handler::traced(app, peer, request).await;
            if last {
                // hyper ends the connection after it. The next one is under the certificates that are in force then.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<Response<Body>, Infallible>(response)
        }
    });
    let service = ServiceBuilder::new().layer(CatchPanicLayer::custom(panicked)).service(handler);
    let stream = TokioIo::new(heads.watch(stream));
    protocol(heads).serve_connection(stream, TowerToHyperService::new(service))
}

/// HTTP/1.1 only: a denied HEAD tells its reason in the reason phrase, which HTTP/2 does not have.
pub(super) fn protocol(heads: Heads) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(heads)
        // Without a time it asks no timer; the timer says how long it is.
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS)
        // A client that has closed its sending side still gets its answer (RFC 9112 §9.6).
        .half_close(true);
    protocol
}

/// A panic outside of the handler is no verdict either (A545).
fn panicked(_panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let id = DecisionId::random();
    tracing::error!(id = id.short(), "a handler panicked; the request is undecided");
    let refusal = Refusal::undecided(Code::Internal);
    let mut response = respond::refuse(&refusal, &id, &http::Method::GET, DeniedHeadStatus::Forbidden);
    handler::mark(&mut response);
    response
}

#[cfg(test)]
mod tests;
