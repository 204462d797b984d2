//! `pullgate doctor` on the files of made nodes: red for each form that falls open, green for those that hold.

#![expect(clippy::unwrap_used, clippy::panic, reason = "helpers of tests fail by panic")]

mod falls_open;
mod made;

use std::fs;
use std::os::unix::fs::PermissionsExt as _;

use serde_json::Value;
use tempfile::TempDir;

use crate::made::{CONFIG, CONFIG_1, CONFIG_2, HOSTS, SERVER, closed, codes, doctor, pullgate, put};

#[test]
fn a_node_whose_files_node_config_wrote_is_closed() {
    for runtime in ["containerd", "cri-o", "docker", "k3s", "podman", "rke2"] {
        let (code, report) = doctor(&closed(runtime), &[]);
        assert_eq!((code, &report["result"]), (0, &Value::from("closed")), "{report:#}");
        assert_eq!(report["runtimes"][0]["runtime"], runtime);
        assert_eq!(report["runtimes"].as_array().unwrap().len(), 1);
    }
}

#[test]
fn what_the_runtime_reads_otherwise_and_leads_to_the_gate_is_closed() {
    let elsewhere = CONFIG_2.replace("/etc/containerd/certs.d", "/srv/none:/srv/certs:/etc/docker/certs.d");
    let nodes: [&[(&str, &str)]; 7] = [
        // The first folder that has `_default` counts, and none behind it is looked at.
        &[
            (CONFIG, &elsewhere),
            ("srv/certs/_default/hosts.toml", "server = \"127.0.0.1:5000\"\n[host]\n"),
            ("srv/certs/ghcr.io/hosts.toml", "server = \"https://127.0.0.1:5000\"\n[host]\n"),
            ("etc/docker/certs.d/quay.io/ca.crt", ""),
            ("etc/docker/daemon.json", include_str!("../../../deploy/docker/daemon.json")),
            ("etc/docker/certs.d/_default/hosts.toml", include_str!("../../../deploy/containerd/hosts.toml")),
            ("etc/docker/certs.d/quay.io/hosts.toml", include_str!("../../../deploy/containerd/hosts.toml")),
        ],
        // A certificate beside the folders is none.
        &[
            (CONFIG, CONFIG_1),
            (HOSTS, include_str!("../../../deploy/containerd/hosts.toml")),
            ("etc/containerd/certs.d/pullgate-ca.pem", ""),
        ],
        // What is imported says nothing of registries.
        &[
            (CONFIG, &format!("imports = [\"/etc/containerd/conf.d/*.toml\"]\n{CONFIG_2}")),
            (
                "etc/containerd/conf.d/a.toml",
                "version = 3\n[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\n",
            ),
            (HOSTS, include_str!("../../../deploy/containerd/hosts.toml")),
        ],
        // The folder is named by what is imported.
        &[
            (CONFIG, "version = 3\nimports = [\"registry.toml\"]\n"),
            ("etc/containerd/registry.toml", CONFIG_2),
            (HOSTS, include_str!("../../../deploy/containerd/hosts.toml")),
        ],
        // Docker's own containerd, which no kubelet asks.
        &[(CONFIG, "disabled_plugins = [\"cri\"]\n")],
        // A registry that is remapped, one that is refused, and a table of one that policy.json rejects.
        &[
            ("etc/containers/policy.json", include_str!("../../../deploy/podman/policy.json")),
            (
                "etc/containers/registries.conf",
                "[[registry]]\nprefix = \"docker.io\"\nlocation = \"127.0.0.1:5000/docker.io\"\n\
                 [[registry]]\nlocation = \"gcr.io\"\nblocked = true\n[[registry]]\nlocation = \"other.example\"\n\
                 [[registry]]\nprefix = \"ghcr.io\"\nlocation = \"127.0.0.1:5000/ghcr.io\"\n\
                 [[registry]]\nlocation = \"quay.io\"\n[[registry]]\nlocation = \"registry.k8s.io\"\n",
            ),
            // A later table of the same prefix replaces the earlier one.
            (
                "etc/containers/registries.conf.d/a.conf",
                "[[registry]]\nlocation = \"quay.io\"\nblocked = true\n[[registry]]\nlocation = \"registry.k8s.io\"\nblocked = true\n",
            ),
        ],
        // What K3s made of it.
        &[
            ("etc/rancher/k3s/registries.yaml", include_str!("../../../deploy/k3s/registries.yaml")),
            ("etc/rancher/k3s/config.yaml", "disable-default-registry-endpoint: true\n"),
            (
                "var/lib/rancher/k3s/agent/etc/containerd/config.toml",
                "version = 3\n[plugins.\"io.containerd.cri.v1.images\".registry]\n\
                 config_path = \"/var/lib/rancher/k3s/agent/etc/containerd/certs.d\"\n",
            ),
            (
                "var/lib/rancher/k3s/agent/etc/containerd/certs.d/_default/hosts.toml",
                "server = \"http://127.0.0.1:5000/v2\"\ncapabilities = [\"pull\", \"resolve\", \"push\"]\n[host]\n",
            ),
        ],
    ];
    for files in nodes {
        let node = TempDir::new().unwrap();
        files.iter().for_each(|(path, text)| put(&node, path, text));
        let (code, report) = doctor(&node, &[]);
        assert_eq!(code, 0, "{report:#}");
    }
}

#[test]
fn what_is_imported_may_take_the_folder_away_in_one_release_alone() {
    let node = closed("containerd");
    let config = CONFIG_1.replace("version = 2", "version = 2\nimports = [\"more.toml\"]");
    put(&node, CONFIG, &config);
    put(
        &node,
        "etc/containerd/more.toml",
        "version = 2\n[plugins.\"io.containerd.grpc.v1.cri\"]\nsandbox_image = \"x\"\n",
    );
    // 1.x replaces the table of the plug-in whole.
    assert_eq!(codes(&doctor(&node, &[]).1), ["no-config-path"]);
    put(
        &node,
        "etc/containerd/more.toml",
        "version = 2\n[plugins.\"io.containerd.gc.v1.scheduler\"]\nstartup_delay = \"1h\"\n",
    );
    assert_eq!(doctor(&node, &[]).0, 0);
}

#[test]
fn what_cannot_be_read_or_followed_is_not_known_and_exits_2() {
    let imports = |text: &str| format!("imports = [{text}]\n{CONFIG_2}");
    for (path, text) in [
        (CONFIG, "version = 3\n[plugins\n".to_owned()),
        (CONFIG, CONFIG_2.replace('3', "9")),
        (CONFIG, imports("\"more.toml\"")),
        (CONFIG, imports("\"/etc/*/more.toml\"")),
        (CONFIG, imports("\"/etc/containerd/a*b*.toml\"")),
    ] {
        let node = closed("containerd");
        put(&node, path, &text);
        let (code, report) = doctor(&node, &[]);
        assert_eq!((code, codes(&report)), (2, vec!["config-unread"]), "{text}: {report:#}");
    }
    let node = closed("containerd");
    fs::remove_file(node.path().join(HOSTS)).unwrap();
    fs::create_dir(node.path().join(HOSTS)).unwrap();
    assert_eq!(codes(&doctor(&node, &[]).1), ["config-unread"]);
    let node = closed("containerd");
    put(&node, CONFIG, &imports("\"config.toml\", \"conf.d/*.toml\""));
    for n in 0..65 {
        assert_eq!(doctor(&node, &[]).0, 0, "{n} files are imported");
        put(&node, &format!("etc/containerd/conf.d/{n}.toml"), "version = 3\n");
    }
    assert_eq!(codes(&doctor(&node, &[]).1), ["config-unread"], "one more than the limit");
}

#[test]
fn a_link_below_another_root_is_not_followed_and_not_closed() {
    for (link, code) in [
        ("etc/containerd/certs.d/docker.io", 1),
        ("etc/containerd/config.toml", 2),
        ("etc/containerd/certs.d/_default/hosts.toml", 2),
    ] {
        let node = closed("containerd");
        let link = node.path().join(link);
        drop(fs::remove_file(&link));
        std::os::unix::fs::symlink("/nowhere/on/this/machine", &link).unwrap();
        let (exit, report) = doctor(&node, &[]);
        assert_eq!(exit, code, "{report:#}");
    }
}

#[test]
fn a_second_runtime_that_is_open_opens_the_node() {
    let node = closed("containerd");
    put(&node, "usr/bin/dockerd", "");
    put(&node, "proc/71/cmdline", "/opt/k3s\0server\0");
    let (code, report) = doctor(&node, &[]);
    let results: Vec<_> =
        report["runtimes"].as_array().unwrap().iter().map(|one| (&one["runtime"], &one["result"])).collect();
    let said = |runtime: &str, result: &str| (Value::from(runtime), Value::from(result));
    let expected = [said("containerd", "closed"), said("docker", "open"), said("k3s", "open")];
    assert_eq!(code, 1);
    assert!(results.into_iter().eq(expected.iter().map(|(runtime, result)| (runtime, result))), "{report:#}");
}

#[test]
fn the_configuration_that_a_running_containerd_was_told_to_read_is_read() {
    let node = closed("containerd");
    put(&node, "proc/7/cmdline", "/usr/bin/containerd\0-c\0/opt/own.toml\0");
    put(&node, "opt/own.toml", "version = 3\n");
    let (code, report) = doctor(&node, &[]);
    assert_eq!((code, codes(&report)), (1, vec!["no-config-path"]), "{report:#}");
    put(&node, "opt/own.toml", CONFIG_2);
    assert_eq!(doctor(&node, &[]).0, 0);
}

#[test]
fn what_is_accepted_is_shown_and_does_not_count() {
    let node = closed("containerd");
    put(&node, "etc/buildkit/buildkitd.toml", "");
    assert_eq!(codes(&doctor(&node, &[]).1), ["buildkit-falls-back"]);
    let (code, report) = doctor(&node, &["--accept", "buildkit-falls-back"]);
    assert_eq!((code, &report["findings"][0]["accepted"]), (0, &Value::Bool(true)), "{report:#}");
    let (code, told) = pullgate(&node, &["doctor", "--accept", "buildkit-falls-back"]);
    assert!(code == 0 && told.contains("accepted  buildkit-falls-back"), "{told}");
}

#[test]
fn the_text_says_where_how_and_what_closes_it() {
    let node = closed("containerd");
    let (code, told) = pullgate(&node, &["doctor"]);
    assert_eq!(
        (code, told.as_str()),
        (0, "containerd  closed\nclosed: no pull goes around the gate, as far as was looked\n")
    );
    put(&node, HOSTS, SERVER);
    let (code, told) = pullgate(&node, &["doctor"]);
    assert_eq!(code, 1);
    assert!(told.contains("containerd  open\n  open  no-host-table  "), "{told}");
    assert!(told.contains("hosts.toml: has no [host]"), "{told}");
    assert!(told.contains("cure: pullgate node-config containerd --write\n"), "{told}");
    assert!(told.ends_with("open: a pull can go around the gate: ways 1, not known 0\n"), "{told}");
}

#[test]
fn nothing_of_a_file_reaches_the_terminal_as_it_is() {
    let node = closed("containerd");
    put(&node, HOSTS, "server = \"http://\\u001b[31mred\\u202e\"\n[host]\n");
    put(&node, "etc/containerd/certs.d/\u{1b}[2J/hosts.toml", "");
    for format in ["json", "text"] {
        let (code, told) = pullgate(&node, &["doctor", "--format", format]);
        assert_eq!(code, 1);
        assert!(!told.contains(['\u{1b}', '\u{202e}']), "{told:?}");
    }
}

#[test]
fn another_gate_is_named_and_stands_in_the_cure() {
    let node = closed("containerd");
    let gate = "https://gate.example:5443";
    let (code, report) = doctor(&node, &["--gate", gate]);
    assert_eq!((code, codes(&report)), (1, vec!["server-elsewhere"]));
    assert_eq!(
        report["findings"][0]["cure"],
        "pullgate node-config containerd --write --gate https://gate.example:5443"
    );
    assert_eq!(pullgate(&node, &["node-config", "containerd", "--write", "--gate", gate]).0, 0);
    assert_eq!(doctor(&node, &["--gate", gate]).0, 0);
    assert_eq!(doctor(&node, &["--gate", gate, "--gate", "http://127.0.0.1:5000"]).0, 0);
    // In the clear, beyond this machine: told, and not a way around.
    assert_eq!(
        pullgate(&node, &["node-config", "containerd", "--write", "--gate", "http://gate.example"]).0,
        0
    );
    let (code, report) = doctor(&node, &["--gate", "http://gate.example"]);
    assert_eq!((code, &report["findings"][0]["code"]), (0, &Value::from("credentials-in-clear")));
}

#[test]
fn without_a_runtime_nothing_is_known_and_one_may_be_named() {
    let node = TempDir::new().unwrap();
    let (code, told) = pullgate(&node, &["doctor"]);
    assert!(code == 2 && told.contains("no runtime is found"), "{told}");
    let (code, report) = doctor(&node, &["containerd"]);
    assert_eq!((code, codes(&report)), (1, vec!["no-config-path"]), "{report:#}");
}

#[test]
fn a_file_for_prometheus_is_replaced_whole_and_can_be_read_by_others() {
    let node = closed("containerd");
    let path = node.path().join("pullgate.prom");
    let file = path.to_str().unwrap();
    let lines = || fs::read_to_string(&path).unwrap();
    assert_eq!(doctor(&node, &["--textfile", file]).0, 0);
    assert!(lines().contains("\npullgate_doctor_closed 1\n"), "{}", lines());
    put(&node, HOSTS, SERVER);
    assert_eq!(doctor(&node, &["--textfile", file]).0, 1);
    for line in [
        "pullgate_doctor_closed 0",
        "pullgate_doctor_findings{weight=\"open\"} 1",
        "pullgate_doctor_findings{weight=\"unknown\"} 0",
        "pullgate_doctor_codes{runtime=\"containerd\",code=\"no-host-table\"} 1",
    ] {
        assert!(lines().lines().any(|one| one == line), "{line}: {}", lines());
    }
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o644);
    let beside =
        fs::read_dir(node.path()).unwrap().filter(|entry| entry.as_ref().unwrap().path().is_file()).count();
    assert_eq!(beside, 1, "nothing half written lies there");
}

#[test]
fn a_wrong_word_exits_2_and_says_so() {
    let node = closed("containerd");
    for arguments in [
        &["contained"][..],
        &["--accept", "nonsense"],
        &["--gate", "127.0.0.1:5000"],
        &["--pull-with", "crictl pull"],
        &["--textfile", "/tmp/pullgate.txt"],
        &["--textfile", "/nowhere/pullgate.prom"],
        &["--config", "/nowhere/pullgate.toml"],
    ] {
        let (code, told) = pullgate(&node, &[&["doctor"], arguments].concat());
        assert!(code == 2 && !told.is_empty(), "{arguments:?}: {told}");
    }
}
