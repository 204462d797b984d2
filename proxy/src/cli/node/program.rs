//! Programs of the runtimes, run to their end or to their limit.

use std::env;
use std::fs::File;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process_group};

use crate::limits::{NODE_PROGRAM, NODE_PROGRAM_BYTES};

/// How often a program is asked whether it has ended.
const POLL: Duration = Duration::from_millis(20);

/// How a program ended, with both its streams.
#[derive(Debug)]
pub(in crate::cli) enum Ended {
    Succeeded(String),
    Failed(String),
    /// It did not end in time.
    TooLate,
}

/// Runs a program that asks nobody anything. It may block the thread.
pub(in crate::cli) fn run(words: &[String]) -> io::Result<Ended> {
    within(words, NODE_PROGRAM)
}

/// Whether a program of that name is in `PATH`.
pub(in crate::cli) fn installed(name: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.is_absolute() && Path::new(&folder).join(name).is_file())
}

fn within(words: &[String], most: Duration) -> io::Result<Ended> {
    let [program, arguments @ ..] = words else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "no program"));
    };
    let mut output = tempfile::tempfile()?;
    // A group of its own, so that what it started ends with it.
    let mut child = Command::new(program)
        .args(arguments)
        .process_group(0)
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output.try_clone()?)
        .spawn()?;
    let started = Instant::now();
    let status = loop {
        if let Some(status) = child.try_wait()? {
            break status;
        }
        if started.elapsed() >= most {
            if let Some(group) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
                let _ = kill_process_group(group, Signal::KILL);
            }
            child.wait()?;
            return Ok(Ended::TooLate);
        }
        std::thread::sleep(POLL);
    };
    let said = said(&mut output)?;
    Ok(if status.success() { Ended::Succeeded(said) } else { Ended::Failed(said) })
}

fn said(output: &mut File) -> io::Result<String> {
    output.seek(SeekFrom::Start(0))?;
    let mut bytes = Vec::new();
    output.take(NODE_PROGRAM_BYTES).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sh(script: &str) -> Vec<String> {
        ["sh", "-c", script].map(str::to_owned).into()
    }

    #[test]
    fn a_program_that_goes_on_for_ever_is_ended_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let pid = folder.path().join("pid");
        let script = sh(&format!("sleep 1000 & echo $! > {}; wait", pid.display()));
        // It is ended when it has said whom it started, however slow the machine is.
        let ended = loop {
            let ended = within(&script, Duration::from_millis(300)).unwrap();
            if std::fs::read_to_string(&pid).is_ok_and(|pid| pid.ends_with('\n')) {
                break ended;
            }
        };
        assert!(matches!(ended, Ended::TooLate));
        let child = std::fs::read_to_string(&pid).unwrap();
        let state = format!("/proc/{}/stat", child.trim());
        let gone = || std::fs::read_to_string(&state).map_or(true, |stat| stat.contains(") Z "));
        while !gone() {
            std::thread::sleep(POLL);
        }
    }

    #[test]
    fn what_a_program_says_is_read_to_its_limit() {
        let more = sh(&format!("head -c {} /dev/zero | tr '\\0' x; exit 3", NODE_PROGRAM_BYTES + 1));
        match run(&more).unwrap() {
            Ended::Failed(said) => assert_eq!(said.len() as u64, NODE_PROGRAM_BYTES),
            other => panic!("{other:?}"),
        }
        assert!(
            matches!(run(&sh("echo both; echo >&2 both")).unwrap(), Ended::Succeeded(said) if said == "both\nboth\n")
        );
    }
}
