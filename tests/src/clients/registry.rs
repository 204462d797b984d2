//! Registries to pull from: one without the referrers API, as many are, and one with it.

use std::{
    fs,
    io::{self, BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use tempfile::TempDir;

use super::{
    http,
    process::{Process, free_address},
    tool,
};

/// Debian's docker-registry (distribution 2.8): no referrers API.
#[derive(Debug)]
pub struct Registry {
    address: String,
    // Before the folder: the process ends first.
    _process: Process,
    _folder: TempDir,
}

/// Can a [`Registry`] be started?
///
/// # Errors
/// The reason for a skip.
pub fn available() -> Result<(), String> {
    tool::require_installed(&["docker-registry"])
}

impl Registry {
    /// Starts an empty one.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start() -> io::Result<Self> {
        let folder = TempDir::with_prefix("pullgate-registry-")?;
        let address = free_address()?;
        let config = format!(
            "version: 0.1\n\
             storage: {{filesystem: {{rootdirectory: {}}}, delete: {{enabled: true}}}}\n\
             http: {{addr: \"{address}\", secret: test}}\n\
             log: {{level: error, accesslog: {{disabled: true}}}}\n",
            folder.path().join("data").display()
        );
        let file = folder.path().join("config.yml");
        fs::write(&file, config)?;
        let program = tool::installed("docker-registry").unwrap_or_default();
        let mut process =
            Process::start(Command::new(program).arg("serve").arg(&file), &folder.path().join("log"))?;
        process.wait_ready(|| http::get(&address, "/v2/").is_ok_and(|answer| answer.status == 200))?;
        Ok(Self { address, _process: process, _folder: folder })
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

/// An in-memory registry with the referrers API (`tests/tools/referrers-registry`).
#[derive(Debug)]
pub struct ReferrersRegistry {
    address: String,
    child: Child,
}

/// Can a [`ReferrersRegistry`] be started?
///
/// # Errors
/// The reason for a skip.
pub fn referrers_available() -> Result<(), String> {
    tool::built("referrers-registry").map(|_| ())
}

impl ReferrersRegistry {
    /// Starts an empty one.
    ///
    /// # Errors
    /// It does not come up.
    pub fn start() -> io::Result<Self> {
        let program = tool::built("referrers-registry").map_err(io::Error::other)?;
        // It ends when its standard input is closed, and chooses its port: no race for one.
        let mut command = Command::new(program);
        command.arg("127.0.0.1:0").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut child = command.spawn()?;
        let mut address = String::new();
        if let Some(output) = child.stdout.take() {
            BufReader::new(output).read_line(&mut address)?;
        }
        let registry = Self { address: address.trim().to_owned(), child };
        if registry.address.is_empty() {
            return Err(io::Error::other("referrers-registry did not say where it listens"));
        }
        Ok(registry)
    }

    /// `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }
}

impl Drop for ReferrersRegistry {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}
