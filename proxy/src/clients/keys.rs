//! The keys of an issuer: fetched behind the pulls, and at most once for each pause, whatever tokens arrive.

use std::fmt;
use std::sync::Arc;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use jiff::Timestamp;
use pullgate_config::{Issuer, IssuerKeys};
use pullgate_policy::strict_json;
use pullgate_policy::time::later;
use pullgate_verify::{JwkFault, JwkSet};

use crate::clock::Clock;
use crate::upstream::{Fault, Files};
use pullgate_upstream::single_flight::SingleFlight;

/// Below the issuer (OpenID Connect Discovery 1.0, §4).
const DISCOVERY: &str = ".well-known/openid-configuration";

/// The keys of one issuer.
pub(super) struct Keys {
    /// Its name, for logs.
    name: String,
    issuer: String,
    settings: IssuerKeys,
    /// Where they are fetched; nowhere where a file holds them.
    files: Option<Files>,
    state: Mutex<KeysState>,
    flight: SingleFlight<(), ()>,
}

#[derive(Default)]
struct KeysState {
    held: Option<Held>,
    /// How often other keys came into force.
    changes: u64,
    /// When the last fetch began.
    asked: Option<Timestamp>,
    /// Why it failed, if it did.
    failed: Option<Failure>,
}

#[derive(Clone)]
struct Held {
    keys: Arc<JwkSet>,
    /// When they were fetched; they do not age where a file holds them.
    since: Option<Timestamp>,
}

/// Why the keys of an issuer were not fetched. It never quotes the answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum Failure {
    /// The discovery document or the keys are not there.
    #[error("there is no {0}")]
    Absent(&'static str),
    /// The discovery document is not one of this issuer.
    #[error("the discovery document is {0}")]
    Discovery(&'static str),
    /// What should be the keys.
    #[error("{0}")]
    Keys(#[from] JwkFault),
    /// It took too long.
    #[error("no answer within {} s", limits::ISSUER_FETCH.as_secs())]
    Late,
    /// The exchange failed.
    #[error("{}", .0.code())]
    Upstream(#[from] Fault),
}

/// The keys that count at a moment.
pub(super) enum KnownKeys {
    /// No key counts.
    Nothing,
    /// These, and the issuer answered when it was asked last.
    Current(Arc<JwkSet>),
    /// These, and newer ones could not be fetched.
    Last(Arc<JwkSet>),
}

impl Keys {
    /// # Errors
    /// What is wrong with the address or the certificates.
    pub(super) fn new(issuer: &Issuer) -> Result<Self, &'static str> {
        let (files, held) = match &issuer.keys {
            IssuerKeys::Pinned(keys) => (None, Some(Held { keys: Arc::clone(keys), since: None })),
            IssuerKeys::Discovered { ca_pem } => {
                let base = issuer.issuer.trim_end_matches('/');
                (Some(Files::below(base, ca_pem.clone())?), None)
            }
        };
        let (name, address) = (issuer.name.clone(), issuer.issuer.clone());
        let state = Mutex::new(KeysState { held, ..KeysState::default() });
        let settings = issuer.keys.clone();
        Ok(Self { name, issuer: address, settings, files, state, flight: SingleFlight::new() })
    }

    /// Whether these are the keys that `issuer` has, so that a reload need not fetch them again.
    pub(super) fn are_of(&self, issuer: &Issuer) -> bool {
        self.issuer == issuer.issuer && self.settings == issuer.keys
    }

    /// What counts now.
    pub(super) fn known(&self, now: Timestamp) -> KnownKeys {
        let state = self.lock();
        let counts =
            |held: &&Held| held.since.is_none_or(|since| now <= later(since, limits::ISSUER_MAX_AGE));
        match (state.held.as_ref().filter(counts), state.failed) {
            (None, _) => KnownKeys::Nothing,
            (Some(held), None) => KnownKeys::Current(Arc::clone(&held.keys)),
            (Some(held), Some(_)) => KnownKeys::Last(Arc::clone(&held.keys)),
        }
    }

    /// A number that changes whenever the set of keys that count changes.
    pub(super) fn stamp(&self, now: Timestamp) -> u64 {
        match self.known(now) {
            KnownKeys::Nothing => 0,
            KnownKeys::Current(_) | KnownKeys::Last(_) => self.lock().changes.saturating_add(1),
        }
    }

    /// Why the last fetch failed, if it did.
    pub(super) fn failed(&self) -> Option<Failure> {
        self.lock().failed
    }

    /// Whether it is time to ask again: by the hour, and after a failure as soon as may be.
    pub(super) fn due(&self, now: Timestamp) -> bool {
        let state = self.lock();
        let pause = if state.failed.is_some() { limits::ISSUER_PAUSE } else { limits::ISSUER_REFRESH };
        self.files.is_some() && state.asked.is_none_or(|asked| now >= later(asked, pause))
    }

    /// Fetches the keys of the issuer, or joins a fetch under way. Within `issuer_pause` of the last one it does nothing.
    pub(super) async fn refresh(self: &Arc<Self>, clock: &Clock) {
        let (keys, clock) = (Arc::clone(self), clock.clone());
        // A lost flight leaves the keys as they are.
        let _ = self.flight.join((), || async move { keys.ask(&clock).await }).await;
    }

    async fn ask(&self, clock: &Clock) {
        let (Some(files), now) = (&self.files, clock.now()) else { return };
        {
            let mut state = self.lock();
            if state.asked.is_some_and(|asked| now < later(asked, limits::ISSUER_PAUSE)) {
                return;
            }
            state.asked = Some(now);
        }
        let fetched = tokio::time::timeout(limits::ISSUER_FETCH, fetch(files, &self.issuer)).await;
        self.take(fetched.unwrap_or(Err(Failure::Late)), now);
    }

    fn take(&self, fetched: Result<JwkSet, Failure>, now: Timestamp) {
        let mut state = self.lock();
        match fetched {
            Ok(keys) => {
                if state.held.as_ref().is_none_or(|held| *held.keys != keys) {
                    state.changes = state.changes.saturating_add(1);
                    tracing::info!(issuer = %self.name, ?keys, "other keys of an issuer are in force");
                }
                state.held = Some(Held { keys: Arc::new(keys), since: Some(now) });
                state.failed = None;
            }
            Err(why) => {
                if state.failed != Some(why) {
                    tracing::warn!(issuer = %self.name, %why, "the keys of an issuer were not fetched; the last good ones still count");
                }
                state.failed = Some(why);
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, KeysState> {
        self.state.lock()
    }
}

async fn fetch(files: &Files, issuer: &str) -> Result<JwkSet, Failure> {
    let found = files.read(DISCOVERY, pullgate_config::limits::ISSUER_BYTES).await?;
    let uri = keys_of(&found.ok_or(Failure::Absent("discovery document"))?, issuer)?;
    let found = files.read_elsewhere(&uri, pullgate_config::limits::ISSUER_BYTES).await?;
    Ok(JwkSet::parse(&found.ok_or(Failure::Absent("set of keys where the discovery document says"))?)?)
}

/// Where the keys are. The document must be about this very issuer (OpenID Connect Discovery 1.0, §4.3).
fn keys_of(document: &[u8], issuer: &str) -> Result<String, Failure> {
    let read = strict_json::parse(document).map_err(|_| Failure::Discovery("not JSON that is read"))?;
    let text = |name: &str| read.get(name).and_then(serde_json::Value::as_str);
    if text("issuer") != Some(issuer) {
        return Err(Failure::Discovery("that of another issuer"));
    }
    text("jwks_uri").map(str::to_owned).ok_or(Failure::Discovery("without `jwks_uri`"))
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("name", &self.name).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_discovery_document_is_about_its_own_issuer_and_says_where_its_keys_are() {
        let issuer = "https://i.example";
        let good = br#"{"issuer":"https://i.example","jwks_uri":"https://i.example/keys"}"#;
        assert_eq!(keys_of(good, issuer), Ok("https://i.example/keys".to_owned()));
        for wrong in [
            "",
            "[]",
            r#"{"issuer":"https://i.example"}"#,
            r#"{"issuer":"https://i.example/","jwks_uri":"https://i.example/keys"}"#,
            r#"{"issuer":"https://i.example","issuer":"https://i.example","jwks_uri":"https://i.example/keys"}"#,
        ] {
            assert!(matches!(keys_of(wrong.as_bytes(), issuer), Err(Failure::Discovery(_))), "{wrong}");
        }
    }
}
