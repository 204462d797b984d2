//! Meeting a challenge: once for each request, and one trip to the token service for all who wait for the same token
//! (A164 to A169).

use std::sync::Arc;

use http::HeaderValue;
use pullgate_policy::limits;
use pullgate_policy::oci::Repository;
use tokio::time::Instant;

use crate::challenge::Challenge;
use crate::client::Client;
use crate::credentials::{Login, Sources};
use crate::fault::Fault;
use crate::origin::{Listed, Origin};
use crate::realm::Realm;
use crate::settings::Settings;
use crate::single_flight::SingleFlight;
use crate::token::{Token, Tokens};

/// The way into one upstream.
pub(super) struct Access {
    shared: Arc<Shared>,
    flight: SingleFlight<Repository, Result<HeaderValue, Fault>>,
}

struct Shared {
    client: Arc<Client>,
    sources: Sources,
    token_hosts: Vec<Listed>,
    tokens: Tokens,
}

impl Access {
    /// # Errors
    /// What is wrong with the credentials.
    pub(super) fn new(settings: &Settings, client: Arc<Client>) -> Result<Self, &'static str> {
        let sources = Sources::new(settings)?;
        let token_hosts = settings.token_hosts.clone();
        let shared = Shared { client, sources, token_hosts, tokens: Tokens::default() };
        Ok(Self { shared: Arc::new(shared), flight: SingleFlight::new() })
    }

    /// What is known to be accepted for this repository.
    pub(super) fn known(&self, repository: &Repository) -> Option<HeaderValue> {
        self.shared.tokens.find(repository, Instant::now())
    }

    /// What was sent and refused is not sent again.
    pub(super) fn refused(&self, repository: &Repository, sent: &HeaderValue) {
        self.shared.tokens.forget(repository, sent);
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
            // Another flight may have landed since this one's request was refused.
            if let Some(header) = shared.tokens.find(&whose, Instant::now()) {
                return Ok(header);
            }
            let token = shared.obtain(&whose, &challenge, &home).await?;
            let header = token.header.clone();
            shared.tokens.keep(&whose, token, Instant::now());
            Ok(header)
        };
        self.flight.join(repository.clone(), work).await.unwrap_or(Err(Fault::Internal))
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
                Login::Anonymous | Login::Identity(_) => Err(Fault::Unauthorized),
            },
            Challenge::Bearer { realm, service } => {
                // First, so that no helper runs and no socket opens for a realm that is not believed.
                let realm = Realm::check(realm, service.as_deref(), repository, home, &self.token_hosts)?;
                self.ask(&realm, self.sources.login(repository).await?).await
            }
        }
    }

    async fn ask(&self, realm: &Realm, login: Login) -> Result<Token, Fault> {
        let answer = match login {
            Login::Anonymous => self.client.ask_token_service(&realm.for_get()?, None, None).await,
            Login::Password(header) => {
                self.client.ask_token_service(&realm.for_get()?, None, Some(&header)).await
            }
            Login::Identity(token) => {
                let (url, form) = realm.for_post(token.reveal())?;
                self.client.ask_token_service(&url, Some(form), None).await
            }
        }?;
        match answer.status().as_u16() {
            200 => {}
            status @ (429 | 500..=599) => return Err(Fault::Status(status)),
            _ => return Err(Fault::Unauthorized),
        }
        let body = answer.read(limits::TOKEN_BODY_BYTES).await.map_err(|fault| match fault {
            Fault::Timeout => Fault::Timeout,
            _ => Fault::Unauthorized,
        })?;
        Token::read(&body)
    }
}
