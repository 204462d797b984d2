//! The gate itself, as a process with files of its own.

use std::{
    fs,
    io::{self, Write},
    net::TcpListener,
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::Arc,
    time::Duration,
};

use serde_json::Value;
use tempfile::{NamedTempFile, TempDir};

use super::{
    http,
    process::{Process, free_address},
    tool,
};

/// A port of the gate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Port {
    /// Where clients pull.
    Data,
    /// Where health and metrics are.
    Admin,
}

/// What a gate is started with.
#[derive(Debug, Clone)]
pub struct Settings {
    policy: String,
    listen: String,
    configuration: String,
    files: Vec<(String, Vec<u8>)>,
    descriptors: Option<String>,
    memory: Option<u64>,
    state: String,
    audit: String,
    handed: Option<(Port, Arc<TcpListener>)>,
    environment: Vec<(String, String)>,
}

impl Settings {
    /// With the text of `policy.toml`.
    #[must_use]
    pub fn new(policy: &str) -> Self {
        Self {
            policy: policy.to_owned(),
            listen: String::new(),
            configuration: String::new(),
            files: Vec::new(),
            descriptors: None,
            memory: None,
            state: "state".to_owned(),
            audit: "log = \"audit.jsonl\"".to_owned(),
            handed: None,
            environment: Vec::new(),
        }
    }

    /// An `[upstream]` table: the registry `name`, also called `alias`, is reached at `address` (`127.0.0.1:PORT`) in
    /// plain HTTP.
    #[must_use]
    pub fn upstream(self, name: &str, alias: &str, address: &str) -> Self {
        let table = format!("[upstream.\"{name}\"]\nurl = \"http://{address}\"\naliases = [\"{alias}\"]\n");
        self.configuration(&table)
    }

    /// More tables of `pullgate.toml`, other than `[listen]`, `[admin]` and `[audit]`.
    #[must_use]
    pub fn configuration(mut self, tables: &str) -> Self {
        self.configuration.push_str(tables);
        self
    }

    /// A variable of its environment.
    #[must_use]
    pub fn environment(mut self, name: &str, value: &str) -> Self {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// At most so many open files (`ulimit -n`).
    #[must_use]
    pub fn descriptors(self, most: u64) -> Self {
        Self { descriptors: Some(format!("-n {most}")), ..self }
    }

    /// So many open files until it asks for more, which it may (`ulimit -S -n`).
    #[must_use]
    pub fn descriptors_at_first(self, count: u64) -> Self {
        Self { descriptors: Some(format!("-S -n {count}")), ..self }
    }

    /// At most so many bytes of address space (`ulimit -v`); 0: without a limit.
    #[must_use]
    pub fn memory(self, most: u64) -> Self {
        Self { memory: Some(most).filter(|most| *most > 0), ..self }
    }

    /// The socket of the data port, which the test goes on holding, as a supervisor does (`sd_listen_fds(3)`).
    #[must_use]
    pub fn socket(self, socket: &Arc<TcpListener>) -> Self {
        Self { handed: Some((Port::Data, Arc::clone(socket))), ..self }
    }

    /// The same of one port, by its name (`FileDescriptorName=`).
    #[must_use]
    pub fn named_socket(self, port: Port, socket: &Arc<TcpListener>) -> Self {
        let name = match port {
            Port::Data => "data",
            Port::Admin => "admin",
        };
        let named = self.environment("LISTEN_FDNAMES", name);
        Self { handed: Some((port, Arc::clone(socket))), ..named }
    }

    /// The state folder, in place of one beside the configuration.
    #[must_use]
    pub fn state(self, path: &Path) -> Self {
        Self { state: path.display().to_string(), ..self }
    }

    /// Lines of `[audit]`, in place of a log beside the configuration.
    #[must_use]
    pub fn audit(self, lines: &str) -> Self {
        Self { audit: lines.to_owned(), ..self }
    }

    /// More lines of `[listen]`.
    #[must_use]
    pub fn listen(self, lines: &str) -> Self {
        Self { listen: format!("{lines}\n"), ..self }
    }

    /// A file beside the policy that is made here.
    #[must_use]
    pub fn text(mut self, path: &str, text: &str) -> Self {
        self.files.push((path.to_owned(), text.as_bytes().to_vec()));
        self
    }

    /// A file beside the policy, by the path that the policy names: a key, a trust root.
    ///
    /// # Errors
    /// It cannot be read.
    pub fn file(mut self, path: &str, from: &Path) -> io::Result<Self> {
        self.files.push((path.to_owned(), fs::read(from)?));
        Ok(self)
    }
}

/// A running gate; stopped when dropped.
#[derive(Debug)]
pub struct Gate {
    address: String,
    admin: String,
    process: Process,
    folder: TempDir,
}

impl Gate {
    /// Starts one and waits until it is ready.
    ///
    /// # Errors
    /// It was not built, its configuration is refused, or it does not become ready: with what it said.
    pub fn start(settings: &Settings) -> io::Result<Self> {
        Self::start_until(settings, "/readyz")
    }

    /// Starts one and waits until it is alive, ready or not.
    ///
    /// # Errors
    /// As [`Gate::start`].
    pub fn start_alive(settings: &Settings) -> io::Result<Self> {
        Self::start_until(settings, "/livez")
    }

    fn start_until(settings: &Settings, probe: &str) -> io::Result<Self> {
        let folder = TempDir::with_prefix("pullgate-gate-")?;
        let (address, admin) = (free_address()?, free_address()?);
        for (path, bytes) in &settings.files {
            let file = folder.path().join(path);
            if let Some(parent) = file.parent() {
                fs::create_dir_all(parent)?;
            }
            fs::write(file, bytes)?;
        }
        fs::write(folder.path().join("policy.toml"), &settings.policy)?;
        let configuration = format!(
            "policy = \"policy.toml\"\nstate = \"{}\"\n\
             [listen]\naddress = \"{address}\"\n{}[admin]\naddress = \"{admin}\"\n[audit]\n{}\n{}",
            settings.state, settings.listen, settings.audit, settings.configuration
        );
        let file = folder.path().join("pullgate.toml");
        fs::write(&file, configuration)?;
        let mut input = Stdio::null();
        let memory = settings.memory.map(|bytes| format!("-v {}", bytes / 1024));
        let limits: String = [&settings.descriptors, &memory]
            .into_iter()
            .flatten()
            .map(|limit| format!("ulimit {limit} && "))
            .collect();
        let mut command = match (&settings.handed, limits.as_str()) {
            (Some((_, socket)), _) => {
                // As a supervisor does it: the socket is descriptor 3 of the process that LISTEN_PID names.
                let mut shell = Command::new("sh");
                let hand = "exec 3<&0 </dev/null; LISTEN_PID=$$ LISTEN_FDS=1 exec \"$0\" \"$@\"";
                shell.args(["-c", hand]).arg(tool::gate()?);
                input = Stdio::from(OwnedFd::from(socket.try_clone()?));
                shell
            }
            (None, "") => Command::new(tool::gate()?),
            (None, limits) => {
                let mut shell = Command::new("sh");
                shell.args(["-c", &format!("{limits}exec \"$0\" \"$@\"")]).arg(tool::gate()?);
                shell
            }
        };
        command.arg("serve").arg("--config").arg(&file).current_dir(folder.path());
        command.envs(settings.environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start_reading(input, &mut command, &folder.path().join("log"))?;
        let (address, admin) = match &settings.handed {
            Some((Port::Data, socket)) => (socket.local_addr()?.to_string(), admin),
            Some((Port::Admin, socket)) => (address, socket.local_addr()?.to_string()),
            None => (address, admin),
        };
        process.wait_ready(|| http::get(&admin, probe).is_ok_and(|answer| answer.status == 200))?;
        Ok(Self { address, admin, process, folder })
    }

    /// Where clients pull, `127.0.0.1:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Where health and metrics are, `127.0.0.1:PORT`.
    #[must_use]
    pub fn admin(&self) -> &str {
        &self.admin
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// Sends it a signal by name: `HUP`, `TERM`.
    ///
    /// # Errors
    /// It has ended already.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        self.process.signal(name)
    }

    /// Waits for its end, at most so long, and tells its exit status; none when it was killed by a signal or goes on.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn wait_end(&mut self, most: Duration) -> io::Result<Option<i32>> {
        self.process.wait_end(most)
    }

    /// What it logged, the audit log apart.
    #[must_use]
    pub fn output(&self) -> String {
        self.process.output()
    }

    /// The records of the audit log so far. A record is written after its answer: wait for the one that you want.
    ///
    /// # Errors
    /// The file cannot be read, or a line is not JSON.
    pub fn audit(&self) -> io::Result<Vec<Value>> {
        let text = fs::read_to_string(self.folder.path().join("audit.jsonl"))?;
        text.lines().map(|line| serde_json::from_str(line).map_err(io::Error::other)).collect()
    }

    /// Puts another policy in the place of the one in force, whole, and asks for a reload.
    /// The gate takes it soon after: wait for an answer that shows it.
    ///
    /// # Errors
    /// It cannot be written, or the gate has ended.
    pub fn set_policy(&self, policy: &str) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(self.folder.path())?;
        file.write_all(policy.as_bytes())?;
        file.persist(self.folder.path().join("policy.toml"))?;
        self.process.signal("HUP")
    }
}
