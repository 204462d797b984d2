//! An upstream whose answers a target writes, and a host beside it that nobody may ask.

use std::io::{Read as _, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::Duration;

use parking_lot::{Mutex, MutexGuard};
use pullgate::upstream::{Settings, Upstream};
use pullgate_config::Credentials;
use pullgate_policy::oci::Repository;
use tokio::runtime::Runtime;

/// A client that says nothing for so long is not waited for.
const SILENCE: Duration = Duration::from_secs(20);
/// The longest head that is read, bytes.
const HEAD_MAX: usize = 64 * 1024;

type Answer = Box<dyn Fn(&str) -> Vec<u8> + Send>;

/// Both, and what the upstream was asked.
pub(super) struct Answering {
    home: SocketAddr,
    elsewhere: SocketAddr,
    dialled: Arc<AtomicUsize>,
    shared: Arc<Mutex<Shared>>,
    runtime: Runtime,
}

struct Shared {
    answer: Answer,
    heads: Vec<String>,
}

impl Answering {
    /// The one of this process, for one case.
    pub(super) fn take() -> Result<MutexGuard<'static, Self>, String> {
        static ONE: OnceLock<Result<Mutex<Answering>, String>> = OnceLock::new();
        let one = ONE.get_or_init(|| Self::start().map(Mutex::new).map_err(|error| error.to_string()));
        one.as_ref().map(lock).map_err(Clone::clone)
    }

    fn start() -> std::io::Result<Self> {
        let (home, elsewhere) = (TcpListener::bind("127.0.0.1:0")?, TcpListener::bind("127.0.0.2:0")?);
        let shared = Arc::new(Mutex::new(Shared { answer: Box::new(|_| Vec::new()), heads: Vec::new() }));
        let dialled = Arc::new(AtomicUsize::new(0));
        let answering = Self {
            home: home.local_addr()?,
            elsewhere: elsewhere.local_addr()?,
            dialled: Arc::clone(&dialled),
            shared: Arc::clone(&shared),
            runtime: tokio::runtime::Builder::new_current_thread().enable_all().build()?,
        };
        thread::spawn(move || home.incoming().flatten().for_each(|stream| serve(stream, &shared)));
        thread::spawn(move || {
            elsewhere.incoming().for_each(|_| {
                dialled.fetch_add(1, Ordering::SeqCst);
            });
        });
        Ok(answering)
    }

    /// `HOME` and `ELSEWHERE` become addresses: ports are others in each run, and inputs are kept.
    pub(super) fn addressed(&self, input: &[u8]) -> Option<String> {
        let text = std::str::from_utf8(input).ok()?;
        // One header, and no more of them.
        http::HeaderValue::from_str(text).ok()?;
        Some(text.replace("HOME", &self.home.to_string()).replace("ELSEWHERE", &self.elsewhere.to_string()))
    }

    /// A client of it.
    pub(super) fn upstream(&self, credentials: Credentials) -> Option<Upstream> {
        let table = pullgate_config::Upstream {
            urls: vec![format!("http://{}", self.home)],
            aliases: Vec::new(),
            ca_pem: None,
            client_cert_pem: None,
            prefix: None,
            redirect_hosts: Vec::new(),
            token_hosts: Vec::new(),
            credentials,
            logins: std::collections::BTreeMap::new(),
            evidence: None,
            first_byte: None,
            first_byte_blob: None,
        };
        Upstream::new(Settings::of(&"r.example".parse().ok()?, &table).ok()?).ok()
    }

    /// Asks with these answers; tells what came of it and what the upstream was asked.
    ///
    /// # Errors
    /// Somebody else was dialled.
    pub(super) fn ask<T>(
        &self,
        answer: impl Fn(&str) -> Vec<u8> + Send + 'static,
        work: impl Future<Output = T>,
    ) -> Result<(T, Vec<String>), String> {
        *lock(&self.shared) = Shared { answer: Box::new(answer), heads: Vec::new() };
        let before = self.dialled.load(Ordering::SeqCst);
        let said = self.runtime.block_on(work);
        if self.dialled.load(Ordering::SeqCst) != before {
            return Err("a host was dialled that nobody named".to_owned());
        }
        Ok((said, std::mem::take(&mut lock(&self.shared).heads)))
    }
}

/// A repository that no case before had: what is remembered of one helps no other.
pub(super) fn another_repository() -> Option<Repository> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("r.example/org/app{}", COUNT.fetch_add(1, Ordering::Relaxed)).parse().ok()
}

/// An answer with these header lines.
pub(super) fn answer(status: &str, headers: &[&str], body: &[u8]) -> Vec<u8> {
    let lines: String = headers.iter().map(|line| format!("{line}\r\n")).collect();
    let head =
        format!("HTTP/1.1 {status}\r\n{lines}content-length: {}\r\nconnection: close\r\n\r\n", body.len());
    [head.as_bytes(), body].concat()
}

fn serve(mut stream: TcpStream, shared: &Mutex<Shared>) {
    // A client that hangs up is no fault of this end.
    let _ = stream.set_read_timeout(Some(SILENCE));
    let (mut head, mut piece) = (Vec::new(), [0; 4096]);
    while !head.windows(4).any(|window| window == b"\r\n\r\n") && head.len() < HEAD_MAX {
        match stream.read(&mut piece) {
            Ok(0) | Err(_) => return,
            Ok(length) => head.extend_from_slice(piece.get(..length).unwrap_or_default()),
        }
    }
    let head = String::from_utf8_lossy(&head).into_owned();
    let mut shared = lock(shared);
    let answer = (shared.answer)(&head);
    shared.heads.push(head);
    drop(shared);
    let _ = stream.write_all(&answer);
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock()
}
