//! skopeo, podman and buildah, configured with the files of `deploy/podman`: the registry itself is blocked, the gate
//! is its mirror.

use std::{fs, io, path::Path, process::Command};

use tempfile::TempDir;

use super::{
    process::{Outcome, run},
    tool,
};

const REGISTRIES: &str = include_str!("../../../deploy/podman/pullgate.conf");
const POLICY: &str = include_str!("../../../deploy/podman/policy.json");

/// What the client's own `policy.json` lets through.
#[derive(Debug, Clone, Copy)]
pub enum Trust {
    /// The shipped file: the registries behind the gate and nothing else.
    Shipped,
    /// Any registry, to show that the mirror configuration alone holds.
    Anything,
}

/// Configuration and image store of these three programs.
#[derive(Debug)]
pub struct Containers {
    folder: TempDir,
}

/// Can `program`, one of the three, be run?
///
/// # Errors
/// The reason for a skip.
pub fn available(program: &str) -> Result<(), String> {
    tool::require_installed(&[program])?;
    // skopeo copies files; the others keep the owners of files in their store.
    if program == "skopeo" { Ok(()) } else { tool::require_root(program) }
}

impl Containers {
    /// For images of `registry`, which the gate at `gate` (both `127.0.0.1:PORT`) knows by `alias`: a mirror's path
    /// cannot hold a port.
    ///
    /// # Errors
    /// The files cannot be written.
    pub fn new(registry: &str, alias: &str, gate: &str, trust: Trust) -> io::Result<Self> {
        let folder = TempDir::with_prefix("pullgate-containers-")?;
        let at = folder.path();
        let quoted = format!("{registry:?}");
        let registries = REGISTRIES
            .replace("127.0.0.1:5000/docker.io", &format!("{gate}/{alias}"))
            .replace("\"docker.io\"", &quoted)
            .replace("127.0.0.1:5000", gate);
        let policy = match trust {
            Trust::Shipped => POLICY.replace("\"docker.io\"", &quoted),
            Trust::Anything => r#"{"default":[{"type":"insecureAcceptAnything"}]}"#.to_owned(),
        };
        let storage = format!(
            "[storage]\ndriver = \"vfs\"\nrunroot = {:?}\ngraphroot = {:?}\n",
            at.join("run"),
            at.join("graph")
        );
        let engine = format!(
            "[engine]\ntmp_dir = {:?}\ncgroup_manager = \"cgroupfs\"\nevents_logger = \"none\"\n",
            at.join("tmp")
        );
        fs::write(at.join("registries.conf"), registries)?;
        fs::write(at.join("policy.json"), policy)?;
        fs::write(at.join("storage.conf"), storage)?;
        fs::write(at.join("containers.conf"), engine)?;
        fs::write(at.join("auth.json"), r#"{"auths":{}}"#)?;
        Ok(Self { folder })
    }

    /// `skopeo copy` into an image layout; `arguments` such as `--all`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn skopeo_copy(&self, arguments: &[&str], image: &str) -> io::Result<Outcome> {
        let mut command = self.command("skopeo");
        // skopeo 1.9 does not read CONTAINERS_REGISTRIES_CONF: without this option it goes to the registry itself.
        command.arg("--registries-conf").arg(self.folder.path().join("registries.conf"));
        command.arg("--policy").arg(self.folder.path().join("policy.json"));
        command.arg("copy").args(arguments).arg(format!("docker://{image}"));
        run(command.arg(format!("oci:{}:copied", self.folder.path().join("layout").display())))
    }

    /// `PROGRAM login`, by one of the three, to the gate at `gate`, whose certificate chains to the one in the folder
    /// `certificates`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn login(
        &self,
        program: &str,
        gate: &str,
        certificates: &Path,
        (user, password): (&str, &str),
    ) -> io::Result<Outcome> {
        let mut command = self.command(program);
        command.arg("login").arg("--cert-dir").arg(certificates);
        run(command.args(["--username", user, "--password", password, gate]))
    }

    /// Puts the certificate `authority` where all three look for the one of `gate`: `certs.d` in the user's
    /// configuration, and `/etc/containers/certs.d` after it.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn trust_authority(&self, gate: &str, authority: &Path) -> io::Result<()> {
        let certificates = self.folder.path().join(".config/containers/certs.d").join(gate);
        fs::create_dir_all(&certificates)?;
        fs::copy(authority, certificates.join("ca.crt")).map(drop)
    }

    /// `podman pull`; `arguments` such as `--platform linux/arm64`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn podman_pull(&self, arguments: &[&str], image: &str) -> io::Result<Outcome> {
        let mut command = self.command("podman");
        command.arg("pull").arg("--signature-policy").arg(self.folder.path().join("policy.json"));
        run(command.args(arguments).arg(image))
    }

    /// `buildah pull`; `arguments` such as `--policy always`.
    ///
    /// # Errors
    /// The program could not be started.
    pub fn buildah_pull(&self, arguments: &[&str], image: &str) -> io::Result<Outcome> {
        let mut command = self.command("buildah");
        command.args(["--storage-driver", "vfs", "pull", "--signature-policy"]);
        run(command.arg(self.folder.path().join("policy.json")).args(arguments).arg(image))
    }

    fn command(&self, program: &str) -> Command {
        let at = self.folder.path();
        let mut command = Command::new(program);
        command
            .env("HOME", at)
            .env("CONTAINERS_REGISTRIES_CONF", at.join("registries.conf"))
            .env("CONTAINERS_STORAGE_CONF", at.join("storage.conf"))
            .env("CONTAINERS_CONF", at.join("containers.conf"))
            .env("REGISTRY_AUTH_FILE", at.join("auth.json"));
        command
    }
}
