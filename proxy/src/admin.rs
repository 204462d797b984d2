//! The admin port: is it alive, is it ready and why not, and the counters. Never on the data port; no pages, no writes.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, PoisonError};

use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use pullgate_policy::limits;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::metrics::Metrics;

/// How a part of the gate is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Condition {
    /// It works less well than it should; pulls are judged.
    Degraded(String),
    /// It is as it should be.
    Good,
    /// Pulls cannot be judged, or not be remembered.
    Unready(String),
}

/// What is wrong with a gate. Clones are one.
#[derive(Debug, Clone, Default)]
pub struct Health(Arc<Mutex<BTreeMap<&'static str, Condition>>>);

impl Health {
    /// Nothing is known to be wrong.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Says how a part is.
    pub fn set(&self, component: &'static str, condition: Condition) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(component, condition);
    }

    fn report(&self) -> (StatusCode, serde_json::Value) {
        let parts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let mut status = StatusCode::OK;
        let mut wrong = Vec::new();
        for (component, condition) in parts.iter() {
            let (state, why) = match condition {
                Condition::Good => continue,
                Condition::Degraded(why) => ("degraded", why),
                Condition::Unready(why) => {
                    status = StatusCode::SERVICE_UNAVAILABLE;
                    ("unready", why)
                }
            };
            wrong.push(json!({ "component": component, "state": state, "why": why }));
        }
        (status, json!({ "ready": status == StatusCode::OK, "wrong": wrong }))
    }
}

/// What the admin port shows.
#[derive(Debug, Clone)]
pub struct Admin {
    /// The counters.
    pub metrics: Metrics,
    /// What is wrong.
    pub health: Health,
}

/// Connections at once: probes and one scraper need few.
const CONNECTIONS: usize = 64;

/// Serves the admin port until `shutdown` resolves.
pub async fn serve(listener: TcpListener, admin: Admin, shutdown: impl Future<Output = ()>) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    tokio::pin!(shutdown);
    loop {
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            biased;
            () = &mut shutdown => return,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(error) => {
                    tracing::warn!(%error, "the admin port cannot accept");
                    tokio::time::sleep(std::time::Duration::from_millis(50)).await;
                    continue;
                }
            },
        };
        let admin = admin.clone();
        let service = service_fn(move |request| {
            let admin = admin.clone();
            async move { Ok::<_, Infallible>(answer(&admin, &request)) }
        });
        let connection = http1::Builder::new()
            .timer(TokioTimer::new())
            .header_read_timeout(limits::HEADER_TIMEOUT)
            .max_buf_size(limits::REQUEST_HEAD_BYTES)
            .serve_connection(TokioIo::new(stream), service);
        tokio::spawn(async move {
            let _ = connection.await;
            drop(place);
        });
    }
}

fn answer(admin: &Admin, request: &Request<Incoming>) -> Response<Full<Bytes>> {
    const TEXT: &str = "text/plain; charset=utf-8";
    if request.method() != Method::GET && request.method() != Method::HEAD {
        return respond(StatusCode::METHOD_NOT_ALLOWED, TEXT, "GET and HEAD only\n".to_owned());
    }
    match request.uri().path() {
        "/livez" => respond(StatusCode::OK, TEXT, "alive\n".to_owned()),
        "/readyz" => {
            let (status, report) = admin.health.report();
            respond(status, "application/json", format!("{report}\n"))
        }
        "/metrics" => {
            let open_metrics = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            respond(StatusCode::OK, open_metrics, admin.metrics.encode())
        }
        _ => respond(StatusCode::NOT_FOUND, TEXT, "/livez, /readyz, /metrics\n".to_owned()),
    }
}

fn respond(status: StatusCode, content_type: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readiness_says_what_is_wrong_and_only_what_stops_judging_is_red() {
        let health = Health::new();
        assert_eq!(health.report().0, StatusCode::OK);
        health.set("configuration", Condition::Degraded("a key is missing".into()));
        let (status, report) = health.report();
        assert_eq!(status, StatusCode::OK);
        assert_eq!(report["wrong"][0]["why"], "a key is missing");
        health.set("clock", Condition::Unready("before the release".into()));
        assert_eq!(health.report().0, StatusCode::SERVICE_UNAVAILABLE);
        health.set("clock", Condition::Good);
        assert_eq!(health.report().0, StatusCode::OK);
    }
}
