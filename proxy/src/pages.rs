//! Pages for people on the admin port: what was pulled, what was refused and why, what would break. Rendered here, readable
//! without a script; nothing on them comes from elsewhere, and what images, certificates and clients say stays text.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::middleware::map_response;
use axum::response::{Html, IntoResponse, Response};
use axum::routing::get;

use crate::admin::Admin;
use crate::app::App;

mod answer;
mod digest;
mod fault;
mod frame;
mod log;
mod overview;
mod picture;
mod policy;
mod report;
mod reports;
mod search;
mod series;
mod shadow;
#[cfg(test)]
mod tests;

use self::fault::Fault;
use self::log::Log;
use self::reports::Reports;

/// Time within which a page must have its content; a longer count goes on for the next request.
const WAIT: Duration = Duration::from_secs(10);

/// The content of a page: a sheet of style, a script and an icon of our own, and forms that lead back here.
const CONTENT: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; form-action 'self'; \
     base-uri 'none'; frame-ancestors 'none'",
);
const SHEET: &str = include_str!("../templates/pullgate.css");
const SCRIPT: &str = include_str!("../templates/live.js");
const ICON: &str = include_str!("../templates/icon.svg");

/// The sources of pages.
#[derive(Debug)]
struct Pages {
    app: Arc<App>,
    log: Log,
    reports: Reports,
}

/// A page, or why there is none.
type Answer = Result<Html<String>, Fault>;

/// The admin port of a gate, with its pages.
pub fn admin(app: &Arc<App>) -> Admin {
    Admin { metrics: app.metrics.clone(), health: app.health.clone(), pages: Some(router(app)) }
}

fn router(app: &Arc<App>) -> Router {
    let log = Log::new(&app.started.state);
    let pages = Arc::new(Pages { app: Arc::clone(app), reports: Reports::new(log.clone()), log });
    Router::new()
        .route("/", get(overview::page))
        .route("/search", get(search::page))
        .route("/answers/{id}", get(answer::page))
        .route("/digests/{digest}", get(digest::page))
        .route("/report", get(report::page))
        .route("/policy", get(policy::page))
        .route("/shadow", get(shadow::page))
        .route("/pullgate.css", get(|| async { asset("text/css; charset=utf-8", SHEET) }))
        .route("/live.js", get(|| async { asset("text/javascript; charset=utf-8", SCRIPT) }))
        .route("/icon.svg", get(|| async { asset("image/svg+xml", ICON) }))
        .fallback(|_: Request| async { Fault::NoSuchPage })
        .layer(map_response(sealed))
        .with_state(pages)
}

fn asset(kind: &'static str, text: &'static str) -> Response {
    ([(CONTENT_TYPE, HeaderValue::from_static(kind))], text).into_response()
}

/// The headers of every answer.
async fn sealed(mut response: Response) -> Response {
    const SAME_ORIGIN: HeaderValue = HeaderValue::from_static("same-origin");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, CONTENT);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert(HeaderName::from_static("cross-origin-resource-policy"), SAME_ORIGIN);
    headers.insert(HeaderName::from_static("cross-origin-opener-policy"), SAME_ORIGIN);
    response
}

/// A template as a page.
fn shown(template: &impl askama::Template) -> Answer {
    template.render().map(Html).map_err(|_| Fault::Unshown)
}

/// A page with another status.
fn with_status(status: StatusCode, page: Html<String>) -> Response {
    (status, page).into_response()
}
