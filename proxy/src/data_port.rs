//! The data port: connections, limits, and the layers around the one handler. Domain steps are not layers; these are
//! transport only.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use http::header::{CONNECTION, HeaderValue};
use http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use hyper_util::service::TowerToHyperService;
use pullgate_policy::code::Code;
use pullgate_policy::limits;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tower::ServiceBuilder;
use tower_http::catch_panic::CatchPanicLayer;

use self::heads::Heads;
use crate::app::App;
use crate::audit::DecisionId;
use crate::body::Body;
use crate::clients::Peer;
use crate::gate;
use crate::refusal::Refusal;
use crate::respond;

mod heads;
mod idle;
pub mod tls;

/// Serves the data port until `shutdown` resolves, then drains: pulls under way end, at most `drain_timeout`.
pub async fn serve(app: Arc<App>, listener: TcpListener, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(limits::CONNECTIONS_MAX));
    let graceful = GracefulShutdown::new();
    tokio::pin!(shutdown);
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut shutdown => break,
            accepted = accept(&listener, &places) => accepted,
        };
        let Some((stream, client, place)) = accepted else { continue };
        let (app, watcher) = (Arc::clone(&app), graceful.watcher());
        tokio::spawn(async move {
            serve_one(&app, stream, client, watcher).await;
            drop(place);
        });
    }
    drop(listener);
    if tokio::time::timeout(limits::DRAIN_TIMEOUT, graceful.shutdown()).await.is_err() {
        tracing::warn!(
            seconds = limits::DRAIN_TIMEOUT.as_secs(),
            "pulls under way were cut at the end of the drain"
        );
    }
}

type Accepted = (TcpStream, SocketAddr, tokio::sync::OwnedSemaphorePermit);

/// Waits for a place before it accepts, so that more connections than `connections_max` wait in the kernel.
async fn accept(listener: &TcpListener, places: &Arc<Semaphore>) -> Option<Accepted> {
    let place = Arc::clone(places).acquire_owned().await.ok()?;
    match listener.accept().await {
        Ok((stream, client)) => Some((stream, client, place)),
        Err(error) => {
            // Out of descriptors: pause, or this loop would burn the processor that could free them (A547).
            tracing::warn!(%error, "cannot accept");
            tokio::time::sleep(Duration::from_millis(50)).await;
            None
        }
    }
}

/// A connection to its end. Its handshake holds up nobody else (A056).
async fn serve_one(app: &Arc<App>, stream: TcpStream, client: SocketAddr, watcher: Watcher) {
    // A small answer must not wait for a full packet.
    let _ = stream.set_nodelay(true);
    let stream = idle::WriteIdle::new(stream);
    // A client that breaks off is no event; hyper has closed the socket.
    let handshakes = app.live().handshakes().cloned();
    match handshakes {
        None => {
            let peer = Peer { address: client, names: Arc::new([]) };
            ended(watcher.watch(connection(app, stream, peer)).await);
        }
        Some(handshakes) => match handshakes.shake(stream).await {
            Ok((stream, names)) => {
                let peer = Peer { address: client, names };
                ended(watcher.watch(connection(app, stream, peer)).await);
            }
            Err(error) => tracing::debug!(%error, %client, "a TLS handshake failed"),
        },
    }
}

fn ended(end: Result<(), hyper::Error>) {
    if let Err(error) = end {
        tracing::trace!(%error, "connection ended");
    }
}

fn connection<S>(
    app: &Arc<App>,
    stream: S,
    peer: Peer,
) -> impl hyper_util::server::graceful::GracefulConnection<Error = hyper::Error> + use<S>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (app, asked) = (Arc::clone(app), Arc::new(AtomicUsize::new(0)));
    let handler = tower::service_fn(move |request: Request<Incoming>| {
        let (app, peer) = (Arc::clone(&app), peer.clone());
        let last = asked.fetch_add(1, Ordering::Relaxed) + 1 >= limits::REQUESTS_PER_CONNECTION;
        async move {
            let mut response = gate::traced(app, peer, request).await;
            if last {
                // hyper ends the connection after it. The next one is under the certificates that are in force then.
                response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
            }
            Ok::<Response<Body>, Infallible>(response)
        }
    });
    let service = ServiceBuilder::new().layer(CatchPanicLayer::custom(panicked)).service(handler);
    let heads = Heads::new();
    let stream = TokioIo::new(heads.watch(stream));
    protocol(heads).serve_connection(stream, TowerToHyperService::new(service))
}

/// HTTP/1.1 only: a denied HEAD tells its reason in the reason phrase, which HTTP/2 does not have.
fn protocol(heads: Heads) -> http1::Builder {
    let mut protocol = http1::Builder::new();
    protocol
        .timer(heads)
        // Without a time it asks no timer; the timer says how long it is.
        .header_read_timeout(limits::HEADER_TIMEOUT)
        .max_buf_size(limits::REQUEST_HEAD_BYTES)
        .max_headers(limits::REQUEST_HEADERS)
        .half_close(false);
    protocol
}

/// What the gate itself could not catch is no verdict either (A545).
fn panicked(_panic: Box<dyn std::any::Any + Send>) -> Response<Body> {
    let id = DecisionId::random();
    tracing::error!(id = id.short(), "a handler panicked; the request is undecided");
    let refusal = Refusal::undecided(Code::Internal);
    let mut response = respond::refuse(&refusal, &id, &http::Method::GET, respond::DeniedHead::Forbidden);
    gate::mark(&mut response);
    response
}
