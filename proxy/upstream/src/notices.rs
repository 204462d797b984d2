//! Realms, redirects and certificates of an upstream that were refused, for the operator alone: a line in the log once
//! a minute for each host, and in `pullgate verify`. Clients do not see them (A170).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use pullgate_policy::oci::Registry;
use pullgate_policy::text;
use tokio::time::Instant;

/// How long a refusal of the same host is not logged again.
const QUIET: Duration = Duration::from_secs(60);
/// Hosts that are remembered.
const HOSTS_MAX: usize = 256;
/// The longest name of a host that is shown, bytes.
const HOST_BYTES: usize = 255;

/// Refusals of late, by kind and host.
pub(super) struct Notices {
    registry: Registry,
    said: Mutex<HashMap<(What, String), Instant>>,
}

/// What was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum What {
    Realm,
    Redirect,
    Tls(TlsCause),
}

/// Why a handshake failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum TlsCause {
    /// The certificate is one of an authority.
    Authority,
    /// The certificate ran out.
    Expired,
    /// The certificate does not count yet.
    NotYetValid,
    /// The certificate is for other names.
    OtherName,
    /// Anything else of the handshake.
    Other,
    /// No trusted authority issued it.
    UnknownIssuer,
}

impl Notices {
    pub(super) fn of(registry: &Registry) -> Self {
        Self { registry: registry.clone(), said: Mutex::default() }
    }

    /// A token service that is not asked.
    pub(super) fn realm(&self, host: &str) {
        self.say(What::Realm, host);
    }

    /// A redirect that is not followed.
    pub(super) fn redirect(&self, host: &str) {
        self.say(What::Redirect, host);
    }

    /// A handshake that failed.
    pub(super) fn tls(&self, cause: TlsCause, host: &str) {
        self.say(What::Tls(cause), host);
    }

    /// The refusals so far, one sentence for each.
    pub(super) fn sentences(&self) -> Vec<String> {
        let mut sentences: Vec<_> =
            self.lock().keys().map(|(what, host)| sentence(*what, host, &self.registry)).collect();
        sentences.sort();
        sentences
    }

    fn say(&self, what: What, host: &str) {
        let host = text::line(host, HOST_BYTES);
        let now = Instant::now();
        let mut said = self.lock();
        if said.len() >= HOSTS_MAX {
            said.retain(|_, at| now.duration_since(*at) < QUIET);
        }
        if said.len() >= HOSTS_MAX
            || said.get(&(what, host.clone())).is_some_and(|at| now.duration_since(*at) < QUIET)
        {
            return;
        }
        tracing::warn!(registry = %self.registry, "{}", sentence(what, &host, &self.registry));
        said.insert((what, host), now);
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(What, String), Instant>> {
        self.said.lock()
    }
}

fn sentence(what: What, host: &str, registry: &Registry) -> String {
    match what {
        What::Realm => format!(
            "the token service {host} is not asked; if it is the registry's own, list its host in `token_hosts` of [upstream.\"{registry}\"], with https://"
        ),
        What::Redirect => format!(
            "a redirect to {host} is not followed; if it is right, list its host in `redirect_hosts` of [upstream.\"{registry}\"]; an object store without TLS as \"http://HOST\", for blobs only"
        ),
        What::Tls(cause) => {
            let why = match cause {
                TlsCause::Authority => {
                    "its certificate is one of an authority (CA:TRUE); `ca` may name that very certificate"
                }
                TlsCause::Expired => "its certificate ran out",
                TlsCause::NotYetValid => "its certificate is not valid yet",
                TlsCause::OtherName => "its certificate is for another name",
                TlsCause::Other => "the handshake failed",
                TlsCause::UnknownIssuer => "no trusted authority issued its certificate; `ca` may name one",
            };
            format!("TLS with {host} failed: {why}")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_host_is_named_once_a_minute_in_one_line() {
        let notices = Notices::of(&"r.io".parse().unwrap());
        for _ in 0..3 {
            notices.realm("auth.example");
            notices.tls(TlsCause::Expired, "evil.example\nadmin logged in");
        }
        let sentences = notices.sentences();
        assert_eq!(sentences.len(), 2, "{sentences:?}");
        assert!(sentences.iter().any(|one| one.contains("auth.example") && one.contains("`token_hosts`")));
        assert!(sentences.iter().all(|one| !one.contains('\n')), "{sentences:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn hosts_have_a_most_and_old_ones_make_room() {
        let notices = Notices::of(&"r.io".parse().unwrap());
        for n in 0..=HOSTS_MAX {
            notices.redirect(&format!("h{n}.example"));
        }
        assert_eq!(notices.sentences().len(), HOSTS_MAX);
        tokio::time::advance(QUIET).await;
        notices.redirect("new.example");
        assert_eq!(notices.sentences().len(), 1);
    }
}
