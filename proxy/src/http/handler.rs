//! One request on the data port: from its line to its answer and its record.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::time::Instant;

use crate::limits;
use futures_util::FutureExt as _;
use http::header::{
    ACCEPT_RANGES, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, HOST, HeaderName, HeaderValue, USER_AGENT,
};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use hyper::body::Incoming;
use pullgate_config::Shadow;
use pullgate_policy::code::Code;
use pullgate_policy::oci::{Digest, Reference};
use tracing::Instrument as _;

use super::answer::{self, set};
use super::body::Body;
use super::forwarded;
use super::listing;
use super::range::{self, Wanted};
use super::record::{self, RequestFacts};
use super::respond;
use crate::accept::Accept;
use crate::app::App;
use crate::audit::{DecisionId, Record, Refused};
use crate::clients::{self, Peer};
use crate::live::Live;
use crate::metrics::Said;
use crate::pull::blob::{Asks, Blob};
use crate::pull::{self, Content, Pull, Pulled, Remembered, blob};
use crate::refusal::Refusal;
use crate::route::{self, Route, Target};
use crate::telemetry;

/// Answers one request as part of the trace that its client names. Where anything panics on the way, it is undecided (A545).
pub async fn traced(app: Arc<App>, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let (address, method, target) = (peer.address, request.method().clone(), request.uri().clone());
    let (agent, started) = (request.headers().get(USER_AGENT).cloned(), Instant::now());
    let handle = Arc::clone(&app);
    let answering = async move {
        let span = tracing::info_span!("request", otel.kind = "server", method = %request.method());
        telemetry::continue_trace(&span, request.headers());
        answer(handle, peer, request).instrument(span).await
    };
    match AssertUnwindSafe(answering).catch_unwind().await {
        Ok(response) => response,
        Err(_panic) => {
            let headers = agent.map(|agent| (USER_AGENT, agent)).into_iter().collect();
            let id = DecisionId::random();
            let asked = RequestFacts {
                client: address,
                forwarded: None,
                names: Vec::new(),
                method,
                headers,
                id,
                started,
            };
            panicked(&app, &asked, &target).await
        }
    }
}

/// A panic is no verdict, and is recorded where the request can be parsed (A545).
async fn panicked(app: &App, asked: &RequestFacts, target: &Uri) -> Response<Body> {
    tracing::error!(id = asked.id.short(), "a handler panicked; the request is undecided");
    let (live, undecided) = (app.live(), Refusal::undecided(Code::Internal));
    app.metrics.undecided(Code::Internal);
    let refusal = match route::parse(&asked.method, target, live.as_ref()) {
        Ok(route) => refused(app, &live, asked, &route, (Refused::Governed, undecided)).await,
        Err(_fault) => undecided,
    };
    let mut response = respond::refuse(&refusal, &asked.id, &asked.method, live.denied_head());
    mark(&mut response);
    response
}

/// Answers one request. Whatever happens inside, a client gets an answer of the distribution specification.
async fn answer(app: Arc<App>, peer: Peer, request: Request<Incoming>) -> Response<Body> {
    let started = Instant::now();
    let id = DecisionId::random();
    let live = app.live();
    let (mut parts, body) = request.into_parts();
    let formed = well_formed(&parts, &body);
    clients::hide(&mut parts.headers);
    let mut asked = RequestFacts {
        client: peer.address,
        forwarded: forwarded::client(peer.address.ip(), &parts.headers, live.trusted_proxies()),
        names: Vec::new(),
        method: parts.method.clone(),
        headers: std::mem::take(&mut parts.headers),
        id: id.clone(),
        started,
    };
    let answered = match formed {
        Err(refusal) => Err(unread(&app, &live, &asked, &parts.uri, refusal).await),
        Ok(()) => {
            let proven = proven(&app, &live, &peer, &asked.headers).await;
            match (route::parse(&parts.method, &parts.uri, live.as_ref()), proven) {
                (Ok(route), Ok(names)) => {
                    asked.names = names;
                    served(&app, &live, &asked, route).await
                }
                (Ok(route), Err(refusal)) => {
                    Err(refused(&app, &live, &asked, &route, (Refused::Unasked, refusal)).await)
                }
                (Err(fault), Ok(names)) => {
                    asked.names = names;
                    Err(unread(&app, &live, &asked, &parts.uri, Refusal::Request(fault)).await)
                }
                // An unauthenticated client learns nothing about names either.
                (Err(_), Err(refusal)) => Err(unread(&app, &live, &asked, &parts.uri, refusal).await),
            }
        }
    };
    let mut response = match answered {
        Ok(response) => response,
        Err(refusal) => {
            if let Refusal::Undecided(undecided) = &refusal {
                app.metrics.undecided(undecided.code());
            }
            tracing::debug!(code = refusal.code(), id = id.short(), "refused");
            respond::refuse(&refusal, &id, &parts.method, live.denied_head())
        }
    };
    mark(&mut response);
    response
}

/// What every answer carries.
pub(crate) fn mark(response: &mut Response<Body>) {
    let headers = response.headers_mut();
    set(headers, HeaderName::from_static("docker-distribution-api-version"), "registry/2.0");
    set(headers, HeaderName::from_static("x-content-type-options"), "nosniff");
}

/// The names that the client proves; without `[clients]`, those of its certificate, if it has one.
async fn proven(app: &App, live: &Live, peer: &Peer, headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
    match live.clients() {
        Some(clients) => clients.prove(&app.clock, peer, headers).await,
        None => Ok(peer.names.to_vec()),
    }
}

/// One authority, no body: smuggled bytes are not read as a second request (A009, A054).
fn well_formed(parts: &http::request::Parts, body: &Incoming) -> Result<(), Refusal> {
    use http_body::Body as _;
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    if target > pullgate_upstream::limits::TARGET_BYTES {
        return Err(Refusal::TargetTooLong);
    }
    // The parser's own limit is that of its buffer, which one read may overshoot (A053): line, headers and end are counted.
    let line = parts.method.as_str().len() + target + "  HTTP/1.1\r\n\r\n".len();
    let head: usize = parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    if line + head > limits::REQUEST_HEAD_BYTES {
        return Err(Refusal::HeadTooLarge);
    }
    let hosts: Vec<_> = parts.headers.get_all(HOST).iter().collect();
    let authority_agrees = match (parts.uri.authority(), hosts.as_slice()) {
        (None, [_] | []) => true,
        (Some(authority), [host]) => host.as_bytes() == authority.as_str().as_bytes(),
        (None | Some(_), _) => false,
    };
    let framed = parts.headers.contains_key(http::header::TRANSFER_ENCODING) || !body.is_end_stream();
    let reads = parts.method == Method::GET || parts.method == Method::HEAD;
    if !authority_agrees || (reads && framed) { Err(Refusal::Malformed) } else { Ok(()) }
}

async fn served(
    app: &Arc<App>,
    live: &Arc<Live>,
    asked: &RequestFacts,
    route: Route,
) -> Result<Response<Body>, Refusal> {
    let method = &asked.method;
    if let (Some(clients), Some(target)) = (live.clients(), route.target())
        && let Err(refusal) = clients.may_read(&asked.names, &target.repository)
    {
        return Err(refused(app, live, asked, &route, (Refused::Unasked, refusal)).await);
    }
    match route {
        Route::Base => Ok(base(method)),
        Route::Manifest(target, reference) => manifest(app, asked, &target, reference).await,
        Route::Blob(target, digest) => blob_answer(app, asked, &target, digest).await,
        Route::Tags(target, page) => listing::tags(app, live, &target, &page, method).await,
        Route::Referrers(target, digest, artifact_type) => {
            listing::referrers(app, live, &target, (&digest, artifact_type.as_deref()), method).await
        }
    }
}

/// The record of an answer that was refused before or beside the pull itself: like any other refusal of a manifest or blob.
async fn refused(
    app: &App,
    live: &Live,
    asked: &RequestFacts,
    route: &Route,
    (refused, refusal): (Refused, Refusal),
) -> Refusal {
    let record = match route {
        Route::Manifest(target, reference) => {
            let (repository, reference) = (target.repository.clone(), reference.clone());
            let pull = Pull { repository, reference, accept: Accept::default() };
            refused_manifest(app, live, asked, &pull, &refusal)
        }
        Route::Blob(target, digest) => {
            record::blob_refused(app.clock.now(), live, asked, &target.repository, digest, &refusal)
        }
        Route::Base | Route::Tags(..) | Route::Referrers(..) => return refusal,
    };
    match app.audit.write_refusal(refused, record).await {
        Ok(()) => refusal,
        Err(_) => Refusal::undecided(Code::AuditUnwritable),
    }
}

/// Records a request that was refused before its route was known, like others that cost the upstream nothing.
async fn unread(app: &App, live: &Live, asked: &RequestFacts, target: &Uri, refusal: Refusal) -> Refusal {
    app.metrics.request_refused(refusal.code());
    let record = record::unread(app.clock.now(), live, asked, target, &refusal);
    // No pull waits for it or is refused because of it.
    let _ = app.audit.write_refusal(Refused::Unasked, record).await;
    refusal
}

/// Local and at once: clients give up on it after 15 s, and a denial here would be no denial of anything.
fn base(method: &Method) -> Response<Body> {
    let body = bytes::Bytes::from_static(b"{}");
    let mut response = Response::new(Body::empty());
    set(response.headers_mut(), CONTENT_TYPE, "application/json");
    set(response.headers_mut(), CONTENT_LENGTH, &body.len().to_string());
    if *method != Method::HEAD {
        *response.body_mut() = Body::full(body);
    }
    response
}

async fn manifest(
    app: &Arc<App>,
    asked: &RequestFacts,
    target: &Target,
    reference: Reference,
) -> Result<Response<Body>, Refusal> {
    let accept = Accept::of(&asked.headers).map_err(|_too_long| Refusal::Malformed)?;
    let pull = Pull { repository: target.repository.clone(), reference, accept };
    let answer = pull::manifest(&app.pull, &pull).await;
    // No content leaves without a record (A530); where that is compulsory, it is written first (A512).
    let (mut record, answered) = match answer {
        Ok((pulled, live)) => {
            let mut record = record::served(app.clock.now(), &live, asked, &pull, &pulled);
            let policy = record.policy.as_deref().unwrap_or_default();
            app.metrics.verdict(policy, "permit", pulled.content.ground());
            record.verdict_id = rests_on(app, asked, &pulled).await;
            tried(app, &live, &record);
            (record, Ok(pulled))
        }
        Err((refusal, live)) => {
            let record = refused_manifest(app, &live, asked, &pull, &refusal);
            // What was refused unasked anybody can send, and nothing of it is kept (A606).
            if record::whose(&refusal) == Refused::Governed {
                tried(app, &live, &record);
            }
            (record, Err(refusal))
        }
    };
    app.stories.tell(&mut record);
    let written = match &answered {
        Ok(_) => app.audit.write(record).await,
        Err(refusal) => app.audit.write_refusal(record::whose(refusal), record).await,
    };
    written.map_err(|_| Refusal::undecided(Code::AuditUnwritable))?;
    let pulled = answered?;
    Ok(answer::manifest(&pulled, target, &pull.reference, &asked.method))
}

/// Has a pull judged by the policy of `audit.shadow` as well, where there is one. Nobody waits for it.
fn tried(app: &App, live: &Live, record: &Record) {
    if !matches!(live.config().shadow, Some(Shadow::Policies(_))) {
        return;
    }
    let Some(answered) = record::answered(record) else { return };
    if let Err(was) = app.shadow.judge(answered) {
        app.metrics.shadow(was, Said::Skipped);
    }
}

/// The record of a manifest request that gets no content; a denial is counted.
fn refused_manifest(app: &App, live: &Live, asked: &RequestFacts, pull: &Pull, refusal: &Refusal) -> Record {
    let record = record::refused(app.clock.now(), live, asked, pull, refusal);
    if matches!(refusal, Refusal::Denied(_)) {
        app.metrics.verdict(record.policy.as_deref().unwrap_or_default(), "deny", "");
    }
    record
}

/// The id of the answer whose verdict this one repeats, if remembered; else this answer is remembered as the first.
async fn rests_on(app: &App, asked: &RequestFacts, pulled: &Pulled) -> Option<String> {
    let Content::Permitted(permitted) = &pulled.content else { return None };
    match app.memory.verdict_id(permitted.permit()).await {
        Some(first) if pulled.memory == Remembered::Hit => Some(first.as_str().to_owned()),
        Some(_) | None => {
            app.memory.keep_verdict_id(permitted.permit(), &asked.id).await;
            None
        }
    }
}

async fn blob_answer(
    app: &Arc<App>,
    asked: &RequestFacts,
    target: &Target,
    digest: Digest,
) -> Result<Response<Body>, Refusal> {
    let asks = if asked.method == Method::HEAD { Asks::Size } else { Asks::Bytes };
    let found = match blob::blob(&app.pull, &target.repository, digest, asks).await {
        Ok(found) => found,
        Err((refusal, live)) => {
            let mut record =
                record::blob_refused(app.clock.now(), &live, asked, &target.repository, &digest, &refusal);
            app.stories.tell(&mut record);
            let written = app.audit.write_refusal(record::whose(&refusal), record).await;
            written.map_err(|_| Refusal::undecided(Code::AuditUnwritable))?;
            return Err(refusal);
        }
    };
    app.metrics.blob_served(target.repository.registry().as_str());
    let blob::Leaving { blob: found, root } = found;
    if let (Some(root), &Method::GET) = (root, &asked.method) {
        app.stories.blob(record::client(asked), &target.repository, &root);
    }
    let mut response = match found {
        Blob::Evidence(bytes) => part_of_bytes(&asked.headers, &bytes)?,
        Blob::Sized(length) => match range::wanted(&asked.headers, length) {
            Wanted::Unsatisfiable => return Err(Refusal::RangeUnsatisfiable(length)),
            Wanted::Whole => whole(length, Body::empty()),
            Wanted::Part(first, last) => part((first, last), length, Body::empty()),
        },
        Blob::Granted(reader) => {
            let length = reader.total();
            let wanted = range::wanted(&asked.headers, length);
            match wanted {
                // A range would cost a transfer of its own; the whole is an answer to it too (RFC 9110 §14.2).
                _ if reader.is_one_stream() => whole(length, Body::Blob(Box::new(reader.into_body()))),
                Wanted::Unsatisfiable => return Err(Refusal::RangeUnsatisfiable(length)),
                Wanted::Whole => whole(length, Body::Blob(Box::new(reader.into_body()))),
                Wanted::Part(first, last) => {
                    let reader =
                        reader.range(first..=last).map_err(|_| Refusal::RangeUnsatisfiable(length))?;
                    part((first, last), length, Body::Blob(Box::new(reader.into_body())))
                }
            }
        }
    };
    let headers = response.headers_mut();
    set(headers, CONTENT_TYPE, "application/octet-stream");
    set(headers, ACCEPT_RANGES, "bytes");
    set(headers, HeaderName::from_static("docker-content-digest"), &digest.to_string());
    set(headers, HeaderName::from_static("oci-namespace"), target.repository.registry().as_str());
    if asked.method == Method::HEAD {
        *response.body_mut() = Body::empty();
    }
    Ok(response)
}

fn part_of_bytes(headers: &HeaderMap, bytes: &bytes::Bytes) -> Result<Response<Body>, Refusal> {
    let length = bytes.len() as u64;
    match range::wanted(headers, length) {
        Wanted::Unsatisfiable => Err(Refusal::RangeUnsatisfiable(length)),
        Wanted::Whole => Ok(whole(length, Body::full(bytes.clone()))),
        Wanted::Part(first, last) => {
            let index = |n: u64| usize::try_from(n).unwrap_or(usize::MAX);
            let piece = bytes.slice(index(first)..index(last).saturating_add(1).min(bytes.len()));
            Ok(part((first, last), length, Body::full(piece)))
        }
    }
}

fn whole(length: u64, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    response.headers_mut().insert(CONTENT_LENGTH, HeaderValue::from(length));
    response
}

fn part((first, last): (u64, u64), length: u64, body: Body) -> Response<Body> {
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::PARTIAL_CONTENT;
    response
        .headers_mut()
        .insert(CONTENT_LENGTH, HeaderValue::from(last.saturating_sub(first).saturating_add(1)));
    set(response.headers_mut(), CONTENT_RANGE, &format!("bytes {first}-{last}/{length}"));
    response
}
