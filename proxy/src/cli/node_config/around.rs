//! What would win over the files of `deploy/`, or keep a runtime from reading them: each of these falls open without a word.

use std::fs;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::Runtime;

/// Each way, with the file that opens it. A file that cannot be read is one: nobody knows what it says.
pub(super) fn ways_around(runtime: Runtime, root: &Path) -> Vec<String> {
    match runtime {
        Runtime::Containerd => containerd(root),
        Runtime::CriO | Runtime::Podman => containers(root),
        Runtime::Docker => docker(root),
        Runtime::Buildkit => Vec::new(),
        Runtime::K3s => rancher(&root.join("etc/rancher/k3s")),
        Runtime::Rke2 => rancher(&root.join("etc/rancher/rke2")),
    }
}

fn containerd(root: &Path) -> Vec<String> {
    let mut found = own_folders(&root.join("etc/containerd/certs.d"));
    let path = root.join("etc/containerd/config.toml");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.starts_with('#')).collect();
    if !lines.iter().any(|line| names_certs(line)) {
        let says = "no config_path = \"/etc/containerd/certs.d\", so that certs.d may not be read";
        found.push(format!("{}: {says}", path.display()));
    }
    if lines.iter().any(|line| line.starts_with('[') && line.contains("registry.mirrors")) {
        found
            .push(format!("{}: a table registry.mirrors, which ends at the registry itself", path.display()));
    }
    found
}

/// A folder more in `config_path` would be looked into as well.
fn names_certs(line: &str) -> bool {
    line.strip_prefix("config_path")
        .and_then(|rest| rest.trim_start().strip_prefix('='))
        .and_then(|value| value.split('#').next())
        .is_some_and(|value| value.trim().trim_matches(['"', '\'']) == "/etc/containerd/certs.d")
}

/// A folder for one registry wins over `_default`, an empty one too.
fn own_folders(certs: &Path) -> Vec<String> {
    let folders = entries(certs).into_iter().filter(|path| path.is_dir() && !path.ends_with("_default"));
    folders.map(|path| format!("{}: wins over _default for its registry", path.display())).collect()
}

fn containers(root: &Path) -> Vec<String> {
    let later = |path: &PathBuf| {
        path.extension().is_some_and(|ending| ending == "conf")
            && path.file_name().is_some_and(|name| name > "zz-pullgate.conf")
    };
    let drop_ins = entries(&root.join("etc/containers/registries.conf.d")).into_iter().filter(later);
    drop_ins.map(|path| format!("{}: is read after ours and may replace it", path.display())).collect()
}

fn docker(root: &Path) -> Vec<String> {
    let mut found = own_folders(&root.join("etc/docker/certs.d"));
    let path = root.join("etc/docker/daemon.json");
    let text = fs::read_to_string(&path).unwrap_or_default();
    let daemon: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if daemon.pointer("/features/containerd-snapshotter") != Some(&Value::Bool(true)) {
        let says = "no \"features\": {\"containerd-snapshotter\": true}; without that image store hosts.toml is not read";
        found.push(format!("{}: {says}", path.display()));
    }
    if daemon.get("registry-mirrors").is_some() {
        found.push(format!(
            "{}: registry-mirrors, which are asked first and end at Docker Hub",
            path.display()
        ));
    }
    found
}

fn rancher(folder: &Path) -> Vec<String> {
    let mut files = entries(&folder.join("config.yaml.d"));
    files.push(folder.join("config.yaml"));
    let opens = |path: &PathBuf| {
        let text = fs::read_to_string(path).unwrap_or_default();
        text.lines().map(|line| line.replace(' ', "")).any(|line| {
            line.starts_with("disable-default-registry-endpoint:false")
                || line.starts_with("embedded-registry:true")
        })
    };
    let open = files.into_iter().filter(opens);
    open.map(|path| format!("{}: lets nodes ask somebody else", path.display())).collect()
}

/// What lies in a folder, in the order of names.
fn entries(folder: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> =
        fs::read_dir(folder).into_iter().flatten().filter_map(|entry| Some(entry.ok()?.path())).collect();
    found.sort();
    found
}
