//! An issuer of tokens on loopback, in this process: keys that a test makes and publishes, and tokens by them.
#![expect(clippy::expect_used, reason = "a test without an issuer of its own cannot go on")]

use std::net::SocketAddr;
use std::sync::Arc;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use parking_lot::{Mutex, MutexGuard};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;

/// Where its keys are.
pub const KEYS: &str = "/keys";
/// Where its discovery document is.
pub const DISCOVERY: &str = "/.well-known/openid-configuration";

/// An issuer that listens until it is dropped.
#[derive(Debug)]
pub struct Issuer {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    task: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct State {
    /// The body of the keys.
    keys: String,
    /// In place of the usual discovery document.
    discovery: Option<String>,
    answering: Answering,
    asked: Vec<String>,
}

/// How it answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Answering {
    /// As it should.
    #[default]
    Well,
    /// 500 to everything.
    Badly,
    /// To another place, with 302.
    Elsewhere,
    /// Not at all, while the connection stays open.
    Never,
}

impl Issuer {
    /// Begins to listen, without keys.
    pub async fn start() -> Self {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state =
            Arc::new(Mutex::new(State { keys: json!({ "keys": [] }).to_string(), ..State::default() }));
        let shared = Arc::clone(&state);
        let task = tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, address, Arc::clone(&shared)));
            }
        });
        Self { address, state, task }
    }

    /// `iss` of its tokens.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Publishes these keys in place of the others.
    pub fn publish(&self, keys: &[Value]) {
        self.lock().keys = json!({ "keys": keys }).to_string();
    }

    /// Publishes this text where the keys should be.
    pub fn publish_text(&self, text: &str) {
        text.clone_into(&mut self.lock().keys);
    }

    /// Has this discovery document.
    pub fn discovery(&self, document: &Value) {
        self.lock().discovery = Some(document.to_string());
    }

    /// Answers so from now on.
    pub fn answers(&self, answering: Answering) {
        self.lock().answering = answering;
    }

    /// How often a path was asked for.
    #[must_use]
    pub fn count(&self, path: &str) -> usize {
        self.lock().asked.iter().filter(|asked| *asked == path).count()
    }

    /// Claims that the gate wants: of the subject `ci`, for the audience `gate`, for ten minutes from `now` on.
    #[must_use]
    pub fn claims(&self, now: i64) -> Value {
        json!({ "iss": self.url(), "aud": "gate", "sub": "ci", "iat": now, "nbf": now, "exp": now + 600 })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock()
    }
}

impl Drop for Issuer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn answer(mut stream: TcpStream, address: SocketAddr, state: Arc<Mutex<State>>) {
    let mut head = vec![0; 8192];
    let read = stream.read(&mut head).await.unwrap_or_default();
    let head = String::from_utf8_lossy(head.get(..read).unwrap_or_default()).into_owned();
    let path = head.split(' ').nth(1).unwrap_or_default().to_owned();
    let (answering, body) = {
        let mut state = state.lock();
        state.asked.push(path.clone());
        let usual =
            json!({ "issuer": format!("http://{address}"), "jwks_uri": format!("http://{address}{KEYS}") });
        let body = match path.as_str() {
            DISCOVERY => Some(state.discovery.clone().unwrap_or_else(|| usual.to_string())),
            KEYS => Some(state.keys.clone()),
            _ => None,
        };
        (state.answering, body)
    };
    let (status, more, body) = match (answering, body) {
        (Answering::Never, _) => return std::future::pending().await,
        (Answering::Badly, _) => ("500 Internal Server Error", String::new(), String::new()),
        (Answering::Elsewhere, _) => {
            ("302 Found", format!("location: http://{address}{KEYS}\r\n"), String::new())
        }
        (Answering::Well, Some(body)) => ("200 OK", String::new(), body),
        (Answering::Well, None) => ("404 Not Found", String::new(), String::new()),
    };
    let length = body.len();
    let text =
        format!("HTTP/1.1 {status}\r\n{more}content-length: {length}\r\nconnection: close\r\n\r\n{body}");
    // A client that hangs up is no fault of this end.
    let _ = stream.write_all(text.as_bytes()).await;
    let _ = stream.shutdown().await;
}

/// An ECDSA P-256 key of an issuer.
#[derive(Debug)]
pub struct TokenKey {
    id: String,
    pair: EcdsaKeyPair,
}

impl TokenKey {
    /// A new key under this id.
    #[must_use]
    pub fn new(id: &str) -> Self {
        let pair = EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).expect("random bytes");
        Self { id: id.to_owned(), pair }
    }

    /// Its public half, as an issuer publishes it.
    #[must_use]
    pub fn jwk(&self) -> Value {
        let point = self.pair.public_key().as_ref();
        let part = |range: std::ops::Range<usize>| encoded(point.get(range).unwrap_or_default());
        json!({ "kty": "EC", "crv": "P-256", "use": "sig", "kid": self.id, "x": part(1..33), "y": part(33..65) })
    }

    /// A token of these claims.
    #[must_use]
    pub fn token(&self, claims: &Value) -> String {
        self.token_under(&json!({ "alg": "ES256", "typ": "JWT", "kid": self.id }), &claims.to_string())
    }

    /// A token of this header and this text of claims, signed by this key whatever the header says.
    #[must_use]
    pub fn token_under(&self, header: &Value, claims: &str) -> String {
        let signed = format!("{}.{}", encoded(header.to_string()), encoded(claims));
        let signature = self.pair.sign(&SystemRandom::new(), signed.as_bytes()).expect("a signature");
        format!("{signed}.{}", encoded(signature))
    }
}

/// Unpadded base64url.
pub fn encoded(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}
