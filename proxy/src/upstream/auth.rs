//! Challenges and tokens (distribution "token authentication"; RFC 6750, RFC 7617). A credential is sent to the
//! upstream's own host, or to a token service that the configuration lists; the scope is ours, never the challenge's
//! (A164 to A169).

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use base64::Engine as _;
use http::header::{HeaderValue, WWW_AUTHENTICATE};
use http::{HeaderMap, Method, Uri};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use pullgate_config::Credentials;
use pullgate_policy::oci::Repository;
use pullgate_policy::{limits, strict_json};
use tokio::time::Instant;

use super::Fault;
use super::client::{Client, read};

/// Tokens by repository: one of A is never sent for B (A167).
#[derive(Default)]
pub struct Tokens(Mutex<HashMap<Repository, (HeaderValue, Instant)>>);

/// What an upstream asks for.
#[derive(Debug, PartialEq, Eq)]
pub enum Challenge {
    /// User name and password.
    Basic,
    /// A token of this service.
    Bearer {
        /// Its URL.
        realm: String,
        /// The service's name.
        service: Option<String>,
    },
}

impl Challenge {
    /// Reads the first challenge that is understood.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] when there is none within `challenge_bytes`.
    pub fn parse(headers: &HeaderMap) -> Result<Self, Fault> {
        for value in headers.get_all(WWW_AUTHENTICATE) {
            let text = value.to_str().map_err(|_| Fault::Unauthorized)?;
            if text.len() > limits::CHALLENGE_BYTES {
                return Err(Fault::Unauthorized);
            }
            let (scheme, rest) = text.split_once(' ').unwrap_or((text, ""));
            if scheme.eq_ignore_ascii_case("basic") {
                return Ok(Self::Basic);
            }
            if scheme.eq_ignore_ascii_case("bearer") {
                let parameters = parameters(rest);
                let find = |name: &str| {
                    parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone())
                };
                let realm = find("realm").ok_or(Fault::Unauthorized)?;
                return Ok(Self::Bearer { realm, service: find("service") });
            }
        }
        Err(Fault::Unauthorized)
    }
}

/// `key=token` and `key="quoted \" string"`, separated by commas (RFC 9110 §11.2).
fn parameters(text: &str) -> Vec<(String, String)> {
    let mut found = Vec::new();
    let mut rest = text.chars().peekable();
    loop {
        while rest.peek().is_some_and(|c| *c == ',' || c.is_ascii_whitespace()) {
            rest.next();
        }
        let mut key = String::new();
        while let Some(c) = rest.next_if(|c| *c != '=' && *c != ',') {
            key.push(c);
        }
        if key.is_empty() || rest.next_if_eq(&'=').is_none() {
            return found;
        }
        let mut value = String::new();
        if rest.next_if_eq(&'"').is_some() {
            while let Some(c) = rest.next() {
                match c {
                    '"' => break,
                    '\\' => value.extend(rest.next()),
                    c => value.push(c),
                }
            }
        } else {
            while let Some(c) = rest.next_if(|c| *c != ',') {
                value.push(c);
            }
        }
        found.push((key.trim().to_owned(), value.trim().to_owned()));
    }
}

impl Tokens {
    /// A token that still lives.
    pub fn find(&self, repository: &Repository) -> Option<HeaderValue> {
        let tokens = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        tokens.get(repository).filter(|(_, ends)| Instant::now() < *ends).map(|(value, _)| value.clone())
    }

    fn keep(&self, repository: &Repository, value: HeaderValue, life: Duration) {
        let mut tokens = self.0.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        let now = Instant::now();
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, (_, ends)| now < *ends);
        }
        if tokens.len() < TOKENS_MAX {
            tokens.insert(repository.clone(), (value, now + life));
        }
    }
}

/// Tokens remembered for one upstream.
const TOKENS_MAX: usize = 4_096;

/// Meets a challenge: the header to send, remembered where it is a token.
///
/// # Errors
/// [`Fault::RealmRefused`] for a token service that is not listed, before anything is sent to it.
pub async fn meet(
    client: &Client,
    tokens: &Tokens,
    repository: &Repository,
    challenge: &Challenge,
) -> Result<HeaderValue, Fault> {
    let settings = client.settings();
    let basic = basic(&settings.credentials, settings.registry.as_str()).await?;
    match challenge {
        Challenge::Basic => basic.ok_or(Fault::Unauthorized),
        Challenge::Bearer { realm, service } => {
            let uri = realm_url(client, realm, service.as_deref(), repository)?;
            let answer = client.once(&Method::GET, &uri, &HeaderMap::new(), basic.as_ref()).await?;
            if !answer.status().is_success() {
                return Err(if answer.status().is_server_error() {
                    Fault::Status(answer.status().as_u16())
                } else {
                    Fault::Unauthorized
                });
            }
            let body = read(answer, limits::TOKEN_BODY_BYTES).await.map_err(|_| Fault::Unauthorized)?;
            let (value, life) = token(&body)?;
            tokens.keep(repository, value.clone(), life);
            Ok(value)
        }
    }
}

fn realm_url(client: &Client, realm: &str, service: Option<&str>, repository: &Repository) -> Result<Uri, Fault> {
    let settings = client.settings();
    let parsed: Uri = realm.parse().map_err(|_| Fault::RealmRefused)?;
    let host = parsed.host().ok_or(Fault::RealmRefused)?;
    let own = settings.urls.iter().filter_map(|url| url.parse::<Uri>().ok()).collect::<Vec<_>>();
    let own_host = own.iter().any(|url| url.authority().map(|a| a.as_str()) == parsed.authority().map(|a| a.as_str()));
    let listed = settings.token_hosts.iter().any(|listed| listed == host);
    let plain = parsed.scheme_str() == Some("http") && own.iter().any(|url| url.scheme_str() == Some("http"));
    let user_info = parsed.authority().is_some_and(|authority| authority.as_str().contains('@'));
    if !(own_host || listed) || user_info || !(plain || parsed.scheme_str() == Some("https")) {
        return Err(Fault::RealmRefused);
    }
    client.may_dial(&parsed, Fault::RealmRefused)?;
    let encode = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
    let scope = encode(&format!("repository:{}:pull", repository.path()));
    let joint = if parsed.query().is_some() { '&' } else { '?' };
    let service = service.map(|service| format!("service={}&", encode(service))).unwrap_or_default();
    format!("{realm}{joint}{service}scope={scope}").parse().map_err(|_| Fault::RealmRefused)
}

fn token(body: &[u8]) -> Result<(HeaderValue, Duration), Fault> {
    let value = strict_json::parse(body).map_err(|_| Fault::Unauthorized)?;
    let text = ["token", "access_token"].iter().find_map(|key| value.get(key)?.as_str()).ok_or(Fault::Unauthorized)?;
    if text.len() > limits::TOKEN_BYTES {
        return Err(Fault::Unauthorized);
    }
    let claimed = value.get("expires_in").and_then(serde_json::Value::as_i64).unwrap_or(60);
    let life = Duration::from_secs(u64::try_from(claimed).unwrap_or(0)).clamp(limits::TOKEN_LIFE_MIN, limits::TOKEN_LIFE_MAX);
    let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| Fault::Unauthorized)?;
    header.set_sensitive(true);
    // A tenth early, so that none runs out on its way.
    Ok((header, life - life / 10))
}

async fn basic(credentials: &Credentials, registry: &str) -> Result<Option<HeaderValue>, Fault> {
    let pair = match credentials {
        Credentials::Anonymous => None,
        Credentials::Basic { username, password } => Some((username.clone(), password.reveal().to_owned())),
        Credentials::DockerConfig { text } => docker_config(text.reveal().to_owned(), registry.to_owned()).await?,
    };
    let Some((username, password)) = pair else { return Ok(None) };
    let encoded = base64::engine::general_purpose::STANDARD.encode(format!("{username}:{password}"));
    let mut header = HeaderValue::try_from(format!("Basic {encoded}")).map_err(|_| Fault::Unauthorized)?;
    header.set_sensitive(true);
    Ok(Some(header))
}

/// Looks a registry up in a docker config; a credential helper has its time (A415).
async fn docker_config(text: String, registry: String) -> Result<Option<(String, String)>, Fault> {
    let names = match registry.as_str() {
        // The one registry whose key is not its name.
        "docker.io" => vec!["https://index.docker.io/v1/".to_owned(), registry],
        _ => vec![format!("https://{registry}"), registry],
    };
    let look = move || {
        names.iter().find_map(|name| docker_credential::get_credential_from_reader(text.as_bytes(), name).ok())
    };
    let found = tokio::time::timeout(limits::CREDENTIAL_HELPER, tokio::task::spawn_blocking(look)).await;
    match found.map_err(|_| Fault::Unauthorized)?.map_err(|_| Fault::Unauthorized)? {
        Some(docker_credential::DockerCredential::UsernamePassword(username, password)) => Ok(Some((username, password))),
        // An identity token is exchanged by another grant than the gate's; without it the pull is anonymous.
        Some(docker_credential::DockerCredential::IdentityToken(_)) | None => Ok(None),
    }
}
