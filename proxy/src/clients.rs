//! Who a client is, as far as it was proven, and what it may read (`[clients]`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use pullgate_policy::code::Code;
use pullgate_policy::decide::shape_denial;
use pullgate_policy::oci::Repository;
use pullgate_policy::readers::Readers;

use crate::app::App;
use crate::clock::Clock;
use crate::health::Condition;
use crate::refusal::Refusal;

mod group;
mod header;
mod keys;
mod names;
mod passwords;
mod secret;
mod tokens;
mod turns;

pub use group::Group;
pub use header::hide;
pub use names::of_certificate;

use header::Offered;
use passwords::Passwords;
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
    readers: Readers,
    passwords: Passwords,
    tokens: Tokens,
}

/// An issuer of `clients.oidc` cannot be asked as it is configured.
#[derive(Debug, thiserror::Error)]
#[error("clients.oidc: {0}")]
pub struct SetupFault(&'static str);

/// How long a token that verified is not verified again.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// How long a token waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);
/// How often the refresh of an issuer is checked.
const TICK: Duration = Duration::from_secs(10);

impl Clients {
    /// Takes the settings of a load. Keys that were fetched under the load before count on, and what was proven then.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn new(settings: pullgate_config::Clients, before: Option<&Self>) -> Result<Self, SetupFault> {
        let tokens =
            Tokens::new(&settings.issuers, before.map(|before| &before.tokens)).map_err(SetupFault)?;
        let passwords = Passwords::new(&settings.passwords, before.map(|before| &before.passwords));
        Ok(Self { readers: settings.readers, passwords, tokens })
    }

    /// The names that a request proves: its certificate's, and that of its password or token.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when a password or token is wrong, or nothing is proven at all; undecided where it
    /// cannot be told whether a token is.
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
                names.extend(self.named(clock, Group::of(peer.address.ip()), offered).await?);
            }
            _ => return Err(Refusal::Unauthenticated),
        }
        if names.is_empty() { Err(Refusal::Unauthenticated) } else { Ok(names) }
    }

    /// A token first, whatever name stands before it: else how long it takes would tell which names have passwords (A549).
    async fn named(&self, clock: &Clock, from: Group, offered: Offered) -> Result<Vec<String>, Refusal> {
        if let Some(token) = offered.token() {
            match self.tokens.prove(clock, token).await {
                Ok(names) => return Ok(names),
                Err(Unproven::Undecided(code)) => return Err(Refusal::undecided(code)),
                Err(Unproven::Refused) => {}
            }
        }
        match offered {
            Offered::Basic { name, password } => {
                self.passwords.verify(from, &name, password).await?;
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
        if self.readers.allow(names, repository) {
            return Ok(());
        }
        Err(Refusal::Denied(Box::new(shape_denial(Code::ClientNotAllowed))))
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
