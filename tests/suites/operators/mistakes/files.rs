//! Files to be spoilt, and what `check` says of them.

use std::fs;
use std::path::Path;
use std::process::Command;

use pullgate_tests::clients::tool;
use pullgate_tests::signing::Signer;
use serde_json::Value;
use tempfile::TempDir;

/// A folder with a sound configuration and policy, to be spoilt.
pub(super) struct Files(TempDir);

pub(super) const CONFIG: &str =
    "policy = \"policy.toml\"\nstate = \"state\"\nseal_key_file = \"seal.key\"\n[upstream.\"ghcr.io\"]\n";
pub(super) const AUTHORITY: &str = "[authority.release]\nkey = \"release.pub\"\n";
pub(super) const POLICY: &str = "[[policy]]\nname = \"production\"\nscope = [\"ghcr.io/myorg/**\"]\n";
pub(super) const REQUIRE: &str = "[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";

/// What `check` said.
pub(super) struct Checked {
    pub(super) status: i32,
    /// Code and line of each diagnostic, in their order.
    found: Vec<(String, u64)>,
    pub(super) text: String,
}

impl Files {
    pub(super) fn new() -> Self {
        let files = Self(TempDir::with_prefix("pullgate-check-").unwrap());
        files.write("release.pub", Signer::new().public_pem());
        files.write("second.pub", Signer::new().public_pem());
        files.with(CONFIG, &format!("{AUTHORITY}{POLICY}{REQUIRE}"))
    }

    pub(super) fn with(self, config: &str, policy: &str) -> Self {
        self.write("pullgate.toml", config);
        self.write("policy.toml", policy);
        self
    }

    /// This policy file with the sound configuration.
    pub(super) fn policy(text: &str) -> Self {
        Self::new().with(CONFIG, text)
    }

    /// This configuration with the sound policy.
    pub(super) fn config(text: &str) -> Self {
        Self::new().with(text, &format!("{AUTHORITY}{POLICY}{REQUIRE}"))
    }

    pub(super) fn write(&self, name: &str, bytes: impl AsRef<[u8]>) {
        fs::write(self.0.path().join(name), bytes).unwrap();
    }

    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    pub(super) fn check(&self, more: &[&str]) -> Checked {
        let mut command = Command::new(tool::gate().unwrap());
        command.arg("check").arg("--config").arg(self.path().join("pullgate.toml"));
        run(command.args(["--format", "json"]).args(more))
    }

    /// A fault: exit 2, with these codes and no others, whatever else is asked for.
    #[track_caller]
    pub(super) fn faults(&self, codes: &[&str]) -> Checked {
        let checked = self.check(&[]);
        assert_eq!((checked.status, checked.codes()), (2, codes.to_vec()), "{}", checked.text);
        checked
    }

    /// A warning: exit 0, and 2 with `--strict`.
    #[track_caller]
    pub(super) fn warns(&self, codes: &[&str]) -> Checked {
        let checked = self.check(&[]);
        assert_eq!((checked.status, checked.codes()), (0, codes.to_vec()), "{}", checked.text);
        assert_eq!(self.check(&["--strict"]).status, 2);
        checked
    }

    #[track_caller]
    pub(super) fn is_sound(&self) {
        let checked = self.check(&["--strict"]);
        assert_eq!((checked.status, checked.codes()), (0, vec![]), "{}", checked.text);
    }
}

impl Checked {
    pub(super) fn codes(&self) -> Vec<&str> {
        let mut codes: Vec<&str> = self.found.iter().map(|(code, _)| code.as_str()).collect();
        codes.sort_unstable();
        codes.dedup();
        codes
    }

    pub(super) fn line(&self, code: &str) -> u64 {
        self.found.iter().find(|(found, _)| found == code).unwrap().1
    }
}

pub(super) fn run(command: &mut Command) -> Checked {
    let output = command.output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let report: Value = serde_json::from_str(&text).unwrap_or_default();
    let found = report["diagnostics"].as_array().cloned().unwrap_or_default();
    let found = found
        .iter()
        .map(|one| (one["code"].as_str().unwrap().to_owned(), one["line"].as_u64().unwrap_or_default()));
    Checked { status: output.status.code().unwrap(), found: found.collect(), text: text.clone() }
}
