//! From a checked configuration to a running gate, and to its end.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::limits;
use pullgate_config::{AuditLog, Config, Diagnostics};
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::task::JoinHandle;

use crate::admin;
use crate::app::App;
use crate::audit::{self, Audit, Kind, Record, texts};
use crate::clock::{Clock, Plausible};
use crate::health::{Condition, Health};
use crate::http;
use crate::live::{self, Live};
use crate::metrics::Metrics;
use crate::pages;
use crate::pull::handles::Parts;
use crate::seal_key;
use crate::state::State;
use crate::store::{Availability, Grants, Store, StoreError, folder};
use crate::stories::Told;
use crate::trust::{Copies, Keep, Roots};
use crate::waits::Waits;

pub mod issuer_refresh;
mod open_files;
pub mod reload;
mod shadow;
mod sockets;
mod supervisor;
pub mod trust_refresh;

pub use sockets::Sockets;

/// How often it is looked which stories have gone quiet.
const TELL_EVERY: Duration = Duration::from_secs(30);

/// Why a gate does not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The audit log or its database cannot be had.
    #[error("cannot open the audit log")]
    Audit(#[source] audit::StartError),
    /// An address cannot be bound.
    #[error("cannot listen on {address}")]
    Bind {
        /// The address.
        address: SocketAddr,
        /// Why.
        source: std::io::Error,
    },
    /// The configuration has faults.
    #[error("the configuration has faults")]
    Config(Diagnostics),
    /// A socket that was handed over cannot be used.
    #[error("cannot use a socket that was handed over (LISTEN_FDS)")]
    Handed(#[source] std::io::Error),
    /// The seal key cannot be had.
    #[error("cannot use the seal key")]
    Seal(#[source] folder::SealKeyError),
    /// The process cannot listen to signals.
    #[error("cannot listen to signals")]
    Signals(#[source] std::io::Error),
    /// The state folder cannot be had; another process may hold it.
    #[error("cannot use the state folder")]
    Store(#[source] StoreError),
    /// A setting cannot be put in force.
    #[error("cannot put the configuration in force")]
    Setup(#[source] live::SetupFault),
}

/// A gate that runs.
#[derive(Debug)]
pub struct Running {
    /// The address of the data port.
    pub data: SocketAddr,
    /// The address of the admin port.
    pub admin: SocketAddr,
    /// Its handles.
    pub app: Arc<App>,
    stop: watch::Sender<DrainPhase>,
    tasks: Vec<JoinHandle<()>>,
}

/// How far a shutdown has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum DrainPhase {
    Serving,
    Draining,
    Stopped,
}

/// Starts a gate: state first, then both listeners, then the first request. A fault leaves nothing behind that listens.
///
/// # Errors
/// [`ServeError`].
pub async fn start(config: Config, clock: Clock) -> Result<Running, ServeError> {
    start_with(Sockets::default(), config, clock, Waits::default()).await
}

/// The same on sockets that were handed over, where they were, and with other waits.
///
/// # Errors
/// [`ServeError`].
pub async fn start_with(
    sockets: Sockets,
    config: Config,
    clock: Clock,
    waits: Waits,
) -> Result<Running, ServeError> {
    // The folder first: a second gate on it fails with that reason, whatever its ports.
    let store = Store::open(&config.state, waits.store).await.map_err(ServeError::Store)?;
    let (data, admin) = sockets.listen(config.listen.address, config.admin.address).await?;
    let key_file = config.seal_key_file.clone().unwrap_or_else(|| config.state.join("seal.key"));
    let copies = Copies::of(&config.state, Keep::Yes);
    let app = app(config, store, &key_file, clock, copies, waits).await?;
    let said = [format!("pullgate {}", env!("CARGO_PKG_VERSION"))];
    app.audit.begin(Record::of_gate(Kind::Start, app.live().revisions(), app.clock.now(), &said)).await;
    tokio::spawn(app.audit.publish_key());
    let (stop, stopping) = watch::channel(DrainPhase::Serving);
    let addresses = (local(&data)?, local(&admin)?);
    let tasks = vec![
        tokio::spawn(http::serve(Arc::clone(&app), data, reached(stopping.clone(), DrainPhase::Draining))),
        tokio::spawn(admin::serve(admin, pages::admin(&app), reached(stopping, DrainPhase::Stopped))),
    ];
    watch_health(&app);
    watch_blobs(&app);
    tokio::spawn(tell_of_blobs(Arc::downgrade(&app)));
    keep_policy(&app, app.live().config());
    shadow::begin(&app);
    announce(&app, addresses);
    Ok(Running { data: addresses.0, admin: addresses.1, app, stop, tasks })
}

/// A gate without listeners and with a store in a folder that goes with it: for `verify`, which never opens `state`.
///
/// # Errors
/// [`ServeError`].
pub async fn ephemeral(mut config: Config) -> Result<(Arc<App>, tempfile::TempDir), ServeError> {
    let (folder, waits) = (temporary()?, Waits::default());
    // Reads the trust roots that a gate on this state fetched, and writes nothing.
    let copies = Copies::of(&config.state, Keep::No);
    folder.path().clone_into(&mut config.state);
    config.audit.log = AuditLog::File(folder.path().join("audit.log"));
    let store = Store::open(folder.path(), waits.store).await.map_err(ServeError::Store)?;
    let key_file = folder.path().join("seal.key");
    let app = app(config, store, &key_file, Clock::system(), copies, waits).await?;
    trust_refresh::fetch_missing(&app).await;
    Ok((app, folder))
}

/// A gate without listeners on the `state` of another process, which it does not change: to judge past pulls again.
/// Fetched content is kept in `own`, else in a temporary folder.
///
/// # Errors
/// [`ServeError`].
pub async fn beside(
    mut config: Config,
    own: Option<&Path>,
    clock: Clock,
) -> Result<(Arc<App>, tempfile::TempDir), ServeError> {
    let (folder, waits) = (temporary()?, Waits::default());
    let own = own.unwrap_or(folder.path());
    let store = match own == config.state {
        true => Store::open(own, waits.store).await,
        false => Store::beside(&config.state, own, waits.store).await,
    };
    let named = config.seal_key_file.clone().unwrap_or_else(|| config.state.join("seal.key"));
    // A missing key has sealed no record, and must not be made in that folder.
    let key_file = if named.exists() { named } else { own.join("seal.key") };
    let copies = Copies::of(&config.state, Keep::No);
    folder.path().clone_into(&mut config.state);
    config.audit.log = AuditLog::File(folder.path().join("audit.log"));
    let app = app(config, store.map_err(ServeError::Store)?, &key_file, clock, copies, waits).await?;
    Ok((app, folder))
}

fn temporary() -> Result<tempfile::TempDir, ServeError> {
    tempfile::tempdir().map_err(|source| {
        ServeError::Store(StoreError::Folder(folder::FolderError::Unusable {
            path: std::env::temp_dir(),
            source,
        }))
    })
}

async fn app(
    config: Config,
    store: Store,
    key_file: &Path,
    clock: Clock,
    copies: Copies,
    waits: Waits,
) -> Result<Arc<App>, ServeError> {
    let key = store.folder().seal_key(key_file).map_err(ServeError::Seal)?;
    let (seal, key_file) = seal_key::seal(&store, key_file, &key).await.map_err(ServeError::Seal)?;
    let state = State::new(store, config.cache.blobs_max, clock.clone()).await;
    let blobs = state.blobs().series();
    let counters = audit::Counters::default();
    let metrics = Metrics::with(state.store().database().series(), &blobs, &counters);
    let health = Health::new();
    health.watch("seal-key", move || key_file.condition());
    let around = audit::Around { waits: waits.audit, clock: clock.clone(), counters };
    let database = config.state.join("audit.db");
    let audit = Audit::start(config.audit.clone(), &database, around).await.map_err(ServeError::Audit)?;
    let live = Live::new(config).map_err(ServeError::Setup)?;
    metrics.policy(live.policy());
    let roots = Roots::new(copies);
    let pull = Parts { live, store: state, seal, metrics, clock, waits };
    let app = App::new(pull, audit, health, roots);
    // Before the first request: a root that was fetched before this start counts from it on.
    trust_refresh::recall(&app).await;
    Ok(app)
}

fn local(listener: &TcpListener) -> Result<SocketAddr, ServeError> {
    let unknown = SocketAddr::from(([0, 0, 0, 0], 0));
    listener.local_addr().map_err(|source| ServeError::Bind { address: unknown, source })
}

async fn reached(mut stage: watch::Receiver<DrainPhase>, wanted: DrainPhase) {
    // A sender that is gone means that the gate is.
    let _ = stage.wait_for(|stage| *stage >= wanted).await;
}

/// What `/readyz` asks at each look. Weak, because the gate holds its health.
fn watch_health(app: &Arc<App>) {
    let ask = |app: &Arc<App>, question: fn(&App) -> Condition| {
        let app = Arc::downgrade(app);
        move || {
            app.upgrade().map_or(Condition::Unready("the gate is ending".to_owned()), |app| question(&app))
        }
    };
    app.health.watch("audit", ask(app, |app| app.audit.health()));
    app.health.watch("audit-retention", ask(app, |app| app.audit.retention()));
    app.health.watch("trust", ask(app, trust_refresh::condition));
    app.health.watch("clients", ask(app, issuer_refresh::condition));
    let told = Arc::downgrade(app);
    app.health
        .tell("trust", move || told.upgrade().map(|app| trust_refresh::facts(&app)).unwrap_or_default());
    app.health.watch(
        "clock",
        ask(app, |app| match app.clock.plausible() {
            Plausible::Yes => Condition::Good,
            Plausible::No => {
                Condition::Unready("the host's clock is before the release of this program".to_owned())
            }
        }),
    );
    app.health.watch(
        "grants",
        ask(app, |app| match app.store.grants_are() {
            Grants::AllThere => Condition::Good,
            Grants::MayBeLost => Condition::Degraded(
                "grants may have been lost: for some minutes a blob without one is undecided".to_owned(),
            ),
        }),
    );
    app.health.watch(
        "store",
        ask(app, |app| match app.store.store().database().availability() {
            Availability::Ready => Condition::Good,
            Availability::Unreadable => Condition::Unready(
                "the store cannot be read, or not in time: look at the state folder".to_owned(),
            ),
            Availability::Failing => {
                Condition::Unready("new verdicts are not stored: look at the state folder".to_owned())
            }
            Availability::Unavailable => {
                Condition::Unready("nothing can be remembered: look at the state folder".to_owned())
            }
        }),
    );
}

/// The blob cache that is off, for want of room or because the disk cannot be written, costs traffic and no pull.
fn watch_blobs(app: &Arc<App>) {
    let watched = Arc::downgrade(app);
    app.health.watch("blobs", move || match watched.upgrade() {
        Some(app) if app.store.blobs().is_off() => Condition::Degraded(
            "blobs are not kept: the disk has no room for them, or cannot be written".to_owned(),
        ),
        Some(_) | None => Condition::Good,
    });
}

/// Records the blobs of each story that has gone quiet, as long as the gate runs.
async fn tell_of_blobs(app: Weak<App>) {
    loop {
        tokio::time::sleep(TELL_EVERY).await;
        let Some(app) = app.upgrade() else { return };
        write_blobs(&app, Told::Quiet).await;
    }
}

async fn write_blobs(app: &App, told: Told) {
    for record in app.stories.blobs(told, app.clock.now()) {
        // The blobs have left: a record that cannot be written is counted by the log itself.
        let _ = app.audit.write(record).await;
    }
}

/// Keeps the text of the policy that is in force from now on. The gate serves without it, and logs that.
fn keep_policy(app: &App, config: &Config) {
    let Some(text) = &config.policy.text else { return };
    let (folder, revision) =
        (app.started.state.join(texts::FOLDER), config.policy.set.revisions.policy.to_string());
    if let Err(error) = texts::keep(&folder, &revision, text) {
        tracing::warn!(%error, revision, "the text of the policy is not kept: `audit policy` will not have it");
    }
}

fn announce(app: &App, (data, admin): (SocketAddr, SocketAddr)) {
    let live = app.live();
    let enforcing = live.policy().enforcing_scopes();
    let open_files = open_files::most();
    tracing::info!(
        %data, %admin, policy = %live.revisions().policy, enforcing_scopes = enforcing,
        open_files, "the gate serves"
    );
    if open_files < limits::CONNECTIONS_MAX as u64 * 2 {
        tracing::warn!(
            wanted = limits::CONNECTIONS_MAX * 2,
            "few files may be open: half of them may be connections (`ulimit -Hn`, `LimitNOFILE`)"
        );
    }
    if enforcing == 0 {
        tracing::warn!("nothing is enforced: no policy with requirements is in mode \"enforce\"");
    }
}

impl Running {
    /// Ends the gate: new connections are refused, pulls under way end, queues are written.
    pub async fn shutdown(self) {
        self.app.health.set("shutdown", Condition::Unready("draining".to_owned()));
        let _ = self.stop.send(DrainPhase::Draining);
        let mut tasks = self.tasks.into_iter();
        if let Some(data) = tasks.next() {
            let _ = data.await;
        }
        let _ = self.stop.send(DrainPhase::Stopped);
        for task in tasks {
            let _ = task.await;
        }
        let app = &self.app;
        write_blobs(app, Told::All).await;
        app.audit.end(Record::of_gate(Kind::Stop, app.live().revisions(), app.clock.now(), &[])).await;
        app.store.store().close().await;
    }
}

/// Serves until SIGTERM or SIGINT; reloads on SIGHUP and when a file that was read changes.
///
/// # Errors
/// [`ServeError`].
pub async fn serve(path: Option<PathBuf>, state: PathBuf) -> Result<(), ServeError> {
    use tokio::signal::unix::{SignalKind, signal};
    let config = match &path {
        Some(path) => {
            let loaded = pullgate_config::load(path, Clock::system().now()).map_err(ServeError::Config)?;
            reload::warn(&loaded.warnings);
            loaded.config
        }
        None => pullgate_config::defaults(state),
    };
    let mut terminate = signal(SignalKind::terminate()).map_err(ServeError::Signals)?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(ServeError::Signals)?;
    let hang_up = signal(SignalKind::hangup()).map_err(ServeError::Signals)?;
    open_files::raise();
    let running = start_with(Sockets::handed_over()?, config, Clock::system(), Waits::default()).await?;
    supervisor::tell(supervisor::News::Ready);
    let watching = path.map(|path| tokio::spawn(reload::watch(Arc::clone(&running.app), path, hang_up)));
    let refreshing = tokio::spawn(trust_refresh::watch(Arc::clone(&running.app)));
    let fetching = tokio::spawn(issuer_refresh::watch(Arc::clone(&running.app)));
    let app = Arc::clone(&running.app);
    let scrubbing = tokio::spawn(async move {
        tokio::join!(app.store.blobs().scrub(), app.store.store().prune());
    });
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    tracing::info!("draining");
    supervisor::tell(supervisor::News::Stopping);
    refreshing.abort();
    fetching.abort();
    scrubbing.abort();
    if let Some(watching) = watching {
        watching.abort();
    }
    running.shutdown().await;
    Ok(())
}
