//! Who a client is, as far as it was proven, and what it may read (`[clients]`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use moka::future::Cache;
use pullgate_policy::code::Code;
use pullgate_policy::decide::shape_denial;
use pullgate_policy::limits;
use pullgate_policy::oci::Repository;
use tokio::sync::Semaphore;

use crate::admin::Condition;
use crate::app::App;
use crate::clock::Clock;
use crate::refusal::Refusal;

mod header;
mod keys;
mod names;
mod secret;
mod tokens;

pub use header::hide;
pub use names::of_certificate;

use header::Offered;
use secret::Secret;
use tokens::{Counts, Tokens, Unproven};

/// The other end of a connection.
#[derive(Debug, Clone)]
pub struct Peer {
    /// Its address.
    pub address: SocketAddr,
    /// The names that its certificate proves; none without one.
    pub names: Arc<[String]>,
}

/// What one load of the configuration says of clients.
pub struct Clients {
    settings: pullgate_config::Clients,
    /// Passwords that verified a while ago, by their keyed hash: bcrypt takes its time, and a node asks often.
    known: Cache<Vec<u8>, ()>,
    secret: Secret,
    work: Semaphore,
    tokens: Tokens,
}

/// An issuer of `clients.oidc` cannot be asked as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("clients.oidc: {0}")]
pub struct SetupFault(&'static str);

/// How long a password or token that verified is not verified again.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// Passwords hashed at once. Who waits longer than for `QUEUE` others is told to come again.
const WORK: usize = 2;
/// A hash of nothing that anybody knows, so that an unknown name takes as long as a known one (A549).
const NOBODY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
/// How long a password waits for its turn, and a token for keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often it is looked whether an issuer is due.
const TICK: Duration = Duration::from_secs(10);

impl Clients {
    /// Takes the settings of a load. Keys that were fetched under the load before count on.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn new(settings: pullgate_config::Clients, before: Option<&Self>) -> Result<Self, SetupFault> {
        let known = Cache::builder().max_capacity(limits::NEGATIVE_ENTRIES).time_to_live(KNOWN_FOR).build();
        let tokens =
            Tokens::new(&settings.issuers, before.map(|before| &before.tokens)).map_err(SetupFault)?;
        Ok(Self { settings, known, secret: Secret::random(), work: Semaphore::new(WORK), tokens })
    }

    /// The names that a request proves: its certificate's, and that of its password or token.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when a password or token is wrong, or nothing is proven at all; undecided where it cannot
    /// be told whether a token is.
    pub async fn prove(
        &self,
        clock: &Clock,
        peer: &Peer,
        headers: &HeaderMap,
    ) -> Result<Vec<String>, Refusal> {
        let mut names = peer.names.to_vec();
        let offered = headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>();
        match offered.as_slice() {
            [] => {}
            [one] => {
                let offered = Offered::read(one.as_bytes()).ok_or(Refusal::Unauthenticated)?;
                names.extend(self.named(clock, offered).await?);
            }
            _ => return Err(Refusal::Unauthenticated),
        }
        if names.is_empty() { Err(Refusal::Unauthenticated) } else { Ok(names) }
    }

    /// A token first, whatever name stands before it: else how long it takes would tell which names have passwords (A549).
    async fn named(&self, clock: &Clock, offered: Offered) -> Result<Vec<String>, Refusal> {
        if let Some(token) = offered.token() {
            match self.tokens.prove(clock, token).await {
                Ok(names) => return Ok(names),
                Err(Unproven::Undecided(code)) => return Err(Refusal::undecided(code)),
                Err(Unproven::Refused) => {}
            }
        }
        match offered {
            // A token that counts for nothing, and no password here that it could be.
            Offered::Basic { .. } if self.tokens.are_taken() && self.settings.passwords.is_empty() => {
                Err(Refusal::Unauthenticated)
            }
            Offered::Basic { name, password } => {
                self.verify(&name, password).await?;
                Ok(vec![name])
            }
            Offered::Bearer(_) => Err(Refusal::Unauthenticated),
        }
    }

    /// Refuses a repository that the client may not read, before anybody is asked whether it exists (A063).
    ///
    /// # Errors
    /// A denial with [`Code::ClientNotAllowed`].
    pub fn may_read(&self, names: &[String], repository: &Repository) -> Result<(), Refusal> {
        if self.settings.readers.allow(names, repository) {
            return Ok(());
        }
        Err(Refusal::Denied(Box::new(shape_denial(Code::ClientNotAllowed))))
    }

    async fn verify(&self, name: &str, password: String) -> Result<(), Refusal> {
        let hash = self.settings.passwords.get(name);
        let expected = hash.map_or(NOBODY, |hash| hash.reveal()).to_owned();
        let key = self.secret.hash(&[name.as_bytes(), password.as_bytes(), expected.as_bytes()]);
        if hash.is_some() && self.known.contains_key(&key) {
            return Ok(());
        }
        let turn = tokio::time::timeout(PATIENCE, self.work.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err(Refusal::undecided(Code::Overload)) };
        let verified = tokio::task::spawn_blocking(move || bcrypt::verify(&password, &expected)).await;
        match verified {
            Ok(Ok(true)) if hash.is_some() => {
                self.known.insert(key, ()).await;
                Ok(())
            }
            Ok(_) => Err(Refusal::Unauthenticated),
            Err(_) => Err(Refusal::undecided(Code::Internal)),
        }
    }
}

/// Fetches the keys of issuers before tokens ask for them, for ever.
pub async fn watch(app: Arc<App>) {
    loop {
        refresh(&app).await;
        tokio::time::sleep(TICK).await;
    }
}

/// Fetches what is due.
pub async fn refresh(app: &App) {
    if let Some(clients) = app.live().clients() {
        clients.tokens.refresh(&app.clock).await;
    }
}

/// What `/readyz` says of issuers.
#[must_use]
pub fn condition(app: &App) -> Condition {
    let live = app.live();
    let failing = live.clients().map(|clients| clients.tokens.failing(app.clock.now())).unwrap_or_default();
    let said: Vec<String> = failing
        .into_iter()
        .map(|(name, why, counts)| match counts {
            Counts::Yes => format!("the keys of issuer \"{name}\" are not the newest ({why})"),
            Counts::No => format!("no token of issuer \"{name}\" can be checked ({why})"),
        })
        .collect();
    if said.is_empty() { Condition::Good } else { Condition::Degraded(said.join("; ")) }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}
