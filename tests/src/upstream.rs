//! An upstream registry on loopback, in this process: it serves what a test puts into it, remembers every request, and
//! does wrong what a test asks it to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use http::HeaderMap;
use parking_lot::{Mutex, MutexGuard};
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

mod body;
mod fault;
mod held;
mod raw;
mod serve;

pub use fault::{Fault, RangeAnswer, When};
pub use raw::Raw;

use fault::Armed;
use held::Held;

/// A registry that a test fills and that listens until it is dropped.
#[derive(Debug)]
pub struct Upstream {
    address: SocketAddr,
    state: Shared,
    task: JoinHandle<()>,
}

type Shared = Arc<Mutex<State>>;

#[derive(Debug, Default)]
struct State {
    repositories: BTreeMap<String, Held>,
    referrers: ReferrersApi,
    armed: Vec<Armed>,
    seen: Vec<Seen>,
    sent: Arc<AtomicU64>,
}

/// Whether the registry has a referrers API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum ReferrersApi {
    /// 404, as from most registries.
    #[default]
    Absent,
    /// All on one page.
    Whole,
    /// So many on each page.
    Paged(usize),
}

/// A request as it came.
#[derive(Debug, Clone)]
pub struct Seen {
    /// The method.
    pub method: String,
    /// Path and query.
    pub target: String,
    /// The headers.
    pub headers: HeaderMap,
}

impl Upstream {
    /// Begins to listen.
    ///
    /// # Errors
    /// No port of loopback can be had.
    pub async fn start() -> std::io::Result<Self> {
        Self::start_on(&crate::loopback::address().to_string()).await
    }

    /// Begins to listen on another address of loopback.
    ///
    /// # Errors
    /// No port of it can be had.
    pub async fn start_on(host: &str) -> std::io::Result<Self> {
        let listener = TcpListener::bind((host, 0)).await?;
        let address = listener.local_addr()?;
        let state = Shared::default();
        let task = tokio::spawn(serve::serve(listener, Arc::clone(&state)));
        Ok(Self { address, state, task })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its URL.
    #[must_use]
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Switches the referrers API.
    pub fn set_referrers(&self, api: ReferrersApi) {
        self.state().referrers = api;
    }

    /// Keeps a blob, and tells its digest.
    pub fn blob(&self, repository: &str, bytes: &[u8]) -> String {
        self.state().held(repository).keep_blob(bytes)
    }

    /// Keeps a manifest, and tells its digest.
    pub fn manifest(&self, repository: &str, media_type: &str, bytes: &[u8]) -> String {
        self.state().held(repository).keep_manifest(media_type, bytes)
    }

    /// Points a tag at a digest.
    pub fn tag(&self, repository: &str, tag: &str, digest: &str) {
        self.state().held(repository).tags.insert(tag.to_owned(), digest.to_owned());
    }

    /// Puts everything of one repository into another.
    pub fn copy(&self, from: &str, to: &str) {
        let mut state = self.state();
        let held = state.held(from).clone();
        state.repositories.insert(to.to_owned(), held);
    }

    /// Forgets a manifest or a blob.
    pub fn remove(&self, repository: &str, digest: &str) {
        let mut state = self.state();
        let held = state.held(repository);
        held.manifests.remove(digest);
        held.blobs.remove(digest);
    }

    /// Forgets a tag.
    pub fn untag(&self, repository: &str, tag: &str) {
        self.state().held(repository).tags.remove(tag);
    }

    /// From now on, what `when` matches is answered with `fault`.
    pub fn fail(&self, when: When, fault: Fault) {
        self.state().armed.push(Armed::new(when, fault));
    }

    /// Does nothing wrong any more.
    pub fn heal(&self) {
        self.state().armed.clear();
    }

    /// Every request since the last [`Upstream::forget`].
    #[must_use]
    pub fn seen(&self) -> Vec<Seen> {
        self.state().seen.clone()
    }

    /// How many requests had this in method and target, such as `GET /v2/app/manifests/`.
    #[must_use]
    pub fn count(&self, part: &str) -> usize {
        self.state()
            .seen
            .iter()
            .filter(|seen| format!("{} {}", seen.method, seen.target).contains(part))
            .count()
    }

    /// Bytes of bodies that have left so far, as far as the other side took them.
    #[must_use]
    pub fn sent(&self) -> u64 {
        self.state().sent.load(Ordering::Relaxed)
    }

    /// Forgets the requests.
    pub fn forget(&self) {
        self.state().seen.clear();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    fn held(&mut self, repository: &str) -> &mut Held {
        self.repositories.entry(repository.to_owned()).or_default()
    }
}

fn lock(state: &Shared) -> MutexGuard<'_, State> {
    state.lock()
}

impl Drop for Upstream {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests;
