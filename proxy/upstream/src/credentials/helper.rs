//! Credential helpers: programs that docker's protocol asks for a login. One that hangs, that never ends its answer or that
//! leaves a child behind costs its time and no more (A415).

use std::io::{Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use pullgate_config::Secret;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;
use zeroize::Zeroizing;

/// How often a helper that has closed its output is asked whether it has ended.
const POLL: Duration = Duration::from_millis(10);

/// What a helper may cost.
#[derive(Debug, Clone, Copy)]
pub(super) struct Bounds {
    /// When it must have ended.
    pub(super) until: Instant,
    /// Bytes of its answer.
    pub(super) bytes: u64,
}

/// A helper's answer for a registry.
#[derive(Debug)]
pub(super) enum HelperAnswer {
    /// User name and secret; the name `<token>` says that the secret is an identity token.
    Login { username: String, secret: Secret },
    /// Nothing.
    Nothing,
}

/// Why a helper has no answer. No variant holds its output, which may be a secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum HelperFault {
    /// It says no, and not that there is nothing.
    #[error("the credential helper failed")]
    Failed,
    /// Its answer does not follow the protocol.
    #[error("the credential helper's answer cannot be read")]
    Malformed,
    /// It cannot be started or read.
    #[error("the credential helper cannot be run")]
    NotRun,
    /// It took too long.
    #[error("the credential helper took too long")]
    TooLate,
    /// It says too much.
    #[error("the credential helper's answer is too long")]
    TooLong,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Said {
    username: String,
    secret: String,
}

/// Asks `docker-credential-NAME` of the `PATH` for the login of `server`. No shell: the name is the program's own.
pub(super) fn ask(name: &str, server: &str, bounds: Bounds) -> Result<HelperAnswer, HelperFault> {
    run(Command::new(format!("docker-credential-{name}")), server, bounds)
}

fn run(mut command: Command, server: &str, bounds: Bounds) -> Result<HelperAnswer, HelperFault> {
    command.arg("get").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    // A process group of its own, so that its children end with it.
    let mut child = command.process_group(0).spawn().map_err(|_| HelperFault::NotRun)?;
    let answer = answer(&mut child, server, bounds);
    end(&mut child);
    let (status, bytes) = answer?;
    if status.success() {
        let said: Said = serde_json::from_slice(&bytes).map_err(|_| HelperFault::Malformed)?;
        return Ok(HelperAnswer::Login { username: said.username, secret: Secret::new(said.secret) });
    }
    // What every helper says where it has nothing (docker-credential-helpers, "credentials not found").
    if bytes.starts_with(b"credentials not found") {
        Ok(HelperAnswer::Nothing)
    } else {
        Err(HelperFault::Failed)
    }
}

fn answer(
    child: &mut Child,
    server: &str,
    bounds: Bounds,
) -> Result<(ExitStatus, Zeroizing<Vec<u8>>), HelperFault> {
    if let Some(mut input) = child.stdin.take() {
        // A name is shorter than any pipe's room; whether the helper reads it is the helper's affair.
        let _ = input.write_all(server.as_bytes());
    }
    let output = child.stdout.take().ok_or(HelperFault::NotRun)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let most = bounds.bytes;
    // A thread of its own: a read of a pipe cannot be given up, and ends when the group is killed.
    let reading = std::thread::Builder::new().name("credential-helper".to_owned()).spawn(move || {
        let mut bytes = Zeroizing::new(Vec::new());
        let read = output.take(most.saturating_add(1)).read_to_end(&mut bytes);
        // The receiver is gone after a timeout.
        let _ = sender.send(read.map(|_| bytes));
    });
    reading.map_err(|_| HelperFault::NotRun)?;
    let left = bounds.until.saturating_duration_since(Instant::now());
    let bytes = receiver.recv_timeout(left).map_err(|_| HelperFault::TooLate)?;
    let bytes = bytes.map_err(|_| HelperFault::NotRun)?;
    if bytes.len() as u64 > most {
        return Err(HelperFault::TooLong);
    }
    loop {
        if let Some(status) = child.try_wait().map_err(|_| HelperFault::NotRun)? {
            return Ok((status, bytes));
        }
        if Instant::now() >= bounds.until {
            return Err(HelperFault::TooLate);
        }
        std::thread::sleep(POLL);
    }
}

/// Kills it and its children, and reaps it, so that no process is left.
fn end(child: &mut Child) {
    if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // The group may have ended already.
        let _ = kill_process_group(group, Signal::KILL);
    }
    let _ = child.wait();
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What a shell script as the helper answers to, within these limits.
    fn helper(script: &str, time: Duration, bytes: u64) -> Result<Option<(String, String)>, HelperFault> {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        let known = run(command, "r.example", Bounds { until: Instant::now() + time, bytes })?;
        Ok(match known {
            HelperAnswer::Login { username, secret } => Some((username, secret.reveal().to_owned())),
            HelperAnswer::Nothing => None,
        })
    }

    const LONG: Duration = Duration::from_secs(120);

    #[test]
    fn a415_a_helper_that_keeps_to_the_protocol_is_heard() {
        let script = r#"server=$(cat); printf '{"ServerURL":"%s","Username":"u","Secret":"p@%s"}' "$server" "$server""#;
        let login = Some(("u".to_owned(), "p@r.example".to_owned()));
        assert_eq!(helper(script, LONG, 1024), Ok(login));
        assert_eq!(helper("echo credentials not found in native keychain; exit 1", LONG, 1024), Ok(None));
    }

    #[test]
    fn a415_a_helper_that_hangs_costs_its_time_and_leaves_nothing_behind() {
        let begun = Instant::now();
        for script in ["sleep 600", "sleep 600 & sleep 600", "exec 1>&-; sleep 600", "sleep 600 & echo '{}'"]
        {
            assert_eq!(
                helper(script, Duration::from_millis(300), 1024),
                Err(HelperFault::TooLate),
                "{script}"
            );
        }
        assert!(begun.elapsed() < LONG, "{:?}", begun.elapsed());
        let folder = tempfile::tempdir().unwrap();
        let (go, mark) = (folder.path().join("go"), folder.path().join("mark"));
        let late = format!(
            "(while [ ! -e {} ]; do sleep 0.01; done; touch {}) & wait",
            go.display(),
            mark.display()
        );
        assert_eq!(helper(&late, Duration::from_millis(200), 1024), Err(HelperFault::TooLate));
        std::fs::write(&go, "").unwrap();
        std::thread::sleep(Duration::from_millis(500));
        assert!(!mark.exists(), "what the helper started went on");
    }

    #[test]
    fn a415_a_helper_without_end_is_cut_at_its_limit() {
        let begun = Instant::now();
        assert_eq!(helper("cat /dev/zero", LONG, 64 * 1024), Err(HelperFault::TooLong));
        assert_eq!(helper("head -c 1073741824 /dev/zero", LONG, 64 * 1024), Err(HelperFault::TooLong));
        assert!(begun.elapsed() < LONG);
        assert_eq!(helper("printf 12345", LONG, 4), Err(HelperFault::TooLong));
        assert_eq!(helper("printf 1234", LONG, 4), Err(HelperFault::Malformed));
    }

    #[test]
    fn a415_a_helper_that_fails_or_is_not_there_is_no_anonymous_login() {
        assert_eq!(helper("exit 1", LONG, 1024), Err(HelperFault::Failed));
        assert_eq!(helper("echo '{}'", LONG, 1024), Err(HelperFault::Malformed));
        let bounds = Bounds { until: Instant::now() + LONG, bytes: 1024 };
        assert!(matches!(ask("no-such-helper-of-anybody", "r", bounds), Err(HelperFault::NotRun)));
    }
}
