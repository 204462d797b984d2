//! Who a client is, as far as it was proven, and what it may read (`[clients]`).

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::hmac;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::HeaderMap;
use http::header::AUTHORIZATION;
use moka::future::Cache;
use pullgate_policy::code::Code;
use pullgate_policy::decide::shape_denial;
use pullgate_policy::limits;
use pullgate_policy::oci::Repository;
use tokio::sync::Semaphore;

use crate::audit::DecisionId;
use crate::refusal::Refusal;

mod names;

pub use names::of_certificate;

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
    secret: hmac::Key,
    work: Semaphore,
}

/// How long a password that verified is not hashed again.
const KNOWN_FOR: Duration = Duration::from_secs(600);
/// Passwords hashed at once. Who waits longer than for `QUEUE` others is told to come again.
const WORK: usize = 2;
/// A hash of nothing that anybody knows, so that an unknown name takes as long as a known one (A549).
const NOBODY: &str = "$2b$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy";
/// How long a password waits for its turn.
const PATIENCE: Duration = Duration::from_secs(5);

impl Clients {
    /// Takes the settings of a load.
    #[must_use]
    pub fn new(settings: pullgate_config::Clients) -> Self {
        let random = [DecisionId::random(), DecisionId::random()].map(|id| id.as_str().to_owned()).concat();
        let secret = hmac::Key::new(hmac::HMAC_SHA256, random.as_bytes());
        let known = Cache::builder().max_capacity(limits::NEGATIVE_ENTRIES).time_to_live(KNOWN_FOR).build();
        Self { settings, known, secret, work: Semaphore::new(WORK) }
    }

    /// The names that a request proves: its certificate's, and that of its password.
    ///
    /// # Errors
    /// [`Refusal::Unauthenticated`] when a password is wrong, or nothing is proven at all.
    pub async fn prove(&self, peer: &Peer, headers: &HeaderMap) -> Result<Vec<String>, Refusal> {
        let mut names = peer.names.to_vec();
        let offered = headers.get_all(AUTHORIZATION).iter().collect::<Vec<_>>();
        match offered.as_slice() {
            [] => {}
            [one] => {
                let (name, password) = basic(one.as_bytes()).ok_or(Refusal::Unauthenticated)?;
                self.verify(&name, password).await?;
                names.push(name);
            }
            _ => return Err(Refusal::Unauthenticated),
        }
        if names.is_empty() { Err(Refusal::Unauthenticated) } else { Ok(names) }
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
        let key = self.key(&[name.as_bytes(), password.as_bytes(), expected.as_bytes()]);
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

    fn key(&self, parts: &[&[u8]]) -> Vec<u8> {
        let mut context = hmac::Context::with_key(&self.secret);
        for part in parts {
            context.update(&(part.len() as u64).to_be_bytes());
            context.update(part);
        }
        context.sign().as_ref().to_vec()
    }
}

/// Name and password of HTTP Basic (RFC 7617 §2): the first colon parts them.
fn basic(header: &[u8]) -> Option<(String, String)> {
    let text = std::str::from_utf8(header).ok()?;
    let (scheme, encoded) = text.split_once(' ')?;
    if !scheme.eq_ignore_ascii_case("basic") || encoded.len() > limits::CREDENTIAL_TEXT_BYTES {
        return None;
    }
    let decoded = String::from_utf8(STANDARD.decode(encoded.trim()).ok()?).ok()?;
    let (name, password) = decoded.split_once(':')?;
    (!name.is_empty() && !password.contains('\0')).then(|| (name.to_owned(), password.to_owned()))
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clients")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_basic_header_is_read_by_its_grammar_alone() {
        let encoded = |text: &str| format!("Basic {}", STANDARD.encode(text)).into_bytes();
        assert_eq!(basic(&encoded("ci:a:b")), Some(("ci".to_owned(), "a:b".to_owned())));
        assert_eq!(basic(b"basic Y2k6cHc="), Some(("ci".to_owned(), "pw".to_owned())));
        assert_eq!(basic(&encoded("ci:")), Some(("ci".to_owned(), String::new())));
        for wrong in [
            encoded(":pw"),
            encoded("ci"),
            b"Bearer Y2k6cHc=".to_vec(),
            b"Basic".to_vec(),
            b"Basic ???".to_vec(),
        ] {
            assert_eq!(basic(&wrong), None, "{}", String::from_utf8_lossy(&wrong));
        }
        assert_eq!(basic(&encoded("ci:\0")), None);
        assert_eq!(basic(&encoded(&format!("ci:{}", "x".repeat(limits::CREDENTIAL_TEXT_BYTES)))), None);
    }
}
