//! An upstream on loopback that sends whatever bytes a test wants.

use std::net::SocketAddr;
use std::sync::Arc;

use parking_lot::Mutex;
use pullgate_config::Credentials;
use pullgate_policy::oci::Digest;
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use crate::tunnel::Proxies;
use crate::{Settings, Upstream};

/// A listener that answers each request by a function of its head, and closes the connection.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    heads: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(super) async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        Self::start_on("127.0.0.1", answer).await
    }

    pub(super) async fn start_on(
        host: &str,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::listen(host, None, answer).await
    }

    /// One that speaks TLS, too, on the same port, to whoever begins so.
    pub(super) async fn start_both(
        acceptor: TlsAcceptor,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        Self::listen("127.0.0.1", Some(acceptor), answer).await
    }

    async fn listen(
        host: &str,
        acceptor: Option<TlsAcceptor>,
        answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((host, 0)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let heads = Arc::new(Mutex::new(Vec::new()));
        let (seen, answer) = (Arc::clone(&heads), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (seen, answer, acceptor) = (Arc::clone(&seen), Arc::clone(&answer), acceptor.clone());
                tokio::spawn(async move {
                    let mut first = [0];
                    // A record of TLS begins with its type: 22 is a handshake.
                    let _ = stream.peek(&mut first).await;
                    match acceptor {
                        Some(acceptor) if first == [22] => {
                            if let Ok(stream) = acceptor.accept(stream).await {
                                exchange(stream, &seen, &*answer).await;
                            }
                        }
                        Some(_) | None => exchange(stream, &seen, &*answer).await,
                    }
                });
            }
        });
        Self { address, heads }
    }

    /// The request heads so far.
    pub(super) fn heads(&self) -> Vec<String> {
        self.heads.lock().clone()
    }

    pub(super) fn count(&self, part: &str) -> usize {
        self.heads().iter().filter(|head| head.contains(part)).count()
    }

    pub(super) fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    pub(super) fn upstream(&self) -> Upstream {
        self.upstream_with(|_| {})
    }

    pub(super) fn upstream_with(&self, change: impl FnOnce(&mut pullgate_config::Upstream)) -> Upstream {
        upstream(&self.url(), change)
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    seen: &Mutex<Vec<String>>,
    answer: &(dyn Fn(&str) -> Vec<u8> + Sync),
) {
    let mut head = Vec::new();
    // What begins without a letter is TLS, and is answered as if it were not.
    while !head.windows(4).any(|window| window == b"\r\n\r\n")
        && head.first().is_none_or(u8::is_ascii_alphabetic)
    {
        match stream.read_buf(&mut head).await {
            Ok(read) if read > 0 => {}
            _ => break,
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    seen.lock().push(head.clone());
    // A client that hangs up is no fault of this end.
    let _ = stream.write_all(&answer(&head)).await;
    let _ = stream.shutdown().await;
}

pub(super) fn upstream(url: &str, change: impl FnOnce(&mut pullgate_config::Upstream)) -> Upstream {
    upstream_via(url, Proxies::default(), change)
}

pub(super) fn upstream_via(
    url: &str,
    proxies: Proxies,
    change: impl FnOnce(&mut pullgate_config::Upstream),
) -> Upstream {
    let mut table = table(url);
    change(&mut table);
    let settings = Settings::of(&"r.example".parse().unwrap(), &table).unwrap();
    Upstream::new(Settings { proxies, ..settings }).unwrap()
}

/// What the configuration says of an upstream with no more than its URL.
pub(crate) fn table(url: &str) -> pullgate_config::Upstream {
    pullgate_config::Upstream {
        urls: vec![url.to_owned()],
        aliases: Vec::new(),
        ca_pem: None,
        client_cert_pem: None,
        prefix: None,
        redirect_hosts: Vec::new(),
        token_hosts: Vec::new(),
        credentials: Credentials::Anonymous,
        logins: std::collections::BTreeMap::new(),
        evidence: None,
        first_byte: None,
        first_byte_blob: None,
    }
}

/// An answer with these lines after the status line.
pub(super) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let mut bytes = format!("HTTP/1.1 {status}\r\n{lines}connection: close\r\n\r\n").into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// An answer with its length.
pub(super) fn whole(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let length = format!("content-length: {}", body.len());
    answer(status, &[headers, &[length.as_str()]].concat(), body)
}

pub(super) fn redirect(to: &str) -> Vec<u8> {
    whole("307 Temporary Redirect", &[&format!("location: {to}")], b"")
}

pub(super) fn claimed(body: &[u8]) -> String {
    format!("docker-content-digest: {}", Digest::of(body))
}
