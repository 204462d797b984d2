//! The reference, asked line by line (`tests/tools/differ`).

use std::io::{self, BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Value, json};

use super::Case;

/// The running program.
pub(super) struct Reference {
    child: Child,
    asked: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Reference {
    pub(super) fn start(tool: &Path) -> io::Result<Self> {
        let mut child = Command::new(tool).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn()?;
        let closed = || io::Error::other("the reference has no pipe");
        let asked = child.stdin.take().ok_or_else(closed)?;
        let answers = BufReader::new(child.stdout.take().ok_or_else(closed)?);
        Ok(Self { child, asked, answers })
    }

    /// Why the reference refuses; nothing where it does not.
    pub(super) fn ask(&mut self, case: &Case) -> io::Result<Result<(), String>> {
        let question = json!({
            "bundle": case.bundle, "root": case.root.to_string(), "artifact": STANDARD.encode(&case.artifact),
            "log": case.log, "sct": case.sct,
        });
        writeln!(self.asked, "{question}")?;
        self.asked.flush()?;
        let mut line = String::new();
        self.answers.read_line(&mut line)?;
        let answer: Value = serde_json::from_str(&line)?;
        let error = answer.get("error").and_then(Value::as_str).unwrap_or_default();
        Ok(if answer.get("ok") == Some(&Value::Bool(true)) { Ok(()) } else { Err(error.to_owned()) })
    }
}

impl Drop for Reference {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
