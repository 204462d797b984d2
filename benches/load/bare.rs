//! The yardstick: what hyper alone takes to answer with bytes that it has in memory.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::path::Path;

use bytes::Bytes;
use http_body_util::Full;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::TcpListener;

use crate::Failed;

/// Answers every request with the file, until it is ended.
pub(crate) async fn serve(address: SocketAddr, file: &Path) -> Result<(), Failed> {
    let bytes = Bytes::from(std::fs::read(file)?);
    let listener = TcpListener::bind(address).await?;
    loop {
        let (stream, _) = listener.accept().await?;
        stream.set_nodelay(true)?;
        let bytes = bytes.clone();
        tokio::spawn(async move {
            let answer = service_fn(move |_| {
                let response = hyper::Response::new(Full::new(bytes.clone()));
                async move { Ok::<_, Infallible>(response) }
            });
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}
