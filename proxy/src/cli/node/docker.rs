//! The Docker engine: `daemon.json`, and the same `certs.d` as containerd's, read by the containerd image store alone.

use serde_json::Value;

use super::files::{Found, Node};
use super::gate::{Gate, is_gate};
use super::table::words;
use super::{Way, certs};

pub(super) fn read(node: &Node, found: &mut Found, gates: &[Gate]) {
    certs::read(node, found, gates, &[node.join("etc/docker/certs.d")]);
    let path = node.join("etc/docker/daemon.json");
    let text = node.text(&path, found).unwrap_or_default();
    let daemon = if text.trim().is_empty() { Some(Value::Null) } else { serde_json::from_str(&text).ok() };
    let Some(daemon) = daemon else {
        found.add(Way::ConfigUnread, &path, "is no JSON that can be read");
        return;
    };
    if daemon.pointer("/features/containerd-snapshotter") != Some(&Value::Bool(true)) {
        let says = "no \"features\": {\"containerd-snapshotter\": true}; without that image store hosts.toml is not read";
        found.add(Way::NoContainerdStore, &path, says);
    }
    for mirror in words(&daemon, "registry-mirrors").filter(|one| !is_gate(gates, one)) {
        let says =
            format!("registry-mirrors names {mirror:?}, which is asked first, and they end at Docker Hub");
        found.add(Way::RegistryMirrors, &path, says);
    }
    for registry in words(&daemon, "insecure-registries").filter(|one| !is_gate(gates, one)) {
        let says =
            format!("insecure-registries names {registry:?}: its answer is taken from whoever gives one");
        found.add(Way::InsecureRegistries, &path, says);
    }
}
