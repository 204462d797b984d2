//! Tokens: one repository's is never sent for another (A167).

use std::collections::HashMap;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};

use crate::limits;
use http::HeaderValue;
use pullgate_policy::oci::Repository;
use pullgate_policy::strict_json;
use serde_json::Value;
use tokio::time::Instant;

use crate::fault::Fault;
use crate::origin::Origin;

/// Tokens remembered for one upstream.
const TOKENS_MAX: usize = 4_096;
/// How long a token lives that does not say (distribution, "Token Response Fields").
const LIFE_UNSAID: i64 = 60;

/// A header that a repository's upstream accepts, and how long.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Token {
    pub(super) header: HeaderValue,
    pub(super) life: Duration,
}

impl Token {
    /// Reads the answer of a token service.
    ///
    /// # Errors
    /// [`Fault::Unauthorized`] when it holds no usable token.
    pub(super) fn read(body: &[u8]) -> Result<Self, Fault> {
        let value = strict_json::parse(body).map_err(|_| Fault::Unauthorized)?;
        // The first of the two names with a value.
        let text = ["token", "access_token"]
            .iter()
            .filter_map(|key| value.get(key)?.as_str())
            .find(|text| !text.is_empty());
        let sendable = |text: &&str| {
            let bytes = 1..=limits::TOKEN_BYTES;
            bytes.contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_graphic())
        };
        let text = text.filter(sendable).ok_or(Fault::Unauthorized)?;
        let mut header = HeaderValue::try_from(format!("Bearer {text}")).map_err(|_| Fault::Unauthorized)?;
        header.set_sensitive(true);
        let claimed = value.get("expires_in").and_then(Value::as_i64).unwrap_or(LIFE_UNSAID);
        let claimed = Duration::from_secs(u64::try_from(claimed).unwrap_or(0));
        // A tenth early, so that a token does not expire on its way.
        let life = (claimed - claimed / 10).clamp(limits::TOKEN_LIFE_MIN, limits::TOKEN_LIFE_MAX);
        Ok(Self { header, life })
    }
}

/// The tokens of one upstream, by repository: of the upstream itself, or of the hosts that its redirects lead to.
#[derive(Default)]
pub(super) struct Tokens(Mutex<HashMap<Repository, Kept>>);

/// A token that is remembered.
struct Kept {
    header: HeaderValue,
    /// The only host that gets it.
    host: Origin,
    since: Instant,
    ends: Instant,
}

impl Tokens {
    /// A token that still lives, and the host that asked for it.
    pub(super) fn find(&self, repository: &Repository, now: Instant) -> Option<(Origin, HeaderValue)> {
        let tokens = self.lock();
        let kept = tokens.get(repository).filter(|kept| now < kept.ends)?;
        Some((kept.host.clone(), kept.header.clone()))
    }

    /// Remembers a token while there is room.
    pub(super) fn keep(&self, repository: &Repository, token: Token, host: Origin, now: Instant) {
        let mut tokens = self.lock();
        if tokens.len() >= TOKENS_MAX {
            tokens.retain(|_, kept| now < kept.ends);
        }
        if tokens.len() < TOKENS_MAX || tokens.contains_key(repository) {
            let kept = Kept { header: token.header, host, since: now, ends: now + token.life };
            tokens.insert(repository.clone(), kept);
        }
    }

    /// Whether this very token was got so long ago.
    pub(super) fn is_older(
        &self,
        repository: &Repository,
        sent: &HeaderValue,
        age: Duration,
        now: Instant,
    ) -> bool {
        self.lock().get(repository).is_some_and(|kept| kept.header == *sent && now >= kept.since + age)
    }

    /// Forgets a token that was refused, but not one that has taken its place since.
    pub(super) fn forget(&self, repository: &Repository, refused: &HeaderValue) {
        let mut tokens = self.lock();
        if tokens.get(repository).is_some_and(|kept| kept.header == *refused) {
            tokens.remove(repository);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Repository, Kept>> {
        self.0.lock()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn home() -> Origin {
        Origin::of(&"https://r.io".parse().unwrap()).unwrap()
    }

    fn token(text: &'static str, life: Duration) -> Token {
        Token { header: HeaderValue::from_static(text), life }
    }

    #[test]
    fn a167_a_token_is_for_one_repository_and_its_time() {
        let (tokens, now, life) = (Tokens::default(), Instant::now(), Duration::from_secs(10));
        let (a, b): (Repository, Repository) = ("r.io/a".parse().unwrap(), "r.io/b".parse().unwrap());
        tokens.keep(&a, token("one", life), home(), now);
        assert!(tokens.find(&a, now).is_some() && tokens.find(&b, now).is_none());
        assert!(tokens.find(&"r.io/a/b".parse().unwrap(), now).is_none());
        assert!(tokens.find(&a, now + life).is_none());
        tokens.forget(&a, &HeaderValue::from_static("other"));
        assert!(tokens.find(&a, now).is_some());
        tokens.forget(&a, &HeaderValue::from_static("one"));
        assert!(tokens.find(&a, now).is_none());
    }

    #[test]
    fn tokens_have_a_most() {
        let (tokens, now, life) = (Tokens::default(), Instant::now(), Duration::from_secs(10));
        let name = |n: usize| format!("r.io/a{n}").parse::<Repository>().unwrap();
        for n in 0..=TOKENS_MAX {
            tokens.keep(&name(n), token("one", life), home(), now);
        }
        assert!(
            tokens.find(&name(TOKENS_MAX - 1), now).is_some()
                && tokens.find(&name(TOKENS_MAX), now).is_none()
        );
        tokens.keep(&name(0), token("two", life), home(), now);
        assert_eq!(tokens.find(&name(0), now).unwrap(), (home(), HeaderValue::from_static("two")));
        tokens.keep(&name(TOKENS_MAX), token("one", life), home(), now + life);
        assert!(tokens.find(&name(TOKENS_MAX), now + life).is_some());
    }

    #[test]
    fn a167_a_life_is_cut_to_its_limits() {
        for (claimed, seconds) in [
            ("300", 270),
            ("-1", limits::TOKEN_LIFE_MIN.as_secs()),
            ("0", limits::TOKEN_LIFE_MIN.as_secs()),
            ("315360000", limits::TOKEN_LIFE_MAX.as_secs()),
            ("9223372036854775807", limits::TOKEN_LIFE_MAX.as_secs()),
            ("null", 54),
            ("\"300\"", 54),
            ("1.5", 54),
        ] {
            let body = format!(r#"{{"token":"t","expires_in":{claimed}}}"#);
            assert_eq!(Token::read(body.as_bytes()).unwrap().life, Duration::from_secs(seconds), "{claimed}");
        }
    }

    #[test]
    fn a167_what_is_no_token_is_not_sent() {
        let read = |text: &str| Token::read(format!(r#"{{"access_token":"{text}"}}"#).as_bytes());
        assert_eq!(read("t").unwrap().header, "Bearer t");
        assert!(read(&"t".repeat(limits::TOKEN_BYTES)).is_ok());
        for text in [&"t".repeat(limits::TOKEN_BYTES + 1), "", "a b", "a\\nb", "\u{e9}"] {
            assert_eq!(read(text), Err(Fault::Unauthorized));
        }
        let either = Token::read(br#"{"token":"","access_token":"t"}"#);
        assert_eq!(either.unwrap().header, "Bearer t");
        for body in ["", "{}", "[]", r#"{"token":1}"#, r#"{"token":"a","token":"b"}"#, "<html>"] {
            assert_eq!(Token::read(body.as_bytes()), Err(Fault::Unauthorized), "{body}");
        }
    }
}
