//! The gate in the test's own process, on files in a folder that goes with it.
#![expect(clippy::expect_used, clippy::panic, reason = "a test whose gate does not start has failed")]

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use pullgate::app::App;
use pullgate::clock::Clock;
use pullgate::server::{self, Running, ServeError, Sockets};
use pullgate::waits::Waits;
use pullgate_config::{Config, Style};
use serde_json::Value;
use tempfile::TempDir;
use tokio::task::JoinHandle;

use crate::asking::{self, Answer};
use crate::{audit_schema, loopback};

/// The registry that requests without `ns` are for.
pub const REGISTRY: &str = "registry.test";

/// What a gate is started with: the lines of each table of its configuration, its policy, and the files that these name.
#[derive(Debug, Clone, Default)]
pub struct Setup {
    listen: String,
    cache: String,
    audit: String,
    upstreams: String,
    policy: String,
    files: Vec<(String, Vec<u8>)>,
    top: String,
    verdict_wait: Option<Duration>,
    waits: Option<Waits>,
}

impl Setup {
    /// A gate before the upstream at `url`, under the name [`REGISTRY`].
    #[must_use]
    pub fn before(url: &str) -> Self {
        Self { listen: format!("default_registry = \"{REGISTRY}\"\n"), ..Self::default() }
            .upstream(REGISTRY, &format!("url = \"{url}\""))
    }

    /// Another upstream.
    #[must_use]
    pub fn upstream(mut self, registry: &str, lines: &str) -> Self {
        self.upstreams.push_str(&format!("[upstream.\"{registry}\"]\n{lines}\n"));
        self
    }

    /// A table of its own, after the others.
    #[must_use]
    pub fn table(mut self, text: &str) -> Self {
        self.upstreams.push_str(text);
        self
    }

    /// More lines of the upstream that was named last.
    #[must_use]
    pub fn its(mut self, lines: &str) -> Self {
        self.upstreams.push_str(lines);
        self.upstreams.push('\n');
        self
    }

    /// The policy file.
    #[must_use]
    pub fn policy(self, text: impl Into<String>) -> Self {
        Self { policy: text.into(), ..self }
    }

    /// A file beside the policy.
    #[must_use]
    pub fn file(mut self, name: &str, bytes: impl Into<Vec<u8>>) -> Self {
        self.files.push((name.to_owned(), bytes.into()));
        self
    }

    /// Lines of `[listen]`.
    #[must_use]
    pub fn listen(self, lines: &str) -> Self {
        Self { listen: format!("{lines}\n"), ..self }
    }

    /// More lines of `[listen]`.
    #[must_use]
    pub fn listen_also(self, lines: &str) -> Self {
        Self { listen: format!("{}{lines}\n", self.listen), ..self }
    }

    /// Lines of `[cache]`.
    #[must_use]
    pub fn cache(self, lines: &str) -> Self {
        Self { cache: format!("{lines}\n"), ..self }
    }

    /// Lines of `[audit]`; the log is a file beside the configuration unless they say otherwise.
    #[must_use]
    pub fn audit(self, lines: &str) -> Self {
        Self { audit: format!("{lines}\n"), ..self }
    }

    /// How long a client waits for a verdict.
    #[must_use]
    pub fn verdict_wait(self, wait: Duration) -> Self {
        Self { verdict_wait: Some(wait), ..self }
    }

    /// How long it waits for the disk and the database: for tests that are about these.
    #[must_use]
    pub fn waits(self, waits: Waits) -> Self {
        Self { waits: Some(waits), ..self }
    }

    /// Lines above all tables.
    #[must_use]
    pub fn top(self, lines: &str) -> Self {
        Self { top: format!("{lines}\n"), ..self }
    }

    fn write(&self, folder: &Path) {
        let Self { listen, cache, audit, upstreams, top, .. } = self;
        let log = if audit.starts_with("log") { "" } else { "log = \"audit.jsonl\"\n" };
        let text = format!(
            "policy = \"policy.toml\"\nstate = \"state\"\n{top}[listen]\n{listen}[cache]\n{cache}[audit]\n{log}{audit}{upstreams}"
        );
        for (name, bytes) in &self.files {
            let path = folder.join(name);
            fs::create_dir_all(path.parent().unwrap_or(folder)).expect("a folder in the test's folder");
            fs::write(path, bytes).expect("a file in the test's folder");
        }
        fs::write(folder.join("policy.toml"), &self.policy).expect("a file in the test's folder");
        fs::write(folder.join("pullgate.toml"), text).expect("a file in the test's folder");
    }
}

/// A gate that runs until it is dropped.
#[derive(Debug)]
pub struct Gate {
    /// The address of the data port.
    pub data: SocketAddr,
    /// The address of the admin port.
    pub admin: SocketAddr,
    folder: TempDir,
    clock: Clock,
    waits: Waits,
    running: Option<Running>,
    watching: Option<JoinHandle<()>>,
}

impl Gate {
    /// Starts a gate by the host's clock.
    pub async fn start(setup: &Setup) -> Self {
        Self::start_at(setup, Clock::system()).await
    }

    /// Starts a gate by another clock.
    pub async fn start_at(setup: &Setup, clock: Clock) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        setup.write(folder.path());
        let config = config(folder.path(), &clock);
        let waits = setup.waits.unwrap_or(PATIENT);
        let waits = Waits { verdict: setup.verdict_wait.unwrap_or(waits.verdict), ..waits };
        let running = start(config, &clock, waits).await.expect("the gate starts");
        Self {
            data: running.data,
            admin: running.admin,
            folder,
            clock,
            waits,
            running: Some(running),
            watching: None,
        }
    }

    /// Tries to start a second gate on the same folder.
    ///
    /// # Errors
    /// What the gate says of it.
    pub async fn start_second(&self) -> Result<Running, ServeError> {
        start(config(self.folder.path(), &self.clock), &self.clock, self.waits).await
    }

    /// Stops it in good order and starts it again on the same state.
    pub async fn restart(&mut self) {
        self.stop().await;
        self.start_again().await;
    }

    /// Stops it in good order.
    pub async fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            running.shutdown().await;
        }
    }

    /// From its next start it waits for its own files as long as a test has patience.
    pub fn wait_patiently(&mut self) {
        self.waits = PATIENT;
    }

    /// Starts it again on the same state.
    pub async fn start_again(&mut self) {
        let running = start(config(self.folder.path(), &self.clock), &self.clock, self.waits).await;
        let running = running.expect("the gate starts again");
        (self.data, self.admin) = (running.data, running.admin);
        self.running = Some(running);
    }

    /// Stops it and starts it again by another clock: what a clock told before is not known to a new process.
    pub async fn restart_at(&mut self, clock: Clock) {
        self.stop().await;
        self.clock = clock;
        self.start_again().await;
    }

    /// The handles of the running gate.
    #[must_use]
    pub fn app(&self) -> &Arc<App> {
        match &self.running {
            Some(running) => &running.app,
            None => panic!("the gate was stopped"),
        }
    }

    /// A file or folder beside the configuration.
    #[must_use]
    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Puts another policy in force.
    pub async fn reload(&self, policy: &str) {
        fs::write(self.path("policy.toml"), policy).expect("a file in the test's folder");
        let loaded = load(self.folder.path(), &self.clock);
        server::reload::apply(self.app(), loaded).await;
    }

    /// Follows its files from now on, as `serve` does.
    pub fn watch(&mut self) {
        use tokio::signal::unix::{SignalKind, signal};
        let hang_up = signal(SignalKind::hangup()).expect("a signal handler");
        let path = self.path("pullgate.toml");
        self.watching = Some(tokio::spawn(server::reload::watch(Arc::clone(self.app()), path, hang_up)));
    }

    /// Writes a file beside the configuration.
    pub fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.path(name), bytes).expect("a file in the test's folder");
    }

    /// GET on the data port.
    pub async fn get(&self, target: &str) -> Answer {
        asking::ask(self.data, "GET", target, &[]).await
    }

    /// HEAD on the data port.
    pub async fn head(&self, target: &str) -> Answer {
        asking::ask(self.data, "HEAD", target, &[]).await
    }

    /// GET on the data port with these headers.
    pub async fn get_with(&self, target: &str, headers: &[(&str, &str)]) -> Answer {
        asking::ask(self.data, "GET", target, headers).await
    }

    /// Any method on the data port.
    pub async fn send(&self, method: &str, target: &str) -> Answer {
        asking::ask(self.data, method, target, &[]).await
    }

    /// GET on the admin port.
    pub async fn admin(&self, target: &str) -> Answer {
        asking::ask(self.admin, "GET", target, &[]).await
    }

    /// Every record of the pull log.
    pub async fn records(&self) -> Vec<Value> {
        self.app().audit.flush().await;
        let text = fs::read_to_string(self.path("audit.jsonl")).expect("the pull log");
        let of_gate = |record: &Value| {
            ["blobs", "checkpoint", "start", "stop"].iter().any(|kind| record["kind"] == *kind)
        };
        text.lines().map(record).filter(|record| !of_gate(record)).collect()
    }

    /// Every record of a request that was refused before any upstream was asked; those stand by themselves (A606).
    pub async fn refusals(&self) -> Vec<Value> {
        self.app().audit.flush().await;
        let text = fs::read_to_string(self.path("audit.jsonl.refused")).expect("the log of refusals");
        text.lines().map(record).collect()
    }

    /// The last of them.
    pub async fn refusal(&self) -> Value {
        self.refusals().await.pop().expect("a record")
    }

    /// The last record of the pull log.
    pub async fn record(&self) -> Value {
        self.records().await.pop().expect("a record")
    }
}

/// A line of the pull log, which is one by the published schema.
fn record(line: &str) -> Value {
    let line = serde_json::from_str(line).expect("a line of JSON");
    audit_schema::assert_record(&line);
    line
}

impl Drop for Gate {
    fn drop(&mut self) {
        if let Some(watching) = &self.watching {
            watching.abort();
        }
    }
}

/// How long it waits for what is its own: tests share their machine with others, and few are about these.
const PATIENT: Waits = Waits::all(Duration::from_secs(120));

async fn start(config: Config, clock: &Clock, waits: Waits) -> Result<Running, ServeError> {
    server::start_with(Sockets::default(), config, clock.clone(), waits).await
}

fn load(folder: &Path, clock: &Clock) -> pullgate_config::Loaded {
    match pullgate_config::load(&folder.join("pullgate.toml"), clock.now()) {
        Ok(loaded) => loaded,
        Err(faults) => panic!("{}", faults.render(Style::Plain)),
    }
}

/// The configuration, on ports that the system chooses.
fn config(folder: &Path, clock: &Clock) -> Config {
    let mut config = load(folder, clock).config;
    config.listen.address = SocketAddr::from((loopback::address(), 0));
    config.admin.address = SocketAddr::from((loopback::address(), 0));
    config
}
