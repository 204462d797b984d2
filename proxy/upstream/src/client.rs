//! One exchange with an upstream: endpoints, retries, redirects. Nothing of a client's request is in it but what the gate
//! itself writes.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pullgate_policy::limits;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::{Answer, Responder};
use crate::connect::{Connector, classify};
use crate::endpoints::Endpoints;
use crate::fault::Fault;
use crate::origin::Origin;
use crate::quota::{self, Quota};
use crate::redirect;
use crate::rest::Rest;
use crate::settings::Settings;

/// How long a connection waits in the pool for its next request.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// Connections that wait in the pool.
const POOL_CONNECTIONS: usize = 32;
/// The wait before the first repeat; before each further one it is twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(150);

/// The connections to one upstream. Each has its own, so that a dead one takes nothing from the others (A175).
pub(super) struct Client {
    pool: legacy::Client<Connector, Full<Bytes>>,
    endpoints: Endpoints,
    quota: quota::Said,
    rest: Rest,
}

/// What is asked of an upstream.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Path and query.
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
}

impl Client {
    /// # Errors
    /// What is wrong with the certificates.
    pub(super) fn new(settings: &Settings) -> Result<Self, &'static str> {
        let connector = Connector::new(settings)?;
        let pool = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .timer(TokioTimer::new())
            .pool_idle_timeout(POOL_IDLE)
            .pool_max_idle_per_host(POOL_CONNECTIONS)
            .http1_max_buf_size(limits::UPSTREAM_HEADER_BYTES)
            .http1_max_headers(limits::UPSTREAM_HEADERS)
            .build(connector);
        let endpoints = Endpoints::new(&settings.urls);
        Ok(Self { pool, endpoints, quota: quota::Said::default(), rest: Rest::default() })
    }

    /// Asks one endpoint after the other until one answers, and follows redirects.
    ///
    /// # Errors
    /// [`Fault`]: the last one, where all endpoints failed.
    pub(super) async fn send(
        &self,
        ask: &Ask<'_>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        self.rest.is_over(Instant::now())?;
        let mut last = Fault::Unreachable;
        for (n, base) in self.endpoints.in_turn(Instant::now()) {
            match self.follow(base, ask, authorization).await {
                Err(fault @ (Fault::Unreachable | Fault::Timeout | Fault::Status(_))) => {
                    self.endpoints.failed(n, Instant::now());
                    last = fault;
                }
                answer => {
                    self.endpoints.answered(n);
                    return answer;
                }
            }
        }
        Err(last)
    }

    /// What the upstream said last of what is left of its quota.
    pub(super) fn quota(&self) -> Option<Quota> {
        self.quota.last()
    }

    /// How many endpoints do not answer and are asked last.
    pub(super) fn endpoints_resting(&self) -> usize {
        self.endpoints.resting(Instant::now())
    }

    /// One GET of a whole address: nobody is named, and no redirect is followed.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn plain(&self, url: &Uri) -> Result<Answer, Fault> {
        let ask = Ask { method: Method::GET, path: "", headers: HeaderMap::new() };
        let response = self.retry(&ask, url, None).await?;
        Ok(Answer { response, place: Responder::Elsewhere })
    }

    async fn follow(
        &self,
        base: &Origin,
        ask: &Ask<'_>,
        mut authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let mut url: Uri = format!("{base}{}", ask.path).parse().map_err(|_| Fault::Internal)?;
        let mut place = Responder::Home(base.clone());
        for _ in 0..=limits::REDIRECTS {
            let response = self.retry(ask, &url, authorization).await?;
            if let Responder::Home(_) = place {
                self.rest.note(response.status(), response.headers(), Instant::now());
                self.quota.note(response.headers());
            }
            if !redirect::is_redirect(response.status()) {
                return Ok(Answer { response, place });
            }
            url = redirect::target(&url, response.headers())?;
            if Origin::of(&url).as_ref() != Some(base) {
                // For good: not on a hop back either (A163).
                authorization = None;
                place = Responder::Elsewhere;
            }
        }
        Err(Fault::RedirectRefused)
    }

    /// Repeats what may be repeated: no connection, 502, 503, 504.
    async fn retry(
        &self,
        ask: &Ask<'_>,
        url: &Uri,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Fault> {
        let mut last = Fault::Unreachable;
        for attempt in 0..=limits::UPSTREAM_RETRIES {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            let mut request = request(ask.method.clone(), url, Full::default());
            request.headers_mut().extend(ask.headers.clone());
            match self.exchange(request, authorization).await {
                Ok(response) if matches!(response.status().as_u16(), 502..=504) => {
                    last = Fault::Status(response.status().as_u16());
                }
                Err(Fault::Unreachable) => last = Fault::Unreachable,
                response => return response,
            }
        }
        Err(last)
    }

    /// One request to a token service: with a form if there is one. A redirect is not followed.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn ask_token_service(
        &self,
        url: &Uri,
        form: Option<String>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let request = match form {
            None => request(Method::GET, url, Full::default()),
            Some(form) => {
                let mut request = request(Method::POST, url, Full::from(form));
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, form);
                request
            }
        };
        let response = self.exchange(request, authorization).await.map_err(|fault| match fault {
            // Its address, too, is one that the gate does not dial (A165).
            Fault::RedirectRefused => Fault::RealmRefused,
            fault => fault,
        })?;
        Ok(Answer { response, place: Responder::Elsewhere })
    }

    async fn exchange(
        &self,
        mut request: Request<Full<Bytes>>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Fault> {
        if let Some(value) = authorization {
            request.headers_mut().insert(AUTHORIZATION, value.clone());
        }
        let mut interim = count_interim(&mut request);
        let response = tokio::select! {
            biased;
            Ok(_) = interim.wait_for(|count| *count > limits::UPSTREAM_INTERIM) => return Err(Fault::Protocol),
            response = tokio::time::timeout(limits::FIRST_BYTE, self.pool.request(request)) => response,
        };
        let response = response.map_err(|_| Fault::Timeout)?.map_err(|error| classify(&error))?;
        // All of them may have come with the answer, at once.
        let interim = *interim.borrow();
        if interim > limits::UPSTREAM_INTERIM
            || head_bytes(response.headers()) > limits::UPSTREAM_HEADER_BYTES
        {
            Err(Fault::Protocol)
        } else {
            Ok(response)
        }
    }
}

/// How many interim answers (RFC 9110 §15.2) came so far: the library reads over any number of them (A177).
fn count_interim<B>(request: &mut Request<B>) -> watch::Receiver<usize> {
    let (counter, count) = watch::channel(0);
    hyper::ext::on_informational(request, move |_| counter.send_modify(|count| *count += 1));
    count
}

/// The library stops reading a head somewhere between the limit and twice as much; here it is exact (A177).
fn head_bytes(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + ": \r\n".len() + value.len()).sum()
}

fn request(method: Method, url: &Uri, body: Full<Bytes>) -> Request<Full<Bytes>> {
    let mut request = Request::new(body);
    *request.method_mut() = method;
    *request.uri_mut() = url.clone();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("pullgate/", env!("CARGO_PKG_VERSION"))));
    // Hashed as it is sent: a body that was decoded on the way is another body (A108).
    headers.insert(ACCEPT_ENCODING, HeaderValue::from_static("identity"));
    request
}

/// Doubled each time, and up to half as long again, so that many do not come back at once.
fn pause(attempt: usize) -> Duration {
    let base = RETRY_PAUSE.saturating_mul(1 << attempt.saturating_sub(1).min(8));
    let jitter = RandomState::new().hash_one(attempt) % 512;
    base + base.mul_f64(jitter as f64 / 1024.0)
}
