//! The Docker engine of Debian (20.10). It knows no mirror for other registries than Docker Hub, and none without a way
//! around: it pulls by a reference that names the gate.

use std::{fs, io, process::Command};

use serde_json::json;
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
}

/// Can it be started?
///
/// # Errors
/// The reason for a skip.
pub fn available() -> Result<(), String> {
    tool::require_installed(&["dockerd", "docker"])?;
    super::containerd::available()
}

impl Dockerd {
    /// Starts one that takes plain HTTP from the gate at `gate` (`127.0.0.1:PORT`). `nowhere` is a proxy for all that is not loopback: an attempt to go
    /// around the gate is seen there, and leads nowhere.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start(gate: &str, nowhere: &str) -> io::Result<Self> {
        let containerd = Containerd::start(gate)?;
        let folder = TempDir::with_prefix("pullgate-dockerd-")?;
        let at = folder.path();
        let host = format!("unix://{}", at.join("docker.sock").display());
        let config = json!({
            "insecure-registries": [gate],
            "storage-driver": "vfs",
            "iptables": false,
            "bridge": "none",
            "hosts": [host],
            "data-root": at.join("root"),
            "exec-root": at.join("exec"),
            "pidfile": at.join("pid"),
        });
        fs::write(at.join("daemon.json"), config.to_string())?;
        let program = tool::installed("dockerd").unwrap_or_default();
        let proxy = format!("http://{nowhere}");
        let mut command = Command::new(program);
        command.arg("--config-file").arg(at.join("daemon.json")).arg("--containerd").arg(containerd.socket());
        command.env("HTTP_PROXY", &proxy).env("HTTPS_PROXY", &proxy).env("NO_PROXY", "127.0.0.1");
        let mut process = Process::start(&mut command, &at.join("log"))?;
        process.wait_ready(|| run(docker(at).arg("version")).is_ok_and(|outcome| outcome.succeeded()))?;
        Ok(Self { _process: process, _containerd: containerd, folder })
    }

    /// `docker login` to the gate.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn login(&self, gate: &str, (user, password): (&str, &str)) -> io::Result<Outcome> {
        run(docker(self.folder.path()).args(["login", "--username", user, "--password", password, gate]))
    }

    /// `docker pull`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn pull(&self, image: &str) -> io::Result<Outcome> {
        run(docker(self.folder.path()).args(["pull", image]))
    }
}

fn docker(at: &std::path::Path) -> Command {
    let mut command = Command::new("docker");
    command.arg("-H").arg(format!("unix://{}", at.join("docker.sock").display())).env("HOME", at);
    command
}
