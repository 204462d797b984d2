//! One exchange with an upstream: endpoints, retries, redirects. The gate writes every part of a request itself, and
//! copies nothing from a client's.

use std::borrow::Cow;
use std::hash::{BuildHasher as _, RandomState};
use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use bytes::Bytes;
use http::header::{ACCEPT_ENCODING, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use http::{HeaderMap, Method, Request, Response, StatusCode, Uri};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper_util::client::legacy;
use hyper_util::rt::{TokioExecutor, TokioTimer};
use pullgate_policy::oci::Repository;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::answer::{Answer, Responder};
use crate::connect::{Connector, classify};
use crate::endpoints::Endpoints;
use crate::fault::Fault;
use crate::notices::Notices;
use crate::origin::{Listed, Origin, Scheme};
use crate::patience::{After, For, Patience};
use crate::quota::{self, Quota};
use crate::redirect;
use crate::rest::{Kind, Rests};
use crate::settings::Settings;

/// How long a connection waits in the pool for its next request.
const POOL_IDLE: Duration = Duration::from_secs(60);
/// Connections that wait in the pool.
const POOL_CONNECTIONS: usize = 32;
/// The wait before the first repeat; before each further one it is twice as long.
const RETRY_PAUSE: Duration = Duration::from_millis(150);

/// The connections to one upstream. Each has its own, so that a dead one takes nothing from the others (A175).
pub(super) struct Client {
    pool: Pool,
    /// Those to token services: on an endpoint's own host they may have another port, whatever its address.
    token_services: Pool,
    endpoints: Endpoints,
    quota: quota::Said,
    rests: Rests,
    /// Hosts that a redirect may lead to, as the configuration lists them.
    redirect_hosts: Vec<Listed>,
    /// What stands before every repository's name there.
    prefix: Option<String>,
    notices: Arc<Notices>,
    patience: Patience,
}

type Pool = legacy::Client<Connector, Full<Bytes>>;

/// A request to an upstream.
pub(super) struct Ask<'a> {
    pub(super) method: Method,
    /// Which wait applies to its answer.
    pub(super) waits: For,
    /// Path and query.
    pub(super) path: &'a str,
    pub(super) headers: HeaderMap,
    pub(super) kind: Kind,
    pub(super) repository: &'a Repository,
}

/// The credentials of a request, by host: a host gets its own only.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Shown<'a> {
    /// To the upstream's own endpoints.
    pub(super) home: Option<&'a HeaderValue>,
    /// An anonymous token, to the host that a redirect led to and that asked for it.
    pub(super) elsewhere: Option<(&'a Origin, &'a HeaderValue)>,
}

impl Client {
    /// # Errors
    /// What is wrong with the certificates.
    pub(super) fn new(settings: &Settings) -> Result<Self, &'static str> {
        let notices = Arc::new(Notices::of(&settings.registry));
        let connector = Connector::new(settings, Arc::clone(&notices))?;
        let own_hosts = settings.urls.iter().map(Listed::host_of);
        Ok(Self {
            token_services: pool(connector.trusting(own_hosts)),
            pool: pool(connector),
            endpoints: Endpoints::new(&settings.urls),
            quota: quota::Said::default(),
            rests: Rests::default(),
            redirect_hosts: settings.redirect_hosts.clone(),
            prefix: settings.prefix.clone(),
            notices,
            patience: settings.patience,
        })
    }

    /// Asks one endpoint after the other until one answers, and follows redirects.
    ///
    /// # Errors
    /// [`Fault`]: the last one, where all endpoints failed.
    pub(super) async fn send(&self, ask: &Ask<'_>, shown: Shown<'_>) -> Result<Answer, Fault> {
        let mut last = Fault::Unreachable;
        let turn = self.endpoints.in_turn(Instant::now());
        let all = turn.len();
        for (nth, (n, base)) in turn.into_iter().enumerate() {
            let after = if nth + 1 < all { After::Another } else { After::Nobody };
            let limit = self.patience.of(ask.waits, after);
            let whose = (n, ask.repository, ask.kind);
            if self.rests.is_on(n, ask.repository, ask.kind, Instant::now()) {
                last = Fault::Status(StatusCode::TOO_MANY_REQUESTS.as_u16());
                continue;
            }
            last = match self.follow(base, ask, shown, limit).await {
                Ok(answer) if answer.says_nothing() => {
                    let status = answer.status();
                    match &answer.place {
                        Responder::Home(_) => {
                            self.rests.note(whose, (status, answer.headers()), Instant::now());
                        }
                        Responder::Elsewhere(_) => {}
                    }
                    // One that limits answers: it is not asked last for it.
                    if status != StatusCode::TOO_MANY_REQUESTS {
                        self.endpoints.failed(n, Instant::now());
                    }
                    Fault::Status(status.as_u16())
                }
                Err(fault) if fault.is_of_endpoint() => {
                    self.endpoints.failed(n, Instant::now());
                    fault
                }
                answer => {
                    self.endpoints.answered(n);
                    return answer;
                }
            };
        }
        Err(last)
    }

    /// The name of a repository at the upstream.
    pub(super) fn name_of<'a>(&self, repository: &'a Repository) -> Cow<'a, str> {
        match &self.prefix {
            None => Cow::Borrowed(repository.path()),
            Some(prefix) => Cow::Owned(format!("{prefix}/{}", repository.path())),
        }
    }

    /// Refusals of late, for the operator.
    pub(super) fn notices(&self) -> &Notices {
        &self.notices
    }

    /// The rest of the upstream's quota, as it last reported it.
    pub(super) fn quota(&self) -> Option<Quota> {
        self.quota.last()
    }

    /// How many endpoints do not answer and are asked last.
    pub(super) fn endpoints_resting(&self) -> usize {
        self.endpoints.resting(Instant::now())
    }

    /// One GET of a whole address, without credentials and without redirects.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn plain(&self, url: &Uri) -> Result<Answer, Fault> {
        let limit = self.patience.of(For::Question, After::Nobody);
        let response =
            self.retry(|| request(Method::GET, url, Full::default()), &self.pool, None, limit).await?;
        let place = Responder::Elsewhere(Origin::of(url).ok_or(Fault::Internal)?);
        Ok(Answer { response, place })
    }

    async fn follow(
        &self,
        base: &Origin,
        ask: &Ask<'_>,
        shown: Shown<'_>,
        limit: Duration,
    ) -> Result<Answer, Fault> {
        let mut authorization = shown.home;
        let mut url: Uri = format!("{base}{}", ask.path).parse().map_err(|_| Fault::Internal)?;
        let mut place = Responder::Home(base.clone());
        let mut left_home = false;
        for _ in 0..=limits::REDIRECTS {
            let to_send = || {
                let mut request = request(ask.method.clone(), &url, Full::default());
                request.headers_mut().extend(ask.headers.clone());
                request
            };
            let sent = self.retry(to_send, &self.pool, authorization, limit).await;
            let response = sent.inspect_err(|fault| {
                if *fault == Fault::RedirectRefused {
                    self.notices.redirect(url.host().unwrap_or_default());
                }
            })?;
            if let Responder::Home(_) = place {
                self.quota.note(response.headers());
            }
            if !redirect::is_redirect(response.status()) {
                return Ok(Answer { response, place });
            }
            let in_clear = |to: &Origin| {
                ask.kind == Kind::Blob && self.redirect_hosts.iter().any(|one| one.names_in_clear(to))
            };
            let target = redirect::target(&url, base.scheme, response.headers(), in_clear);
            url = target.inspect_err(|_| self.notices.redirect(&redirect::host(response.headers())))?;
            let to = Origin::of(&url).ok_or(Fault::RedirectRefused)?;
            if to != *base {
                // For good: not on a hop back either (A163).
                left_home = true;
            }
            if left_home {
                authorization = shown.elsewhere.filter(|(host, _)| **host == to).map(|(_, token)| token);
                place = Responder::Elsewhere(to);
            }
        }
        Err(Fault::RedirectRefused)
    }

    /// Retries where there was no connection, or a 502, 503 or 504.
    async fn retry(
        &self,
        to_send: impl Fn() -> Request<Full<Bytes>>,
        pool: &Pool,
        authorization: Option<&HeaderValue>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Fault> {
        let mut last = Fault::Unreachable;
        for attempt in 0..=limits::UPSTREAM_RETRIES {
            if attempt > 0 {
                tokio::time::sleep(pause(attempt)).await;
            }
            match exchange(pool, to_send(), authorization, limit).await {
                Ok(response) if matches!(response.status().as_u16(), 502..=504) => {
                    last = Fault::Status(response.status().as_u16());
                }
                Err(Fault::Unreachable) => last = Fault::Unreachable,
                response => return response,
            }
        }
        Err(last)
    }

    /// Asks a token service: with a form if there is one. One redirect is followed, of a GET and to the same host.
    ///
    /// # Errors
    /// [`Fault`].
    pub(super) async fn ask_token_service(
        &self,
        url: &Uri,
        form: Option<&str>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Answer, Fault> {
        let response = self.ask_token_service_once(url, form, authorization).await?;
        let response = if redirect::is_redirect(response.status()) {
            let to = redirect::target(url, Scheme::Http, response.headers(), |_| false)
                .ok()
                .filter(|to| form.is_none() && is_same_host(url, to))
                .ok_or(Fault::RealmRefused)
                .inspect_err(|_| self.notices.realm(&redirect::host(response.headers())))?;
            self.ask_token_service_once(&to, form, authorization).await?
        } else {
            response
        };
        let place = Responder::Elsewhere(Origin::of(url).ok_or(Fault::RealmRefused)?);
        Ok(Answer { response, place })
    }

    async fn ask_token_service_once(
        &self,
        url: &Uri,
        form: Option<&str>,
        authorization: Option<&HeaderValue>,
    ) -> Result<Response<Incoming>, Fault> {
        let limit = self.patience.of(For::Question, After::Nobody);
        let to_send = || match form {
            None => request(Method::GET, url, Full::default()),
            Some(form) => {
                let mut request = request(Method::POST, url, Full::from(form.to_owned()));
                let form = HeaderValue::from_static("application/x-www-form-urlencoded");
                request.headers_mut().insert(CONTENT_TYPE, form);
                request
            }
        };
        self.retry(to_send, &self.token_services, authorization, limit).await.map_err(|fault| match fault {
            // The token service resolves to an address that the gate does not dial (A165).
            Fault::RedirectRefused => {
                self.notices.realm(url.host().unwrap_or_default());
                Fault::RealmRefused
            }
            fault => fault,
        })
    }
}

/// Whether a token service sends on within its own host: by the same origin, or from http to TLS, where the certificate
/// proves the host. Another port under TLS counts as another service.
fn is_same_host(from: &Uri, to: &Uri) -> bool {
    match (Origin::of(from), Origin::of(to)) {
        (Some(from), Some(to)) => {
            from == to || (from.scheme == Scheme::Http && to.scheme == Scheme::Https && from.host == to.host)
        }
        _ => false,
    }
}

fn pool(connector: Connector) -> Pool {
    legacy::Client::builder(TokioExecutor::new())
        .pool_timer(TokioTimer::new())
        .timer(TokioTimer::new())
        .pool_idle_timeout(POOL_IDLE)
        .pool_max_idle_per_host(POOL_CONNECTIONS)
        .http1_max_buf_size(limits::UPSTREAM_HEADER_BYTES)
        .http1_max_headers(limits::UPSTREAM_HEADERS)
        .build(connector)
}

async fn exchange(
    pool: &Pool,
    mut request: Request<Full<Bytes>>,
    authorization: Option<&HeaderValue>,
    limit: Duration,
) -> Result<Response<Incoming>, Fault> {
    if let Some(value) = authorization {
        request.headers_mut().insert(AUTHORIZATION, value.clone());
    }
    let mut interim = count_interim(&mut request);
    let response = tokio::select! {
        biased;
        Ok(_) = interim.wait_for(|count| *count > limits::UPSTREAM_INTERIM) => return Err(Fault::Protocol),
        response = tokio::time::timeout(limit, pool.request(request)) => response,
    };
    let response = response.map_err(|_| Fault::Timeout)?.map_err(|error| classify(&error))?;
    // All of them may have come with the answer, at once.
    let interim = *interim.borrow();
    if interim > limits::UPSTREAM_INTERIM || head_bytes(response.headers()) > limits::UPSTREAM_HEADER_BYTES {
        Err(Fault::Protocol)
    } else {
        Ok(response)
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
