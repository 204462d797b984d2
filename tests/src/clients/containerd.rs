//! containerd with its CRI plugin, configured with the files of `deploy/containerd` and with nothing else: the gate is
//! the only host it knows.

use std::{
    fs, io,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use super::{
    process::{Outcome, Process, run},
    tool,
};

const HOSTS: &str = include_str!("../../../deploy/containerd/hosts.toml");
const CONFIG: &str = include_str!("../../../deploy/containerd/config-1.x.toml");

/// A running containerd with a store of its own; stopped when dropped.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
    folder: TempDir,
}

/// Can it be started, and asked through the CRI as a kubelet does?
///
/// # Errors
/// The reason for a skip.
pub fn available() -> Result<(), String> {
    tool::require_installed(&["containerd", "ctr", "runc"])?;
    tool::require_root("containerd")?;
    tool::built("cri-pull").map(|_| ())
}

impl Containerd {
    /// Starts one that pulls through the gate at `gate` (`127.0.0.1:PORT`).
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(gate: &str) -> io::Result<Self> {
        Self::start_with(&HOSTS.replace("127.0.0.1:5000", gate), "")
    }

    /// Starts one that pulls through the gate at `gate` and fetches so many layers of each image at once.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_parallel(gate: &str, downloads: usize) -> io::Result<Self> {
        let more =
            format!("[plugins.\"io.containerd.grpc.v1.cri\"]\nmax_concurrent_downloads = {downloads}\n");
        Self::start_with(&HOSTS.replace("127.0.0.1:5000", gate), &more)
    }

    /// Starts one that pulls through the gate at `gate` by TLS, whose certificate chains to `ca`, as this user.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_secured(gate: &str, ca: &Path, (user, password): (&str, &str)) -> io::Result<Self> {
        let hosts = HOSTS.replace("http://127.0.0.1:5000\"", &format!("https://{gate}\"\nca = {ca:?}"));
        let auth = format!(
            "[plugins.\"io.containerd.grpc.v1.cri\".registry.configs.\"{gate}\".auth]\n\
             username = {user:?}\npassword = {password:?}\n"
        );
        Self::start_with(&hosts, &auth)
    }

    fn start_with(hosts: &str, more: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("pullgate-containerd-")?;
        let at = folder.path();
        for made in ["certs.d/_default", "cni", "cni-bin", "opt"] {
            fs::create_dir_all(at.join(made))?;
        }
        fs::write(at.join("certs.d/_default/hosts.toml"), hosts)?;
        let certs = at.join("certs.d").display().to_string();
        let top = format!("root = {:?}\nstate = {:?}\n", at.join("root"), at.join("state"));
        let shipped = CONFIG
            .replace("/etc/containerd/certs.d", &certs)
            .replace("version = 2\n", &format!("version = 2\n{top}"));
        // No garbage is collected: what a pull that was broken off has brought would be gone a second later.
        let config = format!(
            "{shipped}\n{more}\
             [grpc]\naddress = {:?}\n\
             [plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = {:?}\nconf_dir = {:?}\n\
             [plugins.\"io.containerd.internal.v1.opt\"]\npath = {:?}\n",
            at.join("containerd.sock"),
            at.join("cni-bin"),
            at.join("cni"),
            at.join("opt")
        );
        fs::write(at.join("config.toml"), config)?;
        let program = tool::installed("containerd").unwrap_or_default();
        let mut process =
            Process::start(Command::new(program).arg("-c").arg(at.join("config.toml")), &at.join("log"))?;
        let socket = at.join("containerd.sock");
        process.wait_ready(|| cri(&socket, &["ready"]).is_ok_and(|outcome| outcome.succeeded()))?;
        Ok(Self { process, folder })
    }

    /// A pull as a kubelet asks for it. Content that is in the store is not asked for again: only a HEAD goes out then.
    ///
    /// # Errors
    /// The call could not be made.
    pub fn cri_pull(&self, image: &str) -> io::Result<Outcome> {
        cri(&self.socket(), &["pull", image])
    }

    /// The same, begun and not waited for: it is broken off when the value is dropped.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn begin_cri_pull(&self, image: &str) -> io::Result<Process> {
        let program = tool::built("cri-pull").map_err(io::Error::other)?;
        let mut command = Command::new(program);
        command.arg(self.socket()).args(["pull", image]);
        Process::start(&mut command, &self.folder.path().join("pull.log"))
    }

    /// `ctr images pull`, with the same `hosts.toml`; `arguments` such as `--all-platforms`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn ctr_pull(&self, arguments: &[&str], image: &str) -> io::Result<Outcome> {
        let hosts = self.folder.path().join("certs.d");
        let mut command = self.ctr();
        command.args(["images", "pull", "--snapshotter", "native", "--hosts-dir"]).arg(hosts);
        run(command.args(arguments).arg(image))
    }

    /// Starts a container from an image that `ctr_pull` brought, and waits for its end.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn ctr_run(&self, image: &str, arguments: &[&str]) -> io::Result<Outcome> {
        let mut command = self.ctr();
        command.args(["run", "--rm", "--snapshotter", "native", "--net-host", image, "pullgate-test"]);
        run(command.args(arguments))
    }

    /// What the daemon logged.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The daemon's socket, for a Docker engine on top of it.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.folder.path().join("containerd.sock")
    }

    fn ctr(&self) -> Command {
        let mut command = Command::new("ctr");
        command.arg("-a").arg(self.socket()).args(["-n", "pullgate-test"]);
        command
    }
}

fn cri(socket: &Path, arguments: &[&str]) -> io::Result<Outcome> {
    let program = tool::built("cri-pull").map_err(io::Error::other)?;
    run(Command::new(program).arg(socket).args(arguments))
}
