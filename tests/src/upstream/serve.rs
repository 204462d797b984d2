//! The registry's side of the wire.

use std::convert::Infallible;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE, HeaderName, HeaderValue, LOCATION};
use http::{HeaderMap, Request, Response, StatusCode};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use super::body::{Script, Step};
use super::fault::{Fault, RangeAnswer};
use super::{ReferrersApi, Seen, Shared, State, lock};

const INDEX: &str = "application/vnd.oci.image.index.v1+json";

pub(super) async fn serve(listener: TcpListener, state: Shared) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let state = Arc::clone(&state);
        let answer = service_fn(move |request| answered(Arc::clone(&state), request));
        tokio::spawn(async move {
            // A connection that breaks is what some tests are about.
            let _ = http1::Builder::new().serve_connection(TokioIo::new(stream), answer).await;
        });
    }
}

/// An answer before it is sent.
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: Bytes,
    then: Option<Step>,
}

async fn answered(state: Shared, request: Request<Incoming>) -> Result<Response<Script>, Infallible> {
    let (parts, _) = request.into_parts();
    let target = parts.uri.path_and_query().map(ToString::to_string).unwrap_or_default();
    let line = format!("{} {target}", parts.method);
    let range = parts.headers.get("range").and_then(|range| range_of(range.to_str().ok()?));
    let (mut reply, faults, sent) = {
        let mut state = lock(&state);
        state.seen.push(Seen { method: parts.method.to_string(), target, headers: parts.headers });
        let faults: Vec<_> = state.armed.iter_mut().filter_map(|armed| armed.meets(&line)).collect();
        let query = parts.uri.query().unwrap_or_default();
        let otherwise = faults.iter().find_map(|(fault, _)| match fault {
            Fault::OfRange(answer) => Some(*answer),
            _ => None,
        });
        let reply = found(&state, parts.uri.path(), query);
        let reply = reply.map_or_else(|| Reply::status(404), |reply| reply.part(range, otherwise));
        (reply, faults, Arc::clone(&state.sent))
    };
    for (fault, met) in faults {
        spoil(&mut reply, fault, met, (&state, parts.uri.path())).await;
    }
    let mut response = Response::new(Script::new(&reply.body, reply.then, sent));
    *response.status_mut() = reply.status;
    *response.headers_mut() = reply.headers;
    Ok(response)
}

/// First and last byte of `bytes=FIRST-` or `bytes=FIRST-LAST`.
fn range_of(text: &str) -> Option<(usize, usize)> {
    let (first, last) = text.strip_prefix("bytes=")?.split_once('-')?;
    let last = if last.is_empty() { usize::MAX } else { last.parse().ok()? };
    Some((first.parse().ok()?, last))
}

fn found(state: &State, path: &str, query: &str) -> Option<Reply> {
    let rest = path.strip_prefix("/v2/")?;
    if rest.is_empty() {
        return Some(Reply::new("application/json", Bytes::from_static(b"{}")));
    }
    if let Some(name) = rest.strip_suffix("/tags/list") {
        return Some(tags(
            name,
            &state.repositories.get(name)?.tags.keys().cloned().collect::<Vec<_>>(),
            query,
        ));
    }
    let (before, last) = rest.rsplit_once('/')?;
    let (name, kind) = before.rsplit_once('/')?;
    let held = state.repositories.get(name)?;
    match kind {
        "manifests" => {
            let digest = held.resolve(last)?;
            let (media_type, bytes) = held.manifests.get(digest)?;
            Some(Reply::new(media_type, bytes.clone()).with("docker-content-digest", digest))
        }
        "blobs" => Some(Reply::new("application/octet-stream", held.blobs.get(last)?.clone())),
        "referrers" => referrers(state.referrers, path, &held.referrers(last), query),
        _ => None,
    }
}

fn tags(name: &str, all: &[String], query: &str) -> Reply {
    let after = parameter(query, "last").unwrap_or_default();
    let most = parameter(query, "n").and_then(|n| n.parse().ok()).unwrap_or(usize::MAX);
    let left: Vec<&String> = all.iter().filter(|tag| tag.as_str() > after).collect();
    let page: Vec<_> = left.iter().take(most).collect();
    let body = json!({ "name": name, "tags": page });
    let reply = Reply::new("application/json", Bytes::from(body.to_string()));
    match page.last() {
        Some(last) if left.len() > page.len() => {
            reply.with("link", &format!("</v2/{name}/tags/list?n={most}&last={last}>; rel=\"next\""))
        }
        Some(_) | None => reply,
    }
}

fn referrers(api: ReferrersApi, path: &str, all: &[Value], query: &str) -> Option<Reply> {
    let (page, next) = match api {
        ReferrersApi::Absent => return None,
        ReferrersApi::Whole => (all, None),
        ReferrersApi::Paged(most) => {
            let page: usize = parameter(query, "page").and_then(|page| page.parse().ok()).unwrap_or(0);
            let (from, to) = ((page * most).min(all.len()), ((page + 1) * most).min(all.len()));
            (all.get(from..to)?, (to < all.len()).then_some(page + 1))
        }
    };
    let body = json!({ "schemaVersion": 2, "mediaType": INDEX, "manifests": page });
    let reply = Reply::new(INDEX, Bytes::from(body.to_string()));
    Some(match next {
        Some(next) => reply.with("link", &format!("<{path}?page={next}>; rel=\"next\"")),
        None => reply,
    })
}

fn parameter<'a>(query: &'a str, name: &str) -> Option<&'a str> {
    query
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .find(|(key, _)| *key == name)
        .map(|(_, value)| value)
}

async fn spoil(reply: &mut Reply, fault: Fault, met: usize, (state, path): (&Shared, &str)) {
    let length = reply.body.len();
    match fault {
        Fault::Alternate(digests) => {
            let name = path.trim_start_matches("/v2/").split("/manifests/").next().unwrap_or_default();
            let digest = digests.get(met % digests.len().max(1)).map(String::as_str).unwrap_or_default();
            let path = format!("/v2/{name}/manifests/{digest}");
            *reply = found(&lock(state), &path, "").unwrap_or_else(|| Reply::status(404));
        }
        Fault::AlsoHeader(name, value) => {
            if let Ok(value) = HeaderValue::try_from(value) {
                reply.headers.append(HeaderName::from_static(name), value);
            }
        }
        Fault::Answer(status, content_type, body) => {
            *reply = Reply::new(content_type, Bytes::from(body));
            reply.status = StatusCode::from_u16(status).unwrap_or_default();
        }
        Fault::Cut(most) => {
            reply.body.truncate(most);
            reply.then = Some(Step::Break);
        }
        Fault::Delay(pause) => tokio::time::sleep(pause).await,
        Fault::Endless(byte) => {
            reply.headers.remove(CONTENT_LENGTH);
            reply.then = Some(Step::Endless(Bytes::from(vec![byte; 16 * 1024])));
        }
        Fault::Flip(place) => {
            let place =
                if place < 0 { length.saturating_sub(place.unsigned_abs()) } else { place.unsigned_abs() };
            let mut bytes = reply.body.to_vec();
            if let Some(byte) = bytes.get_mut(place) {
                *byte ^= 1;
            }
            reply.body = Bytes::from(bytes);
        }
        Fault::Hold(semaphore) => drop(semaphore.acquire().await),
        Fault::Header(name, value) => reply.set(name, &value),
        // Seen to where the part is cut out.
        Fault::OfRange(_) => {}
        Fault::Redirect(to) => {
            *reply = Reply::status(307);
            reply.set(LOCATION.as_str(), &to);
        }
        Fault::Short(most) => {
            reply.headers.remove(CONTENT_LENGTH);
            reply.body.truncate(most);
        }
        Fault::Stall(most) => {
            reply.body.truncate(most);
            reply.then = Some(Step::Stall);
        }
        Fault::Status(status) => *reply = Reply::status(status),
        Fault::Surplus(more) => {
            reply.headers.remove(CONTENT_LENGTH);
            reply.then = Some(Step::Data(Bytes::from(vec![0; more])));
        }
        Fault::WithoutHeader(name) => {
            reply.headers.remove(name);
        }
    }
}

impl Reply {
    /// The part that is asked for, where there is anything of it (RFC 9110, section 14).
    fn part(mut self, range: Option<(usize, usize)>, otherwise: Option<RangeAnswer>) -> Self {
        let length = self.body.len();
        let Some((from, last)) = range.filter(|(from, _)| *from < length && self.status == StatusCode::OK)
        else {
            return self;
        };
        let (from, end) = match otherwise {
            Some(RangeAnswer::Status(status)) => return Self::status(status),
            Some(RangeAnswer::Gone(at)) if at == from as u64 => return Self::status(404),
            Some(RangeAnswer::Whole) => return self,
            Some(RangeAnswer::AtMost(most)) => (from, last.saturating_add(1).min(from.saturating_add(most))),
            Some(RangeAnswer::Sooner(by)) => (from.saturating_sub(by), last.saturating_add(1)),
            Some(RangeAnswer::Gone(_) | RangeAnswer::UnknownLength | RangeAnswer::Unplaced) | None => {
                (from, last.saturating_add(1))
            }
        };
        let end = end.min(length);
        self.body = self.body.slice(from..end);
        self.status = StatusCode::PARTIAL_CONTENT;
        self.set("content-length", &(end - from).to_string());
        let said = match otherwise {
            Some(RangeAnswer::Unplaced) => return self,
            Some(RangeAnswer::UnknownLength) => format!("bytes {from}-{}/*", end - 1),
            _ => format!("bytes {from}-{}/{length}", end - 1),
        };
        self.with("content-range", &said)
    }

    fn new(content_type: &str, body: Bytes) -> Self {
        let mut reply = Self { status: StatusCode::OK, headers: HeaderMap::new(), body, then: None };
        let length = reply.body.len().to_string();
        reply.set(CONTENT_LENGTH.as_str(), &length);
        reply.set(CONTENT_TYPE.as_str(), content_type);
        reply
    }

    fn status(status: u16) -> Self {
        let errors = json!({ "errors": [{ "code": "UPSTREAM_SAYS", "message": "text-of-the-upstream" }] });
        let mut reply = Self::new("application/json", Bytes::from(errors.to_string()));
        reply.status = StatusCode::from_u16(status).unwrap_or_default();
        reply
    }

    fn with(mut self, name: &'static str, value: &str) -> Self {
        self.set(name, value);
        self
    }

    fn set(&mut self, name: &str, value: &str) {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(name), HeaderValue::try_from(value)) {
            self.headers.insert(name, value);
        }
    }
}
