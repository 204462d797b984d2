//! The proven names of a client, and the repositories that it may read (`[clients]`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use http::HeaderMap;
use http::header::AUTHORIZATION;
use jiff::Timestamp;
use pullgate_policy::code::Code;
use pullgate_policy::decide::shape_denial;
use pullgate_policy::oci::Repository;
use pullgate_policy::readers::Readers;

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
    /// The names that its certificate proves; empty without one.
    pub names: Arc<[String]>,
}

/// The clients of one load of the configuration.
pub struct Clients {
    readers: Readers,
    passwords: Passwords,
    tokens: Tokens,
}

/// Why the settings of clients cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// An issuer of `clients.oidc` cannot be asked as it is configured.
    #[error("clients.oidc: {0}")]
    Issuer(&'static str),
    /// Without random bytes there is no key for the memory of proven passwords and tokens.
    #[error("clients: the host gives no random bytes")]
    Random(#[from] aws_lc_rs::error::Unspecified),
}

/// How long a token that verified is not verified again.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// How long a token waits for keys.
const PATIENCE: Duration = Duration::from_secs(5);

impl Clients {
    /// Takes the settings of a load. Keys and proofs from the previous load still count.
    ///
    /// # Errors
    /// [`SetupFault`].
    pub fn new(settings: pullgate_config::Clients, before: Option<&Self>) -> Result<Self, SetupFault> {
        let tokens = Tokens::new(&settings.issuers, before.map(|before| &before.tokens))?;
        let passwords = Passwords::new(&settings.passwords, before.map(|before| &before.passwords))?;
        Ok(Self { readers: settings.readers, passwords, tokens })
    }

    /// The names that a request proves: its certificate's, and that of its password or token.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when a password or token is wrong, or no name is proven; undecided where a token
    /// cannot be checked.
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

    /// Refuses a repository that the client may not read, before the upstream is asked whether it exists (A063).
    ///
    /// # Errors
    /// A denial with [`Code::ClientNotAllowed`].
    pub fn may_read(&self, names: &[String], repository: &Repository) -> Result<(), Refusal> {
        if self.readers.allow(names, repository) {
            return Ok(());
        }
        Err(Refusal::Denied(Box::new(shape_denial(Code::ClientNotAllowed))))
    }

    /// Fetches the keys of issuers that are due.
    pub async fn refresh(&self, clock: &Clock) {
        self.tokens.refresh(clock).await;
    }

    /// What `/readyz` says of issuers.
    #[must_use]
    pub fn condition(&self, now: Timestamp) -> Condition {
        let failing = self.tokens.failing(now);
        let said: Vec<String> = failing
            .into_iter()
            .map(|(name, why, counts)| match counts {
                Counts::Yes => format!("the keys of issuer \"{name}\" are not the newest ({why})"),
                Counts::No => format!("no token of issuer \"{name}\" can be checked ({why})"),
            })
            .collect();
        if said.is_empty() { Condition::Good } else { Condition::Degraded(said.join("; ")) }
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}
