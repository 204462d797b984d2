//! `pullgate demo`: a registry of recorded images, the gate before it, and what a client gets. Nothing leaves loopback.

use std::io;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use jiff::Timestamp;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use self::client::{Client, ClientFault};
use self::pulled::Outcome;
use self::recorded::{Recorded, RecordedFault};
use self::show::Places;
use super::paint::Paint;
use super::{Exit, print};
use crate::clock::Clock;
use crate::server::{self, Running, ServeError};

mod client;
mod images;
mod pulled;
mod recorded;
mod registry;
mod show;

/// Data and admin port: those of the documentation, or any that are free.
const USUAL: (&str, &str) = ("127.0.0.1:5000", "127.0.0.1:5001");
const FREE: (&str, &str) = ("127.0.0.1:0", "127.0.0.1:0");

/// The files that the demo's gate reads, beside its configuration.
const FILES: [(&str, &str); 3] = [
    ("policy.toml", include_str!("demo/policy.toml")),
    ("release.pub", include_str!("demo/release.pub")),
    ("trusted_root.json", include_str!("demo/trusted_root.json")),
];

/// The gate's configuration, with places for its addresses.
const CONFIGURATION: &str = include_str!("demo/pullgate.toml");

/// When everything had been recorded: 2026-11-24T00:00:00Z, in seconds. A signature from the future counts for nothing.
const RECORDED: i64 = 1_795_478_400;

/// How long the demo goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Lasting {
    /// Until the table is printed.
    Once,
    /// Until it is interrupted.
    UntilInterrupted,
}

/// Why there is no demo.
#[derive(Debug, thiserror::Error)]
pub(super) enum DemoFault {
    /// The demo's client.
    #[error("the demo cannot ask its gate")]
    Client(#[from] ClientFault),
    /// Its temporary folder or its upstream's port.
    #[error("the demo cannot set itself up")]
    Io(#[from] io::Error),
    /// The recorded images.
    #[error("the demo's recording is damaged")]
    Recorded(#[from] RecordedFault),
    /// The gate.
    #[error("the demo's gate does not start")]
    Serve(#[from] ServeError),
}

/// Runs the demo.
pub(super) async fn run(lasting: Lasting, paint: Paint) -> Result<Exit, DemoFault> {
    let folder = tempfile::Builder::new().prefix("pullgate-demo-").tempdir()?;
    let recorded = Arc::new(Recorded::unpack()?);
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let upstream = listener.local_addr()?;
    let registry = tokio::spawn(registry::serve(Arc::clone(&recorded), listener));
    let running = gate(folder.path(), lasting, upstream).await?;
    mirror_file(folder.path(), running.data)?;
    let places = Places { gate: running.data, admin: running.admin, upstream, folder: folder.path() };
    print(&show::intro(&places));
    let rows = pulled::all(&Client::new(running.data), &running.app, &recorded).await?;
    print(&show::table(&rows, paint));
    match lasting {
        Lasting::Once => {}
        Lasting::UntilInterrupted => {
            print(&format!("\n{}", show::try_it(&places, paint)));
            interrupted().await?;
        }
    }
    running.shutdown().await;
    registry.abort();
    folder.close()?;
    let good = rows.iter().all(|row| row.outcome == Outcome::AsExpected);
    Ok(if good { Exit::Success } else { Exit::No })
}

async fn interrupted() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}

/// Starts the gate: for people on the usual ports, where these are free.
async fn gate(folder: &Path, lasting: Lasting, upstream: SocketAddr) -> Result<Running, DemoFault> {
    for (name, text) in FILES {
        std::fs::write(folder.join(name), text)?;
    }
    let choices: &[_] = match lasting {
        Lasting::Once => &[FREE],
        Lasting::UntilInterrupted => &[USUAL, FREE],
    };
    let mut addresses = choices.iter().peekable();
    while let Some((listen, admin)) = addresses.next() {
        let text = CONFIGURATION.replace("{listen}", listen).replace("{admin}", admin);
        let path = folder.join("pullgate.toml");
        std::fs::write(&path, text.replace("{upstream}", &upstream.to_string()))?;
        let clock = clock();
        let loaded = pullgate_config::load(&path, clock.now()).map_err(ServeError::Config)?;
        match server::start(loaded.config, clock).await {
            Err(ServeError::Bind { .. }) if addresses.peek().is_some() => {}
            started => return Ok(started?),
        }
    }
    Err(DemoFault::Io(io::ErrorKind::AddrInUse.into()))
}

/// The host's clock; on a host that lives before the recording, one that stands just after it.
fn clock() -> Clock {
    let recorded = Timestamp::from_second(RECORDED).unwrap_or(Timestamp::UNIX_EPOCH);
    let host = Clock::system();
    if host.now() < recorded { Clock::fixed(recorded) } else { host }
}

/// containerd's mirror configuration, as `deploy/containerd` has it, with this gate's address.
fn mirror_file(folder: &Path, gate: SocketAddr) -> io::Result<()> {
    let folder = folder.join("certs.d").join("_default");
    std::fs::create_dir_all(&folder)?;
    std::fs::write(folder.join("hosts.toml"), format!("server = \"http://{gate}\"\n\n[host]\n"))
}
