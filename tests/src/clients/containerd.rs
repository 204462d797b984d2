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

/// A running containerd with a store of its own; stopped when dropped.
#[derive(Debug)]
pub struct Containerd {
    process: Process,
    folder: TempDir,
    ctr: PathBuf,
}

/// The folder of `hosts.toml` below the node's root.
const CERTS: &str = "etc/containerd/certs.d";

/// Which containerd.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// 1.6 or 1.7, the distribution's.
    One,
    /// 2.x, built by `tests/run tools`.
    Two,
}

impl Release {
    fn program(self, name: &str) -> io::Result<PathBuf> {
        match self {
            Self::One => tool::installed(name).ok_or_else(|| io::Error::other(format!("no {name}"))),
            Self::Two => tool::built(name).map_err(io::Error::other),
        }
    }

    /// The file of `deploy/containerd`, and beside which line of it what stands at the top of a file belongs.
    fn shipped(self) -> (&'static str, &'static str) {
        match self {
            Self::One => (include_str!("../../../deploy/containerd/config-1.x.toml"), "version = 2\n"),
            Self::Two => (include_str!("../../../deploy/containerd/config-2.x.toml"), "version = 3\n"),
        }
    }

    fn cni(self, at: &Path) -> String {
        let (programs, files) = (at.join("cni-bin"), at.join("cni"));
        match self {
            Self::One => format!(
                "[plugins.\"io.containerd.grpc.v1.cri\".cni]\nbin_dir = {programs:?}\nconf_dir = {files:?}\n"
            ),
            // Its NRI plug-in listens at one place for all containerds of a machine.
            Self::Two => format!(
                "[plugins.\"io.containerd.cri.v1.runtime\".cni]\nbin_dirs = [{programs:?}]\nconf_dir = {files:?}\n\
                 [plugins.\"io.containerd.nri.v1.nri\"]\ndisable = true\n"
            ),
        }
    }
}

/// Can the distribution's be started, and asked through the CRI as a kubelet does?
///
/// # Errors
/// The reason for a skip.
pub fn available() -> Result<(), String> {
    tool::require_installed(&["containerd", "ctr", "runc"])?;
    tool::require_root("containerd")?;
    tool::built("cri-pull").map(|_| ())
}

/// The same of 2.x.
///
/// # Errors
/// The reason for a skip.
pub fn available_two() -> Result<(), String> {
    tool::require_installed(&["runc"])?;
    tool::require_root("containerd")?;
    ["containerd", "ctr", "cri-pull"].iter().try_for_each(|name| tool::built(name).map(|_| ()))
}

impl Containerd {
    /// Starts one that pulls through the gate at `gate` (`127.0.0.1:PORT`).
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(gate: &str) -> io::Result<Self> {
        Self::start_release(Release::One, gate)
    }

    /// The same of this release.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_release(release: Release, gate: &str) -> io::Result<Self> {
        Self::start_with(release, &HOSTS.replace("127.0.0.1:5000", gate), "")
    }

    /// Starts one that pulls through the gate at `gate` and fetches so many layers of each image at once.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_parallel(gate: &str, downloads: usize) -> io::Result<Self> {
        let more =
            format!("[plugins.\"io.containerd.grpc.v1.cri\"]\nmax_concurrent_downloads = {downloads}\n");
        Self::start_with(Release::One, &HOSTS.replace("127.0.0.1:5000", gate), &more)
    }

    /// Starts one of 2.x that fetches each layer in pieces of so many bytes, four at once.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_in_pieces(gate: &str, bytes: usize) -> io::Result<Self> {
        let more = format!(
            "[plugins.\"io.containerd.transfer.v1.local\"]\nmax_concurrent_downloads = 4\n\
             concurrent_layer_fetch_buffer = {bytes}\n"
        );
        Self::start_with(Release::Two, &HOSTS.replace("127.0.0.1:5000", gate), &more)
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
        Self::start_with(Release::One, &hosts, &auth)
    }

    fn start_with(release: Release, hosts: &str, more: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("pullgate-containerd-")?;
        let at = folder.path();
        for made in ["etc/containerd/certs.d/_default", "cni", "cni-bin", "opt"] {
            fs::create_dir_all(at.join(made))?;
        }
        fs::write(at.join(CERTS).join("_default/hosts.toml"), hosts)?;
        let certs = at.join(CERTS).display().to_string();
        let top = format!("root = {:?}\nstate = {:?}\n", at.join("root"), at.join("state"));
        let (shipped, version) = release.shipped();
        fs::write(at.join("etc/containerd/config.toml"), shipped)?;
        let shipped =
            shipped.replace("/etc/containerd/certs.d", &certs).replace(version, &format!("{version}{top}"));
        // No garbage is collected: what a pull that was broken off has brought would be gone a second later.
        let config = format!(
            "{shipped}\n{more}\
             [grpc]\naddress = {:?}\n\
             [plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\n\
             {}[plugins.\"io.containerd.internal.v1.opt\"]\npath = {:?}\n",
            at.join("containerd.sock"),
            release.cni(at),
            at.join("opt")
        );
        fs::write(at.join("config.toml"), config)?;
        let program = release.program("containerd")?;
        let mut process =
            Process::start(Command::new(program).arg("-c").arg(at.join("config.toml")), &at.join("log"))?;
        let socket = at.join("containerd.sock");
        process.wait_ready(|| cri(&socket, &["ready"]).is_ok_and(|outcome| outcome.succeeded()))?;
        Ok(Self { process, folder, ctr: release.program("ctr")? })
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
        let hosts = self.folder.path().join(CERTS);
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

    /// The root below which its files lie as on a node: `etc/containerd/config.toml`, and the `certs.d` that it reads.
    #[must_use]
    pub fn node(&self) -> &Path {
        self.folder.path()
    }

    /// Another `hosts.toml` for every registry; it is read at the next pull.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn set_hosts(&self, text: &str) -> io::Result<()> {
        fs::write(self.folder.path().join(CERTS).join("_default/hosts.toml"), text)
    }

    /// What asks it for an image, without the image.
    ///
    /// # Errors
    /// The program was not built.
    pub fn pulls_with(&self) -> io::Result<String> {
        let program = tool::built("cri-pull").map_err(io::Error::other)?;
        Ok(format!("{} {} pull", program.display(), self.socket().display()))
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
        let mut command = Command::new(&self.ctr);
        command.arg("-a").arg(self.socket()).args(["-n", "pullgate-test"]);
        command
    }
}

fn cri(socket: &Path, arguments: &[&str]) -> io::Result<Outcome> {
    let program = tool::built("cri-pull").map_err(io::Error::other)?;
    run(Command::new(program).arg(socket).args(arguments))
}
