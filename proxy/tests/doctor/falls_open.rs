//! Each form that falls open, as a file of a made node (A414).

use std::fs;

use crate::made::{CONFIG, HOSTS, SERVER, closed, codes, doctor, put, write};

/// What stands in a file of ours, and what is said of it: `node-config --write` closes it.
fn broken() -> Vec<(&'static str, &'static str, String, &'static str)> {
    let with = |text: &str| format!("{SERVER}{text}");
    let mirror = "[host.\"http://127.0.0.1:5000\"]\ncapabilities = [\"pull\", \"resolve\"]\n";
    let conf = "etc/containers/registries.conf.d/zz-pullgate.conf";
    let shipped = include_str!("../../../deploy/podman/pullgate.conf");
    let registries = "etc/rancher/k3s/registries.yaml";
    vec![
        ("containerd", HOSTS, format!("server = \"https://docker.io\"\n{mirror}"), "server-elsewhere"),
        (
            "containerd",
            HOSTS,
            format!("server = \"https://docker.io\"\ncapabilities = [\"push\"]\n{mirror}"),
            "server-elsewhere",
        ),
        ("containerd", HOSTS, mirror.to_owned(), "no-server"),
        ("containerd", HOSTS, with(""), "no-host-table"),
        ("containerd", HOSTS, with("[host\n"), "hosts-malformed"),
        ("containerd", HOSTS, String::new(), "hosts-malformed"),
        ("containerd", HOSTS, with("capabilities = [\"referrers\"]\n[host]\n"), "hosts-malformed"),
        ("containerd", HOSTS, with("dial_timeout = \"x\"\n[host]\n"), "hosts-malformed"),
        ("containerd", HOSTS, with("[host.\"http://127.0.0.1:30020\"]\n"), "host-elsewhere"),
        ("docker", "etc/docker/certs.d/_default/hosts.toml", with(""), "no-host-table"),
        ("podman", conf, shipped.replace("blocked = true\n", ""), "not-blocked"),
        (
            "podman",
            conf,
            shipped.replacen("blocked = true\n", "mirror-by-digest-only = true\n", 1),
            "not-blocked",
        ),
        ("cri-o", conf, shipped.replace("127.0.0.1:5000/", "mirror.example/"), "mirror-elsewhere"),
        ("podman", conf, String::new(), "unlisted-registries"),
        (
            "podman",
            "etc/containers/policy.json",
            "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}".to_owned(),
            "unlisted-registries",
        ),
        (
            "cri-o",
            "etc/containers/policy.json",
            "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker\":{\"quay.example\":\
             [{\"type\":\"insecureAcceptAnything\"}]}}}"
                .to_owned(),
            "unlisted-registries",
        ),
        (
            "podman",
            "etc/containers/policy.json",
            "{\"default\":[{\"type\":\"reject\"}],\"transports\":{\"docker-archive\":{\"\":\
             [{\"type\":\"insecureAcceptAnything\"}]}}}"
                .to_owned(),
            "other-transport",
        ),
        (
            "k3s",
            registries,
            "mirrors:\n  docker.io:\n    endpoint:\n      - http://127.0.0.1:5000\n".to_owned(),
            "no-mirror",
        ),
        (
            "k3s",
            registries,
            "mirrors:\n  \"*\":\n    endpoint:\n      - https://mirror.example\n".to_owned(),
            "host-elsewhere",
        ),
        ("k3s", "etc/rancher/k3s/config.yaml.d/pullgate.yaml", String::new(), "endpoint-appended"),
    ]
}

#[test]
fn a414_each_form_of_a_file_of_ours_that_falls_open_is_told_and_written_over() {
    for (runtime, path, text, code) in broken() {
        let node = closed(runtime);
        put(&node, path, &text);
        let (exit, report) = doctor(&node, &[]);
        assert_eq!((exit, codes(&report)), (1, vec![code]), "{path}\n{text}\n{report:#}");
        let cure = format!("pullgate node-config {runtime} --write");
        assert_eq!(report["findings"][0]["cure"], cure.as_str(), "{text}");
        write(&node, runtime);
        assert_eq!(doctor(&node, &[]).0, 0, "{path}\n{text}");
    }
}

/// What stands beside our files and wins: a person takes it away.
const BESIDE: &[(&str, &str, &str, &str)] = &[
    ("containerd", "etc/containerd/certs.d/ghcr.io/hosts.toml", "", "registry-folder"),
    ("containerd", "etc/containerd/certs.d/ghcr.io/ca.crt", "", "registry-folder"),
    ("containerd", CONFIG, "version = 3\n", "no-config-path"),
    (
        "containerd",
        CONFIG,
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\".registry.mirrors.\"docker.io\"]\nendpoint = [\"http://127.0.0.1:5000\"]\n",
        "old-mirrors",
    ),
    ("docker", "etc/docker/certs.d/ghcr.io/ca.crt", "", "registry-folder"),
    ("docker", "etc/docker/daemon.json", "{}", "no-containerd-store"),
    (
        "docker",
        "etc/docker/daemon.json",
        "{\"features\":{\"containerd-snapshotter\":true},\"registry-mirrors\":[\"https://mirror.example\"]}",
        "registry-mirrors",
    ),
    (
        "docker",
        "etc/docker/daemon.json",
        "{\"features\":{\"containerd-snapshotter\":true},\"insecure-registries\":[\"quay.example\"]}",
        "insecure-registries",
    ),
    (
        "podman",
        "etc/containers/registries.conf.d/zzz.conf",
        "[[registry]]\nlocation = \"docker.io\"\n",
        "not-blocked",
    ),
    ("podman", "home/me/.config/containers/registries.conf", "", "user-config"),
    ("podman", "etc/environment", "CONTAINERS_REGISTRIES_CONF=/tmp/x\n", "user-config"),
    ("cri-o", "etc/crio/policies/team.json", "{}", "signature-policy"),
    (
        "cri-o",
        "etc/crio/crio.conf.d/9.conf",
        "[crio.image]\ninsecure_registries = [\"quay.example\"]\n",
        "insecure-registries",
    ),
    ("k3s", "etc/rancher/k3s/config.yaml", "embedded-registry: true\n", "embedded-registry"),
    ("k3s", "var/lib/rancher/k3s/agent/etc/containerd/config.toml.tmpl", "", "template"),
    (
        "k3s",
        "var/lib/rancher/k3s/agent/etc/containerd/certs.d/docker.io/hosts.toml",
        "server = \"https://registry-1.docker.io/v2\"\n[host]\n",
        "registry-folder",
    ),
];

#[test]
fn a414_what_wins_over_our_files_is_told_and_green_when_it_is_taken_away() {
    for &(runtime, path, text, code) in BESIDE {
        let node = closed(runtime);
        let before = fs::read_to_string(node.path().join(path)).ok();
        put(&node, path, text);
        let (exit, report) = doctor(&node, &[]);
        assert_eq!(exit, 1, "{path}: {report:#}");
        assert!(codes(&report).contains(&code), "{path}: {report:#}");
        let file = node.path().join(path);
        match before {
            Some(text) => put(&node, path, &text),
            None => fs::remove_file(&file).unwrap(),
        }
        if ["certs.d/ghcr.io", "certs.d/docker.io"].iter().any(|own| path.contains(own)) {
            // Empty, it still wins.
            assert!(codes(&doctor(&node, &[]).1).contains(&"registry-folder"), "{path}");
            fs::remove_dir(file.parent().unwrap()).unwrap();
        }
        if path.starts_with("var/lib/rancher") {
            fs::remove_dir_all(node.path().join("var")).unwrap();
        }
        assert_eq!(doctor(&node, &[]).0, 0, "{path}");
    }
}
