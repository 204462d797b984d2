//! Answering challenges: once for each request, with one call to the token service for all requests that wait for the
//! same token (A164 to A169).

use std::sync::Arc;
use std::time::Duration;

use crate::limits;
use http::HeaderValue;
use pullgate_policy::oci::Repository;
use tokio::time::Instant;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::credentials::{Login, Sources};
use crate::fault::Fault;
use crate::origin::{Listed, Origin, Scheme};
use crate::realm::Realm;
use crate::settings::Settings;
use crate::single_flight::SingleFlight;
use crate::token::{Token, Tokens};

/// The least age of a login at which a 403 may mean that it expired: a younger one lacks the permission.
const LOGIN_FRESH: Duration = Duration::from_secs(5);

/// The way into one upstream.
pub(super) struct Access {
    shared: Arc<Shared>,
    flight: SingleFlight<Repository, Result<HeaderValue, Fault>>,
    /// The key has the host too: a token for one host is never sent to another.
    flight_elsewhere: SingleFlight<(Repository, Origin), Result<HeaderValue, Fault>>,
}

struct Shared {
    client: Arc<Client>,
    sources: Sources,
    /// TLS where any endpoint has it.
    scheme: Scheme,
    token_hosts: Vec<Listed>,
    redirect_hosts: Vec<Listed>,
    tokens: Tokens,
    /// Anonymous ones, of hosts that a redirect led to.
    elsewhere: Tokens,
}

impl Access {
    /// # Errors
    /// What is wrong with the credentials.
    pub(super) fn new(settings: &Settings, client: Arc<Client>) -> Result<Self, &'static str> {
        let sources = Sources::new(settings)?;
        let token_hosts = settings.token_hosts.clone();
        let redirect_hosts = settings.redirect_hosts.clone();
        let is_secure = settings.urls.iter().any(|url| url.scheme == Scheme::Https);
        let scheme = if is_secure { Scheme::Https } else { Scheme::Http };
        let shared = Shared {
            client,
            sources,
            scheme,
            token_hosts,
            redirect_hosts,
            tokens: Tokens::default(),
            elsewhere: Tokens::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            flight: SingleFlight::new(),
            flight_elsewhere: SingleFlight::new(),
        })
    }

    /// The header that was last accepted for this repository.
    pub(super) fn known(&self, repository: &Repository) -> Option<HeaderValue> {
        self.shared.tokens.find(repository, Instant::now()).map(|(_, header)| header)
    }

    /// The anonymous token that the host behind a redirect accepts for this repository, with that host.
    pub(super) fn known_elsewhere(&self, repository: &Repository) -> Option<(Origin, HeaderValue)> {
        self.shared.elsewhere.find(repository, Instant::now())
    }

    /// Forgets a header that was refused, so that it is not sent again.
    pub(super) fn refused(&self, repository: &Repository, sent: &HeaderValue) {
        self.shared.tokens.forget(repository, sent);
    }

    /// As [`Self::refused`], for the host behind a redirect.
    pub(super) fn refused_elsewhere(&self, repository: &Repository, sent: &HeaderValue) {
        self.shared.elsewhere.forget(repository, sent);
    }

    /// Whether the header is a login that may have expired: some registries answer 403 then.
    pub(super) fn may_have_ended(&self, repository: &Repository, sent: &HeaderValue) -> bool {
        let is_login = sent.as_bytes().starts_with(b"Basic ");
        is_login && self.shared.tokens.is_older(repository, sent, LOGIN_FRESH, Instant::now())
    }

    /// Whether the gate has no credentials for this upstream. A credential helper that cannot be asked does not count
    /// as none.
    pub(super) fn is_anonymous(&self, repository: &Repository) -> bool {
        self.shared.sources.are_anonymous(repository)
    }

    /// The header that answers a challenge of the endpoint `home`.
    ///
    /// # Errors
    /// [`Fault::RealmRefused`] for a token service that may not be asked; [`Fault::Unauthorized`] when there is nothing to
    /// answer with.
    pub(super) async fn meet(
        &self,
        repository: &Repository,
        challenge: Challenge,
        home: Origin,
    ) -> Result<HeaderValue, Fault> {
        let (shared, whose) = (Arc::clone(&self.shared), repository.clone());
        let work = move || async move {
            // Another call may have got a token since this request was refused.
            if let Some((_, header)) = shared.tokens.find(&whose, Instant::now()) {
                return Ok(header);
            }
            let token = shared.obtain(&whose, &challenge, &home).await?;
            let header = token.header.clone();
            shared.tokens.keep(&whose, token, home, Instant::now());
            Ok(header)
        };
        self.flight.join(repository.clone(), work).await.unwrap_or(Err(Fault::Internal))
    }

    /// An anonymous token for a registry that a redirect led to: where the configuration lists its host for redirects, and
    /// its token service for tokens. No credential is part of it (A163).
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] where it is not listed or asks for anything else; a fault of its token service.
    pub(super) async fn meet_elsewhere(
        &self,
        repository: &Repository,
        challenge: Challenge,
        host: Origin,
    ) -> Result<HeaderValue, Fault> {
        let Challenge::Bearer { realm, service } = challenge else { return Err(Fault::Unauthorized) };
        if !self.shared.redirect_hosts.iter().any(|one| one.names(&host)) {
            return Err(Fault::Unauthorized);
        }
        if !Realm::is_listed(&realm, &self.shared.token_hosts) {
            self.shared.refuse(&realm);
            return Err(Fault::RealmRefused);
        }
        let name = self.shared.client.name_of(repository);
        // Behind an upstream under TLS nothing is asked in the clear, wherever a redirect led.
        let seen_from = match self.shared.scheme {
            Scheme::Https => Origin { scheme: Scheme::Https, ..host.clone() },
            Scheme::Http => host.clone(),
        };
        let realm = Realm::check(&realm, service.as_deref(), &name, &seen_from, &self.shared.token_hosts)?;
        let shared = Arc::clone(&self.shared);
        let whose = repository.clone();
        let key = (repository.clone(), host.clone());
        let work = move || async move {
            let token = shared.ask(&realm, Login::Anonymous).await?;
            let header = token.header.clone();
            shared.elsewhere.keep(&whose, token, host, Instant::now());
            Ok(header)
        };
        let flight = self.flight_elsewhere.join(key, work).await;
        flight.unwrap_or(Err(Fault::Internal))
    }
}

impl Shared {
    async fn obtain(
        &self,
        repository: &Repository,
        challenge: &Challenge,
        home: &Origin,
    ) -> Result<Token, Fault> {
        match challenge {
            Challenge::Basic => match self.sources.login(repository).await? {
                // Over plain http too, but only to an endpoint that the configuration gives both that URL and these
                // credentials (A168).
                Login::Password(header) => Ok(Token { header, life: limits::TOKEN_LIFE_MAX }),
                Login::Anonymous => Err(Fault::NotShown),
                Login::Identity(_) => Err(Fault::Unauthorized),
            },
            Challenge::Bearer { realm, service } => {
                // First, so that no helper runs and no socket opens for a realm that is not believed.
                let name = self.client.name_of(repository);
                let checked = Realm::check(realm, service.as_deref(), &name, home, &self.token_hosts);
                let checked = checked.inspect_err(|_| self.refuse(realm))?;
                self.ask(&checked, self.sources.login(repository).await?).await
            }
        }
    }

    fn refuse(&self, realm: &str) {
        let host = realm.parse::<http::Uri>().ok().and_then(|url| Origin::of(&url));
        self.client.notices().realm(&host.map_or_else(|| realm.to_owned(), |origin| origin.to_string()));
    }

    async fn ask(&self, realm: &Realm, login: Login) -> Result<Token, Fault> {
        let anonymous = matches!(login, Login::Anonymous);
        let answer = match login {
            Login::Anonymous => self.client.ask_token_service(&realm.for_get()?, None, None).await,
            Login::Password(header) => {
                self.client.ask_token_service(&realm.for_get()?, None, Some(&header)).await
            }
            Login::Identity(token) => {
                let (url, form) = realm.for_post(token.reveal())?;
                self.client.ask_token_service(&url, Some(&form), None).await
            }
        }?;
        match answer.status().as_u16() {
            200 => {}
            status if answer.says_nothing() => return Err(Fault::Status(status)),
            // Without credentials there is no token for a repository that is private or does not exist.
            401 | 403 | 404 if anonymous => return Err(Fault::NotShown),
            _ => return Err(Fault::Unauthorized),
        }
        let body = answer.read(limits::TOKEN_BODY_BYTES).await.map_err(|fault| match fault {
            Fault::Timeout => Fault::Timeout,
            _ => Fault::Unauthorized,
        })?;
        Token::read(&body)
    }
}
