//! `pullgate init` on made nodes: what it writes holds, and the three commands that it names work.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

fn put(node: &TempDir, path: &str, text: &str) {
    let path = node.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn pullgate(arguments: &[&str]) -> (i32, String) {
    let output = Command::new(env!("CARGO_BIN_EXE_pullgate")).args(arguments).output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

fn init(node: &TempDir, more: &[&str]) -> (i32, String) {
    let (root, folder) = (node.path().display().to_string(), node.path().join("gate").display().to_string());
    pullgate(&[&["init", "--root", &root, "--folder", &folder], more].concat())
}

/// containerd, podman with two images, and a Docker that knows a registry without TLS.
fn node() -> TempDir {
    let node = TempDir::new().unwrap();
    put(&node, "etc/containerd/config.toml", include_str!("../../deploy/containerd/config-2.x.toml"));
    put(&node, "etc/containerd/certs.d/registry.corp.example_5000_/hosts.toml", "");
    put(
        &node,
        "etc/docker/daemon.json",
        "{\"insecure-registries\": [\"10.1.2.3:5000\", \"127.0.0.1:5000\", \"10.0.0.0/8\"]}",
    );
    put(&node, "usr/bin/podman", "");
    let digest = format!("sha256:{}", "0".repeat(64));
    let images = format!(
        "[{{\"id\":\"1\",\"digest\":\"{digest}\",\"names\":[\"docker.io/library/alpine:3\",\"registry.gitlab.com/org/app:v1\"]}},\
         {{\"id\":\"2\",\"digest\":\"{digest}\",\"names\":[\"\\u001b[31m\"]}},{{\"id\":\"3\"}}]"
    );
    put(&node, "var/lib/containers/storage/overlay-images/images.json", &images);
    node
}

#[test]
fn what_is_found_stands_in_files_that_check_finds_clean() {
    let node = node();
    let (code, told) = init(&node, &[]);
    assert_eq!(code, 0, "{told}");
    assert!(told.contains("containerd, podman, docker") && !told.contains('\u{1b}'), "{told}");
    let (config, policy) = ("gate/pullgate.toml", "gate/policy.toml");
    let text = |path: &str| fs::read_to_string(node.path().join(path)).unwrap();
    for line in [
        "[upstream.\"docker.io\"] # images of it are here",
        "[upstream.\"registry.gitlab.com\"] # images of it are here",
        "[upstream.\"registry.corp.example:5000\"] # a runtime here names it",
        "aliases = [\"registry.corp.example_5000\"] # for clients that name it in a path",
        "url = \"http://10.1.2.3:5000\"",
        "[upstream.\"ghcr.io\"]",
    ] {
        assert!(text(config).lines().any(|one| one == line), "{line}: {}", text(config));
    }
    assert!(!text(config).contains("127.0.0.1:5000\"]") && !text(config).contains("10.0.0.0/8"));
    assert!(
        text(policy).contains("unmatched = \"warn\"\n")
            && text(policy).contains("#   registry.gitlab.com/org/app\n")
    );
    let file = node.path().join(config).display().to_string();
    let (code, told) = pullgate(&["check", "--config", &file, "--against", "registry.gitlab.com/org/app"]);
    assert_eq!(code, 0, "{told}");
}

#[test]
fn what_is_there_already_is_never_overwritten() {
    for name in ["pullgate.toml", "policy.toml"] {
        let node = node();
        put(&node, &format!("gate/{name}"), "mine\n");
        let (code, told) = init(&node, &[]);
        assert!(code == 1 && told.contains(name) && told.contains("is there already"), "{told}");
        let there: Vec<_> =
            fs::read_dir(node.path().join("gate")).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(there, [name]);
        assert_eq!(fs::read_to_string(node.path().join("gate").join(name)).unwrap(), "mine\n");
    }
}

#[test]
fn without_a_runtime_it_asks_for_one_and_takes_the_one_that_is_named() {
    let node = TempDir::new().unwrap();
    let (code, told) = init(&node, &[]);
    assert!(code == 2 && told.contains("--runtime"), "{told}");
    let (code, told) = init(&node, &["--runtime", "k3s"]);
    assert!(code == 0 && told.contains("pullgate node-config k3s --write"), "{told}");
    assert_eq!(init(&node, &["--runtime", "nonsense"]).0, 2);
}

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}

fn is_ready(address: &str) -> bool {
    let ask = || {
        let mut stream = TcpStream::connect(address)?;
        stream.write_all(b"GET /readyz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).map(|_| answer)
    };
    ask().is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

fn free() -> String {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string()
}

fn command(line: &str) -> Command {
    let mut words = line.split_whitespace();
    assert_eq!(words.next(), Some("pullgate"));
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    command.args(words).stdout(Stdio::null()).stderr(Stdio::null());
    command
}

fn of_ports(file: &Path, data: &str, admin: &str) {
    let text = fs::read_to_string(file).unwrap();
    fs::write(file, text.replace("127.0.0.1:5000", data).replace("127.0.0.1:5001", admin)).unwrap();
}

#[test]
fn the_three_commands_that_it_names_lead_to_a_closed_node() {
    let node = TempDir::new().unwrap();
    put(&node, "etc/containerd/config.toml", include_str!("../../deploy/containerd/config-2.x.toml"));
    let (code, told) = init(&node, &[]);
    assert_eq!(code, 0, "{told}");
    let (_, next) = told.split_once("\nnext\n").unwrap();
    let lines: Vec<_> = next.lines().map(str::trim).filter(|line| line.starts_with("pullgate ")).collect();
    let [serve, node_config, doctor] = lines.as_slice() else { panic!("{next}") };
    // Other tests have the usual ports.
    let (data, admin) = (free(), free());
    of_ports(&node.path().join("gate/pullgate.toml"), &data, &admin);
    let mut gate = Running(command(serve).spawn().unwrap());
    while !is_ready(&admin) {
        assert!(gate.0.try_wait().unwrap().is_none(), "the gate ended");
        std::thread::sleep(std::time::Duration::from_millis(20));
    }
    assert!(!command(doctor).status().unwrap().success(), "nothing is written yet");
    assert!(command(node_config).status().unwrap().success(), "{node_config}");
    assert!(command(doctor).status().unwrap().success(), "{doctor}");
}
