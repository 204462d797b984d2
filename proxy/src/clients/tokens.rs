//! Names that bearer tokens prove (`clients.oidc`). No token is kept, logged or shown: only its keyed hash is
//! remembered.

use std::sync::Arc;

use crate::limits;
use jiff::Timestamp;
use moka::future::Cache;
use pullgate_config::Issuer;
use pullgate_policy::code::Code;
use pullgate_policy::limits::CLIENT_TOKEN_BYTES;
use pullgate_policy::time::later;
use pullgate_verify::JwkSet;
use pullgate_verify::token::{Proven, Token, TokenFault, Wanted};

use super::keys::{Failure, Keys, KnownKeys};
use super::names::OF_TOKENS;
use super::secret::Secret;
use super::{KNOWN_FOR, PATIENCE, SetupFault};
use crate::clock::{Clock, Plausible};

/// The issuers of one load of the configuration.
pub(super) struct Tokens {
    issuers: Vec<Entry>,
    /// Tokens that verified a while ago, by their keyed hash.
    known: Cache<Vec<u8>, Remembered>,
    secret: Secret,
}

struct Entry {
    settings: Issuer,
    keys: Arc<Keys>,
}

#[derive(Clone)]
struct Remembered {
    names: Arc<[String]>,
    until: Timestamp,
}

/// Why a token proves no name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Unproven {
    /// It counts for nothing.
    Refused,
    /// It cannot be checked now, and may count a moment later.
    Undecided(Code),
}

impl Tokens {
    /// # Errors
    /// [`SetupFault`].
    pub(super) fn new(issuers: &[Issuer], before: Option<&Self>) -> Result<Self, SetupFault> {
        let mut entries: Vec<Entry> = Vec::new();
        for settings in issuers {
            let earlier = before.into_iter().flat_map(|before| &before.issuers);
            let same = entries.iter().chain(earlier).find(|entry| entry.keys.are_of(settings));
            let keys = match same {
                Some(entry) => Arc::clone(&entry.keys),
                None => Arc::new(Keys::new(settings).map_err(SetupFault::Issuer)?),
            };
            entries.push(Entry { settings: settings.clone(), keys });
        }
        let known = Cache::builder().max_capacity(limits::NEGATIVE_ENTRIES).time_to_live(KNOWN_FOR).build();
        Ok(Self { issuers: entries, known, secret: Secret::random()? })
    }

    /// Whether tokens prove anything here.
    pub(super) fn are_taken(&self) -> bool {
        !self.issuers.is_empty()
    }

    /// The names that a token proves: one for each entry that it meets.
    pub(super) async fn prove(&self, clock: &Clock, text: &str) -> Result<Vec<String>, Unproven> {
        // Longer ones are not even hashed.
        if text.len() > CLIENT_TOKEN_BYTES || !self.are_taken() {
            return Err(Unproven::Refused);
        }
        let now = clock.now();
        let key = self.key(text, now);
        if let Some(remembered) = self.known.get(&key).await
            && now < remembered.until
        {
            return Ok(remembered.names.to_vec());
        }
        let token = Token::read(text).map_err(|why| refused("", why))?;
        let mut outcome = Err(Unproven::Refused);
        let mut names = Vec::new();
        let mut until = later(now, KNOWN_FOR);
        for entry in self.issuers.iter().filter(|entry| token.issuer() == Some(&entry.settings.issuer)) {
            match entry.verify(clock, &token).await {
                Ok(proven) => {
                    names.push(format!("{OF_TOKENS}{}:{}", entry.settings.name, proven.name));
                    until = until.min(proven.until);
                }
                Err(undecided @ Unproven::Undecided(_)) => outcome = Err(undecided),
                Err(Unproven::Refused) => {}
            }
        }
        if names.is_empty() {
            return outcome;
        }
        // The verifying key may have been withdrawn meanwhile.
        if self.key(text, now) == key {
            self.known.insert(key, Remembered { names: names.as_slice().into(), until }).await;
        }
        Ok(names)
    }

    /// Of a token under the keys that count now: when those change, it is another one.
    fn key(&self, text: &str, now: Timestamp) -> Vec<u8> {
        let stamps: Vec<u8> =
            self.issuers.iter().flat_map(|entry| entry.keys.stamp(now).to_be_bytes()).collect();
        self.secret.hash(&[text.as_bytes(), &stamps])
    }

    /// Asks every issuer that is due.
    pub(super) async fn refresh(&self, clock: &Clock) {
        let due = self.issuers.iter().filter(|entry| entry.keys.due(clock.now()));
        futures_util::future::join_all(due.map(|entry| entry.keys.refresh(clock))).await;
    }

    /// The issuers that did not answer last time, and whether their tokens still count.
    pub(super) fn failing(&self, now: Timestamp) -> Vec<(String, Failure, Counts)> {
        let told = |entry: &Entry| {
            let counts = match entry.keys.known(now) {
                KnownKeys::Nothing => Counts::No,
                KnownKeys::Current(_) | KnownKeys::Last(_) => Counts::Yes,
            };
            entry.keys.failed().map(|why| (entry.settings.name.clone(), why, counts))
        };
        self.issuers.iter().filter_map(told).collect()
    }
}

/// Whether the tokens of an issuer that does not answer are worth anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Counts {
    No,
    Yes,
}

impl Entry {
    async fn verify(&self, clock: &Clock, token: &Token<'_>) -> Result<Proven, Unproven> {
        if clock.plausible() == Plausible::No {
            return Err(Unproven::Undecided(Code::ClockImplausible));
        }
        let keys = match self.keys.known(clock.now()) {
            KnownKeys::Nothing => Arc::default(),
            KnownKeys::Current(keys) | KnownKeys::Last(keys) => keys,
        };
        match self.check(&keys, token, clock) {
            Err(TokenFault::UnknownKey) => {}
            checked => return checked.map_err(|why| refused(&self.settings.name, why)),
        }
        // The pause between refreshes is shared by all requests; the wait here is each request's own.
        let asked = tokio::time::timeout(PATIENCE, self.keys.refresh(clock)).await;
        let unreachable = Unproven::Undecided(Code::IssuerUnreachable);
        let (keys, unknown) = match (self.keys.known(clock.now()), asked) {
            (KnownKeys::Nothing, _) => return Err(unreachable),
            (KnownKeys::Current(keys), Ok(())) => (keys, Unproven::Refused),
            // It may be by a newer key, which could not be had.
            (KnownKeys::Current(keys), Err(_)) | (KnownKeys::Last(keys), _) => (keys, unreachable),
        };
        self.check(&keys, token, clock).map_err(|why| match refused(&self.settings.name, why) {
            _ if why == TokenFault::UnknownKey => unknown,
            refused => refused,
        })
    }

    fn check(&self, keys: &JwkSet, token: &Token<'_>, clock: &Clock) -> Result<Proven, TokenFault> {
        let Issuer { issuer, audience, claim, .. } = &self.settings;
        token.verify(keys, &Wanted { issuer, audience, claim }, clock.now())
    }
}

fn refused(issuer: &str, why: TokenFault) -> Unproven {
    tracing::debug!(issuer, %why, "a token proves nothing");
    Unproven::Refused
}
