//! Packages and the edges between them (design: dependencies only point left).

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

use crate::tree::{assert_none, files, read, root};

const MANIFESTS: [&str; 9] = [
    "policy/Cargo.toml",
    "policy/verify/Cargo.toml",
    "config/Cargo.toml",
    "proxy/upstream/Cargo.toml",
    "proxy/store/Cargo.toml",
    "proxy/audit/Cargo.toml",
    "proxy/Cargo.toml",
    "tests/Cargo.toml",
    "benches/Cargo.toml",
];

/// What each package may take of our own.
const OWN: [(&str, &[&str]); 9] = [
    ("pullgate-policy", &[]),
    ("pullgate-verify", &["pullgate-policy"]),
    ("pullgate-config", &["pullgate-policy", "pullgate-verify"]),
    ("pullgate-upstream", &["pullgate-policy", "pullgate-config"]),
    ("pullgate-store", &["pullgate-policy"]),
    ("pullgate-audit", &["pullgate-policy", "pullgate-config", "pullgate-store"]),
    (
        "pullgate",
        &[
            "pullgate-policy",
            "pullgate-verify",
            "pullgate-config",
            "pullgate-upstream",
            "pullgate-store",
            "pullgate-audit",
        ],
    ),
    ("pullgate-tests", &["pullgate-policy", "pullgate-verify", "pullgate-config", "pullgate"]),
    (
        "pullgate-benches",
        &["pullgate-policy", "pullgate-verify", "pullgate-config", "pullgate", "pullgate-tests"],
    ),
];

/// Whatever waits or opens a socket or a database.
const WAITING: [&str; 9] =
    ["tokio", "tokio-util", "hyper", "hyper-util", "hyper-rustls", "tower", "tower-http", "sqlx", "rustls"];

/// Every dependency of each package, for whatever use.
fn dependencies() -> BTreeMap<String, BTreeSet<String>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let arguments = ["metadata", "--offline", "--no-deps", "--format-version", "1"];
    let output = Command::new(cargo).args(arguments).current_dir(root()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let names = |package: &Value| {
        package["dependencies"].as_array().unwrap().iter().map(|one| text(&one["name"])).collect()
    };
    metadata["packages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|package| (text(&package["name"]), names(package)))
        .collect()
}

#[test]
fn every_package_takes_the_lints_of_the_workspace() {
    for path in MANIFESTS {
        assert!(read(path).contains("[lints]\nworkspace = true\n"), "{path}");
    }
}

#[test]
fn dependencies_between_our_packages_only_point_left() {
    let found = dependencies();
    assert_eq!(
        found.keys().map(String::as_str).collect::<BTreeSet<_>>(),
        OWN.iter().map(|(name, _)| *name).collect()
    );
    for (name, allowed) in OWN {
        for dependency in found[name].iter().filter(|dependency| dependency.starts_with("pullgate")) {
            assert!(allowed.contains(&dependency.as_str()), "{name} -> {dependency}");
        }
    }
}

#[test]
fn nothing_below_the_proxy_waits_or_opens_a_socket() {
    let found = dependencies();
    for name in ["pullgate-policy", "pullgate-verify", "pullgate-config"] {
        for dependency in WAITING {
            assert!(!found[name].contains(dependency), "{name} -> {dependency}");
        }
    }
    for dependency in ["toml", "annotate-snippets"] {
        let users: Vec<_> =
            found.iter().filter(|(_, all)| all.contains(dependency)).map(|(name, _)| name).collect();
        assert_eq!(users, ["pullgate-config"], "{dependency}");
    }
}

#[test]
fn the_sigstore_library_is_named_in_verify_and_nowhere_else() {
    for (name, all) in dependencies() {
        let named = all.iter().any(|dependency| dependency.starts_with("sigstore-"));
        assert_eq!(named, name == "pullgate-verify", "{name}");
    }
    let part = concat!("sigstore", "_");
    let elsewhere = files(&[".rs"]).into_iter().filter(|file| !file.path.starts_with("policy/verify/"));
    let crates = ["verify", "bundle", "crypto", "merkle", "trust_root", "tuf", "types"]
        .map(|name| format!("{part}{name}"));
    let findings: Vec<_> = elsewhere
        .filter(|file| crates.iter().any(|name| file.text.contains(name.as_str())))
        .map(|file| file.path)
        .collect();
    assert_none("names the Sigstore library", &findings);
}

#[test]
fn a151_the_door_for_verified_facts_is_opened_in_verify_and_in_tests_only() {
    let door = concat!("assert", "_verified");
    let allowed = |path: &str| {
        path.starts_with("policy/verify/src/")
            || path == "policy/src/evidence.rs"
            || path.contains("/tests")
            || path.contains("tests/")
    };
    let findings: Vec<_> = files(&[".rs"])
        .into_iter()
        .filter(|file| {
            file.text.lines().any(|line| line.contains(door) && !line.trim_start().starts_with("//"))
        })
        .map(|file| file.path)
        .filter(|path| !allowed(path) && !path.starts_with("benches/"))
        .collect();
    assert_none("opens the door for verified facts", &findings);
    assert_eq!(read("clippy.toml").matches(door).count(), 2, "the lints forbid both doors");
}

#[test]
fn the_root_holds_what_the_map_says_and_nothing_else() {
    let allowed: BTreeSet<&str> = [
        "policy",
        "config",
        "proxy",
        "tests",
        "benches",
        "deploy",
        ".ci",
        ".devcontainer",
        ".github",
        ".cargo",
        "README.md",
        "ARCHITECTURE.md",
        "CONTRIBUTING.md",
        "CHANGELOG.md",
        "SECURITY.md",
        "LICENSE",
        "deny.toml",
        "clippy.toml",
        "rustfmt.toml",
        "Cargo.toml",
        "Cargo.lock",
        ".gitignore",
        ".git",
        "target",
    ]
    .into();
    let found =
        std::fs::read_dir(root()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let findings: Vec<_> = found.filter(|name| !allowed.contains(name.as_str())).collect();
    assert_none("does not belong at the root", &findings);
}
