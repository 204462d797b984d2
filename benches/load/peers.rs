//! Who is measured: the gate, and what people would use in its place, each a process of its own on loopback.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use pullgate_tests::clients::process::free_address;
use pullgate_tests::clients::{Gate, Settings, http, tool};
use pullgate_tests::made::Made;
use pullgate_tests::signing::Signer;
use pullgate_tests::upstream::Upstream;
use rustls::{ClientConfig, RootCertStore};
use tempfile::TempDir;

use crate::Failed;

/// The repository of everything here.
pub(crate) const REPOSITORY: &str = "org/app";
/// Nothing that is warm grows old.
pub(crate) const LASTS: &str = "tag_ttl = \"1h\"\npermit_ttl = \"24h\"";
const LISTEN: &str = "default_registry = \"registry.test\"";
const NGINX: &str = include_str!("../peers/nginx.conf");
const NGINX_PROXY: &str = include_str!("../peers/nginx-proxy.conf");
const MIRROR: &str = include_str!("../peers/registry.yml");

/// A server under measurement.
pub(crate) struct Peer {
    /// What it is, with its version.
    pub(crate) name: String,
    /// Where it answers in the clear.
    pub(crate) plain: SocketAddr,
    /// Where it answers under TLS, if it does.
    pub(crate) tls: Option<SocketAddr>,
    /// Its process.
    pub(crate) pid: u32,
    _running: Running,
}

/// Ends it when dropped.
enum Running {
    Gate(#[expect(dead_code, reason = "it ends when it is dropped")] Vec<Gate>),
    Process(Child, #[expect(dead_code, reason = "it goes when it is dropped")] TempDir),
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Self::Process(child, _) = self {
            // Not kill: nginx's workers end with their master only when it is asked.
            let _ = Command::new("kill").arg(child.id().to_string()).status();
            let _ = child.wait();
        }
    }
}

/// A certificate for loopback, its key, and clients that trust nothing else.
pub(crate) struct Tls {
    cert: String,
    key: String,
    /// For clients.
    pub(crate) client: Arc<ClientConfig>,
}

impl Tls {
    pub(crate) fn new() -> Result<Self, Failed> {
        let made = rcgen::generate_simple_self_signed(vec!["127.0.0.1".to_owned()])?;
        let mut roots = RootCertStore::empty();
        roots.add(made.cert.der().clone())?;
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let client = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .with_root_certificates(roots)
            .with_no_client_auth();
        Ok(Self { cert: made.cert.pem(), key: made.signing_key.serialize_pem(), client: Arc::new(client) })
    }
}

/// Signatures by `signer` are asked for; verdicts, grants and the pull log are on, and nothing that is warm grows old.
pub(crate) fn settings(upstream: &Upstream, signer: &Signer) -> Settings {
    settings_with(upstream, signer, LASTS)
}

/// The same with other lines of `[cache]`.
pub(crate) fn settings_with(upstream: &Upstream, signer: &Signer, cache: &str) -> Settings {
    let policy = "[authority.release]\nkey = \"release.pub\"\ntransparency = \"optional\"\n\
                  [[policy]]\nname = \"production\"\nscope = [\"registry.test/**\"]\n\
                  [[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
    before(Settings::new(policy).text("release.pub", &signer.public_pem()), upstream, cache)
}

/// The gate before an upstream, in the clear and, when asked, under TLS too.
pub(crate) fn gate(upstream: &Upstream, signer: &Signer, tls: Option<&Tls>) -> Result<Peer, Failed> {
    gate_with(settings(upstream, signer), tls)
}

/// The same with settings of its own.
pub(crate) fn gate_with(settings: Settings, tls: Option<&Tls>) -> Result<Peer, Failed> {
    // As the units of deploy/ start it.
    let settings = settings.environment("MALLOC_ARENA_MAX", "2");
    let plain = Gate::start(&settings.clone().listen(LISTEN))?;
    let mut peer = Peer {
        name: "pullgate".to_owned(),
        plain: plain.address().parse()?,
        tls: None,
        pid: plain.pid(),
        _running: Running::Gate(Vec::new()),
    };
    let mut gates = vec![plain];
    if let Some(tls) = tls {
        let lines = format!("{LISTEN}\ntls = {{ cert = \"cert.pem\", key = \"key.pem\" }}");
        let settings = settings.listen(&lines).text("cert.pem", &tls.cert).text("key.pem", &tls.key);
        let under_tls = Gate::start(&settings)?;
        (peer.tls, peer.pid) = (Some(under_tls.address().parse()?), under_tls.pid());
        gates.push(under_tls);
    }
    peer._running = Running::Gate(gates);
    Ok(peer)
}

/// Adds the upstream and `[cache]`.
pub(crate) fn before(settings: Settings, upstream: &Upstream, cache: &str) -> Settings {
    settings
        .upstream("registry.test", "alias.test", &upstream.address().to_string())
        .configuration(&format!("[cache]\n{cache}\n"))
}

/// nginx with the same bytes as files.
pub(crate) fn nginx(images: &[(&str, &Made)], tls: &Tls) -> Result<Peer, Failed> {
    let folder = TempDir::with_prefix("pullgate-bench-")?;
    let www = folder.path().join("www/v2").join(REPOSITORY);
    fs::create_dir_all(www.join("manifests"))?;
    fs::create_dir_all(www.join("blobs"))?;
    for (tag, image) in images {
        fs::write(www.join("manifests").join(tag), &image.bytes)?;
        fs::write(www.join("manifests").join(image.digest()), &image.bytes)?;
        for blob in &image.blobs {
            fs::write(www.join("blobs").join(pullgate_tests::clients::content::sha256(blob)), blob)?;
        }
    }
    // Its workers are of another user.
    Command::new("chmod").args(["-R", "a+rX"]).arg(folder.path()).status()?;
    fs::write(folder.path().join("cert.pem"), &tls.cert)?;
    fs::write(folder.path().join("key.pem"), &tls.key)?;
    let (plain, under_tls) = (free_address()?, free_address()?);
    let root = folder.path().display().to_string();
    let config =
        NGINX.replace("ROOT", &root).replace("PLAIN", &plain).replace("TLS ssl", &format!("{under_tls} ssl"));
    let peer = nginx_by("nginx 1.22, sendfile", &config, &plain, folder)?;
    Ok(Peer { tls: Some(under_tls.parse()?), ..peer })
}

/// nginx as a caching proxy.
pub(crate) fn nginx_proxy(upstream: &Upstream) -> Result<Peer, Failed> {
    let folder = TempDir::with_prefix("pullgate-bench-")?;
    // Its workers are of another user.
    Command::new("chmod").arg("a+rwx").arg(folder.path()).status()?;
    let plain = free_address()?;
    let config = before_upstream(NGINX_PROXY, &folder, &plain, upstream);
    nginx_by("nginx 1.22, caching proxy", &config, &plain, folder)
}

fn nginx_by(name: &str, config: &str, plain: &str, folder: TempDir) -> Result<Peer, Failed> {
    let program = tool::installed("nginx").ok_or("nginx is not installed")?;
    let file = folder.path().join("nginx.conf");
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(folder.path()).arg("-c").arg(&file).arg("-e").arg(folder.path().join("error.log"));
    started(name, plain, command, folder)
}

fn before_upstream(template: &str, folder: &TempDir, plain: &str, upstream: &Upstream) -> String {
    template
        .replace("ROOT", &folder.path().display().to_string())
        .replace("PLAIN", plain)
        .replace("UPSTREAM", &upstream.address().to_string())
}

/// docker-registry as a pull-through mirror.
pub(crate) fn mirror(upstream: &Upstream) -> Result<Peer, Failed> {
    let program = tool::installed("docker-registry").ok_or("docker-registry is not installed")?;
    let folder = TempDir::with_prefix("pullgate-bench-")?;
    let plain = free_address()?;
    let config = before_upstream(MIRROR, &folder, &plain, upstream);
    let file = folder.path().join("config.yml");
    fs::write(&file, config)?;
    let mut command = Command::new(program);
    command.arg("serve").arg(&file);
    started("docker-registry 2.8, mirror", &plain, command, folder)
}

/// A bare hyper server: this program again, with one file.
pub(crate) fn bare(image: &Made) -> Result<Peer, Failed> {
    let folder = TempDir::with_prefix("pullgate-bench-")?;
    let (plain, file) = (free_address()?, folder.path().join("manifest"));
    fs::write(&file, &image.bytes)?;
    let mut command = Command::new(std::env::current_exe()?);
    command.arg("--bare").arg(&plain).arg(&file);
    started("bare hyper", &plain, command, folder)
}

fn started(name: &str, plain: &str, mut command: Command, folder: TempDir) -> Result<Peer, Failed> {
    let log = fs::File::create(folder.path().join("log"))?;
    let child = command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log).spawn()?;
    let (pid, log) = (child.id(), folder.path().join("log"));
    let running = Running::Process(child, folder);
    for _ in 0..100 {
        if http::get(plain, "/v2/").is_ok() {
            return Ok(Peer {
                name: name.to_owned(),
                plain: plain.parse()?,
                tls: None,
                pid,
                _running: running,
            });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Err(format!("{name} does not answer: {}", tail(&log)).into())
}

fn tail(log: &Path) -> String {
    fs::read_to_string(log).unwrap_or_default()
}
