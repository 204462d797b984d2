//! Made nodes, and what the program says of them.

use std::fs;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

pub(crate) const HOSTS: &str = "etc/containerd/certs.d/_default/hosts.toml";
pub(crate) const CONFIG: &str = "etc/containerd/config.toml";
pub(crate) const CONFIG_2: &str = include_str!("../../../deploy/containerd/config-2.x.toml");
pub(crate) const CONFIG_1: &str = include_str!("../../../deploy/containerd/config-1.x.toml");
pub(crate) const SERVER: &str = "server = \"http://127.0.0.1:5000\"\n";

pub(crate) fn put(node: &TempDir, path: &str, text: &str) {
    let path = node.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

pub(crate) fn pullgate(node: &TempDir, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    let output = command.args(arguments).arg("--root").arg(node.path()).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

pub(crate) fn doctor(node: &TempDir, more: &[&str]) -> (i32, Value) {
    let (code, told) = pullgate(node, &[&["doctor", "--format", "json"], more].concat());
    (code, serde_json::from_str(&told).unwrap_or_else(|_| panic!("{told}")))
}

/// The codes that count, each once.
pub(crate) fn codes(report: &Value) -> Vec<&str> {
    let findings = report["findings"].as_array().unwrap().iter();
    let counts = findings.filter(|one| one["weight"] != "told" && one["accepted"] == false);
    let mut codes: Vec<_> = counts.map(|one| one["code"].as_str().unwrap()).collect();
    codes.sort_unstable();
    codes.dedup();
    codes
}

/// A node with one runtime, whose files are those that `node-config` writes.
pub(crate) fn closed(runtime: &str) -> TempDir {
    let node = TempDir::new().unwrap();
    match runtime {
        "containerd" => put(&node, CONFIG, CONFIG_2),
        "docker" => put(&node, "etc/docker/daemon.json", include_str!("../../../deploy/docker/daemon.json")),
        "cri-o" => put(&node, "etc/crio/crio.conf", ""),
        _ => {}
    }
    write(&node, runtime);
    node
}

pub(crate) fn write(node: &TempDir, runtime: &str) {
    let (code, told) = pullgate(node, &["node-config", runtime, "--write"]);
    assert_eq!(code, 0, "{runtime}: {told}");
}
