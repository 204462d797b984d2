//! `pullgate node-config` on the files of a made node.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail by panic")]

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

const HOSTS: &str = "etc/containerd/certs.d/_default/hosts.toml";
const RUNTIMES: [&str; 6] = ["containerd", "cri-o", "podman", "docker", "k3s", "rke2"];

/// A node on which each runtime reads the folder that is written.
fn node() -> TempDir {
    let node = TempDir::new().unwrap();
    put(&node, "etc/containerd/config.toml", include_str!("../../deploy/containerd/config-2.x.toml"));
    put(&node, "etc/docker/daemon.json", include_str!("../../deploy/docker/daemon.json"));
    node
}

fn put(node: &TempDir, path: &str, text: &str) {
    let path = node.path().join(path);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn run(node: &TempDir, arguments: &[&str]) -> (i32, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_pullgate"));
    command.arg("node-config").args(arguments).arg("--root").arg(node.path());
    let output = command.output().unwrap();
    let told = [output.stdout, output.stderr].concat();
    (output.status.code().unwrap(), String::from_utf8(told).unwrap())
}

/// Every file below the root, by its path.
fn files(node: &TempDir) -> BTreeMap<String, String> {
    fn walk(root: &Path, folder: &Path, found: &mut BTreeMap<String, String>) {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                walk(root, &path, found);
            } else {
                let name = path.strip_prefix(root).unwrap().display().to_string();
                found.insert(name, fs::read_to_string(&path).unwrap());
            }
        }
    }
    let mut found = BTreeMap::new();
    walk(node.path(), node.path(), &mut found);
    found
}

#[test]
fn what_stood_there_comes_back_byte_for_byte() {
    for runtime in RUNTIMES {
        let node = node();
        put(&node, HOSTS, "server = \"https://docker.io\"\n");
        put(&node, "etc/containers/policy.json", "{\"default\":[{\"type\":\"reject\"}]}");
        let before = files(&node);
        assert_eq!(run(&node, &[runtime, "--check"]).0, 1, "{runtime}: nothing is written yet");
        for _ in 0..2 {
            let (code, told) = run(&node, &[runtime, "--write"]);
            assert_eq!(code, 0, "{told}");
        }
        assert_ne!(files(&node), before, "{runtime}");
        let (code, told) = run(&node, &[runtime, "--check"]);
        assert_eq!((code, told.as_str()), (0, "as written, and nothing that was looked at goes around it\n"));
        assert_eq!(run(&node, &[runtime, "--undo"]).0, 0);
        assert_eq!(files(&node), before, "{runtime}");
        let (code, told) = run(&node, &[runtime, "--undo"]);
        assert_eq!(code, 0);
        assert!(told.contains("nothing of ours"), "{told}");
    }
}

#[test]
fn the_files_are_those_of_deploy() {
    let node = node();
    for runtime in ["containerd", "podman", "docker"] {
        assert_eq!(run(&node, &[runtime, "--write"]).0, 0);
    }
    let files = files(&node);
    for (path, shipped) in [
        (HOSTS, include_str!("../../deploy/containerd/hosts.toml")),
        ("etc/docker/certs.d/_default/hosts.toml", include_str!("../../deploy/containerd/hosts.toml")),
        (
            "etc/containers/registries.conf.d/zz-pullgate.conf",
            include_str!("../../deploy/podman/pullgate.conf"),
        ),
        ("etc/containers/policy.json", include_str!("../../deploy/podman/policy.json")),
    ] {
        assert_eq!(files[path], shipped);
    }
}

#[test]
fn without_an_action_or_with_a_dry_run_nothing_is_changed() {
    for runtime in RUNTIMES {
        let node = node();
        let before = files(&node);
        for arguments in
            [&[runtime][..], &[runtime, "--write", "--dry-run"], &[runtime, "--undo", "--dry-run"]]
        {
            let (code, told) = run(&node, arguments);
            assert_eq!(code, 0, "{told}");
            assert!(told.contains(&node.path().join("etc").display().to_string()), "{told}");
            assert_eq!(files(&node), before, "{arguments:?}");
        }
    }
}

#[test]
fn another_gate_stands_in_every_file_and_tls_allows_no_plain_http() {
    for runtime in RUNTIMES {
        let node = node();
        let (code, told) = run(&node, &[runtime, "--gate", "https://gate.example:5443"]);
        assert_eq!(code, 0, "{told}");
        assert!(told.contains("gate.example:5443") && !told.contains("127.0.0.1"), "{told}");
        assert!(!told.contains("http://") && !told.lines().any(|line| line == "insecure = true"), "{told}");
    }
}

/// Runtime, a file and its text, and what is said of it.
const WAYS: &[(&str, &str, &str, &str)] = &[
    ("containerd", "etc/containerd/certs.d/ghcr.io/hosts.toml", "", "certs.d/ghcr.io: wins over _default"),
    ("containerd", "etc/containerd/config.toml", "version = 2\n", "no config_path"),
    (
        "containerd",
        "etc/containerd/config.toml",
        "# config_path = \"/etc/containerd/certs.d\"\n",
        "no config_path",
    ),
    (
        "containerd",
        "etc/containerd/config.toml",
        "config_path = \"/etc/containerd/certs.d:/etc/docker/certs.d\"\n",
        "no config_path",
    ),
    (
        "containerd",
        "etc/containerd/config.toml",
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\n",
        "ends at the registry itself",
    ),
    (
        "containerd",
        "etc/containerd/config.toml",
        "version = 2\n[plugins.\"io.containerd.transfer.v1.local\"]\nconfig_path = \"/etc/containerd/certs.d\"\n\
             [plugins.\"io.containerd.grpc.v1.cri\".registry]\nconfig_path = \"\"\n",
        "no config_path",
    ),
    (
        "containerd",
        "etc/containerd/config.toml",
        "version = 2\nimports = [\"/etc/containerd/more.toml\"]\n[plugins.\"io.containerd.grpc.v1.cri\".registry]\n\
             config_path = \"/etc/containerd/certs.d\"\n",
        "imports",
    ),
    ("containerd", "etc/containerd/config.toml", "version = 2\n[plugins\n", "is no TOML"),
    (
        "podman",
        "etc/containers/registries.conf",
        "[[registry]]\nprefix = \"docker.io/library\"\nlocation = \"docker.io/library\"\n",
        "docker.io/library",
    ),
    (
        "cri-o",
        "etc/containers/registries.conf.d/aa-mine.conf",
        "[[registry]]\nlocation = \"ghcr.io/myorg\"\n",
        "ghcr.io/myorg",
    ),
    (
        "podman",
        "usr/share/containers/registries.conf.d/aa.conf",
        "[[registry]]\nprefix = \"*.io\"\nlocation = \"mirror.example\"\n",
        "*.io",
    ),
    ("cri-o", "etc/crio/policies/team.json", "{}", "replaces policy.json"),
    (
        "cri-o",
        "etc/crio/crio.conf.d/10.conf",
        "[crio.image]\nsignature_policy = \"/etc/own.json\"\n",
        "replaces policy.json",
    ),
    (
        "k3s",
        "etc/rancher/k3s/config.yaml",
        "\"disable-default-registry-endpoint\": false\n",
        "ask somebody else",
    ),
    ("k3s", "etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: no\n", "ask somebody else"),
    ("k3s", "etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: False\n", "ask somebody else"),
    (
        "k3s",
        "etc/rancher/k3s/config.yaml",
        "{disable-default-registry-endpoint: false}\n",
        "ask somebody else",
    ),
    (
        "k3s",
        "etc/rancher/k3s/config.yaml",
        "? disable-default-registry-endpoint\n: false\n",
        "ask somebody else",
    ),
    (
        "k3s",
        "etc/rancher/k3s/config.yaml",
        "\"disable-default\\x2dregistry-endpoint\": false\n",
        "ask somebody else",
    ),
    ("k3s", "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl", "", "a template of yours"),
    (
        "cri-o",
        "etc/containers/registries.conf.d/zzz-mine.conf",
        "[[registry]]\nlocation = \"docker.io\"\n",
        "zzz-mine.conf: [[registry]] \"docker.io\"",
    ),
    (
        "podman",
        "etc/containers/registries.conf.d/zzz-mine.conf",
        "[[registry]]\nlocation = \"docker.io\"\nblocked = true\n[[registry.mirror]]\nlocation = \"mirror.example\"\n",
        "its mirror \"mirror.example\" is not the gate",
    ),
    ("docker", "etc/docker/certs.d/ghcr.io/ca.crt", "", "certs.d/ghcr.io: wins over _default"),
    ("docker", "etc/docker/daemon.json", "{}", "containerd-snapshotter"),
    ("docker", "etc/docker/daemon.json", "not json", "is no JSON"),
    (
        "docker",
        "etc/docker/daemon.json",
        "{\"features\":{\"containerd-snapshotter\":true},\"registry-mirrors\":[\"https://mirror.example\"]}",
        "end at Docker Hub",
    ),
    ("k3s", "etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: false\n", "ask somebody else"),
    ("rke2", "etc/rancher/rke2/config.yaml.d/a.yaml", "embedded-registry: true\n", "ask somebody else"),
];

#[test]
fn a_way_around_is_named_and_nothing_is_written() {
    for &(runtime, path, text, says) in WAYS {
        let node = node();
        put(&node, path, text);
        let before = files(&node);
        for action in ["--write", "--check"] {
            let (code, told) = run(&node, &[runtime, action]);
            assert_eq!(code, 1, "{path}: {told}");
            assert!(told.contains("a pull could go around the gate") && told.contains(says), "{told}");
        }
        assert_eq!(files(&node), before, "{path}");
    }
}

#[test]
fn a_link_is_no_folder_that_is_trusted() {
    for (runtime, link, says) in [
        ("containerd", "etc/containerd/certs.d/docker.io", "certs.d/docker.io: wins over _default"),
        ("containerd", "etc/containerd/certs.d", "certs.d: is a link"),
        ("containerd", "etc/containerd/certs.d/_default", "_default: is a link"),
        ("docker", "etc/docker/certs.d/ghcr.io", "certs.d/ghcr.io: wins over _default"),
        ("podman", "etc/containers/registries.conf.d", "registries.conf.d: is a link"),
    ] {
        // Leads to nothing below this root, as one with an absolute target does where the node is mounted.
        let node = node();
        let link = node.path().join(link);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink("/nowhere/on/this/machine", link).unwrap();
        for action in ["--write", "--check"] {
            let (code, told) = run(&node, &[runtime, action]);
            assert_eq!(code, 1, "{told}");
            assert!(told.contains(says), "{told}");
        }
    }
}

#[test]
fn what_leaves_the_gate_alone_is_no_way_around() {
    let node = node();
    put(&node, "etc/containers/registries.conf", "unqualified-search-registries = [\"docker.io\"]\n");
    put(
        &node,
        "etc/containers/registries.conf.d/000-names.conf",
        "[aliases]\nalpine = \"docker.io/library/alpine\"\n",
    );
    put(
        &node,
        "etc/containers/registries.conf.d/aa.conf",
        "[[registry]]\nlocation = \"docker.io.example\"\n",
    );
    put(&node, "etc/crio/crio.conf", "[crio.image]\nsignature_policy = \"\"\n");
    put(
        &node,
        "etc/rancher/k3s/config.yaml",
        "# embedded-registry: true\ndisable-default-registry-endpoint: true\n",
    );
    for runtime in RUNTIMES {
        let (code, told) = run(&node, &[runtime, "--write"]);
        assert_eq!(code, 0, "{told}");
        assert_eq!(run(&node, &[runtime, "--check"]).0, 0, "{runtime}");
    }
}

#[test]
fn what_is_read_before_ours_or_says_nothing_is_no_way_around() {
    let node = node();
    put(&node, "etc/containers/registries.conf.d/aa-mine.conf", "");
    put(&node, "etc/containers/registries.conf.d/zzz-mine.conf", "");
    put(
        &node,
        "etc/containers/registries.conf.d/zzz-mine.conf.bak",
        "[[registry]]\nlocation = \"docker.io\"\n",
    );
    assert_eq!(run(&node, &["podman", "--write"]).0, 0);
    assert_eq!(run(&node, &["podman", "--check"]).0, 0);
}

#[test]
fn a_file_that_was_changed_afterwards_is_seen() {
    let node = node();
    assert_eq!(run(&node, &["containerd", "--write"]).0, 0);
    put(&node, HOSTS, "server = \"https://docker.io\"\n[host.\"http://127.0.0.1:5000\"]\n");
    let (code, told) = run(&node, &["containerd", "--check"]);
    assert_eq!(code, 1);
    assert!(told.contains("hosts.toml: is not what --write writes"), "{told}");
}

#[test]
fn buildkit_has_no_such_form_and_is_told_so() {
    let node = node();
    for arguments in [&["buildkit"][..], &["buildkit", "--write"], &["buildkit", "--check"]] {
        let (code, told) = run(&node, arguments);
        assert_eq!(code, 1);
        assert!(told.contains("name the gate in FROM"), "{told}");
    }
}

#[test]
fn a_wrong_word_exits_2() {
    let node = node();
    for arguments in [
        &["containerd", "--write", "--undo"][..],
        &["containerd", "--check", "--dry-run"],
        &["podmann"],
        &["containerd", "--gate", "127.0.0.1:5000"],
        &["containerd", "--gate", "ftp://gate.example"],
        &["containerd", "--gate", "http://gate.example/mirror"],
        &["containerd", "--gate", "http://user@gate.example"],
    ] {
        assert_eq!(run(&node, arguments).0, 2, "{arguments:?}");
    }
}
