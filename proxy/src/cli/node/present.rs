//! Which runtimes a node has: by their programs, sockets and files, and by what runs.

use std::collections::BTreeSet;
use std::fs;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use super::files::Node;
use super::{Runtime, containers};
use crate::limits::{NODE_FILE_BYTES, NODE_FOLDER_ENTRIES};

const SIGNS: [(Runtime, &[&str]); 7] = [
    (
        Runtime::Containerd,
        &[
            "etc/containerd/config.toml",
            "etc/containerd/certs.d",
            "run/containerd/containerd.sock",
            "usr/bin/containerd",
            "usr/local/bin/containerd",
        ],
    ),
    (Runtime::CriO, &["etc/crio", "run/crio/crio.sock", "usr/bin/crio", "usr/local/bin/crio"]),
    (Runtime::Podman, &["usr/bin/buildah", "usr/bin/podman", "usr/bin/skopeo"]),
    (
        Runtime::Docker,
        &[
            "etc/docker/certs.d",
            "etc/docker/daemon.json",
            "run/docker.sock",
            "usr/bin/dockerd",
            "usr/local/bin/dockerd",
            "usr/sbin/dockerd",
        ],
    ),
    (
        Runtime::Buildkit,
        &["etc/buildkit", "run/buildkit/buildkitd.sock", "usr/bin/buildkitd", "usr/local/bin/buildkitd"],
    ),
    (Runtime::K3s, &["etc/rancher/k3s", "usr/local/bin/k3s", "var/lib/rancher/k3s"]),
    (Runtime::Rke2, &["etc/rancher/rke2", "usr/local/bin/rke2", "var/lib/rancher/rke2"]),
];

/// Every runtime of the node.
pub(in crate::cli) fn present(node: &Node) -> BTreeSet<Runtime> {
    let has = |signs: &[&str]| signs.iter().any(|sign| node.exists(&node.join(sign)));
    let mut found: BTreeSet<_> =
        SIGNS.iter().filter(|(_, signs)| has(signs)).map(|(runtime, _)| *runtime).collect();
    if !found.contains(&Runtime::CriO) && containers::has_files(node) {
        found.insert(Runtime::Podman);
    }
    found.extend(running(node).into_iter().map(|(runtime, _)| runtime));
    found
}

/// The configurations that running ones of a runtime were told to read in place of the usual one.
pub(super) fn configs_of(node: &Node, runtime: Runtime) -> Vec<PathBuf> {
    let of = running(node).into_iter().filter(|(one, _)| *one == runtime);
    of.filter_map(|(_, config)| Some(node.join(config?))).collect()
}

/// What runs, with the configuration that its command line names.
fn running(node: &Node) -> BTreeSet<(Runtime, Option<PathBuf>)> {
    let Ok(processes) = fs::read_dir(node.join("proc")) else { return BTreeSet::new() };
    let ids = processes.filter_map(Result::ok).map(|entry| entry.path()).filter(|path| {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        name.bytes().all(|digit| digit.is_ascii_digit())
    });
    ids.take(NODE_FOLDER_ENTRIES).filter_map(|path| one(&path.join("cmdline"))).collect()
}

fn one(path: &Path) -> Option<(Runtime, Option<PathBuf>)> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(NODE_FILE_BYTES).read_to_end(&mut bytes).ok()?;
    let text = String::from_utf8_lossy(&bytes);
    let words: Vec<&str> = text.split('\0').collect();
    let runtime = match Path::new(*words.first()?).file_name()?.to_str()? {
        "containerd" => Runtime::Containerd,
        "crio" => Runtime::CriO,
        "dockerd" => Runtime::Docker,
        "buildkitd" => Runtime::Buildkit,
        "k3s" => Runtime::K3s,
        "rke2" => Runtime::Rke2,
        _ => return None,
    };
    let config = words.windows(2).find_map(|pair| match pair {
        ["-c" | "--config", path] => Some(PathBuf::from(path)),
        [word, _] => word.strip_prefix("--config=").map(PathBuf::from),
        _ => None,
    });
    Some((runtime, config))
}
