//! Programs that run to their end, and daemons that are stopped when their value is dropped.

use std::{
    fs::{self, File},
    io,
    net::TcpListener,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio, id},
    sync::atomic::{AtomicU32, Ordering},
    thread::sleep,
    time::{Duration, Instant},
};

/// A client that takes longer hangs: it is killed and that is its outcome.
const RUN_MAX: Duration = Duration::from_secs(300);
/// Daemons are up in 1 to 4 s on an idle machine; this is for a busy one.
const READY_MAX: Duration = crate::waiting::PATIENCE;
/// What a daemon gets to unmount and to close its files, before it is killed.
const STOP_MAX: Duration = Duration::from_secs(10);
const POLL: Duration = Duration::from_millis(20);
/// Below the range that the kernel gives to outgoing connections, so that nobody takes a port between choice and use.
const PORTS: std::ops::Range<u32> = 20_000..32_000;

/// How a program ended and all that it said, standard output and standard error as they came.
#[derive(Debug)]
pub struct Outcome {
    status: Option<ExitStatus>,
    /// Both streams together.
    pub text: String,
}

impl Outcome {
    /// It ended with status 0. A program that had to be killed did not.
    #[must_use]
    pub fn succeeded(&self) -> bool {
        self.status.is_some_and(|status| status.success())
    }

    /// Whether the words are in its output. Some clients print through a logger that puts a backslash before each quote.
    #[must_use]
    pub fn says(&self, words: &str) -> bool {
        self.text.replace('\\', "").contains(words)
    }
}

/// Runs a program to its end.
///
/// # Errors
/// It could not be started. That it failed is an outcome.
pub fn run(command: &mut Command) -> io::Result<Outcome> {
    let log = tempfile::NamedTempFile::new()?;
    let mut process = Process::start(command, log.path())?;
    let started = Instant::now();
    let mut status = process.child.try_wait()?;
    while status.is_none() && started.elapsed() < RUN_MAX {
        sleep(POLL);
        status = process.child.try_wait()?;
    }
    drop(process);
    Ok(Outcome { status, text: String::from_utf8_lossy(&fs::read(log.path())?).into_owned() })
}

/// A running program; stopped when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    name: String,
    log: PathBuf,
}

impl Process {
    /// Starts a program in the background, its output in the file `log`.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start(command: &mut Command, log: &Path) -> io::Result<Self> {
        Self::start_reading(Stdio::null(), command, log)
    }

    /// The same with a standard input.
    ///
    /// # Errors
    /// It could not be started.
    pub fn start_reading(input: Stdio, command: &mut Command, log: &Path) -> io::Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        let output = File::create(log)?;
        command.stdin(input).stdout(output.try_clone()?).stderr(output);
        let child = command.spawn().map_err(|error| io::Error::other(format!("{name}: {error}")))?;
        Ok(Self { child, name, log: log.to_path_buf() })
    }

    /// Waits until the probe succeeds.
    ///
    /// # Errors
    /// It ended before, or is not ready in `READY_MAX`: with the end of its output.
    pub fn wait_ready(&mut self, mut probe: impl FnMut() -> bool) -> io::Result<()> {
        let started = Instant::now();
        while !probe() {
            if let Some(status) = self.child.try_wait()? {
                return Err(self.complaint(&format!("ended at once with {status}")));
            }
            if started.elapsed() > READY_MAX {
                return Err(self.complaint("is not ready"));
            }
            sleep(POLL);
        }
        Ok(())
    }

    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it has had of the processor (proc(5), `stat`, at 100 ticks a second): a machine that is busy with other things
    /// takes none of it.
    ///
    /// # Errors
    /// It has ended.
    pub fn processor_time(&self) -> io::Result<Duration> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        let fields = stat.rsplit(')').next().unwrap_or_default().split_whitespace().skip(11).take(2);
        let ticks: u64 = fields.filter_map(|field| field.parse::<u64>().ok()).sum();
        Ok(Duration::from_millis(ticks * 10))
    }

    /// Waits for its end, at most so long, and tells its exit status; none when it was killed by a signal or goes on.
    ///
    /// # Errors
    /// It cannot be waited for.
    pub fn wait_end(&mut self, most: Duration) -> io::Result<Option<i32>> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status.code());
            }
            if started.elapsed() > most {
                return Ok(None);
            }
            sleep(POLL);
        }
    }

    /// All that it said so far.
    #[must_use]
    pub fn output(&self) -> String {
        fs::read(&self.log).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Sends a signal by name: `HUP`, `TERM`.
    ///
    /// # Errors
    /// It has ended already.
    pub fn signal(&self, name: &str) -> io::Result<()> {
        // The shell's own `kill`: there is no safe one in the standard library.
        let sent = Command::new("sh").args(["-c", &format!("kill -{name} {}", self.child.id())]).status()?;
        if sent.success() { Ok(()) } else { Err(self.complaint("is not running")) }
    }

    /// Kills it at once, and waits until it is gone.
    ///
    /// # Errors
    /// It cannot be killed.
    pub fn kill(mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_none() {
            self.child.kill()?;
            self.child.wait()?;
        }
        Ok(())
    }

    fn complaint(&self, what: &str) -> io::Error {
        let output = self.output();
        let lines = output.lines().rev().take(20).collect::<Vec<_>>();
        let tail = lines.into_iter().rev().collect::<Vec<_>>().join("\n");
        io::Error::other(format!("{} {what}; it said:\n{tail}", self.name))
    }

    fn stop(&mut self) -> io::Result<()> {
        if self.child.try_wait()?.is_some() {
            return Ok(());
        }
        self.signal("TERM")?;
        let asked = Instant::now();
        while asked.elapsed() < STOP_MAX {
            if self.child.try_wait()?.is_some() {
                return Ok(());
            }
            sleep(POLL);
        }
        self.child.kill()?;
        self.child.wait().map(|_| ())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if self.stop().is_err() {
            // Nothing is left to do for a process that does not even die.
            drop(self.child.kill());
        }
    }
}

/// A loopback address that nobody listens on, `127.0.0.1:PORT`, given out once by this process.
///
/// # Errors
/// Every port is taken.
pub fn free_address() -> io::Result<String> {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    for _ in PORTS {
        // Test programs that run side by side begin at different places.
        let step = id().wrapping_mul(131).wrapping_add(NEXT.fetch_add(1, Ordering::Relaxed));
        let port = PORTS.start + step % (PORTS.end - PORTS.start);
        let address = format!("127.0.0.1:{port}");
        if TcpListener::bind(&address).is_ok() {
            return Ok(address);
        }
    }
    Err(io::Error::other("no free port"))
}

/// Waits until the condition holds.
///
/// # Errors
/// It does not hold in `READY_MAX`.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) -> io::Result<()> {
    let started = Instant::now();
    while !holds() {
        if started.elapsed() > READY_MAX {
            return Err(io::Error::other(format!("waited in vain: {what}")));
        }
        sleep(POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_tells_its_end_and_both_streams() -> io::Result<()> {
        let outcome = run(Command::new("sh").args(["-c", r#"echo one; echo 'no \"key\"' >&2; exit 3"#]))?;
        assert!(!outcome.succeeded());
        assert!(outcome.says("one") && outcome.says(r#"no "key""#), "{outcome:?}");
        Ok(())
    }

    #[test]
    fn a_daemon_that_ends_at_once_is_not_waited_for() -> io::Result<()> {
        let log = tempfile::NamedTempFile::new()?;
        let mut daemon =
            Process::start(Command::new("sh").args(["-c", "echo no such file; exit 1"]), log.path())?;
        let complaint = daemon.wait_ready(|| false).map_err(|error| error.to_string());
        assert!(complaint.is_err_and(|text| text.contains("no such file")));
        Ok(())
    }

    #[test]
    fn a_dropped_process_has_ended() -> io::Result<()> {
        let log = tempfile::NamedTempFile::new()?;
        let daemon = Process::start(Command::new("sleep").arg("60"), log.path())?;
        let alive = PathBuf::from(format!("/proc/{}", daemon.child.id()));
        assert!(alive.exists());
        drop(daemon);
        assert!(!alive.exists());
        Ok(())
    }

    #[test]
    fn an_address_is_given_out_once() -> io::Result<()> {
        assert_ne!(free_address()?, free_address()?);
        Ok(())
    }
}
