//! The program as people and scripts meet it: exit codes, and what is printed where.
#![expect(clippy::unwrap_used, clippy::expect_used, reason = "helpers of tests fail by panic")]

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};

use pullgate_policy::code::Code;
use serde_json::Value;
use tempfile::TempDir;

/// The program, with a home of its own.
fn pullgate(home: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    command.env("HOME", home).env("TMPDIR", home).env_remove("XDG_DATA_HOME").stdin(Stdio::null());
    command
}

fn run(arguments: &[&str]) -> (i32, String, String) {
    let home = tempfile::tempdir().unwrap();
    said(&pullgate(home.path()).args(arguments).output().unwrap())
}

fn said(output: &Output) -> (i32, String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

/// Configuration and policy files in a folder of their own.
struct Files(TempDir);

const CONFIG: &str = r#"
policy = "policy.toml"
state = "state"
seal_key_file = "seal.key"
[upstream."ghcr.io"]
url = "https://ghcr.io"
"#;

impl Files {
    fn new(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("pullgate.toml"), CONFIG).unwrap();
        std::fs::write(folder.path().join("policy.toml"), policy).unwrap();
        std::fs::write(folder.path().join("release.pub"), include_str!("../src/cli/demo/release.pub"))
            .unwrap();
        Self(folder)
    }

    fn check(&self, more: &[&str]) -> (i32, String, String) {
        let config = self.0.path().join("pullgate.toml");
        let output = pullgate(self.0.path()).args(["check", "--config"]).arg(config).args(more).output();
        said(&output.unwrap())
    }
}

const GOOD: &str = r#"
unmatched = "deny"
[authority.release]
key = "release.pub"
[[policy]]
name = "production"
scope = ["ghcr.io/myorg/**"]
[[policy.require]]
signed_by = { any_of = ["release"] }
"#;

/// A demo that goes on serving, to judge images of.
struct Demo {
    child: Child,
    folder: PathBuf,
    home: TempDir,
}

impl Demo {
    fn start() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mut child = pullgate(home.path()).arg("demo").stdout(Stdio::piped()).spawn().unwrap();
        let lines = BufReader::new(child.stdout.take().unwrap()).lines().map(Result::unwrap);
        let shown: Vec<String> = lines.take_while(|line| !line.starts_with("Serving until")).collect();
        let policy =
            shown.iter().find_map(|line| line.strip_prefix("policy    ")).expect("the demo says where it is");
        let folder = Path::new(policy).parent().unwrap().to_owned();
        Self { child, folder, home }
    }

    fn verify(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run("verify", "pullgate.toml", arguments)
    }

    fn run(&self, command: &str, config: &str, arguments: &[&str]) -> (i32, String, String) {
        let config = self.folder.join(config);
        let mut program = pullgate(self.home.path());
        said(&program.arg(command).arg("--config").arg(config).args(arguments).output().unwrap())
    }

    fn interrupt(mut self) -> i32 {
        let kill = format!("kill -INT {}", self.child.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().unwrap().success());
        let status = self.child.wait().unwrap();
        assert!(!self.folder.exists(), "the demo leaves nothing behind");
        status.code().unwrap()
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn help_teaches_by_example_and_the_version_is_told() {
    let (code, version, _) = run(&["--version"]);
    assert_eq!((code, version.trim()), (0, concat!("pullgate ", env!("CARGO_PKG_VERSION"))));
    let commands = [
        "check",
        "completions",
        "debug-bundle",
        "demo",
        "doctor",
        "init",
        "man",
        "node-config",
        "report",
        "serve",
        "survey",
        "verify",
        "",
    ];
    for command in commands {
        let arguments: Vec<&str> = [command, "--help"].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, help, _) = run(&arguments);
        assert_eq!(code, 0, "{command}");
        assert!(help.contains("Examples:\n  pullgate "), "{command}: {help}");
        assert!(!help.contains('\u{1b}'), "no colours but on a terminal");
    }
}

#[test]
fn a_wrong_command_line_exits_2_and_says_so_on_standard_error() {
    for arguments in [
        &[][..],
        &["pull"],
        &["verify"],
        &["verify", "ALPINE"],
        &["verify", "alpine@sha256:1"],
        &["verify", "--explain", "no-such-code"],
        &["verify", "--explain", "threshold", "alpine"],
        &["check", "--format", "xml"],
        &["completions", "tcl"],
        &["man", "pull"],
    ] {
        let (code, out, error) = run(arguments);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(!error.is_empty(), "{arguments:?}");
    }
}

#[test]
fn every_code_can_be_explained() {
    for code in Code::ALL {
        let (exit, out, _) = run(&["verify", "--explain", code.as_str()]);
        assert_eq!(exit, 0);
        assert!(out.contains(code.cause()) && out.contains(code.cure()), "{out}");
    }
}

#[test]
fn completions_exist_for_the_usual_shells() {
    for shell in ["bash", "zsh", "fish"] {
        let (code, script, _) = run(&["completions", shell]);
        assert_eq!(code, 0);
        assert!(script.contains("pullgate") && script.contains("verify"), "{shell}");
        // The codes of `--explain`, and those of `doctor --accept`.
        assert!(script.contains("unknown-authority") && script.contains("no-host-table"), "{shell}");
    }
}

#[test]
fn each_command_has_its_page_of_the_manual() {
    for (command, title) in [("", "pullgate"), ("verify", "pullgate-verify"), ("serve", "pullgate-serve")] {
        let arguments: Vec<&str> = ["man", command].into_iter().filter(|word| !word.is_empty()).collect();
        let (code, page, _) = run(&arguments);
        assert_eq!(code, 0, "{command}");
        assert!(page.contains(&format!(".TH {title} 1")) && page.contains("Exit codes"), "{command}: {page}");
    }
}

#[test]
fn check_finds_nothing_in_good_files_and_says_what_governs() {
    let against = ["--strict", "--against", "ghcr.io/myorg/app:v1", "alpine"];
    let (code, out, error) = Files::new(GOOD).check(&against);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.contains("policy \"production\" by scope ghcr.io/myorg/**"), "{out}");
    assert!(out.contains("policy.toml:8: signature by"), "{out}");
    assert!(out.contains("docker.io/library/alpine\n  no scope matches"), "{out}");
}

#[test]
fn check_reports_every_fault_with_its_place_and_exits_2() {
    let files = Files::new(&GOOD.replace("[\"release\"]", "[\"releese\"]").replace("key =", "kye ="));
    let (code, _, error) = files.check(&[]);
    assert_eq!(code, 2);
    for words in ["policy.toml:4", "kye", "policy.toml:9", "releese"] {
        assert!(error.contains(words), "{words} is not in {error}");
    }
    let (code, out, error) = files.check(&["--format", "json"]);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, error.as_str(), &report["clean"]), (2, "", &Value::Bool(false)));
    let faults = report["diagnostics"].as_array().unwrap();
    assert!(faults.len() >= 2, "{out}");
    assert!(faults.iter().all(|one| one["line"].is_u64() && one["code"].is_string()), "{out}");
}

#[test]
fn a_warning_fails_only_where_strictness_is_asked_for() {
    let require = "[[policy.require]]\nsigned_by = { any_of = [\"release\"] }\n";
    let files = Files::new(&GOOD.replace(require, "insecure_permit_anything = true\n"));
    let (code, _, error) = files.check(&[]);
    assert_eq!(code, 0);
    assert!(error.contains("insecure-permit-anything"), "{error}");
    assert_eq!(files.check(&["--strict"]).0, 2);
    assert_eq!(
        (run(&["check"]).0, run(&["check", "--strict"]).0),
        (0, 2),
        "nothing is enforced without a file"
    );
}

#[test]
fn faults_in_the_files_stop_serve_and_verify_with_2() {
    let files = Files::new("unmatched = 1\n");
    let config = files.0.path().join("pullgate.toml");
    for arguments in [&["serve"][..], &["verify", "alpine"]] {
        let output = pullgate(files.0.path()).args(arguments).arg("--config").arg(&config).output().unwrap();
        let (code, out, error) = said(&output);
        assert_eq!((code, out.as_str()), (2, ""), "{arguments:?}");
        assert!(error.contains("policy.toml:1"), "{error}");
    }
    assert!(!files.0.path().join("state").exists());
}

#[test]
fn the_demo_comes_out_as_it_should() {
    let (code, out, error) = run(&["demo", "--once"]);
    assert_eq!((code, error.as_str()), (0, ""), "{out}");
    assert!(out.contains("13 of 13 are as they should be."), "{out}");
    assert!(out.starts_with("http://127.0.0.1:"), "the pages come first: {out}");
    assert!(!out.contains('\u{1b}') && !out.contains("Try it by hand"), "{out}");
    for image in ["shop/key:v1", "shop/stranger:v1", "built/other-branch:v1"] {
        assert!(out.lines().any(|line| line.starts_with(image) && line.contains("policy.toml:")), "{out}");
    }
}

#[test]
fn verify_tells_the_verdict_by_its_exit_code_and_the_worst_wins() {
    let demo = Demo::start();
    let (good, bad) = ("demo.example/shop/key:v1", "demo.example/shop/unsigned:v1");
    let gone = "demo.example/shop/none:v1";
    for (images, expected) in [
        (&[good][..], 0),
        (&["demo.example/legacy/unsigned:v1"], 0),
        (&[bad], 1),
        (&["demo.example/elsewhere/app"], 1),
        (&["ghcr.io/myorg/app"], 1),
        (&[gone], 3),
        (&[good, bad], 1),
        (&[gone, bad, good], 3),
    ] {
        let (code, out, error) = demo.verify(images);
        assert_eq!((code, error.as_str()), (expected, ""), "{images:?}: {out}");
    }
    assert_eq!(demo.interrupt(), 0);
}

#[test]
fn verify_explains_what_was_found_and_what_is_missing() {
    let demo = Demo::start();
    let to_sign = "to sign: cosign sign --key release.key demo.example/shop/unsigned@sha256:";
    for (image, words) in [
        (
            "shop/key",
            &[
                "1 in sig-tag",
                "counts as release",
                "met   policy.toml:21",
                "permit, satisfied",
                "policy revision sha256:",
            ][..],
        ),
        (
            "shop/keyless-bundle",
            &["1 in referrers", "counts as ci", "release.yml@refs/heads/main", "signed at 2026-"],
        ),
        ("shop/platforms", &["2 manifests (linux/amd64, linux/arm64): a permit carries them"]),
        ("shop/unsigned", &["none in any layout", "unmet policy.toml:21", to_sign]),
        ("shop/copied", &["worthless digest-mismatch: signed for sha256:"]),
        ("shop/other-branch", &["counts for no authority: unknown-authority", "--explain unknown-authority"]),
        ("built/copied", &["worthless subject-mismatch", "cosign attest --type slsaprovenance1"]),
        ("legacy/unsigned", &["mode warn", "permit, warn-only"]),
    ] {
        let (_, out, _) = demo.verify(&[&format!("demo.example/{image}:v1")]);
        for words in words {
            assert!(out.contains(words), "{image}: {words} is not in {out}");
        }
    }
}

#[test]
fn a_survey_of_keyless_signatures_gives_lines_that_admit_them_and_no_other() {
    let demo = Demo::start();
    let image = |name: &str| format!("demo.example/shop/{name}:v1");
    let (good, stranger) = (image("keyless-bundle"), image("other-branch"));
    let (code, lines, error) = demo.run("survey", "pullgate.toml", &[&good]);
    assert_eq!((code, error.as_str()), (0, ""), "{lines}");
    for words in
        ["[trust.corp]", "trusted_root = \"/", "release.yml@refs/heads/main", "source_repository_uri"]
    {
        assert!(lines.contains(words), "{words} is not in {lines}");
    }
    std::fs::write(demo.folder.join("surveyed.toml"), &lines).unwrap();
    let config = std::fs::read_to_string(demo.folder.join("pullgate.toml")).unwrap();
    let config = config.replace("policy = \"policy.toml\"", "policy = \"surveyed.toml\"");
    std::fs::write(demo.folder.join("second.toml"), config).unwrap();
    for (command, image, expected) in
        [("check", None, 0), ("verify", Some(&good), 0), ("verify", Some(&stranger), 1)]
    {
        let images: Vec<&str> = image.into_iter().map(String::as_str).collect();
        let (code, out, error) = demo.run(command, "second.toml", &images);
        assert_eq!(code, expected, "{lines}\n{out}{error}");
    }
}

#[test]
fn verify_prints_the_documented_json() {
    let demo = Demo::start();
    let images = ["demo.example/shop/keyless:v1", "demo.example/shop/stranger:v1"];
    let (code, out, _) = demo.verify(&[images[0], images[1], "--format", "json"]);
    assert_eq!(code, 1);
    let report: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["version"], 1);
    let [good, bad] = [&report["images"][0], &report["images"][1]];
    assert_eq!((good["image"].as_str(), good["verdict"].as_str()), (Some(images[0]), Some("permit")));
    assert_eq!(good["ground"], "satisfied");
    assert_eq!(good["evidence"][0]["counts_as"][0], "ci");
    assert!(good["evidence"][0]["signed_by"]["identity"]["claims"].is_object());
    assert_eq!(good["requirements"][0]["met"], true);
    assert_eq!(
        (bad["verdict"].as_str(), bad["reasons"][0]["code"].as_str()),
        (Some("deny"), Some("unknown-authority"))
    );
    assert_eq!(bad["reasons"][0]["location"], "policy.toml:21");
    assert_eq!(bad["rejected"][0]["found"]["layout"], "sig-tag");
    assert!(bad["requirements"][0]["command"].as_str().unwrap().starts_with("cosign sign --key"));
    let readme = include_str!("../README.md");
    for key in good.as_object().unwrap().keys() {
        assert!(readme.contains(&format!("`{key}`")), "{key} is not documented");
    }
}

#[test]
fn a_second_gate_on_one_state_folder_says_so_and_exits_2() {
    let demo = Demo::start();
    let config = std::fs::read_to_string(demo.folder.join("pullgate.toml")).unwrap();
    let free = |line: &str| match line.strip_prefix("address") {
        Some(_) => "address = \"127.0.0.1:0\"".to_owned(),
        None => line.to_owned(),
    };
    let config: Vec<String> = config.lines().map(free).collect();
    let second = demo.folder.join("second.toml");
    std::fs::write(&second, config.join("\n")).unwrap();
    let output = pullgate(demo.home.path()).arg("serve").arg("--config").arg(second).output().unwrap();
    let (code, _, error) = said(&output);
    assert_eq!(code, 2, "{error}");
    assert!(error.contains("held by another process"), "{error}");
}
