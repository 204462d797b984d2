//! Runs the program beside a gate of this process.

use std::io::Write as _;
use std::process::{Command, Stdio};

use pullgate_tests::clients::tool;
use serde_json::Value;

use crate::stage::Stage;

/// What a command said.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) status: i32,
    pub(super) out: String,
    pub(super) error: String,
}

impl Said {
    pub(super) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap()
    }

    /// This status, and these words on standard output.
    #[track_caller]
    pub(super) fn has(&self, status: i32, words: &[&str]) {
        assert_eq!(self.status, status, "{}\n{}", self.out, self.error);
        for words in words {
            assert!(self.out.contains(words), "{words} is not in\n{}{}", self.out, self.error);
        }
    }
}

/// Runs the program on the files of the stage's gate.
pub(super) async fn pullgate(stage: &Stage, arguments: &[&str]) -> Said {
    with_input(stage, arguments, "").await
}

/// The same with something on standard input.
pub(super) async fn with_input(stage: &Stage, arguments: &[&str], input: &str) -> Said {
    let config = stage.gate.path("pullgate.toml");
    let (arguments, input): (Vec<_>, _) =
        (arguments.iter().map(|&one| one.to_owned()).collect(), input.to_owned());
    let folder = config.parent().unwrap().to_owned();
    let run = move || {
        let mut command = Command::new(tool::gate().unwrap());
        command.args(arguments).arg("--config").arg(config).current_dir(folder).env("NO_COLOR", "1");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
        child.wait_with_output().unwrap()
    };
    // The upstream answers in this process.
    let output = tokio::task::spawn_blocking(run).await.unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
    Said { status: output.status.code().unwrap(), out: text(output.stdout), error: text(output.stderr) }
}
