//! The registries that a runtime's files name.

use std::path::Path;

use serde_json::Value;

use super::files::{Found, Node};
use super::table::{says, words};
use super::{BEFORE, Finding, Runtime, containers, rancher};

/// A registry that a file names; whether it is one yet is for the reader to see.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::cli) struct Named {
    pub(in crate::cli) registry: String,
    /// It is reached without TLS.
    pub(in crate::cli) insecure: bool,
}

/// Those of one runtime, and what could not be read.
pub(in crate::cli) fn registries(runtime: Runtime, node: &Node) -> (Vec<Named>, Vec<Finding>) {
    let mut found = Found::about(runtime);
    let named = match runtime {
        Runtime::Containerd => folders(node, &mut found, "etc/containerd/certs.d"),
        Runtime::CriO | Runtime::Podman => containers::tables(node, &mut found)
            .into_iter()
            .map(|(prefix, (_, table))| Named { registry: host(&prefix), insecure: says(&table, "insecure") })
            .collect(),
        Runtime::Docker => docker(node, &mut found),
        Runtime::Buildkit => Vec::new(),
        Runtime::K3s | Runtime::Rke2 => rancher::named(node, &mut found, runtime.as_str())
            .into_iter()
            .map(|registry| Named { registry, insecure: false })
            .collect(),
    };
    (named.into_iter().filter(|one| !one.registry.contains('*')).collect(), found.all())
}

fn host(prefix: &str) -> String {
    prefix.split('/').next().unwrap_or_default().to_owned()
}

/// Each folder beside `_default` is a registry's.
fn folders(node: &Node, found: &mut Found, certs: &str) -> Vec<Named> {
    let folders = node.entries(&node.join(certs), found).into_iter().filter(|path| path.is_dir());
    let names = folders.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned()));
    // `HOST_PORT_` is `HOST:PORT`.
    let plain = |name: String| match name.strip_suffix('_').and_then(|name| name.rsplit_once('_')) {
        Some((host, port)) => format!("{host}:{port}"),
        None => name,
    };
    let names = names.filter(|name| !matches!(name.as_str(), "_default" | BEFORE)).map(plain);
    names.map(|registry| Named { registry, insecure: false }).collect()
}

fn docker(node: &Node, found: &mut Found) -> Vec<Named> {
    let mut named = folders(node, found, "etc/docker/certs.d");
    let text = node.text(&node.join(Path::new("etc/docker/daemon.json")), found).unwrap_or_default();
    let daemon: Value = serde_json::from_str(&text).unwrap_or(Value::Null);
    let insecure = words(&daemon, "insecure-registries").filter(|name| !name.contains('/'));
    named.extend(insecure.map(|name| Named { registry: name.to_owned(), insecure: true }));
    named
}
