//! What would win over the files of `deploy/`, or keep a runtime from reading them: each of these falls open without a word.
//!
//! What cannot be read or followed is a way around as well: nobody knows what it says.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use pullgate_config::foreign_toml;
use serde_json::Value;

use super::{BEFORE, CONTAINERS, Runtime};

/// Each way, with the file that opens it.
pub(super) fn ways_around(runtime: Runtime, root: &Path) -> Vec<String> {
    let mut found: Vec<_> = runtime.files().iter().flat_map(|file| links(root, file.path)).collect();
    found.extend(match runtime {
        Runtime::Containerd => containerd(root),
        Runtime::CriO => [containers(root), crio(root)].concat(),
        Runtime::Podman => containers(root),
        Runtime::Docker => docker(root),
        Runtime::Buildkit => Vec::new(),
        Runtime::K3s => rancher(root, "k3s"),
        Runtime::Rke2 => rancher(root, "rke2"),
    });
    found.sort();
    found.dedup();
    found
}

fn way(path: &Path, says: &str) -> String {
    format!("{}: {says}", path.display())
}

/// A link on the way to a file of ours leads somewhere else when it is followed below another root.
fn links(root: &Path, path: &str) -> Vec<String> {
    let mut at = root.to_owned();
    let mut found = Vec::new();
    for part in Path::new(path).components() {
        at.push(part);
        if fs::symlink_metadata(&at).is_ok_and(|is| is.file_type().is_symlink()) {
            found.push(way(&at, "is a link, and is not followed: put a folder or file there"));
        }
    }
    found
}

/// A file's text: nothing where there is none, and a way around where it cannot be read.
fn text(path: &Path, found: &mut Vec<String>) -> String {
    match fs::read_to_string(path) {
        Ok(text) => text,
        Err(error) if error.kind() == ErrorKind::NotFound => String::new(),
        Err(error) => {
            found.push(way(path, &format!("cannot be read: {error}")));
            String::new()
        }
    }
}

/// What lies in a folder, in the order of names; a folder that cannot be listed is a way around.
fn entries(folder: &Path, found: &mut Vec<String>) -> Vec<PathBuf> {
    let listed = match fs::read_dir(folder) {
        Ok(entries) => entries.map(|entry| entry.map(|entry| entry.path())).collect::<Result<Vec<_>, _>>(),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        Err(error) => Err(error),
    };
    match listed {
        Ok(mut paths) => {
            paths.sort();
            paths
        }
        Err(error) => {
            found.push(way(folder, &format!("cannot be listed: {error}")));
            Vec::new()
        }
    }
}

/// Whatever lies beside `_default` may be a folder for one registry, by way of a link too; an empty one wins as well.
fn beside_default(certs: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(certs, &mut found) {
        if !path.ends_with("_default") {
            found.push(way(&path, "wins over _default for its registry"));
        }
    }
    found
}

const CERTS: &str = "/etc/containerd/certs.d";

/// The CRI's table of images: that of the file's own version counts, and no other may say something else.
const CRI: [(u64, &str); 3] = [
    (1, "/plugins/cri/registry"),
    (2, "/plugins/io.containerd.grpc.v1.cri/registry"),
    (3, "/plugins/io.containerd.cri.v1.images/registry"),
];

fn containerd(root: &Path) -> Vec<String> {
    let mut found = beside_default(&root.join("etc/containerd/certs.d"));
    let path = root.join("etc/containerd/config.toml");
    let text = text(&path, &mut found);
    let Some(config) = foreign_toml(&text) else {
        found.push(way(&path, "is no TOML that can be read"));
        return found;
    };
    let version = config.get("version").and_then(Value::as_u64).unwrap_or(1);
    for (of, table) in CRI {
        let registry = config.pointer(table);
        let certs = registry.and_then(|registry| registry.get("config_path"));
        if certs != Some(&Value::from(CERTS)) && (of == version || certs.is_some()) {
            let says =
                format!("no config_path = \"{CERTS}\" in the CRI's table, so that certs.d may not be read");
            found.push(way(&path, &says));
        }
        if registry
            .is_some_and(|registry| registry.get("mirrors").is_some() || registry.get("configs").is_some())
        {
            found.push(way(
                &path,
                "a table registry.mirrors or registry.configs, which ends at the registry itself",
            ));
        }
    }
    if !CRI.iter().any(|(of, _)| *of == version) {
        found.push(way(&path, "a version that is not known here"));
    }
    if config.get("imports").and_then(Value::as_array).is_some_and(|imports| !imports.is_empty()) {
        found.push(way(&path, "imports, which may say something else and are not looked at"));
    }
    found
}

/// The registries that the shipped file sends through the gate.
fn ours() -> Vec<String> {
    let [conf, _] = &CONTAINERS;
    let shipped = foreign_toml(conf.shipped).unwrap_or_default();
    registries(&shipped).filter_map(prefix).map(str::to_owned).collect()
}

fn registries(config: &Value) -> impl Iterator<Item = &Value> {
    config.get("registry").and_then(Value::as_array).into_iter().flatten()
}

/// What a `[[registry]]` table is about: its prefix, else its location.
fn prefix(registry: &Value) -> Option<&str> {
    let named = |key: &str| registry.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    named("prefix").or_else(|| named("location"))
}

fn containers(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let ours = ours();
    let folders = ["usr/share/containers/registries.conf.d", "etc/containers/registries.conf.d"];
    let mut files: Vec<_> = ["usr/share/containers/registries.conf", "etc/containers/registries.conf"]
        .map(|path| root.join(path))
        .into();
    for folder in folders {
        files.extend(links(root, folder).iter().map(|_| root.join(folder)));
        files.extend(entries(&root.join(folder), &mut found));
    }
    for path in files {
        let name = path.file_name().unwrap_or_default();
        let is_conf = path.extension().is_some_and(|ending| ending == "conf");
        if !is_conf || name == "zz-pullgate.conf" {
            continue;
        }
        let text = text(&path, &mut found);
        let drop_in = path.parent().is_some_and(|folder| folder.ends_with("registries.conf.d"));
        if drop_in && name > "zz-pullgate.conf" {
            found.push(way(&path, "is read after ours and may replace it"));
        }
        let Some(config) = foreign_toml(&text) else {
            found.push(way(&path, "is no TOML that can be read"));
            continue;
        };
        for registry in registries(&config) {
            match prefix(registry) {
                Some(prefix) if ours.iter().any(|own| below(prefix, own)) || prefix.starts_with("*.") => {
                    let says = format!(
                        "a [[registry]] \"{prefix}\", which may win over ours: the longest prefix counts"
                    );
                    found.push(way(&path, &says));
                }
                Some(_) => {}
                None => found.push(way(&path, "a [[registry]] without prefix and location")),
            }
        }
    }
    found
}

/// Whether a prefix is a part of a registry of ours, and not all of it.
fn below(prefix: &str, own: &str) -> bool {
    prefix.strip_prefix(own).is_some_and(|rest| rest.starts_with(['/', ':', '@']))
}

/// What CRI-O says elsewhere of signatures: `policy.json` refuses the registries that are not listed.
fn crio(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for path in entries(&root.join("etc/crio/policies"), &mut found) {
        found.push(way(&path, "replaces policy.json for a namespace"));
    }
    let mut files = vec![root.join("etc/crio/crio.conf")];
    files.extend(entries(&root.join("etc/crio/crio.conf.d"), &mut found));
    for path in files {
        let text = text(&path, &mut found);
        let Some(config) = foreign_toml(&text) else {
            found.push(way(&path, "is no TOML that can be read"));
            continue;
        };
        let image = config.pointer("/crio/image");
        for key in ["signature_policy", "signature_policy_dir"] {
            let says = image.and_then(|image| image.get(key)).and_then(Value::as_str);
            if says.is_some_and(|path| !path.is_empty() && path != "/etc/containers/policy.json") {
                found.push(way(&path, &format!("{key}, which replaces policy.json")));
            }
        }
    }
    found
}

fn docker(root: &Path) -> Vec<String> {
    let mut found = beside_default(&root.join("etc/docker/certs.d"));
    let path = root.join("etc/docker/daemon.json");
    let text = text(&path, &mut found);
    let daemon: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    if daemon.pointer("/features/containerd-snapshotter") != Some(&Value::Bool(true)) {
        let says = "no \"features\": {\"containerd-snapshotter\": true}; without that image store hosts.toml is not read";
        found.push(way(&path, says));
    }
    if daemon.get("registry-mirrors").is_some() {
        found.push(way(&path, "registry-mirrors, which are asked first and end at Docker Hub"));
    }
    found
}

/// Of their YAML only the plainest form is taken: whatever else names one of these keys may switch it off.
fn rancher(root: &Path, name: &str) -> Vec<String> {
    let mut found = Vec::new();
    let folder = root.join("etc/rancher").join(name);
    let mut files = entries(&folder.join("config.yaml.d"), &mut found);
    files.retain(|path| !path.ends_with(BEFORE));
    files.push(folder.join("config.yaml"));
    for path in files {
        let text = text(&path, &mut found);
        // An escape could spell the key.
        let hidden = text.contains('\\');
        let speaks = |line: &str| {
            ["disable-default-registry-endpoint", "embedded-registry"].iter().any(|key| line.contains(key))
        };
        let plain = |line: &str| {
            matches!(line.trim_end(), "disable-default-registry-endpoint: true" | "embedded-registry: false")
        };
        let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
        if hidden || lines.filter(|line| speaks(line)).any(|line| !plain(line)) {
            found.push(way(&path, "may let nodes ask somebody else"));
        }
    }
    let made = root.join("var/lib/rancher").join(name).join("agent/etc/containerd");
    for path in entries(&made, &mut found) {
        if path.extension().is_some_and(|ending| ending == "tmpl") {
            found.push(way(&path, "a template of yours for containerd's configuration"));
        }
    }
    found
}
