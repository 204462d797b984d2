//! The Docker engine of Debian (20.10). It knows no mirror for other registries than Docker Hub, and none without a way
//! around: it pulls by a reference that names the gate.

use std::{fs, io, path::Path, process::Command};

use serde_json::{Value, json};
use tempfile::TempDir;

use super::{
    Containerd,
    process::{Outcome, Process, run},
    tool,
};

/// A running engine with a store of its own; stopped when dropped, before the containerd below it.
#[derive(Debug)]
pub struct Dockerd {
    _process: Process,
    _containerd: Containerd,
    folder: TempDir,
    /// What it has in the place of `/etc`, as long as it runs.
    etc: Option<TempDir>,
}

/// Can it be started?
///
/// # Errors
/// The reason for a skip.
pub fn available() -> Result<(), String> {
    tool::require_installed(&["dockerd", "docker"])?;
    super::containerd::available()
}

/// Can it be given files of its own in `/etc`?
///
/// # Errors
/// The reason for a skip.
pub fn available_apart() -> Result<(), String> {
    tool::require_installed(&["unshare"])?;
    available()?;
    let apart = run(Command::new("unshare").args(["--mount", "true"]));
    if apart.is_ok_and(|outcome| outcome.succeeded()) {
        Ok(())
    } else {
        Err("nothing may be mounted".to_owned())
    }
}

impl Dockerd {
    /// Starts one that takes plain HTTP from the gate at `gate` (`127.0.0.1:PORT`). `nowhere` is a proxy for all that
    /// is not loopback: an attempt to go around the gate is seen there, and leads nowhere.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(gate: &str, nowhere: &str) -> io::Result<Self> {
        let program = Command::new(tool::installed("dockerd").unwrap_or_default());
        Self::launch(program, &json!([gate]), gate, nowhere)
    }

    /// The same, where the gate is reached by a name, `HOST:PORT` of the address `::1`: every address that begins with
    /// 127 is taken on trust. The engine has `/etc/hosts` and `/etc/docker/certs.d/HOST:PORT` to itself, there
    /// `authority` or nothing.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start_trusting(gate: &str, authority: Option<&Path>, nowhere: &str) -> io::Result<Self> {
        let etc = TempDir::with_prefix("pullgate-etc-")?;
        let certificates = etc.path().join("docker/certs.d").join(gate);
        fs::create_dir_all(&certificates)?;
        if let Some(authority) = authority {
            fs::copy(authority, certificates.join("ca.crt"))?;
        }
        let host = gate.split(':').next().unwrap_or(gate);
        fs::write(etc.path().join("hosts"), format!("127.0.0.1 localhost\n::1 {host}\n"))?;
        let own = "mkdir -p /etc/docker && mount --bind \"$0/docker\" /etc/docker \
            && mount --bind \"$0/hosts\" /etc/hosts && exec \"$@\"";
        let mut program = Command::new("unshare");
        program.args(["--mount", "sh", "-c", own]).arg(etc.path());
        program.arg(tool::installed("dockerd").unwrap_or_default());
        let mut engine = Self::launch(program, &json!([]), host, nowhere)?;
        engine.etc = Some(etc);
        Ok(engine)
    }

    fn launch(mut command: Command, insecure: &Value, gate: &str, nowhere: &str) -> io::Result<Self> {
        let containerd = Containerd::start(gate)?;
        let folder = TempDir::with_prefix("pullgate-dockerd-")?;
        let at = folder.path();
        let host = format!("unix://{}", at.join("docker.sock").display());
        let config = json!({
            "insecure-registries": insecure,
            "storage-driver": "vfs",
            "iptables": false,
            "bridge": "none",
            "hosts": [host],
            "data-root": at.join("root"),
            "exec-root": at.join("exec"),
            "pidfile": at.join("pid"),
        });
        fs::write(at.join("daemon.json"), config.to_string())?;
        let proxy = format!("http://{nowhere}");
        command.arg("--config-file").arg(at.join("daemon.json")).arg("--containerd").arg(containerd.socket());
        command.env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy);
        command.env("NO_PROXY", format!("127.0.0.1,{gate}"));
        let mut process = Process::start(&mut command, &at.join("log"))?;
        process.wait_ready(|| run(docker(at).arg("version")).is_ok_and(|outcome| outcome.succeeded()))?;
        Ok(Self { _process: process, _containerd: containerd, folder, etc: None })
    }

    /// `docker login` to the gate.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn login(&self, gate: &str, (user, password): (&str, &str)) -> io::Result<Outcome> {
        run(docker(self.folder.path()).args(["login", "--username", user, "--password", password, gate]))
    }

    /// What asks it for an image, without the image.
    #[must_use]
    pub fn pulls_with(&self) -> String {
        format!("docker -H unix://{} pull", self.folder.path().join("docker.sock").display())
    }

    /// `docker pull`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn pull(&self, image: &str) -> io::Result<Outcome> {
        run(docker(self.folder.path()).args(["pull", image]))
    }
}

fn docker(at: &Path) -> Command {
    let mut command = Command::new("docker");
    command.arg("-H").arg(format!("unix://{}", at.join("docker.sock").display())).env("HOME", at);
    command
}
